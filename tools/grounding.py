"""Facts, and the check that a text claims no more.

A claim is a piece of text that can be wrong: a number, price, percentage, date, time, code, link, address, phone
number, promise or name. Claims of a text are compared with those of the facts by what they mean ("ten percent" is
"10 %", "December 5th" is 2026-12-05), and those that nothing backs are returned for a person to see. Marking one too
many costs a glance; missing one costs trust.

Known limits: a single name at the beginning of a sentence looks like any word there, and so does a single noun in
German, and every word in a Line Of Title Case; those are looked at only where something else gives them away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, cached_property
from typing import NamedTuple

from tools.claims import TAKEN, Claim, Meaning, either, measurable, tidy, vocabulary, without_tags

MOST_CLAIMS = 20
LONGEST_CLAIM = 60

_WORD = re.compile(r"[^\W\d_](?:[^\W_]|['&.-](?=[^\W_]))*")


@dataclass(frozen=True)
class Facts:
    """What is known, in words and in days."""

    said: tuple[str, ...]
    """By the sender: all of it may be repeated."""
    heard: tuple[str, ...] = ()
    """Of a contact, from anywhere: backs names and interests, but no price, offer, code, link or address."""
    days: tuple[date, ...] = ()
    today: date | None = None
    """Makes "yesterday" and "next week" days; None where nobody knows when the text will be read."""

    @cached_property
    def meanings(self) -> frozenset[Meaning]:
        found: set[Meaning] = set()
        for text in self.said:
            found.update(*(claim.meanings for claim in measurable(tidy(text, numbered=True))[0]))
        for text in self.heard:
            meant = {meaning for claim in measurable(tidy(text, numbered=True))[0] for meaning in claim.meanings}
            found |= {meaning for meaning in meant if meaning[0] in ("number", "date", "month", "weekday", "time")}
        for day in self.days:
            found |= {("date", day.day, day.month, day.year)}
        found |= {("number", Decimal(rows)) for text in self.said for rows in _table_rows(text)}
        for meaning in list(found):
            found |= _implied(meaning)
        return frozenset(found)

    @cached_property
    def said_text(self) -> str:
        return "\n".join(tidy(text, numbered=True) for text in self.said).casefold()

    @cached_property
    def said_words(self) -> frozenset[str]:
        return _stems(self.said)

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of the facts as `_stem` has it."""
        return self.said_words | _stems(self.heard)


def unknown_claims(text: str, facts: Facts) -> list[str]:
    """What `text` (subject, empty line, body; merge tags and Markdown allowed) claims and `facts` don't say."""
    read = tidy(without_tags(text))
    claims, rest = measurable(read)
    unknown = [
        claim for claim in claims
        if not any(_backed(meaning, facts) for meaning in _as_said(claim, read))
        and (not _repeated(claim.text, facts) or _bound(claim, read))
    ]  # fmt: skip
    unknown += _names(rest, read, facts.words)
    shown = dict.fromkeys(_shown(claim.text) for claim in sorted(unknown, key=lambda claim: claim.place))
    return [claim for claim in shown if claim][:MOST_CLAIMS]


def _shown(text: str) -> str:
    line = " ".join(text.replace(TAKEN, "").split()).strip(" .,;:!?")
    return line if len(line) <= LONGEST_CLAIM else line[: LONGEST_CLAIM - 1] + "…"


def _implied(meaning: Meaning) -> set[Meaning]:
    """What else is known when this is."""
    match meaning:
        case ("date", int(d), int(m), y):
            more: set[Meaning] = {("month", m), ("day", d), ("date", d, m, None)}
            if isinstance(y, int):
                more |= {("number", Decimal(y))}
                try:
                    weekday = date(y, m, d).weekday()
                except ValueError:
                    return more
                more |= {("weekday", weekday)} | ({("soon", "weekend")} if weekday >= 5 else set())
            return more
        case ("dates", int(first), int(last), int(m), y):
            days: list[Meaning] = [("date", first, m, y), ("date", last, m, y)]
            return {*days, *(more for day in days for more in _implied(day))}
        case ("percent", _):
            return {("offer", "discount")}
        case ("offer", "sale"):
            return {("offer", "discount")}
        case ("weekday", 5 | 6):
            return {("soon", "weekend")}
        case _:
            return set()


