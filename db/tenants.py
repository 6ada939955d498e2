"""Tenants: the owner's connection creates and lists them; the program sees its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True)
class TenantRow:
    id: UUID
    name: str
    time_zone: str
    country: str
    sender_name: str | None
    sender_email: str | None
    send_cap: int
    halted_at: datetime | None


def add(url: str, *, name: str, time_zone: str, country: str) -> UUID | None:
    """Create a tenant as the owner; None when the name is taken (in any case). Blocks."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            sql("tenants", "add"), {"name": name, "time_zone": time_zone, "country": country}
        ).fetchone()
        return row[0] if row else None


def all_of(url: str) -> list[TenantRow]:
    """Every tenant of the database, oldest first, as the owner. Blocks."""
    with psycopg.connect(url, row_factory=class_row(TenantRow)) as connection:
        return connection.execute(sql("tenants", "all")).fetchall()


def update(
    url: str, tenant: UUID, *, name: str | None = None, time_zone: str | None = None, country: str | None = None,
    sender_name: str | None = None, sender_email: str | None = None,
) -> None:  # fmt: skip
    """Change what is given, as the owner. Blocks. A taken name raises psycopg.errors.UniqueViolation."""
    with psycopg.connect(url) as connection:
        connection.execute(
            sql("tenants", "update"),
            {
                "tenant": tenant, "name": name, "time_zone": time_zone, "country": country,
                "sender_name": sender_name, "sender_email": sender_email,
            },
        )  # fmt: skip


async def find(db: Connection, tenant: UUID) -> TenantRow | None:
    """The tenant of the transaction."""
    async with db.cursor(row_factory=class_row(TenantRow)) as cursor:
        await cursor.execute(sql("tenants", "find"), {"tenant": tenant})
        return await cursor.fetchone()
