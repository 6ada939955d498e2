"""Everything known about one person, as one document: what they may ask for (GDPR, Articles 15 and 20).

What names others as well is cut to the lines that name this person, and the people who did something are left out: the
document goes to the person, and others have rights too (Article 15, 4).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pgvector import HalfVector

from db import conversations, exports, packed
from db.contacts import ContactRow
from db.exports import PersonQuery
from db.pool import Connection
from tools import erasure
from tools.base import Context
from tools.contacts import find_contact
from tools.errors import NoSuchContact
from tools.exports import in_utc, recorded
from tools.traces import Person, Traces

OTHERS = "(a line that names others too)"


@dataclass(frozen=True)
class PersonalData:
    """The document. `contact` is None for somebody of whom at most traces are left."""

    address: str
    document: dict[str, Any]

    def as_json(self) -> str:
        return json.dumps(self.document, ensure_ascii=False, indent=2, default=_plain) + "\n"

    def text(self) -> str:
        """What there is, as a sentence."""
        if self.document["contact"] is not None:
            return f"Everything known about {self.address}."
        if self.document["suppression"] is not None:
            return f"{self.address} is no contact; a hash keeps it from being mailed."
        return f"{self.address} is no contact, and nothing keeps it from being mailed."


async def everything_about(whom: str, ctx: Context) -> PersonalData:
    """Collect what is known about a contact, or what is left of an address that is none.

    Times are ISO 8601 in UTC. Raises `NotAllowed` for less than an owner, `NoSuchContact` or `UnclearContact`.
    """
    async with recorded(ctx, "export person", "erase") as line:
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            row = await _contact(db, ctx, whom)
        line.subjects = [row.contact_id] if row else []
    address = row.email if row else whom.strip()
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        document = await _document(db, ctx, row, address)
    return PersonalData(address, document)


async def _contact(db: Connection, ctx: Context, whom: str) -> ContactRow | None:
    try:
        return await find_contact(db, ctx, whom)
    except NoSuchContact:
        if "@" in whom:
            return None
        raise


async def _document(db: Connection, ctx: Context, row: ContactRow | None, address: str) -> dict[str, Any]:
    tenant, id = ctx.tenant.id, row.contact_id if row else None
    person = Person.of(row) if row else Person(addresses=frozenset({address}))
    if row:
        person = person.known_as(await erasure.addresses_of(db, ctx, row))
    traces = Traces(person)

    async def about(what: PersonQuery) -> list[dict[str, Any]]:
        return await exports.about_person(db, tenant, what, contact_id=id, email=address)

    contact = next(iter(await about("person")), None) if row else None
    elsewhere = await erasure.elsewhere(db, ctx, row) if row else None
    return {
        "about": address,
        "made_at_utc": ctx.now(),
        "held_by": ctx.tenant.name,
        "contact": contact and {name: contact[name] for name in contact if name not in _COMPUTED},
        # Numbers that were computed from the note for searching by meaning; a part of what was said can be guessed from
        # them, so they are personal data too.
        "computed_from_the_note": contact and _vector(contact),
        "suppression": next(iter(await about("person_suppression")), None),
        "campaigns": await about("person_campaigns") if row else [],
        "drafts": await about("person_drafts") if row else [],
        "mails": await about("person_mails") if row else [],
        "test_mails": await about("person_tests"),
        "captured_mails": await about("person_captured"),
        "events": await about("person_events") if row else [],
        "approval_requests": [
            found for each in await about("person_approvals") if (found := _request(each, id, traces))
        ],
        "audit_log": await about("person_audit") if row else [],
        "conversations": await _conversations(db, tenant, traces),
        "named_in_notes_about_others": len(elsewhere.notes) if elsewhere else 0,
        "named_in_campaigns": list(elsewhere.campaigns) if elsewhere else [],
    }


_COMPUTED = ("embedding_model", "vector_embedding")


def _vector(contact: dict[str, Any]) -> dict[str, Any] | None:
    vector = contact["vector_embedding"]
    if not isinstance(vector, HalfVector):
        return None
    numbers = vector.to_list()
    # The column is wider than most models' vectors; the rest is zeros.
    while numbers and not numbers[-1]:
        numbers.pop()
    return {"model": contact["embedding_model"], "numbers": [round(number, 5) for number in numbers]}


def _request(row: dict[str, Any], id: UUID | None, traces: Traces) -> dict[str, Any] | None:
    """A request about the person whole; of another that names them the lines that do; None for one that does not."""
    about = row.pop("contact_id")
    if id is not None and about == id:
        return row
    lines = _lines([row.pop("card"), row.pop("arguments")], traces)
    return {**row, "lines": lines} if lines else None


async def _conversations(db: Connection, tenant: UUID, traces: Traces) -> list[dict[str, Any]]:
    """Of each conversation the lines that name the person: what was said, and what the agent remembers besides."""
    found: dict[UUID, dict[str, Any]] = {}
    async with aclosing(conversations.everything_said(db, tenant)) as messages:
        async for message in messages:
            lines = _about_them_alone(message.text, traces)
            if lines:
                talk = found.setdefault(message.conversation_id, _talk())
                talk["said"] += [
                    {"at_utc": message.created_at, "by": message.role, "line": line} for line in lines
                ]  # fmt: skip
    async with aclosing(exports.states(db, tenant)) as states:
        async for id, kind, data in states:
            remembered = _Found(traces)
            try:
                packed.changed(kind, data, remembered)
            except packed.Unreadable:
                continue
            said = {each["line"] for each in found[id]["said"]} if id in found else set()
            lines = [line for line in dict.fromkeys(remembered.lines) if line not in said]
            if lines:
                found.setdefault(id, _talk())["remembered"] += lines
    return list(found.values())


def _talk() -> dict[str, Any]:
    return {"said": [], "remembered": []}


class _Found:
    """Collects the lines that name a person, and changes nothing (`db.packed.Change`)."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self.lines: list[str] = []

    def text(self, text: str) -> str:
        self.lines += _about_them_alone(text, self._traces)
        return text

    def mapping(self, mapping: dict[Any, Any]) -> dict[Any, Any]:
        """Arguments that name the person say something about them in every field."""
        if self._traces.names(mapping):
            self.lines += [f"{name}: {value}" for name, value in mapping.items() if value]
        return mapping


def _about_them_alone(text: str, traces: Traces) -> list[str]:
    """The lines that name the person; of one with somebody else's address only that there is one."""
    if not traces.named_in(text):
        return []
    return [OTHERS if "@" in traces.sparing(line) else line for line in traces.lines(text)]


def _lines(values: Sequence[Any], traces: Traces) -> list[str]:
    lines: list[str] = []
    for value in values:
        match value:
            case str():
                lines += _about_them_alone(value, traces)
            case list():
                lines += _lines(value, traces)
            case dict():
                lines += _lines(list(value.values()), traces)
    return lines


def _plain(value: object) -> object:
    match value:
        case datetime():
            return in_utc(value)
        case Decimal():
            return float(value)
    return str(value)
