"""One row of a list as the fields of a contact, or why it can't be one. Written for millions of rows."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from tools.errors import InvalidArguments
from tools.fields import checked_email, tidy_tags
from tools.imports import phones
from tools.imports.columns import Columns, normal, states
from tools.imports.decoding import CONTROL
from tools.spreadsheet import unguarded

# A row that was read: what follows, in this order. The key is the address in lower case, as the database compares it.
FIELDS = ("key", "email", "first_name", "last_name", "phone_number", "description", "tags", "status", "time_zone",
          "attributes")  # fmt: skip
Row = tuple[str | None, ...]

KEY, EMAIL, DESCRIPTION, TAGS, STATUS, ATTRIBUTES = 0, 1, 5, 6, 7, 9

# From what everybody may be mailed to what nobody may: of several the strictest counts.
STRICTNESS = ("subscribed", "unconfirmed", "unsubscribed", "bounced", "complained")

LONGEST_NOTE = 10_000
LONGEST_NAME = 100
LONGEST_ATTRIBUTES = 50_000
LONGEST_TAG = 50
MOST_TAGS = 50
_MOST_WORDS = 20

# Addresses about which there is no doubt; a property test holds this against email-validator, which judges the rest.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_plain_address = re.compile(
    rf"(?=.{{6,254}}$)(?!.*--)(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+"
    r"(?!(?:local|localhost|invalid|onion|arpa|alt)$)[A-Za-z]{2,63}", re.IGNORECASE
).fullmatch  # fmt: skip

_WITH_NAME = re.compile(r"[^<>]*<([^<>\s]+@[^<>\s]+)>")
_NO = frozenset({"", "0", "no", "n", "false", "nein", "non", "nao", "nee", "never", "none", "null", "f"})
_ZONES = available_timezones()


class BadRow(ValueError):
    """This row can't be a contact; the text says why, for the person whose list it is."""


class RowReader:
    """Reads rows of one table. Counts what it could not understand but which is no reason to leave a person out."""

    def __init__(self, columns: Columns, country: str, *, tags: Sequence[str] = (), status: str | None = None) -> None:
        """`tags` are given to everybody; `status` holds for the whole table."""
        place = columns.places.get
        self._columns, self._country, self._status = columns, country, status
        self._width = len(columns.header)
        self._email = columns.places["email"]
        self._first, self._last, self._name = place("first_name"), place("last_name"), place("name")
        self._phone, self._note, self._zone = place("phone_number"), place("description"), place("time_zone")
        self._everybody = ",".join(tidy_tags(list(tags)))
        self._guarded = columns.product is not None and columns.product.startswith("SmartCampaign")
        self.unread_phones = 0
        self.unknown_states: Counter[str] = Counter()

    def read(self, cells: list[str]) -> Row:
        """The row's fields. Raises `BadRow`."""
        if len(cells) != self._width:
            self._fit(cells)
        if self._guarded:
            cells[:] = [unguarded(cell) for cell in cells]
        email, key = _address(cells[self._email])
        first = last = phone = note = zone = None
        extra: dict[str, Any] | None = None
        if (place := self._first) is not None:
            first = cells[place].strip() or None
        if (place := self._last) is not None:
            last = cells[place].strip() or None
        if (place := self._name) is not None and (cell := cells[place].strip()):
            whole = _split_name(cell)
            first, last = first or whole[0], last or whole[1]
        if (first is not None and len(first) > LONGEST_NAME) or (last is not None and len(last) > LONGEST_NAME):
            raise BadRow(f"The name is longer than {LONGEST_NAME} characters.")
        if (place := self._note) is not None and (note := cells[place].strip() or None) and len(note) > LONGEST_NOTE:
            raise BadRow(f"The note is longer than {LONGEST_NOTE:,} characters. Is a quote left open in this row?")
        if (place := self._phone) is not None and (cell := cells[place].strip()):
            phone = phones.phone(cell, self._country)
            if phone is None:
                self.unread_phones += 1
                extra = {self._columns.header[place] or "phone": cell[:LONGEST_NAME]}
        if (place := self._zone) is not None and (cell := cells[place].strip()) in _ZONES:
            zone = cell
        tags = self._everybody or None
        for place in self._columns.tags:
            if cell := cells[place]:
                tags = _tags(f"{cell},{tags}" if tags else cell)
        status = self._status
        for place, kind in self._columns.consent:
            if cell := cells[place].strip():
                status = stricter(status, self._state(cell, kind))
        attributes = None
        if extra is not None or self._columns.kept or self._columns.json is not None:
            attributes = self._attributes(cells, extra)
        return (key, email, first, last, phone, note, tags, status, zone, attributes)

    def _fit(self, cells: list[str]) -> None:
        """Rows may be shorter than the header, or have empty cells after it."""
        missing = self._width - len(cells)
        if missing > 0:
            cells += [""] * missing
        elif any(cell.strip() for cell in cells[self._width :]):
            raise BadRow(
                f"The row has {len(cells)} cells, the header only {self._width}: a text with a separator in it needs "
                "quotes around it."
            )

    def _state(self, cell: str, kind: str) -> str | None:
        state = _state_of(cell, kind)
        is_new = cell[:40] not in self.unknown_states
        if state is None and kind == "state" and not (is_new and len(self.unknown_states) >= _MOST_WORDS):
            self.unknown_states[cell[:40]] += 1
        return state

    def _attributes(self, cells: list[str], extra: dict[str, Any] | None) -> str | None:
        found: dict[str, Any] = extra or {}
        if self._columns.json is not None:
            found |= _object(cells[self._columns.json])
        for place, name in self._columns.kept.items():
            if cell := cells[place].strip():
                found[name] = cell
        if not found:
            return None
        text = json.dumps(found, ensure_ascii=False, sort_keys=True)
        if len(text) > LONGEST_ATTRIBUTES:
            raise BadRow(f"The columns besides the known ones hold more than {LONGEST_ATTRIBUTES:,} characters.")
        return text


