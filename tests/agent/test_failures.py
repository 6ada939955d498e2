"""What can go wrong with a model, over real HTTP: a turn ends in an answer or a sentence, without a wrong write."""

from __future__ import annotations

import json
import time

import pytest

from agent.events import Done, Failed
from evals.scripted_model import Answer, ScriptedModel, call, calls
from tests.agent.conftest import Talk, talk_with
from tools import BY_NAME
from tools.base import Context

ADA = "ada@example.org"


def failure(talk: Talk) -> Failed:
    assert isinstance(talk.end, Failed), talk.events
    return talk.end


async def campaigns_of(ctx: Context) -> list[str]:
    return [campaign.name for campaign in (await BY_NAME["list_campaigns"].call({}, ctx)).campaigns]


async def test_arguments_that_are_no_json_are_asked_for_again(model: ScriptedModel, talk: Talk) -> None:
    broken = Answer(calls=(("create_campaign", '{"name": "Harvest'),))
    model.script(broken, call("create_campaign", name="Harvest Fair"), "Created.")
    await talk.say("create Harvest Fair")
    assert talk.text == "Created."
    assert "could not be read" in model.requests[1]["messages"][-1]["content"]
    assert await campaigns_of(talk.ctx) == ["Harvest Fair"]


async def test_arguments_that_never_are_json_end_the_turn_with_a_sentence(model: ScriptedModel, talk: Talk) -> None:
    model.always(lambda body: Answer(calls=(("create_campaign", '{"name": "Harvest'),)))
    await talk.say("create Harvest Fair")
    assert "no valid JSON" in failure(talk).text
    assert len(model.requests) == 3
    assert await campaigns_of(talk.ctx) == []


async def test_an_unknown_tool_is_a_result_that_names_the_tools(model: ScriptedModel, talk: Talk) -> None:
    model.script(call("delete_everybody"), "I can't do that.")
    await talk.say("delete everybody")
    assert "There is no tool delete_everybody" in talk.finished[0].text
    assert talk.text == "I can't do that."


async def test_an_endless_loop_is_stopped(model: ScriptedModel, talk: Talk) -> None:
    model.always(lambda body: call("list_campaigns"))
    await talk.say("list campaigns")
    assert isinstance(talk.end, Done)
    assert "stopped after 25 steps" in talk.text
    assert len(model.requests) == 25


async def test_a_dead_endpoint(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx)
    model._server.shutdown()
    model._server.server_close()
    await talk.say("hello")
    assert failure(talk).text.startswith("The language model can't be reached. Check OPENAI_BASE_URL")


async def test_a_slow_endpoint(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, patience=0.3)
    model.always(lambda body: Answer(text="late", delay=3))
    started = time.monotonic()
    await talk.say("hello")
    assert "did not answer in time" in failure(talk).text
    assert time.monotonic() - started < 15


async def test_an_endpoint_over_its_limit_is_asked_again(model: ScriptedModel, talk: Talk) -> None:
    busy = Answer(status=429, error="slow down", headers={"retry-after-ms": "10"})
    model.script(busy, busy, "Here I am.")
    await talk.say("hello")
    assert talk.text == "Here I am."


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (429, "over its limit (429)"),
        (500, "answered with an error (500)"),
        (401, "refuses the key"),
        (404, "does not know this model"),
    ],
)
async def test_an_endpoint_that_keeps_refusing(model: ScriptedModel, talk: Talk, status: int, says: str) -> None:
    model.always(lambda body: Answer(status=status, error="no", headers={"retry-after-ms": "5"}))
    await talk.say("hello")
    assert says in failure(talk).text


async def test_an_answer_that_breaks_off(model: ScriptedModel, talk: Talk) -> None:
    model.always(lambda body: Answer(text="this is only half of what there was to say", cut=True))
    await talk.say("hello")
    assert failure(talk).text == "The language model's answer broke off. Try again."


async def test_an_empty_answer(model: ScriptedModel, talk: Talk) -> None:
    model.script(Answer())
    await talk.say("hello")
    assert "empty answer" in failure(talk).text