def _backed(meaning: Meaning, facts: Facts) -> bool:
    known = facts.meanings
    match meaning:
        case ("date", d, m, None):
            return meaning in known
        case ("date", d, m, y):
            # A fact without a year backs any: the text then names the coming one, which nobody denied.
            without = ("date", d, m, None) in known and not any(
                k[0] == "date" and k[1:3] == (d, m) and k[3] is not None for k in known
            )
            return meaning in known or without
        case ("dates", first, last, m, y):
            return meaning in known or all(_backed(("date", d, m, y), facts) for d in (first, last))
        case ("percent", Decimal() as said) if said == int(said):
            # 8.4 % may be called 8 %.
            return meaning in known or any(k[0] == "percent" and _whole(k[1]) == said for k in known)
        case ("share", Decimal() as said):
            return meaning in known or any(_is_share(said, p, "about") for p in _amounts(known, "percent"))
        case ("about" | "over" | "near" | "under" as bound, "share", Decimal() as said):
            return ("share", said) in known or any(_is_share(said, p, bound) for p in _amounts(known, "percent"))
        case ("about" | "over" | "near" | "under" as bound, *kind, Decimal() as said):
            return any(_near(bound, said, amount) for amount in _amounts(known, *kind))
        case ("interval",):
            return True  # all our intervals are of 95 %
        case ("soon", str(when)):
            return meaning in known or (facts.today is not None and _falls(when, facts.today, known))
        case ("ago", int(days), int(slack)) if facts.today is not None:
            day = facts.today - timedelta(days=days)
            return any(abs((one - day).days) <= slack for one in _dates(known, facts.today))
        case ("code", str(text)):
            return meaning in known or (text.isalpha() and _stem(text) in facts.said_words)
        case _:
            return meaning in known


def _whole(value: object) -> Decimal | None:
    return value.quantize(Decimal(1), rounding=ROUND_HALF_UP) if isinstance(value, Decimal) else None


def _amounts(known: frozenset[Meaning], *kind: object) -> Iterator[Decimal]:
    """The facts of this kind: `number`, `percent`, or `money` in one currency."""
    for meaning in known:
        if meaning[:-1] == kind and isinstance(meaning[-1], Decimal):
            yield meaning[-1]


def _dates(known: frozenset[Meaning], today: date) -> Iterator[date]:
    """The days of the facts; those without a year are this year's."""
    for meaning in known:
        match meaning:
            case ("date", int(d), int(m), int() | None as y):
                try:
                    yield date(y or today.year, m, d)
                except ValueError:
                    continue


def _falls(when: str, today: date, known: frozenset[Meaning]) -> bool:
    """Whether one of the facts' days is "yesterday", "next week" .. as seen from `today`."""
    if when not in vocabulary()["days"]:
        return False
    unit, step = vocabulary()["days"][when]
    monday = today - timedelta(days=today.weekday())
    for day in _dates(known, today):
        months = (day.year - today.year) * 12 + day.month - today.month
        match unit:
            case "day" if (day - today).days == step:
                return True
            case "week" if (day - monday).days // 7 == step:
                return True
            case "weekend" if (day - monday).days // 7 == step and day.weekday() >= 5:
                return True
            case "month" if months == step:
                return True
            case "year" if day.year - today.year == step:
                return True
    return False


def _table_rows(text: str) -> Iterator[int]:
    """How many rows the tables of a text have, which may be said of it."""
    for table in re.findall(r"(?m)(?:^\|.*\n?)+", text):
        rows = [line for line in table.splitlines() if not re.fullmatch(r"[|:\- ]+", line)]
        yield len(rows) - 1


