"""What the tenant's past campaigns show: traits of mails, and whether more people open or click where they are found.

A trait is looked for in three ways, the surest one that the data allows:

- `trial`: a campaign tried two variants of which one has the trait; who got which was chance.
- `inside`: mails of the same campaign, to people with and without the trait; the campaign itself can't be the reason.
- `between`: campaigns with and without it, the other traits being equal. A campaign counts little more than once,
  however many mails it had: they share whatever else was special about it, and are no independent witnesses.

All tests made at once are corrected together (Benjamini-Hochberg): where nothing works, at most one answer in twenty
claims anything. The traits and their limits are fixed beforehand, never chosen by what the data happens to show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from db import analytics
from db.analytics import LAST_ID, InsideRow, MailRow, PastRow, Trial
from db.pool import Connection
from mail.significance import (
    ALPHA,
    Difference,
    Moments,
    benjamini_hochberg,
    meta_regression,
    shifted,
    strength,
    within,
)  # fmt: skip
from tools.analytics import ENOUGH, ENOUGH_CAMPAIGNS, median_shares, percent, points
from tools.base import Context

How = Literal["trial", "inside", "between"]
Did = Literal["click", "open"]

NOON = 12
SHORT_SUBJECT = 45
FEW_LINKS = 2
REST_DAYS = 14
# A mailing of at least half the size of the year's largest went to (nearly) everybody.
EVERYBODY = 0.5

# A model of campaigns needs so many more than it has traits.
SPARE_CAMPAIGNS = 4

# With fewer opens or clicks in all, the normal approximation of the test inside campaigns is poor.
ENOUGH_ANSWERS = 20

# Comparisons inside campaigns look at about so many mails: a share of the contacts, when there are more.
SAMPLE = 40_000

_LINK = re.compile(r"\]\(\s*<?(https?://[^)\s>]+)", re.IGNORECASE)
_TAG = re.compile(r"{{.*?}}|{%.*?%}", re.DOTALL)
_PERSONAL = re.compile(r"{{[^}]*\b(contact\.|first_name|last_name)")

# What a merge tag takes up in a subject, about: a first name.
_NAME = "Margery"


@dataclass(frozen=True)
class PastCampaign:
    """A campaign with the traits that can be read from its own rows: 1 has it, 0 has not, 0.5 for half of its mails (a
    trial); None: it can't be said.
    """

    campaign_id: UUID
    name: str
    sent_at: datetime | None
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    traits: dict[str, float | None] = field(default_factory=dict)
    subjects: list[str] = field(default_factory=list)
    row: PastRow | None = None

    def count(self, outcome: Did) -> int:
        return self.opened if outcome == "open" else self.clicked


@dataclass(frozen=True)
class Trait:
    """A trait of a mail: how it is said to have it or not, and what to do if it helps or hurts."""

    key: str
    have: str
    lack: str
    do: str
    avoid: str | None
    """None where the opposite is no advice, whatever the figures say."""
    outcomes: tuple[Did, ...] = ("click", "open")


TRAITS: tuple[Trait, ...] = (
    Trait(
        "near", "the quarter of a campaign's readers whose notes and tags are nearest to what it is about",
        "its other readers", "Choose the people by what they care about, and tell the others something else.", None,
    ),
    Trait(
        "rested", f"people who had no other mail in the {REST_DAYS} days before",
        f"people who had another mail in the {REST_DAYS} days before",
        f"Leave out people who had a mail in the last {REST_DAYS} days, or wait.", None,
    ),
    Trait(
        "short", f"with a subject of at most {SHORT_SUBJECT} characters", "with a longer subject",
        f"Keep the subject to at most {SHORT_SUBJECT} characters.",
        f"Take more than {SHORT_SUBJECT} characters for the subject.",
    ),
    Trait(
        "personal", "with the reader's name in the subject", "with no name in the subject",
        "Put the reader's name into the subject.", "Leave the reader's name out of the subject.",
    ),
    Trait(
        "focused", f"with at most {FEW_LINKS} links", f"with more than {FEW_LINKS} links",
        f"Use at most {FEW_LINKS} links.", f"Offer more than {FEW_LINKS} links.", ("click",),
    ),
    Trait("morning", "sent before noon", "sent at noon or later", "Send before noon.", "Send at noon or later."),
    Trait(
        "midweek", "sent from Tuesday to Thursday", "sent from Friday to Monday",
        "Send from Tuesday to Thursday.", "Send from Friday to Monday.",
    ),
    Trait(
        "chosen", "sent to a chosen audience", "sent to (nearly) everybody", "Choose an audience.",
        "Send it to everybody.",
    ),
)  # fmt: skip

OUTCOMES: tuple[Did, ...] = ("click", "open")

# These are traits of a reader, not of a campaign.
_INSIDE_ONLY = frozenset({"near", "rested"})

BY_KEY = {trait.key: trait for trait in TRAITS}

# The subject's traits can be tried with two variants of one campaign.
_TRIED: dict[str, Callable[[str], bool]] = {
    "short": lambda subject: len(_TAG.sub(_NAME, subject)) <= SHORT_SUBJECT,
    "personal": lambda subject: bool(_PERSONAL.search(subject)),
}


class Example(BaseModel):
    campaign: str
    share: float
    mails: int

    def text(self) -> str:
        return f"{self.campaign} {percent(self.share)}"


class Side(BaseModel):
    """One side of a comparison."""

    words: str
    share: float
    mails: int
    campaigns: int
    examples: list[Example]
    """Its three largest campaigns."""


class Finding(BaseModel):
    """What was found about one trait and one outcome: `better` less `worse`, in shares, with a 95 % interval."""

    trait: str
    outcome: Did
    how: How
    helps: bool
    """Whether having the trait is the better side."""
    better: Side
    worse: Side
    difference: float
    low: float
    high: float
    p: float
    others_equal: bool = False
    """Whether the other traits were held equal (`between` only)."""
    adjusted_p: float = 1.0
    """After the correction for all findings looked for at once."""
    verdict: str = ""

    @property
    def supported(self) -> bool:
        return self.adjusted_p < ALPHA

    @property
    def promising(self) -> bool:
        """Not beyond chance with all that was looked at, but it would be if nothing else had been."""
        return not self.supported and self.p < ALPHA

    @property
    def advice(self) -> str | None:
        trait = BY_KEY[self.trait]
        return trait.do if self.helps else trait.avoid

    def text(self) -> str:
        did = "opened" if self.outcome == "open" else "clicked"
        if self.how == "between":
            sides = (
                f"{percent(self.better.share)} {did} on average in {_campaigns(self.better)} {self.better.words}, "
                f"{percent(self.worse.share)} in {_campaigns(self.worse)} {self.worse.words}"
            )
        elif self.trait in _INSIDE_ONLY:
            sides = (
                f"{percent(self.better.share)} {did} among {self.better.words}, {percent(self.worse.share)} among "
                f"{self.worse.words} ({self.better.mails:,} and {self.worse.mails:,} mails "
                f"of {_count(self.better.campaigns)})"
            )
        else:
            sides = (
                f"{percent(self.better.share)} {did} {self.better.words}, {percent(self.worse.share)} "
                f"{self.worse.words} (tried in {_count(self.better.campaigns)}, {self.better.mails:,} and "
                f"{self.worse.mails:,} mails)"
            )
        equal = "all else equal " if self.others_equal else ""
        return f"{sides}: {equal}{self.effect()}, {self.verdict}"

    def effect(self) -> str:
        return f"{points(self.difference)} points ({points(self.low)} to {points(self.high)})"


class Gap(BaseModel):
    """What could not be looked at, and why."""

    trait: str
    why: str


@dataclass(frozen=True)
class Evidence:
    """All that the past shows. `campaigns` are those with enough mails, latest first."""

    campaigns: list[PastCampaign]
    findings: list[Finding]
    gaps: list[Gap]
    inside: dict[str, list[InsideRow]]
    sampled: bool

    @property
    def mails(self) -> int:
        return sum(campaign.delivered for campaign in self.campaigns)

    def usual(self, outcome: Did) -> float:
        """The median of the campaigns' shares."""
        opens, clicks = median_shares([c.row for c in self.campaigns if c.row is not None])
        return opens if outcome == "open" else clicks

    def supported(self) -> list[Finding]:
        """What is beyond chance and can be acted on: clicks first, then the surest gain first."""
        found = [finding for finding in self.findings if finding.supported and finding.advice]
        return sorted(found, key=lambda finding: (finding.outcome != "click", -finding.low))


