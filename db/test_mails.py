"""Test mails: never in the ledger, never counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql

# Nobody waits for more tests than a person asks for.
MOST_AT_ONCE = 5


@dataclass(frozen=True)
class TestMailRow:
    """A test mail that a worker has taken: `sending`, or `failed` with nothing to do any more."""

    __test__ = False  # pytest would take it for a test

    test_id: UUID
    campaign_id: UUID
    contact_id: UUID | None
    """Through whose eyes it is written: the campaign's first recipient."""
    address: str
    subject: str
    body: str
    state: Literal["sending", "failed"]


async def add(db: Connection, tenant: UUID, campaign_id: UUID, address: str, *, at: datetime) -> int:
    """Ask for one test mail a template of the campaign, with its text of now; return how many."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "address": address, "at": at}
    return (await db.execute(sql("test_mails", "add"), parameters)).rowcount


async def begin(db: Connection, tenant: UUID, *, owner: str, lease: timedelta) -> list[TestMailRow]:
    """Take the oldest that wait."""
    parameters = {"tenant": tenant, "owner": owner, "lease": lease, "most": MOST_AT_ONCE}
    async with db.cursor(row_factory=class_row(TestMailRow)) as cursor:
        await cursor.execute(sql("test_mails", "begin"), parameters)
        return await cursor.fetchall()


async def finish(
    db: Connection, tenant: UUID, test_id: UUID, state: Literal["ready", "sent", "failed", "unknown"], *, owner: str,
    reason: str | None,
) -> None:  # fmt: skip
    """Record what became of a test that this worker had taken."""
    parameters = {"tenant": tenant, "test_id": test_id, "state": state, "owner": owner, "reason": reason}
    await db.execute(sql("test_mails", "finish"), parameters)


async def expire(db: Connection, tenant: UUID) -> None:
    """Give up on tests whose worker has died: whoever waits for one asks again."""
    await db.execute(sql("test_mails", "expire"), {"tenant": tenant})


async def forget(db: Connection, tenant: UUID, contact_id: UUID, address: str) -> None:
    """Blank the tests that went to this address or were written for this contact."""
    parameters = {"tenant": tenant, "contact_id": contact_id, "address": address}
    await db.execute(sql("test_mails", "forget_address"), parameters)
