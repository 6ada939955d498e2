"""The built-in planner through the whole agent: no key, the same graph, the same tools."""

from __future__ import annotations

import dataclasses

import pytest

from agent.choice import ModelChoice
from agent.events import ApprovalAsked, ConfirmationAsked, Done
from agent.models import choose
from agent.run import Agent
from tests.agent.conftest import Talk
from tools import BY_NAME
from tools.base import Context


@pytest.fixture(scope="module")
def planner_choice() -> ModelChoice:
    return ModelChoice()


@pytest.fixture
async def talk(ctx: Context, planner_choice: ModelChoice) -> Talk:
    for number, note in enumerate(("collects old clocks", "restores oak furniture", "keeps bees"), 1):
        await BY_NAME["create_contact"].call(
            {"email": f"p{number}@example.org", "first_name": f"Pat{number}", "description": note}, ctx
        )
    await BY_NAME["create_campaign"].call({"name": "Lamp Week", "description": "lamps at a discount"}, ctx)
    agent = Agent(choose(planner_choice, ctx.embedder), ctx.database)
    return Talk(agent, dataclasses.replace(ctx, conversation=await agent.open_conversation(ctx)))


async def names(ctx: Context) -> list[str]:
    return sorted(c.name for c in (await BY_NAME["list_campaigns"].call({}, ctx)).campaigns)


async def in_campaign(ctx: Context, name: str) -> list[str]:
    return sorted(c.email for c in (await BY_NAME["search_contacts"].call({"campaign": name}, ctx)).contacts)


async def test_the_sentence_of_the_product(talk: Talk) -> None:
    await talk.say(
        "create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail"
    )
    assert isinstance(talk.end, ConfirmationAsked)
    assert [call.tool for call in talk.end.calls] == ["create_campaign", "add_contacts_to_campaign", "draft_email"]
    assert await names(talk.ctx) == ["Lamp Week"]
    await talk.answer(True)
    assert isinstance(talk.end, Done)
    assert await in_campaign(talk.ctx, "Harvest Fair") == ["p2@example.org"]
    assert "10% off oak furniture" in talk.text


async def test_it_means_what_was_spoken_of_last(talk: Talk) -> None:
    await talk.say("create a campaign called Bee Day", confirm=False)
    await talk.say("add everyone who keeps bees to it", confirm=False)
    assert talk.started == [("add_contacts_to_campaign", {"campaign": "Bee Day", "query": "keeps bees"})]
    assert await in_campaign(talk.ctx, "Bee Day") == ["p3@example.org"]


async def test_a_question_is_answered_without_asking(talk: Talk) -> None:
    await talk.say("who collects old clocks?")
    assert isinstance(talk.end, Done)
    assert talk.text.startswith("1 contact for")
    assert "p1@example.org" in talk.text


async def test_no_means_nothing_was_done(talk: Talk) -> None:
    await talk.say("create a campaign called Bee Day")
    await talk.answer(False)
    assert talk.text == "Nothing was done."
    assert await names(talk.ctx) == ["Lamp Week"]


async def test_thanks_and_small_talk_are_no_commands(talk: Talk) -> None:
    for remark in ("thanks!", "hello there", "that's great, you could send me a medal", "good morning"):
        await talk.say(remark)
        assert talk.started == [], remark
        assert isinstance(talk.end, Done)
        assert talk.text


@pytest.mark.parametrize("nonsense", ["delete everybody", "drop table contacts", "what's the weather", "??!", "🙂"])
async def test_what_it_cannot_do_it_says_and_does_nothing(talk: Talk, nonsense: str) -> None:
    await talk.say(nonsense)
    assert talk.started == []
    assert talk.text
    assert (await BY_NAME["search_contacts"].call({}, talk.ctx)).total == 3


async def test_yes_to_writes_never_is_a_yes_to_a_send(talk: Talk) -> None:
    await talk.say("draft an e-mail for Lamp Week", confirm=False)
    await talk.say("add p1@example.org to Lamp Week", confirm=False)
    await talk.say("send Lamp Week", confirm=False)
    assert any(isinstance(event, ApprovalAsked) for event in talk.events)
    detail = await BY_NAME["get_campaign"].call({"campaign": "Lamp Week"}, talk.ctx)
    assert detail.campaign.status == "draft"


async def test_a_pasted_list_is_imported(talk: Talk) -> None:
    await talk.say("import these contacts", context_text="email,first name\nada@example.org,Ada\n", confirm=False)
    assert [tool for tool, _ in talk.started] == ["import_contacts"]
    assert (await BY_NAME["search_contacts"].call({"query": "Ada"}, talk.ctx)).contacts[0].email == "ada@example.org"
