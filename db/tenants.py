"""Tenants: the owner's connection creates and lists them; the program sees its own."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    daily_cap: int = 50_000
    rate_per_second: float | None = None
    own_addresses: list[str] = field(default_factory=list)
    """Who gets test mails without an approval, beside the sender."""
    live_since: datetime | None = None
    """Since when a program with a mail server sends for this tenant; None: mail goes to the outbox."""

    @property
    def sender_domain(self) -> str:
        """The domain of the sender's address; without a sender one that is nobody's (RFC 2606)."""
        return (self.sender_email or "").rpartition("@")[2] or "sender.invalid"


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
    sender_name: str | None = None, sender_email: str | None = None, send_cap: int | None = None,
    daily_cap: int | None = None, rate: float | None = None, own_addresses: list[str] | None = None,
) -> None:  # fmt: skip
    """Change what is given, as the owner. Blocks. A taken name raises psycopg.errors.UniqueViolation.

    `rate` is in mails a second, 0 for no limit.
    """
    with psycopg.connect(url) as connection:
        connection.execute(
            sql("tenants", "update"),
            {
                "tenant": tenant, "name": name, "time_zone": time_zone, "country": country,
                "sender_name": sender_name, "sender_email": sender_email, "send_cap": send_cap,
                "daily_cap": daily_cap, "rate": rate, "own_addresses": own_addresses,
            },
        )  # fmt: skip


async def find(db: Connection, tenant: UUID) -> TenantRow | None:
    """The tenant of the transaction."""
    async with db.cursor(row_factory=class_row(TenantRow)) as cursor:
        await cursor.execute(sql("tenants", "find"), {"tenant": tenant})
        return await cursor.fetchone()


def halt(url: str, tenant: UUID | None) -> int:
    """Stop all sending of one tenant, or with None of all, as the owner; return how many were not halted. Blocks."""
    with psycopg.connect(url) as connection:
        return connection.execute(sql("tenants", "halt"), {"tenant": tenant}).rowcount


def lift_halt(url: str, tenant: UUID | None) -> int:
    """Let halted tenants send again, as the owner; return how many were halted. Blocks."""
    with psycopg.connect(url) as connection:
        return connection.execute(sql("tenants", "lift_halt"), {"tenant": tenant}).rowcount


def set_live(url: str, tenant: UUID | None, live: bool) -> None:
    """Note that mail of a tenant (None: of all) leaves through a server, or goes to the outbox again. Blocks."""
    with psycopg.connect(url) as connection:
        connection.execute(sql("tenants", "set_live"), {"tenant": tenant, "live": live})
