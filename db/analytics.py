"""The figures of campaigns: what became of their mails and what people did with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class LinkRow:
    url: str
    people: int
    clicks: int


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
    return await _rows(db, TotalsRow, "totals", {"tenant": tenant, "campaigns": list(campaigns), "since": since})


async def links(
    db: Connection, tenant: UUID, campaigns: Sequence[UUID], since: datetime | None = None, limit: int = 10
) -> list[LinkRow]:
    """The links that people clicked, most people first."""
    parameters = {"tenant": tenant, "campaigns": list(campaigns), "since": since, "limit": limit}
    return await _rows(db, LinkRow, "links", parameters)


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


async def roll_up(db: Connection, tenant: UUID, campaign_id: UUID) -> None:
    """Work out the campaign's rows of campaign_analytics anew. May run any number of times."""
    await db.execute(sql("analytics", "roll_up"), {"tenant": tenant, "campaign_id": campaign_id})


async def _rows(db: Connection, row: type[Row], name: str, parameters: dict[str, Any]) -> list[Row]:
    async with db.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql("analytics", name), parameters)
        return await cursor.fetchall()
