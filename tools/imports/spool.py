"""Rows that were read, outside of memory, until the whole file is known to be good.

So a file that turns out broken at its end has changed nothing, an address that comes twice is one row before anything
is written, and memory stays flat however long the list is. The rows lie in a temporary file without a name; SQLite, in
another one, finds the addresses that come twice. Both are gone with the program, however that ends.
"""

from __future__ import annotations

import json
import marshal
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby

from tools.imports.rows import KEY, Row, merged

_CACHE_KILOBYTES = 16_000

# How many bytes tell how long a block is.
_LENGTH = 8


class Spool:
    """Rows in the order of the file, and those that were refused. `close` when done."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="smartcampaign-")  # noqa: SIM115 (`close` closes it)
        # Made in one thread and read in another, never at once. The empty name is SQLite's for a temporary file.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KILOBYTES}"):
            self._db.execute(f"PRAGMA {pragma}")
        # Rows are numbered as they come: that is the rowid of their key.
        self._db.execute("CREATE TABLE keys (key)")
        self._db.execute("CREATE TABLE doubled (key, number INTEGER, row BLOB)")
        self._db.execute("CREATE TABLE replaced (number INTEGER PRIMARY KEY, row BLOB)")
        self._db.execute("CREATE TABLE refused (file, line INTEGER, reason, cells)")
        self._db.execute("BEGIN")
        self._added = self._merged = 0

    def close(self) -> None:
        self._file.close()
        self._db.close()

    def add(self, rows: list[Row]) -> None:
        block = marshal.dumps(rows)
        self._file.write(len(block).to_bytes(_LENGTH, "little") + block)
        self._db.executemany("INSERT INTO keys VALUES (?)", [(row[KEY],) for row in rows])
        self._added += len(rows)

    def refuse(self, file: str, line: int, reason: str, cells: list[str]) -> None:
        self._db.execute("INSERT INTO refused VALUES (?, ?, ?, ?)", (file, line, reason, json.dumps(cells)))

    def merge_doubles(self) -> int:
        """Make one row of those with one address, at the place of the first; return how many were merged away."""
        self._db.execute("CREATE TABLE several AS SELECT key FROM keys GROUP BY key HAVING count(*) > 1")
        numbers = self._db.execute(
            "SELECT rowid FROM keys WHERE key IN (SELECT key FROM several) ORDER BY rowid"
        )  # fmt: skip
        wanted = next(numbers, None)
        if wanted is None:
            return 0
        for first, rows in self._blocks():
            while wanted is not None and wanted[0] < first + len(rows):
                row = rows[wanted[0] - first]
                self._db.execute("INSERT INTO doubled VALUES (?, ?, ?)", (row[KEY], wanted[0], marshal.dumps(row)))
                wanted = next(numbers, None)
        found = self._db.execute("SELECT key, number, row FROM doubled ORDER BY key, number")
        for _, group in groupby(found, key=lambda row: row[0]):
            (_, first, row), *others = group
            self._merged += len(others)
            self._replace(first, _merged([_row(row), *(_row(other[2]) for other in others)]))
            for _, number, _ in others:
                self._replace(number, None)
        return self._merged

    def count(self) -> int:
        return self._added - self._merged

    def batches(self, size: int) -> Iterator[list[Row]]:
        """All good rows, in the order of the file. One caller at a time."""
        replacements = self._db.execute("SELECT number, row FROM replaced ORDER BY number")
        replaced = next(replacements, None)
        batch: list[Row] = []
        for first, rows in self._blocks():
            kept: list[Row | None] = list(rows)
            while replaced is not None and replaced[0] < first + len(rows):
                kept[replaced[0] - first] = None if replaced[1] is None else _row(replaced[1])
                replaced = next(replacements, None)
            batch += [row for row in kept if row is not None]
            while len(batch) >= size:
                yield batch[:size]
                batch = batch[size:]
        if batch:
            yield batch

    def refused(self) -> Iterator[tuple[str, int, str, list[str]]]:
        """(file, line, reason, cells) of the rows that can't be contacts."""
        for file, line, reason, cells in self._db.execute("SELECT * FROM refused ORDER BY rowid"):
            yield file, line, reason, json.loads(cells)

    def _replace(self, number: int, row: Row | None) -> None:
        self._db.execute("INSERT INTO replaced VALUES (?, ?)", (number, None if row is None else marshal.dumps(row)))

    def _blocks(self) -> Iterator[tuple[int, list[Row]]]:
        """The rows as they were added, each block with the number of its first row."""
        number, place = 1, 0
        while True:
            self._file.seek(place)
            length = int.from_bytes(self._file.read(_LENGTH), "little")
            if not length:
                return
            place += _LENGTH + length
            rows: list[Row] = marshal.loads(self._file.read(length))  # noqa: S302 (what `add` wrote)
            yield number, rows
            number += len(rows)


def _row(block: bytes) -> Row:
    row: Row = marshal.loads(block)  # noqa: S302 (what `_replace` and `merge_doubles` wrote)
    return row


def _merged(rows: Iterable[Row]) -> Row:
    first, *others = rows
    for other in others:
        first = merged(first, other)
    return first
