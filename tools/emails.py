"""Mails: draft them, look at them as their reader will, find past ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy
from pgvector import HalfVector
from pydantic import BaseModel, Field

from db import analytics, emails, tenants
from db.campaigns import CampaignRow
from db.contacts import ContactRow
from db.emails import EmailRow, FoundEmailRow
from db.embeddings import EmbeddingError
from db.pool import Connection
from db.tenants import TenantRow
from mail.render import layout_of, merge_data, one_line, render
from tools import audience
from tools.analytics import Figures
from tools.base import PERSONAL, Arguments, Context, Result, Text, tool
from tools.campaigns import OPEN, find_campaign, find_open_campaign
from tools.contacts import find_contact
from tools.dates import in_words
from tools.drafting import Drafting, Mail, Task
from tools.errors import (
    CampaignClosed,
    InvalidArguments,
    NoEmail,
    NoRecipients,
    NotInCampaign,
    SearchUnavailable,
    TooManyDrafts,
)
from tools.fields import CampaignName, Whom
from tools.lists import cell
from tools.mail_checks import review

# Drafts for single people, each a model call: more are for a template, or for drafts by groups (a later version).
MOST_DRAFTS = 50

# A mail in a result: all of a usual one, and never more than a model should read.
SHOWN = 8_000
SHOWN_CLAIMS = 10

# Said in the place of a contact: whoever gets the most holes. Somebody of that name is found by their address.
WORST = "worst"

# A whole mail is about many things, so its vector is near to none of them: words for one of its subjects reach .13
# to .3, strange words .12 and less (tried with the sample's mails).
SEARCH_FLOOR = 0.13
EXCERPT = 240
PARTS_COMPARED = 12

Instructions = Annotated[
    Text,
    PERSONAL,
    Field(
        max_length=10_000, description="What the mail shall say, as the person put it: offer, facts, language, length."
    ),
]
Tone = Annotated[Text, Field(max_length=200, description="Like cheerful, formal, warm or urgent.")]


class Draft(BaseModel):
    """One mail that was written."""

    for_contact: str | None = None
    subject: str
    body: str | None = None
    """Markdown with merge tags; of several drafts only the first has it."""
    written_by: str
    unknown_claims: list[str] = []
    """What in it no known fact backs: for a person to check."""

    @classmethod
    def of(cls, mail: Mail, *, with_body: bool) -> Draft:
        return cls(
            for_contact=mail.contact.label if mail.contact else None, subject=mail.subject,
            body=mail.body if with_body else None, written_by=mail.written_by, unknown_claims=mail.unknown_claims,
        )  # fmt: skip


class DraftSaved(Result):
    campaign: str
    campaign_id: UUID
    drafts: list[Draft]
    count: int
    notes: list[str] = []

    def text(self) -> str:
        first = self.drafts[0]
        lines = [f"Drafted {self._what()}, {first.written_by}.", f"**Subject:** {first.subject}"]
        lines += [_quoted(_cut(first.body or "")[0])]
        if self.count > 1:
            rows = ["| for | subject | to check |", "|---|---|---|"]
            rows += [
                f"| {cell(d.for_contact or '')} | {cell(d.subject)} | {cell(', '.join(d.unknown_claims))} |"
                for d in self.drafts
            ]
            lines.append("\n".join(rows))
        elif first.unknown_claims:
            lines.append(_to_check(first.unknown_claims))
        lines += self.notes
        lines.append("Look at a preview next, then send a test or ask to send it.")
        return "\n\n".join(lines)

    def _what(self) -> str:
        if self.count > 1:
            return f"{self.count} mails of {self.campaign}, one for each recipient (the first is shown)"
        whom = self.drafts[0].for_contact
        return f"the mail of {self.campaign}" + (f" for {whom}" if whom else "")


class DraftEmail(Arguments):
    campaign: CampaignName
    instructions: Instructions | None = None
    tone: Tone | None = None
    contact: Annotated[Whom, Field(description="Only for this recipient; leave out for everyone's mail.")] | None = None
    per_contact: Annotated[bool, Field(description="A mail of its own for each recipient.")] = False


@tool(effect="write")
async def draft_email(args: DraftEmail, ctx: Context) -> DraftSaved:
    """Write a campaign's e-mail, over the draft that was there: one for all, one for a contact, or one for each."""
    if args.contact and args.per_contact:
        raise InvalidArguments(problems="Say either contact or per_contact, not both.")
    # The model is asked between two transactions: nothing is locked, and no connection held, while it thinks.
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        task = await _task(db, ctx, args)
    drafting = Drafting(ctx, task)
    written = await drafting.all()
    vectors = await _vectors(ctx, written)
    async with ctx.transaction() as db:
        row = await find_open_campaign(db, ctx, str(task.campaign.campaign_id))
        saved: list[Draft] = []
        for mail, vector in zip(written, vectors, strict=True):
            contact = mail.contact
            if contact is not None:
                # Somebody may have been taken out, or erased, meanwhile.
                if await emails.reader(db, ctx.tenant.id, row.campaign_id, contact.contact_id) is None:
                    continue
                ctx.about(contact.contact_id)
            await emails.save(
                db, ctx.tenant.id, campaign_id=row.campaign_id, contact_id=contact.contact_id if contact else None,
                subject=mail.subject, body=mail.body, written_by=mail.written_by, unknown_claims=mail.unknown_claims,
                vector=vector, model=ctx.embedder.name if vector is not None else None, at=ctx.now(),
            )  # fmt: skip
            saved.append(Draft.of(mail, with_body=not saved))
        if not saved:
            who = written[0].contact
            raise NotInCampaign(contact=who.label if who else "Nobody", name=row.name)
        others = await emails.count_drafts(db, ctx.tenant.id, row.campaign_id)
    notes = _notes(row, task, drafting, others)
    return DraftSaved(campaign=row.name, campaign_id=row.campaign_id, drafts=saved, count=len(saved), notes=notes)


