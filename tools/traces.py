"""Where a person is named, in any text, and the same text without them.

A person is named by an address, the full name, a phone number however it is written, or the id. A first or a last name
alone, or a few words of a note, are too common to be taken out everywhere: they go where the same line names the
person. docs/export.md says it for users.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote
from uuid import UUID

import phonenumbers

from db.contacts import ContactRow

ERASED = "[erased]"

# A note, or a sentence of it, is taken out everywhere from so many characters on; in scripts that write a word in one
# or two signs from fewer.
TELLING = 12
TELLING_SIGNS = 6

# Calls and results name a person under these keys, and say what is known about them under the others.
_WHO = ("contact", "email", "to", "address", "contact_id")
_WHAT = frozenset({
    "first_name", "last_name", "phone_number", "description", "tags", "time_zone", "attributes", "why", "instructions",
    "subject", "body", "preview",
})  # fmt: skip

_SIGNS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af"
_QUOTED = re.compile(r"^([ \t]*(?:>|\*\*Subject:\*\*) ?).+$", re.MULTILINE)
_SEPARATORS = str.maketrans("", "", " \t\u00a0().-/")


@dataclass(frozen=True)
class Person:
    """How somebody may be named."""

    contact_id: UUID | None = None
    addresses: frozenset[str] = frozenset()
    first_name: str | None = None
    last_name: str | None = None
    phones: frozenset[str] = frozenset()
    """E.164."""
    note: str | None = None

    @classmethod
    def of(cls, row: ContactRow) -> Person:
        return cls(
            contact_id=row.contact_id, addresses=frozenset({row.email}), first_name=row.first_name,
            last_name=row.last_name, phones=frozenset({row.phone_number} if row.phone_number else ()),
            note=row.description,
        )  # fmt: skip

    def known_as(self, addresses: Iterable[str]) -> Person:
        """The same person with more addresses."""
        return replace(self, addresses=self.addresses | frozenset(addresses))

    def nameless(self) -> Person:
        """The same person, not to be looked for by name: somebody else has that name too."""
        return replace(self, first_name=None, last_name=None, note=None)


@dataclass
class Traces:
    """Finds a person in texts, and takes them out (`db.packed.Change`)."""

    person: Person
    others: set[str] = field(default_factory=set)
    """Addresses that calls gave the person besides the known ones: an address that was changed since."""

    def __post_init__(self) -> None:
        who = self.person
        names = _full_names(who)
        self._literals = {
            form
            for text in (*who.addresses, *(max(name.split(), key=len) for _, name in names), *_ids(who))
            for form in map(str.casefold, _forms(text))
        }  # fmt: skip
        self._digits = {_national(phone)[1] for phone in who.phones}
        self._exactly = {_only_name(who).casefold()} - {""}
        self._named = _any_of([
            *(_address_pattern(address) for address in who.addresses),
            *(pattern for name in names for pattern in _name_patterns(*name)),
            *map(_phone_pattern, who.phones), *map(re.escape, _ids(who)),
        ])  # fmt: skip
        parts = [part for part in (who.first_name, who.last_name) if part]
        note = _sentences(who.note or "")
        self._beside = _any_of([*(_words(part) for part in parts), *map(_words, sorted(note, key=len, reverse=True))])
        telling = [text for text in note if _is_telling(text)]
        self._told = _any_of([_words(text) for text in sorted(telling, key=len, reverse=True)])
        # What was said of them: "Ada Lovelace (ada@example.org): collects cards", "ada@example.org — first name: Ada".
        self._label = re.compile(rf"({re.escape(ERASED)}(?: \({re.escape(ERASED)}\))?(?:: | — )).+")

    @property
    def words(self) -> set[str]:
        """One of these is in every text that names the person: to look for in the database."""
        who = self.person
        numbers = set(who.phones) | {_national(phone)[1] for phone in who.phones}
        return {*who.addresses, *(f"{first} {last}" for first, last in _full_names(who)), *_ids(who), *numbers}

    def named_in(self, text: str) -> bool:
        """Whether the text names the person."""
        folded = text.casefold()
        if not any(literal in folded for literal in self._literals):
            digits = text.translate(_SEPARATORS) if self._digits else ""
            if not any(number in digits for number in self._digits):
                return False
        return self._named is not None and self._named.search(text) is not None

    def lines(self, text: str) -> list[str]:
        """The lines that name the person."""
        return [line.strip() for line in text.splitlines() if self.named_in(line)]

    def sparing(self, text: str) -> str:
        """The text without the person's address, full name, phone and id, and otherwise as it is."""
        return self._named.sub(ERASED, text) if self._named is not None and self.named_in(text) else text

    def text(self, text: str) -> str:
        """The text without the person, and without what its lines say of them."""
        if self.named_in(text):
            # A mail that is quoted beside a person's name is mostly the mail as they would see it.
            text = _QUOTED.sub(rf"\1{ERASED}", "\n".join(self._line(line) for line in text.split("\n")))
        return self._told.sub(ERASED, text) if self._told is not None else text

    def mapping(self, mapping: dict[Any, Any]) -> dict[Any, Any]:
        """Arguments or fields about the person, without what they say."""
        if not self.names(mapping):
            return mapping
        given = {value for key in _WHO if isinstance(value := mapping.get(key), str)}
        self.others |= {value for value in given if "@" in value and " " not in value and not self._is(value)}
        return {key: _blank(value) if key in _WHAT else value for key, value in mapping.items()}

    def names(self, mapping: dict[Any, Any]) -> bool:
        """Whether these are arguments or fields about the person."""
        first, last = mapping.get("first_name"), mapping.get("last_name")
        if isinstance(first, str) and isinstance(last, str) and f"{first} {last}".casefold() in self._exactly:
            return True
        return any(isinstance(value := mapping.get(key), str) and self._is(value) for key in _WHO)

    def _is(self, value: str) -> bool:
        return value.casefold().strip() in self._exactly or self.named_in(value)

    def _line(self, line: str) -> str:
        if not self.named_in(line):
            return line
        if line.lstrip().startswith("|"):
            cells = len(re.split(r"(?<!\\)\|", line.strip().strip("|")))
            return "|" + f" {ERASED} |" * cells
        assert self._named is not None
        line = self._named.sub(ERASED, line)
        if self._beside is not None:
            line = self._beside.sub(ERASED, line)
        return self._label.sub(rf"\1{ERASED}", line)


