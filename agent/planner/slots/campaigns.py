"""Slots of the campaign tools, but for a new campaign (new_campaign.py)."""

from __future__ import annotations

import re

from agent.planner.contract import Call
from agent.planner.patterns import SIGNS, rule
from agent.planner.phrases import has_words
from agent.planner.slots import common
from agent.planner.slots.common import Filled, Request, call
from agent.planner.slots.topics import topic, without_asides
from agent.planner.text import fold, lexicon

_DATE = SIGNS["{D}"]


_RENAMED = rule("campaigns_renamed")
_TITLE = rule("campaigns_title")
_DESCRIBED = rule("campaigns_described")


def update(request: Request) -> Filled:
    which = common.campaign(request)
    text = request.whole
    starts = common.when(request)
    name = _new_name(request, text)
    description = "" if name and not _DESCRIBED.search(fold(text)) else _new_description(request, text)
    # A day inside the new name or the new description is part of it.
    told = f"{name} {description}"
    day = None if starts is None or request.first("date") is None or _is_within(request, told) else starts.iso_day()
    missing = "campaign" if not which else "" if name or description or day else "change"
    return call("update_campaign", missing, campaign=which, name=name, description=description, start_date=day)


def _is_within(request: Request, said: str) -> bool:
    thing = request.first("date")
    return thing is not None and thing.raw in said


def _new_name(request: Request, text: str) -> str:
    for shape in (_RENAMED, _TITLE):
        told = shape.search(fold(text))
        group = "it" if told and told["it"] else "it2"
        said = text[told.start(group) : told.end(group)] if told and group in shape.groupindex else ""
        if has_words(re.sub(SIGNS["{C}"], "", said)) or re.search(SIGNS["{Q}"], said):
            return _AFTER_NAME.sub("", request.say(said).strip(" \"'.,!?"))
    return ""


_AFTER_NAME = re.compile(r"\s+(?:from now on|instead|please|pls|um|now|bitte|then|though|again)$", re.I)
_META = re.compile(r",?\s*(?:put|use|add|set|make) (?:that|this|it) .*$", re.I)


def _new_description(request: Request, text: str) -> str:
    told = _DESCRIBED.search(fold(text)) or rule("campaigns_about_now").search(fold(text))
    if not told:
        return ""
    said = _META.sub("", text[told.start("it") : told.end("it")])
    return request.say(without_asides(said)).strip(" \"'.,:!?")


def listing(request: Request) -> Filled:
    status = common.status(request, "campaign_status")
    text = re.sub(_DATE, " ", request.text)
    limit, text = common.take_limit(text)
    query = topic(_without_status(text) if status else text, "campaigns")
    if rule("campaigns_listing").fullmatch(fold(query)):
        query = ""
    return call("list_campaigns", query=request.say(query).strip(" ?.!"), status=status, limit=limit)


def _without_status(text: str) -> str:
    forms = "|".join(str(form) for forms in lexicon()["campaign_status"].values() for form in forms)
    return common.cut_all(re.compile(rf"(?<!\w)(?:{forms})(?!\w)"), text)


def get(request: Request) -> Filled:
    which = common.campaign(request)
    return call("get_campaign", "" if which else "campaign", campaign=which)


def cancel(request: Request) -> Filled:
    if row := rule("campaigns_in_a_row").search(request.text):
        named = request.all("campaign", row.group(0))
        return Filled([Call("cancel_campaign", {"campaign": thing.value}) for thing in named])
    which = common.campaign(request, guess=False)
    return call("cancel_campaign", "" if which else "campaign", campaign=which)
