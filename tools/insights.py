"""Advice from past campaigns: what to do better, what to do next. Nothing is claimed that the figures don't hold up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from db import analytics, campaigns, contacts
from db.campaigns import CampaignRow
from db.contacts import Filter
from db.embeddings import EmbeddingError
from db.pool import Connection
from mail.significance import CONFIDENCE
from tools import audience
from tools.analytics import ENOUGH, CampaignFigures, Rate, Usual, percent, usual_figures
from tools.base import Arguments, Context, Result, tool
from tools.campaigns import LARGEST_AUDIENCE, SEARCH_FLOOR, find_campaign
from tools.dates import in_words
from tools.errors import SearchUnavailable
from tools.evidence import BY_KEY, SHORT_SUBJECT, Evidence, Finding, Gap, PastCampaign, describe, gather
from tools.fields import CampaignName, Words

SUGGESTIONS = 3

# A campaign's click rate is drawn to the tenant's own by so many mails: 3 clicks of 30 are no better than 60 of 800.
STEADYING_MAILS = 200

LONGEST_NAME = 60


class Advice(BaseModel):
    """One thing to do, with the figures that hold it up; `findings` are about clicks, opens or both."""

    do: str
    findings: list[Finding]

    def text(self) -> str:
        expected = " and ".join(
            f"{finding.effect()} {'clicks' if finding.outcome == 'click' else 'opens'}" for finding in self.findings
        )
        evidence = "\n".join(f"   - {finding.text()}" for finding in self.findings)
        return f"**{self.do}** Expected: {expected}.\n{evidence}"


class Improvements(Result):
    """Advice for one campaign, or for all, and what the figures do not hold up."""

    campaign: CampaignFigures | None = None
    usual: Usual | None = None
    advice: list[Advice]
    keep: list[Advice]
    """What is supported and the campaign does already."""
    unsupported: list[Finding]
    """What was looked at and may be chance."""
    untested: list[Gap]
    campaigns: int
    mails: int
    sampled: bool = False
    enough: int = ENOUGH
    confidence: int = round(CONFIDENCE * 100)

    def text(self) -> str:
        if not self.campaigns:
            return f"No campaign has {self.enough} delivered mails yet: not enough data for advice."
        about = f" for {self.campaign.campaign}" if self.campaign else ""
        lines = [f"**Advice{about}** from {self.campaigns} past campaigns ({self.mails:,} mails):", ""]
        opened, clicked = (self.campaign.figures.rate(did) if self.campaign else None for did in ("open", "click"))
        if opened and clicked:
            usual = f" {self.usual.text()}" if self.usual else ""
            lines += [f"It was opened by {opened.text()} and clicked by {clicked.text()}.{usual}", ""]
        lines += [f"{place}. {advice.text()}" for place, advice in enumerate(self.advice, start=1)]
        if not self.advice:
            lines.append(
                "Nothing that it does not do already is held up by the figures." if self.keep else _NOTHING_YET
            )
        if self.keep:
            lines += ["", "Keep:", *(f"- {advice.text()}" for advice in self.keep)]
        promising = [finding for finding in self.unsupported if finding.promising]
        if promising:
            lines += ["", "May be chance, worth a trial:", *(f"- {finding.text()}" for finding in promising)]
        nothing = [finding for finding in self.unsupported if not finding.promising]
        if nothing:
            lines += ["", f"No clear difference: {'; '.join(_briefly(nothing))}."]
        if self.untested:
            lines += ["", "Not enough data:", *(f"- {gap.why}" for gap in self.untested)]
        lines += ["", self._how()]
        return "\n".join(lines)

    def _how(self) -> str:
        sample = " Inside campaigns a random share of the people was looked at." if self.sampled else ""
        return (
            f"Points are percentage points, with {self.confidence} % intervals; “evidence” allows for all that was "
            f"looked at. Campaigns differ in more than one way at once, so try a change on half of the "
            f"people first.{sample}"
        )


_NOTHING_YET = (
    "The figures hold up no advice yet: no difference is beyond chance. Send variants to halves of one "
    "audience: that tells soonest."
)


def _briefly(findings: list[Finding]) -> list[str]:
    """`sent before noon or sent at noon or later (clicks, opens)`, once a trait."""
    outcomes: dict[str, list[str]] = {}
    for finding in findings:
        did = "clicks" if finding.outcome == "click" else "opens"
        outcomes.setdefault(finding.trait, []).append(did)
    return [
        f"{BY_KEY[key].have} or {BY_KEY[key].lack} ({', '.join(dict.fromkeys(which))})"
        for key, which in outcomes.items()
    ]


class SuggestImprovements(Arguments):
    campaign: Annotated[CampaignName, Field(description="Name or id; leave out for advice over all.")] | None = None


@tool(effect="read")
async def suggest_improvements(args: SuggestImprovements, ctx: Context) -> Improvements:
    """Advice on a campaign (or on all) from past ones: timing, subject, links, audience, each with its evidence."""
    async with ctx.transaction() as db:
        row = await find_campaign(db, ctx, args.campaign) if args.campaign else None
        evidence = await gather(db, ctx)
        traits: dict[str, float | None] = {}
        side, usual = None, None
        if row is not None:
            traits = await _traits(db, ctx, row, evidence)
            (totals,) = await analytics.totals(db, ctx.tenant.id, [row.campaign_id])
            usual = await usual_figures(db, ctx, totals)
            side = CampaignFigures.of_row(totals)
    supported = evidence.supported()
    keys = list(dict.fromkeys(finding.trait for finding in supported))
    todo: list[Advice] = []
    keep: list[Advice] = []
    for key in keys:
        # Where clicks and opens disagree, clicks decide: they come first.
        helps = next(finding.helps for finding in supported if finding.trait == key)
        found = [finding for finding in supported if finding.trait == key and finding.helps == helps]
        advice = Advice(do=found[0].advice or "", findings=found)
        (keep if traits.get(key) == helps else todo).append(advice)
    return Improvements(
        campaign=side, usual=usual, advice=todo, keep=keep,
        unsupported=[finding for finding in evidence.findings if finding not in supported],
        untested=evidence.gaps, campaigns=len(evidence.campaigns), mails=evidence.mails, sampled=evidence.sampled,
    )  # fmt: skip


async def _traits(db: Connection, ctx: Context, row: CampaignRow, evidence: Evidence) -> dict[str, float | None]:
    """What can be said of this campaign, sent or not."""
    past = next((c for c in evidence.campaigns if c.campaign_id == row.campaign_id), None)
    if past is None:
        mails = await analytics.mails(db, ctx.tenant.id, [row.campaign_id])
        return describe(row.campaign_id, row.name, row.send_at, mails, ctx.tenant.zone).traits
    traits = dict(past.traits)
    # Who is chosen by interest is near to what the mail is about; how many were rested, the ledger knows.
    traits["near"] = traits.get("chosen")
    for inside in evidence.inside.get("rested", []):
        if inside.campaign_id == row.campaign_id:
            traits["rested"] = float(inside.with_mails >= inside.without_mails)
    return traits


class Brief(BaseModel):
    """The next campaign in a few words: what create_campaign takes, and what to do with the mail."""

    name: str
    description: str | None
    audience: str
    keep: list[str]
    change: list[str]


class Suggestion(BaseModel):
    """A campaign to send next, and the past one that speaks for it (none: nothing like it was sent)."""

    like: str | None = None
    like_id: UUID | None = None
    sent_at: datetime | None = None
    nearness: float | None = None
    click_rate: Rate | None = None
    open_rate: Rate | None = None
    converted: int = 0
    reason: str
    audience_count: int | None = None
    """Subscribed contacts whom the audience's words mean; None where meaning can't be compared now."""
    audience_capped: bool = False
    brief: Brief

    def text(self, zone: ZoneInfo) -> str:
        lines = [f"**{self.brief.name}**: {self.reason}"]
        if self.like and self.sent_at and self.click_rate and self.open_rate:
            lines.append(
                f"   - {self.like}, sent {in_words(self.sent_at, zone)}: clicked by {self.click_rate.text()}, "
                f"opened by {self.open_rate.text()}, {self.converted:,} converted"
            )
        lines.append(f"   - for: “{self.brief.audience}” ({self._who()})")
        lines += [f"   - {'keep' if self.like else 'what has worked'}: {what}" for what in self.brief.keep]
        lines += [f"   - change: {what}" for what in self.brief.change]
        return "\n".join(lines)

    def _who(self) -> str:
        if self.audience_count is None:
            return "who that is can't be counted right now"
        if not self.audience_count:
            return "nobody subscribed matches these words yet: choose wider ones"
        more = " or more" if self.audience_capped else ""
        people = "subscribed contact matches" if self.audience_count == 1 else "subscribed contacts match"
        return f"{self.audience_count:,}{more} {people}"


class CampaignSuggestions(Result):
    goal: str | None = None
    suggestions: list[Suggestion]
    campaigns: int
    """How many past campaigns were looked at."""
    note: str | None = None
    enough: int = ENOUGH
    confidence: int = round(CONFIDENCE * 100)
    time_zone: str

    def text(self) -> str:
        zone = ZoneInfo(self.time_zone)
        goal = f" for “{self.goal}”" if self.goal else ""
        if not self.suggestions:
            return (
                f"No campaign with at least {self.enough} delivered mails has been sent yet, so the past suggests "
                "nothing. Say a goal, and I count whom it would reach."
            )
        lines = [f"Suggestions{goal}, from {self.campaigns} past campaigns:", ""]
        lines += [f"{place}. {suggestion.text(zone)}" for place, suggestion in enumerate(self.suggestions, start=1)]
        notes = [self.note] if self.note else []
        if any(suggestion.click_rate for suggestion in self.suggestions):
            notes.append(f"Ranges are {self.confidence} % intervals of what people did; machines are left out.")
        return "\n".join([*lines, "", " ".join(notes)]).strip()


class SuggestCampaigns(Arguments):
    goal: (
        Annotated[Words, Field(description="What for, in words: more sales of lamps, win back old customers.")] | None
    ) = None


@tool(effect="read")
async def suggest_campaigns(args: SuggestCampaigns, ctx: Context) -> CampaignSuggestions:
    """Ideas for the next campaign, from past ones near to the goal (else the best by clicks): whom, what to change."""
    goal = " ".join((args.goal or "").split()) or None
    async with ctx.transaction() as db:
        evidence = await gather(db, ctx)
        patterns, note = await _patterns(db, ctx, goal, evidence)
        taken = {name.lower() for name, _ in await campaigns.names(db, ctx.tenant.id, limit=1_000)}
        suggestions = [
            await _suggestion(db, ctx, pattern, nearness, goal, evidence, taken) for pattern, nearness in patterns
        ]
        if goal and not suggestions:
            suggestions = [await _from_goal(db, ctx, goal, evidence, taken)]
    return CampaignSuggestions(
        goal=goal, suggestions=suggestions, campaigns=len(evidence.campaigns), note=note,
        time_zone=ctx.tenant.time_zone,
    )  # fmt: skip


async def _patterns(
    db: Connection, ctx: Context, goal: str | None, evidence: Evidence
) -> tuple[list[tuple[PastCampaign, float | None]], str | None]:
    """The past campaigns to go by, best first, with their nearness to the goal; and what is to be said about it."""
    best = [(c, None) for c in sorted(evidence.campaigns, key=lambda c: -_steadied(c, evidence.campaigns))]
    if goal is None or not best:
        return [*best[:SUGGESTIONS]], None
    try:
        (vector,) = await ctx.embedder.embed([goal])
    except EmbeddingError:
        note = "Meaning can't be compared right now, so these are simply the best by clicks."
        return [*best[:SUGGESTIONS]], note
    near = await analytics.nearest(
        db, ctx.tenant.id, [c.campaign_id for c, _ in best], vector=vector, model=ctx.embedder.name
    )  # fmt: skip
    close = [(c, near[c.campaign_id]) for c, _ in best if near.get(c.campaign_id, 0) >= SEARCH_FLOOR]
    # Both count: how near it is, and how well it did.
    close.sort(key=lambda found: -found[1] * _steadied(found[0], evidence.campaigns))
    return [*close[:SUGGESTIONS]], None


def _steadied(campaign: PastCampaign, all_of_them: Sequence[PastCampaign]) -> float:
    """The campaign's click rate, drawn to the tenant's own the more the fewer mails it has."""
    overall = sum(c.clicked for c in all_of_them) / sum(c.delivered for c in all_of_them)
    return (campaign.clicked + overall * STEADYING_MAILS) / (campaign.delivered + STEADYING_MAILS)


async def _suggestion(
    db: Connection, ctx: Context, pattern: PastCampaign, nearness: float | None, goal: str | None, evidence: Evidence,
    taken: set[str],
) -> Suggestion:  # fmt: skip
    description = pattern.row.description if pattern.row else None
    words = goal or _first_sentence(description) or pattern.name
    count, capped = await _reach(db, ctx, words)
    keep, change = _keep_and_change(pattern, evidence)
    rank = "one of the best by people's clicks" if goal is None else f"{pattern.name} is near to it in meaning"
    return Suggestion(
        like=pattern.name, like_id=pattern.campaign_id, sent_at=pattern.sent_at, nearness=nearness,
        click_rate=Rate.measured(pattern.clicked, pattern.delivered),
        open_rate=Rate.measured(pattern.opened, pattern.delivered),
        converted=pattern.row.converted if pattern.row else 0,
        reason=f"{rank}; {_standing(pattern, evidence)}", audience_count=count, audience_capped=capped,
        brief=Brief(
            name=_free_name(f"{pattern.name} again", taken), description=goal or description, audience=words,
            keep=keep, change=change,
        ),
    )  # fmt: skip


async def _from_goal(db: Connection, ctx: Context, goal: str, evidence: Evidence, taken: set[str]) -> Suggestion:
    """Nothing like it was sent: whom it would reach, and what has worked whatever the subject."""
    count, capped = await _reach(db, ctx, goal)
    advice = list(dict.fromkeys(finding.advice for finding in evidence.supported() if finding.advice))
    name = goal if len(goal) <= LONGEST_NAME else goal[:LONGEST_NAME].rsplit(" ", 1)[0]
    return Suggestion(
        reason="no past campaign is near to it in meaning, so this would be a first", audience_count=count,
        audience_capped=capped,
        brief=Brief(
            name=_free_name(name[:1].upper() + name[1:], taken), description=goal, audience=goal, keep=advice,
            change=[],
        ),
    )  # fmt: skip


def _standing(pattern: PastCampaign, evidence: Evidence) -> str:
    usual = evidence.usual("click")
    rate = Rate.measured(pattern.clicked, pattern.delivered)
    where = "about as many clicks as usual"
    if rate is not None and usual < rate.low:
        where = "clearly more clicks than usual"
    if rate is not None and usual > rate.high:
        where = "clearly fewer clicks than usual"
    return f"{where} (your median is {percent(usual)})"


def _keep_and_change(pattern: PastCampaign, evidence: Evidence) -> tuple[list[str], list[str]]:
    """What of the pattern is held up by the figures or did well, and what they speak against."""
    keep = [f"a subject like “{subject}”" for subject in pattern.subjects[:1]]
    change: list[str] = []
    for finding in evidence.supported():
        trait = BY_KEY[finding.trait]
        value = pattern.traits.get("chosen" if trait.key == "near" else trait.key)
        lines = keep if value == finding.helps else change
        if finding.advice and finding.advice not in [*keep, *change]:
            lines.append(finding.advice)
    if not change and len(pattern.subjects) < 2:
        change.append(
            f"nothing is proven to work better; try a second subject"
            f"{f' of at most {SHORT_SUBJECT} characters' if not pattern.traits.get('short', True) else ''}"
            " on half of the people"
        )
    return keep, change


async def _reach(db: Connection, ctx: Context, words: str) -> tuple[int | None, bool]:
    """How many subscribed contacts create_campaign and add_contacts_to_campaign would find for these words."""
    try:
        asked = await audience.understand(db, ctx, words, Filter(status="subscribed"))
        if not asked.words:
            return await contacts.count(db, ctx.tenant.id, asked.which), False
        people = await audience.find(db, ctx, asked, audience.ADDRESSED, limit=LARGEST_AUDIENCE + 1)
    except SearchUnavailable:
        return None, False
    return min(len(people), LARGEST_AUDIENCE), len(people) > LARGEST_AUDIENCE


def _first_sentence(description: str | None) -> str | None:
    sentence = (description or "").split(". ")[0].strip(" .")
    return sentence[:300] or None


def _free_name(name: str, taken: set[str]) -> str:
    while name.lower() in taken:
        name += ", once more" if not name.endswith("once more") else " and again"
    taken.add(name.lower())
    return name
