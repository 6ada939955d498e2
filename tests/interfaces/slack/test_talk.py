"""What people say in Slack and what they get: threads, direct messages, the assistant's panel, the slash command."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx
import pytest

from evals.scripted_model import Answer, ScriptedModel, call
from interfaces.slack import posting
from interfaces.slack.mrkdwn import LONGEST
from tests.interfaces.slack.conftest import Office, let_in, opened, slack_settings
from tests.interfaces.slack.fake_slack import (
    ADA,
    APP_TOKEN,
    BO,
    BOT,
    CHANNEL,
    CY,
    DIRECT,
    STRANGER,
    FakeSlack,
    fake_slack,
)
from tools import workspaces
from tools.base import Context


async def test_a_mention_is_answered_in_its_thread(office: Office, model: ScriptedModel) -> None:
    model.script("**Some** people care about clocks.")
    event = office.slack.mention("who cares about clocks?")
    answer = await office.slack.event(event)
    assert (answer.status_code, answer.text) == (200, "")

    await office.slack.said("*Some* people care about clocks.")
    (message,) = office.slack.shown()
    assert (message["channel"], message["thread_ts"]) == (CHANNEL, event["ts"])
    (asked,) = model.requests
    assert asked["messages"][-1]["content"] == "who cares about clocks?", "without the mention of the bot"


async def test_a_direct_message_is_answered_where_it_stands(office: Office, model: ScriptedModel) -> None:
    model.script("Hello.", "Again.")
    await office.slack.event(office.slack.direct("hello"))
    await office.slack.said("Hello.")
    await office.slack.event(office.slack.direct("and again"))
    await office.slack.said("Again.")
    assert all("thread_ts" not in message for message in office.slack.shown())
    assert len(await office.rows("SELECT 1 FROM conversations")) == 1, "a direct message is one conversation"


async def test_a_thread_is_one_conversation_for_all_who_speak_in_it(office: Office, model: ScriptedModel) -> None:
    model.script("First answer.", "Second answer.", "Elsewhere.")
    first = office.slack.mention("the first question")
    await office.slack.event(first)
    await office.slack.said("First answer.")
    await office.slack.event(office.slack.mention("the second question", user=CY, thread_ts=first["ts"]))
    await office.slack.said("Second answer.")
    await office.slack.event(office.slack.mention("another thread"))
    await office.slack.said("Elsewhere.")

    said = [message["content"] for message in model.requests[1]["messages"] if message["role"] != "system"]
    assert said == ["the first question", "First answer.", "the second question"]
    assert "the first question" not in json.dumps(model.requests[2])
    assert len(await office.rows("SELECT 1 FROM conversations")) == 2


async def test_each_speaks_in_a_thread_with_their_own_role(office: Office, model: ScriptedModel) -> None:
    model.script(
        call("create_campaign", name="Bo's own"), "I could not.", call("create_campaign", name="Cy's own"), "Done so."
    )
    first = office.slack.mention("create a campaign called Bo's own", user=BO)
    await office.slack.event(first)
    await office.slack.said("I could not.")
    await office.slack.event(office.slack.mention("create a campaign called Cy's own", user=CY, thread_ts=first["ts"]))
    await office.slack.said("Done so.")
    assert await office.rows("SELECT name FROM campaigns") == [("Cy's own",)]
    assert await office.rows("SELECT actor, role, door, outcome FROM audit_log WHERE tool = 'create_campaign'") == [
        ("Cy (Slack)", "editor", "slack", "done")
    ]
    assert "Your role is viewer" in json.dumps(model.requests[1])


async def test_somebody_unknown_is_refused_alone_and_told_how_to_be_let_in(
    office: Office, model: ScriptedModel
) -> None:
    await office.slack.event(office.slack.mention("show me everybody", user=STRANGER))
    refusal = await office.slack.said("You are not known here yet")
    assert (refusal.method, refusal.said["user"]) == ("chat.postEphemeral", STRANGER)
    assert f"smartcampaign slack allow {STRANGER}" in refusal.text
    assert not model.requests
    assert not office.slack.shown()


async def test_members_may_look_where_an_owner_said_so(office: Office, model: ScriptedModel) -> None:
    await workspaces.link_slack(office.ctx, office.slack.team, members="viewer")
    model.script(call("create_campaign", name="Mine"), "Not allowed, sorry.")
    await office.slack.event(office.slack.mention("create a campaign called Mine", user=STRANGER))
    await office.slack.said("Not allowed, sorry.")
    assert "Your role is viewer" in json.dumps(model.requests[1])
    assert not await office.rows("SELECT 1 FROM campaigns")


async def test_who_is_taken_out_is_not_answered_any_more(office: Office, model: ScriptedModel) -> None:
    model.script("One.")
    await office.slack.event(office.slack.direct("one"))
    await office.slack.said("One.")
    await workspaces.disallow(office.ctx, None, ADA)
    await office.slack.event(office.slack.direct("two"))
    await office.slack.said("You are not known here yet")
    assert len(model.requests) == 1


async def test_a_workspace_that_is_not_linked_is_told_so(ctx: Context, slack: FakeSlack, model: ScriptedModel) -> None:
    async with opened(ctx, slack, slack_settings(slack, model), linked=False) as office:
        await slack.event(slack.direct("hello"))
        told = await slack.said("is not linked")
        assert "smartcampaign slack link" in told.text
        await let_in(ctx, slack.team)
        model.script("Now I hear you.")
        await slack.event(slack.direct("hello?"))
        await slack.said("Now I hear you.")
        await workspaces.remove(office.ctx, None)
        await slack.event(slack.direct("and now?"))
        await slack.said("is not linked", times=2)
        assert len(model.requests) == 1


async def test_slack_is_acknowledged_at_once_however_slow_the_model_is(office: Office, model: ScriptedModel) -> None:
    model.script(Answer(text="Slowly.", delay=4))
    began = time.monotonic()
    for answer in (
        await office.slack.event(office.slack.mention("think hard")),
        await office.slack.send(office.slack.command_body("think hard as well")),
    ):
        assert answer.status_code == 200
    assert time.monotonic() - began < 1.5, "Slack gives three seconds for each"
    await office.slack.said("Slowly.")


async def test_an_answer_grows_by_edits_and_no_faster_than_slack_takes_them(
    office: Office, model: ScriptedModel
) -> None:
    model.script(call("list_campaigns"), Answer(text="word " * 60, delay=2.5), "unused")
    await office.slack.event(office.slack.mention("tell me a story"))
    await office.slack.said("word " * 59)
    edits = office.slack.of("chat.postMessage", "chat.update")
    assert edits[0].text == "_Thinking …_"
    assert len(office.slack.shown()) == 1
    pauses = [later.at - earlier.at for earlier, later in pairwise(edits[:-1])]
    assert all(pause > 0.9 * posting.PAUSE for pause in pauses)


async def test_long_answers_are_split_and_nothing_is_lost(office: Office, model: ScriptedModel) -> None:
    # Letters, not numbers: those would have to be known.
    names = ["".join("abcdefghij"[int(digit)] for digit in str(number)) for number in range(300)]
    lines = [f"- line {name} <b> & so on, so that it gets longer" for name in names]
    model.script("\n".join(lines))
    await office.slack.event(office.slack.mention("everything, please"))
    await office.slack.said("line cjj ")
    await asyncio.sleep(0.2)
    messages = office.slack.shown()
    assert len(messages) > 3
    assert all(len(message["text"]) <= LONGEST for message in messages)
    whole = "\n".join(message["text"] for message in messages)
    assert all(f"• line {name} &lt;b&gt; &amp; so on" in whole for name in names)


@pytest.mark.parametrize("header", [True, False])
async def test_a_repeated_event_is_answered_once(office: Office, model: ScriptedModel, header: bool) -> None:
    model.script("Once.", "Twice!")
    body = office.slack.event_body(office.slack.mention("hello"))
    await office.slack.send(body)
    again = {"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"} if header else {}
    for _ in range(3):
        assert (await office.slack.send(body, at=time.time() + 1, **again)).status_code == 200
    await office.slack.said("Once.")
    await asyncio.sleep(0.3)
    assert len(model.requests) == 1


async def test_two_programs_answer_a_message_once(office: Office, model: ScriptedModel) -> None:
    """Slack may repeat an event to another process of ours, at the same moment."""
    model.script("Once.", "Twice!")
    async with opened(office.ctx, office.slack, slack_settings(office.slack, model), linked=False) as second:
        apps = [office.house.client(), second.house.client()]
        body = office.slack.event_body(office.slack.direct("hello"))

        async def send(app: httpx.AsyncClient) -> int:
            sender = replace(office.slack, app=app)
            return (await sender.send(body)).status_code

        assert await asyncio.gather(*(send(app) for app in apps * 3)) == [200] * 6
        await office.slack.said("Once.")
        await asyncio.sleep(0.3)
        assert len(model.requests) == 1


async def test_a_mention_in_a_direct_message_comes_as_two_events_and_is_answered_once(
    office: Office, model: ScriptedModel
) -> None:
    model.script("Once.", "Twice!")
    event = office.slack.direct(f"<@{BOT}> hello")
    await office.slack.event(event)
    await office.slack.event(event | {"type": "app_mention"})
    await office.slack.said("Once.")
    await asyncio.sleep(0.2)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"bot_id": "B0OTHER"}, {"bot_id": "B0BOT", "user": BOT}, {"subtype": "bot_message", "bot_id": "B1"},
        {"subtype": "message_changed", "message": {"text": "x"}}, {"subtype": "message_deleted"},
        {"subtype": "channel_join"}, {"user": None}, {"channel_type": "channel"}, {"type": "reaction_added"},
    ],
    ids=str,
)  # fmt: skip
async def test_what_no_person_says_to_it_is_ignored(office: Office, model: ScriptedModel, more: dict[str, Any]) -> None:
    answer = await office.slack.event(office.slack.direct("hello") | more)
    assert answer.status_code == 200
    await asyncio.sleep(0.2)
    assert not model.requests
    assert not office.slack.of("chat.postMessage", "chat.postEphemeral")


async def test_messages_of_a_thread_are_answered_in_their_order(office: Office, model: ScriptedModel) -> None:
    model.script(Answer(text="Answer to one.", delay=0.8), "Answer to two.", "Answer to three.")
    first = office.slack.mention("one")
    for event in (first, *(office.slack.mention(text, thread_ts=first["ts"]) for text in ("two", "three"))):
        await office.slack.event(event)
    await office.slack.said("Answer to three.")
    said = [text for (text,) in await office.rows("SELECT text FROM messages ORDER BY turn, place")]
    assert said == ["one", "Answer to one.", "two", "Answer to two.", "three", "Answer to three."]


async def test_the_assistants_panel_greets_suggests_and_shows_that_it_thinks(
    office: Office, model: ScriptedModel
) -> None:
    thread = {"user_id": ADA, "channel_id": DIRECT, "thread_ts": "1764000000.5", "context": {}}
    await office.slack.event({"type": "assistant_thread_started", "assistant_thread": thread})
    await office.slack.until(lambda: office.slack.of("assistant.threads.setSuggestedPrompts"))
    (suggested,) = office.slack.of("assistant.threads.setSuggestedPrompts")
    assert 1 <= len(suggested.said["prompts"]) <= 4
    assert {"title", "message"} == set(suggested.said["prompts"][0])
    assert (suggested.said["channel_id"], suggested.said["thread_ts"]) == (DIRECT, "1764000000.5")

    model.script("Nobody yet.")
    await office.slack.event(office.slack.direct("who cares about old clocks?", thread_ts="1764000000.5"))
    await office.slack.said("Nobody yet.")
    (status,) = office.slack.of("assistant.threads.setStatus")
    (title,) = office.slack.of("assistant.threads.setTitle")
    assert "thinking" in status.said["status"]
    assert title.said["title"] == "who cares about old clocks?"
    assert office.slack.shown()[-1]["thread_ts"] == "1764000000.5"


async def test_a_thread_of_the_panel_that_slack_refuses_is_answered_all_the_same(
    office: Office, model: ScriptedModel
) -> None:
    office.slack.fail = lambda method, said: {"ok": False, "error": "not_allowed"} if "assistant" in method else None
    model.script("Nobody yet.")
    await office.slack.event(office.slack.direct("who?", thread_ts="1764000000.5"))
    await office.slack.said("Nobody yet.")


async def test_the_command_answers_its_caller_alone(office: Office, model: ScriptedModel) -> None:
    model.script("Only for **you**.", "And again.")
    answer = await office.slack.send(
        office.slack.command_body("how did <b> go?".replace("<", "&lt;").replace(">", "&gt;"))
    )
    assert answer.status_code == 200
    assert "how did &lt;b&gt; go?" in answer.text
    reply = await office.slack.said("Only for *you*.")
    assert (reply.method, reply.said["response_type"]) == ("response_url", "ephemeral")
    assert not office.slack.shown()
    await office.slack.send(office.slack.command_body("and again", user=CY))
    await office.slack.said("And again.")
    assert len(await office.rows("SELECT 1 FROM conversations")) == 2, "what one person sees is no conversation of two"


async def test_a_command_without_words_helps(planner: Office) -> None:
    await planner.slack.send(planner.slack.command_body(""))
    reply = await planner.slack.said("campaign")
    assert reply.method == "response_url"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/x", "http://169.254.169.254/latest/meta-data", "http://hooks.slack.com/x", "file:///etc/passwd",
     "https://hooks.slack.com.evil.example/x", "https://hooks.slack.com@evil.example/x", ""],
)  # fmt: skip
async def test_answers_go_to_slack_and_nowhere_else(
    office: Office, model: ScriptedModel, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when somebody who has the signing secret says otherwise."""
    model.script("A secret.")
    await office.slack.send(office.slack.command_body("tell me", response_url=url))
    if url:
        await office.slack.until(lambda: "of another host than Slack's" in caplog.text)
    assert not office.slack.of("response_url")


