"""Rows for files, read through a server-side cursor: a million of them take no more memory than a thousand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar
from uuid import UUID

from psycopg.rows import class_row, dict_row

from db.contacts import ContactRow, Filter
from db.pool import Connection
from db.queries import sql

# How many rows cross the wire at once.
AT_ONCE = 2_000


@dataclass(frozen=True, kw_only=True)
class ExportedContact(ContactRow):
    """A contact with everything about it that is not computed from it."""

    attributes: dict[str, Any]
    updated_at: datetime
    suppressed: str | None
    """Why this address must never be mailed; None when it may."""


@dataclass(frozen=True, kw_only=True)
class RecipientResult:
    """What became of one person's mail of a campaign, and what they did with it. Erased people have a blank address."""

    contact_id: UUID
    address: str
    first_name: str | None
    last_name: str | None
    variant: str | None
    state: str
    """The ledger's, or `not sent` while there is no line in it."""
    reason: str | None
    sent_at: datetime | None
    first_open_at: datetime | None
    opens: int
    machine_opens: int
    first_click_at: datetime | None
    clicks: int
    machine_clicks: int
    conversions: int
    conversion_value: Decimal
    bounced_at: datetime | None
    unsubscribed_at: datetime | None
    complained_at: datetime | None


Row = TypeVar("Row")


def contacts(
    db: Connection, tenant: UUID, which: Filter, ids: list[UUID] | None = None
) -> AsyncGenerator[ExportedContact]:
    """Those that `which` means, of `ids` if given, by address."""
    return _rows(db, ExportedContact, "contacts", {"tenant": tenant, "ids": ids} | which.parameters())


def recipients(db: Connection, tenant: UUID, campaign: UUID) -> AsyncGenerator[RecipientResult]:
    """Everybody of a campaign, by address."""
    return _rows(db, RecipientResult, "recipients", {"tenant": tenant, "campaign": campaign})


async def campaign_ids(db: Connection, tenant: UUID) -> list[UUID]:
    """All campaigns, oldest first."""
    cursor = await db.execute(sql("exports", "campaign_ids"), {"tenant": tenant})
    return [row[0] for row in await cursor.fetchall()]


PersonQuery = Literal[
    "person", "person_suppression", "person_campaigns", "person_drafts", "person_mails", "person_tests",
    "person_captured", "person_events", "person_approvals", "person_audit",
]  # fmt: skip


async def about_person(
    db: Connection, tenant: UUID, what: PersonQuery, *, contact_id: UUID | None, email: str
) -> list[dict[str, Any]]:
    """The rows of one kind about a person, by column."""
    async with db.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql("exports", what), {"tenant": tenant, "id": contact_id, "email": email})
        return await cursor.fetchall()


async def states(db: Connection, tenant: UUID) -> AsyncGenerator[tuple[UUID, str, bytes]]:
    """(conversation, kind, state) of all that agents remember, for `db.packed`."""
    async with db.cursor(name="export_states") as cursor:
        cursor.itersize = 50
        await cursor.execute(sql("exports", "states"), {"tenant": tenant})
        async for row in cursor:
            yield row[0], row[1], row[2]


async def _rows(db: Connection, row: type[Row], name: str, parameters: dict[str, Any]) -> AsyncGenerator[Row]:
    async with db.cursor(name=f"export_{name}", row_factory=class_row(row)) as cursor:
        cursor.itersize = AT_ONCE
        await cursor.execute(sql("exports", name), parameters)
        async for each in cursor:
            yield each
