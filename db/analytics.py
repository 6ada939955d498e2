"""The figures of campaigns: what became of their mails and what people did with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from pgvector import HalfVector
from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql

# The last of all ids: with it a query that takes a share of the contacts takes all of them.
LAST_ID = UUID(int=2**128 - 1)


@dataclass(frozen=True, kw_only=True)
class TotalsRow:
    """One campaign's facts. Opens and clicks are people's; each person counts once."""

    campaign_id: UUID
    name: str
    status: str
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    sent: int
    """Mails that a server took."""
    failed: int
    """Mails that no server took."""
    skipped: int
    unclear: int
    """Mails in flight when the program died."""
    waiting: int
    bounced: int
    """Sent mails that came back."""
    opened: int
    clicked: int
    opened_and_clicked: int
    converted: int
    unsubscribed: int
    complained: int
    clicks: int
    conversions: int
    value: Decimal
    machine_opens: int
    machine_clicks: int

    @property
    def delivered(self) -> int:
        """Sent and not bounced. Whoever opened or clicked got the mail, even if the ledger does not know."""
        return max(self.sent - self.bounced, self.opened, self.clicked)


@dataclass(frozen=True, kw_only=True)
class PastRow:
    """A sent campaign and the sums of its roll-up."""

    campaign_id: UUID
    name: str
    description: str | None
    status: str
    sent_at: datetime
    sent: int
    bounced: int
    opened: int
    clicked: int
    converted: int
    unsubscribed: int
    share: float
    """Its size beside the largest mailing of the year before it."""

    @property
    def delivered(self) -> int:
        return max(self.sent - self.bounced, self.opened, self.clicked)


@dataclass(frozen=True)
class AudienceRow:
    """Contacts by status; `new`: whoever was added since the day that was asked for."""

    subscribed: int
    unconfirmed: int
    unsubscribed: int
    bounced: int
    complained: int
    new: int


@dataclass(frozen=True, kw_only=True)
class LinkRow:
    url: str
    people: int
    clicks: int


@dataclass(frozen=True)
class LinkCountRow:
    """One link of a campaign: how many people clicked it, how often, and how often machines did."""

    url: str
    person_count: int = 0
    click_count: int = 0
    machine_count: int = 0


@dataclass(frozen=True)
class HourRow:
    """One hour of a campaign, as campaign_analytics has it; `hour` is its beginning, in UTC."""

    hour: datetime
    email_sent_count: int = 0
    email_opened_count: int = 0
    link_clicked_count: int = 0
    total_click_count: int = 0
    conversions: int = 0
    """People; total_conversion_count counts what they did."""
    machine_open_count: int = 0
    machine_click_count: int = 0
    bounce_count: int = 0
    complaint_count: int = 0
    unsubscribe_count: int = 0
    opened_and_clicked_count: int = 0
    total_conversion_count: int = 0
    conversion_value: Decimal = Decimal(0)
    first_sent_at: datetime | None = None
    last_sent_at: datetime | None = None

    def is_empty(self) -> bool:
        """Whether nothing is counted in it: such a row may be there or not."""
        return not any(getattr(self, name) for name in _FIGURES)


# What an hour counts, by its columns.
_FIGURES = tuple(field.name for field in fields(HourRow) if field.name != "hour")


@dataclass(frozen=True, kw_only=True)
class MailRow:
    campaign_id: UUID
    variant: str
    subject: str
    body: str


@dataclass(frozen=True, kw_only=True)
class InsideRow:
    """Mails of one campaign with and without a trait, and (the same on each row of a trait) its sums over people."""

    trait: str
    campaign_id: UUID
    with_mails: int
    without_mails: int
    with_opened: int
    without_opened: int
    with_clicked: int
    without_clicked: int
    q: float
    qq: float
    open_u: float
    open_uu: float
    open_uq: float
    click_u: float
    click_uu: float
    click_uq: float


@dataclass(frozen=True)
class Trial:
    """A variant of a campaign that tried something: whether it has the trait."""

    campaign_id: UUID
    variant: str
    trait: str
    value: bool


Row = TypeVar("Row")


async def totals(
    db: Connection, tenant: UUID, campaigns: Sequence[UUID], since: datetime | None = None
) -> list[TotalsRow]:
    """The facts of these campaigns, first sent first. With `since` only what people and machines did from then on."""
    parameters: dict[str, Any] = {"tenant": tenant, "campaigns": list(campaigns)}
    if since is None:
        return await _rows(db, TotalsRow, "totals", parameters)
    return await _rows(db, TotalsRow, "totals_since", parameters | {"since": since})


async def links(
    db: Connection, tenant: UUID, campaigns: Sequence[UUID], since: datetime | None = None, limit: int = 10
) -> list[LinkRow]:
    """The links that people clicked, most people first."""
    parameters: dict[str, Any] = {"tenant": tenant, "campaigns": list(campaigns), "limit": limit}
    if since is None:
        return await _rows(db, LinkRow, "links", parameters)
    return await _rows(db, LinkRow, "links_since", parameters | {"since": since})


async def audience(db: Connection, tenant: UUID, since: datetime) -> AudienceRow:
    """How many contacts there are of each status, and how many came since then."""
    (row,) = await _rows(db, AudienceRow, "audience", {"tenant": tenant, "since": since})
    return row


async def sent_since(db: Connection, tenant: UUID, since: datetime | None, limit: int) -> list[UUID]:
    """The campaigns that sent mail from then on (None: ever), latest first."""
    cursor = await db.execute(sql("analytics", "sent_since"), {"tenant": tenant, "since": since, "limit": limit})
    return [row[0] for row in await cursor.fetchall()]


async def past(db: Connection, tenant: UUID, limit: int = 200) -> list[PastRow]:
    """The campaigns that were sent, latest first, with the sums of their roll-ups."""
    return await _rows(db, PastRow, "past", {"tenant": tenant, "limit": limit})


async def nearest(
    db: Connection, tenant: UUID, campaigns: Sequence[UUID], *, vector: HalfVector, model: str
) -> dict[UUID, float]:
    """The cosine of each campaign's meaning with `vector`, nearest first."""
    parameters = {"tenant": tenant, "campaigns": list(campaigns), "vector": vector, "model": model}
    cursor = await db.execute(sql("analytics", "nearest"), parameters)
    return {row[0]: float(row[1]) for row in await cursor.fetchall()}


