"""Approvals in Slack: who may press, what the card says then, and what never sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from evals.scripted_model import ScriptedModel, call
from interfaces.slack.cards import Seal
from tests.interfaces.slack.conftest import Office, opened, slack_settings
from tests.interfaces.slack.fake_slack import ADA, BO, BOT, CHANNEL, CY, STRANGER, TOKEN, Body, Call, FakeSlack
from tests.mail.test_send import live, make_campaign
from tools import BY_NAME, approvals, workspaces
from tools.approvals import TIME_TO_DECIDE
from tools.base import Context

__all__ = ["live"]  # a fixture


@pytest.fixture
async def shop(live: Context, slack: FakeSlack, model: ScriptedModel) -> AsyncIterator[Office]:
    """An office with a campaign that could be sent; its clock can be set."""
    await make_campaign(live, 3)
    async with opened(live, slack, slack_settings(slack, model)) as office:
        yield office


async def asked(shop: Office, model: ScriptedModel, user: str = ADA) -> Call:
    """The card, after somebody asked to send."""
    model.script(call("send_campaign", campaign="Harvest Fair"), "It waits for a person.")
    before = len([each for each in shop.slack.of("chat.postMessage") if each.buttons()])
    await shop.slack.event(shop.slack.mention("send Harvest Fair", user=user))
    await shop.slack.until(lambda: len([each for each in shop.slack.of("chat.postMessage") if each.buttons()]) > before)
    return [each for each in shop.slack.of("chat.postMessage") if each.buttons()][-1]


async def states(shop: Office) -> list[tuple[Any, ...]]:
    return await shop.rows("SELECT state, decided_by, decided_via FROM approvals ORDER BY requested_at")


def card_now(shop: Office, card: Call) -> Body:
    return next(message for message in shop.slack.shown() if message["ts"] == card.said["ts"])


async def test_the_card_shows_what_would_leave_and_its_dangerous_button_asks_again(
    shop: Office, model: ScriptedModel
) -> None:
    card = await asked(shop, model)
    assert card.said["channel"] == CHANNEL
    assert card.said["thread_ts"]
    for words in ("Send Harvest Fair to 3 people?", "Recipients", "10% off oak", "A person decides, until"):
        assert words in card.everything
    approve, reject = card.buttons()["approve"], card.buttons()["reject"]
    assert approve["style"] == "danger"
    assert approve["confirm"]["style"] == "danger"
    assert "Send Harvest Fair to 3 people?" in approve["confirm"]["text"]["text"]
    assert "style" not in reject
    assert await states(shop) == [("pending", None, None)]


async def test_who_may_approves_and_the_card_says_who_did(shop: Office, model: ScriptedModel) -> None:
    card = await asked(shop, model)
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"])
    outcome = await shop.slack.said("3 recipients")
    assert outcome.said["thread_ts"] == card.said["thread_ts"]
    assert await states(shop) == [("used", "Ada (Slack)", "slack")]
    assert await shop.rows("SELECT status FROM campaigns") == [("scheduled",)]
    replaced = card_now(shop, card)
    assert "Approved by Ada (Slack)," in json.dumps(replaced["blocks"])
    assert not [block for block in replaced["blocks"] if block["type"] == "actions"]
    await shop.slack.until(lambda: True)
    for _ in range(100):
        notes = await shop.rows("SELECT text FROM messages WHERE role = 'note'")
        if notes:
            break
        await asyncio.sleep(0.05)
    assert "A person approved" in notes[0][0], "the conversation knows of it"


async def test_a_rejection_ends_it(shop: Office, model: ScriptedModel) -> None:
    card = await asked(shop, model)
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["reject"])
    await shop.slack.said("Rejected by Ada (Slack)")
    assert await states(shop) == [("rejected", "Ada (Slack)", "slack")]
    assert await shop.rows("SELECT count(*) FROM deliveries") == [(0,)]


@pytest.mark.parametrize(
    ("user", "action", "told"),
    [
        (BO, "approve", "Your role is viewer"), (BO, "reject", "Your role is viewer"),
        (CY, "approve", "Your role is editor"), (STRANGER, "approve", "You are not known here yet"),
        (STRANGER, "reject", "You are not known here yet"),
    ],
)  # fmt: skip
async def test_who_may_not_decides_nothing_and_the_card_stays(
    shop: Office, model: ScriptedModel, user: str, action: str, told: str
) -> None:
    card = await asked(shop, model)
    await shop.slack.press(shop.slack.message_of(card), card.buttons()[action], user=user)
    refusal = await shop.slack.said(told)
    assert (refusal.method, refusal.said["user"]) == ("chat.postEphemeral", user)
    assert await states(shop) == [("pending", None, None)]
    assert [block for block in card_now(shop, card)["blocks"] if block["type"] == "actions"]


async def test_who_lost_the_right_since_the_card_was_posted_decides_nothing(shop: Office, model: ScriptedModel) -> None:
    card = await asked(shop, model)
    await workspaces.allow(shop.ctx, None, ADA, "editor", "Ada")
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"])
    await shop.slack.said("Your role is editor")
    assert await states(shop) == [("pending", None, None)]


async def test_decided_twice_is_done_once_and_says_who_was_first(shop: Office, model: ScriptedModel) -> None:
    await workspaces.allow(shop.ctx, None, BO, "sender", "Bo")
    card = await asked(shop, model)
    message, approve = shop.slack.message_of(card), card.buttons()["approve"]
    await asyncio.gather(*(shop.slack.press(message, approve, user=user) for user in (ADA, BO, ADA, BO)))
    await shop.slack.said("can't be decided any more", times=3)
    ((state, first, _),) = await states(shop)
    assert state == "used"
    await asyncio.sleep(0.3)
    assert f"Approved by {first}" in json.dumps(card_now(shop, card)["blocks"])
    assert await shop.rows("SELECT count(*) FROM deliveries WHERE state = 'ready'") in ([(3,)], [(0,)])
    assert (
        len(await shop.rows("SELECT 1 FROM audit_log WHERE tool = 'approve send_campaign' AND outcome = 'done'")) == 1
    )


async def test_decided_elsewhere_the_card_says_so(shop: Office, model: ScriptedModel) -> None:
    card = await asked(shop, model)
    (waiting,) = await approvals.waiting(shop.ctx)
    await approvals.decide(str(waiting.approval_id), approve=False, ctx=shop.ctx)
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"])
    await shop.slack.said("Rejected by Robin")
    assert await states(shop) == [("rejected", "Robin", "cli")]


async def test_a_change_after_the_card_ends_it(shop: Office, model: ScriptedModel) -> None:
    card = await asked(shop, model)
    await shop.rows("UPDATE campaign_emails SET subject = subject || '!' RETURNING 1")
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"])
    await shop.slack.said("has changed since it was made")
    await shop.slack.said("Not done: this request is withdrawn")
    assert await shop.rows("SELECT count(*) FROM deliveries") == [(0,)]


async def test_an_expired_card_does_nothing(shop: Office, model: ScriptedModel) -> None:
    card = await asked(shop, model)
    later = shop.ctx.now() + TIME_TO_DECIDE + timedelta(minutes=1)
    shop.house.access.now = lambda: later
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"])
    await shop.slack.said("expired")
    assert await shop.rows("SELECT count(*) FROM deliveries") == [(0,)]


async def test_a_replayed_press_has_no_second_effect(shop: Office, model: ScriptedModel) -> None:
    card = await asked(shop, model, ADA)
    body = shop.slack.press_body(shop.slack.message_of(card), card.buttons()["approve"])
    for _ in range(3):
        assert (await shop.slack.send(body)).status_code == 200
    await shop.slack.said("Approved by Ada (Slack)")
    await asyncio.sleep(0.3)
    assert "any more" not in json.dumps([each.everything for each in shop.slack.calls])


def values(shop: Office, other: Context, own: UUID, theirs: UUID) -> dict[str, str]:
    """Values that a button might have, made by somebody who can do more than Slack's users can."""
    seal, tenant = Seal.of(TOKEN), shop.ctx.tenant.id
    real = seal.value(str(own), tenant, CHANNEL)
    return {
        "without a tag": str(own),
        "the beginning of an id": str(own)[:8],
        "the beginning of an id with a tag": seal.value(str(own)[:8], other.tenant.id, CHANNEL),
        "another's tag": f"{own}.{real.rpartition('.')[2][::-1]}",
        "another id with this tag": f"{theirs}.{real.rpartition('.')[2]}",
        "an id that does not exist": seal.value(str(uuid4()), tenant, CHANNEL),
        "of another channel": seal.value(str(own), tenant, "C0OTHER"),
        "of another tenant": seal.value(str(own), other.tenant.id, CHANNEL),
        "the other tenant's request, sealed for it": seal.value(str(theirs), other.tenant.id, CHANNEL),
        "the other tenant's request, sealed for us": seal.value(str(theirs), tenant, CHANNEL),
        "of another bot token": Seal.of("xoxb-other").value(str(own), tenant, CHANNEL),
        "of another bot token, empty": Seal.of("").value(str(own), tenant, CHANNEL),
        "SQL": f"' OR true --.{real.rpartition('.')[2]}",
        "empty": "",
        "a dot": ".",
        "not ASCII": f"{own}.é",
        "long": "a" * 2_000,
    }


