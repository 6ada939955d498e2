"""Reading claims out of a text: the pieces of it that can be wrong, and what each may mean.

A claim is a number, price, percentage, part, date, time, code, link, address, phone number or promise. Names are found
by what is left (`tools/grounding.py`), where claims are also compared with facts. The words are data (grounding.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

Meaning = tuple[object, ...]
"""What something says, whatever its words: ("percent", Decimal(10)), ("date", 5, 12, 2026) .."""

# Stands where a claim was found, so that a later pattern does not find it again.
TAKEN = "\ufffc"


class Claim(NamedTuple):
    """A claim as it is written, and what it may mean: it is backed if a fact has one of these."""

    text: str
    meanings: frozenset[Meaning]
    place: int


def tidy(text: str, *, numbered: bool = False) -> str:
    """The text as it is read: without the marks of Markdown and with one kind of space, dash and quotation mark.

    A list's own numbers count nothing, unless `numbered` (in a fact, "1. Dezember" may be all there is).
    """
    text = text.replace(TAKEN, " ")
    text = re.sub(r"[\u00a0\u202f\u2007\u2009]", " ", text)
    text = re.sub(r"[\u2010-\u2012\u2212]", "-", text)
    text = text.replace("’", "'")
    # Nobody reads a word of 500 letters, and patterns take their time with one.
    text = re.sub(r"(\S{500})(?=\S)", r"\1 ", text)
    text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)
    number = "" if numbered else rf"|\d{{1,2}}[.)](?! *(?:{either(_months())})\b)"
    text = re.sub(rf"(?mi)^[ \t]*(?:[-*+]{number})[ \t]+", "• ", text)
    return re.sub(r"[*`]+|(?m:^#+ *)|(?<!\w)_+|_+(?!\w)", "", text)


def without_tags(text: str) -> str:
    """Without merge tags; a default in one is text that a reader may see."""

    def literals(tag: re.Match[str]) -> str:
        found = re.findall(r"\"([^\"]*)\"|'([^']*)'", tag[0])
        return " ".join(a or b for a, b in found) if tag[0].startswith("{{") or "assign" in tag[0] else ""

    return re.sub(r"\{\{[^{}]*\}\}|\{%[^{}]*%\}", literals, text)


@cache
def vocabulary() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files("tools").joinpath("grounding.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def _months() -> dict[str, int]:
    return {name: place + 1 for place, names in enumerate(vocabulary()["months"]) for name in names}


@cache
def _number_words() -> dict[str, int]:
    numbers = vocabulary()["numbers"]
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
    for place, (en, de, fr) in enumerate(
        zip(*(numbers[each]["units"][:9] for each in ("en", "de", "fr")), strict=True)
    ):
        found |= {f"{en} hundred": 100 * (place + 1), f"{en} thousand": 1000 * (place + 1)}
        found |= {
            f"{de.removesuffix('s')}hundert": 100 * (place + 1),
            f"{de.removesuffix('s')}tausend": 1000 * (place + 1),
        }
        found |= {f"{fr} cents": 100 * (place + 1), f"{fr} mille": 1000 * (place + 1)}
        for word in numbers["es"]["hundreds"][place]:
            found[word] = 100 * (place + 1)
    return found


@cache
def _ordinal_words() -> dict[str, int]:
    first = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
    words = [*first.split(), "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth"]
    words += [f"twenty-{word}" for word in words[:9]] + ["thirtieth", "thirty-first"]
    return {word: place + 1 for place, word in enumerate(words)}


def either(words: Any) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_DIGITS = r"\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d{1,2})?(?![\d])|\d+(?:[.,]\d+)?"

_Read = Callable[[re.Match[str]], set[Meaning]]


@cache
def _patterns() -> list[tuple[re.Pattern[str], _Read]]:
    """What to look for, in this order: what is taken by one is not seen by the next."""
    w = vocabulary()
    months = _months()
    weekdays = {name: place for place, names in enumerate(w["weekdays"]) for name in names}
    short_days = {name: place for place, names in enumerate(w["short_weekdays"]) for name in names}
    plain_months = [name for name in months if name not in w["months_that_are_words"]]
    spelt = _number_words()
    plain_spelt = [word for word in spelt if word not in w["numbers_that_are_words"]]
    ordinals = _ordinal_words()
    shares = {Decimal(top) / Decimal(bottom): ways for (top, bottom), ways in (
        (share.split("/"), ways) for share, ways in w["shares"].items())}  # fmt: skip
    small = [word for word, value in spelt.items() if 2 <= value <= 20]
    # The look ahead spares the long list of words where none can begin.
    in_words = rf"(?=\w\w)(?:{either(spelt)})"
    amount = rf"(?P<n>(?<!\d)(?:{_DIGITS})|\b{in_words}\b)"
    month = rf"(?P<month>{either(months)})\b\.?"
    th = r"(?:st|nd|rd|th|\.|er|º)?"
    year = r"(?:,? +(?:del? +)?(?P<y>\d{4}))?"
    day = rf"(?P<d>\d{{1,2}}){th}"
    also = rf"(?:(?P<d0>\d{{1,2}}){th} *(?:-|–|to|and|until|bis|und|au|et|al|y)(?: the)? *)?"
    long = r"(?P<cur>pounds?(?: sterling)?|quid|gbp|euros?|eur|dollars?|usd|francs?|franken|chf|pfund|livres?|libras?|"
    long += r"pence|cents?|p(?!\.? ?m\b)|[£€$])"

    label = r"[a-z0-9-]{1,63}"

    def amount_of(found: re.Match[str]) -> Decimal | None:
        return _number(found["n"])

    def percent(found: re.Match[str]) -> set[Meaning]:
        return {("percent", amount_of(found))}

    def money(found: re.Match[str]) -> set[Meaning]:
        number, unit = amount_of(found), found["cur"].lower()
        if number is None:
            return {("money", unit, None)}
        number *= {"k": 1_000, "m": 1_000_000}.get((found.groupdict().get("times") or "").lower(), 1)
        if unit in ("p", "pence", "cent", "cents"):
            return {("money", sign, number / 100) for sign in (["£"] if unit.startswith("p") else ["€", "$"])}
        meant: set[Meaning] = {("money", _CURRENCIES.get(unit, _CURRENCIES.get(unit.rstrip("s"), unit)), number)}
        # In French these are books as well.
        return meant | ({("number", number)} if unit.startswith("livre") else set())

    def dated(found: re.Match[str]) -> set[Meaning]:
        groups = found.groupdict()
        which = months[groups["month"].lower()]
        year_said = int(groups["y"]) if groups.get("y") else None
        text = groups.get("d") or groups.get("o") or ""
        number = int(text) if text.isdecimal() else ordinals[text.lower()]
        if groups.get("d0") and int(groups["d0"]) != number:
            # Both days must be known: a meaning of its own, split up in `_backed`.
            return {("dates", int(groups["d0"]), number, which, year_said)}
        return {("date", number, which, year_said)}

    def iso(found: re.Match[str]) -> set[Meaning]:
        return {("date", int(found["d"]), int(found["m"]), int(found["y"]))}

    def slashed(found: re.Match[str]) -> set[Meaning]:
        a, b, said = int(found["a"]), int(found["b"]), int(found["y"])
        said += 2000 if said < 100 else 0
        # 5/12 is the fifth of December or the twelfth of May; dots are read the European way.
        ways = [(a, b)] if found["sep"] == "." else [(a, b), (b, a)]
        return {("date", d, m, said) for d, m in ways if 1 <= m <= 12} or {("date", a, b, said)}

    def dotted(found: re.Match[str]) -> set[Meaning]:
        # "5.12." is a day, or a number at the end of a sentence.
        day: Meaning = ("date", int(found["a"]), int(found["b"]), None)
        return {day, ("number", _number(found[0].rstrip(".")))}

    def clock(found: re.Match[str]) -> set[Meaning]:
        groups = found.groupdict()
        hour, minute = int(groups["h"]), int(groups.get("min") or 0)
        half = (groups.get("half") or "").replace(".", "").lower()
        if half in ("am", "pm"):
            hour = hour % 12 + (12 if half == "pm" else 0)
            return {("time", hour * 60 + minute)}
        both = [hour, hour + 12] if hour <= 12 else [hour]
        return {("time", h % 24 * 60 + minute) for h in both}

    def phone(found: re.Match[str]) -> set[Meaning]:
        digits = re.sub(r"\D", "", found[0])
        # 09.30 - 14.30 is none.
        return {("phone", digits[-9:])} if len(digits) >= (7 if found[0].startswith("+") else 9) else set()

    def link(found: re.Match[str]) -> set[Meaning]:
        address = re.sub(r"^(?:https?://)?(?:www\.)?", "", found[0].lower()).rstrip("/.,;:!?")
        return {("link", address)}

    def address(found: re.Match[str]) -> set[Meaning]:
        return {("address", found[0].casefold())}

    def number(found: re.Match[str]) -> set[Meaning]:
        return {("number", amount_of(found))}

    def hour(found: re.Match[str]) -> set[Meaning]:
        said = int(found["h"])
        hours = (said, said + 12) if said <= 12 else (said,)
        return {("number", Decimal(said)), *(("time", h % 24 * 60) for h in hours)}

    def ratio(found: re.Match[str]) -> set[Meaning]:
        # "One in three", "3 in 10", "un lecteur sur trois"; "101 of 1,204" are two numbers.
        first, second = _number(found["a"]), _number(found["b"])
        if first is None or second is None or not 0 < first < second <= 20:
            return set()
        return {("share", first / second)}

    def each(found: re.Match[str]) -> set[Meaning]:
        # "Of every four people one".
        of, some = _number(found["b"]), Decimal(1) if found["a"].lower() == "one" else _number(found["a"])
        return {("share", some / of)} if some and of and some < of else set()

    def ago(found: re.Match[str]) -> set[Meaning]:
        said = next(value for value in (found["n"], found["n2"], found["n3"]) if value)
        unit = next(value for value in (found["u"], found["u2"], found["u3"]) if value).lower()
        count = Decimal(1) if said.lower() in ("a", "an") else _number(said)
        length = next(days for days, names in _UNITS.items() if unit in names)
        return {("ago", int(count or 0) * length, 0 if length == 1 else length // 2)}

    def always(*meaning: object) -> _Read:
        return lambda found: {meaning}

    def code(found: re.Match[str]) -> set[Meaning]:
        return {("code", found[0].casefold())}

    i = re.IGNORECASE
    rules: list[tuple[str, re.RegexFlag | int, _Read]] = [
        (r"(?:https?://|\bwww\.)[^\s<>()\[\]\"']*\w", i, link),
        (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", i, address),
        (rf"(?<![\w.-]){label}(?:\.{label}){{0,8}}\.(?:{either(_TOP_LEVEL)})\b(?:/[^\s<>()\[\]\"']*\w)?", i, link),
        (r"\b(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})\b", 0, iso),
        (r"(?<![\w.])(?P<a>\d{1,2})(?P<sep>[./])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})(?![\d/])", 0, slashed),
        (r"(?<![\w.])(?P<a>\d{1,2})\.(?P<b>\d{1,2})\.(?![\d/])", 0, dotted),
        (r"(?<!\w)\+?\(?\d(?:[ ()/-]{0,2}\d|\.\d){6,30}(?!\d)", 0, phone),
        (rf"(?P<cur>[£€$]|\b(?:gbp|eur|usd|chf)\b) ?{amount}(?P<times>[km]\b)?", i, money),
        (rf"{amount} ?{long}(?!\w)", i, money),
        (r"\b95 ?%(?=[ -](?:confidence|interval|\w*intervall|Konfidenz|Sicherheit|de confian[cz]a))", i,
         always("interval")),
        (rf"{amount} ?(?:%|percent\b|per cent\b|pct\b|prozent\b|pour ?cent\b|por ciento\b)", i, percent),
        (r"\bhalf[ -](?:price|off)\b|\bhalben? Preis\b|\bmoitié prix\b|\bmitad de precio\b", i,
         always("percent", Decimal(50))),
        (rf"\b{also}{day} *(?:of +|de +|d')?{month}{year}", i, dated),
        (rf"\b(?P<o>{either(ordinals)}) +(?:of +)?{month}{year}", i, dated),
        (rf"\b{month} +(?:the +)?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.]\d)(?:,? +(?P<y>\d{{4}})\b)?", i, dated),
        (rf"\b{month} +(?:the +)?(?P<o>{either(ordinals)})\b(?:,? +(?P<y>\d{{4}})\b)?", i, dated),
        (rf"\b(?P<w>{either(short_days)})\b\.?(?=,? *{TAKEN})", i,
         lambda f: {("weekday", short_days[f["w"].lower()])}),
        (rf"\b(?P<w>{either(weekdays)})\b", i, lambda f: {("weekday", weekdays[f["w"].lower()])}),
        (rf"\b(?P<m>{either(plain_months)})\b", i, lambda f: {("month", months[f["m"].lower()])}),
        (r"(?<=\bin )(?P<m>March|May|Mars|Mai)\b|(?<=\bby )(?P<m2>March|May)\b|(?<=\buntil )(?P<m3>March|May)\b", 0,
         lambda f: {("month", months[(f["m"] or f["m2"] or f["m3"]).lower()])}),
        (r"\b(?P<h>\d{1,2})[:.](?P<min>\d{2}) ?(?P<half>[ap]\.?m\b\.?|Uhr\b)", i, clock),
        (r"\b(?P<h>\d{1,2})(?::|h)(?P<min>\d{2})\b", i, clock),
        (r"\b(?P<h>\d{1,2}) ?(?P<half>[ap]\.?m\b\.?|Uhr\b|o'clock\b|heures?\b|horas\b|h\b)", i, clock),
        *[(way, i, always("share", share)) for share, ways in shares.items() for way in ways],
        *[(way, i, always("times", times)) for times, ways in w["times"].items() for way in ways],
        (rf"\b(?P<a>{in_words}|\d{{1,2}}) (?:[^\W\d_]+ )?(?:in|out of|auf|von|sur|de cada) "
         rf"(?P<b>{either(small)}|\d{{1,2}})\b(?! ?%)", i, ratio),
        (rf"\bof every (?P<b>{in_words}|\d{{1,2}}) [^.!?]{{0,40}}?\b(?P<a>one|{either(small)}|\d{{1,2}})\b(?! ?%)",
         i, each),
        (rf"\b(?:vor (?P<n>{in_words}|\d+) (?P<u>Tag|Woche|Monat|Jahr)\w*|"
         rf"(?:il y a|hace) (?P<n2>{in_words}|\d+) (?P<u2>jour|semaine|mois|an|día|semana|mes|año)\w*|"
         rf"(?P<n3>an?|{in_words}|\d+) (?P<u3>day|week|month|year)s? ago)\b", i, ago),
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
        (rf"\b(?=\w\w)(?P<n>{either(plain_spelt)})\b", i, number),
    ]
    return [(re.compile(pattern, flags), read) for pattern, flags, read in rules]


_UNITS = {1: ("day", "tag", "jour", "día"), 7: ("week", "woche", "semaine", "semana"),
          30: ("month", "monat", "mois", "mes"), 365: ("year", "jahr", "an", "año")}  # fmt: skip
_MEASURED = r"(?P<n>\d+(?:[.,]\d+)?)(?:kg|g|cm|mm|m|km|ml|l|hrs?|mins?|x|D|s|k|lb|oz|ft|in|px|MB|GB|kB|kW|W)\b"
_CURRENCIES = {
    "£": "£", "pound": "£", "pounds sterling": "£", "pound sterling": "£", "quid": "£", "gbp": "£",
    "€": "€", "euro": "€", "eur": "€", "$": "$", "dollar": "$", "usd": "$",
    "pfund": "£", "livre": "£", "libra": "£", "chf": "chf", "franc": "chf", "franken": "chf",
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


def measurable(text: str) -> tuple[list[Claim], str]:
    """Every claim but names, and the text with those taken out."""
    claims: list[Claim] = []
    for pattern, read in _patterns():

        def taken(found: re.Match[str], read: _Read = read) -> str:
            meanings = read(found)
            if not meanings:
                return found[0]
            if any(kind == "code" for kind, *_ in meanings) and found[0].lower() in vocabulary()["capitals"]:
                return found[0]
            claims.append(Claim(found[0], frozenset(meanings), found.start()))
            # The same length, so that places stay places; "9 a.m." may end a sentence.
            return TAKEN * (len(found[0]) - 1) + ("." if found[0].endswith(".") else TAKEN)

        text = pattern.sub(taken, text)
    return claims, text
