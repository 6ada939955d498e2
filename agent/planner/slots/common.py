"""What the slot functions share: the request, and which campaign, person or tag it speaks of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.planner.clauses import Clause
from agent.planner.contract import Call, Memory, Situation
from agent.planner.dates import When, find, words
from agent.planner.entities import Marked, Thing
from agent.planner.names import beside, everyday
from agent.planner.patterns import ANY_SIGN, ThingKind, pattern, rule
from agent.planner.slots.topics import without_asides
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
    if known := _the_campaign(request):
        return known
    if quote := request.first("quote"):
        return quote.value
    if part := partial_name(request):
        return part
    if request.memory.campaign and _ITSELF.search(request.folded):
        return request.memory.campaign
    if unknown := unknown_name(request):
        return unknown
    if guess or _IT.search(request.folded):
        return request.memory.campaign
    return None


_ITSELF = re.compile(r"\b(?:it|es)\b")


def _the_campaign(request: Request) -> str | None:
    """Of several named campaigns the one the request is about: not "now that Lamp Week is over, ...".

    Nor one that is a day here: "we are closed on Black Friday".
    """
    named = request.all("campaign")
    if len({thing.value for thing in named}) < 2:
        return named[0].value if named else None
    outside = request.all("campaign", without_asides(f"{request.clause.said}. {request.clause.more}")) or named
    text = request.whole
    signs = [sign for sign in text if request.marked.things.get(sign) in outside]
    meant = [sign for sign in signs if not _DAY_LEAD.search(fold(text[: text.index(sign)]))]
    return request.marked.things[(meant or signs)[0]].value


_DAY_LEAD = rule("common_day_lead")


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
        if any(w in words for w in own) and not any(w in ORDINARY for w in words & set(own)):
            hits.add(known.name)
    return hits.pop() if len(hits) == 1 else None


ORDINARY = frozenset(
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
            and not all(word in everyday() for word in re.findall(r"[^\W_]+", fold(name)))
            and not _is_command(name)
            and not re.fullmatch(r"I|I'm|OK|CSV|A|VIPs?|E-?[Mm]ails?|Mails?|Kampagne|Text|Newsletter|Test\w*", name)
        ):
            return name
    for frame in _FRAMES:
        found = frame.search(fold(text))
        if found:
            name = text[found.start("it") : found.end("it")].strip()
            if _IT.match(fold(name)) or re.search(ANY_SIGN, name):
                continue  # "send it for real" names nothing
            if name and not _says_nothing(fold(name)) and len(name.split()) <= 5:
                return name
    return None


_GENERIC = rule("common_generic")


def _says_nothing(folded: str) -> bool:
    words = re.findall(r"[^\W_]+", folded)
    return bool(_GENERIC.fullmatch(folded)) or all(word in everyday() or word in beside() for word in words)


def _is_command(word: str) -> bool:
    return bool(pattern(r"(?:{openers}|{questions}|{fillers}|{greetings})").fullmatch(fold(word)))


def contact(request: Request, *, guess: bool = True) -> str | None:
    if address := request.first("email"):
        return address.value
    pronoun = rule("common_contact_pronoun").search(request.folded)
    if pronoun or guess:
        return request.memory.contact
    return None


def cut_all(shape: re.Pattern[str], text: str) -> str:
    """The text without what the shape finds in its folded form."""
    for match in reversed(list(shape.finditer(fold(text)))):
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return text


_COUNTED = rule("common_counted")


def take_limit(text: str) -> tuple[int | None, str]:
    """How many ("10 people", "the top five", "up to a dozen"), and the text without that."""
    match = _COUNTED.search(fold(text))
    if not match:
        return None, text
    group = next(name for name in ("n", "n2", "n3", "n4") if match[name])
    start = match.start() if group in ("n", "n3") else match.start(group)
    rest = _ROWS.sub("", text[match.end(group) :])
    return _number(match[group]), f"{text[:start]} {rest}"


_ROWS = re.compile(r"^\s+(?:rows?|entries|results|hits|matches|records)\b", re.I)


def limit(request: Request) -> int | None:
    return take_limit(request.text)[0]


def _number(said: str) -> int | None:
    if said.isdigit():
        return int(said) or None
    ones, tens = words()["numbers"], re.split(r"[\s-]+", re.sub(r"^(?:an?|half an?)\s+", "", said))
    found = [next((int(n) for n, forms in ones.items() if part in map(str, forms)), 0) for part in tens]
    whole = 100 * (found[0] or 1) if len(tens) > 1 and tens[1] == "hundred" else sum(found)
    return (whole // 2 if said.startswith("half") else whole) or None


def status(request: Request, which: str) -> str | None:
    folded = request.folded
    for name, forms in lexicon()[which].items():
        if re.search(rf"(?<!\w)(?:{'|'.join(map(str, forms))})(?!\w)", folded):
            return str(name)
    return None


def when(request: Request, *, past: bool = False) -> When | None:
    things = _dates_of(request, past)
    return read(things[0], request, past=past) if things else None


_SINCE = rule("common_since")


def _dates_of(request: Request, past: bool) -> list[Thing]:
    """The dates that belong to the request: not "I report to the board tonight, so ..."."""
    things = request.all("date")
    if past:
        led = [thing for thing in things if _SINCE.match(fold(thing.raw))]
        things = led or [thing for thing in things if thing.when and thing.when.day <= request.situation.now.date()]
    # As it stood: "I have to" is courtesy elsewhere, and here what tells a remark from the request.
    pieces = re.split(r"[,;.!?]\s+|\s[-–—]\s", f"{request.clause.said}. {request.clause.more}")
    frame = [
        piece
        for piece in pieces
        if _SPEAKS_OF_US.search(fold(piece)) and not request.all("campaign", piece) and not _IT.search(fold(piece))
    ]
    if len(frame) < len(pieces) and any(request.all("campaign", piece) for piece in pieces):
        outside = " ".join(piece for piece in pieces if piece not in frame)
        things = [thing for thing in things if thing in request.all("date", outside)]
    return things


_SPEAKS_OF_US = rule("common_speaks_of_us")


def read(thing: Thing, request: Request, *, past: bool = False) -> When:
    """The date again, by itself, in the direction the tool needs."""
    where = request.situation
    found = find(thing.raw, where.now, where.time_zone, country=where.country, past=past)
    assert thing.when
    return found[0] if found else thing.when
