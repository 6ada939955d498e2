"""Make the vectors that are missing, or of another model, from the rows' texts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg

from db import indexes, vectors
from db.embeddings import EmbeddingError
from db.indexes import Built
from db.vectors import Noun
from tools import campaigns, contacts, emails
from tools.base import Context

AT_ONCE = 100

# Seconds between two tries while another program makes this tenant's vectors.
_PATIENCE = 0.5

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
    ctx: Context, noun: Noun, *, only_new: bool = False, at_most: int | None = None, wait: bool = True,
    pause: float = 0.0, progress: Progress | None = None,
) -> Embedded:  # fmt: skip
    """The rows of one kind, in batches that are stored one by one: a kill in the middle loses a batch at most, and the
    next call goes on where it stopped.

    With `only_new` rows with a vector of another model are left for `reembed`. One program at a time works for a
    tenant: this one waits for its turn, or without `wait` leaves the work to the other. `pause` is the seconds between
    two batches.
    """
    _tenant, _model = ctx.tenant.id, ctx.embedder.name
    after, done = UUID(int=0), 0
    while at_most is None or done < at_most:
        try:
            batch = await _embed_batch(ctx, noun, only_new, after)
        except psycopg.errors.DeadlockDetected:
            continue  # an import wrote the same rows in another order: once more
        except EmbeddingError:
            break
        if batch is None:
            if not wait:
                break
            await asyncio.sleep(_PATIENCE)
            continue
        if not batch.last:
            break
        after, done = batch.last, done + batch.stored
        if progress is not None:
            progress(done)
        await asyncio.sleep(pause)
    return Embedded(done, await count_missing(ctx, noun, only_new=only_new))


@dataclass(frozen=True)
class _Batch:
    last: UUID | None
    """The last row that was looked at; None when there was none."""
    stored: int


async def _embed_batch(ctx: Context, noun: Noun, only_new: bool, after: UUID) -> _Batch | None:
    """The next rows by id. None while another program has the turn. Raises `EmbeddingError`."""
    tenant, model = ctx.tenant.id, ctx.embedder.name
    async with ctx.database.transaction(tenant) as db:
        if not await vectors.take_turn(db, tenant):
            return None
        rows = await vectors.missing(db, tenant, noun, model, only_new=only_new, after=after, limit=AT_ONCE)
        if not rows:
            return _Batch(None, 0)
        made = await ctx.embedder.embed([_text(noun, row.texts) for row in rows])
        return _Batch(rows[-1].id, await vectors.store(db, tenant, noun, model, rows, made))


async def index_when_large(ctx: Context, progress: Callable[[str], None] | None = None) -> Built:
    """Give a large tenant the indexes that search uses, when its notes have their vectors (docs/decisions/0010).

    Takes minutes for a million contacts, and next to nothing when there is nothing to do; `progress` hears each step.
    """
    return await asyncio.to_thread(
        indexes.refresh, ctx.database.url, ctx.tenant.id, ctx.embedder.name, progress=progress
    )  # fmt: skip


async def count_missing(ctx: Context, *nouns: Noun, only_new: bool = False) -> int:
    """How many rows of the tenant (of these kinds, else of all) lack a vector of the present model."""
    tenant, model = ctx.tenant.id, ctx.embedder.name
    async with ctx.database.transaction(tenant, read_only=True) as db:
        return sum([await vectors.count(db, tenant, noun, model, only_new=only_new) for noun in nouns or vectors.NOUNS])


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