class PreviewEmail(Arguments):
    campaign: CampaignName
    contact: (
        Annotated[Whom, Field(description="As whom; left out: as a typical recipient; `worst`: who gets most holes.")]
        | None
    ) = None


class Preview(Result):
    campaign: str
    campaign_id: UUID
    contact: str | None = None
    """As whom it is shown; None when nobody is in the campaign yet."""
    chosen: str | None = None
    """Why this one, where nobody was named."""
    personal: bool = False
    """Whether this contact has a draft of their own."""
    variants: list[str] = []
    subject: str
    body: str
    """The plain text part, cut to a readable length."""
    warnings: list[str] = []

    def text(self) -> str:
        whom = self.contact or "someone of whom nothing is known (no recipient yet)"
        own = ", a draft of their own" if self.personal else ""
        why = f" ({self.chosen})" if self.chosen else ""
        head = f"{self.campaign}, as {whom} would see it{why}{own}:"
        lines = [head, f"**Subject:** {self.subject}", _quoted(self.body)]
        if len(self.variants) > 1:
            lines.append(f"There are variants: {', '.join(self.variants)}. This is the first.")
        lines += [f"- {warning}" for warning in self.warnings] or ["Nothing to warn about."]
        return "\n\n".join(lines[:3]) + "\n\n" + "\n".join(lines[3:])


@tool(effect="read")
async def preview_email(args: PreviewEmail, ctx: Context) -> Preview:
    """Show a campaign's mail as one contact would see it, with warnings. Nothing is sent."""
    preview, _ = await preview_with_page(args, ctx)
    return preview


