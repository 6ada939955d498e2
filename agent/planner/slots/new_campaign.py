"""Slots of a new campaign: first its name and its day are taken out, the rest is whom and what it is for."""

from __future__ import annotations

import re

from agent.planner.clauses import starts_request
from agent.planner.dates import When
from agent.planner.names import everyday
from agent.planner.patterns import ANY_SIGN, SIGNS, pattern, rule
from agent.planner.phrases import has_words, peel
from agent.planner.slots.common import Filled, Request, call
from agent.planner.slots.notes import TAKEN
from agent.planner.slots.topics import without_asides
from agent.planner.text import fold

_CAMPAIGN, _QUOTE, _DATE = SIGNS["{C}"], SIGNS["{Q}"], SIGNS["{D}"]
_NOUN = rule("campaigns_noun")
# What separates the name from what it is about, from whom it is for, from when it starts.
_ABOUT = rule("campaigns_about")
_FOR = rule("campaigns_for")
_STARTS = rule("campaigns_starts")
_CALLED = rule("campaigns_called")
_VERB = rule("campaigns_verb")
_FRAME = rule("campaigns_frame")
_NO_NAME = rule("campaigns_name")
_FIRST_PERSON = rule("campaigns_first_person")

Span = tuple[int, int]


def create(request: Request) -> Filled:
    text = _one_text(request)
    name, named = _name(request, text)
    starts = _start(request, text, named)
    if named:
        text = f"{text[: named[0]]} {TAKEN} {text[named[1] :]}"
    text = re.sub(_DATE, " ", _STARTS.sub(" ", text)) if starts else text
    text, audience = _take(text, _FOR, (_ABOUT, _CALLED))
    text, description = _take(text, _ABOUT, (_FOR, _CALLED))
    description = description or _offer(text) or _more(request, text, name)
    return call(
        "create_campaign",
        "" if name else "name",
        name=name,
        description=request.say(without_asides(description).replace(TAKEN, " ")).strip(" ,.:;"),
        start_date=starts.iso_day() if starts else None,
        audience=request.say(peel(audience, "query") or audience).strip(" ,.:;?"),
    )


def _one_text(request: Request) -> str:
    goes_on = rule("campaigns_continues").match(fold(request.clause.more))
    return f"{request.text}, {request.clause.more}" if goes_on else request.text


def _start(request: Request, text: str, named: Span | None) -> When | None:
    """The first date that is not the campaign's name."""
    outside = text if named is None else f"{text[: named[0]]} {text[named[1] :]}"
    things = request.all("date", outside)
    return things[0].when if things else None


def _name(request: Request, text: str) -> tuple[str, Span | None]:
    """The name as it was written, and where: quoted, "called ...", capitalised, or what stands beside "campaign"."""
    for find in (_quoted, _called, _capitalised, _plain):
        span = find(text)
        if span:
            said = request.say(text[span[0] : span[1]]).strip(" \"'.,")
            if said and len(said) <= 80:
                return said, span
    return "", None


def _quoted(text: str) -> Span | None:
    match = re.search(_QUOTE, text)
    return match.span() if match else None


def _called(text: str) -> Span | None:
    told = _CALLED.search(fold(text))
    return _until_stop(text, told.start("it")) if told else None


def _until_stop(text: str, start: int) -> Span | None:
    """From here to where something else begins; a capital goes on ("Oak for All")."""
    folded = fold(text)
    shapes = (_ABOUT, _FOR, _STARTS, _SEPARATOR, _A_DATE)
    stops = [match.start() for shape in shapes for match in shape.finditer(folded, start + 1)]
    for stop in sorted(stops):
        after = re.match(r"[\s,]*\w+\s+(\w)", text[stop:])
        if after and after[1].isupper() and text[stop : stop + 1] == " " and text[start : start + 1].isupper():
            continue
        return _tight(text, start, stop)
    return _tight(text, start, len(text))


_SEPARATOR = rule("campaigns_separator")
_A_DATE = pattern("{D}")


def _tight(text: str, start: int, end: int) -> Span | None:
    """Without courtesy and "campaign" at its ends; None where no name is left."""
    said = text[start:end]
    tail = rule("campaigns_tail").search(fold(said))
    said = said[: tail.start()] if tail else said
    noun = re.search(rf"\s+{_NOUN.pattern}$", fold(said.rstrip()))
    said = said[: noun.start()] if noun and noun.start() else said
    lead = len(said) - len(said.lstrip(" ,:;\"'"))
    said = said.strip(" ,.:;!?\"'")
    if not (has_words(said) or re.search(ANY_SIGN, said)) or _NO_NAME.fullmatch(fold(said)):
        return None
    return start + lead, start + lead + len(said)


