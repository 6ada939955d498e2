"""Put the sample into a tenant: one transaction, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pgvector import HalfVector

from db import analytics, bulk, campaigns, contacts
from db.deliveries import suppress
from db.embeddings import Embedder, EmbeddingError
from db.pool import Connection, Database
from samples import history
from samples.entities import Sample, sample_id
from tools import campaigns as campaign_tools
from tools import contacts as contact_tools
from tools import emails as email_tools

# One for each tenant: two programs that load at once go one after the other.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s::text, 7))"

Progress = Callable[[str], None]


class SampleInTheWay(RuntimeError):
    """The tenant has something of its own with a name or address of the sample's."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The sample can't be loaded: there is already {what}. Load it into a tenant of its own.")


@dataclass(frozen=True)
class LoadedSample:
    """How many rows were added: none when the sample was there already."""

    contacts: int = 0
    campaigns: int = 0
    deliveries: int = 0
    events: int = 0
    already_there: bool = False

    def text(self) -> str:
        if self.already_there:
            return "The sample is there already; nothing was changed."
        return (
            f"Loaded {self.contacts:,} contacts and {self.campaigns:,} campaigns with {self.deliveries:,} mails and "
            f"{self.events:,} events. Nobody in them is real."
        )


async def load(
    database: Database, tenant: UUID, embedder: Embedder, now: datetime, progress: Progress | None = None
) -> LoadedSample:
    """Insert the whole sample for `tenant`, or nothing when any of it is there. Raises `SampleInTheWay`.

    Texts are embedded before the transaction begins; when that fails they are stored without, as tools do.
    """
    tell = progress or (lambda _: None)
    sample = history.load(now, tenant)
    async with database.transaction(tenant) as db:
        if await _is_there(db, tenant, sample):
            return LoadedSample(already_there=True)
    tell("Reading what is known about the contacts, so that they are found by meaning")
    vectors = await _embedded(embedder, sample)
    tell("Writing contacts, campaigns and a year of mails")
    async with database.transaction(tenant) as db:
        await db.execute(LOCK, (tenant,))
        if await _is_there(db, tenant, sample):
            return LoadedSample(already_there=True)
        loaded = await _write(db, tenant, sample, vectors, embedder.name)
        tell("Adding up the figures")
        for campaign in sample.campaigns:
            if campaign.deliveries:
                await analytics.roll_up(db, tenant, campaign.id)
    return loaded


async def _is_there(db: Connection, tenant: UUID, sample: Sample) -> bool:
    for campaign in sample.campaigns:
        if await campaigns.find(db, tenant, campaign.id) is not None:
            return True
    for campaign in sample.campaigns:
        other = await campaigns.by_name(db, tenant, campaign.name)
        if other is not None and other.status != "cancelled":
            raise SampleInTheWay(what=f"a campaign called {campaign.name}")
    others = await contacts.by_emails(db, tenant, [contact.email for contact in sample.contacts])
    if others:
        raise SampleInTheWay(what=f"a contact with the address {others[0].email}")
    return False


async def _embedded(embedder: Embedder, sample: Sample) -> dict[UUID, HalfVector]:
    """The vectors by the id of their contact, campaign or mail; texts are those that the tools would embed."""
    texts = {
        contact.id: contact_tools.embedded_text(list(contact.tags), contact.description) for contact in sample.contacts
    }
    for campaign in sample.campaigns:
        texts[campaign.id] = campaign_tools.embedded_text(campaign.name, campaign.description)
        texts |= {email.id: email_tools.embedded_text(email.subject, email.body) for email in campaign.emails}
    known = {id: text for id, text in texts.items() if text}
    try:
        return dict(zip(known, await embedder.embed(list(known.values())), strict=True))
    except EmbeddingError:
        return {}


async def _write(
    db: Connection, tenant: UUID, sample: Sample, vectors: dict[UUID, HalfVector], model: str
) -> LoadedSample:
    async def insert(table: str, columns: str, rows: Iterator[Sequence[Any]]) -> int:
        return await bulk.insert(db, tenant, table, columns, rows)

    def embedding(id: UUID) -> tuple[HalfVector | None, str | None]:
        return (vectors[id], model) if id in vectors else (None, None)

    zone = ZoneInfo(sample.tenant.time_zone)
    domain = sample.tenant.sender_email.partition("@")[2]

    def known(text: str) -> str | None:
        return text or None

    added_contacts = await insert(
        "contacts",
        "contact_id email first_name last_name phone_number description status tags time_zone created_at updated_at "
        "vector_embedding embedding_model",
        (
            (
                c.id, c.email, known(c.first_name), known(c.last_name), known(c.phone_number), known(c.description),
                c.status, list(c.tags), known(c.time_zone), c.created_at, c.left_at or c.created_at, *embedding(c.id),
            )
            for c in sample.contacts
        ),
    )  # fmt: skip
    added_campaigns = await insert(
        "campaigns",
        "campaign_id name description start_date status send_at created_at updated_at vector_embedding embedding_model",
        (
            (
                c.id, c.name, c.description, _day(c.send_at, zone), c.status, c.send_at, c.created_at,
                c.completed_at or c.created_at, *embedding(c.id),
            )
            for c in sample.campaigns
        ),
    )  # fmt: skip
    await insert(
        "campaign_emails",
        "campaign_id email_id variant subject body written_by sent_date created_at updated_at vector_embedding "
        "embedding_model",
        (
            (
                c.id, e.id, e.variant, e.subject, e.body, "person", c.send_at, c.created_at, c.created_at,
                *embedding(e.id),
            )
            for c in sample.campaigns
            for e in c.emails
        ),
    )  # fmt: skip
    # Who got a campaign was in it; those added later are not.
    await insert(
        "campaign_contacts",
        "campaign_id contact_id added_at",
        ((c.id, d.contact_id, c.created_at) for c in sample.campaigns for d in c.deliveries),
    )
    deliveries = await insert(
        "deliveries",
        "campaign_id contact_id email_id variant address state reason message_id attempts sent_at smtp_code "
        "smtp_answer created_at updated_at next_attempt_at",
        (
            (
                c.id, d.contact_id, d.email_id, d.variant, d.contact_email, d.state, known(d.reason),
                f"<{sample_id(tenant, 'message', c.name, d.contact_email)}@{domain}>",
                0 if d.state == "skipped" else 1, d.sent_at if d.state == "sent" else None, _code(d.smtp_answer),
                known(d.smtp_answer), c.created_at, d.sent_at or c.send_at, c.send_at,
            )
            for c in sample.campaigns
            for d in c.deliveries
        ),
    )  # fmt: skip
    events = await insert(
        "events",
        "campaign_id event_id contact_id kind at class reason classified_at url value user_agent",
        (
            (
                c.id, e.id, e.contact_id, e.kind, e.at, e.class_, known(e.reason), e.at, e.url, e.value,
                known(e.user_agent),
            )
            for c in sample.campaigns
            for e in c.events
        ),
    )  # fmt: skip
    for contact in sample.contacts:
        if contact.left_at:
            await suppress(db, tenant, contact.email, reason=contact.status, source="sample", at=contact.left_at)
    return LoadedSample(contacts=added_contacts, campaigns=added_campaigns, deliveries=deliveries, events=events)


def _day(moment: datetime | None, zone: ZoneInfo) -> date | None:
    return moment.astimezone(zone).date() if moment else None


def _code(answer: str) -> int | None:
    """The SMTP code that an answer begins with."""
    return int(answer[:3]) if answer[:3].isdecimal() else None
