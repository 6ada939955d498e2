"""The planner's own sentences, from replies.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.planner.contract import Kind, Situation, Understanding
from agent.planner.patterns import pattern, rule
from agent.planner.slots import Request
from agent.planner.text import Language, data, fold


def say(name: str, language: Language, **parts: str) -> str:
    sentence: str = _replies()[name][language]
    for part, value in parts.items():
        sentence = sentence.replace("{" + part + "}", value)
    return sentence


def in_words(best: str, request: Request, language: Language, sure: float) -> Understanding:
    """The answer to what is no request we carry out: talk, help, or what can be done instead."""
    kind: Kind = "help" if best == "help" else "decline" if best == "decline" else "talk"
    said = fold(request.clause.said)
    name: str = kind
    if kind == "decline":
        name = next((f"decline_{topic}" for topic in _DECLINED if rule(f"replies_{topic}").search(said)), kind)
    if kind == "help" and rule("replies_files").search(said):
        name = "help_files"
    if kind == "talk":
        thanked = pattern(r"\b{thanks}\b").search(said)
        name = "talk_thanks" if thanked else "talk_hello" if pattern(r"^{greetings}\b").search(said) else "talk"
    return Understanding(kind, (), say(name, language), sure)


_DECLINED = ("export", "optout", "approval", "recall", "campaign", "everybody", "channel", "settings")


def unclear(tools: Sequence[str], language: Language) -> str:
    """A question with the nearest readings."""
    readings = [str(_replies()["tools"][tool][language]) for tool in tools]
    if not readings:
        return say("nothing", language)
    return say("unclear", language, options=_either(readings, language))


def missing(what: str, language: Language, situation: Situation) -> str:
    """A question for the one thing that lacks, with the campaigns to choose from."""
    if what not in ("campaign", "campaigns"):
        return say(f"ask_{what}", language)
    names = [campaign.name for campaign in situation.campaigns[:5]]
    options = f" {_either(names, language)}?" if names else ""
    return say(f"ask_{what}", language, options=options)


def _either(items: list[str], language: Language) -> str:
    last: str = _replies()["or"][language]
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + last + items[-1]


def _replies() -> dict[str, Any]:
    replies: dict[str, Any] = data("replies.yaml")
    return replies