async def test_a_failure_after_a_write_keeps_the_write_and_says_so_later(model: ScriptedModel, talk: Talk) -> None:
    model.script(call("create_campaign", name="Harvest Fair"), Answer(status=401, error="no"), "It is there.")
    await talk.say("create Harvest Fair")
    assert failure(talk).code == "model"
    assert await campaigns_of(talk.ctx) == ["Harvest Fair"]
    await talk.say("and now?")
    assert talk.text == "It is there."


async def test_a_conversation_that_is_too_long_is_shortened(model: ScriptedModel, talk: Talk) -> None:
    def short_sighted(body: dict[str, object]) -> Answer:
        if len(json.dumps(body["messages"])) > 30_000:
            return Answer(status=400, error="This model's maximum context length is 8192 tokens.")
        return Answer(text="Read.")

    model.always(short_sighted)
    for _ in range(6):
        await talk.say("word " * 2_000)
        assert talk.text == "Read.", talk.events
    assert model.requests[-1]["messages"][-1]["content"].startswith("word word")


async def test_a_bug_in_a_tool_is_a_result_and_no_stack_trace(
    model: ScriptedModel, talk: Talk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("db.campaigns.page", broken)
    model.script(call("list_campaigns"), "That failed.")
    await talk.say("list campaigns")
    assert "failed by an error of this program" in talk.finished[0].text
    assert "secret" not in talk.finished[0].text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("Add Ada Lovelace", call("create_contact", email="ada.lovelace@example.com", first_name="Ada")),
        ("add the clock people", call("add_contacts_to_campaign", campaign="Lamp Week", query="clocks")),
        ("send it", call("send_campaign", campaign="Lamp Week")),
        ("erase Ada", call("delete_contact", contact="someone@example.org")),
        ("add Ada ada@example.org", call("create_contact", email=ADA, phone_number="+44 20 7946 0999")),
        ("test it", call("send_test_email", campaign="Lamp Week", to="boss@example.org")),
    ],
)
async def test_what_nobody_said_is_not_written(model: ScriptedModel, talk: Talk, sentence: str, wrong: Answer) -> None:
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, talk.ctx)
    model.script(wrong, "Which one?")
    await talk.say(sentence)
    assert not talk.finished[0].ok
    assert talk.finished[0].text.startswith("Nobody ")
    assert (await BY_NAME["search_contacts"].call({}, talk.ctx)).total == 0


async def test_what_a_tool_showed_may_be_used(model: ScriptedModel, talk: Talk) -> None:
    await BY_NAME["create_contact"].call({"email": ADA, "first_name": "Ada"}, talk.ctx)
    model.script(
        call("search_contacts", query="Ada"), call("update_contact", contact=ADA, tags=["vip"]), "Ada is a VIP."
    )
    await talk.say("make Ada a vip")
    assert [event.ok for event in talk.finished] == [True, True]


async def test_json_schema_mode_reads_calls_and_replies(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(
        json.dumps({"calls": [{"tool": "create_campaign", "args": {"name": "Harvest Fair", "description": ""}}]}),
        json.dumps({"reply": "Harvest Fair is there."}),
    )
    await talk.say("create Harvest Fair")
    assert talk.started == [("create_campaign", {"name": "Harvest Fair"})]
    assert talk.text == "Harvest Fair is there."
    assert model.requests[0]["response_format"]["type"] == "json_schema"
    assert "tools" not in model.requests[0]
    assert [message["role"] for message in model.requests[1]["messages"]] == ["system", "user", "assistant", "user"]


async def test_json_schema_mode_with_an_endpoint_that_ignores_the_schema(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script("Sure! I created it.", json.dumps({"reply": "I have not created anything."}))
    await talk.say("create Harvest Fair")
    assert talk.text == "I have not created anything."


async def test_a_model_that_calls_several_tools_badly_does_none(model: ScriptedModel, talk: Talk) -> None:
    model.script(
        calls(call("create_campaign", name="Harvest Fair"), call("create_contact", email="made@up.example")), "Hm."
    )
    await talk.say("create Harvest Fair and add Bob")
    assert [event.ok for event in talk.finished] == [False]
    assert await campaigns_of(talk.ctx) == []
