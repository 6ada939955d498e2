"""Connections: one pool a program; the role and the tenant are set for each transaction.

Row-level security decides what a statement sees, by the transaction's `app.tenant_id`. The program works as
`smartcampaign_app`, which neither owns a table nor is a superuser, whoever the URL's user is. Both are set with
`set_config(.., true)`, so they end with the transaction: nothing leaks to the connection's next user, and a pooler in
transaction mode (PgBouncer) may stand between.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

ROLE = "smartcampaign_app"

Connection = AsyncConnection[TupleRow]

# In one round trip. Once it is read-only a transaction can't be made writable again.
BEGIN = (
    "SELECT set_config('transaction_read_only', %s, true), set_config('role', %s, true),"
    " set_config('app.tenant_id', %s, true)"
)


class DatabaseUnavailable(RuntimeError):
    """The database can't be reached; the text says where it was looked for and what to do."""


class Database:
    """The pool of a program. `open` before use, `close` after; safe for any number of tasks.

    A transaction waits `patience` seconds for a connection, and then fails with PoolTimeout.
    """

    def __init__(self, url: str, *, max_size: int = 10, patience: float = 30) -> None:
        self.url = url
        self._pool = AsyncConnectionPool(
            url,
            open=False,
            min_size=1,
            max_size=max_size,
            configure=_configure,
            check=_check,
            reset=_used,
            timeout=patience,
        )

    async def open(self) -> None:
        """Connect. Raises `DatabaseUnavailable` when the server can't be reached within some seconds."""
        await self._pool.open()
        try:
            await self._pool.wait(timeout=10)
        except PoolTimeout:
            await self._pool.close()
            raise DatabaseUnavailable(await _why_unreachable(self.url)) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(
        self, tenant: UUID, *, read_only: bool = False, pipelined: bool = False
    ) -> AsyncIterator[Connection]:
        """One transaction that sees the rows of `tenant` only; committed on leaving, rolled back on an exception.

        With `read_only` Postgres itself refuses every write. `pipelined`: statements go out without waiting for the
        one before; reading a cursor, and leaving, waits. Errors come up there. Raises `psycopg.OperationalError` when
        the server went away, or took back a transaction that this program left lying.
        """
        try:
            async with (
                self._pool.connection() as connection,
                connection.pipeline() if pipelined else nullcontext(),
                connection.transaction(),
            ):
                await connection.execute(BEGIN, ("on" if read_only else "off", ROLE, str(tenant)))
                yield connection
        except psycopg.errors.IdleInTransactionSessionTimeout as error:
            raise psycopg.OperationalError(str(error)) from error


# How long a transaction may wait for the next word of its program.
LEFT_LYING = "30s"

# When each connection was given back last, by the monotonic clock.
_last_used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()


async def _used(connection: Connection) -> None:
    _last_used[connection] = time.monotonic()


async def _check(connection: Connection) -> None:
    """A server that was restarted leaves dead connections: one that lay idle is tried before it is handed out."""
    if time.monotonic() - _last_used.get(connection, 0.0) > 1.0:
        await AsyncConnectionPool.check_connection(connection)


async def _configure(connection: Connection) -> None:
    # A program that was stopped, or whose machine vanished, must not hold its locks against all others for long.
    await connection.execute(f"SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '{LEFT_LYING}'")
    await register_vector_async(connection)
    await connection.commit()


async def _why_unreachable(url: str) -> str:
    where = safe_url(url)
    try:
        async with await AsyncConnection.connect(url, connect_timeout=5):
            return f"The database {where} answers, but too slowly. Try again; look at its load."
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
        return (
            f"The database {where} can't be reached: {reason}. "
            "Check DATABASE_URL, or unset it to use the Postgres that comes along."
        )


def safe_url(url: str) -> str:
    """The URL without its password, for messages."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    host, port, name = parts.get("host", "localhost"), parts.get("port", 5432), parts.get("dbname", "")
    return f"{name!r} at {host}:{port}"
