"""Campaigns: create, change, list, show, and who is in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from pgvector import HalfVector
from pydantic import Field

from db import campaigns, contacts, emails
from db.campaigns import CampaignRow, CountedRow
from db.contacts import ContactRow, Filter
from db.embeddings import EmbeddingError
from db.pool import Connection
from tools import audience
from tools.base import PERSONAL, Arguments, Context, Result, Text, tool
from tools.dates import day_in_words, in_words, read_date
from tools.errors import (
    CampaignClosed,
    CampaignExists,
    InvalidArguments,
    NobodyMatches,
    NoSuchCampaign,
    NoSuchContact,
    NothingToChange,
    SearchUnavailable,
    UnclearCampaign,
)
from tools.fields import CampaignName, Cursor, Emails, PageSize, Words
from tools.lists import cell, page_of, read_offset, read_place, write_cursor
from tools.trials import Trial, tried

Name = Annotated[Text, Field(min_length=1, max_length=255)]
About = Annotated[
    Text, PERSONAL, Field(max_length=10_000, description="What the campaign is about: offer, occasion, goal.")
]
Day = Annotated[Text, Field(max_length=60, description="Date like 2026-12-05.")]

# How many are compared by meaning: without a number said, and at most. Everybody, or all with a tag, has no limit.
USUAL_AUDIENCE = 200
LARGEST_AUDIENCE = 10_000

# A campaign's recipients and texts may change until it is on its way.
OPEN = frozenset({"draft", "scheduled", "paused", "failed"})

SEARCH_FLOOR = 0.3


class Campaign(Result):
    """A campaign as lists show it. Times are UTC."""

    campaign_id: UUID
    name: str
    description: str | None = None
    start_date: date | None = None
    status: str
    send_at: datetime | None = None
    contact_count: int = 0
    sent_count: int = 0

    @classmethod
    def of(cls, row: CampaignRow, contact_count: int = 0, sent_count: int = 0) -> Campaign:
        return cls(
            campaign_id=row.campaign_id, name=row.name, description=row.description, start_date=row.start_date,
            status=row.status, send_at=row.send_at, contact_count=contact_count, sent_count=sent_count,
        )  # fmt: skip

    def text(self) -> str:
        start = f", from {day_in_words(self.start_date)}" if self.start_date else ""
        return f"{self.name} ({self.status}{start}): {self.description or 'no description yet'}"


class CampaignSaved(Result):
    campaign: Campaign
    created: bool
    changed: list[str] = []
    added: list[str] = []
    """The first ten people of the audience that was added with it."""
    note: str | None = None

    def text(self) -> str:
        what = self.campaign.text()
        if not self.created:
            return f"Updated {', '.join(field.replace('_', ' ') for field in self.changed)} of {what}."
        people = ""
        if self.added:
            people = (
                f" {_people(self.campaign.contact_count)} are in it: {_names(self.added, self.campaign.contact_count)}."
            )
        return f"Created the campaign {what}.{people}{f' {self.note}' if self.note else ''}"


class CampaignList(Result):
    campaigns: list[Campaign]
    query: str | None = None
    status: str | None = None
    next_cursor: str | None = None

    def text(self) -> str:
        if not self.campaigns:
            what = f" {self.status}" if self.status else ""
            about = f" about “{self.query}”" if self.query else ""
            return f"There are no{what} campaigns{about} yet."
        rows = ["| campaign | status | people | sent | about |", "|---|---|---:|---:|---|"]
        rows += [
            f"| {cell(c.name, 40)} | {c.status} | {c.contact_count:,} | {c.sent_count:,} | {about} |"
            for c in self.campaigns
            for about in [cell(c.description or "", 70)]
        ]
        return "\n".join(rows) + ("\n\nThere are more." if self.next_cursor else "")


class Mail(Result):
    """One of a campaign's mails, without its body."""

    email_id: UUID
    subject: str
    variant: str
    for_contact: str | None = None
    written_by: str
    unknown_claims: list[str] = []


