"""Slots of the campaign tools."""

from __future__ import annotations

import re

from agent.planner.patterns import ANY_SIGN, SIGNS, pattern, rule
from agent.planner.phrases import has_words, peel
from agent.planner.slots import common
from agent.planner.slots.common import Filled, Request, call
from agent.planner.text import fold, lexicon

_CAMPAIGN, _QUOTE, _DATE = SIGNS["{C}"], SIGNS["{Q}"], SIGNS["{D}"]
_NOUN = r"(?:campaigns?|kampagnen?|campagnes?|campanas?|mailings?|newsletters?)"
# What separates the name from what it is about, from whom it is for, from when it starts.
_ABOUT = rule("campaigns_about")
_FOR = rule("campaigns_for")
_STARTS = rule("campaigns_starts")
_VERB = rule("campaigns_verb")
_FRAME = rule("campaigns_frame")
_CALLED = rule("campaigns_called")


def create(request: Request) -> Filled:
    text = _one_text(request)
    starts = common.when(request)
    text, audience = _take(text, _FOR, (_ABOUT, _STARTS))
    text, description = _take(text, _ABOUT, (_STARTS, _CALLED))
    if aside := re.search(r"\(([^()]+)\)", text):  # "Pot Luck (20% off pots)"
        description = description or aside[1]
        text = f"{text[: aside.start()]} {text[aside.end() :]}"
    text = _STARTS.sub(" ", text, count=1) if starts else text
    text = re.sub(_DATE, " ", text) if starts else text
    description = re.sub(rf"\s*{_DATE}\s*$", "", _STARTS.sub(" ", description)) if starts else description
    audience = re.sub(rf"\s*{_DATE}\s*$", "", _STARTS.sub(" ", audience)) if starts else audience
    name = _name(request, text)
    if not name and (request.first("quote") or request.first("campaign")):
        thing = request.first("quote") or request.first("campaign")
        name = thing.raw if thing else ""
    if name and not description and request.clause.more:
        description = re.sub(
            r"^(?:it is|it's|it will be|the idea:?|this is)\s+(?:about\s+)?",
            "",
            request.clause.more.rstrip("."),
            flags=re.I,
        )
    if not name:
        name = _named_after_day(request)
        starts = (
            None
            if name and len(request.all("date")) == 1
            else request.marked.of(request.whole, "date")[-1].when
            if name
            else starts
        )
    if not description:
        # "Thread Week, 20% off yarn": what follows the name is what it is about.
        _, comma, after = re.sub(r"\s+", " ", text).partition(",")
        description = (
            after.strip(" ,.")
            if comma and len(after.split()) > 1 and has_words(after) and not _CALLED.search(fold(after))
            else ""
        )
    who = peel(audience, "query") or audience
    return call(
        "create_campaign",
        "" if name else "name",
        name=name,
        description=request.say(description).strip(" ,.:;"),
        start_date=starts.iso_day() if starts else None,
        audience=request.say(who).strip(" ,.:;?"),
    )


def _named_after_day(request: Request) -> str:
    """ "A campaign named Cyber Monday": a day's name, where the campaign's stands."""
    told = rule("campaigns_named_after_day_told").search(fold(request.text))
    said = request.say(told["it"]) if told else ""
    return said if said[:1].isupper() and not re.search(r"\d", said) else ""


def _one_text(request: Request) -> str:
    return (
        request.text
        if not re.match(r"(?:it|called|named|for|about|starting)\b", fold(request.clause.more))
        else f"{request.text}, {request.clause.more}"
    )


def _take(text: str, head: re.Pattern[str], stops: tuple[re.Pattern[str], ...]) -> tuple[str, str]:
    """Cut what follows `head` (up to the next other part) out of the text."""
    match = head.search(fold(text))
    if not match:
        return text, ""
    tail = text[match.end() :]
    ends = [m.start() for stop in stops if (m := stop.search(fold(tail))) and m.start() > 0]
    end = min(ends, default=len(tail))
    return f"{text[: match.start()]} {tail[end:]}", tail[:end].strip(" ,")


def _name(request: Request, text: str) -> str:
    called = _CALLED.search(fold(text))
    rest = text[called.start("it") : called.end("it")] if called else text
    if not called:
        for shape in (_VERB, _FRAME):
            match = shape.match(fold(rest))
            rest = rest[match.end() :] if match else rest
    rest = re.split(r"[,;]|\.\s|\s(?:and|und|et|y)\s(?:the|it|das|die)\b", rest)[0]
    rest = re.sub(r"\s+(?:an|please|bitte)$", "", rest.strip(" .,:;!?"))
    rest = re.sub(pattern(r"\s+{fillers}$"), "", rest) if not rest[:1].isupper() else rest
    rest = re.sub(rf"\s+{_NOUN}$", "", rest, flags=re.I)
    if re.search(rf"[{_QUOTE[1:-1]}]", rest):
        return request.say(re.sub(rf"[^{_QUOTE[1:-1]}]", "", rest)[:1])
    if not has_words(rest) and not re.search(ANY_SIGN, rest):
        return ""
    if rule("campaigns_name").fullmatch(fold(rest)):
        return ""
    said = request.say(rest).strip(" \"'")
    return said if len(said) <= 80 else ""


_RENAME = rule("campaigns_rename")
_DESCRIBES = rule("campaigns_describes")


def update(request: Request) -> Filled:
    which = common.campaign(request)
    text, folded = request.whole, fold(request.whole)
    name = description = None
    starts = common.when(request)
    now_called = rule("campaigns_update_now_called").search(folded)
    if now_called and has_words(now_called["it"]):
        name = request.say(text[now_called.start("it") : now_called.end("it")]).strip(" \"'.")
    elif rule("campaigns_update").search(folded):
        if re.match(r"(?:call|name)\b", folded):
            told = rule("campaigns_update_told").match(folded)
        else:
            told = _RENAME.search(folded.rstrip(" .!"))
        if told:
            name = request.say(text[told.start("it") : told.end("it")]).strip(" \"'.")
            starts = None
    elif told := _DESCRIBES.search(folded.rstrip(" .!")):
        group = next(g for g in ("it", "it2", "it3", "it4") if told[g])
        description = request.say(text[told.start(group) : told.end(group)]).strip(" \"'.")
        starts = starts if starts and not re.search(_DATE, text[told.start(group) :]) else None
    day = starts.iso_day() if starts else None
    missing = "campaign" if not which else "" if name or description or day else "change"
    return call("update_campaign", missing, campaign=which, name=name, description=description, start_date=day)


# "Campaigns about the garden", "garden campaigns".
_TOPIC = rule("campaigns_topic")


def listing(request: Request) -> Filled:
    status = common.status(request, "campaign_status")
    text = re.sub(_DATE, " ", request.text)
    if status:
        forms = [str(form) for forms in lexicon()["campaign_status"].values() for form in forms]
        text = (
            re.sub(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", " ", fold(text))
            if any(re.search(rf"(?<!\w){f}(?!\w)", fold(text)) for f in forms)
            else text
        )
    query = peel(text, "list_query")
    if not _TOPIC.search(fold(text)):
        query = ""  # "any drafts lying around": no topic was named
    if rule("campaigns_listing").fullmatch(fold(query)):
        query = ""
    return call("list_campaigns", query=request.say(query), status=status, limit=common.limit(request))


def get(request: Request) -> Filled:
    which = common.campaign(request)
    return call("get_campaign", "" if which else "campaign", campaign=which)


def cancel(request: Request) -> Filled:
    which = common.campaign(request, guess=False)
    return call("cancel_campaign", "" if which else "campaign", campaign=which)
