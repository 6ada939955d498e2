"""Slots of drafting, previewing, testing, sending and finding e-mails."""

from __future__ import annotations

import re

from agent.planner import names
from agent.planner.contract import Call
from agent.planner.dates import DEFAULT_TIME, When
from agent.planner.names import beside, everyday
from agent.planner.patterns import SIGNS, rule
from agent.planner.phrases import has_words, peel, tones, without_signs
from agent.planner.slots import common
from agent.planner.slots.common import Filled, Request, call
from agent.planner.slots.topics import topic
from agent.planner.spelling import vocabulary
from agent.planner.text import fold

_CAMPAIGN, _EMAIL = SIGNS["{C}"], SIGNS["{E}"]
_EACH = rule("emails_each")
_TONE = rule("emails_tone")
_NO_TONE = frozenset(
    [
        "a",
        "an",
        "the",
        "it",
        "shorter",
        "short",
        "longer",
        "long",
        "good",
        "new",
        "nice",
        "same",
        "better",
        "about",
        "for",
    ]
)
_ODD_TONE = rule("emails_odd_tone")
_VERB = rule("emails_verb")
_OBJECT = rule("emails_object")


def draft(request: Request) -> Filled:
    text = request.whole
    folded = fold(text)
    campaign = common.campaign(request, guess=True)
    per_contact = bool(_EACH.search(folded))
    person = request.first("email")
    text = _EACH.sub(" ", fold(text)) if per_contact and not re.search(r"[A-Z]", text[1:]) else _sub_folded(_EACH, text)
    tone, text = _tone(text)
    text = without_signs(text, _CAMPAIGN)
    if not request.first("campaign") and campaign and campaign != request.memory.campaign:
        said = re.search(
            rf"(?:for|of|fur|de|pour|para)?\s*(?:the )?{re.escape(fold(campaign))}(?: campaign)?", fold(text)
        )
        text = text[: said.start()] + " " + text[said.end() :] if said else re.sub(SIGNS["{Q}"], " ", text, count=1)
    if person:
        text = without_signs(text, _EMAIL)
    whom = person.value if person else _to_whom(request)
    if whom and not person:
        text = re.sub(rf"\b(?:just |only )?(?:to|for|an|fur|für|pour|para|a|à)\s+{re.escape(whom)}", " ", text)
    instructions = _instructions(request, text)
    return call(
        "draft_email",
        "" if campaign else "campaign",
        campaign=campaign,
        instructions=instructions,
        tone=tone,
        contact=whom,
        per_contact=True if per_contact else None,
    )


def _sub_folded(shape: re.Pattern[str], text: str) -> str:
    for match in reversed(list(shape.finditer(fold(text)))):
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return text


def _to_whom(request: Request) -> str | None:
    if re.search(r"\b(?:to|for) (?:her|him)\b", request.folded):
        return request.memory.contact
    return _named_reader(request, request.text) if request.first("campaign") else None


def _named_reader(request: Request, text: str) -> str | None:
    """Who reads it: "for Ola Lund", "as Ola Lund sees it", "Ola Lund's copy"; no part of a campaign's name."""
    campaigns = [fold(c.name) for c in request.situation.campaigns]
    for found in sorted(names.candidates(text), key=lambda one: -one.score):
        before, after = fold(text[: found.start]), fold(text[found.end :])
        reads = bool(_FOR_WHOM.search(before) or _READS.match(after))
        # One word behind "saying ..." is part of what is to be said ("... moves to Tuesdays").
        reads = reads and (" " in found.name or not _MORE.search(before))
        if reads and found.score >= 1 and not any(fold(found.name) in name for name in campaigns):
            return found.name
    return None


_FOR_WHOM, _READS = rule("emails_for_whom"), rule("emails_reads")


def _tone(text: str) -> tuple[str | None, str]:
    """The tone, and the text without it."""
    folded = fold(text)
    frame = _TONE.search(folded)
    if frame:
        group = next(g for g in ("it", "it2", "it3", "it4", "it5", "it6") if frame[g])
        said = frame[group]
        named = tones(said)
        tone = " and ".join(n for _, _, n in named) if named and "less" not in said and "more" not in said else said
        if tone not in _NO_TONE:
            return tone, f"{text[: frame.start()]} {text[frame.end() :]}"
    found = tones(folded)
    if not found:
        # A word of its own before "mail" is most likely how it should sound ("a zesty e-mail").
        odd = _ODD_TONE.search(folded)
        group = "it" if odd and odd["it"] else "it2"
        if odd and odd[group] not in _NO_TONE and odd[group] not in vocabulary():
            return text[odd.start(group) : odd.end(group)], f"{text[: odd.start(group)]} {text[odd.end(group) :]}"
        return None, text
    # "cheerful, warm e-mail": neighbours belong together; a tone word far off is part of the message.
    start, end, tone = found[0]
    names = [tone]
    for next_start, next_end, name in found[1:]:
        if re.fullmatch(r"\s*(?:,|and|but|yet|und|et|y|,\s*and)?\s*", folded[end:next_start]):
            names.append(name)
            end = next_end
    adverb = rule("emails_tone_adverb").search(folded[:start])
    less = adverb is not None and "less" in adverb.group(0)
    said = " and ".join(names)
    return (f"less {said}" if less else said), f"{text[: adverb.start() if adverb else start]} {text[end:]}"


