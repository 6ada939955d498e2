"""Cells that no spreadsheet takes for formulas: an apostrophe goes in front on the way out, and off on the way in.

Excel, LibreOffice and Google Sheets run a cell that begins with = + - or @, also after blanks, and so a note that
somebody typed into a form could send a whole list away (OWASP, "CSV Injection"). The apostrophe makes it text.

Where a cell begins is the reader's choice: Excel in most of Europe splits at semicolons and does not know our quotes
then. So what follows a semicolon, a tab or a line break inside a cell is guarded too.

A phone number in E.164 begins with + and is guarded like anything else; unguarded, Excel shows 4.41135E+11.

The way back is exact, `unguarded(guarded(text)) == text` for every text: an apostrophe that was there already gets a
second one. It is right only for a file that we wrote, which is known by its column `MARK`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# The header that only our exports have; the column holds the contact's id.
MARK = "smartcampaign_id"

# The plain ones, and their full-width forms, which Excel takes for the same in Chinese, Japanese and Korean.
_FORMULA = r"[=+\-@＝＋－＠]"

# What a spreadsheet may skip before it looks: blanks, characters that can't be seen, and quotes.
_UNSEEN = r"\x01-\x08\x0e-\x1f\u200b-\u200f\u2060\ufeff'\""
_BLANK = r"(?:[^\S\t\r\n]|')*+"
_WHERE = (
    # A formula at the start; a tab or a line break there; a formula where another reader may begin a cell.
    rf"^{{0}}(?=[\s{_UNSEEN}]*+{_FORMULA}|{_BLANK}[\t\r\n])"
    rf"|(?<=[;\t\r\n]){{0}}(?=(?:[^\S\t\r\n]|[{_UNSEEN}])*+{_FORMULA})"
)
_TO_GUARD = re.compile(_WHERE.replace("{0}", ""))
_TO_FREE = re.compile(_WHERE.replace("{0}", "'"))

# A text without any of these needs no guard; most have none.
_SUSPICIOUS = re.compile(rf"{_FORMULA}|^{_BLANK}[\t\r\n]")


def guarded(text: str) -> str:
    """The text as a cell that a spreadsheet shows and does not run."""
    return _TO_GUARD.sub("'", text) if _SUSPICIOUS.search(text) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given. For cells of a file that has the column `MARK`, and for no others."""
    return _TO_FREE.sub("", text) if "'" in text else text


def is_ours(header: Iterable[str]) -> bool:
    """Whether a table with these columns is an export of ours, so that its cells are to be read with `unguarded`."""
    return any(name.strip().lower() == MARK for name in header)
