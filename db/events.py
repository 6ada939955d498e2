"""What came back: opens, clicks, conversions, bounces, complaints, unsubscribes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql


class AnswerRow(NamedTuple):
    """One event of one of the people that were asked for; without an event its fields are None."""

    place: int
    """Which of the people, counted from 0."""
    state: str
    sent_at: datetime | None
    event_id: UUID | None
    kind: str
    at: datetime
    who: str
    reason: str
    url: str | None
    value: Decimal | None
    user_agent: str
    request: str


@dataclass(slots=True, kw_only=True)
class NewEvent:
    """An event to be added."""

    event_id: UUID = field(default_factory=uuid4)
    campaign_id: UUID
    contact_id: UUID | None
    kind: str
    at: datetime
    who: str
    reason: str
    url: str | None = None
    value: Decimal | None = None
    user_agent: str | None = None
    key: str | None = None
    """Two events of a campaign with the same key are one."""
    details: Mapping[str, Any] | None = None


class Judged(NamedTuple):
    """An event's class and reason, as they must be from now on."""

    campaign_id: UUID
    event_id: UUID
    who: str
    reason: str


@dataclass(frozen=True)
class RecipientRow:
    """What one recipient of a campaign did; machines are left out."""

    contact_id: UUID
    state: str
    variant: str
    sent_at: datetime | None
    opens: int
    clicks: int
    conversions: int
    bounced: bool
    complained: bool
    unsubscribed: bool


@dataclass(frozen=True)
class VariantRow:
    """One variant of a campaign: mails, and people who did something; `clicks` counts every click."""

    variant: str
    sent: int
    opened: int
    clicked: int
    converted: int
    unsubscribed: int
    clicks: int


NOBODY = UUID(int=0)

Pairs = Sequence[tuple[UUID, UUID]]
"""Campaign and contact."""


async def lock_erasure(db: Connection, tenant: UUID) -> None:
    """Until this transaction ends nobody writes an event: what is under way comes before it, what is later after it."""
    await db.execute(sql("events", "lock_erasure"), {"tenant": tenant})


async def of_people(db: Connection, tenant: UUID, pairs: Pairs) -> list[AnswerRow]:
    """Everything that these people did with these campaigns. Who was erased, or never addressed, has no row."""
    campaigns, contacts = _columns(pairs)
    parameters = {"tenant": tenant, "campaigns": campaigns, "contacts": contacts}
    cursor = await db.execute(sql("events", "of_people"), parameters)
    return [AnswerRow(*row) for row in await cursor.fetchall()]


async def states(db: Connection, tenant: UUID, pairs: Pairs) -> dict[tuple[UUID, UUID], str]:
    """The ledger's state of each mail, which stays so until the transaction ends."""
    campaigns, contacts = _columns(pairs)
    parameters = {"tenant": tenant, "campaigns": campaigns, "contacts": contacts}
    cursor = await db.execute(sql("events", "states"), parameters)
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def known_keys(
    db: Connection, tenant: UUID, campaigns: Sequence[UUID], keys: Sequence[str]
) -> set[tuple[UUID, str]]:
    """Which of these idempotency keys there are already, with their campaigns."""
    parameters = {"tenant": tenant, "campaigns": list(campaigns), "keys": list(keys)}
    cursor = await db.execute(sql("events", "known_keys"), parameters)
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def add(db: Connection, tenant: UUID, new: Sequence[NewEvent]) -> None:
    """Add events as they are; the roll-up is the caller's part (mail/recording.py)."""
    if not new:
        return
    await db.execute(
        sql("events", "add"),
        {
            "tenant": tenant, "ids": _plain([event.event_id for event in new]),
            "campaigns": _plain([event.campaign_id for event in new]),
            "contacts": _plain([event.contact_id for event in new]), "kinds": _plain([event.kind for event in new]),
            "at": _plain([event.at for event in new]), "classes": _plain([event.who for event in new]),
            "reasons": _quoted([event.reason for event in new]), "urls": _quoted([event.url for event in new]),
            "amounts": _plain([event.value for event in new]),
            "user_agents": _quoted([event.user_agent for event in new]), "keys": _quoted([event.key for event in new]),
            "details": _quoted([json.dumps(event.details) if event.details else "{}" for event in new]),
        },
    )  # fmt: skip


async def note_bounces(
    db: Connection, tenant: UUID, bounces: Sequence[tuple[UUID, UUID, datetime, str, Mapping[str, Any]]]
) -> None:
    """Add bounces of mails that no server took: (campaign, contact, time, reason, details). They are in no roll-up."""
    await add(
        db, tenant,
        [
            NewEvent(
                campaign_id=campaign, contact_id=contact, kind="bounce", at=at, who="machine", reason=reason,
                details=details,
            )
            for campaign, contact, at, reason, details in bounces
        ],
    )  # fmt: skip


