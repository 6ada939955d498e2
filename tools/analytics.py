"""How campaigns did: one summed up, several compared. Every figure is counted in SQL; words are built from figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import combinations
from statistics import median
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from db import analytics
from db.analytics import PastRow, TotalsRow
from db.pool import Connection
from mail.significance import ALPHA, CONFIDENCE, Difference, holm, strength, two_proportions, wilson
from tools.base import Arguments, Context, Result, Text, tool
from tools.campaigns import find_campaign
from tools.dates import in_words, read_date, read_moment
from tools.errors import FutureSince, InvalidArguments, TooFewToCompare
from tools.fields import CampaignName
from tools.lists import cell
from tools.trials import Trial, tried

# With fewer mails than this a rate says next to nothing: its interval would be over thirty points wide.
ENOUGH = 30

# Fewer past campaigns have no usual figure.
ENOUGH_CAMPAIGNS = 3

# What came back within a day is not yet what will come back.
SETTLING = timedelta(days=1)

# Over all campaigns: so many of the latest.
MOST_CAMPAIGNS = 50

EARLIEST_YEAR = 1971

Outcome = Literal["click", "open", "conversion"]

_DID: dict[Outcome, str] = {"click": "clicked", "open": "opened", "conversion": "converted"}


class Rate(BaseModel):
    """How many of how many, as a share with its 95 % interval (Wilson)."""

    count: int
    of: int
    share: float
    low: float
    high: float

    @classmethod
    def measured(cls, count: int, of: int) -> Rate | None:
        """None where there are too few for a rate, or it is none (conversions can be more than mails)."""
        if of < ENOUGH or count > of:
            return None
        low, high = wilson(count, of)
        return cls(count=count, of=of, share=count / of, low=low, high=high)

    def text(self) -> str:
        return f"{percent(self.share)} ({self.count:,} of {self.of:,}; {percent(self.low)} to {percent(self.high)})"


class Figures(BaseModel):
    """The facts of one campaign, or of several together. Times are UTC; opens and clicks are people's."""

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    skipped: int = 0
    unclear: int = 0
    """Mails of which a crash left unknown whether they went out."""
    bounced: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    converted: int = 0
    """Mails whose reader opened, clicked, converted at least once."""
    total_clicks: int = 0
    conversions: int = 0
    value: Decimal = Decimal(0)
    unsubscribed: int = 0
    complained: int = 0
    machine_opens: int = 0
    machine_clicks: int = 0
    open_rate: Rate | None = None
    click_rate: Rate | None = None
    click_to_open: Rate | None = None
    conversion_rate: Rate | None = None

    @classmethod
    def of(cls, rows: Sequence[TotalsRow]) -> Figures:
        def total(name: str) -> int:
            return sum(int(getattr(row, name)) for row in rows)

        counted = {
            name: total(name) for name in cls.model_fields if name in TotalsRow.__dataclass_fields__ and name != "value"
        }
        figures = cls(
            **counted, delivered=total("delivered"), total_clicks=total("clicks"),
            value=sum((row.value for row in rows), Decimal(0)),
        )  # fmt: skip
        delivered, opened = figures.delivered, figures.opened
        return figures.model_copy(
            update={
                "open_rate": Rate.measured(opened, delivered),
                "click_rate": Rate.measured(figures.clicked, delivered),
                "click_to_open": Rate.measured(total("opened_and_clicked"), opened),
                "conversion_rate": Rate.measured(figures.converted, delivered),
            }
        )

    def rate(self, outcome: Outcome) -> Rate | None:
        return {"click": self.click_rate, "open": self.open_rate, "conversion": self.conversion_rate}[outcome]

    def count(self, outcome: Outcome) -> int:
        return {"click": self.clicked, "open": self.opened, "conversion": self.converted}[outcome]


class CampaignFigures(BaseModel):
    campaign: str
    campaign_id: UUID
    status: str
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    figures: Figures

    @classmethod
    def of_row(cls, row: TotalsRow) -> CampaignFigures:
        return cls(
            campaign=row.name, campaign_id=row.campaign_id, status=row.status, first_sent_at=row.first_sent_at,
            last_sent_at=row.last_sent_at, figures=Figures.of([row]),
        )  # fmt: skip


