"""Nothing leaves and nothing is erased without a person: the request, its fingerprint, its single use."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from db import campaigns, tenants
from tests.conftest import NOW
from tools import BY_NAME, approvals
from tools.approvals import ApprovalAsked
from tools.base import Actor, Context, Tenant
from tools.errors import (
    ApprovalOutdated,
    ApprovalOver,
    CampaignClosed,
    InvalidArguments,
    NoEmail,
    NoRecipients,
    NoSuchApproval,
    NotAllowed,
    PastTime,
    SendingHalted,
    TooManyRecipients,
)

ADA, GRACE = "ada@example.org", "grace@example.net"


@pytest.fixture
async def fair(ctx: Context) -> Context:
    """A tenant with a campaign that could be sent to two people."""
    for email in (ADA, GRACE):
        await BY_NAME["create_contact"].call({"email": email, "first_name": email[:3].title()}, ctx)
    await BY_NAME["create_campaign"].call({"name": "Harvest Fair", "audience": "everyone"}, ctx)
    await BY_NAME["draft_email"].call({"campaign": "Harvest Fair", "instructions": "10% off oak"}, ctx)
    return ctx


async def ask(ctx: Context, **more: str) -> ApprovalAsked:
    asked = await BY_NAME["send_campaign"].call({"campaign": "Harvest Fair", **more}, ctx)
    assert isinstance(asked, ApprovalAsked)
    return asked


async def status(ctx: Context) -> tuple[str, str | None]:
    detail = await BY_NAME["get_campaign"].call({"campaign": "Harvest Fair"}, ctx)
    return detail.campaign.status, detail.campaign.send_at and detail.campaign.send_at.isoformat()


async def sql(ctx: Context, statement: str) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute(statement.encode())


async def test_asking_changes_nothing_but_the_request(fair: Context) -> None:
    asked = await ask(fair, send_at="2026-11-30T09:00")
    assert await status(fair) == ("draft", None)
    assert asked.card.title == "Send Harvest Fair to 2 people?"
    assert asked.card.facts["When"] == "Mon 30 November 2026, 09:00 (Europe/London)"
    assert [request.approval_id for request in await approvals.waiting(fair)] == [asked.approval_id]


async def test_a_persons_yes_schedules_it_for_the_time_on_the_card(fair: Context) -> None:
    asked = await ask(fair, send_at="2026-11-30T09:00")
    decided = await approvals.decide(asked.short_id, approve=True, ctx=fair)
    assert decided.outcome.startswith("Approved: Harvest Fair is scheduled for Mon 30 November 2026, 09:00")
    assert await status(fair) == ("scheduled", "2026-11-30T09:00:00+00:00")
    assert await approvals.waiting(fair) == []


async def test_a_no_does_nothing_and_ends_the_request(fair: Context) -> None:
    asked = await ask(fair)
    await approvals.decide(asked.short_id, approve=False, ctx=fair)
    assert await status(fair) == ("draft", None)
    with pytest.raises(ApprovalOver, match="rejected"):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)


async def test_an_approval_is_used_once(fair: Context) -> None:
    asked = await ask(fair)
    await approvals.decide(asked.short_id, approve=True, ctx=fair)
    with pytest.raises(ApprovalOver, match="used"):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)


CHANGES: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "a recipient more": ("create_contact", {"email": "eve@example.org"}, "everyone"),
    "a recipient less": ("remove_contacts_from_campaign", {"campaign": "Harvest Fair", "emails": [ADA]}, None),
    "another address": ("update_contact", {"contact": ADA, "email": "ada@example.com"}, None),
    "another text": ("draft_email", {"campaign": "Harvest Fair", "instructions": "20% off oak"}, None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_changed_after_the_card_makes_it_void(fair: Context, change: str) -> None:
    asked = await ask(fair)
    tool, arguments, then_add = CHANGES[change]
    await BY_NAME[tool].call(arguments, fair)
    if then_add:
        await BY_NAME["add_contacts_to_campaign"].call({"campaign": "Harvest Fair", "query": then_add}, fair)
    with pytest.raises(ApprovalOutdated):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)
    assert await status(fair) == ("draft", None)
    with pytest.raises(ApprovalOver, match="withdrawn"):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)


@pytest.mark.parametrize(
    "byte",
    [
        "UPDATE campaign_emails SET body = body || ' '",
        "UPDATE campaign_emails SET subject = upper(subject)",
        "UPDATE contacts SET status = 'unsubscribed' WHERE email = 'ada@example.org'",
        "INSERT INTO suppressions (tenant_id, address_hash, reason)"
        " SELECT tenant_id, suppression_hash(tenant_id, email), 'manual' FROM contacts WHERE email = 'ada@example.org'",
    ],
)
async def test_one_byte_or_one_person_is_enough(fair: Context, byte: str) -> None:
    asked = await ask(fair)
    await sql(fair, byte)
    with pytest.raises(ApprovalOutdated):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)


async def test_another_sender_makes_it_void(fair: Context, database_url: str) -> None:
    asked = await ask(fair)
    tenants.update(database_url, fair.tenant.id, sender_email="someone@example.com")
    with pytest.raises(ApprovalOutdated):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)


async def test_of_two_approvers_at_once_one_is_late(fair: Context) -> None:
    asked = await ask(fair)
    both = await asyncio.gather(
        *(approvals.decide(asked.short_id, approve=True, ctx=fair) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in both) == ["ApprovalOver", "Decided"]


async def test_it_expires_after_a_day(fair: Context) -> None:
    asked = await ask(fair)
    later = dataclasses.replace(fair, now=lambda: NOW + timedelta(hours=24))
    with pytest.raises(ApprovalOver, match="expired"):
        await approvals.decide(asked.short_id, approve=True, ctx=later)
    assert await approvals.waiting(later) == []


async def test_a_new_request_replaces_the_old_one(fair: Context) -> None:
    first, second = await ask(fair), await ask(fair)
    assert [request.approval_id for request in await approvals.waiting(fair)] == [second.approval_id]
    with pytest.raises(ApprovalOver, match="withdrawn"):
        await approvals.decide(first.short_id, approve=True, ctx=fair)


async def test_cancelling_withdraws_the_request(fair: Context) -> None:
    asked = await ask(fair)
    cancelled = await BY_NAME["cancel_campaign"].call({"campaign": "Harvest Fair"}, fair)
    assert cancelled.withdrawn == 1
    with pytest.raises(ApprovalOver):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)


async def test_a_scheduled_campaign_can_be_cancelled_and_its_name_used_again(fair: Context) -> None:
    await approvals.decide((await ask(fair)).short_id, approve=True, ctx=fair)
    await BY_NAME["cancel_campaign"].call({"campaign": "Harvest Fair"}, fair)
    await BY_NAME["create_campaign"].call({"name": "Harvest Fair"}, fair)
    await BY_NAME["draft_email"].call({"campaign": "Harvest Fair"}, fair)
    with pytest.raises(NoRecipients):
        await ask(fair)


async def test_another_tenant_cannot_decide_nor_see_it(fair: Context, new_tenant: Callable[..., Tenant]) -> None:
    asked = await ask(fair)
    other = dataclasses.replace(fair, tenant=new_tenant())
    for id in (asked.short_id, str(asked.approval_id)):
        with pytest.raises(NoSuchApproval):
            await approvals.decide(id, approve=True, ctx=other)
    assert await approvals.waiting(other) == []


@pytest.mark.parametrize("id", ["", "zz", "%", "____", "'; DROP TABLE approvals", "00000000", "x" * 5000])
async def test_a_wrong_id_is_refused_with_a_sentence(fair: Context, id: str) -> None:
    await ask(fair)
    with pytest.raises(NoSuchApproval) as refused:
        await approvals.decide(id, approve=True, ctx=fair)
    assert len(str(refused.value)) < 200


async def test_who_may_not_send_may_not_approve_but_may_take_back(fair: Context) -> None:
    asked = await ask(fair)
    editor = dataclasses.replace(fair, actor=Actor("Eve", "editor"))
    with pytest.raises(NotAllowed):
        await approvals.decide(asked.short_id, approve=True, ctx=editor)
    await approvals.decide(asked.short_id, approve=False, ctx=editor)


async def test_the_decision_and_what_it_did_are_one_transaction(fair: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = await ask(fair)

    async def broken(*_: object, **__: object) -> bool:
        raise psycopg.OperationalError("the line is cut")

    monkeypatch.setattr(campaigns, "move", broken)
    with pytest.raises(psycopg.OperationalError):
        await approvals.decide(asked.short_id, approve=True, ctx=fair)
    monkeypatch.undo()
    assert await status(fair) == ("draft", None)
    await approvals.decide(asked.short_id, approve=True, ctx=fair)
    assert (await status(fair))[0] == "scheduled"


async def test_who_asked_and_who_decided_is_in_the_log(fair: Context) -> None:
    asked = await ask(fair)
    boss = dataclasses.replace(fair, actor=Actor("Grace", "owner", "web"))
    await approvals.decide(asked.short_id, approve=True, ctx=boss)
    async with fair.database.transaction(fair.tenant.id) as db:
        cursor = await db.execute(
            "SELECT actor, door, tool, outcome FROM audit_log WHERE effect = 'send' ORDER BY tool DESC"
        )
        assert await cursor.fetchall() == [
            ("Robin", "cli", "send_campaign", "done"),
            ("Grace", "web", "approve send_campaign", "done"),
        ]


async def test_what_cannot_be_sent_is_not_asked(ctx: Context, database_url: str) -> None:
    await BY_NAME["create_campaign"].call({"name": "Harvest Fair"}, ctx)
    with pytest.raises(NoEmail):
        await ask(ctx)
    await BY_NAME["draft_email"].call({"campaign": "Harvest Fair"}, ctx)
    with pytest.raises(NoRecipients):
        await ask(ctx)
    await BY_NAME["create_contact"].call({"email": ADA}, ctx)
    await BY_NAME["add_contacts_to_campaign"].call({"campaign": "Harvest Fair", "query": "everyone"}, ctx)
    with pytest.raises(PastTime):
        await ask(ctx, send_at="2026-11-24T09:00")
    with psycopg.connect(database_url) as owner:
        owner.execute("UPDATE tenants SET send_cap = 0 WHERE id = %s", (ctx.tenant.id,))
    with pytest.raises(TooManyRecipients):
        await ask(ctx)
    with psycopg.connect(database_url) as owner:
        owner.execute("UPDATE tenants SET send_cap = 10, halted_at = now() WHERE id = %s", (ctx.tenant.id,))
    with pytest.raises(SendingHalted):
        await ask(ctx)


async def test_who_has_left_is_left_out_and_said(fair: Context) -> None:
    await sql(fair, "UPDATE contacts SET status = 'unsubscribed' WHERE email = 'ada@example.org'")
    asked = await ask(fair)
    assert asked.recipient_count == 1
    assert asked.card.facts["Left out"] == "1 unsubscribed"


async def test_a_sent_campaign_is_not_sent_again(fair: Context) -> None:
    await sql(fair, "UPDATE campaigns SET status = 'sent'")
    with pytest.raises(CampaignClosed):
        await ask(fair)


async def test_a_test_mail_needs_an_address_and_a_person(fair: Context) -> None:
    with pytest.raises(InvalidArguments):
        await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "me"}, fair)
    asked = await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "me@example.org"}, fair)
    assert asked.card.facts["Subject"].startswith("[TEST] ")
    decided = await approvals.decide(asked.short_id, approve=True, ctx=fair)
    assert decided.outcome.startswith("Approved: the test goes to me@example.org.")


async def test_an_erasure_takes_everything_but_a_hash(fair: Context) -> None:
    asked = await BY_NAME["delete_contact"].call({"contact": ADA}, fair)
    await approvals.decide(asked.short_id, approve=True, ctx=fair)
    async with fair.database.transaction(fair.tenant.id) as db:
        cursor = await db.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'tenant_id'"
        )
        for (table,) in await cursor.fetchall():
            # As a word: "ada" also comes up among the digits of an id.
            rows = await db.execute(rf"SELECT count(*) FROM {table} t WHERE t::text ~* '\mada\M'".encode())
            assert await rows.fetchone() == (0,), table
        cursor = await db.execute("SELECT reason FROM suppressions")
        assert await cursor.fetchall() == [("erased",)]
    # Imported again later, the person is still not mailed.
    again = await BY_NAME["create_contact"].call({"email": ADA.upper()}, fair)
    assert again.contact.status == "unsubscribed"
    await BY_NAME["add_contacts_to_campaign"].call({"campaign": "Harvest Fair", "emails": [ADA]}, fair)
    assert (await ask(fair)).card.facts["Left out"] == "1 unsubscribed"