def stricter(one: str | None, other: str | None) -> str | None:
    """Of two states the one by which fewer mails go out; None is no state."""
    if one is None or other is None or one == other:
        return one or other
    return max(one, other, key=STRICTNESS.index)


def merged(earlier: Row, later: Row) -> Row:
    """Two rows with one address: as if they had been imported one after the other (see `merge` in contacts.sql)."""
    values = [after if after is not None else before for before, after in zip(earlier, later, strict=True)]
    values[EMAIL] = earlier[EMAIL]
    values[TAGS] = _tags(",".join(tags for tags in (earlier[TAGS], later[TAGS]) if tags)) or None
    values[STATUS] = stricter(earlier[STATUS], later[STATUS])
    old, new = earlier[ATTRIBUTES], later[ATTRIBUTES]
    if old and new:
        both = json.loads(old) | json.loads(new)
        values[ATTRIBUTES] = json.dumps(both, ensure_ascii=False, sort_keys=True)
    return tuple(values)


def _address(text: str) -> tuple[str, str]:
    """The address, its domain in lower case, and the key. Raises `BadRow`."""
    text = text.strip()
    if _plain_address(text):
        key = text.lower()
        if key == text:
            return key, key
        at = key.index("@")
        return text[:at] + key[at:], key
    if not text:
        raise BadRow("There is no e-mail address in this row.")
    if within := _WITH_NAME.fullmatch(text):
        text = within[1]
    try:
        email, _ = checked_email(text.removeprefix("mailto:"))
    except InvalidArguments as error:
        raise BadRow(str(error)) from None
    return email, "".join(c.lower()[0] for c in email)


def _split_name(name: str) -> tuple[str | None, str | None]:
    """A whole name in first and last: "Ada Lovelace" or "Lovelace, Ada"."""
    if name.count(",") == 1:
        last, _, first = name.partition(",")
    else:
        first, _, last = name.partition(" ")
    return first.strip() or None, last.strip() or None


@lru_cache(maxsize=10_000)
def _tags(text: str) -> str | None:
    tags = tidy_tags([tag.strip(" \"'[]{}") for tag in re.split(r"[;,|]", text)])
    if any(len(tag) > LONGEST_TAG for tag in tags):
        raise BadRow(f"A tag is longer than {LONGEST_TAG} characters.")
    return ",".join(tags[:MOST_TAGS]) or None


@lru_cache(maxsize=10_000)
def _state_of(cell: str, kind: str) -> str | None:
    """What a cell says about who may be mailed; None when it says nothing."""
    word = normal(cell)
    if kind == "state":
        return states().get(word)
    if kind == "subscribed":
        return "unsubscribed" if word in _NO else None
    if kind == "marketing":
        return "unconfirmed" if word.startswith("non") or word in _NO else None
    if kind == "suppressions":
        return _suppressed(word)
    return None if word in _NO else kind


def _suppressed(word: str) -> str | None:
    if not word or word in _NO:
        return None
    if "bounce" in word or "invalid" in word:
        return "bounced"
    return "complained" if "spam" in word or "complain" in word else "unsubscribed"


def _object(cell: str) -> dict[str, Any]:
    """A cell with a JSON object, cleaned of what Postgres can't hold; other text goes along as it is."""
    if not cell.strip():
        return {}
    try:
        found = _storable(json.loads(cell))
    except (ValueError, RecursionError):
        found = cell
    return found if isinstance(found, dict) else {"attributes": found}


def _storable(value: Any) -> Any:
    match value:
        case str():
            return CONTROL.sub("", value)
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {_storable(str(name)): _storable(inner) for name, inner in value.items()}
        case list():
            return [_storable(inner) for inner in value]
        case _:
            return value
