"""Vectors that are missing or of another model: of contacts, campaigns and mails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pgvector import HalfVector

from db.pool import Connection
from db.queries import sql

Noun = Literal["contacts", "campaigns", "emails"]
NOUNS: tuple[Noun, ...] = ("contacts", "campaigns", "emails")


@dataclass(frozen=True)
class MissingRow:
    """A row without a vector.

    Its texts: tags and note of a contact, name and description of a campaign, subject and body of a mail.
    """

    id: UUID
    texts: list[str]
    version: str
    """Changes with every change of the row."""


async def take_turn(db: Connection, tenant: UUID) -> bool:
    """Whether this transaction may make vectors now; until it ends no other may."""
    row = await (await db.execute(sql("vectors", "take_turn"), {"tenant": tenant})).fetchone()
    return bool(row and row[0])


async def missing(
    db: Connection, tenant: UUID, noun: Noun, model: str, *, only_new: bool, after: UUID, limit: int
) -> list[MissingRow]:
    """Rows without a vector of `model`, by id; with `only_new` those that have none at all."""
    parameters = {"tenant": tenant, "model": model, "only_new": only_new, "after": after, "limit": limit}
    cursor = await db.execute(sql("vectors", f"{noun}_missing"), parameters)
    return [MissingRow(row[0], [text or "" for text in row[1]], row[2]) for row in await cursor.fetchall()]


async def count(db: Connection, tenant: UUID, noun: Noun, model: str, *, only_new: bool = False) -> int:
    """How many rows lack a vector of `model`; with `only_new` how many have none at all."""
    parameters = {"tenant": tenant, "model": model, "only_new": only_new}
    cursor = await db.execute(sql("vectors", f"{noun}_count"), parameters)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def is_incomplete(db: Connection, tenant: UUID, model: str) -> bool:
    """Whether some contact's note has no vector of `model` yet."""
    cursor = await db.execute(sql("vectors", "contacts_any"), {"tenant": tenant, "model": model})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def store(
    db: Connection, tenant: UUID, noun: Noun, model: str, rows: list[MissingRow], vectors: list[HalfVector]
) -> int:
    """Store the vectors of those rows that are still as they were read; return how many."""
    parameters = {
        "tenant": tenant, "model": model, "ids": [row.id for row in rows], "versions": [row.version for row in rows],
        "vectors": vectors,
    }  # fmt: skip
    return (await db.execute(sql("vectors", f"{noun}_store"), parameters)).rowcount
