"""The mail that is written without a model: short, in the tone and language asked for, from known facts alone.

Its words are data (written_form.yaml); what is put between them is copied from the campaign, the instructions and the
contact's note, never changed, shortened or concluded. A claim can so only be there because somebody made it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

Language = Literal["en", "de", "fr", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "de", "fr", "es")

LONGEST_HOOK = 45
LONGEST_SUBJECT = 75
LONGEST_ABOUT = 600
LONGEST_FACT = 300
MOST_FACTS = 6

_URL = re.compile(r"https?://[^\s<>()\[\]\"'{}\\]*[^\s<>()\[\]\"'{}\\.,;:!?]")


@dataclass(frozen=True)
class Brief:
    """What there is to write from."""

    campaign: str
    description: str | None
    start_date: date | None
    instructions: str
    tone: str
    sender: str
    today: date
    note: str | None = None
    """A contact's, for a mail to that one."""


def write(brief: Brief) -> tuple[str, str]:
    """Subject and body (Markdown with merge tags)."""
    language, tone = language_of(brief), _tone_of(brief)
    words: dict[str, Any] = _words()["mails"][language]
    said: dict[str, str] = words[tone]
    about, facts = _about(brief.description), _facts(brief)
    name = _literal(brief.campaign)

    opening = said["opening"].format(name=name)
    if brief.start_date is not None:
        started = "starts" if brief.start_date >= brief.today else "started"
        opening += " " + words[started].format(day=_day(brief.start_date, language))
    paragraphs = [said["greeting"], opening]
    if about:
        whole = _literal(about) if about[-1] in ".!?" else said["about"].format(about=_ended(_literal(about)))
        paragraphs.append(whole)
    if len(facts) == 1:
        # A German clause keeps its "dass": without it the verb would stand in the wrong place.
        also = words["also_that"] if facts[0].startswith("dass ") else words["also"]
        paragraphs.append(also.format(fact=_ended(_literal(facts[0]))))
    elif facts:
        paragraphs.append("\n".join([words["list"], "", *(f"- {_literal(fact.rstrip('.'))}" for fact in facts)]))
    action = _action(brief, words, said)
    interest = _interest(brief.note, language)
    if interest and not _is_short(brief):
        action = f"{words['interest'].format(doing=interest[0], what=_literal(interest[1]))} {action}"
    paragraphs += [
        action,
        f"{said['close']}  \n{_literal(brief.sender)}",
        f"[{words['unsubscribe']}]({{{{ unsubscribe_url }}}})",
    ]
    return _subject(brief, said, about), "\n\n".join(paragraphs) + "\n"


def language_of(brief: Brief) -> Language:
    """The one that is asked for, else the one that the request is written in, else English."""
    text = f"{brief.instructions} {brief.tone}".lower()
    for language in LANGUAGES:
        if any(re.search(way, text) for way in _words()["asked"][language]):
            return language
    found = re.findall(r"[^\W\d_]+", text)
    counts = {language: sum(word in _words()["hints"][language] for word in found) for language in LANGUAGES}
    best = max(LANGUAGES, key=lambda language: counts[language])
    # One word is no language, unless it is all that was said (a tone).
    return best if counts[best] >= 2 or len(found) <= 2 else "en"


def unsubscribe_line(language: Language) -> str:
    """The line that every mail ends with."""
    return f"[{_words()['mails'][language]['unsubscribe']}]({{{{ unsubscribe_url }}}})"


@cache
def _words() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files("tools").joinpath("written_form.yaml").read_text(encoding="utf-8"))
    return loaded


def _tone_of(brief: Brief) -> str:
    for text in (brief.tone.lower(), brief.instructions.lower()):
        # "less formal" asks for another tone.
        text = re.sub(r"\b(?:not|less|too|nicht|weniger|pas|moins|no|menos)\s+(?:too\s+|zu\s+|trop\s+)?\w+", "", text)
        for tone, stems in _words()["tones"].items():
            if any(re.search(rf"\b{stem}", text) for stem in stems):
                return str(tone)
    return "urgent" if _is_short(brief) else "friendly"


def _is_short(brief: Brief) -> bool:
    text = f"{brief.tone} {brief.instructions}".lower()
    return any(re.search(rf"\b{stem}", text) for stem in _words()["short"])


def _subject(brief: Brief, said: dict[str, str], about: str) -> str:
    name = _plain(brief.campaign)
    hook = _plain(about).rstrip(".")
    if hook and len(hook) <= LONGEST_HOOK and len(name) + len(hook) < LONGEST_SUBJECT and ". " not in hook:
        return f"{name}: {hook}"
    subject = said["subject"].format(name=name)
    return subject if len(subject) <= LONGEST_SUBJECT else name


def _about(description: str | None) -> str:
    """The description without what is only for the sender, whole sentences of it or nothing."""
    text = " ".join((description or "").split())
    text = re.sub(_words()["topic"], "", text, flags=re.IGNORECASE)
    kept, length = [], 0
    for sentence in _sentences(text):
        if re.search(_words()["internal"], sentence, re.IGNORECASE):
            continue
        length += len(sentence)
        if length > LONGEST_ABOUT:
            break
        kept.append(sentence)
    about = " ".join(kept).strip(" ,;")
    return about if re.search(r"\w", about) else ""