async def gather(db: Connection, ctx: Context) -> Evidence:
    """Look at what the tenant has sent: three statements, however many campaigns and mails there are."""
    rows = [row for row in await analytics.past(db, ctx.tenant.id) if row.delivered >= ENOUGH]
    if not rows:
        return Evidence([], [], [], {}, False)
    ids = [row.campaign_id for row in rows]
    mails = _by_campaign(await analytics.mails(db, ctx.tenant.id, ids))
    campaigns = [_described(row, mails.get(row.campaign_id, []), ctx.tenant.zone) for row in rows]
    sent = sum(row.sent for row in rows)
    inside = await analytics.inside_campaigns(
        db, ctx.tenant.id, ids, broad=[row.campaign_id for row in rows if row.share >= EVERYBODY],
        since=min(row.sent_at for row in rows) - timedelta(days=1), days=REST_DAYS,
        trials=list(_trials(mails)), last=_share_of_ids(SAMPLE, sent),
    )  # fmt: skip
    by_trait: dict[str, list[InsideRow]] = {}
    for row in inside:
        by_trait.setdefault(row.trait, []).append(row)
    findings, gaps = _look(campaigns, by_trait)
    return Evidence(campaigns, findings, gaps, by_trait, sampled=sent > SAMPLE)


def describe(
    campaign_id: UUID, name: str, sent_at: datetime | None, mails: Sequence[MailRow], zone: ZoneInfo
) -> PastCampaign:
    """The traits of a campaign that need not have been sent: of its time and its mail."""
    traits: dict[str, float | None] = {}
    if sent_at is not None:
        local = sent_at.astimezone(zone)
        traits |= {"morning": float(local.hour < NOON), "midweek": float(local.isoweekday() in (2, 3, 4))}
    if mails:
        traits |= {key: _mean(has(mail.subject) for mail in mails) for key, has in _TRIED.items()}
        traits["focused"] = _mean(len(links_of(mail.body)) <= FEW_LINKS for mail in mails)
    return PastCampaign(campaign_id, name, sent_at, traits=traits, subjects=[mail.subject for mail in mails])


