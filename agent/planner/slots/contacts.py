"""Slots of the contact tools, but for the search (people.py)."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

from agent.planner import names
from agent.planner.clauses import starts_request
from agent.planner.contract import Call
from agent.planner.entities import Thing
from agent.planner.patterns import SIGNS, rule
from agent.planner.phrases import has_words
from agent.planner.slots import notes, tagging
from agent.planner.slots.common import Filled, Request, call
from agent.planner.slots.topics import without_asides
from agent.planner.text import fold

_EMAIL, _PHONE, _QUOTE = SIGNS["{E}"], SIGNS["{P}"], SIGNS["{Q}"]


def create(request: Request) -> Filled:
    pieces = _one_address_each(request.whole)
    if len(pieces) > 1:
        filled = [create(replace(request, clause=replace(request.clause, text=piece, more=""))) for piece in pieces]
        return Filled([call_ for one in filled for call_ in one.calls])
    address, phone = request.first("email"), request.first("phone")
    if address is None:
        return call("create_contact", "email", **names.split_name(names.person(request.text)))
    tags, text = tagging.take(request, request.whole)
    fields, text = _name_fields(request, text)
    name, text = ("", text) if fields else _take_name(request, text, address)
    text = re.sub(rf"\s*{_PHONE}\s*", f" {notes.TAKEN} ", _without_phone_label(text))
    bare, text = _bare_tags(request, re.sub(_EMAIL, f" {notes.TAKEN} ", text))
    return call(
        "create_contact",
        email=address.value,
        **(fields or names.split_name(request.say(name))),
        phone_number=phone.value if phone else None,
        description=request.say(notes.of_person(text)).strip(" ,.;:"),
        tags=list(dict.fromkeys(tags + bare)),
    )


def _name_fields(request: Request, text: str) -> tuple[dict[str, str], str]:
    """ "Surname McKay, first name Ian": a name said field by field; one alone may stand beside a name."""
    fields: dict[str, str] = {}
    rest = text
    for field in ("last_name", "first_name"):
        if (value := _value_of(field, _FIELDS[field], request, rest)) is not None:
            said, start, end = value
            word = re.search(_FIELDS[field], fold(rest))
            fields[field] = said.title() if said.islower() else said
            rest = f"{rest[: min(start, word.start() if word else start)]} {notes.TAKEN} {rest[end:]}"
    return (dict(sorted(fields.items())), rest) if len(fields) == 2 else ({}, text)


def _take_name(request: Request, text: str, address: Thing) -> tuple[str, str]:
    """The name, and the text with a gap in its place."""
    quote = request.first("quote", text)
    found = names.best(text, [address.value])
    if quote and not found:
        return quote.value, re.sub(_QUOTE, notes.TAKEN, text, count=1)
    if not found:
        return "", text
    return found.name, f"{text[: found.start]} {notes.TAKEN} {text[found.end :]}"


def _without_phone_label(text: str) -> str:
    """ "Her mobile 07700 ...": the words that lead to a number go with it."""
    match = re.search(_PHONE, text)
    return f"{notes.without_label(text[: match.start()])} {text[match.start() :]}" if match else text


def _bare_tags(request: Request, text: str) -> tuple[list[str], str]:
    """A known tag alone between commas."""
    known = {fold(tag): tag for tag in request.situation.tags}
    pieces = re.split(r"([|,;.])", text)
    bare = [known[fold(piece.strip(" ."))] for piece in pieces if fold(piece.strip(" .")) in known]
    return bare, "".join(piece for piece in pieces if fold(piece.strip(" .")) not in known)


def _one_address_each(text: str) -> list[str]:
    """ "Ann a@x and Bo b@x": two contacts. Cut between the addresses, at the joint nearest the first."""
    at = [match.start() for match in re.finditer(_EMAIL, text)]
    pieces, start = [], 0
    for here, following in itertools.pairwise(at):
        joint = re.search(r"\s*(?:;|,?\s+(?:and|und|et|y|plus|&)\s|,)", text[here:following])
        cut = here + (joint.end() if joint else 1)
        pieces.append(text[start:cut].rstrip(" ,;") if joint else text[start:cut])
        start = cut
    return [*pieces, text[start:]] if at else [text]


def update(request: Request) -> Filled:
    found = names.best(request.whole)
    tags, rest = tagging.take(request, request.whole, found.name if found else "")
    phone = request.first("phone")
    fields, text = _named_fields(request, rest)
    who, email = _whose(request, text if fields else request.whole, bool(fields))
    if not fields and not tags and not email and not phone:
        note = _note(request, rest, who)
        if tag := _known_tag(request, note):
            tags = [tag]
        elif note:
            fields["description"] = note
    changes = bool(fields or tags or email or phone)
    missing = "contact" if not who else "" if changes else "change"
    several = request.all("email") if _EMAILS_IN_A_ROW.search(request.whole) and not email else []
    changed: dict[str, Any] = {"email": email, "phone_number": phone.value if phone else None, "tags": tags, **fields}
    filled = [call("update_contact", contact=one.value, **changed).calls[0] for one in several]
    return Filled(filled, missing) if filled else call("update_contact", missing, contact=who, **changed)


def _known_tag(request: Request, note: str) -> str | None:
    """ "She is wholesale now", "he's a vip": a tag of ours, not a description."""
    bare = re.sub(r"^(?:an?|our)\s+|\s+(?:customer|contact|client|now|too|member)s?$", "", fold(note))
    return next((tag for tag in request.situation.tags if fold(tag) == bare), None)


def _whose(request: Request, text: str, renamed: bool) -> tuple[str | None, str | None]:
    """Whom the change is about, and the new address where there is one."""
    emails = request.all("email")
    if len(emails) > 1:
        return emails[0].value, None if _EMAILS_IN_A_ROW.search(request.whole) else emails[1].value
    quote = request.first("quote")
    found = names.best(text) or (None if renamed else names.best(text, enough=1))
    person = found.name if found else quote.value if quote and not renamed else None
    pronoun = rule("common_contact_pronoun").search(fold(text))
    if not emails:
        spoken_of = request.memory.contact if pronoun and not _is_subject(text, found) else None
        return spoken_of or person or request.memory.contact, None
    if rule("contacts_new_address").search(fold(request.whole)):
        return person or request.memory.contact, emails[0].value
    return emails[0].value, None


_EMAILS_IN_A_ROW = rule("contacts_emails_in_a_row")


def _is_subject(text: str, found: names.Found | None) -> bool:
    """Named where somebody is spoken of, not in the middle of what is said about another."""
    if found is None:
        return False
    before = text[: found.start]
    return found.start < 25 or found.score >= 4 or bool(re.search(r"\b(?:of|for|to|on|tag|update)\s+$", fold(before)))


# Which field a word names; "name" is told apart by how many words follow.
_FIELD_NAMES = ("last_name", "first_name", "description", "name")
_FIELDS = {field: rule(f"contacts_field_{field}").pattern for field in _FIELD_NAMES}
_TO = rule("contacts_to").pattern
_NEW_NAME = r"(?P<it>[^\W\d_][\w'’-]*(?: [^\W\d_a-zß-ÿ][\w'’-]*)*)"


def _named_fields(request: Request, text: str) -> tuple[dict[str, str], str]:
    """The fields that are called by their names, and the text without the new value."""
    for field, word in _FIELDS.items():
        if (value := _value_of(field, word, request, text)) is not None:
            said, start, end = value
            rest = f"{text[:start]} {text[end:]}"
            if field == "name":
                return names.split_name(said), rest
            return {field: said if field == "description" or not said.islower() else said.title()}, rest
    called = rule("contacts_really_called").search(fold(text)) or rule("contacts_renamed").search(fold(text))
    if called:
        said = request.say(text[called.start("it") : called.end("it")])
        return names.split_name(_clean_name(said)), text[: called.start("it")] + text[called.end("it") :]
    return {}, text


def _value_of(field: str, word: str, request: Request, text: str) -> tuple[str, int, int] | None:
    """A field's new value, and where it stands."""
    span = _note_span(word, text) if field == "description" else _name_span(word, text)
    if span is None:
        return None
    start, end = span
    said = without_asides(text[start:end])
    if field != "description":
        said = _VALUE_END.split(said, maxsplit=1)[0]
        end = start + len(said)
    said = _clean_name(request.say(re.sub(f"{_EMAIL}|{_PHONE}", "", said)))
    if not said or (field != "description" and rule("contacts_no_value").fullmatch(fold(said))):
        return None
    return said, start, end