def _facts(brief: Brief) -> list[str]:
    """What the instructions want said, as they say it."""
    text = " ".join(brief.instructions.replace("\n", " ; ").split())
    for way in _words()["about_the_mail"]:
        text = re.sub(way, " ; ", text, flags=re.IGNORECASE)
    say = "|".join(_words()["say"])
    # "mention tea and say that we close early" is two things.
    text = re.sub(
        rf"(?:^|[,;]|\b(?:and|that|which|to|und|die|et|qui|y|que)\b)\s*(?:{say})(?=\s)",
        " ;> ",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(r"\s(?:and|et|y)\s+(?:that|que)\s|\sund\s+(?=dass\s)", " ;> ", text, flags=re.IGNORECASE)
    facts = []
    for piece in re.split(r"\s;(?=[ >])", f" ; {text} ; "):
        for sentence in _sentences(piece):
            asked = sentence.startswith(">")
            fact = sentence.lstrip("> ").strip(" ,;")
            fact = re.sub(r"^(?:(?:and|but|also|und|aber|et|mais|y|pero|that|which)\b[\s,]*)+", "", fact, flags=re.I)
            fact = re.sub(r"[\s,]*\b(?:and|but|und|et|y)$", "", fact, flags=re.I).strip(" ,;")
            topic = re.sub(_words()["topic"], "", fact, flags=re.IGNORECASE)
            asked, fact = asked or topic != fact, topic
            if not asked and (len(fact.split()) < 3 or re.search(_words()["orders"], fact, re.IGNORECASE)):
                continue
            if re.fullmatch(rf"(?:\S+\s+){{0,4}}{_URL.pattern}", fact):
                continue  # it is where the call to action leads
            if re.search(r"\w", fact) and len(fact) <= LONGEST_FACT and not _is_the_name(fact, brief):
                facts.append(fact)
    return list(dict.fromkeys(facts))[:MOST_FACTS]


def _is_the_name(fact: str, brief: Brief) -> bool:
    return fact.casefold() in (brief.campaign.casefold(), (brief.description or "").strip(" .").casefold())


def _sentences(text: str) -> list[str]:
    """Cut behind marks that end a sentence; not behind a number's dot ("5. Dezember") or an abbreviation's."""
    pieces = re.split(
        r"(?<=[.!?])(?<!\d\.)(?<!\b[A-Z]\.)(?<!\b(?:St|Mr|Dr|Nr|ca)\.)(?<!\b(?:Mrs|bzw|inc|Ltd)\.)\s+(?=\S)", text
    )
    return [piece.strip() for piece in pieces if piece.strip()]


def _action(brief: Brief, words: dict[str, Any], said: dict[str, str]) -> str:
    """Where to go: a link only if somebody gave one, else a reply."""
    found = _URL.search(brief.instructions) or _URL.search(brief.description or "")
    return str(words["link"]).format(url=found[0]) if found else said["action"]


def _interest(note: str | None, language: Language) -> tuple[str, str] | None:
    """(collect, punched cards) of a note that says "collects punched cards", if it is as plain as that."""
    verbs: dict[str, str] = _words()["interests"][language]
    what = r"[^\W\d_]+(?:[ '-][^\W\d_]+)*"
    way = rf"(?:^|[.;,\n]\s*)(?:(?:she|he|also|and|sie|er|elle|il) )*({'|'.join(verbs)}) +({what}) *(?=[.,;!?\n(]|$)"
    for found in re.finditer(way, note or "", re.IGNORECASE):
        words = found[2].lower().split()
        if len(words) <= 6 and len(found[2]) <= 60 and not set(words) & set(_words()["not_an_interest"]):
            return verbs[found[1].lower()], found[2]
    return None


def _day(day: date, language: Language) -> str:
    words = _words()
    return str(words["day"][language]).format(
        weekday=words["weekdays"][language][day.weekday()], day=day.day, month=words["months"][language][day.month - 1],
        year=day.year,
    )  # fmt: skip


def _ended(text: str) -> str:
    return text if text[-1] in ".!?…" else f"{text}."


def _plain(text: str) -> str:
    """One line in which no merge tag begins: what is copied must not be run."""
    return " ".join(re.sub(r"\{(?=[{%])", "{ ", text).split())


def _literal(text: str) -> str:
    """The same for a Markdown body: marks are shown, not obeyed. Addresses stay as they are."""
    text = _plain(text)
    pieces, end = [], 0
    for found in _URL.finditer(text):
        pieces += [re.sub(r"([\\`*_\[\]<>])", r"\\\1", text[end : found.start()]), found[0]]
        end = found.end()
    pieces.append(re.sub(r"([\\`*_\[\]<>])", r"\\\1", text[end:]))
    # At the beginning of a line these would make a heading, a list, a rule.
    return re.sub(r"^([#+=~-])", r"\\\1", re.sub(r"^(\d{1,9})([.)])", r"\1\\\2", "".join(pieces)))
