"""Many rows at once: COPY into a temporary table, then INSERT .. SELECT (row-level security refuses COPY)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg.sql import SQL, Composed, Identifier

from db.pool import Connection


async def stage(
    db: Connection, noun: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str | None]]
) -> None:
    """Put `rows` into the temporary table `staged_<noun>` of these (name, type), for a named query to take them from.

    The values are texts without control characters (save tab and newline) that Postgres reads as the type; others raise
    ValueError. The table ends with the transaction.
    """
    staged = Identifier(f"staged_{noun}")
    await db.execute(SQL("DROP TABLE IF EXISTS pg_temp.{}").format(staged))
    await db.execute(staging(noun, columns))
    async with db.cursor().copy(SQL("COPY {} FROM STDIN (DELIMITER E'\\x1f')").format(staged)) as copy:
        await copy.write(_copied(rows, len(columns)))


def _copied(rows: Sequence[Sequence[str | None]], width: int) -> str:
    """Rows in COPY's text form, some times faster than psycopg writes them: escaped all at once, not cell by cell."""
    if not rows:
        return ""
    text = "\x1e".join(["\x1f".join(["\x1d" if cell is None else cell for cell in row]) for row in rows])
    if text.count("\x1e") != len(rows) - 1 or text.count("\x1f") != len(rows) * (width - 1):
        raise ValueError("a cell holds a separator of COPY")
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return text.replace("\x1d", "\\N").replace("\x1e", "\n") + "\n"


def staging(noun: str, columns: Sequence[tuple[str, str]]) -> Composed:
    """The statement that makes the table `staged_<noun>`."""
    described = SQL(", ").join(SQL("{} {}").format(Identifier(name), Identifier(type)) for name, type in columns)
    return SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(Identifier(f"staged_{noun}"), described)


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