async def judge(db: Connection, tenant: UUID, judged: Sequence[Judged]) -> None:
    """Give events another class and reason."""
    if not judged:
        return
    campaigns, ids, classes, reasons = (list(column) for column in zip(*judged, strict=True))
    parameters = {"tenant": tenant, "campaigns": campaigns, "ids": ids, "classes": classes, "reasons": reasons}
    await db.execute(sql("events", "judge"), parameters)


async def judged_campaigns(db: Connection, tenant: UUID, since: datetime | None) -> list[tuple[UUID, str]]:
    """Id and name of the campaigns with opens or clicks since then (None: ever), oldest first."""
    cursor = await db.execute(sql("events", "judged_campaigns"), {"tenant": tenant, "since": since})
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def judged_people(
    db: Connection, tenant: UUID, campaign_id: UUID, *, since: datetime | None, after: UUID, limit: int
) -> list[UUID]:
    """The next people who opened or clicked in the campaign since then, in the order of their ids."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "since": since, "after": after, "limit": limit}
    cursor = await db.execute(sql("events", "judged_people"), parameters)
    return [row[0] for row in await cursor.fetchall()]


async def addresses(
    db: Connection, tenant: UUID, contacts: Sequence[UUID], campaigns: Sequence[UUID]
) -> list[tuple[UUID, str]]:
    """Where these contacts are mailed now, and were by these campaigns."""
    parameters = {"tenant": tenant, "contacts": list(contacts), "campaigns": list(campaigns)}
    cursor = await db.execute(sql("events", "addresses"), parameters)
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def close_contacts(db: Connection, tenant: UUID, contacts: Sequence[UUID], *, status: str, at: datetime) -> None:
    """Give contacts a status that keeps mail from them: bounced, unsubscribed or complained; never a lighter one."""
    parameters = {"tenant": tenant, "contacts": list(contacts), "status": status, "at": at}
    await db.execute(sql("events", "close_contacts"), parameters)


async def delivered_to(db: Connection, tenant: UUID, contact_id: UUID) -> list[UUID]:
    """The campaigns that mailed this contact, latest first."""
    cursor = await db.execute(sql("events", "delivered_to"), {"tenant": tenant, "contact_id": contact_id})
    return [row[0] for row in await cursor.fetchall()]


async def last_mailed(db: Connection, tenant: UUID, email: str) -> tuple[UUID, UUID] | None:
    """The campaign that last went to this address, and whose address it is."""
    cursor = await db.execute(sql("events", "last_mailed"), {"tenant": tenant, "email": email})
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else None


async def last_mailed_since(db: Connection, tenant: UUID, contact_id: UUID, since: datetime) -> tuple[UUID, str] | None:
    """Id and name of the campaign that last went to this contact, if that was since then."""
    parameters = {"tenant": tenant, "contact_id": contact_id, "since": since}
    row = await (await db.execute(sql("events", "last_mailed_since"), parameters)).fetchone()
    return (row[0], row[1]) if row else None


async def of_recipients(
    db: Connection, tenant: UUID, campaign_id: UUID, *, after: UUID = NOBODY, limit: int = 100
) -> list[RecipientRow]:
    """What the next recipients of a campaign did, in the order of their ids."""
    async with db.cursor(row_factory=class_row(RecipientRow)) as cursor:
        parameters = {"tenant": tenant, "campaign_id": campaign_id, "after": after, "limit": limit}
        await cursor.execute(sql("events", "of_recipients"), parameters)
        return await cursor.fetchall()


async def of_variants(db: Connection, tenant: UUID, campaign_id: UUID) -> list[VariantRow]:
    """A campaign's variants side by side, by their letters."""
    async with db.cursor(row_factory=class_row(VariantRow)) as cursor:
        await cursor.execute(sql("events", "of_variants"), {"tenant": tenant, "campaign_id": campaign_id})
        return await cursor.fetchall()


# Arrays are written as Postgres reads them: psycopg adapts a list item by item, which took half of the time that a hit
# needs in this program.


def _plain(values: Sequence[object]) -> str:
    """An array of what has neither quotes nor commas: ids, numbers, times, words of ours."""
    return "{" + ",".join(["NULL" if value is None else f'"{value}"' for value in values]) + "}"


def _quoted(values: Sequence[str | None]) -> str:
    """An array of any texts."""
    texts = ["NULL" if value is None else '"' + _escaped(value) + '"' for value in values]
    return "{" + ",".join(texts) + "}"


@lru_cache(maxsize=1024)
def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _columns(pairs: Pairs) -> tuple[str, str]:
    return _plain([campaign for campaign, _ in pairs]), _plain([contact for _, contact in pairs])
