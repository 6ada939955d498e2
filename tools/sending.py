"""Sending: a campaign, a test mail, and taking a campaign back. Nothing here mails; it asks a person."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field

from db import approvals as approval_rows
from db import campaigns, emails, tenants
from db.approvals import ApprovalRow
from db.campaigns import CampaignRow, RecipientRow
from db.emails import EmailRow
from db.pool import Connection
from tools import approvals
from tools.approvals import ApprovalAsked, Card
from tools.base import Arguments, Context, Result, Text, tool
from tools.campaigns import find_campaign
from tools.dates import in_words, read_moment
from tools.errors import CampaignClosed, NoEmail, NoRecipients, PastTime, SendingHalted, TooManyRecipients
from tools.fields import CampaignName, Email, checked_email

SENDABLE = frozenset({"draft", "scheduled", "paused", "failed"})

# How much of a mail the card shows; a person who wants all asks for a preview.
CARD_PREVIEW = 1_200


class SendCampaign(Arguments):
    campaign: CampaignName
    send_at: Annotated[Text, Field(max_length=60, description="Time like 2026-12-05T09:00+01:00.")] | None = None


@tool(effect="send")
async def send_campaign(args: SendCampaign, ctx: Context) -> ApprovalAsked:
    """Ask to send a campaign, now or at `send_at`. A person must approve it: this only writes the request."""
    send_at = read_moment(args.send_at, ctx.tenant.zone) if args.send_at else None
    if send_at is not None and send_at <= ctx.now():
        raise PastTime(time=in_words(send_at, ctx.tenant.zone))
    async with ctx.transaction() as db:
        row = await find_campaign(db, ctx, args.campaign)
        ctx.about(row.campaign_id)
        plan = await _plan(db, ctx, row, send_at)
        plan.check()
        return await approvals.ask(
            db, ctx, action="send_campaign", fingerprint=plan.fingerprint(), card=plan.card(ctx),
            campaign_id=row.campaign_id, recipient_count=len(plan.going),
            arguments={"send_at": send_at.isoformat() if send_at else None},
        )  # fmt: skip


class SendTestEmail(Arguments):
    campaign: CampaignName
    to: Email


@tool(effect="send")
async def send_test_email(args: SendTestEmail, ctx: Context) -> ApprovalAsked:
    """Ask to send the campaign's mail to one address as a test, marked [TEST]. A person must approve it."""
    to, hint = checked_email(args.to)
    async with ctx.transaction() as db:
        row = await find_campaign(db, ctx, args.campaign)
        ctx.about(row.campaign_id)
        templates = await emails.templates(db, ctx.tenant.id, row.campaign_id)
        if not templates:
            raise NoEmail(name=row.name)
        card = Card(
            title=f"Send a test of {row.name} to {to}?",
            facts={"Subject": f"[TEST] {templates[0].subject}"},
            warnings=[hint] if hint else [],
            preview=templates[0].body[:CARD_PREVIEW],
        )
        return await approvals.ask(
            db, ctx, action="send_test_email", fingerprint=_test_fingerprint(to, templates), card=card,
            campaign_id=row.campaign_id, recipient_count=1, arguments={"to": to},
        )  # fmt: skip


class CancelCampaign(Arguments):
    campaign: CampaignName


class Cancelled(Result):
    campaign: str
    campaign_id: UUID
    was: str
    withdrawn: int
    """How many open approval requests were withdrawn with it."""

    def text(self) -> str:
        requests = f" {self.withdrawn} open approval request withdrawn." if self.withdrawn else ""
        return f"Cancelled {self.campaign} (it was {self.was}). Nobody will be mailed.{requests}"


@tool(effect="write")
async def cancel_campaign(args: CancelCampaign, ctx: Context) -> Cancelled:
    """Cancel a campaign that has not been sent: it is never mailed, and open approval requests are withdrawn."""
    async with ctx.transaction() as db:
        found = await find_campaign(db, ctx, args.campaign)
        row = await campaigns.find_for_change(db, ctx.tenant.id, found.campaign_id)
        assert row is not None, "it was found in this transaction"
        ctx.about(row.campaign_id)
        if not await campaigns.move(db, ctx.tenant.id, row.campaign_id, "cancelled", at=ctx.now()):
            raise CampaignClosed(name=row.name, status=row.status, hint="There is nothing left to cancel.")
        withdrawn = await approval_rows.withdraw_of_campaign(db, ctx.tenant.id, row.campaign_id, ctx.now())
    return Cancelled(campaign=row.name, campaign_id=row.campaign_id, was=row.status, withdrawn=withdrawn)


