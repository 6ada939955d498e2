"""vCards 2.1, 3.0 and 4.0 (RFC 6350), card by card: a card becomes a row of a table with our own column names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any, TextIO

import vobject
from vobject.base import VObjectError

from tools.imports.columns import Columns, understood
from tools.imports.decoding import CONTROL, LONGEST_LINE, endless
from tools.imports.rows import BadRow

# It writes lines that it can't read to stderr: they are other people's data.
logging.getLogger("vobject.base").disabled = True

HEADER = ["email", "first name", "last name", "phone", "note", "tags", "other addresses", "company", "job title",
          "birthday"]  # fmt: skip

# A card without pictures is shorter.
LONGEST_CARD = 200_000

# Pictures, sounds and keys: long, and nothing to write mails by.
_HEAVY = re.compile(r"(?:[\w-]+\.)?(?:PHOTO|LOGO|SOUND|KEY)[;:]", re.IGNORECASE)


def columns() -> Columns:
    """What the rows of a vCard file hold."""
    return understood(HEADER)


def cards(text: TextIO, name: str) -> Iterator[tuple[int, list[str] | BadRow]]:
    """(line where the card begins, its cells as in `HEADER`, or why it can't be read) of each card."""
    card: list[str] = []
    begin, size, is_heavy = 0, 0, False
    for number, line in enumerate(_lines(text, name), start=1):
        bare = line.strip().upper()
        if bare == "BEGIN:VCARD":
            card, begin, size, is_heavy = [], number, 0, False
        if not begin:
            continue
        # A folded line goes on with a space (RFC 6350, 3.2); base64 of vCard 2.1 as well.
        is_heavy = bool(_HEAVY.match(line)) or (is_heavy and line[:1] in (" ", "\t"))
        if not is_heavy:
            size += len(line)
            card.append(line)
        if bare == "END:VCARD":
            yield begin, _cells("".join(card)) if size <= LONGEST_CARD else BadRow("This card is too long.")
            begin = 0
    if begin:
        yield begin, BadRow("This card has no end: the file was cut off here.")


def _lines(text: TextIO, name: str) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise endless(name)
        yield CONTROL.sub("", line)


def _cells(card: str) -> list[str] | BadRow:
    try:
        # Quoted-printable goes over several lines in 2.1, which only that version may.
        read = vobject.readOne(card, allowQP=True, ignoreUnreadable=True)
    except (VObjectError, ValueError, LookupError, AttributeError, TypeError) as error:
        return BadRow(f"This card can't be read ({str(error).splitlines()[0][:80] if str(error) else 'damaged'}).")
    if read is None:
        return BadRow("This card can't be read.")
    addresses = [_text(line) for line in _preferred_first(read.contents.get("email", []))]
    first, last = _names(read)
    phones = [_text(line) for line in _preferred_first(read.contents.get("tel", []))]
    return [
        addresses[0] if addresses else "",
        first,
        last,
        phones[0].removeprefix("tel:") if phones else "",
        "\n".join(_text(line) for line in read.contents.get("note", [])),
        ",".join(tag for line in read.contents.get("categories", []) for tag in _texts(line)),
        ", ".join(addresses[1:]),
        ", ".join(part for line in read.contents.get("org", [])[:1] for part in _texts(line)),
        _first(read, "title"),
        _first(read, "bday"),
    ]


def _names(card: Any) -> tuple[str, str]:
    """First and last name, from the parts where they are given, else from the whole."""
    parts = card.contents["n"][0].value if "n" in card.contents else None
    given, family = _joined(getattr(parts, "given", "")), _joined(getattr(parts, "family", ""))
    if given or family:
        return given, family
    first, _, last = _first(card, "fn").partition(" ")
    return ("", "") if "@" in first else (first, last.strip())


def _preferred_first(lines: list[Any]) -> list[Any]:
    """By PREF=1 .. 100 (4.0), then TYPE=pref (3.0) or PREF (2.1), then as they come."""

    def place(line: Any) -> int:
        for number in line.params.get("PREF", []):
            return int(number) if str(number).isdigit() else 1
        types = {str(kind).upper() for kinds in line.params.values() for kind in kinds}
        singles = {str(single).upper() for single in getattr(line, "singletonparams", [])}
        return 1 if "PREF" in types | singles else 1_000

    return sorted(lines, key=place)


def _first(card: Any, name: str) -> str:
    lines = card.contents.get(name, [])
    return _text(lines[0]) if lines else ""


def _text(line: Any) -> str:
    return _joined(line.value).strip()


def _texts(line: Any) -> list[str]:
    value = line.value if isinstance(line.value, list) else str(line.value).split(",")
    return [str(part).strip() for part in value if str(part).strip()]


def _joined(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
