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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

MOST_CLAIMS = 20
LONGEST_CLAIM = 60

# Stands where a claim was found, so that a later pattern does not find it again.
_TAKEN = "\ufffc"


class Claim(NamedTuple):
    """A claim as it is written, and what it may mean: it is backed if a fact has one of these."""

    text: str
    meanings: frozenset[tuple[object, ...]]
    place: int


@dataclass(frozen=True)
class Facts:
    """What is known, in words and in days."""

    said: tuple[str, ...]
    """By the sender: all of it may be repeated."""
    heard: tuple[str, ...] = ()
    """Of a contact, from anywhere: backs names and interests, but no price, offer, code, link or address."""
    days: tuple[date, ...] = ()

    @cached_property
    def meanings(self) -> frozenset[tuple[object, ...]]:
        found: set[tuple[object, ...]] = set()
        for text in self.said:
            found.update(*(claim.meanings for claim in _measurable(_tidy(text, numbered=True))[0]))
        for text in self.heard:
            meant = {meaning for claim in _measurable(_tidy(text, numbered=True))[0] for meaning in claim.meanings}
            found |= {meaning for meaning in meant if meaning[0] in ("number", "date", "month", "weekday", "time")}
        for day in self.days:
            found |= {("date", day.day, day.month, day.year)}
        for meaning in list(found):
            found |= _implied(meaning)
        return frozenset(found)

    @cached_property
    def said_text(self) -> str:
        return "\n".join(_tidy(text, numbered=True) for text in self.said).casefold()

    @cached_property
    def said_words(self) -> frozenset[str]:
        return _stems(self.said)

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of the facts as `_stem` has it."""
        return self.said_words | _stems(self.heard)


def unknown_claims(text: str, facts: Facts) -> list[str]:
    """What `text` (subject, empty line, body; merge tags and Markdown allowed) claims and `facts` don't say."""
    tidy = _tidy(_without_tags(text))
    measurable, rest = _measurable(tidy)
    unknown = [
        claim for claim in measurable
        if not any(_backed(meaning, facts) for meaning in claim.meanings) and not _repeated(claim.text, facts)
    ]  # fmt: skip
    unknown += _names(rest, tidy, facts.words)
    shown = dict.fromkeys(_shown(claim.text) for claim in sorted(unknown, key=lambda claim: claim.place))
    return [claim for claim in shown if claim][:MOST_CLAIMS]


def _shown(text: str) -> str:
    line = " ".join(text.replace(_TAKEN, "").split()).strip(" .,;:!?")
    return line if len(line) <= LONGEST_CLAIM else line[: LONGEST_CLAIM - 1] + "…"


# Reading a text


def _tidy(text: str, *, numbered: bool = False) -> str:
    """The text as it is read: without the marks of Markdown and with one kind of space, dash and quotation mark.

    A list's own numbers count nothing, unless `numbered` (in a fact, "1. Dezember" may be all there is).
    """
    text = text.replace(_TAKEN, " ")
    text = re.sub(r"[\u00a0\u202f\u2007\u2009]", " ", text)
    text = re.sub(r"[\u2010-\u2012\u2212]", "-", text)
    text = text.replace("’", "'")
    # Nobody reads a word of 500 letters, and patterns take their time with one.
    text = re.sub(r"(\S{500})(?=\S)", r"\1 ", text)
    text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)
    number = "" if numbered else rf"|\d{{1,2}}[.)](?! *(?:{_either(_months())})\b)"
    text = re.sub(rf"(?mi)^[ \t]*(?:[-*+]{number})[ \t]+", "• ", text)
    return re.sub(r"[*`]+|(?m:^#+ *)|(?<!\w)_+|_+(?!\w)", "", text)


def _without_tags(text: str) -> str:
    """Without merge tags; a default in one is text that a reader may see."""

    def literals(tag: re.Match[str]) -> str:
        found = re.findall(r"\"([^\"]*)\"|'([^']*)'", tag[0])
        return " ".join(a or b for a, b in found) if tag[0].startswith("{{") or "assign" in tag[0] else ""

    return re.sub(r"\{\{[^{}]*\}\}|\{%[^{}]*%\}", literals, text)