async def preview_with_page(args: PreviewEmail, ctx: Context) -> tuple[Preview, str]:
    """The preview, and the same mail as HTML, whole: for a door that shows it in a frame that can do nothing."""
    worst = (args.contact or "").strip().lower() == WORST
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        row = await find_campaign(db, ctx, args.campaign)
        tenant = await _tenant(db, ctx)
        templates = await emails.templates(db, ctx.tenant.id, row.campaign_id)
        named = await find_contact(db, ctx, args.contact) if args.contact and not worst else None
        shown = None if named else await _chosen(db, ctx, tenant, row, templates, worst=worst)
        if shown is None:
            shown = await _as_read_by(db, ctx, tenant, row, templates, named)
    variants = [] if shown.personal else [template.variant for template in templates]
    body, cut = _cut(shown.text)
    warnings = list(shown.warnings)
    if shown.unknown_claims:
        warnings.append(_to_check(shown.unknown_claims))
    if cut:
        warnings.append(f"Only the first {SHOWN:,} of {len(shown.text):,} characters are shown here.")
    preview = Preview(
        campaign=row.name, campaign_id=row.campaign_id, contact=shown.reader.label if shown.reader else None,
        chosen=shown.chosen, personal=shown.personal, variants=variants, subject=shown.subject, body=body,
        warnings=warnings,
    )  # fmt: skip
    return preview, shown.html


@dataclass(frozen=True)
class _Shown:
    """A mail and the one through whose eyes it is seen."""

    reader: ContactRow | None
    subject: str
    text: str
    html: str
    warnings: Sequence[str]
    unknown_claims: list[str]
    chosen: str | None = None
    personal: bool = False


async def _chosen(
    db: Connection, ctx: Context, tenant: TenantRow, row: CampaignRow, templates: list[EmailRow], *, worst: bool
) -> _Shown | None:
    """The template as a recipient that stands for others sees it; None when it can't be read, or nobody gets it."""
    if not templates:
        return None
    reviewed = await review(db, ctx, tenant, row, templates[0])
    seen = reviewed.worst if worst else reviewed.typical
    if seen is None:
        return None
    people = seen.reader.people
    like = f"{people:,} of {reviewed.people:,}"
    holes = len(seen.rendered.blanks)
    if worst:
        most = f"with {holes} {'hole' if holes == 1 else 'holes'}, the most" if holes else "no recipient gets a hole"
        chosen = f"{most}; {like} are like them" if holes else most
    else:
        chosen = f"a typical recipient: as much is known of {like}"
    return _Shown(seen.reader, seen.rendered.subject, seen.rendered.text, seen.rendered.html, reviewed.warnings,
                  templates[0].unknown_claims, chosen)  # fmt: skip


async def _as_read_by(
    db: Connection, ctx: Context, tenant: TenantRow, row: CampaignRow, templates: list[EmailRow],
    named: ContactRow | None,
) -> _Shown:  # fmt: skip
    """The mail as this contact sees it, or without one the first of the campaign, or somebody unknown."""
    reader = await emails.reader(db, ctx.tenant.id, row.campaign_id, named.contact_id if named else None)
    who = named or reader
    own = await emails.draft_for(db, ctx.tenant.id, row.campaign_id, who.contact_id) if who else None
    mail = own or (templates[0] if templates else None)
    if mail is None:
        raise NoEmail(name=row.name)
    # A hostile template may take a second; others go on meanwhile.
    data, layout = merge_data(tenant, row, who), layout_of(tenant)
    rendered = await asyncio.to_thread(render, mail.subject, mail.body, data, layout)
    warnings = list(rendered.warnings)
    if named is not None and reader is None:
        warnings.append(f"{named.label} is not a recipient of {row.name}.")
    elif who is not None and who.status != "subscribed":
        warnings.append(f"{who.label} is {who.status} and will get no mail.")
    return _Shown(
        who, rendered.subject, rendered.text, rendered.html, warnings, mail.unknown_claims, personal=own is not None
    )  # fmt: skip


class MailFound(BaseModel):
    campaign: str
    campaign_id: UUID
    email_id: UUID
    variant: str
    subject: str
    sent_at: datetime | None = None
    excerpt: str
    """The sentences nearest to the query."""
    open_rate: float | None = None
    """People who opened, of the mails of the whole campaign that arrived; None with too few to say."""
    click_rate: float | None = None


