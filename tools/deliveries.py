"""What a person may do to a campaign on its way: pause it, go on, and decide about mails in doubt.

Not tools: no model calls them, the doors do, for a person. Each is recorded in the audit log.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from db import analytics, campaigns, deliveries
from db.campaigns import CampaignRow
from db.pool import Connection
from mail import start
from tools.base import Context, Effect, Result, allowed, recorded_as
from tools.campaigns import find_campaign
from tools.errors import CampaignClosed, ChangedSinceApproval, NotPaused
from tools.lists import page_of, read_ids, write_cursor


class Settled(Result):
    """What was done, as a sentence."""

    campaign: str
    outcome: str

    def text(self) -> str:
        return self.outcome


class Delivery(Result):
    """One mail of a campaign. Times are UTC."""

    campaign_id: UUID
    campaign: str
    contact_id: UUID
    address: str
    variant: str
    state: deliveries.State
    reason: str | None
    attempts: int
    next_attempt_at: datetime
    smtp_code: int | None
    message_id: str | None
    sent_at: datetime | None

    def text(self) -> str:
        return f"{self.campaign} to {self.address or 'somebody who was erased'}: {self.state}"


class DeliveryList(Result):
    deliveries: list[Delivery]
    next_cursor: str | None = None

    def text(self) -> str:
        return "\n".join(f"- {each.text()}" for each in self.deliveries) or "There are no such mails."


async def listed(
    ctx: Context, *, campaign: str | None = None, state: deliveries.State | None = None, cursor: str | None = None,
    limit: int = 20,
) -> DeliveryList:  # fmt: skip
    """The ledger, page by page. Raises `NoSuchCampaign`, `UnclearCampaign` or `BadCursor`."""
    allowed(ctx.actor.role, "read", "to list deliveries")
    after = read_ids(cursor)
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        id = (await find_campaign(db, ctx, campaign)).campaign_id if campaign is not None else None
        rows = await deliveries.page(db, ctx.tenant.id, campaign_id=id, state=state, after=after, limit=limit + 1)
    shown, more = page_of(rows, limit)
    last = write_cursor(str(shown[-1].campaign_id), str(shown[-1].contact_id)) if more else None
    return DeliveryList(
        deliveries=[Delivery.model_validate(row, from_attributes=True) for row in shown], next_cursor=last
    )


async def pause(campaign: str, ctx: Context) -> Settled:
    """Stop a scheduled or half-sent campaign. Raises `CampaignClosed` when it is neither."""
    ctx = _as("pause_campaign", "write", ctx)
    async with ctx.transaction() as db:
        row = await _locked(db, ctx, campaign)
        if not await campaigns.move(db, ctx.tenant.id, row.campaign_id, "paused", at=ctx.now()):
            raise CampaignClosed(name=row.name, status=row.status, hint="Only what is on its way can be paused.")
        await campaigns.explain(db, ctx.tenant.id, row.campaign_id, f"Paused by {ctx.actor.name}.")
    return Settled(
        campaign=row.name,
        outcome=f"Paused {row.name} (it was {row.status}). Mails that are in flight end; nothing else leaves.",
    )


async def resume(campaign: str, ctx: Context) -> Settled:
    """Go on with a paused campaign. Raises `NotPaused`, or `ChangedSinceApproval` when it needs a new approval."""
    ctx = _as("resume_campaign", "send", ctx)
    async with ctx.transaction() as db:
        row = await _locked(db, ctx, campaign)
        if row.status != "paused":
            raise NotPaused(name=row.name, status=row.status)
        difference = await start.difference_to_approved(db, ctx.tenant.id, row.campaign_id)
        if difference:
            raise ChangedSinceApproval(name=row.name, difference=difference)
        await campaigns.move(db, ctx.tenant.id, row.campaign_id, "scheduled", at=ctx.now())
        await campaigns.explain(db, ctx.tenant.id, row.campaign_id, None)
    return Settled(campaign=row.name, outcome=f"{row.name} goes on as it was approved.")


async def choose_on_crash(campaign: str, choice: Literal["park", "resend"], ctx: Context) -> Settled:
    """Choose what becomes of the campaign's mails that are in flight when a worker dies."""
    ctx = _as("choose_on_crash", "write", ctx)
    async with ctx.transaction() as db:
        row = await _locked(db, ctx, campaign)
        await campaigns.choose_on_crash(db, ctx.tenant.id, row.campaign_id, choice)
    what = "are sent again, so a few people may get it twice" if choice == "resend" else "wait for a person's decision"
    return Settled(campaign=row.name, outcome=f"{row.name}: mails that are in flight when a worker dies {what}.")


async def in_doubt(campaign: str, ctx: Context) -> Settled:
    """How many mails were in flight when a worker died."""
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        row = await find_campaign(db, ctx, campaign)
        count = await deliveries.count_unknown(db, ctx.tenant.id, row.campaign_id)
    if not count:
        return Settled(campaign=row.name, outcome=f"No mail of {row.name} is in doubt.")
    return Settled(campaign=row.name, outcome=start.about_unknown(count, row.name))


async def settle(campaign: str, ctx: Context, *, resend: bool) -> Settled:
    """Send mails in doubt again, or take them as sent."""
    ctx = _as("settle_unknown", "send" if resend else "write", ctx)
    async with ctx.transaction() as db:
        row = await _locked(db, ctx, campaign)
        if resend and row.status not in ("sent", "sending", "paused"):
            raise CampaignClosed(name=row.name, status=row.status, hint="Nothing of it is sent again.")
        rows = await deliveries.settle_unknown(
            db, ctx.tenant.id, row.campaign_id, "ready" if resend else "sent",
            reason="sent again by a person's decision" if resend else "taken as sent by a person's decision",
            at=ctx.now(),
        )  # fmt: skip
        await campaigns.explain(db, ctx.tenant.id, row.campaign_id, None)
        if resend and rows and row.status == "sent":
            await campaigns.move(db, ctx.tenant.id, row.campaign_id, "sending", at=ctx.now())
        sent = [(each.campaign_id, each.contact_id, each.sent_at) for each in rows if each.sent_at]
        await analytics.count_sent(db, ctx.tenant.id, sent)
    done = "are sent again" if resend else "count as sent"
    return Settled(campaign=row.name, outcome=f"{len(rows):,} mails of {row.name} {done}.")


def _as(name: str, effect: Effect, ctx: Context) -> Context:
    allowed(ctx.actor.role, effect, name)
    return recorded_as(name, effect, ctx)


async def _locked(db: Connection, ctx: Context, campaign: str) -> CampaignRow:
    found = await find_campaign(db, ctx, campaign)
    row = await campaigns.find_for_change(db, ctx.tenant.id, found.campaign_id)
    assert row is not None, "it was found in this transaction"
    ctx.about(row.campaign_id)
    return row
