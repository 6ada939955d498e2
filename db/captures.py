"""The capture: mails that were sent while no server is set up, kept to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql

# Enough to look through a campaign; a capture is no archive.
KEPT = 1_000


class Captured(NamedTuple):
    """One mail as it would have left."""

    campaign_id: UUID | None
    contact_id: UUID | None
    sender: str
    recipient: str
    subject: str
    message: bytes


@dataclass(frozen=True)
class CapturedRow:
    """One line of the outbox."""

    captured_id: UUID
    sender: str
    recipient: str
    subject: str
    at: datetime
    size: int
    """Bytes of the whole mail."""


@dataclass(frozen=True)
class MessageRow:
    captured_id: UUID
    message: bytes


async def add(db: Connection, tenant: UUID, mails: Sequence[Captured]) -> None:
    """Keep these mails; the oldest beyond `KEPT` go when `trim` is called."""
    names = ("campaigns", "contacts", "senders", "recipients", "subjects", "messages")
    columns = zip(*mails, strict=True)
    parameters: dict[str, Any] = {name: list(column) for name, column in zip(names, columns, strict=True)}
    await db.execute(sql("captures", "add"), parameters | {"tenant": tenant})


async def trim(db: Connection, tenant: UUID, keep: int = KEPT) -> None:
    """Remove all but the newest."""
    await db.execute(sql("captures", "trim"), {"tenant": tenant, "keep": keep})


async def newest(db: Connection, tenant: UUID, limit: int) -> list[CapturedRow]:
    """The newest first."""
    async with db.cursor(row_factory=class_row(CapturedRow)) as cursor:
        await cursor.execute(sql("captures", "newest"), {"tenant": tenant, "limit": limit})
        return await cursor.fetchall()


async def page(db: Connection, tenant: UUID, *, after: tuple[datetime, UUID] | None, limit: int) -> list[CapturedRow]:
    """The newest first, those after the given row."""
    after_at, after_id = after or (None, None)
    async with db.cursor(row_factory=class_row(CapturedRow)) as cursor:
        parameters = {"tenant": tenant, "after_at": after_at, "after_id": after_id, "limit": limit}
        await cursor.execute(sql("captures", "page"), parameters)
        return await cursor.fetchall()


async def find(db: Connection, tenant: UUID, beginning: str) -> list[MessageRow]:
    """Those whose id begins so; at most two."""
    async with db.cursor(row_factory=class_row(MessageRow)) as cursor:
        await cursor.execute(sql("captures", "find"), {"tenant": tenant, "beginning": beginning})
        return await cursor.fetchall()


async def forget(db: Connection, tenant: UUID, contact_id: UUID, address: str) -> None:
    """Remove every mail to this contact or address."""
    await db.execute(sql("captures", "forget_contact"), {"tenant": tenant, "contact_id": contact_id})
    await db.execute(sql("captures", "forget_address"), {"tenant": tenant, "address": address})
