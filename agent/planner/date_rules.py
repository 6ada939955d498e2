"""The rules of the date grammar: each finds one kind of atom in folded text (times of day: date_times.py)."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

from agent.planner import date_times, zones
from agent.planner.date_atoms import Atom, Clock, Meaning, number, table
from agent.planner.text import data


def _any(words: Any) -> str:
    return "(?:" + "|".join(re.escape(w) for w in sorted(map(str, words), key=len, reverse=True)) + ")"


@cache
def _rules() -> list[tuple[re.Pattern[str], Meaning]]:
    words = data("date_words.yaml")
    later, now, earlier = _any(words["next"]), _any(words["this"]), _any(words["last"])
    lists = {name: _any(table(name + "s")) for name in ("day", "weekday", "month", "unit", "ordinal")}
    lists |= {
        "last": earlier,
        "later": later,
        "late_ordinal": _any(word for word, day in table("ordinals").items() if int(day) > 3),
        "hour": _any(
            word for word, hour in table("numbers").items() if int(hour) <= 12 and word not in date_times.ARTICLES
        ),
        "which": rf"(?P<which>{later}|{now}|{earlier})",
        "also": rf"(?P<also>{later}|{now}|{earlier})",
        "after": rf"(?P<after>{_any(_WEEKS)}|in a week|week(?=\s*(?:$|[,.;!?]|at\b|um\b|\d))|"
        rf"{later}|{earlier})",
        "number": rf"(?:\d{{1,3}}|half an|half a|{_any(table('numbers'))})",
        "part": _any(table("clock")),
        "named": _any(table("named")),
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


# A weekday of another week: how many weeks on.
_WEEKS = {
    "next week": 1,
    "of next week": 1,
    "nachste woche": 1,
    "nachster woche": 1,
    "der nachsten woche": 1,
    "la semaine prochaine": 1,
    "de la semaine prochaine": 1,
    "la proxima semana": 1,
    "de la proxima semana": 1,
    "last week": -1,
    "of last week": -1,
    "letzte woche": -1,
    "letzter woche": -1,
    "la semaine derniere": -1,
    "la semana pasada": -1,
    "de la semana pasada": -1,
}
_FULL_DATES = ("_iso", "_numeric", "_month_day", "clock")


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
    day = int(said) if said.isdigit() else int(table("ordinals")[said])
    month = int(table("months")[m["month"]])
    return {"day": date(int(m["y"]), month, day) if m["y"] else _nearest(clock, month, day)}


def _whole_month(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    month = int(table("months")[m["month"]])
    return {"day": date(int(m["y"]), month, 1) if m["y"] else _nearest(clock, month, 1)}


def _whole_year(m: re.Match[str], _: Clock) -> dict[str, Any]:
    return {"day": date(int(m["y"]), 1, 1)}


def _relative(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    parts: dict[str, Any] = {"day": clock.today + timedelta(days=int(table("days")[m["word"]]))}
    if m["word"] == "tonight":
        parts |= {"clock": time(20, 0), "part": "night"}
    return parts


def _which(said: str | None) -> str:
    words = data("date_words.yaml")
    return next((name for name in ("next", "this", "last") if said in words[name]), "")


def _weekday(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    said = m.groupdict()
    wanted = int(table("weekdays")[m["weekday"]])
    if said["after"] in _WEEKS:
        return {"day": _monday(clock) + timedelta(days=wanted + 7 * _WEEKS[said["after"]])}
    side = _which(said["which"]) or _which(said["after"]) or _which(said["also"])
    shy = m["weekday"] in data("date_words.yaml")["shy"] and not side
    ahead = (wanted - clock.today.weekday()) % 7 or 7
    if side == "last" or (clock.past and side != "next"):
        return {
            "day": clock.today - timedelta(days=(clock.today.weekday() - wanted) % 7 or 7),
            "shy": shy,
            "weak": True,
        }
    if said["after"] in ("week", "in a week") or said["plus"]:
        return {"day": clock.today + timedelta(days=ahead + 7)}
    return {"day": clock.today + timedelta(days=ahead), "shy": shy, "weak": not side}


def _monday(clock: Clock) -> date:
    return clock.today - timedelta(days=clock.today.weekday())


def _weekday_part(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    wanted = int(table("weekdays")[m["weekday"]])
    day = clock.today + timedelta(days=(wanted - clock.today.weekday()) % 7 or 7)
    part = "fruh" if m["part"] == "morgen" else m["part"]  # "morgen" alone is tomorrow
    return {"day": day, "clock": time.fromisoformat(str(table("clock")[part])), "part": m["part"]}


def _weekday_after_next(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    wanted = int(table("weekdays")[m["weekday"] or m["weekday2"]])
    return {
        "day": clock.today + timedelta(days=((wanted - clock.today.weekday()) % 7 or 7) + (7 if m["weekday"] else 14))
    }


def _week_after_next(_: re.Match[str], clock: Clock) -> dict[str, Any]:
    return {"day": _monday(clock) + timedelta(days=14)}


def _weekday_of_month(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    wanted = int(table("weekdays")[m["weekday"]])
    nth = int(table("ordinals").get(m["nth"], 0))  # 0: the last one
    if m["month"]:
        year = int(m["y"]) if m["y"] else 0
        first = date(year, int(table("months")[m["month"]]), 1) if year else _first_of_month(m["month"], clock)
    else:
        first = clock.today.replace(day=1) + relativedelta(months=1 if m["later"] else 0)
        if not m["later"] and not clock.past and _nth_weekday(first, wanted, nth) < clock.today:
            first += relativedelta(months=1)
    return {"day": _nth_weekday(first, wanted, nth)}


def _first_of_month(month: str, clock: Clock) -> date:
    """The month's first day: of the month that runs, of the next one of that name, or of the last."""
    number = int(table("months")[month])
    year = clock.today.year
    if clock.past:
        return date(year if number <= clock.today.month else year - 1, number, 1)
    return date(year if number >= clock.today.month else year + 1, number, 1)


