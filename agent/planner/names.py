"""People's names in a sentence: found by their shape, chosen by what speaks for them.

A run of capitalised words is one, a run of small-lettered words that are no words of everyday
use may be one. What tells them apart: the address beside it, the same letters in the address,
a title, "called", a first and a last name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from agent.planner.patterns import ANY_SIGN, rule
from agent.planner.text import data, fold, lexicon

_PARTICLES = frozenset(map(str, lexicon()["name_particles"]))
_TITLES = frozenset(map(str, lexicon()["name_titles"]))
# Words that are no names although they stand where a name could.
_NOT_NAMES = frozenset(fold(str(word)) for word in lexicon()["no_names"]) | frozenset(lexicon()["name_fields"])
_ALSO_NAMES = frozenset(map(fold, data("ordinary.yaml")["also_names"]))
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*['’]?")
_POSSESSIVE = re.compile(r"['’]s?$")
# Between the words of a name: a space, or an initial's point ("J. Smith", "Dr. Smith").
_WITHIN = re.compile(r"\.?\s|\.")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|[\"(]\s*)$")
_LEAD = rule("names_lead")
_TOLD = rule("names_told")
_PLACE = rule("names_place")
_BEFORE_ADDRESS = rule("names_before_address")
_AFTER_ADDRESS = rule("names_after_address")
_FOLLOWED = rule("names_followed")

ENOUGH = 2.0


@dataclass(frozen=True)
class Found:
    start: int
    end: int
    name: str
    score: float


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    said: str
    first: bool  # of a sentence, where everything is capitalised

    @property
    def plain(self) -> str:
        return fold(_POSSESSIVE.sub("", self.said))

    @property
    def capital(self) -> bool:
        return self.said[:1].isupper() and not (len(self.said) > 2 and self.said.isupper())

    @property
    def owns(self) -> bool:
        return bool(_POSSESSIVE.search(self.said))


@cache
def everyday() -> frozenset[str]:
    """The small words and common verbs of ordinary.yaml, in four languages."""
    return frozenset(fold(str(word)) for tongue in ("en", "de", "fr", "es") for word in data("ordinary.yaml")[tongue])


@cache
def beside() -> frozenset[str]:
    """Nouns that stand beside a name: "the treasurer", "her surname"."""
    return frozenset(fold(str(word)) for word in data("ordinary.yaml")["beside"])


@cache
def ordinary() -> frozenset[str]:
    """Words of everyday use: those of ordinary.yaml, and what the examples write in small letters."""
    listed = everyday() | beside()
    shown = re.findall(r"(?<!\w)[a-zß-ÿ][\w'-]+", " ".join(str(line) for line in data("examples.yaml").values()))
    known = re.findall(r"[^\W\d_]+", fold(" ".join(str(lexicon()[name]) for name in _FRAMES)))
    return frozenset(listed | {fold(word) for word in shown} | set(known))


def is_strange(word: str) -> bool:
    """No word of everyday use: it may be a name though it is written small."""
    return fold(word) not in ordinary() and fold(word) not in _NOT_NAMES


_FRAMES = (
    "openers",
    "questions",
    "fillers",
    "people",
    "everyone",
    "campaign_nouns",
    "mail_nouns",
    "thanks",
    "greetings",
)


def split_name(name: str) -> dict[str, str]:
    """First and last name, without titles; small letters become capitals."""
    words = name.replace("’", "'").split()
    while words and fold(words[0]).rstrip(".") in _TITLES:
        words = words[1:]
    if not words:
        return {}
    words = [_capital(word) if name.islower() else word for word in words]
    return {"first_name": words[0], **({"last_name": " ".join(words[1:])} if len(words) > 1 else {})}


def _capital(word: str) -> str:
    return word if word in _PARTICLES else "-".join(part[:1].upper() + part[1:] for part in word.split("-"))


def person(text: str) -> str:
    """The name of the person a clause speaks of, without an address: "delete Ada Lovelace"; "" for none."""
    found = best(text)
    return found.name if found else ""


def best(text: str, addresses: Sequence[str] = (), *, enough: float = ENOUGH) -> Found | None:
    """The likeliest name; `text` has its addresses as signs, `addresses` spells them out."""
    found = [one for one in candidates(text, addresses) if one.score >= enough]
    return max(found, key=lambda one: (one.score, -one.start), default=None)


def candidates(text: str, addresses: Sequence[str] = ()) -> list[Found]:
    letters = _letters(addresses)
    runs = [*_capital_runs(text), *_small_runs(text, letters)]
    return [found for run in runs if (found := _judged(run, text, letters))]


def _words(text: str) -> list[_Word]:
    return [
        _Word(match.start(), match.end(), match.group(0), bool(_SENTENCE_START.search(text[: match.start()])))
        for match in _WORD.finditer(text)
    ]


def _neighbours(text: str, left: _Word, right: _Word) -> bool:
    between = text[left.end : right.start]
    if left.owns or not _WITHIN.fullmatch(between):
        return False
    return "." not in between or len(left.said) == 1 or left.plain in _TITLES or left.plain == "st"


def _capital_runs(text: str) -> Iterator[list[_Word]]:
    run: list[_Word] = []
    for word in _words(text):
        if run and not _neighbours(text, run[-1], word):
            yield from _trimmed(run)
            run = []
        begins = (word.capital and not _stops(word)) or (word.plain in _TITLES and not run)
        if begins or (word.plain in _PARTICLES and run):
            run.append(word)
        else:
            yield from _trimmed(run)
            run = []
    yield from _trimmed(run)


def _stops(word: _Word) -> bool:
    """A capital that makes no name: a German noun we know, a word that only begins its sentence."""
    if word.plain in _ALSO_NAMES:
        return False
    if word.plain in _NOT_NAMES or word.said in ("I", "OK", "A"):
        return True
    return word.first and (word.plain in ordinary() or word.plain.endswith("ly"))


def _trimmed(run: list[_Word]) -> Iterator[list[_Word]]:
    while run and run[-1].plain in _PARTICLES and run[-1].said.islower():
        run = run[:-1]
    bare = [word for word in run if word.plain not in _TITLES]
    # "Mark Ola Lund as vip" commands; "Mark Tully rang" is a man.
    if run and run[0].first and run[0].plain in ordinary() | _NOT_NAMES and len(bare) > 2:
        run = run[1:]
    if bare and len(run) <= 6:
        yield run


def _small_runs(text: str, letters: frozenset[str]) -> Iterator[list[_Word]]:
    """Nobody holds Shift in a chat: "add ada lovelace ada@example.org"."""
    run: list[_Word] = []
    for word in _words(text):
        if run and not _neighbours(text, run[-1], word):
            yield from _at_most_three(run, letters)
            run = []
        small = word.said[:1].islower() or text.isupper()
        if small and _may_be_small_name(word, bool(run), letters):
            run.append(word)
        else:
            yield from _at_most_three(run, letters)
            run = []
    yield from _at_most_three(run, letters)


def _may_be_small_name(word: _Word, goes_on: bool, letters: frozenset[str]) -> bool:
    if word.plain in letters or (is_strange(word.plain) and len(word.plain) > 1):
        return True
    if goes_on:
        return word.plain in _PARTICLES
    return word.plain in _TITLES or (word.plain in _ALSO_NAMES and not word.first)


def _at_most_three(run: list[_Word], letters: frozenset[str]) -> Iterator[list[_Word]]:
    while run and run[-1].plain in _PARTICLES:
        run = run[:-1]
    names = [word for word in run if word.plain not in _PARTICLES | _TITLES]
    if not names:
        return
    if len(names) <= 2:
        yield run
        return
    yield run[: run.index(names[1]) + 1]
    yield run[run.index(names[-2]) :]
    if len(names) == 3 and sum(word.plain in letters for word in names) >= 1:
        yield run


def _letters(addresses: Sequence[str]) -> frozenset[str]:
    """The words an address is made of: "a.castan@cuvee.example" speaks for a Castan."""
    locals_ = [fold(address.split("@")[0]) for address in addresses]
    parts = [part for local in locals_ for part in re.split(r"[^a-z]+", local)]
    domains = [fold(address.split("@")[-1]).rsplit(".", 1)[0] for address in addresses]
    return frozenset(part for part in [*parts, *locals_, *domains] if len(part) > 2)


def _judged(run: list[_Word], text: str, letters: frozenset[str]) -> Found | None:
    """What speaks for a run, in points: the rules below weigh about as a reader would."""
    titled = run[0].plain in _TITLES and len(run) > 1
    while len(run) > 1 and run[0].plain in _TITLES:
        run = run[1:]
    start, end = run[0].start, run[-1].end
    name = _POSSESSIVE.sub("", text[start:end])
    if re.search(ANY_SIGN, name):
        return None
    score = _shape(run, titled, letters) + _surroundings(run, fold(text[:start]), fold(text[end:]))
    return Found(start, start + len(name), name, score)


def _shape(run: list[_Word], titled: bool, letters: frozenset[str]) -> float:
    names = [word for word in run if word.plain not in _PARTICLES] or run
    alike = _likeness(names, letters)
    score = alike + (3 if titled else 0) + (2 if len(names) > 1 else 0)
    score += -2 if names[0].said[:1].islower() else 1
    if not alike and all(word.plain in ordinary() and word.plain not in _ALSO_NAMES for word in names):
        score -= 3
    return score


def _surroundings(run: list[_Word], before: str, after: str) -> float:
    score = 4.0 if _TOLD.search(before) else 2.0 if _LEAD.search(before) else 0.0
    score += 3 if _BEFORE_ADDRESS.match(after) else 2 if _AFTER_ADDRESS.search(before) else 0
    # "ola's phone": small letters and an apostrophe are a strong pair.
    if run[-1].owns:
        score += 3 if run[0].said[:1].islower() else 1
    elif _FOLLOWED.match(after):
        score += 1
    return score - (3 if _PLACE.search(before) else 0)


def _likeness(names: list[_Word], letters: frozenset[str]) -> float:
    """How far a name is the address's: two points for each word, at most four."""

    def alike(word: str) -> bool:
        bare = re.sub(r"['’-]", "", word)
        near = (bare in part or (len(part) > 3 and part in bare) for part in letters)
        return bare in letters or (len(bare) > 2 and any(near))

    return min(4.0, 2.0 * sum(alike(word.plain) for word in names))
