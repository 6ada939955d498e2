"""json-schema mode: what a small model writes is put right, or becomes a question; the prompt knows every tool."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage

from agent.choice import ModelChoice
from agent.models import choose
from agent.planner import KnownCampaign, Situation
from agent.schema_mode import RESPONSE
from agent.slips import put_right
from agent.toolbox import TOOLS, as_signatures
from db.embeddings import LocalEmbedder
from evals.scripted_model import Answer, ScriptedModel
from tests.agent.conftest import talk_with
from tools import ALL_TOOLS, BY_NAME
from tools.base import Context

WEDNESDAY = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
SITUATION = Situation(
    WEDNESDAY, "Europe/London", "GB", (KnownCampaign("Lamp Week", "draft"), KnownCampaign("Black Friday", "sent"))
)


def meant(sentence: str | list[BaseMessage], tool: str, /, **arguments: Any) -> dict[str, Any]:
    messages = [HumanMessage(sentence)] if isinstance(sentence, str) else sentence
    return put_right(tool, arguments, messages, SITUATION)


def answer(*calls: tuple[str, dict[str, Any]]) -> Answer:
    return Answer(text=json.dumps({"calls": [{"tool": tool, "args": args} for tool, args in calls]}))


def test_the_prompt_has_a_line_for_every_tool(embedder: LocalEmbedder) -> None:
    small = choose(ModelChoice("local", "http://127.0.0.1:1/v1", mode="json-schema"), embedder)
    assert small.prompt is not None
    assert "{{" not in small.prompt.text
    for tool in ALL_TOOLS:
        assert f"\n{tool.name}(" in small.prompt.text
    assert "create_campaign(name, description?, start_date?, audience?): Create a campaign" in as_signatures()


def test_the_prompt_fits_a_short_window(embedder: LocalEmbedder) -> None:
    small = choose(ModelChoice("local", "http://127.0.0.1:1/v1", mode="json-schema"), embedder)
    assert small.prompt is not None
    assert len(small.prompt.text) < small.budget * 0.6


def test_the_examples_are_calls_that_the_tools_take(embedder: LocalEmbedder, ctx: Context) -> None:
    small = choose(ModelChoice("local", "http://127.0.0.1:1/v1", mode="json-schema"), embedder)
    assert small.prompt is not None
    examples = [json.loads(line) for line in small.prompt.text.splitlines() if line.startswith('{"')]
    assert len(examples) >= 7
    for example in examples:
        for call in example.get("calls", []):
            TOOLS[call["tool"]].check(call["args"], ctx)


def test_the_schema_names_every_tool_with_its_arguments() -> None:
    calls = RESPONSE["json_schema"]["schema"]["anyOf"][0]["properties"]["calls"]["items"]["anyOf"]
    assert [call["properties"]["tool"]["const"] for call in calls] == [tool.name for tool in ALL_TOOLS]
    assert all(list(call["properties"]) == ["tool", "args"] for call in calls)


def test_empty_and_filler_values_are_left_out() -> None:
    given = meant(
        "add ada@example.org", "create_contact", email="ada@example.org", first_name="", last_name="null",
        phone_number="N/A", description="unknown", tags=[], colour="red",
    )  # fmt: skip
    assert given == {"email": "ada@example.org"}


def test_what_nobody_said_and_no_tool_needs_is_left_out() -> None:
    given = meant("draft a mail for Lamp Week", "draft_email", campaign="Lamp Week", tone="cheerful", per_contact=False)
    assert given == {"campaign": "Lamp Week"}
    assert meant("who restores clocks?", "search_contacts", query="restores clocks", limit=20) == {
        "query": "restores clocks"
    }
    assert meant("five who restore clocks", "search_contacts", query="restore clocks", limit=5)["limit"] == 5


def test_what_was_said_in_other_forms_stays() -> None:
    given = meant(
        "New: Ada Byron ada@example.org, collecting punched cards", "create_contact",
        email="ada@example.org", first_name="Ada", last_name="Byron", description="collects punched cards",
    )  # fmt: skip
    assert given["description"] == "collects punched cards"
    assert given["first_name"] == "Ada"


@pytest.mark.parametrize(
    ("sentence", "written", "read"),
    [
        ("send Lamp Week tomorrow at 10 am", "tomorrow at 10 am", "2026-11-26T10:00:00+00:00"),
        ("send Lamp Week tomorrow at 10 am", "2026-11-25T10:00", "2026-11-26T10:00:00+00:00"),
        ("send Lamp Week on 5 December at 9:00", "2026-12-05T09:00", "2026-12-05T09:00:00+00:00"),
        ("send Lamp Week next Monday at 8", "Monday 8:00", "2026-11-30T08:00:00+00:00"),
    ],
)
def test_the_program_reads_the_dates(sentence: str, written: str, read: str) -> None:
    assert meant(sentence, "send_campaign", campaign="Lamp Week", send_at=written)["send_at"] == read


def test_a_date_that_nobody_said_is_left_out() -> None:
    assert meant("send Lamp Week", "send_campaign", campaign="Lamp Week", send_at="2026-12-01") == {
        "campaign": "Lamp Week"
    }
    assert meant("how did Black Friday do?", "summarize_performance", campaign="Black Friday", since="2026-11-27") == {
        "campaign": "Black Friday"
    }


def test_a_description_that_is_a_date_is_the_start() -> None:
    given = meant(
        "set up Book Fair for 12 January 2027", "create_campaign",
        name="Book Fair", description="12 January 2027", audience="book buyers",
    )  # fmt: skip
    assert given == {"name": "Book Fair", "start_date": "2027-01-12"}


def test_a_status_is_no_word_to_search_for() -> None:
    assert meant("which are drafts?", "list_campaigns", query="drafts") == {"status": "draft"}
    assert meant("show all campaigns", "list_campaigns", status="all") == {}
    assert meant("List our campaigns, please", "list_campaigns", status="draft") == {}
    assert meant("the unsubscribed contacts", "search_contacts", query="unsubscribed contacts") == {
        "status": "unsubscribed"
    }


def test_an_audience_is_people_and_no_offer() -> None:
    sale = meant("Carpet Sale, 15% off all rugs", "create_campaign", name="Carpet Sale", description="15% off all rugs",
                 audience="all rugs")  # fmt: skip
    assert sale == {"name": "Carpet Sale", "description": "15% off all rugs"}
    night = meant("Clay Night for everyone who likes clay", "create_campaign", name="Clay Night",
                  description="everyone who likes clay", audience="clay enthusiasts")  # fmt: skip
    assert night == {"name": "Clay Night", "audience": "everyone who likes clay"}


async def test_without_an_address_said_there_is_no_list_of_addresses(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.always(lambda body: Answer(text=json.dumps({"reply": "Yes."})))
    await talk.say("add the clock people to Lamp Week")
    assert '"emails"' not in json.dumps(model.requests[0]["response_format"])
    await talk.say("and ada@example.org")
    assert '"emails"' in json.dumps(model.requests[1]["response_format"])


@pytest.mark.parametrize("now", ["now", "Right now", "jetzt"])
def test_now_is_no_time_to_wait_for(now: str) -> None:
    assert meant(f"send Lamp Week {now}", "send_campaign", campaign="Lamp Week", send_at=now) == {
        "campaign": "Lamp Week"
    }


def test_figures_are_of_the_campaign_that_was_named() -> None:
    assert meant("how did Lamp Week do?", "summarize_performance") == {"campaign": "Lamp Week"}
    assert meant("what could we do better?", "suggest_improvements", campaign="Lamp Week") == {}


def test_words_that_are_no_date_are_left_to_the_tool_to_refuse() -> None:
    assert meant("send Lamp Week soon", "send_campaign", campaign="Lamp Week", send_at="soon")["send_at"] == "soon"


def test_campaigns_are_spelt_as_they_are_spelt() -> None:
    assert meant("cancel lmap week", "cancel_campaign", campaign="the lmap week campaign") == {"campaign": "Lamp Week"}
    assert meant("cancel Oak Days", "cancel_campaign", campaign="Oak Days") == {"campaign": "Oak Days"}


def test_a_rename_has_the_old_name_and_the_new() -> None:
    given = meant("give Lamp Week the name Lamp Days", "update_campaign", campaign="Lamp Days", name="Lamp Days")
    assert given == {"campaign": "Lamp Week", "name": "Lamp Days"}


def test_addresses_and_words_go_where_they_belong() -> None:
    by_address = {"campaign": "Lamp Week", "emails": ["ada@example.org"]}
    sentence = "add ada@example.org to Lamp Week"
    tool = "add_contacts_to_campaign"
    assert meant(sentence, tool, campaign="Lamp Week", query="ada@example.org") == by_address
    assert meant(sentence, tool, campaign="Lamp Week", query="add", emails="ada@example.org") == by_address
    assert meant("add clock lovers to Lamp Week", tool, campaign="Lamp Week", emails=["clock lovers"]) == {
        "campaign": "Lamp Week",
        "query": "clock lovers",
    }


@pytest.mark.parametrize(
    ("sentence", "wrong", "question"),
    [
        ("Add Ada", ("create_contact", {"email": "ada@example.com", "first_name": "Ada"}), "Which e-mail address"),
        ("Cancel the campaign", ("cancel_campaign", {"campaign": "Lamp Week"}), "Which campaign"),
        ("delete everybody", ("delete_contact", {"contact": "everybody"}), "only those you name"),
        ("send Lamp Week to everybody", ("send_campaign", {"campaign": "Lamp Week"}), "its own recipients"),
    ],
)
async def test_a_doubtful_write_becomes_a_question(
    model: ScriptedModel, ctx: Context, sentence: str, wrong: tuple[str, dict[str, Any]], question: str
) -> None:
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, ctx)
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(answer(wrong))
    await talk.say(sentence)
    assert question in talk.text
    assert talk.started == []
    assert len(model.requests) == 1


async def test_a_campaign_that_does_not_exist_becomes_a_question(model: ScriptedModel, ctx: Context) -> None:
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, ctx)
    talk = await talk_with(model, ctx, mode="json-schema")
    wrong = {"campaign": "my contacts", "emails": ["ada@example.org"]}
    model.script(answer(("add_contacts_to_campaign", wrong)))
    await talk.say("add ada@example.org to my contacts")
    assert talk.text == "I know no campaign called my contacts. Which one do you mean? There are: Lamp Week."


async def test_a_new_name_is_no_campaign_yet(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(answer(("update_campaign", {"campaign": "Lamp Days", "name": "Lamp Days"})))
    await talk.say("call it Lamp Days")
    assert talk.text.startswith("I know no campaign called Lamp Days")


async def test_a_campaign_of_an_earlier_step_exists(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(
        answer(("create_campaign", {"name": "Oak Days"})),
        answer(("draft_email", {"campaign": "Oak Days"})),
        json.dumps({"reply": "Drafted."}),
    )
    await talk.say("create Oak Days and draft it")
    assert [tool for tool, _ in talk.started] == ["create_campaign", "draft_email"]


async def test_a_call_that_is_repeated_ends_with_its_result(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(answer(("list_campaigns", {})), answer(("list_campaigns", {})))
    await talk.say("list the campaigns")
    assert talk.started == [("list_campaigns", {})]
    assert talk.text == "There are no campaigns yet."


async def test_the_same_call_twice_is_done_once(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(answer(("list_campaigns", {}), ("list_campaigns", {"query": ""})), json.dumps({"reply": "None yet."}))
    await talk.say("list the campaigns")
    assert talk.started == [("list_campaigns", {})]


@pytest.mark.parametrize("broken", ["[]", '"text"', '{"calls": [1]}', '{"calls": [{"tool": "x"}]}', '{"calls": null}'])
async def test_an_answer_of_another_form_is_asked_for_again(model: ScriptedModel, ctx: Context, broken: str) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(broken, json.dumps({"reply": "Hello."}))
    await talk.say("hello")
    assert talk.text == "Hello."


def test_made_up_addresses_beside_words_are_left_out() -> None:
    given = meant(
        "add clock lovers to Lamp Week", "add_contacts_to_campaign",
        campaign="Lamp Week", query="clock lovers", emails=["clock@lovers.example"],
    )  # fmt: skip
    assert given == {"campaign": "Lamp Week", "query": "clock lovers"}


async def test_what_stays_the_same_comes_first(model: ScriptedModel, ctx: Context) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    model.script(json.dumps({"reply": "Hello."}))
    await talk.say("hello")
    system = model.requests[0]["messages"][0]["content"]
    assert system.splitlines()[-1].startswith("Tenant: ")
    assert "Now: Wed 25 November 2026" in system.splitlines()[-1]
