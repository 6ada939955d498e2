"""Write a list that was read: in batches, each whole or not at all, so that it may be stopped and done again."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from db import imports, statistics
from db.imports import Merged
from db.pool import Connection
from tools.base import Context, allowed, recorded_as
from tools.errors import ToolError
from tools.imports.reading import Reading
from tools.imports.rows import Row
from tools.spreadsheet import guarded

# In the audit log it has the name of the tool.
_ACTION = "import_contacts"

# About a second of work: what a stop may cost, and how long rows stay locked.
BATCH = 10_000

# Postgres indexes the rows of one connection on one core.
_WRITERS = 2

# Two imports of the same people can block each other; the loser's batch is rolled back, and done again.
_ATTEMPTS = 4

Progress = Callable[[int], None]


@dataclass
class Written:
    """How far the writing came; added to after every batch that is stored for good."""

    rows: int = 0
    created: int = 0
    changed: int = 0
    suppressed: int = 0
    kept_out: int = 0

    @property
    def unchanged(self) -> int:
        return self.rows - self.created - self.changed

    def add(self, rows: int, merged: Merged) -> None:
        self.rows += rows
        self.created += merged.created
        self.changed += merged.changed
        self.suppressed += merged.suppressed
        self.kept_out += merged.kept_out


@asynccontextmanager
async def audited(ctx: Context) -> AsyncIterator[Context]:
    """The context for an import that is no tool call: the permission is checked, and a refusal is audited.

    Raises `NotAllowed`, and what the block raises.
    """
    recorded = recorded_as(_ACTION, "write", ctx)
    assert recorded.call is not None
    try:
        allowed(ctx.actor.role, "write", _ACTION)
        yield recorded
    except ToolError as error:
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await recorded.call.record(db, f"refused: {error.code}", ctx)
        raise


async def write_at_once(db: Connection, ctx: Context, reading: Reading) -> Written:
    """All rows in the caller's transaction: for a list that came as a text."""
    written = Written()
    for batch in reading.spool.batches(BATCH):
        written.add(len(batch), await imports.merge(db, ctx.tenant.id, [row[1:] for row in batch], ctx.now()))
        ctx.progress("contacts stored", written.rows, reading.rows)
    await _refresh(db, ctx, written)
    return written


async def write_in_batches(ctx: Context, reading: Reading, written: Written, progress: Progress | None = None) -> None:
    """All rows, in a transaction a batch. `written` says at any time what is stored, also when this is stopped: the
    batches under way are ended then, which takes about a second, and no others are begun.

    `ctx` comes from `audited`. An import of one batch leaves one line in the audit log, in its transaction; a larger
    one leaves a line when it begins and one with what came of it.
    """
    if reading.rows <= BATCH:
        await _write(ctx, reading, written, next(reading.spool.batches(BATCH), []), is_all=True)
        return
    await _record_apart(ctx, reading, written, "started")
    batches = _Batches(reading.spool.batches(BATCH))
    writers = [asyncio.create_task(_write_some(ctx, reading, written, batches, progress)) for _ in range(_WRITERS)]
    try:
        await asyncio.shield(asyncio.gather(*writers))
    finally:
        batches.stop()
        await asyncio.gather(*writers, return_exceptions=True)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await _refresh(db, ctx, written)
    await _record_apart(ctx, reading, written, "done")


async def record_stopped(ctx: Context, reading: Reading, written: Written) -> None:
    """Note in the audit log how far an import came that was stopped."""
    await _record_apart(ctx, reading, written, "stopped")


class _Batches:
    """Batches for several writers, read from the spool one at a time."""

    def __init__(self, batches: Iterator[list[Row]]) -> None:
        self._batches, self._one_at_a_time, self._is_over = batches, asyncio.Lock(), False

    async def next(self) -> list[Row] | None:
        async with self._one_at_a_time:
            return None if self._is_over else await asyncio.to_thread(next, self._batches, None)

    def stop(self) -> None:
        self._is_over = True


async def _write_some(
    ctx: Context, reading: Reading, written: Written, batches: _Batches, progress: Progress | None
) -> None:
    while (batch := await batches.next()) is not None:
        await _write(ctx, reading, written, batch)
        if progress is not None:
            progress(written.rows)


async def _write(ctx: Context, reading: Reading, written: Written, batch: list[Row], *, is_all: bool = False) -> None:
    rows = [row[1:] for row in batch]
    for attempt in range(_ATTEMPTS):
        try:
            async with ctx.database.transaction(ctx.tenant.id) as db:
                merged = await imports.merge(db, ctx.tenant.id, rows, ctx.now())
                if is_all:
                    everything = Written()
                    everything.add(len(batch), merged)
                    await _refresh(db, ctx, everything)
                    await _record(db, ctx, reading, everything, "done")
        except psycopg.errors.DeadlockDetected:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        written.add(len(batch), merged)
        return


async def _refresh(db: Connection, ctx: Context, written: Written) -> None:
    await statistics.refresh(db, ctx.tenant.id, "contacts", "suppressions", written=written.rows)


async def _record_apart(ctx: Context, reading: Reading, written: Written, outcome: str) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await _record(db, ctx, reading, written, outcome)


async def _record(db: Connection, ctx: Context, reading: Reading, written: Written, outcome: str) -> None:
    assert ctx.call is not None
    counts = {"rows": reading.rows, "refused": reading.problem_count}
    if outcome != "started":
        counts |= {"stored": written.rows, "created": written.created, "changed": written.changed}
    ctx.call.arguments |= counts
    await ctx.call.record(db, outcome, ctx)


def write_refused(reading: Reading, path: Path) -> None:
    """Write the rows that were refused as a CSV, with the line and the reason in front of the cells as they were.

    Corrected, it can be imported as it is. Only its owner may read it: it holds what the list held.
    """
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow([*(["import file"] if reading.several_files else []), "import line", "import error",
                        *map(guarded, reading.header)])  # fmt: skip
        for name, line, reason, cells in reading.spool.refused():
            where = [guarded(name), line] if reading.several_files else [line]
            table.writerow([*where, guarded(reason), *map(guarded, cells)])