class Link(BaseModel):
    url: str
    people: int
    clicks: int


class Usual(BaseModel):
    """The medians of the tenant's earlier campaigns, and where this one stands."""

    campaigns: int
    open_share: float
    click_share: float
    opens: str
    clicks: str

    def text(self) -> str:
        return (
            f"Beside the {self.campaigns} campaigns before it (medians): opens {self.opens} "
            f"({percent(self.open_share)}), clicks {self.clicks} ({percent(self.click_share)})."
        )


class PerformanceSummary(Result):
    """What became of a campaign's mails. Without a campaign: of all that were sent."""

    campaigns: list[CampaignFigures]
    since: datetime | None = None
    time_zone: str
    figures: Figures
    links: list[Link] = []
    usual: Usual | None = None
    trial: Trial | None = None
    """Its variants side by side, where it has some."""
    still_coming: bool = False
    """Whether the last mail is less than a day old."""
    confidence: int = round(CONFIDENCE * 100)
    enough: int = ENOUGH
    """How many delivered mails a rate needs."""
    more_campaigns: bool = False

    def text(self) -> str:
        f, zone = self.figures, ZoneInfo(self.time_zone)
        since = f" since {in_words(self.since, zone)}" if self.since else ""
        if not self.campaigns:
            return (
                f"No mail was sent{since}."
                if since
                else "No campaign has been sent yet, so there is nothing to sum up."
            )
        only = self.campaigns[0] if len(self.campaigns) == 1 else None
        if only is not None and not f.sent and not f.delivered:
            return _not_sent(only)
        lines = [f"**{self._title(only, since, zone)}**", ""]
        lines += [f"- {line}" for line in [self._sent(), *self._answers(), *self._others()]]
        if self.links:
            lines += ["", "| link | people | clicks |", "|---|---:|---:|"]
            lines += [f"| {cell(link.url, 80)} | {link.people:,} | {link.clicks:,} |" for link in self.links]
        if only is None:
            lines += ["", *_table(self.campaigns, zone)]
            if self.more_campaigns:
                lines.append("\nOnly the latest campaigns are counted here.")
        lines += ["", *self._notes()]
        if self.trial is not None:
            lines += ["", self._trial(self.trial, zone)]
        return "\n".join(lines).strip()

    def _trial(self, trial: Trial, zone: ZoneInfo) -> str:
        part = f", tried on {trial.share} % of the people" if trial.share is not None and trial.share < 100 else ""
        return f"Variants{part}:\n\n{trial.text(zone)}"

    def _title(self, only: CampaignFigures | None, since: str, zone: ZoneInfo) -> str:
        if only is None:
            return (
                f"{len(self.campaigns):,} campaigns with mail sent{since}"
                if since
                else f"{len(self.campaigns):,} campaigns"
            )
        sent = f", sent {in_words(only.first_sent_at, zone)}" if only.first_sent_at else ""
        return f"{only.campaign}{sent}{f': what happened{since}' if since else ''}"

    def _sent(self) -> str:
        f = self.figures
        parts = [f"{f.sent:,} sent", f"{f.delivered:,} delivered", f"{f.failed:,} failed", f"{f.bounced:,} bounced"]
        parts += [f"{f.waiting:,} still waiting to go out"] if f.waiting else []
        parts += [f"{f.skipped:,} skipped (no longer subscribed)"] if f.skipped else []
        parts += [f"{f.unclear:,} in flight when the program stopped"] if f.unclear else []
        return f"mails: {', '.join(parts)}"

    def _answers(self) -> list[str]:
        f = self.figures
        opened = f.open_rate.text() if f.open_rate else f"{f.opened:,} of {f.delivered:,}"
        clicked = f.click_rate.text() if f.click_rate else f"{f.clicked:,} of {f.delivered:,}"
        lines = [
            f"opened by people: {opened}",
            f"clicked by people: {clicked}, {_count(f.total_clicks, 'click')} in all",
        ]
        if f.click_to_open:
            lines.append(f"of those who opened, clicked: {f.click_to_open.text()}")
        rate = f", {f.conversion_rate.text()}" if f.conversion_rate and f.converted else ""
        value = f", worth {f.value:,.2f}" if f.value else ""
        lines.append(f"conversions: {f.conversions:,} by {_people(f.converted)}{rate}{value}")
        return lines

    def _others(self) -> list[str]:
        f = self.figures
        return [
            f"unsubscribed: {f.unsubscribed:,}; complaints: {f.complained:,}",
            "left out, done by machines (privacy proxies, scanners): "
            f"{_count(f.machine_opens, 'open')}, {_count(f.machine_clicks, 'click')}",
        ]

    def _notes(self) -> list[str]:
        notes = []
        if self.figures.delivered < self.enough:
            notes.append(f"Not enough data for rates: they need {self.enough} delivered mails.")
        else:
            notes.append(f"Ranges are {self.confidence} % intervals.")
        if self.still_coming:
            notes.append("The last mail is less than a day old: more will come in.")
        if self.usual:
            notes.append(self.usual.text())
        elif len(self.campaigns) == 1 and self.since is None and self.figures.open_rate:
            notes.append("There are not enough earlier campaigns to say whether that is usual.")
        return [" ".join(notes)]