def _as_said(claim: Claim, text: str) -> frozenset[Meaning]:
    """What a claim means with the words before it: "about 400" is another claim than "400", "from 9 to 5" has hours."""
    bound = _bound(claim, text)
    found: set[Meaning] = set()
    for meaning in claim.meanings:
        match meaning:
            case ("number" | "percent" | "share", Decimal()) | ("money", _, Decimal()) if bound is not None:
                found.add((bound, *meaning))
            case ("number", Decimal() as value) if (
                0 < value <= 24 and value == int(value) and _clock_before(claim, text)
            ):
                hours = {int(value) % 24, int(value) + 12 if value < 12 else int(value) % 24}
                found |= {meaning, *(("time", hour * 60) for hour in hours)}
            case _:
                found.add(meaning)
    return frozenset(found)


def _bound(claim: Claim, text: str) -> str | None:
    """`about`, `over`, `near` or `under`, if such a word stands before the claim."""
    before = text[max(0, claim.place - 30) : claim.place]
    return next((bound for bound, way in _bounds() if way.search(before)), None)


def _clock_before(claim: Claim, text: str) -> bool:
    before = text[max(0, claim.place - 12) : claim.place]
    return bool(re.search(rf"\b(?:{either(vocabulary()['before_an_hour'])}) $", before, re.IGNORECASE))


@cache
def _bounds() -> list[tuple[str, re.Pattern[str]]]:
    article = "(?:the|an?|one|die|der|den|ein|eine|l[ae]|un|una|el)"
    return [
        (bound, re.compile(rf"(?:\b(?:{either(words)})\b|~) ?(?:{article} )?$", re.IGNORECASE))
        for bound, words in vocabulary()["bounds"].items()
    ]


def _near(bound: str, said: Decimal, fact: Decimal) -> bool:
    """Whether "about 400" (`bound`, `said`) can be said of `fact`; "over £50" is also a limit that is exactly that."""
    if said == fact:
        return True
    match bound:
        case "over":
            return said < fact <= said * Decimal("1.1")
        case "near":
            return said * Decimal("0.9") <= fact <= said
        case "under":
            return said * Decimal("0.8") <= fact < said
    # About: no further off than the digits that were left out, nor than a tenth.
    return abs(fact - said) <= max(said / 10, Decimal("0.5")) and _rounded(fact, said) == said


def _rounded(value: Decimal, like: Decimal) -> Decimal:
    """`value` with the digits that `like` has: 1,240 like 1,300 is 1,200."""
    exponent = like.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return value.quantize(Decimal(1).scaleb(exponent), rounding=ROUND_HALF_UP).normalize()


def _is_share(said: Decimal, percent: Decimal, bound: str) -> bool:
    """Whether `percent` can be called this share: a third is 31.3 % to 35.3 %."""
    share = said * 100
    return abs(percent - share) <= share * Decimal("0.06") if bound == "about" else _near(bound, share, percent)


def _repeated(text: str, facts: Facts) -> bool:
    """Whether a fact has these very characters; a digit or two may stand anywhere and mean anything."""
    text = text.casefold().strip(" .,;:")
    whole = rf"(?<!\w)(?<!\d[.,]){re.escape(text)}(?!\w|[.,]\d)"
    return len(text) >= 3 and bool(re.search(whole, facts.said_text))


# Names


def _stems(texts: tuple[str, ...]) -> frozenset[str]:
    read = [tidy(text, numbered=True) for text in texts]
    # Also as a text's words are seen, with measurable claims taken out.
    seen = [*read, *(measurable(text)[1] for text in read)]
    return frozenset(_stem(word) for text in seen for word in _WORD.findall(text))


def _stem(word: str) -> str:
    """A word without its case, its 's and its plural."""
    return re.sub(r"'s?$|(?<=\w\w)s$", "", word.casefold().replace("ß", "ss"))


class _Said(NamedTuple):
    text: str
    place: int
    starts: bool
    """Whether it begins a sentence, so that its capital says nothing."""


