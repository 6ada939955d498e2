"""Answers to what was just understood: "no, Thursday", "I meant Harvest Fair", "yes", "never mind"."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from agent.planner import names
from agent.planner.clauses import Clause, starts_request
from agent.planner.contract import Call, Memory
from agent.planner.patterns import rule
from agent.planner.phrases import peel, tones
from agent.planner.slots import Request, common
from agent.planner.text import fold

_HEAD = rule("corrections_head")
_MARKER = rule("corrections_marker")
_YES = rule("corrections_yes")
_NO = rule("corrections_no")

_DATED = {
    "send_campaign": "send_at",
    "create_campaign": "start_date",
    "update_campaign": "start_date",
    "summarize_performance": "since",
}
_ADDRESSED = {
    "create_contact": "email",
    "send_test_email": "to",
    "update_contact": "contact",
    "delete_contact": "contact",
    "preview_email": "contact",
    "draft_email": "contact",
}


def is_yes(text: str) -> bool:
    return bool(_YES.fullmatch(fold(text).strip()))


def is_no(text: str) -> bool:
    return bool(_NO.fullmatch(fold(text).strip()))


def corrected(request: Request) -> list[Call] | None:
    """The last calls with one value replaced; None when the sentence is no correction."""
    memory = request.memory
    said = fold(request.clause.said)
    if not memory.calls:
        return None
    marked = bool(_MARKER.search(said))
    head = _HEAD.match(said)
    rest = request.clause.said[head.end() :] if head else request.clause.said
    bare = bool(_BARE.fullmatch(fold(rest)))
    if not marked and not (bare and _answers(memory, request, rest)):
        return None
    if (
        not bare
        and (starts_request(request.clause.said) or starts_request(rest))
        and not re.match(r"(?:make|change|set|move) (?:it|that|the)\b|(?:and )?(?:what|how) about\b", said)
    ):
        return None  # "no, delete Ada": a request of its own
    for at in range(len(memory.calls) - 1, -1, -1):
        fixed = _replace(memory.calls[at], request, rest, marked)
        if fixed is not None:
            return _after(memory, at, fixed)
    return None


# A thing alone, with at most its preposition: "Thursday", "to Harvest Fair", "bob@x.org please".
_BARE = rule("corrections_bare")


def _answers(memory: Memory, request: Request, rest: str) -> bool:
    """A bare thing answers or corrects what waits; a bare campaign otherwise asks to see it."""
    return memory.undone or bool(request.all("date", rest))


def _after(memory: Memory, at: int, fixed: dict[str, Any]) -> list[Call]:
    """Nothing was done: all calls again, one of them corrected. Done: only what repairs it."""
    old = memory.calls[at]
    new = Call(old.tool, {**old.arguments, **fixed})
    if memory.undone:
        return [*memory.calls[:at], new, *memory.calls[at + 1 :]]
    if old.tool == "create_campaign":
        fields = {k: v for k, v in fixed.items() if k in ("name", "description", "start_date")}
        return [Call("update_campaign", {"campaign": old.arguments.get("name"), **fields})] if fields else [new]
    if old.tool == "create_contact":
        return [Call("update_contact", {"contact": old.arguments.get("email"), **fixed})]
    return [new]


def _replace(old: Call, request: Request, rest: str, marked: bool) -> dict[str, Any] | None:
    part = _the_right_half(rest)
    dates, campaigns = request.all("date", part), request.all("campaign", part)
    emails, phones = request.all("email", part), request.all("phone", part)
    tool = old.tool
    if dates and tool in _DATED:
        return {_DATED[tool]: _new_date(old, request)}
    if campaigns:
        if tool == "compare_campaigns":
            kept = old.arguments.get("campaigns", [])[:-1]
            return {"campaigns": [*kept, campaigns[-1].value]}
        if "campaign" in old.arguments or tool not in (
            "create_campaign",
            "create_contact",
            "search_contacts",
            "search_emails",
            "list_campaigns",
            "update_contact",
            "delete_contact",
        ):
            return {"campaign": campaigns[-1].value}
    if emails:
        if tool in ("add_contacts_to_campaign", "remove_contacts_from_campaign"):
            return {"emails": [e.value for e in emails]} | ({"query": None} if "query" in old.arguments else {})
        if tool in _ADDRESSED:
            return {_ADDRESSED[tool]: emails[-1].value}
    if phones and tool in ("create_contact", "update_contact"):
        return {"phone_number": phones[-1].value}
    return _replace_words(old, request, part, marked)


def _replace_words(old: Call, request: Request, part: str, marked: bool) -> dict[str, Any] | None:
    tool, folded = old.tool, fold(part)
    number = re.search(r"\b(\d{1,4})\b", folded)
    if number and tool in ("search_contacts", "add_contacts_to_campaign", "list_campaigns", "search_emails"):
        return {"limit": int(number[1])}
    if not marked:
        return None
    named = tones(folded)
    if tool == "draft_email" and named:
        less = "less " if "less" in folded else ""
        return {"tone": less + " and ".join(tone for _, _, tone in named)}
    name = rule("corrections_replace_words_name").search(folded)
    if tool == "create_campaign" and (name or request.first("quote")):
        quote = request.first("quote")
        return {"name": quote.value if quote else request.say(part[name.start("it") :]).strip(" .!") if name else ""}
    if tool == "create_contact":
        run = names.person(part)
        return dict(names.split_name(run).items()) if run else None
    words = request.say(peel(part, "query")).strip(" .!?")
    if words and len(words.split()) <= 8:
        if tool in ("search_contacts", "search_emails", "list_campaigns") or (
            tool in ("add_contacts_to_campaign", "remove_contacts_from_campaign") and "query" in old.arguments
        ):
            return {"query": words}
        if tool in _ADDRESSED and old.arguments.get(_ADDRESSED[tool]) and names.person(part) == words:
            return {_ADDRESSED[tool]: words}
        if "campaign" in old.arguments:
            hint = common.partial_name(request)
            unknown = words if words[:1].isupper() else None
            return {"campaign": hint or unknown} if hint or unknown else None
        if tool == "delete_contact" and words[:1].isupper():
            return {"contact": words}
        if tool == "create_campaign" and words[:1].isupper():
            return {"name": words}
    return None


def _the_right_half(rest: str) -> str:
    """ "Not Friday, Thursday" and "Thursday, not Friday": the half that is meant."""
    folded = fold(rest)
    after = rule("corrections_the_right_half_after").match(folded)
    if after:
        return rest[after.start("it") :]
    before = re.match(r"(?P<it>.+?)[,\s]+(?:not|nicht|pas|no|instead of|rather than|statt)\s+.+$", folded)
    return rest[: before.end("it")] if before else rest


def _new_date(old: Call, request: Request) -> str:
    """A new day keeps the time that was said, a new time keeps the day."""
    part = _the_right_half(request.clause.said)
    past = old.tool == "summarize_performance"
    thing = (request.all("date", part) or request.all("date"))[-1]
    when = common.read(thing, request, past=past)
    if old.tool != "send_campaign":
        return when.iso_day()
    before = old.arguments.get("send_at")
    if before and not when.moment:
        then = datetime.fromisoformat(before)
        if when.clock is None:
            return when.send_at(then.time(), then.tzinfo)
        if not when.day_said:
            return datetime.combine(then.date(), when.clock, when.zone).isoformat(timespec="seconds")
    return when.send_at()


def as_request(clause: Clause) -> Clause:
    """The clause without "no, ..." in front, for when it is a request after all."""
    head = re.match(r"^(?:no+|nope|nein|non|wait|sorry|oops|actually|hmm)\b[\s,.:!;-]*", fold(clause.text))
    return (
        Clause(clause.text[head.end() :], clause.said, clause.command, clause.more)
        if head and head.end() < len(clause.text)
        else clause
    )
