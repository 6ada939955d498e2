"""Slots of drafting, previewing, testing, sending and finding e-mails."""

from __future__ import annotations

import re

from agent.planner.patterns import SIGNS, rule
from agent.planner.phrases import has_words, peel, tones, without_signs
from agent.planner.slots import common
from agent.planner.slots.common import Filled, Request, call
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
    named = rule("emails_to_whom_named").search(request.text)
    if (
        named
        and not any(fold(named[1]) in fold(c.name) for c in request.situation.campaigns)
        and request.first("campaign")
    ):
        return named[1]
    return None


def _tone(text: str) -> tuple[str | None, str]:
    """The tone, and the text without it."""
    folded = fold(text)
    frame = _TONE.search(folded)
    if frame:
        group = next(g for g in ("it", "it2", "it3", "it4", "it5") if frame[g])
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


def _instructions(request: Request, text: str) -> str | None:
    text = re.sub(r"\s+", " ", text).strip(" .,")
    for shape in (_VERB, _OBJECT):
        match = shape.match(fold(text))
        if match and match.end() and has_words(text[match.end() :]):
            text = text[match.end() :]
        elif match and not has_words(text[match.end() :]):
            return None
    start = _MORE.search(fold(text))
    rest = text[start.start() :] if start else text
    rest = peel(rest, "instruction")
    rest = re.sub(
        r"^(?:(?:for|to|of|and|in|it|them|everyone|campaign|please|4|2)(?=\W|$)|[\s,.;:!-])+", "", rest, flags=re.I
    )
    if not has_words(rest) or rule("emails_instructions").fullmatch(fold(rest)):
        return None
    return request.say(rest).strip(" ,.;:")


def preview(request: Request) -> Filled:
    campaign = common.campaign(request)
    person = request.first("email")
    named = rule("emails_preview_named").search(request.text)
    seen = rule("emails_preview_seen").search(request.text)
    named = seen or named
    who = person.value if person else named[1] if named and request.first("campaign") else None
    if not who and re.search(r"\b(?:for|to) (?:her|him)\b", request.folded):
        who = request.memory.contact
    return call("preview_email", "" if campaign else "campaign", campaign=campaign, contact=who)


def search(request: Request) -> Filled:
    text = re.sub(SIGNS["{D}"], " ", request.text) if request.first("date") else request.text
    query = request.say(peel(text, "email_query")).strip(" ?.!,'\"")
    if re.fullmatch(r"(?:that|this|it|them|those|the same|about|eso|das|davon|cela|\W)*", fold(query)):
        query = request.memory.query or ""
    return call("search_emails", "" if query else "query", query=query, limit=common.limit(request))


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
    moment = common.when(request)
    filled = call(
        "send_campaign", "" if campaign else "campaign", campaign=campaign, send_at=moment.send_at() if moment else None
    )
    return _with_audience(request, filled, campaign)


_TO_PEOPLE = rule("emails_to_people")


def _with_audience(request: Request, filled: Filled, campaign: str | None) -> Filled:
    """ "Send X to everyone who likes tea" is two steps: the people, then the sending."""
    found = _TO_PEOPLE.search(request.folded)
    if not found or not campaign:
        return filled
    phrase = re.sub(SIGNS["{D}"], " ", request.text[found.start("it") :])
    if rule("emails_with_audience").search(fold(phrase)):
        return filled
    query = request.say(peel(phrase, "query")).strip(" .!?")
    if query:
        first = call("add_contacts_to_campaign", campaign=campaign, query=query)
        return Filled(first.calls + filled.calls, filled.missing)
    return filled
