"""Contacts: add, change, find, import, and (with a person's approval) erase."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Annotated
from uuid import UUID

import numpy
import psycopg
from pgvector import HalfVector
from pydantic import Field

from db import contacts, deliveries, vectors
from db.approvals import ApprovalRow
from db.contacts import ContactRow, Filter
from db.embeddings import EmbeddingError
from db.pool import Connection
from db.search import NAMED, FoundRow
from tools import approvals, audience, erasure
from tools.approvals import ApprovalAsked, Card
from tools.base import Arguments, Context, Result, Text, tool
from tools.campaigns import find_campaign
from tools.errors import ContactExists, NoSuchContact, NothingToChange, UnclearContact
from tools.fields import (
    CampaignName,
    Cursor,
    Email,
    Name,
    Note,
    Phone,
    Tags,
    Whom,
    Words,
    checked_email,
    checked_phone,
    checked_status,
    tidy_tags,
)
from tools.lists import cell, page_of, read_offset, read_place, write_cursor


class Contact(Result):
    """A contact as tools show it. Times are UTC."""

    contact_id: UUID
    email: str
    first_name: str | None = None
    last_name: str | None = None
    phone_number: str | None = None
    description: str | None = None
    status: str
    tags: list[str]

    @classmethod
    def of(cls, row: ContactRow) -> Contact:
        return cls(
            contact_id=row.contact_id, email=row.email, first_name=row.first_name, last_name=row.last_name,
            phone_number=row.phone_number, description=row.description, status=row.status, tags=row.tags,
        )  # fmt: skip

    @property
    def label(self) -> str:
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        return f"{name} ({self.email})" if name else self.email

    def text(self) -> str:
        parts = [self.description, self.phone_number, f"tags: {', '.join(self.tags)}" if self.tags else None]
        more = "; ".join(part for part in parts if part)
        return f"{self.label}{f': {more}' if more else ''}"


class ContactSaved(Result):
    contact: Contact
    created: bool
    changed: list[str] = []
    hint: str | None = None

    def text(self) -> str:
        verb = "Added" if self.created else f"Updated {', '.join(self.changed)} of"
        return f"{verb} {self.contact.text()}.{f' {self.hint}' if self.hint else ''}"


BY_WORDS_ONLY = "Some notes were compared by their words only; `smartcampaign reembed` lets all be found by meaning."


class Match(Contact):
    """A found contact with why it was found."""

    why: str = ""


class ContactList(Result):
    contacts: list[Match]
    query: str | None = None
    total: int | None = None
    """How many there are in all; None for a search by meaning, which has no sharp end."""
    next_cursor: str | None = None
    incomplete: bool = False
    """Some notes have no vector of the present model yet, so they were compared by their words only."""

    def text(self) -> str:
        note = f"\n\n{BY_WORDS_ONLY}" if self.incomplete else ""
        if not self.contacts:
            return (f"Nobody found for “{self.query}”." if self.query else "There are no such contacts.") + note
        count = self.total if self.total is not None else len(self.contacts)
        head = f"{count} {'contact' if count == 1 else 'contacts'}"
        if self.query:
            head = f"{head} for “{self.query}”, nearest first"
        rows = ["| name | e-mail | why |", "|---|---|---|"]
        for match in self.contacts:
            name = " ".join(part for part in (match.first_name, match.last_name) if part)
            why = match.why or match.description or ", ".join(match.tags)
            rows.append(f"| {cell(name)} | {cell(match.email)} | {cell(why)} |")
        more = "\n\nThere are more." if self.next_cursor else ""
        return f"{head}:\n\n" + "\n".join(rows) + more + note


class CreateContact(Arguments):
    email: Email
    first_name: Name | None = None
    last_name: Name | None = None
    phone_number: Phone | None = None
    description: Note | None = None
    tags: Tags = []


@tool(effect="write")
async def create_contact(args: CreateContact, ctx: Context) -> ContactSaved:
    """Add one contact. The e-mail address must come from the person; never invent one."""
    email, hint = checked_email(args.email)
    tags = tidy_tags(args.tags)
    phone = checked_phone(args.phone_number, ctx.tenant.country)
    vector, model = await note_vector(ctx, tags, args.description)
    async with ctx.transaction() as db:
        id = await contacts.add(
            db, ctx.tenant.id, email=email, first_name=args.first_name or None, last_name=args.last_name or None,
            phone_number=phone, description=args.description or None, tags=tags, vector=vector, model=model,
            at=ctx.now(),
        )  # fmt: skip
        if id is None:
            there = await contacts.by_email(db, ctx.tenant.id, email)
            raise ContactExists(email=email, whose=f" ({there.full_name})" if there and there.full_name else "")
        ctx.about(id)
        row = await contacts.find(db, ctx.tenant.id, id)
        assert row is not None
    return ContactSaved(contact=Contact.of(row), created=True, hint=_hints(hint, row.status))


class UpdateContact(Arguments):
    contact: Whom
    email: Email | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    phone_number: Phone | None = None
    description: Note | None = None
    tags: Annotated[Tags, Field(description="Tags to add; one with a minus before it is taken away.")] | None = None


@tool(effect="write")
async def update_contact(args: UpdateContact, ctx: Context) -> ContactSaved:
    """Change fields of one contact; what is not given stays. An empty text clears a field; tags are added."""
    given = args.model_dump(exclude={"contact"}, exclude_none=True)
    if not given:
        raise NothingToChange(fields=", ".join(name for name in UpdateContact.model_fields if name != "contact"))
    hint = None
    if "email" in given:
        given["email"], hint = checked_email(given["email"])
    if "phone_number" in given:
        given["phone_number"] = checked_phone(given["phone_number"], ctx.tenant.country)
    said = tidy_tags(given.pop("tags", []))
    given = {name: (value if value != "" else None) for name, value in given.items()}
    async with ctx.transaction() as db:
        old = await find_contact(db, ctx, args.contact)
        ctx.about(old.contact_id)
        # Added and taken away, never replaced: "tag her as a VIP" must not cost the other tags.
        kept = [tag for tag in old.tags if f"-{tag}" not in said]
        tags = tidy_tags([*kept, *(tag for tag in said if not tag.startswith("-"))])
        new = replace(old, **given, tags=tags)
        vector, model = await note_vector(ctx, new.tags, new.description)
        try:
            await contacts.update(db, ctx.tenant.id, new, vector=vector, model=model, at=ctx.now())
        except psycopg.errors.UniqueViolation:
            raise ContactExists(email=new.email, whose="") from None
        saved = await contacts.find(db, ctx.tenant.id, old.contact_id)
        assert saved is not None, "it was found in this transaction"
    hint = _hints(hint, saved.status) if saved.status != old.status else hint
    changed = [*given, *(["tags"] if said else [])]
    return ContactSaved(contact=Contact.of(saved), created=False, changed=changed, hint=hint)


def _hints(hint: str | None, status: str) -> str | None:
    """What to say of a new address: it looks mistyped, or it must not be mailed."""
    if status == "subscribed":
        return hint
    why = f"This address is {status} from before, so it gets no mail."
    return f"{hint} {why}" if hint else why


class DeleteContact(Arguments):
    contact: Whom


@tool(effect="erase")
async def delete_contact(args: DeleteContact, ctx: Context) -> ApprovalAsked:
    """Ask to erase one contact and everything known about them. A person must approve it; it cannot be undone."""
    async with ctx.transaction() as db:
        row = await find_contact(db, ctx, args.contact)
        ctx.about(row.contact_id)
        mailed = await deliveries.count_for_contact(db, ctx.tenant.id, row.contact_id)
        elsewhere = await erasure.elsewhere(db, ctx, row)
        card = Card(
            title=f"Erase {row.label}?",
            facts={
                "Contact": Contact.of(row).text(),
                "Mails in the history": f"{mailed} (kept without the person)",
                **elsewhere.facts(),
            },
            warnings=["This cannot be undone. The address will not be mailed again, even if it is imported later."],
        )
        return await approvals.ask(
            db,
            ctx,
            action="delete_contact",
            fingerprint=_fingerprint(row),
            card=card,
            contact_id=row.contact_id,
        )


def _fingerprint(row: ContactRow) -> str:
    return hashlib.sha256(f"{row.contact_id}:{row.email}".encode()).hexdigest()


async def _erasure_fingerprint(db: Connection, ctx: Context, request: ApprovalRow) -> str | None:
    row = await contacts.find(db, ctx.tenant.id, request.contact_id) if request.contact_id else None
    return _fingerprint(row) if row else None


async def _erase(db: Connection, ctx: Context, request: ApprovalRow) -> str:
    assert request.contact_id is not None
    row = await contacts.find(db, ctx.tenant.id, request.contact_id)
    assert row is not None, "the fingerprint was compared in this transaction"
    ctx.about(row.contact_id)
    return await erasure.erase(db, ctx, row)


approvals.register("delete_contact", effect="erase", fingerprint=_erasure_fingerprint, carry_out=_erase)


class SearchContacts(Arguments):
    query: Words | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Cursor | None = None
    status: Annotated[Text, Field(max_length=20, description="subscribed, unconfirmed, unsubscribed ..")] | None = None
    tags: Annotated[Tags, Field(description="Only contacts with all of these tags.")] | None = None
    campaign: Annotated[CampaignName, Field(description="Only recipients of this campaign.")] | None = None


@tool(effect="read")
async def search_contacts(args: SearchContacts, ctx: Context) -> ContactList:
    """Find contacts by what is known about them, in words ("restores old clocks"), by name, address, phone or tag."""
    status = checked_status(args.status)
    async with ctx.transaction() as db:
        campaign = (await find_campaign(db, ctx, args.campaign)).campaign_id if args.campaign else None
        which = Filter(status, args.tags or None, campaign)
        asked = await audience.understand(db, ctx, args.query, which)
        if not asked.words:
            return await _listed(db, ctx, asked, args)
        offset = read_offset(args.cursor)
        incomplete = await vectors.is_incomplete(db, ctx.tenant.id, ctx.embedder.name)
        rows = await audience.find(
            db, ctx, asked, audience.SEARCHED, offset=offset, limit=args.limit + 1
        )  # fmt: skip
    shown, more = page_of(rows, args.limit)
    cursor = write_cursor(str(offset + args.limit)) if more else None
    matches = await with_reasons(ctx, asked.words, shown)
    return ContactList(contacts=matches, query=args.query, next_cursor=cursor, incomplete=incomplete)


async def _listed(db: Connection, ctx: Context, asked: audience.Audience, args: SearchContacts) -> ContactList:
    """Without words there is an order of its own, newest first, and a count."""
    rows = await contacts.page(
        db, ctx.tenant.id, asked.which, after=read_place(args.cursor), limit=args.limit + 1
    )  # fmt: skip
    total = await contacts.count(db, ctx.tenant.id, asked.which)
    shown, more = page_of(rows, args.limit)
    cursor = write_cursor(shown[-1].created_at.isoformat(), str(shown[-1].contact_id)) if more else None
    matches = [Match(**Contact.of(row).model_dump()) for row in shown]
    return ContactList(contacts=matches, query=args.query, total=total, next_cursor=cursor)


async def with_reasons(ctx: Context, words: str, rows: list[FoundRow]) -> list[Match]:
    """Each found contact with why: the name or words that matched, or the part of the note that is nearest."""
    known = {row.contact_id: _reason(row) for row in rows}
    parts = {row.contact_id: _parts(row.description) for row in rows if known[row.contact_id] is None}
    texts = [text for those in parts.values() for text in those]
    try:
        vectors = await ctx.embedder.embed([audience.asked(words), *texts]) if texts else []
    except EmbeddingError:
        return [_match(row, known[row.contact_id] or row.description or "") for row in rows]
    numbers = [vector.to_numpy() for vector in vectors]
    near = {text: float(numpy.dot(vector, numbers[0])) for text, vector in zip(texts, numbers[1:], strict=True)}
    return [
        _match(row, known[row.contact_id] or max(parts.get(row.contact_id, []), key=near.__getitem__, default=""))
        for row in rows
    ]


def _reason(row: FoundRow) -> str | None:
    """Why a contact was found, as far as that is known without comparing the parts of its note by meaning."""
    if 0 < row.called < NAMED:
        return f"a name like “{row.full_name}”"
    if row.matched:
        return _with_words(row)
    if row.called:
        return f"matches “{row.phone_number or row.email}”"
    parts = _parts(row.description)
    return parts[0] if len(parts) == 1 else None


def _with_words(row: FoundRow) -> str:
    """The part of the note in which a matched word stands, else the words and where they matched."""
    for part in _parts(row.description):
        if any(word[:4] in part.lower() for word in row.matched):
            return part
    return "matches " + ", ".join(f"“{word}”" for word in row.matched)


def _match(row: FoundRow, why: str) -> Match:
    return Match(**Contact.of(row).model_dump(), why=why)


def _parts(note: str | None) -> list[str]:
    """The clauses of a note, at most six."""
    return [part.strip() for part in re.split(r"[.;!?\n]+|, ", note or "") if len(part.strip()) > 2][:6]


class GetContact(Arguments):
    contact: Whom


@tool(effect="read")
async def get_contact(args: GetContact, ctx: Context) -> Contact:
    """Show one contact with what is known about them. Not in the list of tools: a search shows as much to a model."""
    async with ctx.transaction() as db:
        return Contact.of(await find_contact(db, ctx, args.contact))


async def find_contact(db: Connection, ctx: Context, whom: str) -> ContactRow:
    """By id, e-mail address or full name. Raises `NoSuchContact` or `UnclearContact`, both with the candidates."""
    try:
        row = await contacts.find(db, ctx.tenant.id, UUID(whom))
    except ValueError:
        if "@" in whom:
            row = await contacts.by_email(db, ctx.tenant.id, whom)
        else:
            named = await contacts.by_name(db, ctx.tenant.id, whom)
            if len(named) > 1:
                raise UnclearContact(name=whom, candidates=", ".join(r.label for r in named[:5])) from None
            row = named[0] if named else None
    if row is None:
        near = await contacts.like(db, ctx.tenant.id, whom)
        hint = f" Did you mean {' or '.join(r.label for r in near)}?" if near else " Search for them first."
        raise NoSuchContact(name=whom, hint=hint)
    return row


async def note_vector(ctx: Context, tags: list[str], note: str | None) -> tuple[HalfVector | None, str | None]:
    """The vector of what is known about a contact, and its model; nothing when nothing is known.

    When the embedding endpoint fails the contact is stored without: it is found by words, and `smartcampaign reembed`
    makes up for it.
    """
    text = embedded_text(tags, note)
    if not text:
        return None, None
    try:
        (vector,) = await ctx.embedder.embed([text])
    except EmbeddingError:
        return None, None
    return vector, ctx.embedder.name


def embedded_text(tags: list[str], note: str | None) -> str:
    """What of a contact is embedded: the note, then the tags; nothing without a note.

    Names would only blur the meaning, and the vector of a lone "newsletter" is near to every question.
    """
    return f"{note} {', '.join(tags)}".strip() if note else ""
