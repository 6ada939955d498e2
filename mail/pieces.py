"""A page cut at its slots: what is the same for everybody is joined with what is not, and encoded once.

Quoted-printable of a whole mail costs more than everything else about it. So the pieces between the slots are encoded
when the page is cut, each ending in a soft line break, and for a reader only the values are.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from mail.merge import OWN, VALUE

# Kinds of slots beside those of mail.merge: a value inside an address of the web, and inside mailto: or tel:; a link;
# the subject; where the image that counts opens goes.
IN_URL, IN_MAILTO, LINK, SUBJECT, PIXEL = "q", "k", "l", "s", "x"

_SOFT_BREAK = b"=\r\n"
_LINE = 76


def slot_pattern(mark: str) -> re.Pattern[str]:
    """Finds slots: kind and number."""
    return re.compile(rf"{mark}([a-z])(\d+)z")


def quoted_printable(text: str) -> bytes:
    """RFC 2045 section 6.7: lines of at most 76 characters, line breaks as CRLF."""
    if len(text) < _LINE and text.isascii() and text.isprintable() and text[-1:] != " ":
        code = text.replace("=", "=3D")
        if len(code) < _LINE:
            return code.encode("ascii")
    return binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True).replace(b"\n", b"\r\n")


def base64_lines(text: str) -> bytes:
    """RFC 2045 section 6.8: lines of 76 characters, the text's line breaks as CRLF."""
    code = binascii.b2a_base64(text.replace("\n", "\r\n").encode("utf-8", "replace"), newline=False)
    return b"\r\n".join([code[start : start + _LINE] for start in range(0, len(code), _LINE)])


class Address:
    """An address of the web in which values may stand."""

    def __init__(self, skeleton: str, mark: str) -> None:
        self._cut = slot_pattern(mark).split(skeleton)
        self.fixed: str | None = skeleton if len(self._cut) == 1 else None
        """The address, when it is the same for everybody."""

    def of(self, values: Sequence[str]) -> str:
        """The address for one reader; values are percent-encoded, so they stay inside their part of it."""
        if self.fixed is not None:
            return self.fixed
        parts = self._cut.copy()
        for place in range(1, len(parts), 3):
            parts[place], parts[place + 1] = quote(values[int(parts[place + 1])], safe=""), ""
        return "".join(parts)


@dataclass(slots=True, frozen=True)
class Filling:
    """What one reader's mail is filled with."""

    values: list[str]
    links: list[str]
    subject: str
    pixel: str
    links_changed: bool
    """Whether somebody rewrote the links, so that even those that hold no values differ from the template's."""


class Pieces:
    """One part of a mail, cut at its slots."""

    def __init__(self, skeleton: str, mark: str, links: Sequence[Address], *, is_html: bool) -> None:
        self._is_html = is_html
        self._parts: list[str] = []
        self._slots: list[tuple[int, str, int]] = []  # place in the parts, kind, number
        self._fixed_links: list[tuple[int, str, int]] = []
        cut = slot_pattern(mark).split(skeleton)
        for start in range(0, len(cut), 3):
            self._parts.append(cut[start])
            if start + 1 < len(cut):
                self._cut_at(cut[start + 1], int(cut[start + 2]), links)
        self._all_slots = self._slots + self._fixed_links
        self._encoded = [quoted_printable(part) + _SOFT_BREAK if part else b"" for part in self._parts[:-1]]
        self._encoded.append(quoted_printable(self._parts[-1]))
        # Where most is not Latin, base64 is the shorter of the two.
        plain = len("".join(self._parts).encode("utf-8", "replace"))
        self.transfer_encoding = "base64" if sum(map(len, self._encoded)) > 1.6 * plain + 200 else "quoted-printable"

    def _cut_at(self, kind: str, number: int, links: Sequence[Address]) -> None:
        fixed = links[number].fixed if kind == LINK else None
        (self._slots if fixed is None else self._fixed_links).append((len(self._parts), kind, number))
        self._parts.append("" if fixed is None else self._escaped(fixed))

    def text(self, filling: Filling) -> str:
        """The part as its reader sees it."""
        parts = self._parts.copy()
        for place, kind, number in self._slots_for(filling):
            parts[place] = self._written(kind, number, filling)
        return "".join(parts)

    def encode(self, filling: Filling) -> bytes:
        """The same in its transfer encoding, with CRLF, lines of at most 76 characters."""
        if self.transfer_encoding == "base64":
            return base64_lines(self.text(filling))
        parts = self._encoded.copy()
        for place, kind, number in self._slots_for(filling):
            written = self._written(kind, number, filling)
            parts[place] = quoted_printable(written) + _SOFT_BREAK if written else b""
        return b"".join(parts)

    def _slots_for(self, filling: Filling) -> list[tuple[int, str, int]]:
        return self._all_slots if filling.links_changed else self._slots

    def _written(self, kind: str, number: int, filling: Filling) -> str:
        if kind in (VALUE, OWN):
            return self._escaped(filling.values[number])
        if kind == LINK:
            return self._escaped(filling.links[number])
        if kind == IN_URL:
            return quote(filling.values[number], safe="")
        if kind == IN_MAILTO:
            return quote(filling.values[number], safe="@+")
        return self._escaped(filling.subject) if kind == SUBJECT else filling.pixel

    def _escaped(self, text: str) -> str:
        return html.escape(text) if self._is_html and not text.isalnum() else text
