"""API keys: who may come in through the network. Only hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql

Role = Literal["viewer", "editor", "sender", "owner"]


@dataclass(frozen=True)
class KeyRow:
    key_id: UUID
    name: str
    role: Role
    key_hash: bytes = field(repr=False)
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""


@dataclass(frozen=True)
class KeyOfTenant(KeyRow):
    """A key with its tenant."""

    tenant_name: str
    time_zone: str
    country: str


async def add(
    db: Connection, tenant: UUID, id: UUID, *, name: str, role: Role, key_hash: bytes, created_by: str, at: datetime,
    expires_at: datetime | None,
) -> bool:  # fmt: skip
    """Keep a new key; False when a key that was not ended has that name."""
    parameters = {
        "tenant": tenant, "id": id, "name": name, "role": role, "key_hash": key_hash, "created_by": created_by,
        "at": at, "expires_at": expires_at,
    }  # fmt: skip
    return await (await db.execute(sql("keys", "add"), parameters)).fetchone() is not None


async def find(db: Connection, tenant: UUID, id: UUID) -> KeyRow | None:
    """The key with this id, also one that is over."""
    rows = await _rows(db, "find", {"tenant": tenant, "id": id})
    return rows[0] if rows else None


async def find_with_tenant(db: Connection, tenant: UUID, id: UUID) -> KeyOfTenant | None:
    """The same, with the tenant whose it is."""
    async with db.cursor(row_factory=class_row(KeyOfTenant)) as cursor:
        await cursor.execute(sql("keys", "find_with_tenant"), {"tenant": tenant, "id": id})
        return await cursor.fetchone()


async def every(db: Connection, tenant: UUID) -> list[KeyRow]:
    """Every key there ever was, oldest first."""
    return await _rows(db, "all", {"tenant": tenant})


async def any_made(db: Connection, tenant: UUID) -> bool:
    """Whether a key was ever made."""
    return await (await db.execute(sql("keys", "any"), {"tenant": tenant})).fetchone() is not None


async def any_usable(db: Connection, tenant: UUID, at: datetime) -> bool:
    """Whether a key opens anything at this moment."""
    return await (await db.execute(sql("keys", "usable"), {"tenant": tenant, "at": at})).fetchone() is not None


async def revoke(db: Connection, tenant: UUID, id: UUID, at: datetime) -> bool:
    """End a key; False when it was ended before."""
    cursor = await db.execute(sql("keys", "revoke"), {"tenant": tenant, "id": id, "at": at})
    return await cursor.fetchone() is not None


async def note_use(db: Connection, tenant: UUID, id: UUID, at: datetime) -> None:
    """Note that the key was used at this minute."""
    await db.execute(sql("keys", "used"), {"tenant": tenant, "id": id, "at": at})


async def _rows(db: Connection, name: str, parameters: dict[str, Any]) -> list[KeyRow]:
    async with db.cursor(row_factory=class_row(KeyRow)) as cursor:
        await cursor.execute(sql("keys", name), parameters)
        return await cursor.fetchall()
