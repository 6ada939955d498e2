"""What small models get wrong in a call, put right before anybody sees it.

They fill arguments that nobody spoke of, compute dates badly and write names nearly. So the program reads the dates
itself, spells campaigns as they are spelt, and leaves out what was not said and is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from rapidfuzz import fuzz, process

from agent import provenance
from agent.planner import Situation, dates
from agent.planner.dates import When
from agent.toolbox import TOOLS

_DAYS = ("start_date", "since")
_TIMES = ("send_at",)

# Arguments that repeat what was said. Without a word of it in the conversation they are made up.
_WORDS = ("description", "instructions", "tone", "audience", "goal", "query", "first_name", "last_name", "tags")

_FILLERS = {"null", "none", "unknown", "n/a", "string", "...", "-", "undefined", "not specified", "not given"}

_COUNTS = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|dozen|twenty|thirty|fifty|hundred|"
    r"drei|fünf|sechs|sieben|acht|zehn|zwanzig|cinq|dix|vingt|cinco|diez|veinte)\b"
)


def put_right(
    tool: str, arguments: dict[str, Any], messages: Sequence[BaseMessage], situation: Situation | None
) -> dict[str, Any]:
    """The arguments as they were probably meant, of those that the tool knows."""
    model = TOOLS[tool].input
    heard = provenance.said(messages)
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in model.model_fields or _is_empty(value):
            continue
        needed = model.model_fields[name].is_required()
        if isinstance(value, list):
            value = [each for each in value if not _is_empty(each) and (needed or _said(name, each, heard))]
        elif not needed and not _said(name, value, heard):
            continue
        if not _is_empty(value):
            given[name] = value
    _addresses_apart(tool, given, heard)
    if "contact" in given:
        given.pop("per_contact", None)  # a mail for one, or one for each
    if situation is not None:
        _campaigns_as_spelt(given, situation)
        _dates_as_read(given, messages, situation)
    return given


def _is_empty(value: Any) -> bool:
    return value in (None, "", [], False) or (isinstance(value, str) and value.strip().lower() in _FILLERS)


def _said(name: str, value: Any, heard: str) -> bool:
    """Whether there is a trace of this in what was said; only for arguments that repeat it."""
    if name == "limit":
        return bool(_COUNTS.search(heard))
    if name not in _WORDS or not isinstance(value, str):
        return True
    words = [word for word in re.findall(r"\w+", value.lower()) if len(word) > 2] or [value.lower()]
    found = sum(word in heard or (len(word) > 4 and fuzz.partial_ratio(word, heard) >= 80) for word in words)
    return found * 2 >= len(words)


def _addresses_apart(tool: str, given: dict[str, Any], heard: str) -> None:
    """Addresses belong into `emails`, words into `query`: the tools that take people by both."""
    if "emails" not in TOOLS[tool].input.model_fields:
        return
    listed = given.pop("emails", [])
    entries = [str(entry) for entry in (listed if isinstance(listed, list) else [listed])]
    query = str(given.get("query", ""))
    addresses = [entry for entry in entries if "@" in entry]
    if "@" in query:
        addresses += [part for part in re.split(r"[\s,;]+", query) if "@" in part and part not in addresses]
        del given["query"]
    elif query and not any(provenance.names(address, heard) for address in addresses):
        addresses = []  # made up, beside the words that were said
    elif addresses:
        # By both would be everyone who matches and these; said was the addresses.
        given.pop("query", None)
    elif entries and not query:
        given["query"] = ", ".join(entries)
    if addresses:
        given["emails"] = addresses


def _campaigns_as_spelt(given: dict[str, Any], situation: Situation) -> None:
    known = [campaign.name for campaign in situation.campaigns]
    for name in ("campaign", "campaigns"):
        value = given.get(name)
        if isinstance(value, list):
            given[name] = list(dict.fromkeys(_spelt(str(each), known) for each in value))
        elif isinstance(value, str):
            given[name] = _spelt(value, known)


def _spelt(name: str, known: list[str]) -> str:
    bare = re.sub(r"^(?:the )?(?:campaign )?|\s+campaign$", "", name.strip(), flags=re.IGNORECASE)
    near = process.extractOne(bare.lower(), [each.lower() for each in known], scorer=fuzz.ratio, score_cutoff=85)
    return known[near[2]] if near else name


def _dates_as_read(given: dict[str, Any], messages: Sequence[BaseMessage], situation: Situation) -> None:
    """The model writes the words; the program reads them. A date that nobody said is left out, or was the one said."""
    for name in (*_DAYS, *_TIMES):
        if name not in given:
            continue
        past = name == "since"
        spoken = _found(provenance.by_people(messages), situation, past)
        latest = next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
        now = _found(latest, situation, past)
        own = _iso(str(given[name])) or _only(_found(str(given[name]), situation, past), name)
        said = {_written(when, name) for when in spoken}
        if own is not None and (own in said or any(_same(own, each) for each in said)):
            given[name] = next(each for each in said if own == each or _same(own, each))
        elif len(now) == 1:
            given[name] = _written(now[0], name)
        elif not spoken and not provenance.spoken_of(str(given[name]), provenance.by_people(messages)):
            del given[name]  # what was said and can't be read ("soon") stays: the tool says how to write it


def _found(text: str, situation: Situation, past: bool) -> list[When]:
    for campaign in situation.campaigns:  # "Black Friday" is a day and a name
        text = re.sub(re.escape(campaign.name), "…", text, flags=re.IGNORECASE)
    return dates.find(text, situation.now, situation.time_zone, country=situation.country, past=past)


def _only(found: list[When], name: str) -> str | None:
    return _written(found[0], name) if len(found) == 1 else None


def _written(when: When, name: str) -> str:
    return when.iso_day() if name in _DAYS else when.send_at()


def _iso(text: str) -> str | None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


def _same(one: str, other: str) -> bool:
    """The same date, and the same time where both have one; a zone is taken from what was said."""
    return one[:16].replace(" ", "T") == other[:16]
