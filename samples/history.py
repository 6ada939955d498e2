"""The sample's year: contacts.csv and campaigns.yaml played out, the same for the same `now`."""

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml

from samples.behaviour import Mailing, seeded
from samples.entities import (
    NAMESPACE,
    Sample,
    SampleCampaign,
    SampleContact,
    SampleDelivery,
    SampleEmail,
    SampleEvent,
    SampleTenant,
    Variant,
    sample_id,
)
from samples.plans import Plan, Year, read_plan

__all__ = [
    "Sample",
    "SampleCampaign",
    "SampleContact",
    "SampleDelivery",
    "SampleEmail",
    "SampleEvent",
    "SampleTenant",
    "load",
    "sample_id",
]

# An audience is chosen some days before the mail goes; who leaves in between is skipped, not forgotten.
CHOSEN_BEFORE = timedelta(days=4)
BETWEEN_TWO_MAILS = timedelta(seconds=1.5)
SETTLED_AFTER = timedelta(days=12)


def load(now: datetime, tenant_id: UUID | None = None) -> Sample:
    """Return the sample as it stands at `now` (an aware time), for the given tenant or for its own."""
    if now.tzinfo is None:
        raise ValueError("The sample needs to know the zone of `now`.")
    now = now.astimezone(UTC)
    outline = _outline()
    tenant = _tenant(outline["tenant"], now, tenant_id)
    zone = ZoneInfo(tenant.time_zone)
    year = Year([read_plan(entry, zone, now) for entry in outline["campaigns"]], outline["causes"])
    contacts = [_departed(contact, year) for contact in _contacts(tenant, now)]
    past = [_play(tenant.id, year, plan, contacts) for plan in year.plans]
    return Sample(tenant, contacts, past + _drafts(tenant.id, outline["drafts"], now))


def _outline() -> dict[str, Any]:
    text = files("samples").joinpath("campaigns.yaml").read_text(encoding="utf-8")
    outline: dict[str, Any] = yaml.safe_load(text)
    return outline


def _tenant(entry: dict[str, str], now: datetime, tenant_id: UUID | None) -> SampleTenant:
    own = sample_id(NAMESPACE, "tenant", entry["slug"])
    return SampleTenant(id=tenant_id or own, created_at=now - timedelta(days=1600), **entry)


def _contacts(tenant: SampleTenant, now: datetime) -> list[SampleContact]:
    text = files("samples").joinpath("contacts.csv").read_text(encoding="utf-8")
    return [_contact(tenant.id, row, now) for row in csv.DictReader(text.splitlines())]


def _contact(tenant: UUID, row: dict[str, Any], now: datetime) -> SampleContact:
    rng = seeded("joined", row["email"])
    if row["status"] == "unconfirmed":
        days = rng.uniform(1, 60)
    elif row["status"] != "subscribed" or "lapsed" in row["tags"] or rng.random() < 0.85:
        days = rng.uniform(380, 1500)
    else:
        days = rng.uniform(2, 380)
    fields = {**row, "tags": tuple(filter(None, row["tags"].split(";")))}
    id = sample_id(tenant, "contact", row["email"].lower())
    return SampleContact(id=id, created_at=now - timedelta(days=days), **fields)


def _departed(contact: SampleContact, year: Year) -> SampleContact:
    """Decide when somebody who is no longer mailed left, and over which campaign."""
    if contact.status in ("subscribed", "unconfirmed"):
        return contact
    rng = seeded("left", contact.email)
    received = [plan for plan in year.plans if plan.addresses(contact)]
    if contact.status == "unsubscribed" and rng.random() < 0.2:
        at = contact.created_at + rng.random() * (received[-1].sent_at - contact.created_at)
        return replace(contact, left_at=at, left_by="form")
    if contact.status == "bounced":
        plan = rng.choice(received)
        return replace(contact, left_at=plan.sent_at, left_by=plan.name)
    wish = [year.chance("leave", plan, plan.subjects[0], contact) for plan in received]
    plan = rng.choices(received, wish)[0]
    at = plan.sent_at + timedelta(minutes=rng.uniform(20, 20 * 60))
    return replace(contact, left_at=at, left_by=plan.name)


def _play(tenant: UUID, year: Year, plan: Plan, contacts: list[SampleContact]) -> SampleCampaign:
    emails = _emails(tenant, plan.name, plan.subjects, plan.body)
    deliveries: list[SampleDelivery] = []
    events: list[SampleEvent] = []
    for contact in filter(plan.addresses, contacts):
        if contact.left_at is not None and contact.left_at <= plan.sent_at - CHOSEN_BEFORE:
            continue
        at = plan.sent_at + BETWEEN_TWO_MAILS * len(deliveries)
        # Taking turns keeps the halves of a trial equal.
        email = emails[len(deliveries) % len(emails)]
        mailing = Mailing(tenant, year, plan, email, contact)
        gone = contact.left_at is not None and contact.left_at < plan.sent_at
        deliveries.append(mailing.skip() if gone else mailing.happen(at))
        events += mailing.events
    return SampleCampaign(
        id=sample_id(tenant, "campaign", plan.name),
        name=plan.name,
        description=plan.description,
        status="completed",
        audience=plan.audience,
        created_at=plan.sent_at - CHOSEN_BEFORE,
        send_at=plan.sent_at,
        completed_at=plan.sent_at + SETTLED_AFTER,
        emails=emails,
        deliveries=deliveries,
        events=sorted(events, key=lambda event: (event.at, event.id)),
    )


def _emails(tenant: UUID, campaign: str, subjects: tuple[str, ...], body: str) -> list[SampleEmail]:
    variants: tuple[Variant, ...] = ("a", "b")
    return [
        SampleEmail(sample_id(tenant, "email", campaign, variant), variant, subject, body)
        for variant, subject in zip(variants, subjects, strict=False)
    ]


def _drafts(tenant: UUID, entries: list[dict[str, Any]], now: datetime) -> list[SampleCampaign]:
    return [
        SampleCampaign(
            id=sample_id(tenant, "campaign", entry["name"]),
            name=entry["name"],
            description=entry["description"],
            status="draft",
            audience=entry["audience"]["words"],
            created_at=now - timedelta(days=4 - place),
            send_at=None,
            completed_at=None,
            emails=_emails(tenant, entry["name"], (entry["subject"],), entry["body"]),
            deliveries=[],
            events=[],
        )
        for place, entry in enumerate(entries)
    ]