_VALUE_END = rule("contacts_value_end")


def _note_span(word: str, text: str) -> tuple[int, int] | None:
    match = re.search(rf"\b{word}(?!\w){_TO}(?P<it>.+?)(?:;|\.\s|\.?$)", fold(text))
    return match.span("it") if match else None


def _name_span(word: str, text: str) -> tuple[int, int] | None:
    """ "Her surname is Shah", "put Shah as her surname", "has taken the surname Shah"."""
    if span := _note_span(word, text):
        return span
    before = re.search(rf"\b(?P<it>[\w'’-]+)\s+{_AS}{word}(?!\w)", fold(text))
    if before:
        return before.span("it")
    direct = re.search(rf"\b{word}\s+{_NEW_NAME}", _fold_words(text, word))
    if not direct:
        return None
    return direct.span("it") if direct["it"][:1].isupper() or names.is_strange(direct["it"]) else None


_AS = rule("contacts_as").pattern


def _fold_words(text: str, word: str) -> str:
    """The text with the field's word in small letters, so that one pattern finds it beside a capitalised name."""
    found = re.search(rf"\b{word}(?!\w)", fold(text))
    return text if not found else text[: found.start()] + fold(text[found.start() : found.end()]) + text[found.end() :]


_AFTER_VALUE = re.compile(r"\s+(?:now|actually|really|these days|instead|again|please|bitte|from now on)$", re.I)


