"""Slots of the search for contacts."""

from __future__ import annotations

import re

from agent.planner.patterns import SIGNS, rule
from agent.planner.phrases import without_signs
from agent.planner.slots import common, tagging
from agent.planner.slots.common import Filled, Request, call
from agent.planner.slots.topics import topic
from agent.planner.text import fold, lexicon

_CAMPAIGN = SIGNS["{C}"]
_IN_IT = rule("people_in_it")
_NOTHING = rule("people_nothing")
# "Any mails about mushroom kits?" "And who is interested in those?"
_OF_THOSE = rule("people_of_those")
# With a status taken out, what still speaks of "me" and "us" was only the frame.
_FRAME_LEFT = rule("campaigns_first_person")


def search(request: Request) -> Filled:
    campaign, text = _inside(request, request.text)
    status = common.status(request, "contact_status")
    limit, text = common.take_limit(text)
    tags, text = tagging.take(request, text)
    plain, text = tagging.take_plain(request, text)
    if address := request.first("email", text):
        text = address.raw
    query = topic(_without_status(text) if status else text, "people")
    if query and (_NOTHING.fullmatch(fold(query)) or (status and _FRAME_LEFT.search(fold(query)))):
        query = ""
    if _OF_THOSE.search(request.folded) and (not query or _OF_THOSE.search(f"{fold(query)} ")):
        query = request.memory.query or ""
    return call(
        "search_contacts",
        query=request.say(query).strip(" ?.!,¿¡'\""),
        limit=limit,
        status=status,
        tags=[*tags, *(tag for tag in plain if tag not in tags)],
        campaign=campaign,
    )


def _inside(request: Request, text: str) -> tuple[str | None, str]:
    """The campaign whose people are asked for, and the text without it."""
    inside = rule("people_inside").search(fold(text))
    if inside:
        return request.marked.things[inside[1]].value, without_signs(text, _CAMPAIGN)
    if _IN_IT.search(fold(text)):
        return request.memory.campaign, common.cut_all(_IN_IT, text)
    return None, text


def _without_status(text: str) -> str:
    forms = "|".join(str(form) for forms in lexicon()["contact_status"].values() for form in forms)
    said = rf"(?:\b(?:have|has|are|is|been|haben|sich|sont)\s+)*(?<!\w)(?:{forms})(?!\w)"
    return common.cut_all(re.compile(said), text)