class SummarizePerformance(Arguments):
    campaign: Annotated[CampaignName, Field(description="Name or id; leave out for all campaigns.")] | None = None
    since: (
        Annotated[Text, Field(max_length=60, description="Date or time; only what happened from then on.")] | None
    ) = None


@tool(effect="read")
async def summarize_performance(args: SummarizePerformance, ctx: Context) -> PerformanceSummary:
    """How a campaign did: sent, opened, clicked, converted, links, beside the usual. Without `campaign`: all."""
    since = read_since(args.since, ctx) if args.since else None
    async with ctx.transaction() as db:
        more = False
        if args.campaign:
            ids = [(await find_campaign(db, ctx, args.campaign)).campaign_id]
        else:
            ids = await analytics.sent_since(db, ctx.tenant.id, since, MOST_CAMPAIGNS + 1)
            more, ids = len(ids) > MOST_CAMPAIGNS, ids[:MOST_CAMPAIGNS]
        rows = await analytics.totals(db, ctx.tenant.id, ids, since)
        links = await analytics.links(db, ctx.tenant.id, ids, since)
        usual = await usual_figures(db, ctx, rows[0]) if args.campaign and since is None else None
        trial = await tried(db, ctx, ids[0]) if args.campaign and since is None else None
    last = max((row.last_sent_at for row in rows if row.last_sent_at), default=None)
    return PerformanceSummary(
        campaigns=[CampaignFigures.of_row(row) for row in rows], since=since, time_zone=ctx.tenant.time_zone,
        figures=Figures.of(rows), links=[Link(url=link.url, people=link.people, clicks=link.clicks) for link in links],
        usual=usual, trial=trial, still_coming=last is not None and ctx.now() - last < SETTLING, more_campaigns=more,
    )  # fmt: skip


class Compared(BaseModel):
    """The difference between two campaigns in one outcome: `better` less `worse`, in shares."""

    outcome: Outcome
    better: str
    worse: str
    better_share: float
    worse_share: float
    difference: float
    low: float
    high: float
    p: float
    adjusted_p: float
    """After Holm's correction for all comparisons made at once."""
    verdict: str

    @property
    def is_clear(self) -> bool:
        return self.adjusted_p < ALPHA

    def text(self) -> str:
        figures = (
            f"{percent(self.better_share)} against {percent(self.worse_share)}, a difference of "
            f"{points(self.difference)} ({points(self.low)} to {points(self.high)})"
        )
        more = f"{self.better} more than {self.worse}"
        return f"{more}: {figures}; {self.verdict}" if self.is_clear else f"{more}, but {self.verdict}: {figures}"