def _full_names(who: Person) -> list[tuple[str, str]]:
    """First and last name; of a name in one field its first word and the rest."""
    if who.first_name and who.last_name:
        return [(who.first_name, who.last_name)]
    first, _, last = _only_name(who).partition(" ")
    return [(first, last)] if last else []


def _only_name(who: Person) -> str:
    return " ".join(" ".join(part for part in (who.first_name, who.last_name) if part).split())


def _ids(who: Person) -> tuple[str, ...]:
    return (str(who.contact_id), who.contact_id.hex) if who.contact_id else ()


def _forms(text: str) -> set[str]:
    """The text as it may be written: accents as one character or two, in an address bar, inside JSON."""
    composed, parted = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return {composed, parted, quote(composed, safe=""), json.dumps(composed)[1:-1]}


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    found = list(dict.fromkeys(patterns))
    return re.compile("|".join(found), re.IGNORECASE) if found else None


def _address_pattern(address: str) -> str:
    # As a whole: da@example.org is not in ada@example.org.
    forms = "|".join(re.escape(form) for form in sorted(_forms(address)))
    return rf"(?<![\w.+%-])(?:{forms})(?![\w-]|\.\w)"


def _name_patterns(first: str, last: str) -> list[str]:
    """In both orders, as "Ada Lovelace" and "Lovelace, Ada"; names in signs also without a space."""
    between = r"\s*" if re.search(f"[{_SIGNS}]", first + last) else r"\s+"
    return [
        _whole(rf"{_spaced(one)}{comma}{between}{_spaced(other)}")
        for one, comma, other in ((first, "", last), (last, ",?", first))
    ]


def _phone_pattern(phone: str) -> str:
    """The number in whatever groups, with its country code, with a zero before it, or bare."""
    country, national = _national(phone)
    gap = r"[\s().\-/]*"
    # The bracket of "(0113) 496 0123", and not one around the whole.
    before = rf"(?:\((?=\+?\d{{1,6}}\)))?(?:(?:\+|00)?{country}{gap}(?:0{gap})?|0{gap})?"
    return rf"(?<![\d+]){before}{gap.join(national)}(?!\d)"


def _national(phone: str) -> tuple[str, str]:
    """The country code and the digits after it."""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return "", re.sub(r"\D", "", phone)
    return str(number.country_code), phonenumbers.national_significant_number(number)


def _sentences(note: str) -> list[str]:
    """The note, its lines and its sentences."""
    parts = [note, *note.splitlines(), *re.split(r"[.;!?\n。！？]+", note)]
    return list(dict.fromkeys(stripped for part in parts if len(stripped := part.strip()) > 2))


def _is_telling(text: str) -> bool:
    return len(text) >= TELLING or len(re.findall(f"[{_SIGNS}]", text)) >= TELLING_SIGNS


def _words(text: str) -> str:
    return _whole(_spaced(text))


def _spaced(text: str) -> str:
    """The text with any spaces and line breaks between its words."""
    forms = {r"\s+".join(re.escape(word) for word in form.split()) for form in _forms(text) if "%" not in form}
    return f"(?:{'|'.join(sorted(forms))})"


def _whole(pattern: str) -> str:
    """Not inside a longer word or an address; signs have no spaces between words."""
    signs = re.search(f"[{_SIGNS}]", pattern)
    return pattern if signs else rf"(?<!\w){pattern}(?![\w@])"


def _blank(value: Any) -> Any:
    match value:
        case str():
            return ERASED if value else value
        case list():
            return []
        case dict():
            return {}
    return value
