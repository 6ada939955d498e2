"""Slots of adding people to a campaign, and of taking them out."""

from __future__ import annotations

import re

from agent.planner import names
from agent.planner.patterns import SIGNS, rule
from agent.planner.phrases import without_signs
from agent.planner.slots import common
from agent.planner.slots.common import Filled, Request, call
from agent.planner.slots.topics import topic
from agent.planner.text import fold

_IT = rule("audience_it")
_THEM = rule("audience_them")
_ONE = rule("audience_one")
_EVERY = rule("audience_every")
# "... needs to be saved and then added to Lamp Week": who was just spoken of.
_AND_THEN = rule("audience_and_then")


def add(request: Request) -> Filled:
    return _people(request, "add_contacts_to_campaign")


def remove(request: Request) -> Filled:
    return _people(request, "remove_contacts_from_campaign")


def _people(request: Request, tool: str) -> Filled:
    text = request.text
    known = request.first("campaign")
    destination = None
    if known is None:
        text, destination = _unknown_destination(request, text)
    campaign = known.value if known else destination or request.memory.campaign
    emails = [thing.value for thing in request.all("email")]
    rest = common.cut_all(_IT, without_signs(text, SIGNS["{C}"]))
    limit = None
    if tool.startswith("add"):
        limit, rest = common.take_limit(rest)
    query: str | None = None
    if not emails:
        query = _who(request, rest, tool)
        one = _ONE.search(request.folded) or _AND_THEN.match(request.folded)
        if query is None and one and request.memory.contact:
            if "@" in request.memory.contact:
                emails = [request.memory.contact]
            else:
                query = request.memory.contact
        elif query is None and _THEM.search(request.folded):
            query = request.memory.query
            if query is None and request.memory.contact and "@" in request.memory.contact:
                emails = [request.memory.contact]
    everybody = (
        query is None
        and not emails
        and bool(re.search(r"\b(?:everyone|everybody|all|alle|tous|todos)\b", request.folded))
        and not _THEM.search(request.folded)
    )
    # An empty query is "all of them": said for adding, and too much for taking out unasked.
    missing = "campaign" if not campaign else "" if emails or query or (everybody and tool.startswith("add")) else "who"
    return call(tool, missing, campaign=campaign, query=query, emails=emails, limit=limit)


def _unknown_destination(request: Request, text: str) -> tuple[str, str | None]:
    if quote := request.first("quote"):
        return re.sub(SIGNS["{Q}"], " ", text), quote.value
    found = rule("audience_unknown_destination_found").search(text)
    if not found or _IT.fullmatch(fold(f" {found['it']}")):
        return text, None
    name = found["it"].strip()
    if re.fullmatch(r"(?:it|list|campaign|that|this|the list|the campaign|one|them|mix|kampagne)", fold(name)):
        return text[: found.start()], None
    hint = common.partial_name(request)
    if hint and fold(name) and any(w in fold(hint) for w in fold(name).split()):
        return text[: found.start()], hint
    # Small letters may also be a place ("from graz"): only capitals, or "to ...", name a campaign.
    to = re.match(r"\s(?:to|into|onto|zu|from|out of|aus|off)\s", found.group(0))
    if to and (name[:1].isupper() or request.memory.campaign is None):
        return text[: found.start()], name
    return text, None


def _who(request: Request, rest: str, tool: str) -> str | None:
    rest = re.sub(SIGNS["{E}"], " ", rest)
    bare = topic(rest, "people")
    if request.all("tag", rest):
        return request.say(bare) or None
    if _THEM.search(fold(bare)) or (
        _THEM.search(fold(rest)) and not re.search(r"\b(?:who|that|with|in|from|like|likes|qui|que)\b", fold(rest))
    ):
        return None
    if _ONE.search(fold(bare)):
        return None  # "she is away, so take her out of it": who was meant was said before
    if not bare or _EVERY.match(fold(bare)) or _ONE.fullmatch(fold(bare)):
        return None
    if rule("audience_who").fullmatch(fold(bare)):
        return None
    person = names.person(request.text)
    if person and fold(person) == fold(bare):
        return person
    return request.say(bare).strip(" ?.!,'\"") or None