async def mails(db: Connection, tenant: UUID, campaigns: Sequence[UUID]) -> list[MailRow]:
    """The templates of these campaigns, a campaign's in the order of their letters."""
    return await _rows(db, MailRow, "mails", {"tenant": tenant, "campaigns": list(campaigns)})


async def inside_campaigns(
    db: Connection, tenant: UUID, campaigns: Sequence[UUID], *, broad: Sequence[UUID], since: datetime, days: int,
    trials: Sequence[Trial], last: UUID = LAST_ID,
) -> list[InsideRow]:  # fmt: skip
    """Mails of the same campaign compared: near or not, rested (no mail in `days` days) or not, variants of a trial.

    Near is looked at in the `broad` ones. `since` is when the first of the campaigns was sent; `last` bounds the
    contacts to a share of all.
    """
    return await _rows(
        db, InsideRow, "inside_campaigns",
        {
            "tenant": tenant, "campaigns": list(campaigns), "broad": list(broad), "since": since, "days": days,
            "last": last,
            "trial_campaigns": [trial.campaign_id for trial in trials],
            "trial_variants": [trial.variant for trial in trials],
            "trial_traits": [trial.trait for trial in trials],
            "trial_values": [trial.value for trial in trials],
        },
    )  # fmt: skip


async def lock_for_events(db: Connection, tenant: UUID, campaigns: Sequence[UUID]) -> None:
    """Be the only one who adds or judges events of these campaigns, until the transaction ends."""
    await db.execute(sql("analytics", "lock_for_events"), {"tenant": tenant, "campaigns": list(campaigns)})


