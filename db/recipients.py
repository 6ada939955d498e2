"""The people of a campaign as a page lists them: where their mail is, and what they did with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql

# Before every id.
FIRST = UUID(int=0)


@dataclass(frozen=True, kw_only=True)
class ListedRow:
    """One person of a campaign. The address is empty when they were erased; what machines did is left out."""

    contact_id: UUID
    address: str
    first_name: str | None
    last_name: str | None
    state: str
    """The ledger's, or `not sent` while there is no line in it."""
    reason: str | None
    sent_at: datetime | None
    opens: int
    clicks: int
    conversions: int
    bounced: bool
    unsubscribed: bool
    complained: bool

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


async def page(
    db: Connection, tenant: UUID, campaign: UUID, *, did: str | None = None, state: str | None = None,
    after: UUID = FIRST, limit: int,
) -> list[ListedRow]:  # fmt: skip
    """Those after the given one. `did` is a kind of event, `state` one of the ledger's."""
    parameters = {
        "tenant": tenant, "campaign": campaign, "did": did, "state": state, "after": after, "limit": limit
    }  # fmt: skip
    async with db.cursor(row_factory=class_row(ListedRow)) as cursor:
        await cursor.execute(sql("recipients", "page"), parameters)
        return await cursor.fetchall()