async def test_no_made_up_button_decides_anything(shop: Office, model: ScriptedModel, other: Context) -> None:
    card = await asked(shop, model)
    theirs = replace(other, now=shop.ctx.now)
    await BY_NAME["create_contact"].call({"email": "ada@example.org"}, theirs)
    await BY_NAME["delete_contact"].call({"contact": "ada@example.org"}, theirs)
    (waiting,) = await approvals.waiting(theirs)
    (own,) = await approvals.waiting(shop.ctx)
    message, button = shop.slack.message_of(card), card.buttons()["approve"]
    tried = values(shop, other, own.approval_id, waiting.approval_id)
    for number, value in enumerate(tried.values(), 1):
        refused = ("not one of mine", "No open approval request")
        await shop.slack.press(message, button | {"value": value})
        await shop.slack.until(
            lambda: len([each for each in shop.slack.calls if any(word in each.text for word in refused)]) == number  # noqa: B023
        )
    assert len(tried) >= 15
    assert await states(shop) == [("pending", None, None)]
    assert len(await approvals.waiting(theirs)) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"team": {"id": "T0OTHER"}}, {"user": {"id": ADA, "team_id": "T0OTHER"}}, {"team": None}, {"user": {"id": BOT}},
        {"user": {}}, {"trigger_id": None},
    ],
    ids=str,
)  # fmt: skip
async def test_a_press_from_outside_the_workspace_or_by_nobody_decides_nothing(
    shop: Office, model: ScriptedModel, more: dict[str, Any]
) -> None:
    card = await asked(shop, model)
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"], **more)
    await asyncio.sleep(0.4)
    assert await states(shop) == [("pending", None, None)]


