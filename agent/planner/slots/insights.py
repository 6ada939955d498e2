"""Slots of results, comparison and advice."""

from __future__ import annotations

import re

from agent.planner.names import everyday
from agent.planner.patterns import rule
from agent.planner.slots import common
from agent.planner.slots.common import Filled, Request, call
from agent.planner.slots.topics import topic
from agent.planner.text import fold


def summarize(request: Request) -> Filled:
    since = common.when(request, past=True)
    general = rule("insights_summarize_general").search(request.folded)
    campaign = common.campaign(request, guess=not since and not general)
    missing = "" if campaign or since or general else "campaign"
    return call("summarize_performance", missing, campaign=campaign, since=since.iso_day() if since else None)


def compare(request: Request) -> Filled:
    named = list(dict.fromkeys(thing.value for kind in ("campaign", "quote") for thing in request.all(kind)))
    if (
        len(named) < 2
        and re.search(r"\b(?:all|every|each|which campaign|alle|toutes|todas)\b", request.folded)
        and not named
    ):
        return call("compare_campaigns")
    if len(named) < 2:
        named += [name for name in _unknown(request) if fold(name) not in map(fold, named)]
    if not named and re.search(r"\b(?:them|those|these|both|the two|beide|les deux|ambas)\b", request.folded):
        named = list(dict.fromkeys(c.arguments["campaign"] for c in request.memory.calls if "campaign" in c.arguments))
    if len(named) == 1 and request.memory.campaign and request.memory.campaign not in named:
        named.insert(0, request.memory.campaign)
    return call("compare_campaigns", "" if len(named) > 1 else "campaigns", campaigns=named)


def _unknown(request: Request) -> list[str]:
    """Names that no campaign has, on either side of "and", "with", "vs"."""
    said = re.sub(r"^(?:compare|vergleiche|compara|comparer)\s+", "", request.text, flags=re.I)
    parts = re.split(r"\s+(?:and|with|to|vs\.?|versus|or|und|mit|oder|et|avec|ou|y|con|o|against)\s+|,\s*", said)
    if len(parts) < 2:
        return []
    return [
        name
        for part in parts
        if (name := request.say(part).strip(" ?.!"))
        and len(name.split()) <= 4
        and (name[:1].isupper() or re.match(r"compare", request.folded))
        and not all(word in everyday() for word in re.findall(r"[^\W_]+", fold(name)))
        and not re.fullmatch(r"(?:it|them|that|this|the last one|which.*)", fold(name))
    ]


def improve(request: Request) -> Filled:
    general = re.search(r"\b(?:our (?:mails|emails|campaigns)|in general|mails|emails)\b", request.folded)
    campaign = common.campaign(request, guess=not general)
    return call("suggest_improvements", "" if campaign else "campaign", campaign=campaign)


def suggest(request: Request) -> Filled:
    goal = request.say(topic(request.whole, "goal")).strip(" ?.!,")
    goal = re.sub(r"^(?:for|in|on|around|fur|für|pour|para|en)\s+", "", goal, flags=re.I)
    if rule("insights_suggest").fullmatch(fold(goal)):
        goal = ""
    return call("suggest_campaigns", goal=goal)