class MailList(Result):
    query: str
    mails: list[MailFound]
    total: int
    """How many mails there are to search in."""
    time_zone: str

    def text(self) -> str:
        if not self.total:
            return "There are no mails yet. Draft one for a campaign, then it can be found."
        if not self.mails:
            return f"None of the {self.total} mails is about “{self.query}”. Try other words."
        rows = ["| campaign | subject | sent | people opened / clicked | excerpt |", "|---|---|---|---|---|"]
        for mail in self.mails:
            sent = in_words(mail.sent_at, ZoneInfo(self.time_zone)) if mail.sent_at else "not sent"
            name = mail.campaign if mail.variant == "a" else f"{mail.campaign} ({mail.variant})"
            rates = f"{_share(mail.open_rate)} / {_share(mail.click_rate)}" if mail.sent_at else ""
            rows.append(
                f"| {cell(name, 40)} | {cell(mail.subject, 70)} | {sent} | {rates} | {cell(mail.excerpt, EXCERPT)} |"
            )
        return f"Mails about “{self.query}”, nearest first:\n\n" + "\n".join(rows)


class SearchEmails(Arguments):
    query: Annotated[Text, Field(min_length=1, max_length=500, description="What the mail is about, in words.")]
    limit: Annotated[int, Field(ge=1, le=50)] = 10


@tool(effect="read")
async def search_emails(args: SearchEmails, ctx: Context) -> MailList:
    """Find mails of all campaigns, sent or not, by what they say. Bodies are left out; each comes with its rates."""
    try:
        (vector,) = await ctx.embedder.embed([args.query])
    except EmbeddingError as error:
        raise SearchUnavailable(reason=str(error)) from error
    async with ctx.transaction() as db:
        total = await emails.count_templates(db, ctx.tenant.id)
        rows = await emails.search(
            db, ctx.tenant.id, words=list(audience.telling_words(args.query)), vector=vector, model=ctx.embedder.name,
            floor=SEARCH_FLOOR, limit=args.limit,
        )  # fmt: skip
        figures = await _figures(db, ctx, rows)
    excerpts = await _excerpts(ctx, vector, rows)
    found = []
    for row, (subject, excerpt) in zip(rows, excerpts, strict=True):
        sent_at, of = figures.get(row.campaign_id, (None, Figures()))
        found.append(
            MailFound(
                campaign=row.campaign,
                campaign_id=row.campaign_id,
                email_id=row.email_id,
                variant=row.variant,
                subject=subject,
                sent_at=row.sent_date or sent_at,
                excerpt=excerpt,
                open_rate=of.open_rate.share if of.open_rate else None,
                click_rate=of.click_rate.share if of.click_rate else None,
            )
        )  # fmt: skip
    return MailList(query=args.query, mails=found, total=total, time_zone=ctx.tenant.time_zone)


# Drafting


async def _task(db: Connection, ctx: Context, args: DraftEmail) -> Task:
    """Raises the refusal, if there is one, before a model is asked."""
    row = await find_campaign(db, ctx, args.campaign)
    if row.status not in OPEN:
        raise CampaignClosed(name=row.name, status=row.status, hint="Create a new campaign for a further mail.")
    contacts: list[ContactRow | None] = [None]
    if args.contact:
        contact = await find_contact(db, ctx, args.contact)
        if await emails.reader(db, ctx.tenant.id, row.campaign_id, contact.contact_id) is None:
            raise NotInCampaign(contact=contact.label, name=row.name)
        contacts = [contact]
    elif args.per_contact:
        people = await emails.readers(db, ctx.tenant.id, row.campaign_id, MOST_DRAFTS + 1)
        if not people:
            raise NoRecipients(name=row.name, why="")
        if len(people) > MOST_DRAFTS:
            raise TooManyDrafts(name=row.name, cap=MOST_DRAFTS)
        contacts = list(people)
    return Task(row, await _tenant(db, ctx), contacts, args.instructions or "", args.tone or "")