@cache
def _words() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files("tools").joinpath("grounding.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def _months() -> dict[str, int]:
    return {name: place + 1 for place, names in enumerate(_words()["months"]) for name in names}


@cache
def _number_words() -> dict[str, int]:
    numbers = _words()["numbers"]
    found: dict[str, int] = dict(numbers["more"])
    for language in ("en", "de", "fr", "es"):
        units, tens = numbers[language]["units"], numbers[language]["tens"]
        found |= {word: place + 1 for place, word in enumerate(units)}
        for place, ten in enumerate(tens):
            found[ten] = 10 * (place + 2)
            for unit in range(1, 10):
                join = {"en": f"{ten}-{units[unit - 1]}", "fr": f"{ten}-{units[unit - 1]}"}
                join |= {"de": f"{units[unit - 1].removesuffix('s')}und{ten}", "es": f"{ten} y {units[unit - 1]}"}
                found.setdefault(join[language], 10 * (place + 2) + unit)
                found.setdefault(f"{ten} {units[unit - 1]}", 10 * (place + 2) + unit)
    for place, unit in enumerate(numbers["en"]["units"][:9]):
        found[f"{unit} hundred"] = 100 * (place + 1)
        found[f"{unit} thousand"] = 1000 * (place + 1)
    return found


@cache
def _ordinal_words() -> dict[str, int]:
    first = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
    words = [*first.split(), "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth"]
    words += [f"twenty-{word}" for word in words[:9]] + ["thirtieth", "thirty-first"]
    return {word: place + 1 for place, word in enumerate(words)}


def _either(words: Any) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_DIGITS = r"\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d{1,2})?(?![\d])|\d+(?:[.,]\d+)?"
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|['&.-](?=[^\W_]))*")

_Meaning = tuple[object, ...]
_Read = Callable[[re.Match[str]], set[_Meaning]]


@cache
def _patterns() -> list[tuple[re.Pattern[str], _Read]]:
    """What to look for, in this order: what is taken by one is not seen by the next."""
    w = _words()
    months = _months()
    weekdays = {name: place for place, names in enumerate(w["weekdays"]) for name in names}
    short_days = {name: place for place, names in enumerate(w["short_weekdays"]) for name in names}
    plain_months = [name for name in months if name not in w["months_that_are_words"]]
    spelt = _number_words()
    plain_spelt = [word for word in spelt if word not in w["numbers_that_are_words"]]
    ordinals = _ordinal_words()
    amount = rf"(?P<n>(?<!\d)(?:{_DIGITS})|\b(?:{_either(spelt)})\b)"
    month = rf"(?P<month>{_either(months)})\b\.?"
    th = r"(?:st|nd|rd|th|\.|er|º)?"
    year = r"(?:,? +(?:del? +)?(?P<y>\d{4}))?"
    day = rf"(?P<d>\d{{1,2}}){th}"
    also = rf"(?:(?P<d0>\d{{1,2}}){th} *(?:-|–|to|and|until|bis|und|au|et|al|y)(?: the)? *)?"
    long = r"(?P<cur>pounds?(?: sterling)?|quid|gbp|euros?|eur|dollars?|usd|francs?|franken|chf|pence|cents?|p|[£€$])"

    label = r"[a-z0-9-]{1,63}"

    def amount_of(found: re.Match[str]) -> Decimal | None:
        return _number(found["n"])

    def percent(found: re.Match[str]) -> set[_Meaning]:
        return {("percent", amount_of(found))}

    def money(found: re.Match[str]) -> set[_Meaning]:
        number, unit = amount_of(found), found["cur"].lower()
        if number is None:
            return {("money", unit, None)}
        number *= {"k": 1_000, "m": 1_000_000}.get((found.groupdict().get("times") or "").lower(), 1)
        if unit in ("p", "pence", "cent", "cents"):
            return {("money", sign, number / 100) for sign in (["£"] if unit.startswith("p") else ["€", "$"])}
        return {("money", _CURRENCIES.get(unit, _CURRENCIES.get(unit.rstrip("s"), unit)), number)}

    def dated(found: re.Match[str]) -> set[_Meaning]:
        groups = found.groupdict()
        which = months[groups["month"].lower()]
        year_said = int(groups["y"]) if groups.get("y") else None
        text = groups.get("d") or groups.get("o") or ""
        number = int(text) if text.isdecimal() else ordinals[text.lower()]
        if groups.get("d0") and int(groups["d0"]) != number:
            # Both days must be known: a meaning of its own, split up in `_backed`.
            return {("dates", int(groups["d0"]), number, which, year_said)}
        return {("date", number, which, year_said)}

    def iso(found: re.Match[str]) -> set[_Meaning]:
        return {("date", int(found["d"]), int(found["m"]), int(found["y"]))}

    def slashed(found: re.Match[str]) -> set[_Meaning]:
        a, b, said = int(found["a"]), int(found["b"]), int(found["y"])
        said += 2000 if said < 100 else 0
        # 5/12 is the fifth of December or the twelfth of May; dots are read the European way.
        ways = [(a, b)] if found["sep"] == "." else [(a, b), (b, a)]
        return {("date", d, m, said) for d, m in ways if 1 <= m <= 12} or {("date", a, b, said)}

    def dotted(found: re.Match[str]) -> set[_Meaning]:
        # "5.12." is a day, or a number at the end of a sentence.
        day: _Meaning = ("date", int(found["a"]), int(found["b"]), None)
        return {day, ("number", _number(found[0].rstrip(".")))}

    def clock(found: re.Match[str]) -> set[_Meaning]:
        groups = found.groupdict()
        hour, minute = int(groups["h"]), int(groups.get("min") or 0)
        half = (groups.get("half") or "").replace(".", "").lower()
        if half in ("am", "pm"):
            hour = hour % 12 + (12 if half == "pm" else 0)
            return {("time", hour * 60 + minute)}
        both = [hour, hour + 12] if hour <= 12 else [hour]
        return {("time", h % 24 * 60 + minute) for h in both}

    def phone(found: re.Match[str]) -> set[_Meaning]:
        digits = re.sub(r"\D", "", found[0])
        # 09.30 - 14.30 is none.
        return {("phone", digits[-9:])} if len(digits) >= (7 if found[0].startswith("+") else 9) else set()

    def link(found: re.Match[str]) -> set[_Meaning]:
        address = re.sub(r"^(?:https?://)?(?:www\.)?", "", found[0].lower()).rstrip("/.,;:!?")
        return {("link", address)}

    def address(found: re.Match[str]) -> set[_Meaning]:
        return {("address", found[0].casefold())}

    def number(found: re.Match[str]) -> set[_Meaning]:
        return {("number", amount_of(found))}

    def hour(found: re.Match[str]) -> set[_Meaning]:
        said = int(found["h"])
        hours = (said, said + 12) if said <= 12 else (said,)
        return {("number", Decimal(said)), *(("time", h % 24 * 60) for h in hours)}

    def always(*meaning: object) -> _Read:
        return lambda found: {meaning}

    def code(found: re.Match[str]) -> set[_Meaning]:
        return {("code", found[0].casefold())}

    i = re.IGNORECASE
    rules: list[tuple[str, re.RegexFlag | int, _Read]] = [
        (r"(?:https?://|\bwww\.)[^\s<>()\[\]\"']*\w", i, link),
        (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", i, address),
        (rf"(?<![\w.-]){label}(?:\.{label}){{0,8}}\.(?:{_either(_TOP_LEVEL)})\b(?:/[^\s<>()\[\]\"']*\w)?", i, link),
        (r"\b(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})\b", 0, iso),
        (r"(?<![\w.])(?P<a>\d{1,2})(?P<sep>[./])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})(?![\d/])", 0, slashed),
        (r"(?<![\w.])(?P<a>\d{1,2})\.(?P<b>\d{1,2})\.(?![\d/])", 0, dotted),
        (r"(?<!\w)\+?\(?\d(?:[ ()/-]{0,2}\d|\.\d){6,30}(?!\d)", 0, phone),
        (rf"(?P<cur>[£€$]|\b(?:gbp|eur|usd|chf)\b) ?{amount}(?P<times>[km]\b)?", i, money),
        (rf"{amount} ?{long}(?!\w)", i, money),
        (rf"{amount} ?(?:%|percent\b|per cent\b|pct\b|prozent\b|pour ?cent\b|por ciento\b)", i, percent),
        (r"\bhalf[ -](?:price|off)\b|\bhalben? Preis\b|\bmoitié prix\b|\bmitad de precio\b", i,
         always("percent", Decimal(50))),
        (rf"\b{also}{day} *(?:of +|de +|d')?{month}{year}", i, dated),
        (rf"\b(?P<o>{_either(ordinals)}) +(?:of +)?{month}{year}", i, dated),
        (rf"\b{month} +(?:the +)?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.]\d)(?:,? +(?P<y>\d{{4}})\b)?", i, dated),
        (rf"\b{month} +(?:the +)?(?P<o>{_either(ordinals)})\b(?:,? +(?P<y>\d{{4}})\b)?", i, dated),
        (rf"\b(?P<w>{_either(short_days)})\b\.?(?=,? *{_TAKEN})", i,
         lambda f: {("weekday", short_days[f["w"].lower()])}),
        (rf"\b(?P<w>{_either(weekdays)})\b", i, lambda f: {("weekday", weekdays[f["w"].lower()])}),
        (rf"\b(?P<m>{_either(plain_months)})\b", i, lambda f: {("month", months[f["m"].lower()])}),
        (r"(?<=\bin )(?P<m>March|May|Mars|Mai)\b|(?<=\bby )(?P<m2>March|May)\b|(?<=\buntil )(?P<m3>March|May)\b", 0,
         lambda f: {("month", months[(f["m"] or f["m2"] or f["m3"]).lower()])}),
        (r"\b(?P<h>\d{1,2})[:.](?P<min>\d{2}) ?(?P<half>[ap]\.?m\b\.?|Uhr\b)", i, clock),
        (r"\b(?P<h>\d{1,2})(?::|h)(?P<min>\d{2})\b", i, clock),
        (r"\b(?P<h>\d{1,2}) ?(?P<half>[ap]\.?m\b\.?|Uhr\b|o'clock\b|heures?\b|horas\b|h\b)", i, clock),
        (r"\bnoon\b|\bmidday\b|(?<=\bum )Mittag\b|\bmidi\b|\bmediodía\b", i, always("time", 720)),
        (r"\bmidnight\b|\bMitternacht\b|\bminuit\b|\bmedianoche\b", i, always("time", 0)),
    ]  # fmt: skip
    for key, ways in w["soon"].items():
        rules.append(("|".join(ways), i, always("soon", key)))
    for key, ways in w["offers"].items():
        rules.append(("|".join(ways), i, always("offer", key)))
    rules += [
        (r"\b(?P<n>\d{1,4})(?:st|nd|rd|th|er|º)\b", i, lambda f: number(f) | {("day", int(f["n"]))}),
        (r"(?:(?<=\bat )|(?<=\bum ))(?P<h>\d{1,2})\b(?![.,:]?\d)", i, hour),
        (rf"(?<!\w){_MEASURED}", 0, number),
        # A code: letters and digits in one word, or capitals that are not shouted with their neighbours.
        (r"(?<![\w-])(?=[\w-]{0,60}\d)(?=[\w-]{0,60}[^\W\d_])\w[\w-]{1,60}\b", 0, code),
        (r"(?<![A-Z&] )(?<![A-Z]{2}[.,!?] )\b[A-Z]{3,}\b(?!'[a-z])(?![ ,.!?&-]+[A-Z]{2,}\b)", 0, code),
        (rf"(?P<n>{_DIGITS})", 0, number),
        (rf"\b(?P<n>{_either(plain_spelt)})\b", i, number),
    ]
    return [(re.compile(pattern, flags), read) for pattern, flags, read in rules]


_MEASURED = r"(?P<n>\d+(?:[.,]\d+)?)(?:kg|g|cm|mm|m|km|ml|l|hrs?|mins?|x|D|s|k|lb|oz|ft|in|px|MB|GB|kB|kW|W)\b"
_CURRENCIES = {
    "£": "£", "pound": "£", "pounds sterling": "£", "pound sterling": "£", "quid": "£", "gbp": "£",
    "€": "€", "euro": "€", "eur": "€", "$": "$", "dollar": "$", "usd": "$",
    "chf": "chf", "franc": "chf", "franken": "chf",
}  # fmt: skip
_TOP_LEVEL = (
    "com", "org", "net", "io", "de", "fr", "es", "it", "at", "ch", "nl", "be", "uk", "eu", "us", "shop", "store",
    "info", "biz", "ai", "app", "dev", "example", "invalid", "test", "co",
)  # fmt: skip


def _number(text: str) -> Decimal | None:
    """1,200.50 and 1.200,50 and "twelve hundred" alike; one separator before three digits groups thousands."""
    word = " ".join(text.lower().split())
    if word in _number_words():
        return Decimal(_number_words()[word])
    bare = re.sub(r"[ ']", "", text)
    if "," in bare and "." in bare:
        decimal = max(bare.rfind(","), bare.rfind("."))
        bare = re.sub(r"[.,]", "", bare[:decimal]) + "." + bare[decimal + 1 :]
    elif re.fullmatch(r"\d{1,3}([.,]\d{3})+", bare):
        bare = re.sub(r"[.,]", "", bare)
    try:
        return Decimal(bare.replace(",", ".")).normalize()
    except InvalidOperation:
        return None


def _measurable(text: str) -> tuple[list[Claim], str]:
    """Every claim but names, and the text with those taken out."""
    claims: list[Claim] = []
    for pattern, read in _patterns():

        def taken(found: re.Match[str], read: _Read = read) -> str:
            meanings = read(found)
            if not meanings:
                return found[0]
            if any(kind == "code" for kind, *_ in meanings) and found[0].lower() in _words()["capitals"]:
                return found[0]
            claims.append(Claim(found[0], frozenset(meanings), found.start()))
            # The same length, so that places stay places; "9 a.m." may end a sentence.
            return _TAKEN * (len(found[0]) - 1) + ("." if found[0].endswith(".") else _TAKEN)

        text = pattern.sub(taken, text)
    return claims, text


def _implied(meaning: _Meaning) -> set[_Meaning]:
    """What else is known when this is."""
    match meaning:
        case ("date", int(d), int(m), y):
            more: set[_Meaning] = {("month", m), ("day", d), ("date", d, m, None)}
            if isinstance(y, int):
                more |= {("number", Decimal(y))}
                try:
                    weekday = date(y, m, d).weekday()
                except ValueError:
                    return more
                more |= {("weekday", weekday)} | ({("soon", "weekend")} if weekday >= 5 else set())
            return more
        case ("dates", int(first), int(last), int(m), y):
            days: list[_Meaning] = [("date", first, m, y), ("date", last, m, y)]
            return {*days, *(more for day in days for more in _implied(day))}
        case ("percent", _):
            return {("offer", "discount")}
        case ("offer", "sale"):
            return {("offer", "discount")}
        case ("weekday", 5 | 6):
            return {("soon", "weekend")}
        case _:
            return set()


def _backed(meaning: _Meaning, facts: Facts) -> bool:
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
        case ("code", str(text)):
            return meaning in known or (text.isalpha() and _stem(text) in facts.said_words)
        case _:
            return meaning in known


def _repeated(text: str, facts: Facts) -> bool:
    """Whether a fact has these very characters; a digit or two may stand anywhere and mean anything."""
    text = text.casefold().strip(" .,;:")
    return len(text) >= 3 and bool(re.search(rf"(?<!\w){re.escape(text)}(?!\w)", facts.said_text))


# Names


def _stems(texts: tuple[str, ...]) -> frozenset[str]:
    tidy = [_tidy(text, numbered=True) for text in texts]
    # Also as a text's words are seen, with measurable claims taken out.
    seen = [*tidy, *(_measurable(text)[1] for text in tidy)]
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
                and (run[0].text.casefold() in _words()["starters"] or (german and not _signs(line, words)))
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
    return word.lower().rstrip(".") in _words()["capitalised"] or word.lower() in _words()["capitals"]


def _given_away(line: str, words: list[_Said], index: int) -> bool:
    """Whether a word whose capital says nothing is a name all the same: "Margaret says", "Margaret's", a signature."""
    word = words[index].text.casefold()
    if index > 0 and words[index - 1].text.casefold().rstrip(".") in _words()["titles"]:
        return True
    if word in _words()["starters"]:
        return False
    if index + 1 < len(words) and words[index + 1].text.casefold() in _words()["speech"]:
        return word not in ("he", "she", "it", "who", "er", "sie", "il", "elle")
    if word.endswith("'s"):
        return word[:-2] not in _words()["contractions"]
    return _signs(line, words)


def _signs(line: str, words: list[_Said]) -> bool:
    """Whether the line is one or two words without a mark behind, which is how people sign."""
    said = [word.text for word in words]
    signed = len(said) <= 2 and 1 < len(line) < 50 and line.split() == said
    return signed and all(word[0].isupper() and not _is_common(word) for word in said)


def _is_german(text: str) -> bool:
    """Whether nouns have capitals here."""
    found = set(re.findall(r"[^\W\d_]+", text)) & set(_words()["german"])
    english = set(re.findall(r"\b(?:the|and|of|is|we|with|for|you|to|our|a)\b", text))
    return len(found) >= 3 and len(found) > len(english)
