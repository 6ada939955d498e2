"""The rules of the date grammar that find a time of day."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Any

from agent.planner.date_atoms import Clock, number, table
from agent.planner.text import data

# "A" and "un" count things ("a week"), they are no hour.
ARTICLES = frozenset(
    [
        "a",
        "an",
        "ein",
        "einem",
        "einer",
        "eine",
        "einen",
        "un",
        "couple",
        "couple of",
        "a couple of",
        "dozen",
        "a dozen",
    ]
)


def clock(m: re.Match[str], _: Clock) -> dict[str, Any] | None:
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


def spoken(m: re.Match[str], _: Clock) -> dict[str, Any] | None:
    said = m.groupdict()
    hour = int(number(m["hour"]))
    minutes = _PAST.get(said.get("past") or "", 0)
    if said.get("minutes"):
        minutes = _minutes(said["minutes"]) * (-1 if said["side"] in ("to", "vor") else 1)
    if not 0 <= hour <= 24 or abs(minutes) > 59:
        return None
    if said.get("half") == "pm" and hour < 12:
        hour += 12
    return {"clock": (datetime(2000, 1, 2) + timedelta(hours=hour % 24, minutes=minutes)).time()}


# "Half nine" is half past nine where English is spoken, and half past eight where German is.
_PAST = {
    "half past": 30,
    "half": 30,
    "halb": -30,
    "quarter past": 15,
    "quarter to": -15,
    "viertel nach": 15,
    "viertel vor": -15,
    "y media": 30,
    "y cuarto": 15,
    "menos cuarto": -15,
    "et demie": 30,
    "et demi": 30,
    "et quart": 15,
    "moins le quart": -15,
}


def _minutes(said: str) -> int:
    return 25 if said == "twenty-five" else int(number(said))


def part_of_day(m: re.Match[str], clock: Clock) -> dict[str, Any]:
    said = str(table("clock")[m.group(0)])
    if said in ("12:00", "00:00"):
        return {"clock": time.fromisoformat(said)}
    if m.group(0) in data("date_words.yaml")["today_parts"]:
        return {"day": clock.today, "clock": time.fromisoformat(said), "part": m.group(0)}
    return {"clock": time.fromisoformat(said), "shy": True, "part": m.group(0)}
