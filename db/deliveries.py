"""The ledger of sends, and who must never be mailed.

A row is `ready`, `sending` (begun by a worker that holds a lease), and then `sent`, `failed`, `skipped`, `ready` again,
or `unknown` when its worker died in flight. `begin` and `finish` are the two statements of the sending loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.pool import Connection
from db.queries import sql

# Before every row: where a worker's look at a campaign begins.
BEGINNING = (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), UUID(int=0))

State = Literal["ready", "leased", "sending", "sent", "failed", "skipped", "unknown"]


class BegunRow(NamedTuple):
    """A row that `begin` has taken: `sending`, or `skipped` with nothing to do any more."""

    campaign_id: UUID
    contact_id: UUID
    email_id: UUID | None
    address: str
    state: State
    attempts: int
    """This try's number, from 1 on."""
    next_attempt_at: datetime
    first_name: str | None
    last_name: str | None
    phone_number: str | None


class Finished(NamedTuple):
    """What became of a row that this worker had begun."""

    campaign_id: UUID
    contact_id: UUID
    attempts: int
    state: Literal["sent", "failed", "ready", "unknown"]
    reason: str | None = None
    code: int | None = None
    answer: str | None = None
    wait: timedelta | None = None
    """For `ready`: how long until the next try."""
    returned: bool = False
    """Nothing left this program, so the try does not count."""
    message_id: str | None = None


class SettledRow(NamedTuple):
    """A row as `finish` left it."""

    campaign_id: UUID
    contact_id: UUID
    state: State
    sent_at: datetime | None
    reason: str | None


@dataclass(frozen=True)
class DriftRow:
    """How a campaign's people differ from those that a person approved."""

    added: int
    removed: int
    readdressed: int


@dataclass(frozen=True)
class StateRow:
    state: State
    reason: str
    many: int


async def count_for_contact(db: Connection, tenant: UUID, contact_id: UUID) -> int:
    """How many mails this contact was sent."""
    cursor = await db.execute(sql("deliveries", "count_for_contact"), {"tenant": tenant, "contact_id": contact_id})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def suppress(db: Connection, tenant: UUID, email: str, *, reason: str, source: str, at: datetime) -> int:
    """Never mail this address again; only a hash of it is stored. What waits for it in the ledger is skipped: return
    how many mails that were."""
    await db.execute(
        sql("deliveries", "suppress"),
        {"tenant": tenant, "email": email, "reason": reason, "source": source, "at": at},
    )
    cursor = await db.execute(
        sql("deliveries", "skip_waiting"), {"tenant": tenant, "email": email, "reason": f"suppressed ({reason})"}
    )
    return cursor.rowcount


async def suppression(db: Connection, tenant: UUID, email: str) -> str | None:
    """Why this address must not be mailed: unsubscribed, bounced, complained, erased or manual; None when it may be."""
    cursor = await db.execute(sql("deliveries", "suppression"), {"tenant": tenant, "email": email})
    row = await cursor.fetchone()
    return row[0] if row else None


async def lift_suppression(db: Connection, tenant: UUID, email: str) -> bool:
    """Let this address be mailed again; say whether that was suppressed by a wish.

    Bounces and complaints can't be lifted: the database refuses.
    """
    cursor = await db.execute(sql("deliveries", "lift_suppression"), {"tenant": tenant, "email": email})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def fill(
    db: Connection, tenant: UUID, campaign_id: UUID, *, template_id: UUID, send_at: datetime, zoned: bool, zone: str,
    at: datetime,
) -> datetime | None:  # fmt: skip
    """Write down who gets the campaign and who is left out; return when the first mail is due, None if nobody's is.

    `zoned`: at the wall time that `send_at` has in `zone`, in each recipient's own zone.
    """
    # A million rows take longer than a query of a person may.
    await db.execute("SELECT set_config('statement_timeout', '30min', true)")
    parameters = {
        "tenant": tenant, "campaign_id": campaign_id, "template_id": template_id, "send_at": send_at, "zoned": zoned,
        "zone": zone, "at": at,
    }  # fmt: skip
    await db.execute(sql("deliveries", "fill"), parameters)
    await db.execute(sql("deliveries", "drop_removed"), {"tenant": tenant, "campaign_id": campaign_id, "at": at})
    cursor = await db.execute(sql("deliveries", "first_due"), {"tenant": tenant, "campaign_id": campaign_id})
    row = await cursor.fetchone()
    return row[0] if row else None


