"""Who is meant: words in, contacts out. Search and every tool that takes an audience share it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import phonenumbers

from db import contacts
from db.contacts import Filter, FoundRow, Nearness
from db.embeddings import EmbeddingError
from db.pool import Connection
from tools.base import Context
from tools.errors import SearchUnavailable

# A search shows whom it may be; an audience gets mail, so it takes only who stands out more. Chosen on the sample's
# judged contacts (docs/decisions/0005).
SEARCHED = Nearness(floor=0.12, share=0.3, deviations=1.5, few_floor=0.15, few_share=0.4)
ADDRESSED = Nearness(floor=0.15, share=0.65, deviations=2.0, few_floor=0.2, few_share=0.65)

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
    tags = {tag.lower(): tag for tag in await contacts.all_tags(db, ctx.tenant.id)}
    for word in (
        plain,
        bare,
        bare.removesuffix("s"),
        bare.removesuffix(" contacts"),
        bare.removesuffix(" people"),
    ):
        if word in tags:
            return Audience("", replace(which, tags=[*(which.tags or []), tags[word]]))
    return Audience(text, which)


async def find(
    db: Connection, ctx: Context, audience: Audience, nearness: Nearness, *, offset: int = 0, limit: int
) -> list[FoundRow]:
    """The contacts that `audience` means, best first. Raises `SearchUnavailable` when words can't be embedded."""
    try:
        (vector,) = await ctx.embedder.embed([audience.words])
    except EmbeddingError as error:
        raise SearchUnavailable(reason=str(error)) from error
    return await contacts.search(
        db, ctx.tenant.id, audience.which, query=audience.words, words=telling_words(audience.words),
        phone=phone_of(audience.words, ctx.tenant.country), vector=vector, model=ctx.embedder.name, nearness=nearness,
        offset=offset, limit=limit,
    )  # fmt: skip


def telling_words(text: str) -> dict[str, str]:
    """The words of a question that may be matched, at most twenty, each with the tsquery that finds its forms."""
    found = re.findall(r"[\w][\w.@+'-]*[\w]|\w", text.lower())
    words = list(dict.fromkeys(word for word in found if word not in _FILLERS))[:20]
    return {word: _forms(word) for word in words}


def _forms(word: str) -> str:
    """ "restores" also finds "restoring" and "restorer": the word, or whatever begins with its stem."""
    quoted = "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
    stem = re.sub(r"(ations?|ings?|ers?|ed|es|s|e)$", "", word)
    if word.isascii() and word.isalpha() and len(stem) >= 4:
        return f"{quoted} | '{stem}':*"
    return quoted


def phone_of(text: str, country: str) -> str | None:
    """The text as a phone number in E.164, if it is one."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
