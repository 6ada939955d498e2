"""Dates, times and zones in a sentence: a small grammar over words in four languages.

Written for this product because general parsers return nothing for "tomorrow at 9am
Europe/Berlin", or take every number for a date. It finds atoms (a day, a clock time, a zone)
and joins neighbours; date_words.yaml holds the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from agent.planner import date_rules, date_times
from agent.planner.date_atoms import Atom, Clock
from agent.planner.patterns import rule
from agent.planner.text import data, fold

_GLUE = rule("dates_glue")
DEFAULT_TIME = time(9, 0)


@dataclass(frozen=True)
class When:
    """A point in time as it was said; `lead` is the word before it ("since", "on")."""

    start: int
    end: int
    day: date
    clock: time | None
    zone: tzinfo
    moment: datetime | None = None
    lead: str = ""
    day_said: bool = True
    zone_said: bool = False

    def send_at(self, default: time = DEFAULT_TIME, offset: tzinfo | None = None) -> str:
        """With the zone's offset; a day alone means nine in the morning."""
        if self.moment:
            return self.moment.isoformat(timespec="seconds")
        zone = self.zone if self.clock or offset is None or self.zone_said else self._same_offset(default, offset)
        return datetime.combine(self.day, self.clock or default, zone).isoformat(timespec="seconds")

    def _same_offset(self, default: time, offset: tzinfo) -> tzinfo:
        """The tenant's zone when its offset is the one said before, so that summer time is minded."""
        here = datetime.combine(self.day, default, self.zone)
        there = datetime.combine(self.day, default, offset)
        return self.zone if here.utcoffset() == there.utcoffset() else offset

    def iso_day(self) -> str:
        return self.day.isoformat()


@cache
def _zone(name: str) -> tzinfo:
    return ZoneInfo(name)


def zone_of(name: str) -> tzinfo:
    try:
        return _zone(name)
    except (KeyError, ValueError, OSError):
        return _zone("UTC")


@cache
def _leads() -> re.Pattern[str]:
    words = sorted((re.escape(lead) for lead in data("date_words.yaml")["leads"]), key=len, reverse=True)
    return re.compile(rf"(?:^|(?<=[^\w]))({'|'.join(words)})\s+(?:the\s+|le\s+|el\s+|dem\s+)?$")


def find(text: str, now: datetime, time_zone: str, *, country: str = "", past: bool = False) -> list[When]:
    """Every date in the text, in order. `past`: what may lie behind or ahead lies behind."""
    zone = zone_of(time_zone)
    folded = fold(text)
    clock = Clock(now.astimezone(zone), country, past)
    found: list[When] = []
    group: list[Atom] = []
    for atom in _without_overlaps(date_rules.atoms(text, folded, clock)):
        if group and _joins(group, atom, folded):
            group.append(atom)
        else:
            found.extend(_settle(group, folded, clock, zone))
            group = [atom]
    found.extend(_settle(group, folded, clock, zone))
    return found


def _without_overlaps(atoms: list[Atom]) -> list[Atom]:
    kept: list[Atom] = []
    for atom in sorted(atoms, key=lambda a: (a.start, -(a.end - a.start))):
        if kept and atom.start < kept[-1].end:
            if atom.end - atom.start > kept[-1].end - kept[-1].start:
                kept[-1] = atom
            continue
        kept.append(atom)
    return kept


def _joins(group: list[Atom], atom: Atom, folded: str) -> bool:
    between = folded[group[-1].end : atom.start]
    if not _GLUE.fullmatch(between):
        return False
    said = {name for part in group for name in part.said() if not (part.weak and name == "day")}
    if atom.weak and any(part.weak for part in group):
        return False  # "Monday, Tuesday": two days
    return not said & (atom.said() - {"day"} if atom.weak else atom.said())


def _settle(group: list[Atom], folded: str, clock: Clock, zone: tzinfo) -> list[When]:
    """One date from neighbouring atoms; none from a zone, or a part of the day, that stands alone."""
    whole = Atom(0, 0)
    parts = " ".join(atom.part for atom in group if atom.part)
    for atom in sorted(group, key=lambda a: (bool(a.part), a.weak)):
        whole = replace(
            whole,
            day=whole.day or atom.day,
            clock=whole.clock or atom.clock,
            zone=whole.zone or atom.zone,
            moment=whole.moment or atom.moment,
            shift=whole.shift or atom.shift,
            shy=(whole.shy or atom.shy) if atom.day or atom.clock else whole.shy,
        )
    if not (whole.day or whole.clock or whole.moment) or (whole.shift and not whole.day):
        return []
    if whole.shift and whole.day:
        whole = replace(whole, day=whole.day + whole.shift)
    if parts and whole.clock and date_times.is_late(parts) and whole.clock.hour < 12:
        whole = replace(whole, clock=whole.clock.replace(hour=whole.clock.hour + 12))
    start, end = group[0].start, group[-1].end
    before = _leads().search(folded[max(0, start - 24) : start])
    lead = before.group(1) if before else ""
    # "Sun", "mon" or "morning" alone are ordinary words; with a lead or a companion they are dates.
    if whole.shy and len(group) == 1 and not (lead and group[0].day):
        return []
    if before:
        start -= len(before.group(0))
    where = whole.zone or zone
    if whole.moment:
        moment = whole.moment.astimezone(where)
        return [When(start, end, moment.date(), moment.time(), where, moment, lead, True, whole.zone is not None)]
    day = whole.day or _day_of_time(whole.clock or DEFAULT_TIME, clock, where)
    return [When(start, end, day, whole.clock, where, None, lead, whole.day is not None, whole.zone is not None)]


def _day_of_time(said: time, clock: Clock, where: tzinfo) -> date:
    """ "At 9am": today if that is still to come, else tomorrow."""
    here = clock.now.astimezone(where)
    if clock.past or here.time() < said:
        return here.date()
    return here.date() + timedelta(days=1)


def impossible(text: str) -> str:
    """The 31st of November, 25:00: said as a date, and none."""
    return date_rules.impossible(fold(text))


def is_name_of_day(name: str, now: datetime, time_zone: str) -> bool:
    """Whether a campaign's name reads as a date by itself ("Black Friday")."""
    bare = name.strip()
    return any(w.start == 0 and w.end == len(bare) for w in find(bare, now, time_zone))


def words() -> dict[str, Any]:
    found: dict[str, Any] = data("date_words.yaml")
    return found