def _names(text: str, whole: str, known: frozenset[str]) -> list[Claim]:
    """Capitalised words that no fact has. `text` is `whole` with the measurable claims taken out."""
    german = _is_german(whole)
    claims = []
    for line, words in _lines(text):
        if not german and _in_title_case(line, words):
            continue
        for first, end in _runs(text, words):
            run = words[first:end]
            if (
                run[0].starts
                and len(run) > 1
                and (run[0].text.casefold() in vocabulary()["starters"] or (german and not _signs(line, words)))
            ):
                first, run = first + 1, run[1:]
            new = [word for word in run if _stem(word.text) not in known and not _is_common(word.text)]
            # A capital says nothing at the beginning of a sentence, nor on a German noun that stands alone.
            silent = all(word.starts for word in new) or (german and len(run) < 2)
            if not new or (silent and not _given_away(line, words, first)):
                continue
            start, stop = new[0].place, new[-1].place + len(new[-1].text)
            claims.append(Claim(whole[start:stop], frozenset(), start))
    return claims


def _lines(text: str) -> Iterator[tuple[str, list[_Said]]]:
    """Each line with its words. A line that was only wrapped goes on with the sentence of the one before."""
    place = 0
    goes_on = False
    for line in text.split("\n"):
        words: list[_Said] = []
        for found in _WORD.finditer(line):
            before = line[max(0, found.start() - 20) : found.start()].rstrip()
            starts = bool(re.search(r"[.!?:;…•–—\"“„«»(\[|>¡¿]$|(?:^|\s)-$", before))
            words.append(_Said(found[0], place + found.start(), starts or (not words and not before and not goes_on)))
        yield line, words
        goes_on = bool(line.strip()) and not re.search(r"[.!?:;,…\\]\s*$| {2}$", line[-200:]) and len(line) > 50
        place += len(line) + 1


def _in_title_case(line: str, words: list[_Said]) -> bool:
    # A sentence and a greeting are none, however many names they have.
    if line.rstrip().endswith((".", ",")) or (words and words[0].text.casefold() in vocabulary()["greetings"]):
        return False
    long = [word.text for word in words if len(word.text) > 3]
    return len(long) >= 3 and len(line) < 90 and sum(word[0].isupper() for word in long) >= 0.75 * len(long)


def _runs(text: str, words: list[_Said]) -> Iterator[tuple[int, int]]:
    """Capitalised words that stand together: from which to before which."""
    first: int | None = None
    for index, word in enumerate(words):
        capital = word.text[0].isupper() and (word.starts or not _is_common(word.text))
        if first is not None:
            between = text[words[index - 1].place + len(words[index - 1].text) : word.place]
            if not capital or word.starts or between.strip(" ") not in ("", "&", "-"):
                yield first, index
                first = None
        if capital and first is None:
            first = index
    if first is not None:
        yield first, len(words)


def _is_common(word: str) -> bool:
    return word.lower().rstrip(".") in vocabulary()["capitalised"] or word.lower() in vocabulary()["capitals"]


def _given_away(line: str, words: list[_Said], index: int) -> bool:
    """Whether a word whose capital says nothing is a name all the same: "Margaret says", "Margaret's", a signature."""
    word = words[index].text.casefold()
    if index > 0 and words[index - 1].text.casefold().rstrip(".") in vocabulary()["titles"]:
        return True
    if word in vocabulary()["starters"]:
        return False
    if index + 1 < len(words) and words[index + 1].text.casefold() in vocabulary()["speech"]:
        return word not in ("he", "she", "it", "who", "er", "sie", "il", "elle")
    if word.endswith("'s"):
        return word[:-2] not in vocabulary()["contractions"]
    return _signs(line, words)


def _signs(line: str, words: list[_Said]) -> bool:
    """Whether the line is one or two words without a mark behind, which is how people sign."""
    said = [word.text for word in words]
    signed = len(said) <= 2 and 1 < len(line) < 50 and line.split() == said
    return signed and all(word[0].isupper() and not _is_common(word) for word in said)


def _is_german(text: str) -> bool:
    """Whether nouns have capitals here."""
    said = set(re.findall(r"[^\W\d_]+", text))
    lower = {word if word in ("Sie", "Ihnen", "Ihre") else word.casefold() for word in said}
    german = len(lower & set(vocabulary()["german"]))
    return german >= 2 and all(german > len(lower & set(vocabulary()[other])) for other in ("english", "romance"))
