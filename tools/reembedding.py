"""Make the vectors that are missing, or of another model, from the rows' texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from db import vectors
from db.embeddings import EmbeddingError
from db.vectors import Noun
from tools import campaigns, contacts, emails
from tools.base import Context

AT_ONCE = 100

Progress = Callable[[int], None]


async def reembed(ctx: Context, progress: Progress | None = None) -> int:
    """All of a tenant: contacts, campaigns, mails. Returns how many are left, which is 0 unless the endpoint failed.

    `progress` hears how many are done. While it runs, search goes on: what has no vector of the present model yet is
    found by its words.
    """
    left = done = 0
    for noun in vectors.NOUNS:
        here = await embed_missing(ctx, noun, progress=_shifted(progress, done))
        left += here.left
        done += here.done
    return left


@dataclass(frozen=True)
class Embedded:
    """How many rows got a vector, and how many still lack one."""

    done: int
    left: int


async def embed_missing(
    ctx: Context, noun: Noun, *, at_most: int | None = None, progress: Progress | None = None
) -> Embedded:
    """The rows of one kind, in batches that are stored one by one: a kill in the middle loses a batch at most, and the
    next call goes on where it stopped."""
    after, done = UUID(int=0), 0
    tenant, model = ctx.tenant.id, ctx.embedder.name
    while at_most is None or done < at_most:
        async with ctx.database.transaction(tenant) as db:
            rows = await vectors.missing(db, tenant, noun, model, after=after, limit=AT_ONCE)
        if not rows:
            return Embedded(done, 0)
        try:
            made = await ctx.embedder.embed([_text(noun, texts) for _, texts in rows])
        except EmbeddingError:
            break
        ids = [id for id, _ in rows]
        async with ctx.database.transaction(tenant) as db:
            await vectors.store(db, tenant, noun, model, dict(zip(ids, made, strict=True)))
        after, done = ids[-1], done + len(ids)
        if progress is not None:
            progress(done)
    async with ctx.database.transaction(tenant) as db:
        return Embedded(done, await vectors.count(db, tenant, noun, model))


async def count_missing(ctx: Context) -> int:
    """How many rows of the tenant lack a vector of the present model."""
    async with ctx.database.transaction(ctx.tenant.id) as db:
        counts = [await vectors.count(db, ctx.tenant.id, noun, ctx.embedder.name) for noun in vectors.NOUNS]
    return sum(counts)


def _text(noun: Noun, texts: list[str]) -> str:
    """What of a row is embedded: the same as when it is written."""
    first, second = texts
    match noun:
        case "contacts":
            return contacts.embedded_text([first] if first else [], second)
        case "campaigns":
            return campaigns.embedded_text(first, second)
        case "emails":
            return emails.embedded_text(first, second)


def _shifted(progress: Progress | None, by: int) -> Progress | None:
    return None if progress is None else lambda done: progress(by + done)