def _clean_name(said: str) -> str:
    return _AFTER_VALUE.sub("", said.strip(" ,.'\"?!")).strip(" ,.'\"?!")


def _note(request: Request, text: str, who: str | None) -> str:
    if told := notes.told(text):
        return request.say(re.sub(_EMAIL, "", told)).strip(" ,.:-?!'\"")
    rest = text.replace(who, notes.TAKEN, 1) if who else text
    rest = re.sub(rf"{_EMAIL}(?:'s)?|{_QUOTE}", notes.TAKEN, rest)
    if starts_request(text) and notes.TAKEN not in rest[:40]:
        return ""
    note = notes.of_person(rest if notes.TAKEN in rest else f"{notes.TAKEN} {rest}")
    return request.say(note).strip(" ,.:-?!") if has_words(note) else ""


def delete(request: Request) -> Filled:
    if addresses := request.all("email"):
        people = [address.value for address in addresses] + _beside_addresses(request.text)
        return Filled([Call("delete_contact", {"contact": one}) for one in people])
    quoted = request.first("quote")
    found = names.best(request.whole)
    pronoun = rule("contacts_pronoun_alone").search(request.folded)
    if pronoun and request.memory.contact and (not found or (found.score < 4 and found.start > pronoun.start())):
        return call("delete_contact", contact=request.memory.contact)
    several = _people_in_a_row(request.text)
    if len(several) > 1:
        return Filled([Call("delete_contact", {"contact": name}) for name in several])
    found = found or names.best(request.whole, enough=1)
    person = quoted.value if quoted else found.name if found else ""
    return call("delete_contact", "" if person else "contact", contact=person)


def _beside_addresses(text: str) -> list[str]:
    """ "Delete ada@example.org and also the contact Ola Lund": another one, and not the name that goes with it."""
    joint = rule("contacts_beside_address")
    return [
        one.name
        for one in names.candidates(text)
        if one.score >= names.ENOUGH and " " in one.name and joint.search(fold(text[: one.start]))
    ]


def _people_in_a_row(text: str) -> list[str]:
    """ "Delete Ada King and Ola Lund"."""
    found = [one for one in names.candidates(text) if one.score >= names.ENOUGH]
    apart = [text[a.end : b.start] for a, b in itertools.pairwise(found)]
    joined = all(re.fullmatch(r"\s*(?:,|,?\s*(?:and|und|et|y|&|as well as))\s*", fold(between)) for between in apart)
    return [one.name for one in found] if joined else []


def imports(request: Request) -> Filled:
    dry = rule("contacts_imports_dry").search(fold(request.whole))
    return call("import_contacts", "" if request.paste else "csv", csv=request.paste, dry_run=True if dry else None)
