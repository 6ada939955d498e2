"""The things in a sentence that are no words: addresses, phones, quotes, campaigns, dates, tags.

Each is folded into one private sign, so that no later rule can cut it in half or read a
campaign called "Black Friday" as a day; `say` unfolds a piece of the text again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import phonenumbers

from agent.planner import dates, spelling
from agent.planner.contract import Memory, Situation
from agent.planner.dates import When
from agent.planner.names import ordinary
from agent.planner.patterns import ANY_SIGN, BASES, ThingKind, pattern, rule
from agent.planner.text import fold, lexicon

_EMAIL = re.compile(r"(?:mailto:)?(?P<it>[^\s<>()\[\],;:\"'@]+@(?:[^\s<>()\[\],;:\"'@?!]*[^\s<>()\[\],;:\"@?!.'])?)")
_QUOTE = re.compile(r'"(?P<it>[^"]{1,200})"|(?<![\w])\'(?P<it2>[^\']{1,120})\'(?!\w)')
_PHONE = re.compile(r"(?<![\w@.#])(?:\+|00)?\(?\d[\d\s()./-]{4,22}\d(?![\w@%])")
_PHONE_WORD = re.compile(
    r"(?:phone|tel|mobile|cell|number|call|ring|handy|nummer|telefon\w*|portable|movil)\b[^\d+]{0,12}$"
)
_LOOKS_DATED = re.compile(r"(?:19|20)\d\d-\d\d?-\d\d?|\d\d?[./-]\d\d?[./-](?:\d\d){1,2}|\d\d?[./]\d\d?\.?|[\d.,]+")


@dataclass(frozen=True)
class Thing:
    kind: ThingKind
    raw: str
    value: str
    when: When | None = None


@dataclass
class Marked:
    """A text whose things are single signs."""

    text: str
    things: dict[str, Thing] = field(default_factory=dict)
    source: str = ""
    impossible: str = ""  # a date that does not exist, as it was said

    def fold_in(self, start: int, end: int, thing: Thing, shown: str | None = None) -> int:
        """Put a sign in the place of text[start:end]; returns the position behind it."""
        count = sum(1 for sign in self.things if ord(sign) & 0xFF00 == BASES[thing.kind])
        if count > 255:  # nobody names 256 addresses in one sentence; the rest stays words
            return end
        sign = chr(BASES[thing.kind] + count)
        self.things[sign] = thing
        self.text = f"{self.text[:start]}{sign}{self.text[end:]}"
        return start + 1

    def say(self, part: str) -> str:
        """The words that were said, with every sign unfolded."""
        return _unfold(part, lambda sign: self.things[sign].raw if sign in self.things else sign)

    def masked(self, part: str) -> str:
        return _unfold(part, lambda sign: f" {MASKS[self.things[sign].kind]} " if sign in self.things else sign)

    def of(self, part: str, kind: ThingKind) -> list[Thing]:
        return [self.things[sign] for sign in part if sign in self.things and self.things[sign].kind == kind]


MASKS: dict[ThingKind, str] = {
    "campaign": "Campaignname",
    "email": "mail@address.org",
    "phone": "0123",
    "date": "Tuesday",
    "quote": "Title",
    "tag": "label",
}


def _unfold(part: str, of: Callable[[str], str]) -> str:
    for _ in range(3):  # a quote may hold an address
        if not re.search(ANY_SIGN, part):
            break
        part = "".join(of(letter) if "\ue000" <= letter <= "\ue5ff" else letter for letter in part)
    return part


def mark(text: str, situation: Situation, memory: Memory) -> Marked:
    marked = Marked(text, source=text)
    _emails(marked)
    _quotes(marked, situation)
    _plain_words(marked)
    _campaigns(marked, situation, memory)
    _spelling(marked)
    _phones(marked, situation.country)
    _dates(marked, situation)
    _tags(marked)
    return marked


def _each(marked: Marked, pattern: re.Pattern[str], make: Callable[[re.Match[str]], Thing | None]) -> None:
    at = 0
    while match := pattern.search(marked.text, at):
        thing = make(match)
        at = marked.fold_in(match.start(), match.end(), thing) if thing else match.end()


def _emails(marked: Marked) -> None:
    def make(match: re.Match[str]) -> Thing | None:
        address = match["it"].strip("'*_").lstrip("=:/-")
        return Thing("email", address, address) if not address.startswith("@") else None

    _each(marked, _EMAIL, make)


def _quotes(marked: Marked, situation: Situation) -> None:
    def make(match: re.Match[str]) -> Thing | None:
        said = (match["it"] or match["it2"] or "").strip(" ,.")
        if not said:
            return None
        if len(said) == 1 and "\ue100" <= said < "\ue200":
            return marked.things[said]
        known = _same_name(said, situation)
        return Thing("campaign", said, known) if known else Thing("quote", said, said)

    _each(marked, _QUOTE, make)


def _same_name(said: str, situation: Situation) -> str | None:
    return next((c.name for c in situation.campaigns if fold(c.name) == fold(said)), None)


@cache
def _slang() -> re.Pattern[str]:
    words = sorted(lexicon()["slang"], key=len, reverse=True)
    return re.compile(rf"(?<![\w@.+'-])(?:{'|'.join(map(re.escape, words))})(?![\w@'-]|\.\w)", re.I)


def _plain_words(marked: Marked) -> None:
    """Loose writing put right: "ppl" is people, "opens 4 lamp week" means for."""
    slang = lexicon()["slang"]

    def plain(match: re.Match[str]) -> str:
        said = match.group(0)
        # "Camp Week" is a name, "camp" is short for campaign.
        named = said[0].isupper() and match.start() > 0
        return said if named else str(slang.get(said.lower(), said))

    marked.text = _slang().sub(plain, marked.text)
    first = re.match(r"[^\W\d_]+", marked.text)
    if first and (word := lexicon()["first_words"].get(first.group(0).lower())):
        marked.text = word + marked.text[first.end() :]


def _campaigns(marked: Marked, situation: Situation, memory: Memory) -> None:
    names = [c.name for c in situation.campaigns if c.name.strip()]
    spans = spelling.campaigns(marked.text, names)
    several = len(spans) + sum(t.kind == "campaign" for t in marked.things.values()) > 1
    pronoun = bool(memory.campaign) and bool(re.search(r"\b(?:it|this|that|sie|es|la|lo|le|l')\b", fold(marked.text)))
    shift = 0
    for start, end, name in spans:
        before = fold(marked.text[: start + shift])
        if (
            (several or pronoun)
            and rule("entities_day_meant").search(before)
            and dates.is_name_of_day(name, situation.now, situation.time_zone)
        ):
            continue  # "schedule it on Black Friday": here the day is meant
        raw = marked.text[start + shift : end + shift]
        length = len(marked.text)
        marked.fold_in(start + shift, end + shift, Thing("campaign", raw, name))
        shift += len(marked.text) - length
    # Small words that are only slips right before a campaign or an address.
    for slip, word in {
        "4": "for",
        "2": "to",
        "too": "to",
        "form": "from",
        "fro": "from",
        "ot": "to",
        "fo": "for",
    }.items():
        marked.text = pattern(rf"(?<!\w){slip}(?=\s+(?:the\s+)?(?:{{C}}|{{E}}))").sub(word, marked.text)
    # "4 Sofia Marques", and not "4 December".
    marked.text = re.sub(r"(?<=\s)4(?= [A-ZÀ-Þ][a-zß-ÿ]+ [A-ZÀ-Þ][a-zß-ÿ])", "for", marked.text)


_FIRST_WORD = re.compile(r"(?:^|[,.;!?:]\s*|\b(?:and|then|please|to|und|et|y|can you|could you)\s+)$")


def _spelling(marked: Marked) -> None:
    def right(match: re.Match[str]) -> str:
        word = match.group(0)
        if word[0].isupper() and match.start() > 0:  # a name
            return word
        first = bool(_FIRST_WORD.search(fold(match.string[: match.start()])))
        return spelling.corrected(fold(word), first) or word

    marked.text = re.sub(r"(?<![\w.@'-])[^\W\d_]{3,14}(?![\w@'])", right, marked.text)


def _phones(marked: Marked, country: str) -> None:
    def make(match: re.Match[str]) -> Thing | None:
        said = match.group(0).strip()
        digits = re.sub(r"\D", "", said)
        told = bool(_PHONE_WORD.search(fold(match.string[: match.start()])))
        if _LOOKS_DATED.fullmatch(said) and not told and not said.startswith(("0", "+")) and len(digits) < 9:
            return None
        if re.match(r"(?:19|20)\d\d-\d\d?-\d\d?(?!\d)", said) or re.fullmatch(r"\d\d?[./]\d\d?[./](?:\d\d)?\d\d", said):
            return None
        if len(digits) < 6 or (len(digits) < 7 and not told):
            return None
        return Thing("phone", said, e164(said, country))

    _each(marked, _PHONE, make)


def e164(said: str, country: str) -> str:
    """The international form; as it was said where that is no possible number."""
    try:
        number = phonenumbers.parse(said, country.upper() or None)
    except phonenumbers.NumberParseException:
        return said
    if not phonenumbers.is_possible_number(number):
        return said
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _dates(marked: Marked, situation: Situation) -> None:
    past = bool(
        re.search(r"\b(?:since|seit|depuis|desde|did|was|were|lief|war|last|past|performed?)\b", fold(marked.text))
    )
    marked.impossible = dates.impossible(marked.text)
    found = dates.find(marked.text, situation.now, situation.time_zone, country=situation.country, past=past)
    for when in reversed(found):
        if _part_of_a_name(marked.text, when):
            continue
        raw = marked.text[when.start : when.end]
        marked.fold_in(when.start, when.end, Thing("date", raw, when.iso_day(), when))
    _in_order(marked)


_DAY_LIKE = re.compile(r"(?:[^\W\d_][\w'-]*\s?){1,3}")


def _part_of_a_name(text: str, when: When) -> bool:
    """ "Christmas Market", "Sandpaper Sunday": a day's word inside a capitalised name."""
    raw = text[when.start : when.end]
    if when.lead or when.clock or not raw[:1].isupper() or not _DAY_LIKE.fullmatch(raw):
        return False
    after = re.match(r"\s+(?:[A-ZÀ-Þ][a-zß-ÿ]+)(?![/\w])", text[when.end :])
    before = re.search(r"(\S+)\s+$", text[: when.start])
    named = (
        before is not None
        and re.fullmatch(r"[A-ZÀ-Þ][a-zß-ÿ'-]+", before[1]) is not None
        and (before.start() > 0 or fold(before[1]) not in ordinary())
    )
    return bool(after and not re.match(r"\s+(?:Morning|Evening|Afternoon)", after.group(0))) or named


def _in_order(marked: Marked) -> None:
    """Dates were folded from behind; number their signs from the front."""
    base = BASES["date"]
    signs = [sign for sign in marked.text if ord(sign) & 0xFF00 == base and sign in marked.things]
    things = [marked.things[sign] for sign in signs]
    renamed = {sign: chr(base + at) for at, sign in enumerate(signs)}
    marked.text = "".join(renamed.get(sign, sign) for sign in marked.text)
    marked.things.update({chr(base + at): thing for at, thing in enumerate(things)})


def _tags(marked: Marked) -> None:
    _each(marked, re.compile(r"(?<![\w&])#(?P<it>[^\W_][\w-]{0,40})"), lambda m: Thing("tag", m["it"], m["it"]))