async def test_a_question_before_a_write_is_answered_by_its_button(planner: Office) -> None:
    slack = planner.slack
    await slack.event(slack.mention("create Harvest Fair about 10% off oak furniture"))
    question = await slack.said("This would be done:")
    assert set(question.buttons()) == {"yes", "no"}
    assert not await planner.rows("SELECT 1 FROM campaigns")
    await slack.press(slack.message_of(question), question.buttons()["yes"])
    await slack.said("Created the campaign")
    assert await planner.rows("SELECT name FROM campaigns") == [("Harvest Fair",)]
    replaced = next(message for message in slack.shown() if message["ts"] == question.said["ts"])
    assert replaced["text"] == "_Yes, said Ada (Slack)._"
    assert not replaced["blocks"]

    await slack.press(slack.message_of(question), question.buttons()["yes"])
    await slack.said("This question is over")
    assert len(await planner.rows("SELECT name FROM campaigns")) == 1


@pytest.mark.parametrize(("word", "made"), [("yes", 1), ("No.", 0)])
async def test_a_question_before_a_write_is_answered_in_words(planner: Office, word: str, made: int) -> None:
    slack = planner.slack
    await slack.event(slack.direct("create Harvest Fair about 10% off oak furniture"))
    await slack.said("This would be done:")
    before = len(slack.shown())
    await slack.event(slack.direct(word))
    await slack.until(lambda: len(slack.shown()) > before and "Thinking" not in slack.shown()[-1]["text"])
    await asyncio.sleep(0.2)
    assert len(await planner.rows("SELECT 1 FROM campaigns")) == made