class CampaignComparison(Result):
    """Campaigns side by side, in the order they were sent, and what differs beyond chance."""

    campaigns: list[CampaignFigures]
    differences: list[Compared]
    """All pairs, every outcome."""
    pairs: int
    comparisons: int
    not_enough: list[str]
    """Campaigns with too few delivered mails to compare."""
    enough: int = ENOUGH
    confidence: int = round(CONFIDENCE * 100)
    time_zone: str

    def text(self) -> str:
        lines = [*_table(self.campaigns, ZoneInfo(self.time_zone)), ""]
        lines += [f"- {_DID[outcome]}: {self._verdict(outcome)}" for outcome in _DID if self.differences]
        if self.not_enough:
            lines.append(
                f"- not enough data (fewer than {self.enough} delivered mails) to compare: {', '.join(self.not_enough)}"
            )
        if self.differences:
            lines += [
                "",
                f"Differences are in percentage points with {self.confidence} % intervals; “evidence” allows for "
                f"the {self.comparisons} comparisons made here. The campaigns may have gone to different people at "
                "different times, so a difference need not come from the mail itself.",
            ]
        return "\n".join(lines)

    def _verdict(self, outcome: Outcome) -> str:
        pairs = [pair for pair in self.differences if pair.outcome == outcome]
        clear = [pair for pair in pairs if pair.is_clear]
        if len(pairs) == 1:
            return pairs[0].text()
        if not clear:
            return f"no clear difference between any two of the {self.pairs} pairs"
        # The pairs of whoever is best come first: people ask which one won.
        best = max((pair for pair in pairs), key=lambda pair: pair.better_share).better
        first = [pair for pair in clear if pair.better == best] or clear
        more = "; others differ clearly as well" if len(clear) > len(first) else ""
        return "; ".join(pair.text() for pair in first) + more


class CompareCampaigns(Arguments):
    campaigns: Annotated[list[CampaignName], Field(max_length=10, description="Two to ten names or ids.")]


@tool(effect="read")
async def compare_campaigns(args: CompareCampaigns, ctx: Context) -> CampaignComparison:
    """Put two to ten campaigns side by side and say which differences in clicks, opens, conversions are real."""
    async with ctx.transaction() as db:
        ids = list(dict.fromkeys([(await find_campaign(db, ctx, name)).campaign_id for name in args.campaigns]))
        if len(ids) < 2:
            raise TooFewToCompare()
        rows = await analytics.totals(db, ctx.tenant.id, ids)
    sides = [CampaignFigures.of_row(row) for row in rows]
    measured = [side for side in sides if side.figures.delivered >= ENOUGH]
    differences = _differences(measured)
    return CampaignComparison(
        campaigns=sides, differences=differences, comparisons=len(differences),
        pairs=len(measured) * (len(measured) - 1) // 2, time_zone=ctx.tenant.time_zone,
        not_enough=[side.campaign for side in sides if side.figures.delivered < ENOUGH],
    )  # fmt: skip


def _differences(sides: list[CampaignFigures]) -> list[Compared]:
    """Every pair in every outcome, tested together: who looks at ten campaigns must not find a winner by luck."""
    tests: list[tuple[Outcome, CampaignFigures, CampaignFigures, Difference]] = []
    for outcome in _DID:
        for one, other in combinations(sides, 2):
            rates = one.figures.rate(outcome), other.figures.rate(outcome)
            if rates[0] is None or rates[1] is None:
                continue
            if rates[0].share < rates[1].share:
                one, other, rates = other, one, (rates[1], rates[0])
            better, worse = rates[0], rates[1]
            assert better is not None
            assert worse is not None
            tests.append((outcome, one, other, two_proportions(better.count, better.of, worse.count, worse.of)))
    adjusted = holm([test.p for *_, test in tests])
    return [
        Compared(
            outcome=outcome, better=one.campaign, worse=other.campaign,
            better_share=one.figures.count(outcome) / one.figures.delivered,
            worse_share=other.figures.count(outcome) / other.figures.delivered,
            difference=test.value, low=test.low, high=test.high, p=test.p, adjusted_p=p, verdict=strength(p),
        )
        for (outcome, one, other, test), p in zip(tests, adjusted, strict=True)
    ]  # fmt: skip