async def drift(db: Connection, tenant: UUID, campaign_id: UUID) -> DriftRow:
    """How the campaign's people differ now from the rows that `fill` wrote."""
    async with db.cursor(row_factory=class_row(DriftRow)) as cursor:
        await cursor.execute(sql("deliveries", "drift"), {"tenant": tenant, "campaign_id": campaign_id})
        row = await cursor.fetchone()
    assert row is not None, "an aggregate has a row"
    return row


async def begin(
    db: Connection, tenant: UUID, campaign_id: UUID, *, owner: str, lease: timedelta, most: int,
    after: tuple[datetime, UUID],
) -> AsyncCursor[Any]:  # fmt: skip
    """Take up to `most` due rows behind `after`; `begun` reads them from the cursor, once this is committed.

    Rows of people who must not be mailed any more are skipped in the same statement. `lease` is how long nobody else
    takes them.
    """
    return await db.execute(
        sql("deliveries", "begin"),
        {
            "tenant": tenant, "campaign_id": campaign_id, "owner": owner, "lease": lease, "most": most,
            "after_at": after[0], "after_id": after[1],
        },
    )  # fmt: skip


async def begun(cursor: AsyncCursor[Any]) -> list[BegunRow]:
    """The rows of `begin`, in no order."""
    return [BegunRow._make(row) for row in await cursor.fetchall()]


async def finish(
    db: Connection, tenant: UUID, rows: Sequence[Finished], *, owner: str, give_up: timedelta
) -> AsyncCursor[Any]:
    """Record what became of rows, in one statement; `settled` reads which it was true for. Tries end `give_up` after
    the first one."""
    # One value, not ten arrays: psycopg writes an array item by item, in Python.
    told = [
        {
            "campaign_id": str(row.campaign_id), "contact_id": str(row.contact_id), "attempts": row.attempts,
            "state": row.state, "reason": row.reason, "code": row.code, "answer": row.answer,
            "wait": row.wait.total_seconds() if row.wait is not None else None, "returned": row.returned,
            "message_id": row.message_id,
        }
        for row in rows
    ]  # fmt: skip
    return await db.execute(
        sql("deliveries", "finish"), {"tenant": tenant, "owner": owner, "give_up": give_up, "rows": Jsonb(told)}
    )


async def settled(cursor: AsyncCursor[Any]) -> list[SettledRow]:
    """The rows of `finish` as they are now; those that another worker has taken over are not among them."""
    return [SettledRow._make(row) for row in await cursor.fetchall()]


async def renew(db: Connection, tenant: UUID, rows: Sequence[BegunRow], *, owner: str, lease: timedelta) -> None:
    """Hold these rows for `lease` from now on."""
    parameters = {
        "tenant": tenant, "owner": owner, "lease": lease, "campaigns": [row.campaign_id for row in rows],
        "contacts": [row.contact_id for row in rows],
    }  # fmt: skip
    await db.execute(sql("deliveries", "renew"), parameters)


async def take_back(db: Connection, tenant: UUID, held: Sequence[BegunRow], *, owner: str) -> int:
    """Make rows ready again that `owner` has begun but does not hold; return how many."""
    parameters = {
        "tenant": tenant, "owner": owner, "campaigns": [row.campaign_id for row in held],
        "contacts": [row.contact_id for row in held],
    }  # fmt: skip
    return (await db.execute(sql("deliveries", "take_back"), parameters)).rowcount


async def expire(db: Connection, tenant: UUID) -> list[UUID]:
    """Settle the rows whose worker has died, as their campaign says; return the campaign of each."""
    cursor = await db.execute(sql("deliveries", "expire"), {"tenant": tenant})
    return [row[0] for row in await cursor.fetchall()]


