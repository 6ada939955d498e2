"""Read a whole list, check every row, and keep what is good for writing. Nothing is changed by it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel

from tools.errors import BadFile
from tools.imports import vcards
from tools.imports.columns import Columns
from tools.imports.decoding import encoding_of, text_of
from tools.imports.files import Part, opened, parts_of
from tools.imports.rows import ATTRIBUTES, FIELDS, TAGS, BadRow, Row, RowReader
from tools.imports.spool import Spool
from tools.imports.tables import open_table

MOST_PROBLEMS = 50

# How many rows are shown before they are imported.
SHOWN = 10

# Rows between two looks at whether to stop, and handed to the spool at once.
_AT_ONCE = 5_000

Heard = Callable[[int, int], None]
"""Hears how many bytes were read, and of how many."""

# Mailchimp's zip says in its files' names what its rows are.
_STATUS_BY_NAME = {"unsubscribed": "unsubscribed", "cleaned": "bounced", "nonsubscribed": "unconfirmed"}


class Stopped(Exception):
    """The reading was stopped from outside."""


class Problem(BaseModel):
    """A row that was not taken in: its line in the file, and why."""

    line: int
    reason: str
    file: str | None = None
    """Which file, where a zip holds several."""


@dataclass(frozen=True)
class Options:
    """What a person says about a list besides the list."""

    country: str = "US"
    """National phone numbers are numbers of this country."""
    tags: Sequence[str] = ()
    """Given to everybody in the list."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Their column's name to our field, for those that the names don't tell."""
    separator: str | None = None
    encoding: str | None = None


@dataclass
class Reading:
    """A list that was read: the good rows in the spool, and what to say about it."""

    spool: Spool
    rows: int = 0
    """Good rows, each address once."""
    merged: int = 0
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    """Of each file: what it was read as."""
    unread_phones: int = 0
    unknown_states: Counter[str] = field(default_factory=Counter)
    header: list[str] = field(default_factory=list)
    several_files: bool = False

    @property
    def preview(self) -> list[dict[str, Any]]:
        """The first rows, as they would be stored."""
        return [_as_dict(row) for row in next(self.spool.batches(SHOWN), [])]


@contextmanager
def read_text(text: str, options: Options) -> Iterator[Reading]:
    """Read a list that was given as text."""
    data = text.encode(errors="replace")
    with _reading(io.BytesIO(data), "The text", replace(options, encoding="utf-8")) as reading:
        yield reading


@contextmanager
def read_file(
    file: Path | BinaryIO, options: Options, heard: Heard | None = None, is_stopped: Callable[[], bool] | None = None
) -> Iterator[Reading]:
    """Read the list in a file, or in an open one that can go back to its beginning. Blocks.

    Raises `BadFile` or `BadCsv` for what is no list, and `Stopped` soon after `is_stopped` is true.
    """
    with opened(file) if isinstance(file, Path) else nullcontext(file) as data:
        name = file.name if isinstance(file, Path) else "The input"
        with _reading(data, name, options, heard, is_stopped) as reading:
            yield reading


@contextmanager
def _reading(
    data: BinaryIO, name: str, options: Options, heard: Heard | None = None,
    is_stopped: Callable[[], bool] | None = None,
) -> Iterator[Reading]:  # fmt: skip
    parts = parts_of(data, name)
    spool = Spool()
    try:
        reading = Reading(spool, several_files=len(parts) > 1)
        progress = _Progress(sum(part.size for part in parts), heard)
        for part in parts:
            # A product's zip may hold an empty list, of those who were cleaned, say.
            if part.size or len(parts) == 1:
                _read_part(part, reading, options, progress, is_stopped or _never)
        if not reading.columns:
            raise BadFile(problem=f"{name} holds only empty files.")
        if not reading.problem_count and not spool.count():
            raise BadFile(problem=f"{name} has a header line, but no rows below it.")
        reading.merged = spool.merge_doubles()
        reading.rows = spool.count()
        yield reading
    finally:
        spool.close()


def _read_part(
    part: Part, reading: Reading, options: Options, progress: _Progress, is_stopped: Callable[[], bool]
) -> None:
    encoding = encoding_of(part, options.encoding)
    with text_of(part, encoding, progress.read) as text:
        rows: Iterable[tuple[int, list[str] | BadRow]]
        if part.kind == "vcard":
            columns, rows, what = vcards.columns(), vcards.cards(text, part.name), "vCards"
        else:
            table = open_table(text, part.name, separator=options.separator, said=options.columns)
            columns, rows = table.columns, table.rows
            what = f"{columns.product or 'table'}, {_SEPARATOR_NAMES.get(table.separator, table.separator)}"
        reader = RowReader(columns, options.country, tags=options.tags, status=_status_of(part, columns))
        _note(reading, part, columns, f"{what}, {encoding.label}")
        _read_rows(rows, reader, reading, part.name, is_stopped)
    reading.unread_phones += reader.unread_phones
    reading.unknown_states += reader.unknown_states


_SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _read_rows(
    rows: Iterable[tuple[int, list[str] | BadRow]], reader: RowReader, reading: Reading, name: str,
    is_stopped: Callable[[], bool],
) -> None:  # fmt: skip
    good: list[Row] = []
    read = reader.read
    for line, cells in rows:
        try:
            if isinstance(cells, BadRow):
                raise cells
            good.append(read(cells))
        except BadRow as error:
            _refuse(reading, name, line, str(error), [] if isinstance(cells, BadRow) else cells)
        if len(good) >= _AT_ONCE:
            reading.spool.add(good)
            good = []
            if is_stopped():
                raise Stopped
    reading.spool.add(good)


def _refuse(reading: Reading, name: str, line: int, reason: str, cells: list[str]) -> None:
    reading.spool.refuse(name, line, reason, cells)
    reading.problem_count += 1
    if len(reading.problems) < MOST_PROBLEMS:
        file = name if reading.several_files else None
        reading.problems.append(Problem(line=line, reason=reason, file=file))


def _note(reading: Reading, part: Part, columns: Columns, what: str) -> None:
    reading.described.append(f"{part.name}: {what}" if reading.several_files else what)
    reading.columns = columns.shown | reading.columns
    reading.header = reading.header or columns.header
    for names, found in ((reading.kept, columns.kept.values()), (reading.ignored, columns.ignored)):
        names += [name for name in found if name not in names]


def _status_of(part: Part, columns: Columns) -> str | None:
    """What a file's name says about everybody in it; only Mailchimp's are trusted with that."""
    if columns.product != "Mailchimp":
        return None
    return next((status for word, status in _STATUS_BY_NAME.items() if part.name.lower().startswith(word)), None)


class _Progress:
    def __init__(self, total: int, heard: Heard | None) -> None:
        self._total, self._heard, self._done = total, heard, 0

    def read(self, count: int) -> None:
        self._done += count
        if self._heard is not None:
            self._heard(self._done, self._total)


def _as_dict(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = dict(zip(FIELDS[1:], row[1:], strict=True))
    shown["tags"] = (row[TAGS] or "").split(",") if row[TAGS] else []
    if row[ATTRIBUTES] is None:
        del shown["attributes"]
    return shown


def _never() -> bool:
    return False
