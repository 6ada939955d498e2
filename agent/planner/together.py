"""Several readings, one answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.planner.clauses import Clause
from agent.planner.contract import ARGUMENTS, Call, Situation, Understanding
from agent.planner.patterns import rule
from agent.planner.text import fold

_NO_NAME = rule("together_no_name")
_OF_A_CAMPAIGN = rule("together_of_a_campaign")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_FAMILIES = (
    {"create_contact", "update_contact"},
    {"create_campaign", "update_campaign", "add_contacts_to_campaign"},
    {"draft_email"},
)


def together(readings: Sequence[tuple[Clause, Understanding]]) -> Understanding:
    """An open question holds everything back: half a plan is not shown."""
    kept = [reading for _, reading in readings]
    if any(reading.calls for reading in kept):
        # Beside a request a vague remark is only a remark.
        kept = [reading for clause, reading in readings if reading.calls or clause.command or reading.kind == "decline"]
    kept = _merged(_without_repeats(kept))
    if len(kept) == 1:
        return kept[0]
    for kind in ("ask", "decline"):
        for reading in kept:
            if reading.kind == kind:
                others = tuple(c for r in kept if r.kind in ("calls", "ask") for c in r.calls)
                return replace(reading, calls=others if kind == "ask" else ())
    calls = tuple(call for reading in kept for call in reading.calls)
    if calls:
        return Understanding("calls", calls, "", min(r.confidence for r in kept if r.calls))
    return kept[0]


def unlike(before: str, new: str) -> bool:
    """Whether the second is a wish of another kind, and not more about what the first makes."""
    return before != new and not any({before, new} <= family for family in _FAMILIES)


def tidy(call: Call) -> Call:
    known = ARGUMENTS[call.tool]
    return Call(call.tool, {k: v for k, v in call.arguments.items() if k in known and v is not None})


def with_paste(paste: str) -> Understanding:
    return Understanding("calls", (Call("import_contacts", {"csv": paste}),), "", 0.5)


# What a call cannot do without.
_NEEDED = {
    "create_contact": "email",
    "update_contact": "contact",
    "delete_contact": "contact",
    "create_campaign": "name",
    "update_campaign": "campaign",
    "add_contacts_to_campaign": "campaign",
    "remove_contacts_from_campaign": "campaign",
    "draft_email": "campaign",
    "send_test_email": "campaign",
    "send_campaign": "campaign",
    "cancel_campaign": "campaign",
}


def lacking(calls: Sequence[Call]) -> str:
    """What a corrected call still lacks; "" for nothing."""
    return next((need for call in calls if (need := _NEEDED.get(call.tool, "")) and need not in call.arguments), "")


def broken_address(calls: Sequence[Call]) -> str | None:
    """An address that stops short ("ada@"): asked for again before anything is done with it."""
    for call in calls:
        for name in ("email", "to", "emails", "contact"):
            said = call.arguments.get(name) or []
            for address in said if isinstance(said, list) else [said]:
                if "@" in address and not _ADDRESS.fullmatch(address):
                    return str(address)
    return None


def no_name(calls: Sequence[Call], situation: Situation, said: str) -> str:
    """What to ask where a campaign's name is none: "it out", "bakers" of "a campaign for bakers"; else ""."""
    known = [fold(campaign.name) for campaign in situation.campaigns]
    for call in calls:
        name = str(call.arguments.get("campaign") or "")
        small = bool(name) and name == name.lower() and fold(name) not in known
        if small and (_NO_NAME.search(fold(name)) or sum(fold(name) in other.split() for other in known) > 1):
            return "campaign"
        new = str(call.arguments.get("name") or "") if call.tool == "create_campaign" else ""
        if new and new == new.lower() and _OF_A_CAMPAIGN.search(fold(said.partition(new)[0])):
            return "name"
    return ""


# What is done to each of several campaigns named at once.
_ONE_BY_ONE = frozenset(
    [
        "get_campaign",
        "preview_email",
        "send_test_email",
        "summarize_performance",
        "suggest_improvements",
        "send_campaign",
        "cancel_campaign",
    ]
)


def each_campaign(call: Call, campaigns: Sequence[str]) -> list[Call]:
    """ "Show A and B": the call for each of them."""
    names = list(dict.fromkeys(campaigns))
    if call.tool not in _ONE_BY_ONE or len(names) < 2 or call.arguments.get("campaign") != names[0]:
        return [call]
    return [Call(call.tool, {**call.arguments, "campaign": name}) for name in names]


def each_address(call: Call, addresses: Sequence[str]) -> list[Call]:
    """ "Look up a@b.org and c@d.org": two searches."""
    if call.tool != "search_contacts" or len(addresses) < 2 or call.arguments.get("query") not in addresses:
        return [call]
    return [Call(call.tool, {**call.arguments, "query": address}) for address in dict.fromkeys(addresses)]


def _without_repeats(readings: list[Understanding]) -> list[Understanding]:
    """ "Edna asked to be forgotten, erase her": said twice, meant once."""
    kept: list[Understanding] = []
    for reading in readings:
        if len(reading.calls) == 1:
            new = reading.calls[0]
            twin = next((k for k in kept if len(k.calls) == 1 and k.calls[0].tool == new.tool), None)
            if twin is not None and _within(new, twin.calls[0]):
                continue
            if twin is not None and _within(twin.calls[0], new):
                kept[kept.index(twin)] = reading
                continue
        kept.append(reading)
    return kept


def _merged(readings: list[Understanding]) -> list[Understanding]:
    """ "Add Ada ..., tag her vip" is one new contact; "rename it and move it to May" one change."""
    kept: list[Understanding] = []
    for reading in readings:
        before = kept[-1].calls[0] if kept and len(kept[-1].calls) == 1 and kept[-1].kind == "calls" else None
        new = reading.calls[0] if len(reading.calls) == 1 and reading.kind == "calls" else None
        if before and new and (fields := _same_target(before, new)):
            kept[-1] = replace(kept[-1], calls=(Call(before.tool, {**before.arguments, **fields}),))
        else:
            kept.append(reading)
    return kept


_SAID_ON = (("create_contact", "update_contact"), ("create_campaign", "update_campaign"))


def _same_target(before: Call, new: Call) -> dict[str, object]:
    """What `new` adds to the very thing that `before` makes or changes."""
    key = {"update_contact": "contact", "update_campaign": "campaign"}.get(new.tool)
    if key is None:
        return {}
    mine = {
        "create_contact": ("email",),
        "update_contact": ("contact",),
        "create_campaign": ("name",),
        "update_campaign": ("campaign", "name"),
    }
    fits = before.tool == new.tool or (before.tool, new.tool) in _SAID_ON
    targets = [before.arguments.get(name) for name in mine.get(before.tool, ())]
    fields = {name: value for name, value in new.arguments.items() if name != key}
    return fields if fits and new.arguments.get(key) in targets and not fields.keys() & before.arguments.keys() else {}


def _within(small: Call, large: Call) -> bool:
    return all(large.arguments.get(name) == value for name, value in small.arguments.items())
