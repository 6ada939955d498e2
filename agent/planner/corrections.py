"""Answers to what was just understood: "no, Thursday", "I meant Harvest Fair", "yes", "never mind"."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from agent.planner import names
from agent.planner.clauses import Clause, starts_request
from agent.planner.contract import ARGUMENTS, Call, Memory
from agent.planner.dates import words as date_words
from agent.planner.intents import Guess
from agent.planner.patterns import rule
from agent.planner.phrases import peel, tones
from agent.planner.slots import Request, common, fill
from agent.planner.text import fold
from agent.planner.together import unlike

_HEAD = rule("corrections_head")
_MARKER = rule("corrections_marker")
_ADMITS = rule("corrections_admits")
_TAKES_BACK = rule("corrections_takes_back")
_PUTS_RIGHT = rule("corrections_puts_right")
_YES = rule("corrections_yes")
_NO = rule("corrections_no")

# From here on a reading is a wish of its own and no correction.
_CLEAR = 0.5
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


def corrected(request: Request, guess: Guess, *, late: bool = False) -> list[Call] | None:
    """The last calls with one value replaced; None when the sentence is no correction.

    `late`: nothing else could be made of the sentence, so that any word of putting right will do.
    """
    memory = request.memory
    said = fold(request.clause.said)
    if not memory.calls:
        return None
    marked = bool((_PUTS_RIGHT if late else _MARKER).search(said))
    head = _HEAD.match(said)
    rest = request.clause.said[head.end() :] if head else request.clause.said
    bare = bool(_BARE.fullmatch(fold(rest)))
    if turned := _swapped(request) or _narrowed(request):
        return turned
    if not marked and not (bare and _answers(memory, request, rest)):
        return None
    admitted = late and bool(_ADMITS.search(said))
    if not bare and not admitted and not _TAKES_BACK.match(said) and _is_another(memory, guess):
        return None
    if (
        not bare
        and not late
        and (starts_request(request.clause.said) or starts_request(rest))
        and not re.match(r"(?:make|change|set|move) (?:it|that|the)\b|(?:and )?(?:what|how) about\b", said)
    ):
        return None  # "no, delete Ada": a request of its own
    for at in range(len(memory.calls) - 1, -1, -1):
        fixed = _replace(memory.calls[at], request, rest, marked)
        if fixed is not None:
            return _after(memory, at, fixed)
    return None


def _swapped(request: Request) -> list[Call] | None:
    """ "Glow Nights, not Glow Season": what was understood a moment ago is named, and what is right."""
    said = request.clause.said
    found = _CONTRAST.fullmatch(fold(said))
    if not found:
        return None
    old, new = ("old", "new") if found["old"] else ("old2", "new2")
    wrong = _value(request, said[found.start(old) : found.end(old)])
    right = _value(request, said[found.start(new) : found.end(new)])
    for at in range(len(request.memory.calls) - 1, -1, -1):
        for name, value in request.memory.calls[at].arguments.items():
            if isinstance(value, str) and fold(value) == fold(wrong):
                return _after(request.memory, at, {name: right})
    return None


_CONTRAST = rule("corrections_contrast")


# "Her first name is spelt Zara", "it should read Zara".
_LEADS_TO_VALUE = re.compile(r"^.*\b(?:is|be|been|reads?|spel(?:t|led)|called|named|meant?|ist|est|es|lautet)\s+")


def _value(request: Request, part: str) -> str:
    part = re.sub(_LEADS_TO_VALUE, "", part.strip(" ,.!?"))
    thing = request.marked.things.get(part)
    return thing.value if thing else request.say(part)


def _narrowed(request: Request) -> list[Call] | None:
    """ "Only those with the vip tag": the last search again, among fewer."""
    last = request.memory.calls[-1]
    if last.tool not in _FEWER or not _ONLY.match(fold(request.clause.said)):
        return None
    said = fill("search_contacts", request).calls[0].arguments
    fewer = {name: value for name, value in said.items() if name in _FEWER[last.tool]}
    return [Call(last.tool, {**last.arguments, **fewer})] if fewer else None


_ONLY = rule("corrections_only")
_FEWER = {"search_contacts": ("limit", "status", "tags", "campaign"), "add_contacts_to_campaign": ("limit",)}


def _is_another(memory: Memory, guess: Guess) -> bool:
    """ "Her last name should read Hale" after a search: a wish of its own, whatever it looks like."""
    clear = guess.best in ARGUMENTS and guess.score >= _CLEAR
    return clear and all(unlike(call.tool, guess.best) for call in memory.calls)


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
    part = _praised(_the_right_half(rest))
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
    if tool in ("search_contacts", "add_contacts_to_campaign", "list_campaigns", "search_emails"):
        number = next((n for word in re.findall(r"\w+", folded) if (n := _number(word))), None)
        if number:
            return {"limit": number}
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
    person = names.person(part)
    if (
        tool in _ADDRESSED
        and " " in person
        and old.arguments.get(_ADDRESSED[tool])
        and not _NAMES & old.arguments.keys()
    ):
        return {_ADDRESSED[tool]: person}
    if tool in ("create_contact", "update_contact"):
        fields = fill("update_contact", request).calls[0].arguments
        told = {name: value for name, value in fields.items() if name in ("first_name", "last_name", "tags")}
        run = names.person(part)
        return told or (dict(names.split_name(run)) if run else None)
    words = request.say(peel(part, "query")).strip(" .!?")
    if words and len(words.split()) <= 8:
        if tool in ("search_contacts", "search_emails", "list_campaigns") or (
            tool in ("add_contacts_to_campaign", "remove_contacts_from_campaign") and "query" in old.arguments
        ):
            return {"query": words}
        if tool == "create_campaign" or (tool == "update_campaign" and "name" in old.arguments):
            return {"name": words} if words[:1].isupper() else None
        if "campaign" in old.arguments:
            hint = common.partial_name(request)
            unknown = words if all(word[:1].isupper() for word in words.split()) else None
            return {"campaign": hint or unknown} if hint or unknown else None
        if tool == "delete_contact" and words[:1].isupper():
            return {"contact": words}
    return None


_NAMES = {"first_name", "last_name"}


def _number(word: str) -> int | None:
    if word.isdigit():
        return int(word) if 0 < int(word) < 10_000 else None
    return next(
        (int(n) for n, forms in date_words()["numbers"].items() if word in map(str, forms) and int(n) > 1), None
    )


def _the_right_half(rest: str) -> str:
    """ "Not Friday, Thursday" and "Thursday, not Friday": the half that is meant."""
    folded = fold(rest)
    after = rule("corrections_the_right_half_after").match(folded)
    if after:
        return rest[after.start("it") :]
    before = re.match(
        r"(?P<it>.+?)(?<! is)(?<! was)(?<! are)[,\s]+(?:not|nicht|pas|no|instead of|rather than|statt)\s+.+$", folded
    )
    return rest[: before.end("it")] if before else rest


def _praised(part: str) -> str:
    """ "Pear Fair sounds nicer", "coffee would have been the right word": what stands before is meant."""
    found = _PRAISED.search(fold(part))
    return part[: found.start()] if found and found.start() else part


_PRAISED = rule("corrections_praised")


def _new_date(old: Call, request: Request) -> str:
    """A new day keeps the time that was said, a new time keeps the day."""
    part = _the_right_half(request.clause.said)
    past = old.tool == "summarize_performance"
    thing = (request.all("date", part) or request.all("date"))[-1]
    when = common.read(thing, request, past=past)
    before = old.arguments.get(_DATED[old.tool])
    if before and _DAY_OF_MONTH.fullmatch(fold(thing.raw)):
        when = replace(when, day=_in_month(when.day.day, date.fromisoformat(before[:10])))
    if old.tool != "send_campaign":
        return when.iso_day()
    if before and not when.moment:
        then = datetime.fromisoformat(before)
        if when.clock is None:
            return when.send_at(then.time(), then.tzinfo)
        if not when.day_said:
            return datetime.combine(then.date(), when.clock, when.zone).isoformat(timespec="seconds")
    return when.send_at()


_DAY_OF_MONTH = re.compile(r"(?:on |am |le |el )?(?:the |den |der )?\d{1,2}(?:st|nd|rd|th|er|\.)?")


def _in_month(day: int, before: date) -> date:
    """ "The 10th is better" after "3 March" is the tenth of March; where that month has no such day, as it was."""
    try:
        return before.replace(day=day)
    except ValueError:
        return before


_HEAD_OF_REQUEST = re.compile(
    r"^(?:(?:no+|nope|nein|non)(?=\s*[,.!:;-])|wait|sorry|oops|actually|hmm+|hm|oh)\b[\s,.:!;-]*", re.I
)


def people(request: Request) -> set[str]:
    """The one person a remark names: "Rosa Parks passed away"."""
    found = names.person(request.text)
    return {found} if len(found.split()) > 1 else set()


def as_request(clause: Clause) -> Clause:
    """The clause without "no, ..." in front, for when it is a request after all."""
    head = _HEAD_OF_REQUEST.match(clause.text)
    return (
        replace(clause, text=clause.text[head.end() :], bare=_HEAD_OF_REQUEST.sub("", clause.bare))
        if head and head.end() < len(clause.text)
        else clause
    )
