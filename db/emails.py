"""A campaign's mails: the template, its variants, and drafts for single contacts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector import HalfVector
from psycopg.rows import class_row

from db.contacts import ContactRow
from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True, kw_only=True)
class EmailRow:
    email_id: UUID
    campaign_id: UUID
    contact_id: UUID | None
    """Whose draft this is; None for a template."""
    variant: str
    subject: str
    body: str
    """Markdown with Liquid merge tags."""
    written_by: str
    unknown_claims: list[str]
    sent_date: datetime | None


@dataclass(frozen=True, kw_only=True)
class ContentRow:
    """A campaign's mails together."""

    templates: int
    personal: int
    """How many are drafts for single contacts."""
    hash: str
    """SHA-256 over every mail's id, reader, variant, subject and body."""
    unknown_claims: list[str]


@dataclass(frozen=True, kw_only=True)
class StandInRow(ContactRow):
    """One recipient, and how many there are of whom just as much is known."""

    people: int


@dataclass(frozen=True, kw_only=True)
class FoundEmailRow:
    """A template that a search found: the words that matched, and the score it was ranked by."""

    email_id: UUID
    campaign_id: UUID
    campaign: str
    variant: str
    subject: str
    body: str
    sent_date: datetime | None
    matched: list[str]
    score: float


# What a matched rare word adds to the cosine, as for contacts.
WORD_BONUS = 0.5


async def templates(db: Connection, tenant: UUID, campaign_id: UUID) -> list[EmailRow]:
    """The template and its variants, in the order of their letters."""
    return await _rows(db, "templates", {"tenant": tenant, "campaign_id": campaign_id})


async def draft_for(db: Connection, tenant: UUID, campaign_id: UUID, contact_id: UUID) -> EmailRow | None:
    """The draft written for one contact."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "contact_id": contact_id}
    rows = await _rows(db, "draft_for", parameters)
    return rows[0] if rows else None


async def all_of(db: Connection, tenant: UUID, campaign_id: UUID) -> list[EmailRow]:
    """Every mail of the campaign, in a stable order."""
    return await _rows(db, "all_of", {"tenant": tenant, "campaign_id": campaign_id})


async def content(db: Connection, tenant: UUID, campaign_id: UUID) -> ContentRow:
    """All mails of the campaign as one fingerprint, with what an approval's card says of them."""
    async with db.cursor(row_factory=class_row(ContentRow)) as cursor:
        await cursor.execute(sql("emails", "content"), {"tenant": tenant, "campaign_id": campaign_id})
        row = await cursor.fetchone()
    assert row is not None, "an aggregate has a row"
    return row


async def remove(db: Connection, tenant: UUID, campaign_id: UUID, email_id: UUID) -> None:
    """Delete one mail of a campaign."""
    await db.execute(sql("emails", "remove"), {"tenant": tenant, "campaign_id": campaign_id, "id": email_id})


async def of_ids(db: Connection, tenant: UUID, campaign_id: UUID, ids: list[UUID]) -> list[EmailRow]:
    """These mails of the campaign, in no order; those that are not there are left out."""
    return await _rows(db, "of_ids", {"tenant": tenant, "campaign_id": campaign_id, "ids": ids})


async def mark_sent(db: Connection, tenant: UUID, campaign_id: UUID, at: datetime) -> None:
    """Note when the campaign's mails began to leave."""
    await db.execute(sql("emails", "mark_sent"), {"tenant": tenant, "campaign_id": campaign_id, "at": at})


async def count_drafts(db: Connection, tenant: UUID, campaign_id: UUID) -> int:
    """How many drafts for single contacts there are."""
    cursor = await db.execute(sql("emails", "count_drafts"), {"tenant": tenant, "campaign_id": campaign_id})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def count_templates(db: Connection, tenant: UUID) -> int:
    """How many templates and variants there are, of all campaigns."""
    cursor = await db.execute(sql("emails", "count_templates"), {"tenant": tenant})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def reader(db: Connection, tenant: UUID, campaign_id: UUID, contact_id: UUID | None = None) -> ContactRow | None:
    """The first of the campaign's recipients, in a stable order; or this contact, if they are one."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "contact_id": contact_id}
    async with db.cursor(row_factory=class_row(ContactRow)) as cursor:
        await cursor.execute(sql("emails", "reader"), parameters)
        return await cursor.fetchone()


async def readers(db: Connection, tenant: UUID, campaign_id: UUID, limit: int) -> list[ContactRow]:
    """The recipients that a mail would go to, at most `limit`, in a stable order."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "limit": limit}
    async with db.cursor(row_factory=class_row(ContactRow)) as cursor:
        await cursor.execute(sql("emails", "readers"), parameters)
        return await cursor.fetchall()


async def stand_ins(db: Connection, tenant: UUID, campaign_id: UUID) -> list[StandInRow]:
    """One recipient of the template for each set of known fields, those who stand for most people first."""
    async with db.cursor(row_factory=class_row(StandInRow)) as cursor:
        await cursor.execute(sql("emails", "stand_ins"), {"tenant": tenant, "campaign_id": campaign_id})
        return await cursor.fetchall()


async def search(
    db: Connection, tenant: UUID, *, words: list[str], vector: HalfVector, model: str, floor: float, limit: int
) -> list[FoundEmailRow]:
    """Templates of all campaigns, best first: by meaning, and by rare words of campaign, subject and body."""
    async with db.cursor(row_factory=class_row(FoundEmailRow)) as cursor:
        await cursor.execute(
            sql("emails", "search"),
            {
                "tenant": tenant, "words": words, "vector": vector, "model": model, "bonus": WORD_BONUS,
                "floor": floor, "limit": limit,
            },
        )  # fmt: skip
        return await cursor.fetchall()


async def save(
    db: Connection, tenant: UUID, *, campaign_id: UUID, contact_id: UUID | None, variant: str = "a", subject: str,
    body: str, written_by: str, unknown_claims: list[str], vector: HalfVector | None, model: str | None, at: datetime,
) -> UUID:  # fmt: skip
    """Store the template, or with `contact_id` that contact's draft, over the one that was there."""
    cursor = await db.execute(
        sql("emails", "save_draft" if contact_id else "save_template"),
        {
            "tenant": tenant, "campaign_id": campaign_id, "contact_id": contact_id, "variant": variant,
            "subject": subject, "body": body, "written_by": written_by, "unknown_claims": unknown_claims,
            "vector": vector, "model": model, "at": at,
        },
    )  # fmt: skip
    row = await cursor.fetchone()
    assert row is not None
    id: UUID = row[0]
    return id


async def _rows(db: Connection, name: str, parameters: dict[str, Any]) -> list[EmailRow]:
    async with db.cursor(row_factory=class_row(EmailRow)) as cursor:
        await cursor.execute(sql("emails", name), parameters)
        return await cursor.fetchall()