async def test_the_button_of_an_older_question_answers_nothing(planner: Office) -> None:
    slack = planner.slack
    await slack.event(slack.direct("create Harvest Fair about 10% off oak furniture"))
    first = await slack.said("This would be done:")
    await slack.event(slack.direct("create Spring Sale about tulips"))
    await slack.said("This would be done:", times=2)
    await slack.press(slack.message_of(first), first.buttons()["yes"])
    await slack.said("This question is over")
    assert not await planner.rows("SELECT 1 FROM campaigns")


async def test_a_viewers_yes_to_an_editors_question_writes_nothing(planner: Office) -> None:
    slack = planner.slack
    event = slack.mention("create Harvest Fair about 10% off oak furniture", user=CY)
    await slack.event(event)
    question = await slack.said("This would be done:")
    await slack.press(slack.message_of(question), question.buttons()["yes"], user=BO)
    await slack.said("Your role is viewer")
    assert not await planner.rows("SELECT 1 FROM campaigns")


async def test_slacks_limits_and_errors_do_not_lose_the_answer(office: Office, model: ScriptedModel) -> None:
    left = {"chat.postMessage": 1, "chat.update": 2}

    def fail(method: str, said: dict[str, Any]) -> dict[str, Any] | None:
        if left.get(method):
            left[method] -= 1
            return {"ok": False, "error": "ratelimited" if method == "chat.postMessage" else "message_not_found"}
        return None

    office.slack.fail = fail
    model.script(Answer(text="It came through.", delay=3))
    await office.slack.event(office.slack.mention("hello"))
    await office.slack.said("It came through.")


