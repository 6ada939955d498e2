"""The indexes of large tenants: each has its own, over its rows alone (docs/decisions/0010).

A search uses them when all of a tenant's are there, and reads every row when not: it is right either way. They are made
and dropped by the owner of the tables, which the program's role is not, without holding up anybody's work.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from db.pool import Connection
from db.queries import sql

# From this many notes on, a tenant gets indexes of its own. Reading all rows takes about 40 ms then, and the indexes
# would win at a fifth of it; but they cost every write, and a plan looks at each of them.
LARGE = 5_000

# A graph of vectors is built in memory, of so many kilobytes a vector; beyond the most it is finished on disk, slower.
KILOBYTES_EACH, MOST_MEGABYTES = 2.6, 3_000

# No more than these are counted to say how much memory that is.
_COUNTED = 2_000_000

Progress = Callable[[str], None]


async def size(db: Connection, tenant: UUID, model: str) -> int | None:
    """About how many contacts a tenant has, when it has all of its indexes; else None."""
    cursor = await db.execute(
        sql("search", "indexed"), {"tenant": tenant, "names": [index.name for index in _wanted(tenant, model)]}
    )
    row = await cursor.fetchone()
    return None if row is None else max(int(row[0]), 0)


@dataclass(frozen=True)
class Built:
    """Which indexes were made and dropped, and how long it took."""

    made: list[str]
    dropped: list[str]
    seconds: float


def refresh(url: str, tenant: UUID, model: str, *, large: int = LARGE, progress: Progress | None = None) -> Built:
    """Give a tenant with at least `large` notes of `model` its indexes, and take away what it no longer needs.

    `url` is the owner's. Blocks, for minutes with a million contacts; searches and writes go on. What a kill in the
    middle leaves unfinished is dropped and made again by the next call.
    """
    started = time.perf_counter()
    made: list[str] = []
    dropped: list[str] = []
    # CREATE INDEX CONCURRENTLY refuses a transaction.
    with psycopg.connect(url, autocommit=True) as connection:
        # One at a time: two builds of one index would wait for each other's end.
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"indexes of {tenant}",))
        notes = _notes(connection, tenant, model)
        wanted = _wanted(tenant, model) if notes >= large else []
        there = _there(connection, tenant)
        for name in sorted(set(there) - {index.name for index in wanted if there.get(index.name)}):
            connection.execute(SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(Identifier(name)))
            dropped.append(name)
        megabytes = min(MOST_MEGABYTES, 64 + int(notes * KILOBYTES_EACH / 1024))
        connection.execute(SQL("SET maintenance_work_mem = {}").format(Literal(f"{megabytes}MB")))
        for index in wanted:
            if there.get(index.name):
                continue
            if progress is not None:
                progress(f"indexing {index.what}")
            connection.execute(index.statement)
            made.append(index.name)
        if made:
            connection.execute("ANALYZE contacts")
    return Built(made, dropped, time.perf_counter() - started)


@dataclass(frozen=True)
class _Index:
    name: str
    what: str
    statement: Composed


def _wanted(tenant: UUID, model: str) -> list[_Index]:
    of_tenant = SQL("tenant_id = {}").format(Literal(str(tenant)))
    of_model = SQL("{} AND embedding_model = {}").format(of_tenant, Literal(model))
    # A note that has no vector of this model: almost always none, so it is seen at once that there is none.
    left = SQL("{} AND embedding_model IS DISTINCT FROM {} AND description <> ''").format(of_tenant, Literal(model))
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return [
        _index(tenant, "words", SQL("gin (search)"), of_tenant),
        _index(tenant, "tags", SQL("gin (tags)"), of_tenant),
        _index(tenant, "names", SQL("gin (name_of(first_name, last_name) gin_trgm_ops)"), of_tenant),
        _index(tenant, f"left_{digest}", SQL("btree (contact_id)"), left),
        _index(tenant, f"near_{digest}", SQL("hnsw (vector_embedding halfvec_cosine_ops)"), of_model),
    ]


def _index(tenant: UUID, kind: str, method: SQL, rows: Composed) -> _Index:
    name = f"contacts_{tenant.hex}_{kind}"
    statement = SQL("CREATE INDEX CONCURRENTLY {} ON contacts USING {} WHERE {}").format(Identifier(name), method, rows)
    return _Index(name, kind.split("_")[0], statement)


def _notes(connection: psycopg.Connection, tenant: UUID, model: str) -> int:
    """How many vectors the tenant has of `model`."""
    # The owner is under row-level security too.
    with connection.transaction():
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant),))
        row = connection.execute(
            "SELECT count(*) FROM"
            " (SELECT FROM contacts WHERE tenant_id = %s AND embedding_model = %s LIMIT %s) AS counted",
            (tenant, model, _COUNTED),
        ).fetchone()
    return int(row[0]) if row else 0


def _there(connection: psycopg.Connection, tenant: UUID) -> dict[str, bool]:
    """The tenant's indexes by name, and whether each is whole."""
    rows = connection.execute(
        "SELECT c.relname, i.indisvalid FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid"
        " WHERE i.indrelid = 'contacts'::regclass AND starts_with(c.relname, %s)",
        (f"contacts_{tenant.hex}_",),
    ).fetchall()
    return {row[0]: row[1] for row in rows}
