"""Imports: many contacts merged at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db import bulk
from db.pool import Connection
from db.queries import sql

# The values of a row to merge, each a text (tags with commas between, attributes as JSON) or None.
STAGED = (
    ("email", "text"), ("first_name", "text"), ("last_name", "text"), ("phone_number", "text"),
    ("description", "text"), ("tags", "text"), ("status", "text"), ("time_zone", "text"), ("attributes", "jsonb"),
)  # fmt: skip
_STATUS = [name for name, _ in STAGED].index("status")


@dataclass(frozen=True)
class Merged:
    """How many contacts a merge created and changed, how many addresses are newly suppressed, and how many were before
    although the list had them as subscribers."""

    created: int
    changed: int
    suppressed: int
    kept_out: int


async def merge(db: Connection, tenant: UUID, rows: Sequence[Sequence[str | None]], at: datetime) -> Merged:
    """Add or complete contacts, one row an address (any case), each with the values of `STAGED`.

    Those who may not be mailed (unsubscribed, bounced, complained) are put on the list of suppressions as well; those
    who are on it already get the status that it says.
    """
    await bulk.stage(db, "contacts", STAGED, rows)
    cursor = await db.execute(sql("imports", "merge"), {"tenant": tenant, "at": at})
    row = await cursor.fetchone()
    assert row is not None
    cursor = await db.execute(sql("imports", "keep_out"), {"tenant": tenant, "at": at})
    kept_out = await cursor.fetchone()
    assert kept_out is not None
    suppressed = 0
    if any(row[_STATUS] in ("unsubscribed", "bounced", "complained") for row in rows):
        suppressed = (await db.execute(sql("imports", "suppress"), {"tenant": tenant, "at": at})).rowcount
    return Merged(int(row[0]), int(row[1]), suppressed, int(kept_out[0]))
