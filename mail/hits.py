"""The hits that wait to be written: answered at once, written in batches, durable within a second.

What is killed in between loses the hits of at most that second, opens and clicks only: an unsubscription and a shop's
own report are committed before they are answered (interfaces/tracking.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from db.pool import Database
from mail.recording import Hit, record

_LOG = logging.getLogger("smartcampaign.tracking")

# A batch gathers for so long; with the time it takes to write it stays well inside a second.
GATHER = 0.2

# Held at most, while the database is away: some 50 MB. Then those who ask are answered, and not counted.
MOST_WAITING = 100_000

# So many in one transaction: more would hold the locks of their campaigns for too long.
BATCH = 2_000

TRY_AGAIN = 0.5
LAST_TRY = 10.0


class HitQueue:
    """Hits of all tenants on their way to the database. `run` writes until `close`."""

    def __init__(self, database: Database, *, most: int = MOST_WAITING, gather: float = GATHER) -> None:
        self._database, self._most, self._gather = database, most, gather
        self._waiting: dict[UUID, list[Hit]] = {}
        self._since = 0.0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self.held = 0
        """Hits in memory."""
        self.written = 0
        self.lost = 0
        """Hits that found no room, or that the database refused."""

    @property
    def age(self) -> float:
        """How many seconds the oldest hit in memory waits."""
        return time.monotonic() - self._since if self.held else 0.0

    async def put(self, tenant: UUID, hit: Hit) -> None:
        """Take a hit. Waits up to a second when there is no room; then the hit is not counted."""
        if self.held >= self._most:
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), 1)
            except TimeoutError:
                self.lost += 1
                return
        if not self.held:
            self._since = time.monotonic()
        self._waiting.setdefault(tenant, []).append(hit)
        self.held += 1
        self._wake.set()

    async def run(self) -> None:
        """Write what waits, until `close` and nothing is left."""
        while True:
            await self._wake.wait()
            if not self._closing:
                await asyncio.sleep(self._gather)
            self._wake.clear()
            if not await self._write_all() and not self._closing:
                await asyncio.sleep(TRY_AGAIN)
            if self._closing and not self.held:
                return

    async def close(self, task: asyncio.Task[None]) -> None:
        """Write the rest, in at most ten seconds, and end `task`, which runs `run`."""
        self._closing = True
        self._wake.set()
        try:
            await asyncio.wait_for(task, LAST_TRY)
        except TimeoutError:
            self.lost += self.held
            _LOG.error("%d opens and clicks could not be written before the end", self.held)

    async def _write_all(self) -> bool:
        """One round over all tenants; False when some of it must be tried again."""
        taken, self._waiting = self._waiting, {}
        started, done = time.monotonic(), True
        for tenant, hits in taken.items():
            for start in range(0, len(hits), BATCH):
                batch = hits[start : start + BATCH]
                if await self._write(tenant, batch):
                    self.held -= len(batch)
                else:
                    self._waiting[tenant] = batch + self._waiting.get(tenant, [])
                    done = False
        if done:
            self._since = started
        if self.held < self._most:
            self._room.set()
        if self.held:
            self._wake.set()
        return done

    async def _write(self, tenant: UUID, hits: Sequence[Hit]) -> bool:
        """One transaction; False when the database is away. What it refuses for good is left out."""
        try:
            async with self._database.transaction(tenant) as db:
                self.written += await record(db, tenant, hits)
        except (psycopg.OperationalError, PoolTimeout, ConnectionError) as error:
            _LOG.warning("%d opens and clicks wait for the database: %s", len(hits), type(error).__name__)
            return False
        except psycopg.Error as error:
            if len(hits) == 1:
                self.lost += 1
                _LOG.error("the database refused a hit: %s", type(error).__name__)
                return True
            # One bad row must not take the others with it.
            half = len(hits) // 2
            first, second = await self._write(tenant, hits[:half]), await self._write(tenant, hits[half:])
            return first and second
        return True
