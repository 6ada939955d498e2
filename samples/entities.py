"""What the sample consists of: plain values, named like the tables that will hold them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID, uuid5

# Every id of the sample descends from this one, so that loading it twice meets the same rows.
NAMESPACE = UUID("6f0d3c52-9a0e-5b7e-8a41-2f6c1d7be930")

ContactStatus = Literal["subscribed", "unconfirmed", "unsubscribed", "bounced", "complained"]
CampaignStatus = Literal["draft", "completed"]
DeliveryState = Literal["sent", "failed", "skipped"]
EventKind = Literal["open", "click", "conversion", "bounce", "complaint", "unsubscribe"]
EventClass = Literal["human", "machine", "unknown"]
Variant = Literal["a", "b"]


def sample_id(tenant: UUID, *parts: str) -> UUID:
    """Return the id that a thing of this tenant always has, given its kind and its natural key."""
    # A unit separator, which no key contains: ("a", "b c") and ("a b", "c") stay apart.
    return uuid5(NAMESPACE, "\x1f".join((str(tenant), *parts)))


@dataclass(frozen=True, slots=True)
class SampleTenant:
    """The shop that sends."""

    id: UUID
    name: str
    slug: str
    time_zone: str
    country: str
    sender_name: str
    sender_email: str
    website: str
    postal_address: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SampleContact:
    """A person on the list. Names, number and description may be empty.

    `left_by` says how somebody who is no longer mailed left: "form", or the name of a campaign.
    """

    id: UUID
    email: str
    first_name: str
    last_name: str
    phone_number: str
    description: str
    tags: tuple[str, ...]
    time_zone: str
    status: ContactStatus
    created_at: datetime
    left_at: datetime | None = None
    left_by: str = ""


@dataclass(frozen=True, slots=True)
class SampleEmail:
    """One wording of a campaign's mail: Markdown with Liquid merge tags."""

    id: UUID
    variant: Variant
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """One line of the ledger. A skipped one was never handed to a server and has no time."""

    contact_id: UUID
    contact_email: str
    email_id: UUID
    variant: Variant
    state: DeliveryState
    sent_at: datetime | None
    smtp_answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class SampleEvent:
    """Something that came back. Clicks have a url, conversions a value in pounds."""

    id: UUID
    contact_id: UUID
    contact_email: str
    email_id: UUID
    kind: EventKind
    at: datetime
    class_: EventClass
    reason: str
    url: str | None = None
    value: Decimal | None = None
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class SampleCampaign:
    """A campaign with its mails and, when it was sent, everything that happened to them."""

    id: UUID
    name: str
    description: str
    status: CampaignStatus
    audience: str
    created_at: datetime
    send_at: datetime | None
    completed_at: datetime | None
    emails: list[SampleEmail]
    deliveries: list[SampleDelivery]
    events: list[SampleEvent]


@dataclass(frozen=True, slots=True)
class Sample:
    """The whole sample: one shop, its contacts, its campaigns from the oldest to the newest, drafts last."""

    tenant: SampleTenant
    contacts: list[SampleContact]
    campaigns: list[SampleCampaign]
