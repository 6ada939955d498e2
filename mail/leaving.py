"""Who must not be mailed any more: unsubscribed, bounced, complained. For every campaign, at once and for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from db import deliveries, events
from db.pool import Connection
from mail.classify import Verdict
from mail.recording import Hit, record

NO_CAMPAIGN = UUID(int=0)
"""For somebody who leaves without having been mailed."""

Why = Literal["unsubscribed", "bounced", "complained"]


async def close(
    db: Connection, tenant: UUID, pairs: Sequence[tuple[UUID, UUID]], *, why: Why, source: str, at: datetime
) -> int:
    """Never mail these people again, told by their mails (campaign, contact).

    Their addresses are suppressed, as they are now and as they were when the mail went out, which skips mails that have
    not begun (db/deliveries.suppress); their contacts say why. It waits for a worker that is about to begin one.
    Returns how many mails were skipped.
    """
    contacts = list({contact for _, contact in pairs})
    campaigns = list({campaign for campaign, _ in pairs})
    skipped = 0
    for _, address in await events.addresses(db, tenant, contacts, campaigns):
        skipped += await deliveries.suppress(db, tenant, address, reason=why, source=source, at=at)
    await events.close_contacts(db, tenant, contacts, status=why, at=at)
    return skipped


async def unsubscribe(
    db: Connection, tenant: UUID, campaign: UUID, contact: UUID, *, how: Literal["one_click", "page", "by_hand"],
    at: datetime, user_agent: str = "",
) -> int:  # fmt: skip
    """Somebody asked for no more mail: kept, counted once, and true when the transaction is committed. Returns how many
    mails were skipped."""
    hit = Hit(
        campaign=campaign, contact=contact, kind="unsubscribe", at=at, user_agent=user_agent,
        key=f"unsubscribe {contact}", verdict=Verdict("human", how),
    )  # fmt: skip
    # The ledger first: a worker locks its rows and then the figures, and of two orders one would have to give way.
    skipped = await close(db, tenant, [(campaign, contact)], why="unsubscribed", source=how, at=at)
    await record(db, tenant, [hit])
    return skipped