class CampaignDetail(Result):
    campaign: Campaign
    emails: list[Mail]
    personal_drafts: int
    why: str | None = None
    """Why it stopped, or what it waits for."""
    trial: Trial | None = None
    """Its variants side by side, where they are tried."""
    next_step: str
    time_zone: str

    def text(self) -> str:
        c = self.campaign
        facts = [f"status: {c.status}", f"people: {c.contact_count:,}"]
        if c.start_date:
            facts.append(f"starts: {day_in_words(c.start_date)}")
        if c.send_at:
            facts.append(f"sending time: {in_words(c.send_at, ZoneInfo(self.time_zone))}")
        if c.sent_count:
            facts.append(f"mails sent: {c.sent_count:,}")
        facts += [f"mail {mail.variant}: “{mail.subject}”" for mail in self.emails]
        if self.personal_drafts:
            facts.append(f"drafts for single people: {self.personal_drafts}")
        lines = "\n".join(f"- {fact}" for fact in facts)
        said = [f"**{c.name}**: {c.description or 'no description yet'}", lines]
        said += [self.why] if self.why else []
        said += [self.trial.text(ZoneInfo(self.time_zone))] if self.trial else []
        return "\n\n".join([*said, self.next_step])


class RecipientsChanged(Result):
    campaign: str
    campaign_id: UUID
    added: int = 0
    removed: int = 0
    already_there: int = 0
    total: int
    """How many are in the campaign now."""
    people: list[str]
    """The first ten of those that were meant, nearest first."""
    matched: int
    note: str | None = None

    def text(self) -> str:
        done = f"Added {_people(self.added)} to" if not self.removed else f"Removed {_people(self.removed)} from"
        if not self.added and not self.removed:
            done = "Nobody new to add to" if self.already_there else "Nobody to remove from"
        there = f" ({self.already_there} already in it)" if self.already_there else ""
        note = f" {self.note}" if self.note else ""
        names = f": {_names(self.people, self.matched)}" if self.people else ""
        return f"{done} {self.campaign}{there}{names}. It has {_people(self.total)} now.{note}"


class CreateCampaign(Arguments):
    name: Name
    description: About | None = None
    start_date: Day | None = None
    audience: Annotated[Words, Field(description="Who it is for, in words as in search_contacts.")] | None = None


async def _who_it_is_for(args: CreateCampaign, ctx: Context) -> str:
    if not args.audience:
        return ""
    async with ctx.transaction() as db:
        return (await _meant(db, ctx, args.audience, None)).text()


@tool(effect="write", preview=_who_it_is_for)
async def create_campaign(args: CreateCampaign, ctx: Context) -> CampaignSaved:
    """Create a campaign as a draft; with `audience` also add everyone who matches those words."""
    start = read_date(args.start_date) if args.start_date else None
    vector, model = await _vector(ctx, args.name, args.description)
    async with ctx.transaction() as db:
        id = await campaigns.add(
            db, ctx.tenant.id, name=args.name, description=args.description or None, start_date=start, vector=vector,
            model=model, at=ctx.now(),
        )  # fmt: skip
        if id is None:
            there = await campaigns.by_name(db, ctx.tenant.id, args.name)
            raise CampaignExists(name=args.name, status=there.status if there else "there already")
        ctx.about(id)
        meant = await _meant(db, ctx, args.audience, None) if args.audience else None
        added = await meant.add_to(db, ctx, id) if meant else 0
        row = await campaigns.find(db, ctx.tenant.id, id)
        assert row is not None
    saved = Campaign.of(row, contact_count=added)
    if meant is None:
        return CampaignSaved(campaign=saved, created=True)
    return CampaignSaved(campaign=saved, created=True, added=meant.names(10), note=meant.note)


class UpdateCampaign(Arguments):
    campaign: CampaignName
    name: Name | None = None
    description: About | None = None
    start_date: Day | None = None


@tool(effect="write")
async def update_campaign(args: UpdateCampaign, ctx: Context) -> CampaignSaved:
    """Change a campaign's name, description or start date; what is not given stays. Empty texts clear a field."""
    given = args.model_dump(exclude={"campaign"}, exclude_none=True)
    if not given:
        raise NothingToChange(fields="name, description, start_date")
    if "start_date" in given:
        given["start_date"] = read_date(given["start_date"]) if given["start_date"] else None
    if given.get("description") == "":
        given["description"] = None
    async with ctx.transaction() as db:
        old = await find_open_campaign(db, ctx, args.campaign)
        new = replace(old, **given)
        vector, model = await _vector(ctx, new.name, new.description)
        try:
            await campaigns.update(db, ctx.tenant.id, new, vector=vector, model=model, at=ctx.now())
        except psycopg.errors.UniqueViolation:
            raise CampaignExists(name=new.name, status="another one") from None
    return CampaignSaved(campaign=Campaign.of(new), created=False, changed=list(given))


