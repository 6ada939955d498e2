"""What charts show, worked out on the server: the templates draw it, and write the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.analytics import HourRow
from tools.analytics import Figures
from tools.base import Context

# More bars than this are too thin on a phone.
MOST_BARS = 60


@dataclass(frozen=True)
class Stage:
    """One step of the funnel."""

    name: str
    count: int
    share: float
    """Of the mails that were sent, 0 to 1."""


@dataclass
class Bar:
    """What happened in one stretch of time."""

    begins: datetime
    label: str
    opened: int = 0
    clicked: int = 0
    machine: int = 0
    left: int = 0

    @property
    def human(self) -> int:
        return self.opened + self.clicked


@dataclass(frozen=True)
class Timeline:
    """Bars of equal stretches, oldest first."""

    bars: list[Bar]
    unit: str
    """`hour`, `3 hours`, `6 hours`, `day` or `week`."""
    later: int
    """How many things happened after the last bar."""

    @property
    def highest(self) -> int:
        return max((bar.human + bar.machine for bar in self.bars), default=0)


def funnel(figures: Figures) -> list[Stage]:
    """From sent to converted."""
    counts = [
        ("Sent", figures.sent), ("Delivered", figures.delivered), ("Opened", figures.opened),
        ("Clicked", figures.clicked), ("Converted", figures.converted),
    ]  # fmt: skip
    # A forwarded or imported history may have more openers than mails.
    whole = max(count for _, count in counts)
    return [Stage(name, count, count / whole if whole else 0.0) for name, count in counts]


def timeline(rows: Sequence[HourRow], ctx: Context) -> Timeline:
    """The campaign's hours as bars, from the first to the last thing that happened, in the tenant's time zone."""
    busy = [row for row in rows if not row.is_empty()]
    if not busy:
        return Timeline([], "hour", 0)
    first, last = busy[0].hour, busy[-1].hour
    unit, step = _unit(last - first)
    start = _begin(ctx.local(first), unit)
    bars: list[Bar] = []
    # By the calendar, so that a day is a day also where the clock is changed.
    at = start
    while at <= ctx.local(last) and len(bars) < MOST_BARS:
        bars.append(Bar(at, _label(at, unit)))
        at = (at.replace(tzinfo=None) + step).replace(tzinfo=at.tzinfo)
    later = 0
    for row in busy:
        place = sum(bar.begins <= ctx.local(row.hour) for bar in bars) - 1
        if place < 0 or (place == len(bars) - 1 and ctx.local(row.hour) >= at):
            later += row.email_opened_count + row.link_clicked_count
            continue
        bar = bars[place]
        bar.opened += row.email_opened_count
        bar.clicked += row.link_clicked_count
        bar.machine += row.machine_open_count + row.machine_click_count
        bar.left += row.unsubscribe_count + row.complaint_count
    return Timeline(bars, unit, later)


_STEPS = (
    ("hour", timedelta(hours=1)), ("3 hours", timedelta(hours=3)), ("6 hours", timedelta(hours=6)),
    ("day", timedelta(days=1)), ("week", timedelta(weeks=1)),
)  # fmt: skip


def _unit(span: timedelta) -> tuple[str, timedelta]:
    return next((step for step in _STEPS if span / step[1] < MOST_BARS), _STEPS[-1])


def _begin(moment: datetime, unit: str) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if unit == "hour":
        return hour
    day = hour.replace(hour=0)
    if unit in ("day", "week"):
        return day if unit == "day" else day - timedelta(days=day.weekday())
    every = int(unit.split()[0])
    return hour.replace(hour=hour.hour // every * every)


def _label(moment: datetime, unit: str) -> str:
    day = f"{moment:%a} {moment.day} {moment:%b}"
    return day if unit in ("day", "week") else f"{day}, {moment:%H}:00"