async def count_sent(db: Connection, tenant: UUID, sent: Sequence[tuple[UUID, UUID, datetime]]) -> None:
    """Add mails to the roll-up: (campaign, contact, sent_at) of ledger rows that this transaction set to `sent`.

    After that statement and last in the transaction, each row once: what is added here is locked until its end.
    """
    if not sent:
        return
    campaigns, contacts, moments = zip(*sent, strict=True)
    locked = {"tenant": tenant, "campaigns": list(set(campaigns)), "alone": False}
    await db.execute(sql("analytics", "lock_for_sends"), locked)
    await db.execute(
        sql("analytics", "count_sent"),
        {"tenant": tenant, "campaigns": list(campaigns), "contacts": list(contacts), "sent_at": list(moments)},
    )


async def add_up(db: Connection, tenant: UUID, hours: Sequence[tuple[UUID, HourRow]]) -> None:
    """Add these figures to the roll-up's; negative ones take away. Under `lock_for_events`."""
    if not hours:
        return
    parameters: dict[str, Any] = {name: [getattr(row, name) for _, row in hours] for name in _FIGURES}
    parameters |= {"tenant": tenant, "campaigns": [id for id, _ in hours], "hours": [row.hour for _, row in hours]}
    await db.execute(sql("analytics", "add_to_hours"), parameters)


async def add_up_links(db: Connection, tenant: UUID, links: Sequence[tuple[UUID, LinkCountRow]]) -> None:
    """Add these counts to the links'; negative ones take away. Under `lock_for_events`."""
    if not links:
        return
    parameters = {
        "tenant": tenant, "campaigns": [id for id, _ in links], "urls": [row.url for _, row in links],
        "person_count": [row.person_count for _, row in links], "click_count": [row.click_count for _, row in links],
        "machine_count": [row.machine_count for _, row in links],
    }  # fmt: skip
    await db.execute(sql("analytics", "add_to_links"), parameters)


async def roll_up(db: Connection, tenant: UUID, campaign_id: UUID) -> None:
    """Work out the campaign's rows of campaign_analytics and campaign_links anew. May run any number of times."""
    await lock_alone(db, tenant, campaign_id)
    parameters = {"tenant": tenant, "campaign_id": campaign_id}
    hours = await recount(db, tenant, campaign_id)
    links = await recount_links(db, tenant, campaign_id)
    await db.execute(sql("analytics", "clear_hours"), parameters)
    await db.execute(sql("analytics", "clear_links"), parameters)
    await add_up(db, tenant, [(campaign_id, row) for row in hours])
    await add_up_links(db, tenant, [(campaign_id, row) for row in links])


async def lock_alone(db: Connection, tenant: UUID, campaign_id: UUID) -> None:
    """Nobody else counts anything of this campaign until the transaction ends."""
    await lock_for_events(db, tenant, [campaign_id])
    parameters = {"tenant": tenant, "campaigns": [campaign_id], "alone": True}
    await db.execute(sql("analytics", "lock_for_sends"), parameters)


async def recount(db: Connection, tenant: UUID, campaign_id: UUID) -> list[HourRow]:
    """The campaign's hours, counted from ledger and events."""
    return await _rows(db, HourRow, "recount", {"tenant": tenant, "campaign_id": campaign_id})


async def hours(db: Connection, tenant: UUID, campaign_id: UUID) -> list[HourRow]:
    """The campaign's hours as the roll-up has them, oldest first."""
    return await _rows(db, HourRow, "hours", {"tenant": tenant, "campaign_id": campaign_id})


async def recount_links(db: Connection, tenant: UUID, campaign_id: UUID) -> list[LinkCountRow]:
    """The campaign's links, counted from its events."""
    return await _rows(db, LinkCountRow, "recount_links", {"tenant": tenant, "campaign_id": campaign_id})


async def link_counts(db: Connection, tenant: UUID, campaign_id: UUID) -> list[LinkCountRow]:
    """The campaign's links as they were counted up."""
    return await _rows(db, LinkCountRow, "link_counts", {"tenant": tenant, "campaign_id": campaign_id})


async def campaigns_with_figures(db: Connection, tenant: UUID) -> list[tuple[UUID, str]]:
    """Id and name of every campaign with mails, events or figures, oldest first."""
    cursor = await db.execute(sql("analytics", "campaigns_with_figures"), {"tenant": tenant})
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def _rows(db: Connection, row: type[Row], name: str, parameters: dict[str, Any]) -> list[Row]:
    async with db.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql("analytics", name), parameters)
        return await cursor.fetchall()
