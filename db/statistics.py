"""What Postgres believes about its tables, after a large write."""

from __future__ import annotations

from uuid import UUID

from db.pool import Connection
from db.queries import sql

# Fewer rows leave every plan a good one.
MANY = 1_000


async def refresh(db: Connection, tenant: UUID, *tables: str, written: int) -> None:
    """Let Postgres look again at tables into which `written` rows have come, where that changes its picture.

    Within the transaction of the rows; without it, plans for them are made for the table as it was, until autovacuum
    comes by (0011_statistics.sql).
    """
    if written >= MANY:
        await db.execute(sql("statistics", "refresh"), {"tenant": tenant, "tables": list(tables), "written": written})