class ListCampaigns(Arguments):
    query: Annotated[Text, Field(max_length=500, description="Words: what the campaign is about.")] | None = None
    status: Annotated[Text, Field(max_length=20, description="draft, scheduled, sent, completed ..")] | None = None
    limit: PageSize = 20
    cursor: Cursor | None = None


@tool(effect="read")
async def list_campaigns(args: ListCampaigns, ctx: Context) -> CampaignList:
    """List campaigns, newest first, or those nearest to some words. Use it to turn a name into an id."""
    status = args.status.lower() if args.status else None
    if status is not None and status not in campaigns.TRANSITIONS:
        raise InvalidArguments(
            problems=f"There is no status {status[:30]!r}; there are: {', '.join(campaigns.TRANSITIONS)}."
        )
    rows: list[CountedRow]
    if args.query:
        offset = read_offset(args.cursor)
        vector = await _asked(ctx, args.query)
        async with ctx.transaction() as db:
            rows = await campaigns.search(
                db, ctx.tenant.id, query=args.query, vector=vector, model=ctx.embedder.name, status=status,
                floor=SEARCH_FLOOR, offset=offset, limit=args.limit + 1,
            )  # fmt: skip
        shown, more = page_of(rows, args.limit)
        cursor = write_cursor(str(offset + args.limit)) if more else None
    else:
        async with ctx.transaction() as db:
            rows = await campaigns.page(
                db, ctx.tenant.id, status=status, after=read_place(args.cursor), limit=args.limit + 1
            )  # fmt: skip
        shown, more = page_of(rows, args.limit)
        cursor = write_cursor(shown[-1].created_at.isoformat(), str(shown[-1].campaign_id)) if more else None
    found = [Campaign.of(row, row.contact_count, row.sent_count) for row in shown]
    return CampaignList(campaigns=found, query=args.query, status=status, next_cursor=cursor)


class GetCampaign(Arguments):
    campaign: CampaignName


@tool(effect="read")
async def get_campaign(args: GetCampaign, ctx: Context) -> CampaignDetail:
    """Show one campaign: status, dates, how many people, its mails (without bodies), and what comes next."""
    async with ctx.transaction() as db:
        row = await find_campaign(db, ctx, args.campaign)
        contact_count, sent_count = await campaigns.counts(db, ctx.tenant.id, row.campaign_id)
        templates = await emails.templates(db, ctx.tenant.id, row.campaign_id)
        drafts = await emails.count_drafts(db, ctx.tenant.id, row.campaign_id)
        sending = await campaigns.sending_facts(db, ctx.tenant.id, row.campaign_id)
        trial = await tried(db, ctx, row.campaign_id)
    mails = [
        Mail(
            email_id=mail.email_id, subject=mail.subject, variant=mail.variant, written_by=mail.written_by,
            unknown_claims=mail.unknown_claims,
        )
        for mail in templates
    ]  # fmt: skip
    return CampaignDetail(
        campaign=Campaign.of(row, contact_count, sent_count), emails=mails, personal_drafts=drafts,
        why=sending.why if sending else None, trial=trial,
        next_step=_next_step(row, contact_count, bool(mails or drafts)), time_zone=ctx.tenant.time_zone,
    )  # fmt: skip


class AddContactsToCampaign(Arguments):
    campaign: CampaignName
    query: Words | None = None
    emails: Emails | None = None
    limit: Annotated[int, Field(ge=1, le=LARGEST_AUDIENCE)] | None = None


async def _who_would_come(args: AddContactsToCampaign, ctx: Context) -> str:
    async with ctx.transaction() as db:
        return (await _meant(db, ctx, args.query, args.emails, args.limit)).text()


