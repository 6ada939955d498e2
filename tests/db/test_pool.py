"""Connections that break, and transactions that somebody left lying."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from db.pool import LEFT_LYING, Database
from tools.base import Context

LOCK = "SELECT pg_advisory_xact_lock(4711)"


async def test_a_transaction_left_lying_is_taken_back_and_its_locks_with_it(database: Database, ctx: Context) -> None:
    async def stopped() -> None:
        async with database.transaction(ctx.tenant.id) as db:
            await db.execute(LOCK)
            await db.execute("SELECT set_config('idle_in_transaction_session_timeout', '100ms', true)")
            locked.set()
            await over.wait()
            await db.execute("SELECT 1")

    locked, over = asyncio.Event(), asyncio.Event()
    program = asyncio.create_task(stopped())
    await locked.wait()
    async with asyncio.timeout(20), database.transaction(ctx.tenant.id) as db:
        await db.execute(LOCK)
    over.set()
    with pytest.raises(psycopg.OperationalError, match="idle-in-transaction"):
        await program


async def test_every_connection_is_told_how_long(database: Database, ctx: Context) -> None:
    async with database.transaction(ctx.tenant.id) as db:
        cursor = await db.execute("SHOW idle_in_transaction_session_timeout")
        assert await cursor.fetchone() == (LEFT_LYING,)