async def test_the_word_approve_decides_nothing(shop: Office, model: ScriptedModel) -> None:
    """What a person writes goes to the model, and a model can't approve."""
    card = await asked(shop, model)
    (waiting,) = await approvals.waiting(shop.ctx)
    model.script("I can't do that.", "Nor that.")
    thread = card.said["thread_ts"]
    await shop.slack.event(shop.slack.mention(f"approve {waiting.approval_id}", thread_ts=thread))
    await shop.slack.event(shop.slack.mention("yes, approve it", thread_ts=thread))
    await shop.slack.said("Nor that.")
    assert await states(shop) == [("pending", None, None)]


async def test_what_waits_can_be_asked_for_and_decided(shop: Office, model: ScriptedModel) -> None:
    await BY_NAME["send_campaign"].call({"campaign": "Harvest Fair"}, shop.ctx)
    await shop.slack.send(shop.slack.command_body("approvals"))
    card = await shop.slack.said("Send Harvest Fair to 3 people?")
    assert card.method == "response_url", "for who asked alone"
    container = {"type": "message", "is_ephemeral": True, "message_ts": "1.1", "channel_id": CHANNEL}
    await shop.slack.press({"channel": CHANNEL}, card.buttons()["approve"], container=container)
    replaced = await shop.slack.said("Approved by Ada (Slack)")
    assert (replaced.method, replaced.said["replace_original"]) == ("response_url", True)
    assert await states(shop) == [("used", "Ada (Slack)", "slack")]
    assert not model.requests


async def test_an_erasure_takes_an_owner(shop: Office, model: ScriptedModel) -> None:
    await workspaces.allow(shop.ctx, None, CY, "sender", "Cy")
    await BY_NAME["create_contact"].call({"email": "ada@example.org"}, shop.ctx)
    model.script(call("delete_contact", contact="ada@example.org"), "It waits.")
    await shop.slack.event(shop.slack.mention("erase ada@example.org"))
    card = await shop.slack.said("A person decides, until")
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"], user=CY)
    await shop.slack.said("Your role is sender")
    assert await shop.rows("SELECT count(*) FROM contacts WHERE email = 'ada@example.org'") == [(1,)]
    await shop.slack.press(shop.slack.message_of(card), card.buttons()["approve"])
    await shop.slack.said("Approved by Ada (Slack)")
    assert await shop.rows("SELECT count(*) FROM contacts WHERE email = 'ada@example.org'") == [(0,)]
