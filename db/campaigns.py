"""Campaigns and their recipients: one typed function a query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from pgvector import HalfVector
from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql

# The life of a campaign: where it may go from where it is. `move` is the only way.
TRANSITIONS: dict[str, frozenset[str]] = {
    "draft": frozenset({"scheduled", "cancelled"}),
    "scheduled": frozenset({"draft", "sending", "paused", "cancelled"}),
    "sending": frozenset({"sent", "paused", "cancelled", "failed"}),
    "paused": frozenset({"scheduled", "sending", "cancelled"}),
    "sent": frozenset({"completed"}),
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
class RecipientRow:
    contact_id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    left_out: str | None
    """Why this contact would get no mail; None for a recipient."""


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
    return (await db.execute(sql("campaigns", "add_contacts"), parameters)).rowcount


async def remove_contacts(db: Connection, tenant: UUID, campaign_id: UUID, contacts: list[UUID]) -> int:
    """Remove those that are there; return how many that were."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "contacts": contacts}
    return (await db.execute(sql("campaigns", "remove_contacts"), parameters)).rowcount


async def recipients(db: Connection, tenant: UUID, campaign_id: UUID) -> list[RecipientRow]:
    """Every contact of the campaign, in a stable order, with why they would be left out."""
    return await _rows(db, RecipientRow, "recipients", {"tenant": tenant, "campaign_id": campaign_id})


async def counts(db: Connection, tenant: UUID, campaign_id: UUID) -> tuple[int, int]:
    """(contacts in the campaign, mails sent)."""
    cursor = await db.execute(sql("campaigns", "counts"), {"tenant": tenant, "campaign_id": campaign_id})
    row = await cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None


async def _rows(db: Connection, row: type[Row], name: str, parameters: dict[str, Any]) -> list[Row]:
    async with db.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql("campaigns", name), parameters)
        return await cursor.fetchall()