def _capitalised(text: str) -> Span | None:
    """The likeliest run of capitals: beside "campaign", of several words, not behind "about" or "for"."""
    best: tuple[float, Span] | None = None
    for match in rule("common_unknown_name_run").finditer(text):
        start, end = match.span()
        first = start == 0 or bool(re.search(r"[.!?]\s*$", text[:start]))
        if first and (fold(match.group(0).split()[0]) in everyday() or starts_request(match.group(0) + " it")):
            start += len(match.group(0).split()[0]) + 1
        said = text[start:end]
        if not has_words(said) or said.isdigit() or _NOUN.fullmatch(fold(said)) or fold(said) in everyday():
            continue
        score = _weight(said, fold(text[:start]), fold(text[end:]))
        if score > 0 and (best is None or score > best[0]):
            best = (score, (start, end))
    if best is None:
        return None
    start, end = best[1]
    # Several capitals are a whole name; one may go on in small letters ("Thread week").
    longer = None if " " in text[start:end] else _until_stop(text, start)
    goes_on = longer and not any(word in everyday() for word in fold(text[end : longer[1]]).split())
    return longer if longer and goes_on else best[1]


def _weight(said: str, before: str, after: str) -> float:
    """What speaks for a run of capitals as the campaign's name."""
    score = 1.0 if " " in said else 0.0
    score += 3 if re.search(rf"{_NOUN.pattern}\s*[\s,:;–—-]*$", before) or _SETS_UP.search(before) else 0
    score += 2 if _AS_CAMPAIGN.match(after) else 0
    score -= 3 if _BEHIND.search(before) else 0
    return score + (1 if not before or re.search(r"[,:;–—-]\s*$", before) else 0)


_SETS_UP = rule("campaigns_sets_up")
_BEHIND = rule("campaigns_behind")
_AS_CAMPAIGN = rule("campaigns_as_campaign")


def _plain(text: str) -> Span | None:
    """In small letters, or named after a known campaign or a day: what stands beside "campaign"."""
    sign = re.search(rf"{_CAMPAIGN}|(?:{_NOUN.pattern}\s*:?\s*)(?P<it>{_DATE})", text)
    if sign:
        return sign.span("it") if sign["it"] else sign.span()
    folded = fold(text)
    starts = [_behind_noun(folded), _behind_verb(folded)]
    spans = [_until_stop(text, start) for start in starts if start is not None and start < len(text)]
    return next((span for span in spans if span and not _is_frame(folded[span[0] : span[1]])), None)


def _behind_noun(folded: str) -> int | None:
    noun = _NOUN.search(folded)
    if not noun:
        return None
    gap = re.compile(r"[\s,:;–—-]*(?:(?:idea|please|pls)\s*)?").match(folded, noun.end())
    start = gap.end() if gap else noun.end()
    return None if _stops_here(folded, start - 1) else start


def _behind_verb(folded: str) -> int:
    start = 0
    for shape in (_VERB, _FRAME):
        match = shape.match(folded[start:])
        start += match.end() if match else 0
    return start


def _stops_here(folded: str, at: int) -> bool:
    return any(shape.match(folded, at) for shape in (_ABOUT, _FOR, _STARTS))


def _is_frame(folded: str) -> bool:
    return bool(_FIRST_PERSON.search(folded)) or all(word in everyday() for word in re.findall(r"[^\W_]+", folded))


def _take(text: str, head: re.Pattern[str], stops: tuple[re.Pattern[str], ...]) -> tuple[str, str]:
    """Cut what follows `head` (up to the next other part) out of the text."""
    match = head.search(fold(text))
    if not match:
        return text, ""
    tail = text[match.end() :]
    ends = [m.start() for stop in (*stops, _GOES_ON) if (m := stop.search(fold(tail))) and m.start() > 0]
    end = min(ends, default=len(tail))
    return f"{text[: match.start()]} {tail[end:]}", tail[:end].strip(" ,")


# Where a description ends: a gap, or a piece that speaks of something else.
_GOES_ON = rule("campaigns_goes_on")


def _offer(text: str) -> str:
    """ "Thread Week, 20% off yarn", "Pot Luck (20% off pots)": a piece beside the name says what it is about."""
    if aside := re.search(r"\(([^()]+)\)", text):
        return aside[1]
    _, _, after = text.partition(TAKEN)
    attached, *pieces = [piece.strip(" .") for piece in re.split(r"[,;|]|\s[-–—]\s|:\s|\.\s", after)]
    if attached[:1].isdigit():  # "Thread Week 20% off yarn"
        pieces.insert(0, attached)
    return ", ".join(piece for piece in pieces if _says_what(piece))


def _says_what(piece: str) -> bool:
    if len(piece.split()) < 2 or not has_words(piece) or starts_request(piece):
        return False
    return not _is_frame(fold(piece)) and not _NOUN.search(fold(piece))


def _more(request: Request, text: str, name: str) -> str:
    """The sentences behind, when they go on about the campaign."""
    more = request.clause.more.rstrip(".")
    if not name or not more or more in text:
        return ""
    told = rule("campaigns_more").match(fold(more))
    more = more[told.end() :] if told else more
    return "" if _FIRST_PERSON.match(fold(more)) else more