@tool(effect="write", preview=_who_would_come)
async def add_contacts_to_campaign(args: AddContactsToCampaign, ctx: Context) -> RecipientsChanged:
    """Add people to a campaign: by words ("restores old clocks"), or by e-mail addresses that are contacts already."""
    async with ctx.transaction() as db:
        row = await find_open_campaign(db, ctx, args.campaign)
        meant = await _meant(db, ctx, args.query, args.emails, args.limit)
        added = await meant.add_to(db, ctx, row.campaign_id)
        total, _ = await campaigns.counts(db, ctx.tenant.id, row.campaign_id)
    return RecipientsChanged(
        campaign=row.name, campaign_id=row.campaign_id, added=added, already_there=meant.count - added, total=total,
        people=meant.names(10), matched=meant.count, note=meant.note,
    )  # fmt: skip


class RemoveContactsFromCampaign(Arguments):
    campaign: CampaignName
    query: Words | None = None
    emails: Emails | None = None


@tool(effect="write")
async def remove_contacts_from_campaign(args: RemoveContactsFromCampaign, ctx: Context) -> RecipientsChanged:
    """Take people out of a campaign, by words or by e-mail addresses. The contacts themselves stay."""
    async with ctx.transaction() as db:
        row = await find_open_campaign(db, ctx, args.campaign)
        meant = await _meant(db, ctx, args.query, args.emails, LARGEST_AUDIENCE, campaign=row.campaign_id)
        removed = await meant.remove_from(db, ctx, row.campaign_id)
        total, _ = await campaigns.counts(db, ctx.tenant.id, row.campaign_id)
    return RecipientsChanged(
        campaign=row.name, campaign_id=row.campaign_id, removed=removed, total=total,
        people=meant.names(10), matched=meant.count,
    )  # fmt: skip


async def find_campaign(db: Connection, ctx: Context, campaign: str) -> CampaignRow:
    """By id or name, in any case. Raises `NoSuchCampaign` or `UnclearCampaign`, both with the candidates."""
    try:
        row = await campaigns.find(db, ctx.tenant.id, UUID(campaign))
    except ValueError:
        row = await campaigns.by_name(db, ctx.tenant.id, campaign)
    if row is not None:
        return row
    near = await campaigns.like(db, ctx.tenant.id, campaign)
    containing = [row.name for row in near if campaign.lower() in row.name.lower()]
    if len(containing) > 1:
        raise UnclearCampaign(name=campaign[:80], candidates=", ".join(containing))
    names = [f"'{row.name}'" for row in near[:3]]
    hint = f" Did you mean {' or '.join(names)}?" if names else " List the campaigns to see what there is."
    raise NoSuchCampaign(name=campaign[:80], hint=hint)


async def find_open_campaign(db: Connection, ctx: Context, campaign: str) -> CampaignRow:
    """The campaign, locked for a change. Raises `CampaignClosed` once it is on its way, over or cancelled."""
    found = await find_campaign(db, ctx, campaign)
    row = await campaigns.find_for_change(db, ctx.tenant.id, found.campaign_id)
    assert row is not None, "it was found in this transaction"
    ctx.about(row.campaign_id)
    if row.status not in OPEN:
        raise CampaignClosed(name=row.name, status=row.status, hint="Create a new campaign for a further mail.")
    return row


@dataclass(frozen=True)
class _Meant:
    """Who words or addresses mean."""

    first: list[ContactRow]
    """To be named; nearest first, else newest."""
    count: int
    which: Filter | None = None
    """All of these, however many; None: `first` is everybody."""
    note: str | None = None

    def names(self, most: int) -> list[str]:
        return [person.full_name or person.email for person in self.first[:most]]

    def text(self) -> str:
        return f"{_people(self.count)}: {_names(self.names(5), self.count)}{f'. {self.note}' if self.note else ''}"

    async def add_to(self, db: Connection, ctx: Context, campaign: UUID) -> int:
        """Put them into a campaign; return how many were not there."""
        if self.which is not None:
            return await campaigns.add_all(db, ctx.tenant.id, campaign, self.which, ctx.now())
        ids = [person.contact_id for person in self.first]
        return await campaigns.add_contacts(db, ctx.tenant.id, campaign, ids, ctx.now())

    async def remove_from(self, db: Connection, ctx: Context, campaign: UUID) -> int:
        """Take them out of a campaign; return how many were there."""
        if self.which is not None:
            return await campaigns.remove_all(db, ctx.tenant.id, campaign, self.which)
        return await campaigns.remove_contacts(
            db, ctx.tenant.id, campaign, [person.contact_id for person in self.first]
        )  # fmt: skip


