"""Vectors that are missing or of another model: of contacts, campaigns and mails."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pgvector import HalfVector

from db.pool import Connection
from db.queries import sql

Noun = Literal["contacts", "campaigns", "emails"]
NOUNS: tuple[Noun, ...] = ("contacts", "campaigns", "emails")


async def missing(
    db: Connection, tenant: UUID, noun: Noun, model: str, *, after: UUID, limit: int
) -> list[tuple[UUID, list[str]]]:
    """(id, its texts) of rows without a vector of `model`, by id.

    The texts: tags and note of a contact, name and description of a campaign, subject and body of a mail.
    """
    parameters = {"tenant": tenant, "model": model, "after": after, "limit": limit}
    cursor = await db.execute(sql("vectors", f"{noun}_missing"), parameters)
    return [(row[0], [text or "" for text in row[1]]) for row in await cursor.fetchall()]


async def count(db: Connection, tenant: UUID, noun: Noun, model: str) -> int:
    """How many rows lack a vector of `model`."""
    cursor = await db.execute(sql("vectors", f"{noun}_count"), {"tenant": tenant, "model": model})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def is_incomplete(db: Connection, tenant: UUID, model: str) -> bool:
    """Whether some contact's note has no vector of `model` yet."""
    cursor = await db.execute(sql("vectors", "contacts_any"), {"tenant": tenant, "model": model})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def store(db: Connection, tenant: UUID, noun: Noun, model: str, vectors: dict[UUID, HalfVector]) -> None:
    """Store the vectors of rows, by id."""
    await db.execute(
        sql("vectors", f"{noun}_store"),
        {"tenant": tenant, "model": model, "ids": list(vectors), "vectors": list(vectors.values())},
    )
