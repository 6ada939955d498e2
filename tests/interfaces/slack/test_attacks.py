"""Calls of /slack/events that are not Slack's, come too late or twice, or carry what would act in Slack."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from evals.scripted_model import ScriptedModel, call
from interfaces.slack.mrkdwn import escape, from_markdown, plain, split
from tests.interfaces.slack.conftest import Office
from tests.interfaces.slack.fake_slack import CHANNEL, SECRET, FakeSlack, signature
from tools import BY_NAME

TIME, SIGN = "X-Slack-Request-Timestamp", "X-Slack-Signature"

Headers = dict[str, str | bytes]


def signed(body: bytes, at: float | None = None, **more: str | bytes) -> Headers:
    made: Headers = dict(signature(body, time.time() if at is None else at))
    return made | {name.replace("_", "-"): value for name, value in more.items()}


def forged(body: bytes) -> dict[str, tuple[bytes, Headers]]:
    """Calls as somebody without the secret, or with an old recording, could make them: (body, headers)."""
    now = time.time()
    good = signature(body, now)
    older, newer = signature(body, now - 301), signature(body, now + 310)
    return {
        "nothing at all": (body, {}),
        "no signature": (body, {TIME: good[TIME]}),
        "no time": (body, {SIGN: good[SIGN]}),
        "another secret": (body, dict(signature(body, now, SECRET[::-1]))),
        "an empty secret": (body, dict(signature(body, now, ""))),
        "the secret that stands for none": (body, dict(signature(body, now, "none"))),
        "altered body": (body.replace(b"hello", b"jello"), dict(good)),
        "one more byte": (body + b" ", dict(good)),
        "one byte less": (body[:-1], dict(good)),
        "no body": (b"", dict(good)),
        "signature of no body": (body, dict(signature(b"", now))),
        "stale": (body, dict(older)),
        "from the future": (body, dict(newer)),
        "stale, with a new time": (body, {TIME: good[TIME], SIGN: older[SIGN]}),
        "a time that is no number": (body, {TIME: "yesterday", SIGN: good[SIGN]}),
        "a negative time": (body, {TIME: "-1", SIGN: good[SIGN]}),
        "an endless time": (body, {TIME: "9" * 5_000, SIGN: good[SIGN]}),
        "a time in other digits": (body, {TIME: "١٧٦٤".encode(), SIGN: good[SIGN]}),
        "another version": (body, {TIME: good[TIME], SIGN: good[SIGN].replace("v0=", "v1=")}),
        "no version": (body, {TIME: good[TIME], SIGN: good[SIGN].removeprefix("v0=")}),
        "in capitals": (body, {TIME: good[TIME], SIGN: "v0=" + good[SIGN][3:].upper()}),
        "cut": (body, {TIME: good[TIME], SIGN: good[SIGN][:-1]}),
        "of no letters": (body, {TIME: good[TIME], SIGN: b"v0=" + "é".encode() * 32}),
        "body of no text": (b"\xff\xfe" + body, signed(b"\xff\xfe" + body)),
        "a check of certificates that carries more": (b"ssl_check=1&payload=" + body, {}),
        "an address to verify, unsigned": (b'{"type":"url_verification","challenge":"abc"}', {}),
        "half a body, unsigned": (body[: len(body) // 2], {}),
        "a retry, unsigned": (body, {"X-Slack-Retry-Num": "1"}),
        "an API key of ours": (body, {"Authorization": "Bearer sck_" + "A" * 86}),
    }


async def send(office: Office, body: bytes, headers: Headers) -> httpx.Response:
    assert office.slack.app is not None
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers.items()]
    return await office.slack.app.post(
        "/slack/events", content=body, headers=[(b"Content-Type", b"application/json"), *raw]
    )


async def test_what_slack_did_not_sign_is_refused(office: Office, model: ScriptedModel) -> None:
    tried = forged(office.slack.event_body(office.slack.direct("hello")).encode())
    for name, (body, headers) in tried.items():
        answer = await send(office, body, headers)
        assert answer.status_code == 401, name
        assert "hello" not in answer.text
        assert "abc" not in answer.text
    assert len(tried) >= 25
    await asyncio.sleep(0.3)
    assert not model.requests
    assert not office.slack.of("chat.postMessage", "chat.postEphemeral")
    assert not await office.rows("SELECT 1 FROM heard_messages")


async def test_slacks_own_checks_are_answered(office: Office) -> None:
    answer = await office.slack.send('{"type":"url_verification","challenge":"abc","token":"x"}')
    assert (answer.status_code, answer.json()) == (200, {"challenge": "abc"})


REPLAYS: dict[str, Callable[[FakeSlack], str]] = {
    "mention": lambda slack: slack.event_body(slack.mention("hello")),
    "direct": lambda slack: slack.event_body(slack.direct("hello")),
    "command": lambda slack: slack.command_body("hello"),
}


@pytest.mark.parametrize("kind", REPLAYS)
async def test_a_replay_inside_five_minutes_has_no_second_effect(
    office: Office, model: ScriptedModel, kind: str
) -> None:
    model.script("Once.", "Twice!", "Thrice!")
    body = REPLAYS[kind](office.slack).encode()
    recorded = signature(body, time.time() - 200)
    kind_of = {"Content-Type": "application/json" if body[:1] == b"{" else "application/x-www-form-urlencoded"}
    assert office.slack.app is not None
    for _ in range(4):
        assert (
            await office.slack.app.post("/slack/events", content=body, headers=recorded | kind_of)
        ).status_code == 200
    await office.slack.said("Once.")
    await asyncio.sleep(0.3)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"team_id": "T0OTHER"}, {"team_id": ""}, {"team_id": None},
        {"event": {"user_team": "T0OTHER"}}, {"event": {"team": "T0OTHER"}}, {"event": {"source_team": "T0OTHER"}},
    ],
    ids=str,
)  # fmt: skip
async def test_another_workspaces_people_are_not_answered(
    office: Office, model: ScriptedModel, more: dict[str, Any]
) -> None:
    """Another workspace with the same app, or one that shares a channel with ours."""
    event = office.slack.mention("hello") | more.pop("event", {})
    assert (await office.slack.event(event, **more)).status_code == 200
    await asyncio.sleep(0.3)
    assert not model.requests
    assert not office.slack.of("chat.postMessage", "chat.postEphemeral")


ACTING = (
    "<!channel>", "<!here>", "<!everyone>", "<@U0BO>", "<!subteam^S1|@team>", "<#C1|general>",
    "<https://evil.example|https://bank.example>", "<mailto:x@evil.example|Bank>", "<!date^0^{date}|x>",
    "&lt;!channel&gt;", "<<!channel>>", "<\n!channel>", "`<!channel>`", "```<!channel>```", "**<!here>**", "> <!here>",
    "[<!here>](https://evil.example/<!channel>)", "[Bank](https://evil.example|<!channel>)",
    "| <!here> |\n|---|\n| <@U0BO> |",
    "[x](javascript:alert(1))", "![<!here>](https://evil.example/<!channel>)", "# <!channel>", "1. <!channel>",
    "\u202e<!channel>\u202c", "<!chan\x00nel>", "<script>alert(1)</script>",
)  # fmt: skip


@pytest.mark.parametrize("text", ACTING)
def test_no_text_acts_in_slack(text: str) -> None:
    for shown in (
        from_markdown(text),
        from_markdown(f"before {text} after"),
        escape(text),
        *split(from_markdown(text * 9), 120),
    ):
        for marked in re.findall(r"<([^>]*)>?", shown):
            address, _, label = marked.partition("|")
            assert address.startswith(("http://", "https://", "mailto:")), shown
            assert label in ("", address.removeprefix("mailto:")), "a link shows where it leads"
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00]", shown)


async def test_a_contacts_note_calls_nobody(office: Office, model: ScriptedModel) -> None:
    note = "<!channel> <@U0BO> @here [our bank](https://evil.example/login)"
    await BY_NAME["create_contact"].call(
        {"email": "eve@evil.example", "first_name": "<!here>", "description": note}, office.ctx
    )
    model.script(call("search_contacts", query="eve@evil.example"), f"I found her: {note} ```<!channel>```")
    await office.slack.event(office.slack.mention("who is eve@evil.example?"))
    await office.slack.said("&lt;!here&gt;")
    said = office.slack.of("chat.postMessage", "chat.update")
    assert all("<!" not in each.everything and "<@" not in each.everything for each in said)
    assert all(each.said.get("link_names") in (None, False, "false", "0", 0) for each in said)


async def test_a_campaigns_name_does_not_act_on_its_card(office: Office, model: ScriptedModel) -> None:
    await BY_NAME["create_contact"].call({"email": "eve@evil.example", "first_name": "Eve <!channel>"}, office.ctx)
    model.script(call("delete_contact", contact="eve@evil.example"), "It waits.")
    await office.slack.event(office.slack.mention("erase eve@evil.example"))
    card = await office.slack.said("A person decides, until")
    assert "&lt;!channel&gt;" in card.everything
    assert "<!" not in card.everything
    assert all(block["text"]["verbatim"] is True for block in card.blocks if block["type"] == "section"), (
        "and nothing in it is looked for"
    )


async def test_no_secret_and_no_name_is_logged(
    office: Office, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "smartcampaign")
    await BY_NAME["create_contact"].call({"email": "ada@example.org", "last_name": "Lovelace"}, office.ctx)
    model.script(call("search_contacts", query="ada@example.org"), "I found Lovelace.")
    await office.slack.event(office.slack.mention("who is ada@example.org?"))
    await office.slack.event(office.slack.mention("x"), team_id="T0OTHER")
    await send(office, b'{"text": "ada@example.org"}', {TIME: "1", SIGN: "v0=" + "0" * 64})
    await office.slack.said("I found Lovelace.")
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name == "smartcampaign.slack" or record.levelno >= 30
    )
    for word in ("xoxb-", SECRET, "ada@example.org", "Lovelace", CHANNEL):
        assert word not in ours


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("<@U0BOT> add <mailto:ada@example.org|ada@example.org>", "add ada@example.org"),
        ("see <https://shop.example/a?b=1&amp;c=2|shop.example>", "see https://shop.example/a?b=1&c=2"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("<#C1|general> and <!subteam^S1|@team>", "general and @team"),
        ("ask <@U0BO|bo>", "ask bo"),
        ("<@U0BOT>", ""),
    ],
)
def test_what_people_write_arrives_as_they_wrote_it(sent: str, said: str) -> None:
    assert plain(sent, "U0BOT") == said


def test_pieces_are_short_and_whole() -> None:
    text = from_markdown("```\n" + "a < b && c\n" * 900 + "```\n\n" + "long & " * 2_000 + "\n\n" + "x" * 9_000)
    pieces = split(text, 500)
    assert all(len(piece) <= 500 for piece in pieces)
    assert all(piece.count("```") % 2 == 0 for piece in pieces)
    assert not [piece for piece in pieces if re.search(r"&(?!amp;|lt;|gt;)", piece)], "no escaped sign is cut"
    assert sum(piece.count("a &lt; b &amp;&amp; c") for piece in pieces) == 900
    assert sum(piece.count("x") for piece in pieces) == 9_000
    assert json.dumps(pieces)
