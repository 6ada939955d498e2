"""What the slot functions share: the request, and which campaign, person or tag it speaks of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.planner.clauses import Clause
from agent.planner.contract import Call, Memory, Situation
from agent.planner.dates import When, find
from agent.planner.entities import Marked, Thing
from agent.planner.patterns import ANY_SIGN, ThingKind, pattern, rule
from agent.planner.text import fold, lexicon


@dataclass(frozen=True)
class Request:
    clause: Clause
    marked: Marked
    situation: Situation
    memory: Memory
    paste: str = ""

    @property
    def text(self) -> str:
        return self.clause.text

    @property
    def whole(self) -> str:
        """The clause with the sentences that go on about it."""
        return f"{self.clause.text}. {self.clause.more}" if self.clause.more else self.clause.text

    @property
    def folded(self) -> str:
        return fold(self.text)

    def say(self, part: str) -> str:
        return re.sub(r"\s+", " ", self.marked.say(part)).strip()

    def first(self, kind: ThingKind, part: str | None = None) -> Thing | None:
        return next(iter(self.all(kind, part)), None)

    def all(self, kind: ThingKind, part: str | None = None) -> list[Thing]:
        return list(self.marked.of(self.whole if part is None else part, kind))


@dataclass
class Filled:
    """Calls, and what still lacks ("campaign", "email" ...; see replies.yaml, ask_...)."""

    calls: list[Call] = field(default_factory=list)
    missing: str = ""


Slots = Callable[[Request], Filled]


def call(tool: str, missing: str = "", **arguments: Any) -> Filled:
    said = {name: value for name, value in arguments.items() if value not in (None, "", [])}
    return Filled([Call(tool, said)], missing)


_IT = rule("common_it")


def campaign(request: Request, *, guess: bool = True) -> str | None:
    """The campaign meant: named, hinted at by a part of its name, or the last one spoken of."""
    if known := request.first("campaign"):
        return known.value
    if quote := request.first("quote"):
        return quote.value
    if part := partial_name(request):
        return part
    if unknown := unknown_name(request):
        return unknown
    if guess or _IT.search(request.folded):
        return request.memory.campaign
    return None


def partial_name(request: Request) -> str | None:
    """ "how did harvest do": a word that only one campaign's name has."""
    words = set(re.findall(r"[^\W_]+", request.folded))
    hits = set()
    for known in request.situation.campaigns:
        others = " ".join(fold(c.name) for c in request.situation.campaigns if c.name != known.name)
        own = [
            w
            for w in re.findall(r"[^\W_]+", fold(known.name))
            if len(w) > 3 and not re.search(rf"\b{re.escape(w)}", others)
        ]
        if any(w in words for w in own) and not any(w in _ORDINARY for w in words & set(own)):
            hits.add(known.name)
    return hits.pop() if len(hits) == 1 else None


_ORDINARY = frozenset(
    [
        "week",
        "weekend",
        "day",
        "days",
        "sale",
        "sales",
        "fair",
        "party",
        "special",
        "offer",
        "deal",
        "deals",
        "night",
        "month",
        "year",
        "new",
        "summer",
        "winter",
        "spring",
        "autumn",
        "evening",
        "news",
        "update",
        "club",
        "great",
        "welcome",
        "back",
        "best",
        "free",
        "campaign",
        "email",
        "mail",
    ]
)

# Where an unknown name stands when it is not capitalised.
_FRAMES = [rule(f"common_frame_{name}") for name in ("how_did", "of_campaign", "verb", "campaign")]


def unknown_name(request: Request) -> str | None:
    """A name no campaign has, as written: the tool refuses it with the candidates."""
    text = request.text
    run = rule("common_unknown_name_run")
    for match in run.finditer(text):
        name = match.group(0)
        if match.start() == 0:
            words = name.split(" ", 1)
            name = words[1] if len(words) > 1 and _is_command(words[0]) else name if len(words) > 1 else ""
        if (
            name
            and not name.isdigit()
            and not _is_command(name)
            and not re.fullmatch(r"I|I'm|OK|CSV|A|VIPs?|E-?[Mm]ails?|Mails?|Kampagne|Text|Newsletter|Test\w*", name)
        ):
            return name
    for frame in _FRAMES:
        found = frame.search(fold(text))
        if found:
            name = text[found.start("it") : found.end("it")].strip()
            if name and not re.search(ANY_SIGN, name) and not _GENERIC.fullmatch(fold(name)) and len(name.split()) <= 5:
                return name
    return None


_GENERIC = rule("common_generic")


def _is_command(word: str) -> bool:
    return bool(pattern(r"(?:{openers}|{questions}|{fillers}|{greetings})").fullmatch(fold(word)))


def contact(request: Request, *, guess: bool = True) -> str | None:
    if address := request.first("email"):
        return address.value
    pronoun = rule("common_contact_pronoun").search(request.folded)
    if pronoun or guess:
        return request.memory.contact
    return None


def tags(request: Request, text: str | None = None) -> list[str]:
    source = request.whole if text is None else text
    found = [thing.value for thing in request.all("tag", source)]
    folded = fold(source)
    for match in TAGGED.finditer(folded):
        for word in re.split(
            r"\s*(?:,|\band\b|\bund\b|\bet\b|\by\b|&)\s*", source[match.start("it") : match.end("it")]
        ):
            said = request.say(word).strip(" .\"'")
            if said and len(said.split()) <= 2:
                found.append(said)
    known = {fold(tag): tag for tag in request.situation.tags}
    unique = dict.fromkeys(known.get(fold(tag), tag) for tag in found)
    return list(unique)


TAGGED = rule("common_tagged")


def plain_tags(request: Request, text: str) -> tuple[list[str], str]:
    """Known tags that stand for people ("the vips", "lapsed ones"), and the text without them."""
    found = []
    for tag in request.situation.tags:
        word = re.escape(fold(tag))
        shape = re.compile(
            rf"(?<![\w-]){word}s?(?=\s*(?:$|[?.!,]|please|ones\b|do\b|are\b|in\b|into\b|from\b|near\b|with\b|we\b|people\b|contacts\b|customers\b|folks\b|clients\b|subscribers\b|who\b|that\b))"
        )
        match = shape.search(fold(text))
        if match and re.search(
            r"(?:^|\b(?:the|our|all|my|any|many|every|show|list|find|me|those|\d+))\s*$", fold(text[: match.start()])
        ):
            found.append(tag)
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return found, text


def limit(request: Request) -> int | None:
    """How many: "10 people", "the top five", "up to 20"."""
    folded = fold(request.text)
    match = _COUNTED.search(folded)
    if not match:
        return None
    said = match["n"] or match["n2"] or match["n3"]
    if said.isdigit():
        return int(said) or None
    from agent.planner.dates import words

    return next((int(n) for n, forms in words()["numbers"].items() if said in map(str, forms)), None)


_COUNTED = rule("common_counted")


def status(request: Request, which: str) -> str | None:
    folded = request.folded
    for name, forms in lexicon()[which].items():
        if re.search(rf"(?<!\w)(?:{'|'.join(map(str, forms))})(?!\w)", folded):
            return str(name)
    return None


def when(request: Request, *, past: bool = False) -> When | None:
    thing = request.first("date")
    return read(thing, request, past=past) if thing else None


def read(thing: Thing, request: Request, *, past: bool = False) -> When:
    """The date again, by itself, in the direction the tool needs."""
    where = request.situation
    found = find(thing.raw, where.now, where.time_zone, country=where.country, past=past)
    assert thing.when
    return found[0] if found else thing.when
