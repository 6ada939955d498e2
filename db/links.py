"""The keys that a tenant's links are signed with, and the hosts that report conversions."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True)
class KeyRow:
    version: int
    key: bytes
    secret_id: bytes
    """Which secret is mixed in; empty: none."""


async def keys(db: Connection, tenant: UUID) -> list[KeyRow]:
    """Every key of the tenant, oldest first."""
    async with db.cursor(row_factory=class_row(KeyRow)) as cursor:
        await cursor.execute(sql("links", "keys"), {"tenant": tenant})
        return await cursor.fetchall()


async def add_key(db: Connection, tenant: UUID, row: KeyRow) -> None:
    """Keep a new key; nothing happens when there is one of that version."""
    parameters = {"tenant": tenant, "version": row.version, "key": row.key, "secret_id": row.secret_id}
    await db.execute(sql("links", "add_key"), parameters)


async def conversion_hosts(db: Connection, tenant: UUID) -> frozenset[str]:
    """The hosts, in lower case, whose links carry a conversion token."""
    cursor = await db.execute(sql("links", "conversion_hosts"), {"tenant": tenant})
    row = await cursor.fetchone()
    return frozenset(row[0]) if row else frozenset()


def set_conversion_hosts(url: str, tenant: UUID, hosts: list[str]) -> None:
    """Say, as the owner, whose links carry a conversion token: hosts in lower case, with all below them. Blocks."""
    with psycopg.connect(url) as connection:
        connection.execute(sql("links", "set_conversion_hosts"), {"tenant": tenant, "hosts": hosts})
