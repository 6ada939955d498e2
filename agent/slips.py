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
from tools.fields import STATUSES

_DAYS = ("start_date", "since")
_TIMES = ("send_at",)

# Arguments that repeat what was said. Without a word of it in the conversation they are made up.
_WORDS = ("description", "instructions", "tone", "audience", "goal", "query", "first_name", "last_name", "tags")

_FILLERS = {"null", "none", "unknown", "n/a", "string", "...", "-", "undefined", "not specified", "not given"}

_STATUSES = {
    "list_campaigns": ("draft", "scheduled", "sending", "sent", "completed", "paused", "cancelled", "failed"),
    "search_contacts": STATUSES,
}

_NOW = re.compile(
    r"now|right now|right away|at once|immediately|as soon as possible|asap|jetzt|sofort|gleich|maintenant|"
    r"tout de suite|immédiatement|ahora|ya|inmediatamente"
)

# A request for a list that names nothing to choose by.
_ALL_OF_THEM = re.compile(
    r"(?:(?:list|show|see|give|display|what|which|all|every|the|our|my|me|us|of|an?|do|we|have|are|there|please|"
    r"overview|campaigns?|contacts?)\b\W*)+",
    re.IGNORECASE,
)

# People in words, where a description was expected.
_PEOPLE = re.compile(r"(?:everyone|everybody|all|people|those|anyone) (?:who|that|with|interested)\b", re.IGNORECASE)

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
    _what_it_is_about(tool, given)
    _statuses_apart(tool, given, _latest(messages))
    if "contact" in given:
        given.pop("per_contact", None)  # a mail for one, or one for each
    if situation is not None:
        _campaigns_as_spelt(given, situation)
        _old_name_and_new(tool, given, messages, situation)
        _about_which(tool, given, messages, situation)
        _dates_as_read(tool, given, messages, situation)
    return given


def _latest(messages: Sequence[BaseMessage]) -> str:
    return next((message.text for message in reversed(messages) if isinstance(message, HumanMessage)), "")


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
    return found * 2 > len(words)


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


def _what_it_is_about(tool: str, given: dict[str, Any]) -> None:
    """A description says more than the name, and the audience of a new campaign is people, not its offer."""
    description, audience = (str(given.get(name, "")).lower() for name in ("description", "audience"))
    if tool != "create_campaign" or not description:
        return
    if _PEOPLE.match(description) and not audience:
        given["audience"] = given.pop("description")
    elif description == str(given.get("name", "")).lower():
        del given["description"]
    elif audience and audience in description and not _PEOPLE.match(audience):
        del given["audience"]


def _statuses_apart(tool: str, given: dict[str, Any], sentence: str) -> None:
    """ "Draft" is a status of campaigns and no word to search for; "list our campaigns" asks for none."""
    known = _STATUSES.get(tool, ())
    if str(given.get("status", "")).lower() in ("all", "any") or _ALL_OF_THEM.fullmatch(sentence):
        given.pop("status", None)
    words = re.sub(r"\b(?:campaigns?|contacts?|people|all|the)\b", "", str(given.get("query", "")).lower()).split()
    if len(words) == 1 and "status" not in given:
        status = next((each for each in known if words[0] in (each, f"{each}s")), None)
        if status:
            given["status"] = status
            del given["query"]


def _campaigns_as_spelt(given: dict[str, Any], situation: Situation) -> None:
    known = [campaign.name for campaign in situation.campaigns]
    for name in ("campaign", "campaigns"):
        value = given.get(name)
        if isinstance(value, list):
            given[name] = list(dict.fromkeys(_spelt(str(each), known) for each in value))
        elif isinstance(value, str):
            given[name] = _spelt(value, known)


def _old_name_and_new(tool: str, given: dict[str, Any], messages: Sequence[BaseMessage], situation: Situation) -> None:
    """Renaming: the new name twice, where the sentence has one campaign that there is."""
    if tool != "update_campaign" or given.get("campaign") != given.get("name"):
        return
    spoken = _campaigns_in(_latest(messages), situation)
    if len(spoken) == 1:
        given["campaign"] = spoken[0]


def _about_which(tool: str, given: dict[str, Any], messages: Sequence[BaseMessage], situation: Situation) -> None:
    """Figures and advice are of the one campaign that the sentence names, and of none that nobody spoke of."""
    if tool not in ("summarize_performance", "suggest_improvements"):
        return
    if "campaign" in given and not provenance.spoken_of(str(given["campaign"]), provenance.said(messages)):
        del given["campaign"]
    spoken = _campaigns_in(_latest(messages), situation)
    if "campaign" not in given and len(spoken) == 1:
        given["campaign"] = spoken[0]


def _campaigns_in(sentence: str, situation: Situation) -> list[str]:
    return [each.name for each in situation.campaigns if provenance.names(each.name, sentence.lower())]


def _spelt(name: str, known: list[str]) -> str:
    bare = re.sub(r"^(?:the )?(?:campaign )?|\s+campaign$", "", name.strip(), flags=re.IGNORECASE)
    near = process.extractOne(bare.lower(), [each.lower() for each in known], scorer=fuzz.ratio, score_cutoff=85)
    return known[near[2]] if near else name


def _dates_as_read(tool: str, given: dict[str, Any], messages: Sequence[BaseMessage], situation: Situation) -> None:
    """The model writes the words; the program reads them. A date that nobody said is left out, or was the one said."""
    description = str(given.get("description", ""))
    if tool in ("create_campaign", "update_campaign") and _is_date(description, situation):
        given.setdefault("start_date", given.pop("description"))
    if _NOW.fullmatch(str(given.get("send_at", "")).strip().lower()):
        del given["send_at"]  # a send without a time goes as soon as a person has approved it
    for name in (*_DAYS, *_TIMES):
        if name not in given:
            continue
        past = name == "since"
        spoken = _found(provenance.by_people(messages), situation, past)
        now = _found(_latest(messages), situation, past)
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


def _is_date(text: str, situation: Situation) -> bool:
    return any(when.start == 0 and when.end == len(text) for when in _found(text, situation, past=False))


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
