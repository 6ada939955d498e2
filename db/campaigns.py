"""Campaigns and their recipients: one typed function a query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, TypeVar
from uuid import UUID

from pgvector import HalfVector
from psycopg.rows import class_row

from db import statistics
from db.contacts import Filter
from db.pool import Connection
from db.queries import sql

# The life of a campaign: where it may go from where it is. `move` is the only way.
TRANSITIONS: dict[str, frozenset[str]] = {
    "draft": frozenset({"scheduled", "cancelled"}),
    "scheduled": frozenset({"draft", "sending", "paused", "cancelled"}),
    "sending": frozenset({"sent", "paused", "cancelled", "failed"}),
    "paused": frozenset({"scheduled", "sending", "cancelled"}),
    # Mails that were in flight when a worker died may be sent again, by a person's decision.
    "sent": frozenset({"completed", "sending"}),
    "failed": frozenset({"scheduled", "cancelled"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class CampaignRow:
    campaign_id: UUID
    name: str
    description: str | None
    start_date: date | None
    status: str
    send_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class CountedRow(CampaignRow):
    contact_count: int
    sent_count: int


@dataclass(frozen=True, kw_only=True)
class RecipientsRow:
    """The contacts of a campaign that are alike in whether and why they are left out."""

    left_out: str | None
    """Why these contacts would get no mail; None for the recipients."""
    people: int
    hash: str
    """SHA-256 over their ids and addresses."""


@dataclass(frozen=True, kw_only=True)
class SendingRow:
    """What sending knows of a campaign."""

    campaign_id: UUID
    name: str
    status: str
    send_at: datetime | None
    starts_at: datetime | None
    content_fingerprint: str | None
    on_crash: Literal["park", "resend"]
    why: str | None
    """Why it stopped, or what it waits for; a sentence."""
    tests_variants: bool


Row = TypeVar("Row")


async def add(
    db: Connection, tenant: UUID, *, name: str, description: str | None, start_date: date | None,
    vector: HalfVector | None, model: str | None, at: datetime,
) -> UUID | None:  # fmt: skip
    """Add a draft; None when a campaign has that name already."""
    cursor = await db.execute(
        sql("campaigns", "add"),
        {
            "tenant": tenant, "name": name, "description": description, "start_date": start_date, "vector": vector,
            "model": model, "at": at,
        },
    )  # fmt: skip
    row = await cursor.fetchone()
    return row[0] if row else None


async def update(
    db: Connection,
    tenant: UUID,
    row: CampaignRow,
    *,
    vector: HalfVector | None,
    model: str | None,
    at: datetime,
) -> None:
    """Store name, description and start date. A duplicate name raises psycopg.errors.UniqueViolation."""
    await db.execute(
        sql("campaigns", "update"),
        {
            "tenant": tenant, "id": row.campaign_id, "name": row.name, "description": row.description,
            "start_date": row.start_date, "vector": vector, "model": model, "at": at,
        },
    )  # fmt: skip


async def move(
    db: Connection, tenant: UUID, id: UUID, to: str, *, at: datetime, send_at: datetime | None = None
) -> bool:
    """Change the status, if `TRANSITIONS` allows it from where the campaign is now; say whether it did."""
    come_from = [status for status, next_ones in TRANSITIONS.items() if to in next_ones]
    parameters = {"tenant": tenant, "id": id, "to": to, "from": come_from, "at": at, "send_at": send_at}
    return (await db.execute(sql("campaigns", "move"), parameters)).rowcount == 1


async def find(db: Connection, tenant: UUID, id: UUID) -> CampaignRow | None:
    return _first(await _rows(db, CampaignRow, "find", {"tenant": tenant, "id": id}))


async def find_for_change(db: Connection, tenant: UUID, id: UUID) -> CampaignRow | None:
    """The row, locked until the transaction ends."""
    return _first(await _rows(db, CampaignRow, "find_for_change", {"tenant": tenant, "id": id}))


async def by_name(db: Connection, tenant: UUID, name: str) -> CampaignRow | None:
    return _first(await _rows(db, CampaignRow, "by_name", {"tenant": tenant, "name": name}))


async def like(db: Connection, tenant: UUID, name: str) -> list[CampaignRow]:
    """The five whose names are nearest to `name`, or contain it."""
    part = name.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return await _rows(db, CampaignRow, "like", {"tenant": tenant, "name": name, "part": part})


async def page(
    db: Connection, tenant: UUID, *, status: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> list[CountedRow]:
    """Newest first, those after the given row."""
    after_at, after_id = after or (None, None)
    parameters = {
        "tenant": tenant,
        "status": status,
        "after_at": after_at,
        "after_id": after_id,
        "limit": limit,
    }
    return await _rows(db, CountedRow, "page", parameters)


async def search(
    db: Connection, tenant: UUID, *, query: str, vector: HalfVector, model: str, status: str | None, floor: float,
    offset: int, limit: int,
) -> list[CountedRow]:  # fmt: skip
    """Best first: by meaning of name and description, and by their words."""
    return await _rows(
        db, CountedRow, "search",
        {
            "tenant": tenant, "query": query, "vector": vector, "model": model, "status": status, "floor": floor,
            "offset": offset, "limit": limit,
        },
    )  # fmt: skip


async def names(db: Connection, tenant: UUID, limit: int = 100) -> list[tuple[str, str]]:
    """(name, status), lately changed ones first."""
    cursor = await db.execute(sql("campaigns", "names"), {"tenant": tenant, "limit": limit})
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def add_contacts(db: Connection, tenant: UUID, campaign_id: UUID, contacts: list[UUID], at: datetime) -> int:
    """Add those that are contacts and not there yet; return how many that were."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "contacts": contacts, "at": at}
    added = (await db.execute(sql("campaigns", "add_contacts"), parameters)).rowcount
    await statistics.refresh(db, tenant, "campaign_contacts", written=added)
    return added


