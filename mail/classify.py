"""Human, machine or unknown: who was behind the opens and clicks of one person's mail, with the reason.

Rules are data (`classify.yaml`), each with its source. What a request says of itself decides first, then time: how soon
after delivery it came, and what came beside it. So all events of a mail are judged together, and in whatever order they
arrived the verdicts are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby
from typing import Any, Literal, NamedTuple

import yaml

Class = Literal["human", "machine", "unknown"]

# The kinds that are judged; what else happened (a bounce, a complaint) is what it is.
JUDGED = frozenset({"open", "click"})


class Verdict(NamedTuple):
    """Who it was, and by which rule."""

    who: Class
    reason: str


class Seen(NamedTuple):
    """One open or click."""

    kind: str
    at: datetime
    url: str | None = None
    user_agent: str = ""
    request: str = ""
    """`head` or `prefetch`; empty for what a browser asks when somebody clicks or looks."""


@dataclass(frozen=True)
class _Agent:
    verdict: Verdict
    pattern: re.Pattern[str]
    kinds: frozenset[str]


@dataclass(frozen=True)
class _Rules:
    agents: tuple[_Agent, ...]
    requests: dict[str, Verdict]
    early: dict[str, tuple[float, Verdict]]
    bursts: tuple[tuple[int, float], ...]
    burst: Verdict
    companion_seconds: float
    companion: Verdict
    shadow_seconds: float
    shadow: Verdict
    proof: Verdict
    proven: frozenset[str]


def classify(sent_at: datetime | None, seen: Sequence[Seen]) -> list[Verdict]:
    """The verdicts on all opens and clicks of one mail, in their order.

    `sent_at` is when a mail server took the mail; None where that is not known, and no haste can be told.
    """
    rules = _rules()
    verdicts = [_by_itself(rules, sent_at, event) for event in seen]
    if len(seen) > 1:
        _mark_bursts(rules, seen, verdicts)
        _mark_companions(rules, seen, verdicts)
        _mark_shadows(rules, seen, verdicts)
        _prove_opens(rules, seen, verdicts)
    return verdicts


def _by_itself(rules: _Rules, sent_at: datetime | None, event: Seen) -> Verdict:
    if event.request:
        return rules.requests[event.request]
    verdict = by_agent(event.kind, event.user_agent)
    if verdict.who == "machine" or sent_at is None:
        return verdict
    seconds, early = rules.early[event.kind]
    return early if (event.at - sent_at).total_seconds() < seconds else verdict


@lru_cache(maxsize=4096)
def by_agent(kind: str, user_agent: str) -> Verdict:
    """What a User-Agent says of itself."""
    for agent in _rules().agents:
        if kind in agent.kinds and agent.pattern.search(user_agent):
            return agent.verdict
    return Verdict("unknown", "unknown_agent" if user_agent else "no_agent")


def _mark_bursts(rules: _Rules, seen: Sequence[Seen], verdicts: list[Verdict]) -> None:
    """Different links within a moment; the same link twice is a double click."""
    clicks = sorted((i for i, event in enumerate(seen) if event.kind == "click"), key=lambda i: seen[i].at)
    for start, first in enumerate(clicks):
        urls: set[str | None] = set()
        for end, place in enumerate(clicks[start:], start):
            urls.add(seen[place].url)
            elapsed = (seen[place].at - seen[first].at).total_seconds()
            if elapsed > rules.bursts[-1][1]:
                break
            if any(len(urls) >= links and elapsed <= seconds for links, seconds in rules.bursts):
                _convict(verdicts, clicks[start : end + 1], rules.burst)


def _mark_companions(rules: _Rules, seen: Sequence[Seen], verdicts: list[Verdict]) -> None:
    """What a program asked for beside a click that time gave away."""
    given_away = [
        seen[i]
        for i, verdict in enumerate(verdicts)
        if seen[i].kind == "click" and (verdict == rules.burst or verdict == rules.early["click"][1])
    ]
    for i, event in enumerate(seen):
        for other in given_away:
            near = abs((event.at - other.at).total_seconds()) <= rules.companion_seconds
            if near and event.user_agent == other.user_agent:
                _convict(verdicts, [i], rules.companion)


def _mark_shadows(rules: _Rules, seen: Sequence[Seen], verdicts: list[Verdict]) -> None:
    """The same link again at once, from another system: the first was the person."""
    people = sorted((seen[i], i) for i, v in enumerate(verdicts) if seen[i].kind == "click" and v.who != "machine")
    for _, clicks in groupby(sorted(people, key=lambda click: click[0].url or ""), key=lambda click: click[0].url):
        first, *others = sorted(clicks, key=lambda click: click[0].at)
        for event, i in others:
            soon = (event.at - first[0].at).total_seconds() <= rules.shadow_seconds
            if soon and _system(event.user_agent) != _system(first[0].user_agent):
                _convict(verdicts, [i], rules.shadow)


def _prove_opens(rules: _Rules, seen: Sequence[Seen], verdicts: list[Verdict]) -> None:
    """Of a person who clicked, the last fetch before the first click counts as the open it hid."""
    clicked = min(
        (seen[i].at for i, v in enumerate(verdicts) if seen[i].kind == "click" and v.who == "human"), default=None
    )
    if clicked is None or any(seen[i].kind == "open" and v.who == "human" for i, v in enumerate(verdicts)):
        return
    hidden = [i for i, v in enumerate(verdicts) if v.reason in rules.proven and seen[i].at <= clicked]
    if hidden:
        verdicts[max(hidden, key=lambda i: seen[i].at)] = rules.proof


def _convict(verdicts: list[Verdict], places: Iterable[int], verdict: Verdict) -> None:
    """What is known to be a machine by itself keeps its own reason."""
    for place in places:
        if verdicts[place].who != "machine":
            verdicts[place] = verdict


@lru_cache(maxsize=4096)
def _system(user_agent: str) -> str:
    """The operating system in a browser's User-Agent: what stands in its first brackets, up to the version."""
    found = re.search(
        r"\((?:compatible; )?(windows|macintosh|x11|iphone|ipad|linux; android|linux|cros)", user_agent.lower()
    )
    return found[1] if found else user_agent


@cache
def _rules() -> _Rules:
    data: dict[str, Any] = yaml.safe_load(files("mail").joinpath("classify.yaml").read_text(encoding="utf-8"))
    bursts, companions, shadows, proof = data["bursts"], data["companions"], data["shadows"], data["proof"]
    early = {kind: data["early"][kind] for kind in JUDGED}
    return _Rules(
        agents=tuple(_agent(rule) for rule in data["agents"]),
        requests={name: Verdict("machine", rule["reason"]) for name, rule in data["requests"].items()},
        early={kind: (float(rule["seconds"]), Verdict("machine", rule["reason"])) for kind, rule in early.items()},
        bursts=tuple(sorted(((rule["links"], float(rule["seconds"])) for rule in bursts["rules"]), key=lambda r: r[1])),
        burst=Verdict("machine", bursts["reason"]),
        companion_seconds=float(companions["seconds"]),
        companion=Verdict("machine", companions["reason"]),
        shadow_seconds=float(shadows["seconds"]),
        shadow=Verdict("machine", shadows["reason"]),
        proof=Verdict("human", proof["reason"]),
        proven=frozenset(proof["of"]),
    )


def _agent(rule: dict[str, Any]) -> _Agent:
    pattern = f"^{re.escape(rule['exact'])}$" if "exact" in rule else rule["pattern"]
    kinds = frozenset(rule.get("kinds", JUDGED))
    return _Agent(Verdict(rule["class"], rule["reason"]), re.compile(pattern, re.IGNORECASE), kinds)
