"""The rows of a CSV, whatever its separator: (line, cells) one after the other, in bounded memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TextIO

from tools.errors import BadCsv, BadFile
from tools.imports.columns import Columns, known, normal, understood
from tools.imports.decoding import CONTROL, LONGEST_LINE, endless

_BLOCK = 1 << 16

_SEPARATORS = (",", ";", "\t", "|")

# How much is looked at to find the separator.
_HEAD_LINES = 5

# More empty lines than anybody leaves above a header.
_MOST_EMPTY = 1_000


@dataclass
class Table:
    """A table whose columns are understood; `rows` gives what follows the header."""

    columns: Columns
    separator: str
    rows: Iterator[tuple[int, list[str]]]


def open_table(
    text: TextIO, name: str, *, separator: str | None = None, said: Mapping[str, str] | None = None
) -> Table:
    """Find the separator and the header. Raises `BadCsv` or `BadFile`, also later from the rows."""
    lines = _Lines(text, name)
    lines.skip_empty()
    head = lines.ahead(_HEAD_LINES)
    first = head[0].strip().lower() if head else ""
    # Excel's own way to say it, as the first line.
    if first[:4] == "sep=" and len(first) <= 5:
        separator = separator or (head[0].strip()[4:5] or "\t")
        lines.drop()
        lines.skip_empty()
        head = lines.ahead(_HEAD_LINES)
    if not head:
        raise BadCsv(problem=f"{name} is empty.")
    separator = separator or _separator(head)
    rows = _Rows(lines, separator, name)
    header = next(rows, (0, []))[1]
    if len(header) == 1 and _is_address(header[0]):
        # A bare list of addresses has no header.
        return Table(understood(["email"], said), separator, _with_first(header, rows))
    if any(map(_is_address, header)):
        raise BadCsv(problem=f"{name} begins with a person, not with the names of the columns.")
    return Table(understood(header, said), separator, rows)


def _with_first(row: list[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield 1, row
    yield from rows


def _is_address(cell: str) -> bool:
    local, at, domain = cell.strip().partition("@")
    return bool(local and at) and "." in domain.strip(".") and " " not in cell.strip()


def _separator(head: list[str]) -> str:
    """The one by which the first line shows most columns that are known, else most columns."""

    def quality(separator: str) -> tuple[int, int]:
        try:
            header = next(csv.reader(head, delimiter=separator), [])
        except csv.Error:
            return (0, 0)
        return known(header) + any(normal(name) == "email" for name in header), len(header)

    return max(_SEPARATORS, key=quality)


class _Lines:
    """The physical lines of a text, without control characters, none longer than `LONGEST_LINE`."""

    def __init__(self, text: TextIO, name: str) -> None:
        self._text, self._name = text, name
        self._ahead: list[str] = []
        self._rest = ""
        self.is_over = False
        """Whether somebody asked for more lines than there are."""
        self.dropped = 0
        self._iterator = self._read()

    def __iter__(self) -> Iterator[str]:
        while self._ahead:
            yield self._ahead.pop(0)
        yield from self._iterator
        self.is_over = True

    def ahead(self, count: int) -> list[str]:
        """The next lines, which stay the next lines."""
        while len(self._ahead) < count and (line := next(self._iterator, None)) is not None:
            self._ahead.append(line)
        return self._ahead[:count]

    def skip_empty(self) -> None:
        """Drop lines of nothing but spaces and separators."""
        while (line := self.ahead(1)) and not line[0].strip(' \n,;|\t"') and self.dropped < _MOST_EMPTY:
            self.drop()

    def drop(self) -> None:
        self._ahead.pop(0)
        self.dropped += 1

    def _read(self) -> Iterator[str]:
        rest = ""
        while block := self._text.read(_BLOCK):
            if CONTROL.search(block):
                block = CONTROL.sub("", block)
            block = rest + block
            end = block.rfind("\n") + 1
            rest = block[end:]
            if len(rest) > LONGEST_LINE:
                raise endless(self._name)
            if end:
                yield from io.StringIO(block[:end], newline="\n")
        if rest:
            yield rest


class _Rows:
    """The rows of a CSV that are not empty, each with the line where it ends."""

    def __init__(self, lines: _Lines, separator: str, name: str) -> None:
        self._lines, self._name = lines, name
        self._reader = csv.reader(iter(lines), delimiter=separator)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        return self

    def __next__(self) -> tuple[int, list[str]]:
        reader = self._reader
        while True:
            before = reader.line_num
            try:
                row = next(reader)
            except csv.Error as error:
                raise self._unreadable(before + 1 + self._lines.dropped, error) from None
            # The reader only asks for more lines after the last one when a quote is still open.
            if self._lines.is_over:
                raise BadFile(
                    problem=f"{self._name}, line {before + 1 + self._lines.dropped}: a quote is opened there and never "
                    "closed, so that the rest can't be told apart. Correct that line."
                )
            # Not any(cell.strip() ..): most rows begin with something.
            if row and (row[0] or any(cell.strip() for cell in row)):
                return reader.line_num + self._lines.dropped, row

    def _unreadable(self, line: int, error: csv.Error) -> BadFile:
        if "field larger" in str(error):
            return BadFile(
                problem=f"{self._name}, line {line}: a cell of more than {csv.field_size_limit():,} characters begins "
                "there, so a quote is probably never closed. Correct that line."
            )
        return BadFile(problem=f"{self._name}, line {line}, can't be read ({error}).")