async def usual_figures(db: Connection, ctx: Context, row: TotalsRow) -> Usual | None:
    """How the campaign stands beside those sent before it; None where it or they are too few."""
    if row.first_sent_at is None or row.delivered < ENOUGH:
        return None
    sent_at = row.first_sent_at
    past = await analytics.past(db, ctx.tenant.id)
    # A roll-up knows hours, so a campaign is compared with itself if only its hour is looked at.
    before = [p for p in past if p.sent_at < sent_at and p.campaign_id != row.campaign_id and p.delivered >= ENOUGH]
    if len(before) < ENOUGH_CAMPAIGNS:
        return None
    opens, clicks = median_shares(before)
    figures = Figures.of([row])
    return Usual(
        campaigns=len(before), open_share=opens, click_share=clicks, opens=_beside(figures.open_rate, opens),
        clicks=_beside(figures.click_rate, clicks),
    )  # fmt: skip


def median_shares(rows: Sequence[PastRow]) -> tuple[float, float]:
    """The medians of their open and click rates."""
    return median(r.opened / r.delivered for r in rows), median(r.clicked / r.delivered for r in rows)


def _beside(rate: Rate | None, usual: float) -> str:
    if rate is None or rate.low <= usual <= rate.high:
        return "about as usual"
    return "above the usual" if usual < rate.low else "below the usual"


def read_since(text: str, ctx: Context) -> datetime:
    """A date means its beginning, in the tenant's zone. Raises `BadDate` or `FutureSince`."""
    if len(text) <= len("2026-12-05"):
        since = datetime.combine(read_date(text), time(), ctx.tenant.zone)
    else:
        since = read_moment(text, ctx.tenant.zone)
    # The year 1 has no place in every zone.
    if since.year < EARLIEST_YEAR:
        raise InvalidArguments(problems=f"since: {text[:60]!r} is before there was any e-mail.")
    if since > ctx.now():
        raise FutureSince(time=in_words(since, ctx.tenant.zone))
    return since


def _not_sent(side: CampaignFigures) -> str:
    f = side.figures
    if f.waiting:
        return (
            f"{side.campaign} is on its way: {_people(f.waiting)} are still to get it. Ask again when it has gone out."
        )
    if f.failed:
        return f"{side.campaign} reached nobody: {f.failed:,} mails failed. Look at why before you send again."
    return (
        f"{side.campaign} has not been sent yet (status: {side.status}), so there are no figures. {_next(side.status)}"
    )


def _next(status: str) -> str:
    match status:
        case "draft":
            return "Ask to send it when its people and its mail are ready."
        case "scheduled":
            return "It goes out at its sending time."
        case "cancelled":
            return "It was cancelled and never will be."
        case _:
            return "Ask again once mails have gone out."


def _table(sides: list[CampaignFigures], zone: ZoneInfo) -> list[str]:
    rows = [
        "| campaign | sent | delivered | opened | clicked | clicked of opened | converted | unsubscribed |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for side in sides:
        f = side.figures
        if not f.delivered:
            rows.append(f"| {cell(side.campaign, 40)} | not sent ({side.status}) | | | | | | |")
            continue
        when = in_words(side.first_sent_at, zone) if side.first_sent_at else ""
        rows.append(
            f"| {cell(side.campaign, 40)} | {when} | {f.delivered:,} | {_share(f.open_rate, f.opened)} | "
            f"{_share(f.click_rate, f.clicked)} | {percent(f.click_to_open.share) if f.click_to_open else ''} | "
            f"{f.converted:,} | {f.unsubscribed:,} |"
        )
    return rows


def _share(rate: Rate | None, count: int) -> str:
    return f"{count:,} ({percent(rate.share)})" if rate else f"{count:,}"


def percent(share: float) -> str:
    """`5.3 %`."""
    return f"{share * 100:.1f} %"


def points(share: float) -> str:
    """`+5.3`: a difference of shares, in percentage points."""
    return f"{share * 100:+.1f}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _people(count: int) -> str:
    return f"{count:,} {'person' if count == 1 else 'people'}"
