"""Time zones in a sentence: "Europe/Berlin", "CET", "UTC+2", "New York time"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from agent.planner.text import data, fold

Found = tuple[int, int, tzinfo]

_ZONE_NAME = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+)?\b")
_ZONE_OFFSET = re.compile(r"\b(?:UTC|GMT)\s?([+-])(\d{1,2})(?::?(\d\d))?\b", re.I)
_ZONE_CITY = re.compile(
    r"\b(?:in |in der )?(?:(\w+(?:[ _]\w+)?) time|(\w+)er zeit|heure de (\w+(?: \w+)?)|hora de (\w+(?: \w+)?))\b"
)

_ZONE_THERE = re.compile(r"\d(?:[:.]\d\d)?\s?(?:[ap]m|uhr|h|o'clock)?,? in (?P<it>[a-z]+(?: [a-z]+)?)\b")


@cache
def _cities() -> dict[str, str]:
    return {
        fold(name.rsplit("/", 1)[-1].replace("_", " ")): name
        for name in sorted(available_timezones())
        if "/" in name and not name.startswith(("Etc", "posix", "right", "SystemV"))
    }


@cache
def _abbreviations() -> dict[str, str]:
    return {short: name for name, shorts in data("date_words.yaml")["zones"].items() for short in shorts}


def find(text: str, folded: str) -> Iterator[Found]:
    for match in _ZONE_NAME.finditer(text):
        if match.group(0) in available_timezones():
            yield (*match.span(), ZoneInfo(match.group(0)))
    for match in _ZONE_OFFSET.finditer(text):
        hours, minutes = int(match[2]), int(match[3] or 0)
        if hours <= 14 and minutes < 60:
            offset = timedelta(hours=hours, minutes=minutes) * (-1 if match[1] == "-" else 1)
            yield (*match.span(), timezone(offset))
    for match in _ZONE_CITY.finditer(folded):
        said = next(group for group in match.groups() if group)
        for city in (said, said.split(" ")[-1], said.split(" ")[0]):
            if city in _cities():
                yield (folded.index(city, match.start()), match.end(), ZoneInfo(_cities()[city]))
                break
    # "At 9 in New York": a city behind a clock time is where the clock hangs.
    for match in _ZONE_THERE.finditer(folded):
        for city in (match["it"], match["it"].split(" ")[0]):
            if city in _cities():
                start = match.start("it")
                yield (start, start + len(city), ZoneInfo(_cities()[city]))
                break
    for match in re.finditer(r"\b[A-Z]{1,4}\b|\b(?:Eastern|Pacific|Central)\b(?: [Tt]ime)?", text):
        name = _abbreviations().get(match.group(0).split(" ")[0])
        if name:
            yield (*match.span(), ZoneInfo(name))