def links_of(body: str) -> set[str]:
    """The pages that a mail links to; the unsubscribe link is a merge tag and no page."""
    return {url for url in _LINK.findall(body) if "unsubscribe" not in url}


def _described(row: PastRow, mails: Sequence[MailRow], zone: ZoneInfo) -> PastCampaign:
    known = describe(row.campaign_id, row.name, row.sent_at, mails, zone)
    return PastCampaign(
        row.campaign_id, row.name, row.sent_at, row.delivered, row.opened, row.clicked,
        known.traits | {"chosen": float(row.share < EVERYBODY)}, known.subjects, row,
    )  # fmt: skip


def _by_campaign(mails: Iterable[MailRow]) -> dict[UUID, list[MailRow]]:
    found: dict[UUID, list[MailRow]] = {}
    for mail in mails:
        found.setdefault(mail.campaign_id, []).append(mail)
    return found


def _trials(mails: dict[UUID, list[MailRow]]) -> Iterable[Trial]:
    for campaign, variants in mails.items():
        for key, has in _TRIED.items():
            values = {mail.variant: has(mail.subject) for mail in variants}
            if len(set(values.values())) == 2:
                yield from (Trial(campaign, variant, key, value) for variant, value in values.items())


def _share_of_ids(wanted: int, mails: int) -> UUID:
    """The id below which about `wanted` of `mails` mails' contacts lie; ids are random, so any range is a sample."""
    return LAST_ID if mails <= wanted else UUID(int=LAST_ID.int * wanted // mails)


def _look(campaigns: list[PastCampaign], inside: dict[str, list[InsideRow]]) -> tuple[list[Finding], list[Gap]]:
    names = {campaign.campaign_id: campaign.name for campaign in campaigns}
    findings: list[Finding] = []
    for outcome in OUTCOMES:
        for trait in TRAITS:
            if outcome in trait.outcomes:
                found = _inside(trait, outcome, inside.get(trait.key, []), names)
                findings += [found] if found else []
        findings += _between(outcome, campaigns)
    adjusted = benjamini_hochberg([finding.p for finding in findings])
    corrected = [
        finding.model_copy(update={"adjusted_p": p, "verdict": strength(p)})
        for finding, p in zip(findings, adjusted, strict=True)
    ]
    looked_at = {finding.trait for finding in findings}
    gaps = [Gap(trait=trait.key, why=_why_not(trait, campaigns)) for trait in TRAITS if trait.key not in looked_at]
    return corrected, gaps


def _why_not(trait: Trait, campaigns: list[PastCampaign]) -> str:
    if trait.key in _INSIDE_ONLY:
        return f"too few mails to tell {trait.have} from {trait.lack} inside the same campaigns"
    have, lack = (len(_having(campaigns, trait, value)) for value in (1, 0))
    return f"{_count(have)} {trait.have}, {_count(lack)} {trait.lack}"


def _inside(trait: Trait, outcome: Did, rows: list[InsideRow], names: dict[UUID, str]) -> Finding | None:
    both = [row for row in rows if row.with_mails and row.without_mails]
    mails_with, mails_without = sum(r.with_mails for r in both), sum(r.without_mails for r in both)
    answers = sum(_did(row, outcome, True) + _did(row, outcome, False) for row in both)
    if min(mails_with, mails_without) < ENOUGH or answers < ENOUGH_ANSWERS:
        return None
    first = both[0]
    sums = (first.open_u, first.open_uu, first.open_uq) if outcome == "open" else (
        first.click_u, first.click_uu, first.click_uq
    )  # fmt: skip
    found = within(Moments(u=sums[0], q=first.q, uu=sums[1], uq=sums[2], qq=first.qq))
    if found is None:
        return None
    sides = [_inside_side(trait, outcome, both, names, having) for having in (True, False)]
    return _finding(trait, outcome, "trial" if trait.key in _TRIED else "inside", sides[0], sides[1], found)


def _inside_side(trait: Trait, outcome: Did, rows: list[InsideRow], names: dict[UUID, str], having: bool) -> Side:
    """One side over all campaigns, weighted so that the two sides differ by exactly the difference that was tested."""
    weights = [row.with_mails * row.without_mails / (row.with_mails + row.without_mails) for row in rows]
    mails = [row.with_mails if having else row.without_mails for row in rows]
    shares = [_did(row, outcome, having) / count for row, count in zip(rows, mails, strict=True)]
    examples = [
        Example(campaign=names[row.campaign_id], share=share, mails=count)
        for row, share, count in zip(rows, shares, mails, strict=True)
    ]
    return Side(
        words=trait.have if having else trait.lack, mails=sum(mails), campaigns=len(rows),
        share=sum(w * s for w, s in zip(weights, shares, strict=True)) / sum(weights), examples=_largest(examples),
    )  # fmt: skip


def _between(outcome: Did, campaigns: list[PastCampaign]) -> list[Finding]:
    """What the traits do, all in one model where there are campaigns enough for that, else each by itself."""
    traits = [
        trait
        for trait in TRAITS
        if outcome in trait.outcomes
        and min(len(_having(campaigns, trait, value)) for value in (1, 0)) >= ENOUGH_CAMPAIGNS
    ]
    together = _model(outcome, traits, campaigns) if len(campaigns) - len(traits) - 1 >= SPARE_CAMPAIGNS else None
    if together is not None:
        return together
    return [found for trait in traits for found in _model(outcome, [trait], campaigns) or []]


def _model(outcome: Did, traits: list[Trait], campaigns: list[PastCampaign]) -> list[Finding] | None:
    known = [c for c in campaigns if all(c.traits.get(trait.key) is not None for trait in traits)]
    columns = [[c.traits[trait.key] or 0.0 for c in known] for trait in traits]
    if not traits or len(known) - len(traits) - 1 < SPARE_CAMPAIGNS:
        return None
    slopes = meta_regression([(c.count(outcome), c.delivered) for c in known], columns)
    if slopes is None:
        return None
    return [
        _between_finding(outcome, trait, known, slope, len(traits)) for trait, slope in zip(traits, slopes, strict=True)
    ]


def _between_finding(
    outcome: Did, trait: Trait, campaigns: list[PastCampaign], slope: Difference, traits: int
) -> Finding:
    sides = []
    for value, words in ((1, trait.have), (0, trait.lack)):
        having = _having(campaigns, trait, value)
        examples = [Example(campaign=c.name, share=c.count(outcome) / c.delivered, mails=c.delivered) for c in having]
        share = sum(example.share for example in examples) / len(examples)
        mails = sum(c.delivered for c in having)
        sides.append(Side(words=words, share=share, mails=mails, campaigns=len(having), examples=_largest(examples)))
    # The model speaks of odds; people read points: what the worse side's share would become.
    with_, without = sides
    # Nobody and everybody have no odds, so half a mail less than that.
    least = 1 / (2 * sum(c.delivered for c in campaigns))
    worse = min(max((without if slope.value >= 0 else with_).share, least), 1 - least)
    turn = 1.0 if slope.value >= 0 else -1.0
    middle, low, high = (shifted(worse, turn * odds) - worse for odds in (slope.value, slope.low, slope.high))
    points_of = Difference(turn * middle, turn * low, turn * high, slope.p)
    return _finding(trait, outcome, "between", with_, without, points_of).model_copy(
        update={"others_equal": traits > 1}
    )


def _having(campaigns: list[PastCampaign], trait: Trait, value: int) -> list[PastCampaign]:
    return [campaign for campaign in campaigns if campaign.traits.get(trait.key) == value]


def _mean(values: Iterable[bool]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _finding(trait: Trait, outcome: Did, how: How, with_: Side, without: Side, found: Difference) -> Finding:
    helps = found.value >= 0
    low, high = sorted((found.low, found.high) if helps else (-found.high, -found.low))
    better, worse = (with_, without) if helps else (without, with_)
    return Finding(
        trait=trait.key, outcome=outcome, how=how, helps=helps, better=better, worse=worse,
        difference=abs(found.value), low=low, high=high, p=found.p,
    )  # fmt: skip


def _did(row: InsideRow, outcome: Did, having: bool) -> int:
    if outcome == "open":
        return row.with_opened if having else row.without_opened
    return row.with_clicked if having else row.without_clicked


def _largest(examples: list[Example]) -> list[Example]:
    return sorted(examples, key=lambda example: (-example.mails, example.campaign))[:3]


def _campaigns(side: Side) -> str:
    """`the 6 campaigns (Oak Month 2.8 %, ..)`."""
    shown = ", ".join(example.text() for example in side.examples)
    return f"the {side.campaigns} campaigns ({shown}{' ..' if side.campaigns > len(side.examples) else ''})"


def _count(campaigns: int) -> str:
    return f"{campaigns} campaign{'' if campaigns == 1 else 's'}"