async def settle_unknown(
    db: Connection, tenant: UUID, campaign_id: UUID, to: Literal["ready", "sent"], *, reason: str, at: datetime
) -> list[SettledRow]:
    """What a person decided about mails that were in flight; return them as they are now."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "to": to, "reason": reason, "at": at}
    return await settled(await db.execute(sql("deliveries", "settle_unknown"), parameters))


async def skip_rest(db: Connection, tenant: UUID, campaign_id: UUID, *, reason: str, at: datetime) -> int:
    """Skip whoever has not been mailed; return how many."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "reason": reason, "at": at}
    return (await db.execute(sql("deliveries", "skip_rest"), parameters)).rowcount


async def count_unknown(db: Connection, tenant: UUID, campaign_id: UUID) -> int:
    """How many mails were in flight when a worker stopped, and nobody has decided about."""
    cursor = await db.execute(sql("deliveries", "count_unknown"), {"tenant": tenant, "campaign_id": campaign_id})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def states(db: Connection, tenant: UUID, campaign_id: UUID) -> list[StateRow]:
    """How many rows of the campaign are in each state, and why."""
    async with db.cursor(row_factory=class_row(StateRow)) as cursor:
        await cursor.execute(sql("deliveries", "states"), {"tenant": tenant, "campaign_id": campaign_id})
        return await cursor.fetchall()


async def has_begun(db: Connection, tenant: UUID, campaign_id: UUID) -> bool:
    """Whether any mail of the campaign has been begun."""
    return await _is(db, "has_begun", {"tenant": tenant, "campaign_id": campaign_id})


async def is_under_way(db: Connection, tenant: UUID, campaign_id: UUID) -> bool:
    """Whether any row of the campaign waits or is in flight."""
    return await _is(db, "is_under_way", {"tenant": tenant, "campaign_id": campaign_id})


async def take_from_day(db: Connection, tenant: UUID, most: int) -> tuple[date, int]:
    """Take up to `most` mails from the tenant's cap of today; return the day (of its calendar), and how many."""
    await db.execute(sql("deliveries", "open_day"), {"tenant": tenant})
    cursor = await db.execute(sql("deliveries", "take_from_day"), {"tenant": tenant, "most": most})
    row = await cursor.fetchone()
    assert row is not None, "the day was opened in this transaction"
    return row[0], row[1]


async def give_back_to_day(db: Connection, tenant: UUID, day: date, many: int) -> None:
    """Give back what was taken from a day's cap and not used."""
    await db.execute(sql("deliveries", "give_back_to_day"), {"tenant": tenant, "day": day, "many": many})


async def bounced(
    db: Connection, tenant: UUID, campaign_id: UUID, contact_id: UUID, address: str, *, answer: str, at: datetime
) -> None:
    """A server refused the address for good: suppress it, mark the contact, and note the event."""
    await suppress(db, tenant, address, reason="bounced", source="smtp", at=at)
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "contact_id": contact_id, "reason": answer}
    await db.execute(sql("deliveries", "bounced"), parameters)


async def _is(db: Connection, name: str, parameters: dict[str, Any]) -> bool:
    cursor = await db.execute(sql("deliveries", name), parameters)
    row = await cursor.fetchone()
    return bool(row and row[0])


@dataclass(frozen=True)
class LedgerRow:
    """One mail of a campaign, and what became of it."""

    campaign_id: UUID
    campaign: str
    contact_id: UUID
    address: str
    """Empty when the person was erased."""
    variant: str
    state: State
    reason: str | None
    attempts: int
    next_attempt_at: datetime
    smtp_code: int | None
    message_id: str | None
    sent_at: datetime | None


async def page(
    db: Connection, tenant: UUID, *, campaign_id: UUID | None, state: State | None, after: tuple[UUID, UUID] | None,
    limit: int,
) -> list[LedgerRow]:  # fmt: skip
    """The ledger by campaign and contact, those after the given row."""
    after_campaign, after_id = after or (None, None)
    async with db.cursor(row_factory=class_row(LedgerRow)) as cursor:
        await cursor.execute(
            sql("deliveries", "page"),
            {
                "tenant": tenant, "campaign_id": campaign_id, "state": state, "after_campaign": after_campaign,
                "after_id": after_id, "limit": limit,
            },
        )  # fmt: skip
        return await cursor.fetchall()