_MORE = rule("emails_more")
# "Explain in a mail that ...": only what follows is to be said.
_IN_A_MAIL = rule("emails_in_a_mail")


def _instructions(request: Request, text: str) -> str | None:
    text = re.sub(r"\s+", " ", text).strip(" .,")
    for shape in (_VERB, _OBJECT):
        match = shape.match(fold(text))
        if match and match.end() and has_words(text[match.end() :]):
            text = text[match.end() :]
        elif match and not has_words(text[match.end() :]):
            return None
    start = _MORE.search(fold(text))
    if not start and _is_frame(fold(text)):
        return None
    rest = _IN_A_MAIL.sub("", text[start.start() :]) if start else text
    rest = peel(rest, "instruction")
    rest = re.sub(
        r"^(?:(?:for|to|of|and|in|it|them|everyone|campaign|please|4|2)(?=\W|$)|[\s,.;:!-])+", "", rest, flags=re.I
    )
    if not has_words(rest) or rule("emails_instructions").fullmatch(fold(rest)):
        return None
    return request.say(rest).strip(" ,.;:")


def _is_frame(folded: str) -> bool:
    """Nothing that a mail could say: "what I'd love is one for all"."""
    content = [word for word in re.findall(r"[^\W_]+", folded) if word not in everyday() and word not in beside()]
    return bool(rule("campaigns_first_person").search(folded)) or not [w for w in content if not _NOUNS.fullmatch(w)]


_NOUNS = rule("emails_nouns")


def preview(request: Request) -> Filled:
    campaign = common.campaign(request)
    person = request.first("email")
    named = request.first("campaign") or (campaign and campaign == request.memory.campaign)
    who = person.value if person else _named_reader(request, request.text) if named else None
    if not who and re.search(r"\b(?:for|to) (?:her|him)\b", request.folded):
        who = request.memory.contact
    return call("preview_email", "" if campaign else "campaign", campaign=campaign, contact=who)


def search(request: Request) -> Filled:
    text = re.sub(SIGNS["{D}"], " ", request.text) if request.first("date") else request.text
    limit, text = common.take_limit(text)
    query = request.say(topic(text, "mails")).strip(" ?.!,'\"")
    if re.fullmatch(r"(?:that|this|it|them|those|the same|about|eso|das|davon|cela|\W)*", fold(query)):
        query = request.memory.query or ""
    return call("search_emails", "" if query else "query", query=query, limit=limit)


def test(request: Request) -> Filled:
    campaign = common.campaign(request)
    to = request.first("email")
    address = to.value if to else None
    if not address and re.search(r"\b(?:her|him)\b", request.folded):
        address = request.memory.contact
    missing = "campaign" if not campaign else "" if address else "to"
    return call("send_test_email", missing, campaign=campaign, to=address)


def send(request: Request) -> Filled:
    campaign = common.campaign(request, guess=False)
    if not campaign and re.match(r"^(?:send|schedule|reschedule|launch|sende|envia|envoie)\b[^a-z]*$", request.folded):
        campaign = request.memory.campaign
    if several := _several(request):
        return Filled([Call("send_campaign", arguments) for arguments in several])
    moment = common.when(request)
    if moment and _is_now(request, moment):
        moment = None
    filled = call(
        "send_campaign", "" if campaign else "campaign", campaign=campaign, send_at=moment.send_at() if moment else None
    )
    return _with_audience(request, filled, campaign)


def _is_now(request: Request, moment: When) -> bool:
    """ "Send it today", said after nine: the hour a day stands for is past, so now is meant."""
    here = request.situation.now.astimezone(moment.zone)
    return not moment.clock and not moment.moment and moment.day == here.date() and here.time() >= DEFAULT_TIME


def _several(request: Request) -> list[dict[str, str]]:
    """ "Send Lamp Week on Monday and Harvest Fair on Tuesday", "... Lamp Week and Harvest Fair tomorrow"."""
    row = rule("emails_in_a_row").search(request.text)
    if not row:
        return []
    said = row.group(0)
    named, dates = request.all("campaign", said), request.all("date", said)
    if len(dates) not in (0, 1, len(named)) or len({thing.value for thing in named}) < 2:
        return []
    times = [common.read(date, request).send_at() for date in dates]
    times = times * len(named) if len(times) == 1 else times
    return [{"campaign": thing.value, **({"send_at": times[at]} if times else {})} for at, thing in enumerate(named)]


_TO_PEOPLE = rule("emails_to_people")


def _with_audience(request: Request, filled: Filled, campaign: str | None) -> Filled:
    """ "Send X to everyone who likes tea" is two steps: the people, then the sending."""
    found = _TO_PEOPLE.search(request.folded)
    if not found or not campaign:
        return filled
    phrase = re.sub(SIGNS["{D}"], " ", request.text[found.start("it") :])
    if rule("emails_with_audience").search(fold(phrase)):
        return filled
    query = request.say(topic(phrase, "people")).strip(" .!?")
    if query:
        first = call("add_contacts_to_campaign", campaign=campaign, query=query)
        return Filled(first.calls + filled.calls, filled.missing)
    return filled
