"""The rules of the date grammar: each finds one kind of atom in folded text."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

from agent.planner import zones
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

    def said(self) -> set[str]:
        names = {name for name in ("day", "clock", "zone") if getattr(self, name) is not None}
        if self.part:
            names = (names - {"clock"}) | {"part"}
        return names | ({"day", "clock"} if self.moment else set())


Meaning = Callable[[re.Match[str], Clock], dict[str, Any] | None]


def _table(name: str) -> dict[str, Any]:
    """Word -> value, from the lists of date_words.yaml."""
    return {str(word): value for value, words in data("date_words.yaml")[name].items() for word in words}


def _any(words: Any) -> str:
    return "(?:" + "|".join(re.escape(w) for w in sorted(map(str, words), key=len, reverse=True)) + ")"


@cache
def _rules() -> list[tuple[re.Pattern[str], Meaning]]:
    words = data("date_words.yaml")
    later, now, earlier = _any(words["next"]), _any(words["this"]), _any(words["last"])
    lists = {name: _any(_table(name + "s")) for name in ("day", "weekday", "month", "unit", "ordinal")}
    lists |= {
        "last": earlier,
        "which": rf"(?P<which>{later}|{now}|{earlier})",
        "also": rf"(?P<also>{later}|{now}|{earlier})",
        "after": r"(?P<after>next week|nachste woche|in a week|week(?=\s*(?:$|[,.;!?]|at\b|um\b|\d))|"
        rf"{later}|{earlier})",
        "number": rf"(?:\d{{1,3}}|half an|half a|{_any(_table('numbers'))})",
        "part": _any(_table("clock")),
        "named": _any(_table("named")),
        "year": r"(?:(?:\s+of|\s+de|\s+del|,)?\s+(?P<y>20\d\d))?",
        # Looked behind, not read: the word before a bare number that makes it a day.
        "led": "(?:" + "|".join(f"(?<={lead} )" for lead in words["before_numbers"]) + ")",
    }
    rules = []
    for line in data("date_rules.yaml"):
        said = re.sub(r"\{([a-z]+)\}", lambda m: lists[m[1]], "".join(line["say"]))
        rules.append((re.compile(rf"(?<![\w@])(?:{said})(?!\w)"), _MEANINGS[line["means"]]))
    return rules


def atoms(text: str, folded: str, clock: Clock) -> list[Atom]:
    found = [
        Atom(match.start(), match.end(), **parts)
        for pattern, meaning in _rules()
        for match in pattern.finditer(folded)
        if (parts := _safely(meaning, match, clock)) is not None
    ]
    return found + [Atom(start, end, zone=zone) for start, end, zone in zones.find(text, folded)]


_FULL_DATES = ("_iso", "_numeric", "_month_day", "_clock")


def impossible(folded: str) -> str:
    clock = Clock(datetime(2024, 1, 1, tzinfo=UTC), "", False)  # a leap year: 29 February exists
    for pattern, meaning in _rules():
        if meaning.__name__ not in _FULL_DATES:
            continue
        for match in pattern.finditer(folded):
            try:
                meaning(match, clock)
            except (ValueError, OverflowError):
                return match.group(0)
    return ""


def _safely(meaning: Meaning, match: re.Match[str], clock: Clock) -> dict[str, Any] | None:
    try:
        return meaning(match, clock)
    except (ValueError, OverflowError):  # the 31st of February, the year 20000
        return None


def _number(said: str) -> float:
    if said.startswith("half"):
        return 0.5
    return int(said) if said.isdigit() else int(_table("numbers")[said])


def _iso(m: re.Match[str], _: Clock) -> dict[str, Any]:
    parts: dict[str, Any] = {"day": date(int(m["y"]), int(m["m"]), int(m["d"]))}
    if m["H"]:
        parts["clock"] = time(int(m["H"]), int(m["M"]))
    if m["z"]:
        parts["zone"] = datetime.fromisoformat(f"2000-01-01T00:00{m['z'].upper()}").tzinfo
    return parts


def _numeric(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    first, second = int(m["d"]), int(m["m"])
    # Day first, as most of the world writes; month first only where the tenant's country does.
    american = clock.country.upper() in ("US", "PH") and m.groupdict().get("s", "/") == "/"
    day, month = (second, first) if american else (first, second)
    if month > 12 >= day:
        day, month = month, day
    year = m.groupdict().get("y")
    if year:
        return {"day": date(int(year) + (2000 if len(year) == 2 else 0), month, day)}
    return {"day": _nearest(clock, month, day)}


def _nearest(clock: Clock, month: int, day: int) -> date:
    """A date without a year: the next one, or the last one when the past is meant."""
    for step in range(0, 9):
        year = clock.today.year + (-step if clock.past else step)
        if day > calendar.monthrange(year, month)[1]:
            continue
        found = date(year, month, day)
        if (found <= clock.today) if clock.past else (found >= clock.today):
            return found
    raise ValueError


def _month_day(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    said = m["d"]
    day = int(said) if said.isdigit() else int(_table("ordinals")[said])
    month = int(_table("months")[m["month"]])
    return {"day": date(int(m["y"]), month, day) if m["y"] else _nearest(clock, month, day)}


def _whole_month(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    month = int(_table("months")[m["month"]])
    return {"day": date(int(m["y"]), month, 1) if m["y"] else _nearest(clock, month, 1)}


def _whole_year(m: re.Match[str], _: Clock) -> dict[str, Any]:
    return {"day": date(int(m["y"]), 1, 1)}


def _relative(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    parts: dict[str, Any] = {"day": clock.today + timedelta(days=int(_table("days")[m["word"]]))}
    if m["word"] == "tonight":
        parts |= {"clock": time(20, 0), "part": "night"}
    return parts


def _which(said: str | None) -> str:
    words = data("date_words.yaml")
    return next((name for name in ("next", "this", "last") if said in words[name]), "")


def _weekday(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    wanted = int(_table("weekdays")[m["weekday"]])
    side = _which(m["which"]) or _which(m["after"]) or _which(m["also"])
    shy = m["weekday"] in data("date_words.yaml")["shy"] and not side
    if m["after"] in ("next week", "nachste woche"):
        monday = clock.today - timedelta(days=clock.today.weekday()) + timedelta(days=7)
        return {"day": monday + timedelta(days=wanted)}
    ahead = (wanted - clock.today.weekday()) % 7 or 7
    if side == "last" or (clock.past and side != "next"):
        return {"day": clock.today - timedelta(days=(clock.today.weekday() - wanted) % 7 or 7), "shy": shy}
    if m["after"] in ("week", "in a week") or m["plus"]:
        ahead += 7
    return {"day": clock.today + timedelta(days=ahead), "shy": shy}


def _moved(m: re.Match[str], clock: Clock, sign: int) -> dict[str, Any]:
    groups = m.groupdict()
    amount = _number(groups["n"] or groups["n2"]) * sign
    unit = str(_table("units")[m["unit"]])
    if unit in ("minute", "hour"):
        return {"moment": (clock.now + timedelta(**{unit + "s": amount})).replace(microsecond=0)}
    whole = int(amount) or sign
    if unit == "quarter":
        unit, whole = "month", 3 * whole
    if unit == "fortnight":
        unit, whole = "week", 2 * whole
    if unit in ("day", "week"):
        return {"day": clock.today + timedelta(**{unit + "s": whole})}
    return {"day": clock.today + (relativedelta(months=whole) if unit == "month" else relativedelta(years=whole))}


def _ahead(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    return _moved(m, clock, 1)


def _ago(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    return _moved(m, clock, -1)


def _first_of(unit: str, today: date, step: int) -> date:
    if unit == "day":
        return today + timedelta(days=step)
    if unit == "week":
        return today - timedelta(days=today.weekday()) + timedelta(days=7 * step)
    if unit == "month":
        return today.replace(day=1) + relativedelta(months=step)
    if unit == "quarter":
        return date(today.year, 3 * ((today.month - 1) // 3) + 1, 1) + relativedelta(months=3 * step)
    return date(today.year + step, 1, 1)


def _period(m: re.Match[str], clock: Clock) -> dict[str, Any] | None:
    """ "Next week" is its first day; so is "last month", which is what "since" needs."""
    side = _which(m.groupdict().get("which")) or "this"
    step = {"next": 1, "this": 0, "last": -1}[side]
    if ("week" in m["unit"] and "end" in m["unit"]) or m["unit"] in ("wochenende", "fin de semana"):
        saturday = clock.today + timedelta(days=(5 - clock.today.weekday()) % 7)
        return {"day": saturday + timedelta(days=7 * step)}
    unit = str(_table("units")[m["unit"]])
    return None if unit in ("minute", "hour", "fortnight") else {"day": _first_of(unit, clock.today, step)}


def _edge(m: re.Match[str], clock: Clock) -> dict[str, Any] | None:
    unit = str(_table("units")[m["unit"]])
    if unit in ("minute", "hour", "day", "fortnight"):
        return None
    later = 1 if "next" in m.group(0).split() else 0
    if m["edge"] in ("end", "ende", "fin"):
        return {"day": _first_of(unit, clock.today, later + 1) - timedelta(days=1)}
    return {"day": _first_of(unit, clock.today, later)}


def _day_of_month(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    day = int(m["d"])
    for step in range(0, 4):
        month = clock.today.replace(day=1) + relativedelta(months=-step if clock.past else step)
        if day <= calendar.monthrange(month.year, month.month)[1]:
            found = month.replace(day=day)
            if (found <= clock.today) if clock.past else (found >= clock.today):
                return {"day": found}
    raise ValueError


def _named(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    rule = str(_table("named")[m["named"]])
    if m["y"]:
        return {"day": _named_in(rule, int(m["y"]))}
    year = clock.today.year
    years = (year, year - 1) if clock.past else (year, year + 1)
    days = [_named_in(rule, y) for y in years]
    return {"day": days[0] if ((days[0] <= clock.today) if clock.past else (days[0] >= clock.today)) else days[1]}


def _named_in(rule: str, year: int) -> date:
    if rule[0].isdigit():
        return date(year, int(rule[:2]), int(rule[3:]))
    if rule.startswith("easter") or rule == "good_friday":
        return easter(year) + timedelta(days={"easter": 0, "easter_monday": 1, "good_friday": -2}[rule])
    first = date(year, 11, 1)
    thanksgiving = first + timedelta(days=(3 - first.weekday()) % 7 + 21)
    return thanksgiving + timedelta(days={"thanksgiving": 0, "black_friday": 1, "cyber_monday": 4}[rule])


def _clock(m: re.Match[str], _: Clock) -> dict[str, Any] | None:
    said = m.groupdict()
    hour, minute = int(m["H"]), int(said.get("M") or said.get("M2") or 0)
    half = (said.get("half") or "").replace(".", "")
    part = said.get("part") or ""
    late = is_late(part)
    if half and not 1 <= hour <= 12:
        return None
    if half == "am" and hour == 12:
        hour = 0
    elif (half == "pm" or late) and hour < 12:
        hour += 12
    return {"clock": time(0 if hour == 24 else hour, minute)}


def is_late(part: str) -> bool:
    return any(word in data("date_words.yaml")["after_noon"] for word in re.split(r"[\s']", part))


def _spoken(m: re.Match[str], _: Clock) -> dict[str, Any] | None:
    numbers = _table("numbers")
    if m["hour"] not in numbers and not m["hour"].isdigit():
        return None
    hour = int(_number(m["hour"]))
    before = {"half past": 30, "quarter past": 15, "quarter to": -15, "halb": -30}[m["past"]]
    at = datetime(2000, 1, 2, hour) + timedelta(minutes=before)
    return {"clock": at.time()}


def _part_of_day(m: re.Match[str], _: Clock) -> dict[str, Any]:
    said = str(_table("clock")[m.group(0)])
    if said in ("12:00", "00:00"):
        return {"clock": time.fromisoformat(said)}
    return {"clock": time.fromisoformat(said), "shy": True, "part": m.group(0)}


_MEANINGS: dict[str, Meaning] = {
    "ago": _ago,
    "ahead": _ahead,
    "clock": _clock,
    "day_of_month": _day_of_month,
    "edge": _edge,
    "iso": _iso,
    "month_day": _month_day,
    "named": _named,
    "numeric": _numeric,
    "part_of_day": _part_of_day,
    "period": _period,
    "relative": _relative,
    "spoken": _spoken,
    "weekday": _weekday,
    "whole_month": _whole_month,
    "whole_year": _whole_year,
}
