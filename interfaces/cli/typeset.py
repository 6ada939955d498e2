"""Markdown on a terminal, and as it is where there is none."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

# What a model or a contact's note says must not steer the terminal (escape sequences) nor turn the text around.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# A column of single words up to this wide is not broken: an address that wraps can't be copied.
WIDEST_UNBROKEN = 40

# In running text a longer word may be broken (some scripts have no spaces).
WIDEST_WORD = 16


def printable(text: str) -> str:
    """The text without what would steer a terminal."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n"))


def is_smart(stream: object) -> bool:
    """Whether a stream is a terminal that shows more than lines."""
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty()) and os.environ.get("TERM") != "dumb"


def show_markdown(text: str) -> None:
    """A text on stdout: set on a terminal, as it is in a pipe."""
    if is_smart(sys.stdout):
        from rich.console import Console

        Console(highlight=False).print(markdown(text))
    else:
        sys.stdout.write(f"{printable(text)}\n")


def markdown(text: str) -> RenderableType:
    """Markdown as rich sets it, with tables that lose nothing when the terminal is narrow.

    Links keep their address visible, so that nobody follows another one than they see.
    """
    from rich.markdown import Markdown, TableElement

    class Table(TableElement):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            heads = [cell.content for cell in self.header.row.cells] if self.header and self.header.row else []
            rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
            yield from _table(heads, rows, options.max_width)

    class Set(Markdown):
        elements = {**Markdown.elements, "table_open": Table}

    return Set(printable(text).strip(), hyperlinks=False)


def _table(heads: list[Text], rows: list[list[Text]], width: int) -> RenderResult:
    """A table where every word fits, else each row as a line of its own with the columns' names."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    columns = list(zip(heads, *rows, strict=False))
    unbroken = [all(" " not in cell.plain for cell in column[1:]) for column in columns]
    room = [
        min(max(_longest_word(cell) for cell in column), WIDEST_UNBROKEN if whole else WIDEST_WORD)
        for column, whole in zip(columns, unbroken, strict=True)
    ]
    if sum(room) + 3 * len(columns) > width:
        lines = Table.grid(padding=(0, 1, 0, 0))
        for row in rows:
            first, rest = row[0].plain, list(zip(heads[1:], row[1:], strict=False))
            values = "; ".join(f"{head.plain}: {cell.plain}" for head, cell in rest if cell.plain)
            lines.add_row(" •", Text.assemble((first, "bold"), f": {values}" if values else "", overflow="fold"))
        yield lines
        return
    table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True, style="markdown.table.border")
    for head, column, whole in zip(heads, columns, unbroken, strict=True):
        short = max(cell_len(cell.plain) for cell in column) <= WIDEST_UNBROKEN
        heading = head.copy()
        heading.stylize("markdown.table.header")
        table.add_column(heading, overflow="fold", no_wrap=whole and short, justify=column[-1].justify or "left")
    for row in rows:
        table.add_row(*row)
    yield table


def _longest_word(cell: Text) -> int:
    from rich.cells import cell_len

    return max((cell_len(word) for word in cell.plain.split()), default=1)
