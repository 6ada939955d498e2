"""Many rows at once: COPY into a temporary table, then INSERT .. SELECT (row-level security refuses COPY)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg.sql import SQL, Identifier

from db.pool import Connection


async def insert(db: Connection, tenant: UUID, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> int:
    """Insert `rows` (values of `columns`, names with spaces between); return how many. A duplicate: UniqueViolation."""
    names = SQL(", ").join(map(Identifier, columns.split()))
    staged, target = Identifier(f"staged_{table}"), Identifier(table)
    # The transaction's end drops it as well; this lets one table be filled twice.
    await db.execute(SQL("DROP TABLE IF EXISTS pg_temp.{}").format(staged))
    await db.execute(
        SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(staged, names, target)
    )
    cursor = db.cursor()
    async with cursor.copy(SQL("COPY {} ({}) FROM STDIN").format(staged, names)) as copy:
        for row in rows:
            await copy.write_row(row)
    done = await db.execute(
        SQL("INSERT INTO {} (tenant_id, {}) SELECT %s, {} FROM {}").format(target, names, names, staged), (tenant,)
    )
    return done.rowcount
