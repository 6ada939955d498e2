"""What only one program at a time does, over all machines that share a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection


@asynccontextmanager
async def alone(url: str, name: str) -> AsyncIterator[bool]:
    """Whether this program is the only one that does `name` while the block runs. Raises `psycopg.OperationalError`.

    The lock ends with its transaction, also when the program dies; so a pooler in transaction mode may stand between.
    The transaction reads nothing, so it holds no old rows back however long it lasts.
    """
    async with (
        await AsyncConnection.connect(url, autocommit=True, connect_timeout=10) as connection,
        connection.transaction(),
    ):
        cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
        row = await cursor.fetchone()
        yield row is not None and bool(row[0])