async def _vectors(ctx: Context, mails: list[Mail]) -> list[HalfVector | None]:
    """None for each while the embedding endpoint fails: the mail is found by its words then."""
    texts = await asyncio.to_thread(lambda: [embedded_text(mail.subject, mail.body) for mail in mails])
    try:
        return list(await ctx.embedder.embed(texts))
    except EmbeddingError:
        return [None] * len(mails)


def embedded_text(subject: str, body: str) -> str:
    """What of a mail is embedded: what a reader reads, without addresses."""
    _, text = _as_read(subject, body)
    return f"{one_line(subject)}\n{text}"


def _notes(row: CampaignRow, task: Task, drafting: Drafting, drafts: int) -> list[str]:
    notes = [drafting.failure] if drafting.failure else []
    if task.contacts == [None] and drafts:
        notes.append(f"{drafts} drafts for single people stay as they are." if drafts > 1 else
                     "The draft for a single person stays as it is.")  # fmt: skip
    if row.status == "scheduled":
        notes.append("The schedule was approved with the text before: ask to send it again.")
    return notes


# Showing


async def _tenant(db: Connection, ctx: Context) -> TenantRow:
    row = await tenants.find(db, ctx.tenant.id)
    assert row is not None, "the transaction's tenant is there"
    return row


def _as_read(subject: str, body: str) -> tuple[str, str]:
    """Subject and text as a reader of whom nothing is known sees them, without addresses."""
    rendered = render(subject, body, {})
    # Not the footer that a mail without an unsubscribe link gets.
    text = rendered.text.partition("\n--\nUnsubscribe:")[0]
    return rendered.subject, re.sub(r" ?\(?https?://[^\s)]+\)?| ?\(\)", "", text)


async def _figures(
    db: Connection, ctx: Context, rows: list[FoundEmailRow]
) -> dict[UUID, tuple[datetime | None, Figures]]:
    """When each found mail's campaign was sent, and its figures."""
    campaigns = list({row.campaign_id for row in rows})
    totals = await analytics.totals(db, ctx.tenant.id, campaigns) if campaigns else []
    return {row.campaign_id: (row.first_sent_at, Figures.of([row])) for row in totals}


async def _excerpts(ctx: Context, asked: HalfVector, rows: list[FoundEmailRow]) -> list[tuple[str, str]]:
    """(subject, the part that matched or is nearest in meaning) of each."""
    read = await asyncio.to_thread(lambda: [_as_read(row.subject, row.body) for row in rows])
    parts = [_parts(text) for _, text in read]
    try:
        vectors = iter(await ctx.embedder.embed([part for of_mail in parts for part in of_mail]))
    except EmbeddingError:
        return [(subject, of_mail[0] if of_mail else "") for (subject, _), of_mail in zip(read, parts, strict=True)]
    excerpts = []
    for row, (subject, _), of_mail in zip(rows, read, parts, strict=True):
        scored = [
            (
                sum(word in part.lower() for word in row.matched),
                float(numpy.dot(next(vectors).to_numpy(), asked.to_numpy())),
                part,
            )
            for part in of_mail
        ]
        excerpts.append((subject, max(scored)[2] if scored else ""))
    return excerpts


def _parts(text: str) -> list[str]:
    """The sentences of a mail that say something, the first dozen."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    sentences = [part for paragraph in paragraphs for part in re.split(r"(?<=[.!?])\s+", paragraph)]
    return [part[:EXCERPT] for part in sentences if len(part) > 20][:PARTS_COMPARED]


def _cut(text: str) -> tuple[str, bool]:
    return (text, False) if len(text) <= SHOWN else (text[:SHOWN].rsplit(" ", 1)[0] + " …", True)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n"))


def _to_check(claims: list[str]) -> str:
    more = f" and {len(claims) - SHOWN_CLAIMS} more" if len(claims) > SHOWN_CLAIMS else ""
    shown = ", ".join(f"“{claim}”" for claim in claims[:SHOWN_CLAIMS])
    return f"Nothing known backs up: {shown}{more}. Check before sending."


def _share(rate: float | None) -> str:
    return "too few" if rate is None else f"{100 * rate:.0f} %"