async def add_all(db: Connection, tenant: UUID, campaign_id: UUID, which: Filter, at: datetime) -> int:
    """Add everybody whom `which` lets through and who is not there yet; return how many that were. Takes its time."""
    await db.execute("SELECT set_config('statement_timeout', '10min', true)")
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "at": at} | which.parameters()
    added = (await db.execute(sql("campaigns", "add_all"), parameters)).rowcount
    await statistics.refresh(db, tenant, "campaign_contacts", written=added)
    return added


async def remove_all(db: Connection, tenant: UUID, campaign_id: UUID, which: Filter) -> int:
    """Remove everybody whom `which` lets through; return how many that were."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id} | which.parameters()
    return (await db.execute(sql("campaigns", "remove_all"), parameters)).rowcount


async def remove_contacts(db: Connection, tenant: UUID, campaign_id: UUID, contacts: list[UUID]) -> int:
    """Remove those that are there; return how many that were."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "contacts": contacts}
    return (await db.execute(sql("campaigns", "remove_contacts"), parameters)).rowcount


async def recipients(db: Connection, tenant: UUID, campaign_id: UUID) -> list[RecipientsRow]:
    """Who would get the campaign and who would not: one row a reason, with how many and a fingerprint of them."""
    return await _rows(db, RecipientsRow, "recipients", {"tenant": tenant, "campaign_id": campaign_id})


async def schedule(db: Connection, tenant: UUID, id: UUID, *, starts_at: datetime, content: str) -> None:
    """Keep when the first mail may leave, and the fingerprint of the content that was approved."""
    parameters = {"tenant": tenant, "id": id, "starts_at": starts_at, "content": content}
    await db.execute(sql("campaigns", "schedule"), parameters)


async def explain(db: Connection, tenant: UUID, id: UUID, why: str | None) -> None:
    """Keep the sentence that says why the campaign stopped or waits; None when it goes on."""
    await db.execute(sql("campaigns", "explain"), {"tenant": tenant, "id": id, "why": why})


async def choose_on_crash(db: Connection, tenant: UUID, id: UUID, on_crash: Literal["park", "resend"]) -> None:
    """Choose what becomes of mails that are in flight when a worker dies."""
    await db.execute(sql("campaigns", "choose_on_crash"), {"tenant": tenant, "id": id, "on_crash": on_crash})


async def due(db: Connection, tenant: UUID) -> list[UUID]:
    """The scheduled ones whose time has come, by the database's clock."""
    return await _ids(db, "due", {"tenant": tenant})


async def under_way(db: Connection, tenant: UUID) -> list[UUID]:
    """The ones that are being sent."""
    return await _ids(db, "under_way", {"tenant": tenant})


async def finish(db: Connection, tenant: UUID, id: UUID, *, at: datetime) -> bool:
    """Move a campaign that has nothing more to send to `sent`; say whether it was `sending`."""
    if not await move(db, tenant, id, "sent", at=at):
        return False
    await db.execute(sql("campaigns", "done"), {"tenant": tenant, "id": id})
    return True


async def settled(db: Connection, tenant: UUID, after: timedelta) -> list[UUID]:
    """The sent ones whose last mail left longer than `after` ago."""
    return await _ids(db, "settled", {"tenant": tenant, "after": after})


async def sending_facts(db: Connection, tenant: UUID, id: UUID) -> SendingRow | None:
    return _first(await _rows(db, SendingRow, "sending_facts", {"tenant": tenant, "id": id}))


async def counts(db: Connection, tenant: UUID, campaign_id: UUID) -> tuple[int, int]:
    """(contacts in the campaign, mails sent)."""
    cursor = await db.execute(sql("campaigns", "counts"), {"tenant": tenant, "campaign_id": campaign_id})
    row = await cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None


async def _ids(db: Connection, name: str, parameters: dict[str, Any]) -> list[UUID]:
    cursor = await db.execute(sql("campaigns", name), parameters)
    return [row[0] for row in await cursor.fetchall()]


async def _rows(db: Connection, row: type[Row], name: str, parameters: dict[str, Any]) -> list[Row]:
    async with db.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql("campaigns", name), parameters)
        return await cursor.fetchall()
