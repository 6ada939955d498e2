"""Pages of a list, and cells of a table."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from tools.errors import BadCursor

Row = TypeVar("Row")


def page_of(rows: Sequence[Row], limit: int) -> tuple[list[Row], bool]:
    """The first `limit` rows, and whether there was one more (ask the database for `limit` + 1)."""
    return list(rows[:limit]), len(rows) > limit


def write_cursor(*parts: str) -> str:
    """An opaque text that the next call gives back."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read_offset(cursor: str | None) -> int:
    """How many rows were shown before; 0 without a cursor. For lists ranked by nearness. Raises `BadCursor`."""
    if cursor is None:
        return 0
    (text,) = _read(cursor, 1)
    if not text.isdecimal() or len(text) > 6:
        raise BadCursor(cursor=cursor[:60])
    return int(text)


def read_place(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The row that the page before ended with: (when it was made, its id). Raises `BadCursor`."""
    if cursor is None:
        return None
    at, id = _read(cursor, 2)
    try:
        moment = datetime.fromisoformat(at)
        return moment.replace(tzinfo=moment.tzinfo or UTC), UUID(id)
    except ValueError:
        raise BadCursor(cursor=cursor[:60]) from None


def read_ids(cursor: str | None) -> tuple[UUID, UUID] | None:
    """The two ids that the page before ended with. Raises `BadCursor`."""
    if cursor is None:
        return None
    first, second = _read(cursor, 2)
    try:
        return UUID(first), UUID(second)
    except ValueError:
        raise BadCursor(cursor=cursor[:60]) from None


def read_places(cursor: str | None) -> tuple[int, int]:
    """The two numbers that the page before ended with; (0, -1) before the first. Raises `BadCursor`."""
    if cursor is None:
        return 0, -1
    first, second = _read(cursor, 2)
    if not all(part.isdecimal() and part.isascii() and len(part) <= 9 for part in (first, second)):
        raise BadCursor(cursor=cursor[:60])
    return int(first), int(second)


def _read(cursor: str, parts: int) -> list[str]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise BadCursor(cursor=cursor[:60]) from None
    if not isinstance(found, list) or len(found) != parts or not all(isinstance(part, str) for part in found):
        raise BadCursor(cursor=cursor[:60])
    return found


def cell(text: object, width: int = 90) -> str:
    """One cell of a Markdown table: one line, bars escaped, cut to `width`."""
    line = " ".join(str(text).split())
    return (line if len(line) <= width else line[: width - 1] + "…").replace("|", "\\|")
