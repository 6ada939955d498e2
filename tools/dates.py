"""Dates and times as programs write them (ISO 8601), read in the tenant's time zone and shown with their zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tools.errors import BadDate, quotable

# A campaign on a day without a time starts when people read their mail.
MORNING = time(9)


def read_date(text: str) -> date:
    """`2026-12-05`, also with a time behind it (dropped). Raises `BadDate`."""
    try:
        return datetime.fromisoformat(text.strip()).date()
    except ValueError:
        raise BadDate(text=quotable(text)) from None


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """An aware datetime: `2026-12-05T09:00+01:00`, `2026-12-05 09:00 Europe/Berlin`, or without a zone in `zone`.

    A date alone means nine in the morning. Raises `BadDate`.
    """
    words = text.strip()
    before, _, last = words.rpartition(" ")
    if before and "/" in last:
        try:
            zone, words = ZoneInfo(last), before
        except (ZoneInfoNotFoundError, ValueError):
            raise BadDate(text=quotable(text)) from None
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        raise BadDate(text=quotable(text)) from None
    if len(words) <= len("2026-12-05"):
        moment = datetime.combine(moment.date(), MORNING)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise BadDate(text=quotable(text)) from None
    return moment


def in_words(moment: datetime, zone: ZoneInfo) -> str:
    """`Sat 5 December 2026, 09:00 (Europe/London)`: every time that is shown names its zone."""
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%B %Y, %H:%M} ({zone.key})"


def day_in_words(day: date) -> str:
    """`Sat 5 December 2026`."""
    return f"{day:%a} {day.day} {day:%B %Y}"