async def test_files_alone_are_refused_in_words(office: Office) -> None:
    await office.slack.event(office.slack.direct("", subtype="file_share", files=[{"id": "F1"}]))
    await office.slack.said("Files are not read here")


async def test_a_model_that_fails_is_said_and_the_thread_goes_on(office: Office, model: ScriptedModel) -> None:
    model.script(Answer(status=401, error="no"), "Better now.")
    event = office.slack.mention("hello")
    await office.slack.event(event)
    await office.slack.said("⚠ ")
    await office.slack.event(office.slack.mention("again", thread_ts=event["ts"]))
    await office.slack.said("Better now.")


async def test_socket_mode_brings_the_same_and_acknowledges_at_once(ctx: Context, model: ScriptedModel) -> None:
    async with fake_slack() as slack:
        settings = slack_settings(slack, model, SLACK_APP_TOKEN=APP_TOKEN, SLACK_SIGNING_SECRET="")
        async with opened(ctx, slack, settings) as office:
            await slack.until(lambda: slack.sockets)
            model.script(Answer(text="By the socket.", delay=1.5))
            body = json.loads(slack.event_body(slack.mention("hello")))
            envelope = {"type": "events_api", "envelope_id": "E1", "payload": body, "accepts_response_payload": False}
            began = time.monotonic()
            for _ in range(2):
                await slack.sockets[0].send_json(envelope)
            await slack.until(lambda: len(slack.acknowledged) == 2)
            assert time.monotonic() - began < 1.4
            assert slack.acknowledged[0]["envelope_id"] == "E1"
            await slack.said("By the socket.")
            assert len(model.requests) == 1
            assert (await slack.event(slack.mention("over HTTP"))).status_code == 404, (
                "there is no secret to know it by"
            )
            assert office.ctx is ctx
