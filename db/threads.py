"""Conversations as a page lists them and shows them again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from psycopg.rows import class_row

from db.conversations import MessageRow
from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True)
class BegunRow:
    """One line of the list."""

    conversation_id: UUID
    name: str | None
    turn: int
    updated_at: datetime
    began: str
    """The first sentence."""


Row = TypeVar("Row")


async def newest(db: Connection, tenant: UUID, *, actor: str, limit: int) -> list[BegunRow]:
    """The actor's conversations, last used first; those in which nothing was said are left out."""
    return await _rows(db, BegunRow, "newest", {"tenant": tenant, "actor": actor, "limit": limit})


async def latest(db: Connection, tenant: UUID, id: UUID, *, turns: int) -> list[MessageRow]:
    """What was said in the last `turns` turns, oldest first."""
    return await _rows(db, MessageRow, "latest", {"tenant": tenant, "id": id, "turns": turns})


async def _rows(db: Connection, row: type[Row], name: str, parameters: dict[str, Any]) -> list[Row]:
    async with db.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql("threads", name), parameters)
        return await cursor.fetchall()