def _nth_weekday(first: date, wanted: int, nth: int) -> date:
    if nth == 0:
        last = first + relativedelta(months=1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - wanted) % 7)
    found = first + timedelta(days=(wanted - first.weekday()) % 7 + 7 * (nth - 1))
    if found.month != first.month:
        raise ValueError
    return found


def _month_edge(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    first = date(int(m["y"]), int(table("months")[m["month"]]), 1) if m["y"] else _first_of_month(m["month"], clock)
    if m["edge"] in ("end", "ende", "fin"):
        return {"day": first + relativedelta(months=1) - timedelta(days=1)}
    return {"day": first.replace(day=15) if m["edge"].startswith("mi") or m["edge"] == "mediados" else first}


def _weekday_numeric(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    return _numeric(m, clock)


def _shift(m: re.Match[str], _: Clock) -> dict[str, Any]:
    amount = int(number((m["n"] or "one").strip()))
    days = amount * (7 if str(table("units")[m["unit"]]) == "week" else 1)
    before = m["way"] in ("before", "vor", "avant", "antes de")
    return {"shift": timedelta(days=-days if before else days)}


def _moved(m: re.Match[str], clock: Clock, sign: int) -> dict[str, Any]:
    groups = m.groupdict()
    amount = number(groups.get("n") or groups.get("n2") or "one") * sign
    unit = str(table("units")[m["unit"]])
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
        if clock.past and side == "this" and saturday > clock.today:
            saturday -= timedelta(days=7)
        return {"day": saturday + timedelta(days=7 * step)}
    unit = str(table("units")[m["unit"]])
    return None if unit in ("minute", "hour", "fortnight") else {"day": _first_of(unit, clock.today, step)}


def _edge(m: re.Match[str], clock: Clock) -> dict[str, Any] | None:
    unit = str(table("units")[m["unit"]])
    if unit in ("minute", "hour", "day", "fortnight"):
        return None
    later = 1 if "next" in m.group(0).split() else 0
    if m["edge"] in ("end", "ende", "fin"):
        return {"day": _first_of(unit, clock.today, later + 1) - timedelta(days=1)}
    return {"day": _first_of(unit, clock.today, later)}


def _day_of_month(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    said = m.groupdict()
    day = int(said["d"]) if said["d"].isdigit() else int(table("ordinals")[said["d"]])
    if said.get("later"):
        return {"day": (clock.today.replace(day=1) + relativedelta(months=1)).replace(day=day)}
    for step in range(0, 4):
        month = clock.today.replace(day=1) + relativedelta(months=-step if clock.past else step)
        if day <= calendar.monthrange(month.year, month.month)[1]:
            found = month.replace(day=day)
            if (found <= clock.today) if clock.past else (found >= clock.today):
                return {"day": found}
    raise ValueError


def _named(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    rule = str(table("named")[m["named"]])
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


_MEANINGS: dict[str, Meaning] = {
    "ago": _ago,
    "ahead": _ahead,
    "clock": date_times.clock,
    "day_of_month": _day_of_month,
    "edge": _edge,
    "iso": _iso,
    "month_day": _month_day,
    "month_edge": _month_edge,
    "named": _named,
    "numeric": _numeric,
    "part_of_day": date_times.part_of_day,
    "period": _period,
    "relative": _relative,
    "shift": _shift,
    "spoken": date_times.spoken,
    "week_after_next": _week_after_next,
    "weekday": _weekday,
    "weekday_after_next": _weekday_after_next,
    "weekday_numeric": _weekday_numeric,
    "weekday_of_month": _weekday_of_month,
    "weekday_part": _weekday_part,
    "whole_month": _whole_month,
    "whole_year": _whole_year,
}
