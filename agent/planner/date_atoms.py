"""What the date grammar finds: atoms (a day, a clock time, a zone), and the words they are said with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from agent.planner.text import data


@dataclass(frozen=True)
class Clock:
    """Now, in the tenant's zone, and which way an unclear date is read."""

    now: datetime
    country: str
    past: bool

    @property
    def today(self) -> date:
        return self.now.date()


@dataclass(frozen=True)
class Atom:
    start: int
    end: int
    day: date | None = None
    clock: time | None = None
    zone: tzinfo | None = None
    moment: datetime | None = None
    shy: bool = False  # an ordinary word, too: needs company
    part: str = ""  # a part of the day: gives way to a clock time, and says which half is meant
    weak: bool = False  # a weekday: gives way to the date beside it ("Thursday, 3 December")
    shift: timedelta | None = None  # "two weeks before": moves the day that follows

    def said(self) -> set[str]:
        names = {name for name in ("day", "clock", "zone", "shift") if getattr(self, name) is not None}
        if self.part:
            names = (names - {"clock"}) | {"part"}
        return names | ({"day", "clock"} if self.moment else set())


Meaning = Callable[[re.Match[str], Clock], dict[str, Any] | None]


def table(name: str) -> dict[str, Any]:
    """Word -> value, from the lists of date_words.yaml."""
    return {str(word): value for value, words in data("date_words.yaml")[name].items() for word in words}


def number(said: str) -> float:
    if said.startswith("half"):
        return 0.5
    return int(said) if said.isdigit() else int(table("numbers")[said])
