"""Who is meant: words in, contacts out. Search and every tool that takes an audience share it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from uuid import UUID

import phonenumbers
from rapidfuzz.distance import OSA

from db import contacts, search
from db.contacts import Filter
from db.embeddings import EmbeddingError
from db.pool import Connection
from db.search import FoundRow, Nearness, Question, Scope
from tools.base import Context
from tools.errors import SearchUnavailable

# A search shows whom it may be; an audience gets mail, so it takes only who stands out more. Chosen on the sample's
# judged contacts (docs/decisions/0005).
SEARCHED = Nearness(floor=0.08, share=0.3, deviations=1.5, few_floor=0.1, few_share=0.4)
ADDRESSED = Nearness(floor=0.15, share=0.65, deviations=2.0, few_floor=0.2, few_share=0.65, narrow=True)

# How nearly a name must be the one asked for, and how many words a name has at most. Chosen on slips made at random in
# the sample's names, against its searches by meaning.
ALIKE = 0.7
LONGEST_NAME = 3

_WORD = re.compile(r"[\w][\w.@+'’-]*[\w]|\w")

EVERYBODY = frozenset({
    "*", "all", "everyone", "everybody", "all contacts", "all my contacts", "all our contacts", "every contact",
    "the whole list", "anyone", "alle", "tous", "todos",
})  # fmt: skip

# Words that carry no meaning in a question; matching them must not count.
_FILLERS = frozenset(
    [
        "a",
        "about",
        "all",
        "an",
        "and",
        "any",
        "anyone",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "cares",
        "contact",
        "contacts",
        "customers",
        "did",
        "do",
        "does",
        "everybody",
        "everyone",
        "find",
        "folk",
        "for",
        "from",
        "has",
        "have",
        "he",
        "her",
        "him",
        "his",
        "i",
        "in",
        "into",
        "is",
        "it",
        "its",
        "like",
        "likes",
        "list",
        "love",
        "loves",
        "me",
        "my",
        "of",
        "on",
        "or",
        "our",
        "people",
        "person",
        "she",
        "show",
        "some",
        "somebody",
        "someone",
        "that",
        "the",
        "their",
        "them",
        "there",
        "they",
        "things",
        "this",
        "those",
        "to",
        "us",
        "want",
        "was",
        "we",
        "were",
        "what",
        "which",
        "who",
        "whom",
        "whose",
        "will",
        "with",
        "you",
        "your",
        "alle",
        "der",
        "die",
        "das",
        "ein",
        "eine",
        "und",
        "mit",
        "für",
        "von",
        "wer",
        "sich",
        "les",
        "des",
        "une",
        "qui",
        "pour",
        "avec",
        "los",
        "las",
        "una",
        "que",
        "con",
        "por",
        "quien",
    ]
)


# What may stand before a tag's name: "all the VIPs", "people who live in Leeds", "tagged trade".
_LED_IN = re.compile(
    r"^((all|every|the|our|my|people|contacts|customers|everyone|everybody|those|anyone|who|that|is|are|lives?|living|"
    r"based|tagged|with|tag|in|from|of)\s+)+"
)


@dataclass(frozen=True)
class Audience:
    """What was asked: whose tags, and which words are left to compare by meaning (none: everybody)."""

    words: str
    which: Filter


async def understand(db: Connection, ctx: Context, query: str | None, which: Filter) -> Audience:
    """Read `query`: everybody, a tag's name ("vip", "all VIPs"), or words to compare."""
    text = " ".join((query or "").split())
    plain = text.lower().strip(" .!?")
    if not plain or plain in EVERYBODY:
        return Audience("", which)
    bare = _LED_IN.sub("", plain)
    names = [plain, bare, bare.removesuffix("s"), bare.removesuffix(" contacts"), bare.removesuffix(" people")]
    tag = await contacts.tag_among(db, ctx.tenant.id, names)
    if tag is not None:
        return Audience("", replace(which, tags=[*(which.tags or []), tag]))
    return Audience(text, which)


async def find(
    db: Connection, ctx: Context, audience: Audience, nearness: Nearness, *, offset: int = 0, limit: int
) -> list[FoundRow]:
    """The contacts that `audience` means, best first. Raises `SearchUnavailable` when words can't be embedded.

    An audience (`ADDRESSED`) is complete; a search of a very large list may miss one of the best.
    """
    if nearness.narrow:
        scope = await search.everybody(db, ctx.tenant.id)
    else:
        scope = await search.scope(db, ctx.tenant.id, ctx.embedder.name)
    wanted = await question(ctx, audience.words)
    if not nearness.narrow:
        wanted = replace(wanted, alike=await _alike(db, scope, wanted))
    return await search.ranked(db, scope, audience.which, wanted, nearness, offset=offset, limit=limit)


async def question(ctx: Context, text: str) -> Question:
    """What is compared for some words. Raises `SearchUnavailable`."""
    try:
        (vector,) = await ctx.embedder.embed([asked(text)])
    except EmbeddingError as error:
        raise SearchUnavailable(reason=str(error)) from error
    words = _WORD.findall(text.lower())
    codes = [word for word in words if len(word) > 2 and any(map(str.isdigit, word)) and not _is_number(word)]
    may_be_name = len(words) <= LONGEST_NAME and all(map(_is_letters, words))
    return Question(
        text=text, vector=vector, model=ctx.embedder.name, words=telling_words(text),
        name_words=[word.replace("'", "’") for word in words] if may_be_name else [], code=codes[0] if codes else None,
        phone=phone_of(text, ctx.tenant.country),
    )  # fmt: skip


async def _alike(db: Connection, scope: Scope, wanted: Question) -> dict[UUID, float]:
    """Whose name is nearly the one asked for, and how nearly; nobody when it can't be a name."""
    if not wanted.name_words:
        return {}
    near = await search.named_like(db, scope, wanted.text, wanted.name_words)
    likenesses = {id: likeness_of(full, last, asked) for id, full, last, asked in near}
    return {id: likeness for id, likeness in likenesses.items() if likeness >= ALIKE}


def asked(text: str) -> str:
    """A question as it is embedded. The local model takes a mark at the end as the end of a thought: without one, short
    questions land near to short notes whatever they say (docs/decisions/0005)."""
    return text if text.endswith((".", "!", "?")) else f"{text}!"


def likeness_of(full: str, last: str, asked: str) -> float:
    """How nearly `asked` is a name (the full one, or the last alone): 1 is to the letter, each slip costs its share.

    A slip is a letter too many, too few or wrong, or two that changed places (optimal string alignment).
    """
    return max(OSA.normalized_similarity(name, asked) for name in (full, last))


def telling_words(text: str) -> dict[str, str | None]:
    """The words of a question that may be matched, at most twenty, each with the stem whose forms count as well."""
    words = list(dict.fromkeys(word for word in _WORD.findall(text.lower()) if word not in _FILLERS))[:20]
    return {word: _stem(word) for word in words}


def _stem(word: str) -> str | None:
    """ "restores" also finds "restoring" and "restorer": whatever begins with its stem."""
    stem = re.sub(r"(ations?|ings?|ers?|ed|es|s|e)$", "", word)
    return stem if _is_letters(word) and len(stem) >= 4 else None


def _is_letters(word: str) -> bool:
    return all(letter in "'’-" or unicodedata.category(letter)[0] in "LM" for letter in word)


def _is_number(word: str) -> bool:
    """Codes are told from numbers and years by a letter or a mark in them."""
    return word.isdecimal() and len(word) < 5


def phone_of(text: str, country: str) -> str | None:
    """The text as a phone number in E.164, if it is one."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
