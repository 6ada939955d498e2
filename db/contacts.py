"""Contacts: one typed function a query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector import HalfVector
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True, kw_only=True)
class ContactRow:
    contact_id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    phone_number: str | None
    description: str | None
    status: str
    tags: list[str]
    time_zone: str | None
    created_at: datetime

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)

    @property
    def label(self) -> str:
        """How people are spoken of: name and address, or the address alone."""
        return f"{self.full_name} ({self.email})" if self.full_name else self.email


@dataclass(frozen=True)
class Filter:
    """Which contacts: those with this status, all of these tags, and in this campaign. None: any."""

    status: str | None = None
    tags: list[str] | None = None
    campaign: UUID | None = None

    def parameters(self) -> dict[str, Any]:
        return {"status": self.status, "tags": self.tags, "campaign": self.campaign}


async def add(
    db: Connection, tenant: UUID, *, email: str, first_name: str | None, last_name: str | None,
    phone_number: str | None, description: str | None, tags: list[str], vector: HalfVector | None, model: str | None,
    at: datetime, status: str = "subscribed",
) -> UUID | None:  # fmt: skip
    """Add one contact; None when the address is there already."""
    cursor = await db.execute(
        sql("contacts", "add"),
        {
            "tenant": tenant, "email": email, "first_name": first_name, "last_name": last_name,
            "phone_number": phone_number, "description": description, "tags": tags, "vector": vector, "model": model,
            "at": at, "status": status,
        },
    )  # fmt: skip
    row = await cursor.fetchone()
    return row[0] if row else None


async def update(
    db: Connection,
    tenant: UUID,
    row: ContactRow,
    *,
    vector: HalfVector | None,
    model: str | None,
    at: datetime,
) -> None:
    """Store every field of `row`. A duplicate address raises psycopg.errors.UniqueViolation."""
    await db.execute(
        sql("contacts", "update"),
        {
            "tenant": tenant, "id": row.contact_id, "email": row.email, "first_name": row.first_name,
            "last_name": row.last_name, "phone_number": row.phone_number, "description": row.description,
            "tags": row.tags, "vector": vector, "model": model, "at": at,
        },
    )  # fmt: skip


async def note(db: Connection, tenant: UUID, id: UUID, attributes: dict[str, str], *, at: datetime) -> None:
    """Add to the contact's attributes, over those of the same names."""
    await db.execute(sql("contacts", "note"), {"tenant": tenant, "id": id, "attributes": Jsonb(attributes), "at": at})


async def subscribe(db: Connection, tenant: UUID, id: UUID, *, at: datetime) -> None:
    """Make the contact a subscriber; a suppression of the address still keeps mail from them."""
    await db.execute(sql("contacts", "subscribe"), {"tenant": tenant, "id": id, "at": at})


async def erase(db: Connection, tenant: UUID, id: UUID) -> bool:
    """Delete the row and, by cascade, its places in campaigns and its drafts; say whether it was there."""
    return (await db.execute(sql("contacts", "erase"), {"tenant": tenant, "id": id})).rowcount == 1


async def find(db: Connection, tenant: UUID, id: UUID) -> ContactRow | None:
    return await _one(db, "find", {"tenant": tenant, "id": id})


async def by_email(db: Connection, tenant: UUID, email: str) -> ContactRow | None:
    """By address, in any case."""
    return await _one(db, "by_email", {"tenant": tenant, "email": email})


async def by_emails(db: Connection, tenant: UUID, emails: list[str]) -> list[ContactRow]:
    """Those of the addresses that are contacts, in no order."""
    return await _many(db, "by_emails", {"tenant": tenant, "emails": [email.lower() for email in emails]})


async def by_name(db: Connection, tenant: UUID, name: str) -> list[ContactRow]:
    """By full name, in any case; at most six."""
    return await _many(db, "by_name", {"tenant": tenant, "name": name})


async def like(db: Connection, tenant: UUID, name: str) -> list[ContactRow]:
    """The three whose name or address is nearest to `name`, if any is near."""
    return await _many(db, "like", {"tenant": tenant, "name": name})


async def page(
    db: Connection, tenant: UUID, which: Filter, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[ContactRow]:
    """Newest first, those after the given row."""
    after_at, after_id = after or (None, None)
    parameters = {"tenant": tenant, "after_at": after_at, "after_id": after_id, "limit": limit}
    return await _many(db, "page", parameters | which.parameters())


async def count(db: Connection, tenant: UUID, which: Filter) -> int:
    cursor = await db.execute(sql("contacts", "count"), {"tenant": tenant} | which.parameters())
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def tag_among(db: Connection, tenant: UUID, names: list[str]) -> str | None:
    """The first of `names` that is a tag of some contact."""
    cursor = await db.execute(sql("contacts", "tag_among"), {"tenant": tenant, "names": names}, prepare=False)
    row = await cursor.fetchone()
    return row[0] if row else None


async def all_tags(db: Connection, tenant: UUID) -> list[str]:
    """The fifty most used tags, most used first; of a large tenant, those of some ten thousand of its contacts."""
    cursor = await db.execute(sql("contacts", "all_tags"), {"tenant": tenant})
    return [row[0] for row in await cursor.fetchall()]


async def _one(db: Connection, name: str, parameters: dict[str, Any]) -> ContactRow | None:
    async with db.cursor(row_factory=class_row(ContactRow)) as cursor:
        await cursor.execute(sql("contacts", name), parameters)
        return await cursor.fetchone()


async def _many(db: Connection, name: str, parameters: dict[str, Any]) -> list[ContactRow]:
    async with db.cursor(row_factory=class_row(ContactRow)) as cursor:
        await cursor.execute(sql("contacts", name), parameters)
        return await cursor.fetchall()