async def _meant(
    db: Connection, ctx: Context, query: str | None, addresses: list[str] | None, limit: int | None = None,
    campaign: UUID | None = None,
) -> _Meant:  # fmt: skip
    """The people that words or addresses mean (within `campaign`, if given)."""
    if bool(query) == bool(addresses):
        raise InvalidArguments(problems="Say who: either query (in words) or emails (addresses), one of the two.")
    if addresses:
        return await _addressed(db, ctx, addresses, is_for_mail=campaign is None)
    # Who has unsubscribed is no audience; and who is taken out of a campaign may have any status.
    which = Filter(status=None if campaign else "subscribed", campaign=campaign)
    asked = await audience.understand(db, ctx, query, which)
    if not asked.words and (limit is None or campaign):
        first = await contacts.page(db, ctx.tenant.id, asked.which, after=None, limit=10)
        meant = _Meant(first, await contacts.count(db, ctx.tenant.id, asked.which), asked.which)
    else:
        most = limit or USUAL_AUDIENCE
        people: list[ContactRow]
        if asked.words:
            people = list(await audience.find(db, ctx, asked, audience.ADDRESSED, limit=most + 1))
        else:
            people = await contacts.page(db, ctx.tenant.id, asked.which, after=None, limit=most + 1)
        order = "nearest" if asked.words else "newest"
        more = f"More match; only the {order} {most:,} were taken. Say a higher limit for more."
        meant = _Meant(people[:most], min(len(people), most), note=more if len(people) > most else None)
    if not meant.count:
        raise NobodyMatches(query=query)
    return meant


async def _addressed(db: Connection, ctx: Context, addresses: list[str], *, is_for_mail: bool) -> _Meant:
    found = await contacts.by_emails(db, ctx.tenant.id, addresses)
    missing = sorted({address.lower() for address in addresses} - {row.email.lower() for row in found})
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise NoSuchContact(
            name=", ".join(missing[:5]) + more, hint=" Add them as contacts first. Nothing was changed."
        )  # fmt: skip
    silent = [row.email for row in found if row.status != "subscribed"] if is_for_mail else []
    note = f"Not subscribed, so they will get no mail: {', '.join(silent[:5])}." if silent else None
    return _Meant(list(found), len(found), note=note)


async def _vector(ctx: Context, name: str, description: str | None) -> tuple[HalfVector | None, str | None]:
    """The vector of what a campaign is about; none while the embedding endpoint fails."""
    try:
        (vector,) = await ctx.embedder.embed([embedded_text(name, description)])
    except EmbeddingError:
        return None, None
    return vector, ctx.embedder.name


def embedded_text(name: str, description: str | None) -> str:
    """What of a campaign is embedded."""
    return f"{name}. {description or ''}"


async def _asked(ctx: Context, words: str) -> HalfVector:
    try:
        (vector,) = await ctx.embedder.embed([words])
    except EmbeddingError as error:
        raise SearchUnavailable(reason=str(error)) from error
    return vector


def _next_step(row: CampaignRow, contact_count: int, has_mail: bool) -> str:
    match row.status:
        case "draft" | "failed" if not contact_count:
            return "Next: add the people it is for."
        case "draft" | "failed" if not has_mail:
            return "Next: draft its e-mail."
        case "draft" | "failed":
            return "Next: look at a preview, send a test, then ask to send it."
        case "scheduled" | "paused":
            return "It can still be changed or cancelled; a change needs a new approval."
        case "sent" | "completed" | "sending":
            return "Ask how it did to see its figures."
        case _:
            return "It is cancelled."


def _people(count: int) -> str:
    return f"{count:,} {'person' if count == 1 else 'people'}"


def _names(people: list[str], total: int) -> str:
    rest = total - len(people)
    return ", ".join(people) + (f" and {rest:,} more" if rest > 0 else "")
