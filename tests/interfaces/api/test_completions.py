"""The OpenAI-compatible endpoint, asked as OpenAI's own client asks: streamed and whole, over several turns."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI, AuthenticationError, UnprocessableEntityError
from openai.types.chat import ChatCompletionMessageParam

from evals.scripted_model import Answer, ScriptedModel, call
from tests.interfaces.api.conftest import House, scripted_settings, served
from tools import BY_NAME
from tools.base import Context


class Front:
    """A chat front: it keeps the conversation and sends all of it each time."""

    def __init__(self, house: House, role: str = "editor", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.client = AsyncOpenAI(
            api_key=house.keys[role], base_url=f"{house.url}/v1", max_retries=0, default_headers=named
        )
        house.at_the_end.append(self.client.close)
        self.messages: list[ChatCompletionMessageParam] = []

    async def say(self, text: str, *, stream: bool = True) -> str:
        self.messages.append({"role": "user", "content": text})
        if stream:
            chunks = await self.client.chat.completions.create(
                model="smartcampaign", messages=self.messages, stream=True
            )
            said = "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
        else:
            whole = await self.client.chat.completions.create(model="smartcampaign", messages=self.messages)
            said = whole.choices[0].message.content or ""
        self.messages.append({"role": "assistant", "content": said})
        return said


@pytest.fixture
async def asking(ctx: Context, model: ScriptedModel) -> AsyncIterator[House]:
    """A person is asked before writes."""
    async with served(ctx, settings=scripted_settings(model, "always")) as house:
        yield house


@pytest.mark.parametrize("stream", [True, False])
async def test_a_front_talks_to_the_agent(scripted: House, model: ScriptedModel, stream: bool) -> None:
    model.script(call("create_contact", email="ada@example.org"), "Added Ada.", "Ada, of course.")
    front = Front(scripted)
    assert [each.id async for each in front.client.models.list()] == ["smartcampaign"]
    assert await front.say("add ada@example.org", stream=stream) == "Added Ada."
    assert await front.say("whom did I add?", stream=stream) == "Ada, of course."
    # The agent's own memory went on: the call is in it, which no front knows.
    said = [message["role"] for message in model.requests[-1]["messages"]]
    assert said.count("tool") == 1
    assert len(await scripted.rows("SELECT 1 FROM conversations")) == 1


async def test_two_conversations_that_begin_alike_are_two(scripted: House, model: ScriptedModel) -> None:
    model.always(lambda body: Answer(text=f"{len(body['messages'])}"))
    one, two = Front(scripted), Front(scripted)
    await one.say("hello")
    await two.say("hello")
    await one.say("first")
    await two.say("second")
    said = str(model.requests[-1]["messages"])
    assert "second" in said
    assert "first" not in said


async def test_what_was_said_elsewhere_comes_along_as_data(scripted: House, model: ScriptedModel) -> None:
    model.script("Of lamps.")
    front = Front(scripted)
    front.messages = [{"role": "user", "content": "I sell lamps"}, {"role": "assistant", "content": "Noted."}]
    await front.say("what do I sell?")
    assert "I sell lamps" in str(model.requests[-1]["messages"][-1]["content"])


async def test_a_fronts_own_id_names_the_conversation(scripted: House, model: ScriptedModel) -> None:
    model.always(lambda body: Answer(text="Yes."))
    for text in ("one", "two"):
        await Front(scripted, X_OpenWebUI_Chat_Id="c1").say(text)
    await Front(scripted, "viewer", X_OpenWebUI_Chat_Id="c1").say("three")
    assert await scripted.rows("SELECT name, turn FROM conversations ORDER BY turn") == [("chat c1", 1), ("chat c1", 2)]


async def test_a_write_is_done_after_a_yes_that_the_door_reads(asking: House, model: ScriptedModel) -> None:
    model.script(call("create_contact", email="ada@example.org"), "Added.", "Hello.")
    front = Front(asking)
    shown = await front.say("add ada@example.org")
    assert "ada@example.org" in shown
    assert "yes" in shown
    assert await asking.rows("SELECT 1 FROM contacts") == []
    assert await front.say("Yes") == "Added."
    assert await asking.rows("SELECT email FROM contacts") == [("ada@example.org",)]
    # Nothing waits any more: now it is a word like any other.
    assert await front.say("yes") == "Hello."


async def test_a_request_is_decided_by_a_message_of_its_own(
    scripted: House, model: ScriptedModel, ctx: Context
) -> None:
    await BY_NAME["create_contact"].call({"email": "ada@example.org"}, ctx)
    model.script(call("delete_contact", contact="ada@example.org"), "It waits.", "What do you mean?")
    front = Front(scripted, "owner")
    shown = await front.say("erase ada@example.org")
    ((id,),) = await scripted.rows("SELECT approval_id::text FROM approvals")
    assert f"approve {id[:8]}" in shown
    assert "Erase ada@example.org" in shown, "the card is shown before it can be decided"
    assert await front.say("yes") == "What do you mean?"
    assert len(await scripted.rows("SELECT 1 FROM contacts")) == 1
    await front.say(f"approve {id[:8]}")
    assert await scripted.rows("SELECT 1 FROM contacts") == []


async def test_a_decision_takes_the_role_for_it(scripted: House, ctx: Context) -> None:
    await BY_NAME["create_contact"].call({"email": "ada@example.org"}, ctx)
    asked = await BY_NAME["delete_contact"].call({"contact": "ada@example.org"}, ctx)
    assert "owner" in await Front(scripted, "sender").say(f"approve {asked.short_id}")
    assert len(await scripted.rows("SELECT 1 FROM contacts")) == 1


async def test_what_cannot_be_answered_is_an_error_that_openais_client_reads(scripted: House) -> None:
    front = Front(scripted)
    with pytest.raises(UnprocessableEntityError, match="last message"):
        await front.client.chat.completions.create(
            model="smartcampaign", messages=[{"role": "assistant", "content": "hello"}]
        )
    front.client.api_key = "sck_wrong"
    with pytest.raises(AuthenticationError, match="not known"):
        await front.say("hello")