class _Plan:
    """Exactly what sending a campaign would do, worked out from the rows of one transaction."""

    def __init__(
        self, campaign: CampaignRow, mails: list[EmailRow], people: list[RecipientRow], tenant: tenants.TenantRow,
        send_at: datetime | None,
    ) -> None:  # fmt: skip
        self.campaign, self.mails, self.tenant, self.send_at = campaign, mails, tenant, send_at
        self.going = [person for person in people if person.left_out is None]
        self.left_out = Counter(person.left_out for person in people if person.left_out is not None)

    def check(self) -> None:
        """Raise the `ToolError` that says why this can't be asked for."""
        if self.campaign.status not in SENDABLE:
            raise CampaignClosed(name=self.campaign.name, status=self.campaign.status, hint="It can't be sent again.")
        if self.tenant.halted_at is not None:
            raise SendingHalted(since=in_words(self.tenant.halted_at, ZoneInfo(self.tenant.time_zone)))
        if not any(mail.contact_id is None for mail in self.mails):
            raise NoEmail(name=self.campaign.name)
        if not self.going:
            why = f" ({_reasons(self.left_out)} left out)" if self.left_out else ""
            raise NoRecipients(name=self.campaign.name, why=why)
        if len(self.going) > self.tenant.send_cap:
            raise TooManyRecipients(name=self.campaign.name, count=len(self.going), cap=self.tenant.send_cap)

    def fingerprint(self) -> str:
        """SHA-256 over recipients, every mail, sender and time: one byte more or less is another fingerprint."""
        whole: dict[str, Any] = {
            "campaign": str(self.campaign.campaign_id),
            "recipients": [[str(person.contact_id), person.email] for person in self.going],
            "mails": [[str(mail.email_id), mail.variant, mail.subject, mail.body] for mail in self.mails],
            "sender": [self.tenant.sender_name, self.tenant.sender_email],
            "send_at": self.send_at.timestamp() if self.send_at else None,
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def card(self, ctx: Context) -> Card:
        mail = next(mail for mail in self.mails if mail.contact_id is None)
        facts = {
            "Subject": mail.subject,
            "Recipients": f"{len(self.going):,}",
            "When": in_words(self.send_at, ctx.tenant.zone) if self.send_at else "as soon as it is approved",
        }
        if self.left_out:
            facts["Left out"] = _reasons(self.left_out)
        personal = sum(1 for mail in self.mails if mail.contact_id is not None)
        if personal:
            facts["With a text of their own"] = f"{personal:,}"
        unknown = sorted({claim for mail in self.mails for claim in mail.unknown_claims})
        warnings = [f"Nothing known backs this up: {claim}" for claim in unknown[:10]]
        return Card(
            title=f"Send {self.campaign.name} to {len(self.going):,} people?", facts=facts, warnings=warnings,
            preview=mail.body[:CARD_PREVIEW],
        )  # fmt: skip


async def _plan(db: Connection, ctx: Context, row: CampaignRow, send_at: datetime | None) -> _Plan:
    tenant = await tenants.find(db, ctx.tenant.id)
    assert tenant is not None, "the transaction's tenant is there"
    mails = await emails.all_of(db, ctx.tenant.id, row.campaign_id)
    people = await campaigns.recipients(db, ctx.tenant.id, row.campaign_id)
    return _Plan(row, mails, people, tenant, send_at)


def _asked_time(request: ApprovalRow) -> datetime | None:
    text = request.arguments.get("send_at")
    return datetime.fromisoformat(text) if text else None


async def _send_fingerprint(db: Connection, ctx: Context, request: ApprovalRow) -> str | None:
    row = await campaigns.find_for_change(db, ctx.tenant.id, request.campaign_id) if request.campaign_id else None
    if row is None:
        return None
    plan = await _plan(db, ctx, row, _asked_time(request))
    plan.check()
    return plan.fingerprint()


async def _schedule(db: Connection, ctx: Context, request: ApprovalRow) -> str:
    assert request.campaign_id is not None
    send_at = max(_asked_time(request) or ctx.now(), ctx.now())
    row = await campaigns.find(db, ctx.tenant.id, request.campaign_id)
    assert row is not None, "the fingerprint was compared in this transaction"
    if row.status == "scheduled":
        # A new approval replaces the schedule of the one before.
        await campaigns.move(db, ctx.tenant.id, row.campaign_id, "draft", at=ctx.now())
    await campaigns.move(db, ctx.tenant.id, row.campaign_id, "scheduled", at=ctx.now(), send_at=send_at)
    return (
        f"Approved: {row.name} is scheduled for {in_words(send_at, ctx.tenant.zone)}, "
        f"{request.recipient_count:,} recipients. This version keeps the schedule and has no mail server yet, "
        "so nothing leaves."
    )


def _test_fingerprint(to: str, templates: list[EmailRow]) -> str:
    whole = [to, *([mail.subject, mail.body] for mail in templates)]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


async def _test_send_fingerprint(db: Connection, ctx: Context, request: ApprovalRow) -> str | None:
    if request.campaign_id is None:
        return None
    templates = await emails.templates(db, ctx.tenant.id, request.campaign_id)
    return _test_fingerprint(request.arguments["to"], templates) if templates else None


async def _send_test(db: Connection, ctx: Context, request: ApprovalRow) -> str:
    return "Approved. This version has no mail server yet, so the test was not sent; a preview shows the same mail."


approvals.register("send_campaign", effect="send", fingerprint=_send_fingerprint, carry_out=_schedule)
approvals.register("send_test_email", effect="send", fingerprint=_test_send_fingerprint, carry_out=_send_test)


def _reasons(left_out: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
