"""Search: who is named comes first, misspelt names are found, one word of several moves little, and each says why."""

from __future__ import annotations

import contextlib
import math

import pytest
from pgvector import HalfVector

from db import contacts, search
from db.contacts import Filter
from db.search import Question, Scope
from tools import BY_NAME, audience
from tools.audience import ADDRESSED, SEARCHED, Audience, likeness_of, telling_words
from tools.base import Context
from tools.contacts import ContactList
from tools.errors import NobodyMatches

PEOPLE = [
    {"email": "siobhan@example.org", "first_name": "Siobhán", "last_name": "Gallagher", "description": "keeps bees"},
    {"email": "jose@example.org", "first_name": "José", "last_name": "Muñoz", "description": "restores clocks"},
    {"email": "will@example.org", "first_name": "Will", "last_name": "Young", "phone_number": "0113 496 0123"},
    {"email": "rose@example.org", "first_name": "Rose", "last_name": "O'Brien", "description": "order HF-2231, a lamp"},
    {"email": "bo@example.org", "first_name": "Bo", "last_name": "Strauß", "description": "gallant old tractors"},
    {"email": "clock@example.org", "description": "winds the town clock, and sells honey at the market"},
]


@pytest.fixture
async def shop(ctx: Context) -> Context:
    for person in PEOPLE:
        await BY_NAME["create_contact"].call(person, ctx)
    return ctx


async def found(ctx: Context, query: str) -> ContactList:
    result = await BY_NAME["search_contacts"].call({"query": query}, ctx)
    assert isinstance(result, ContactList)
    return result


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ("jose munoz", "jose"), ("JOSÉ MUÑOZ", "jose"), ("Munoz", "jose"), ("Will Young", "will"), ("will", "will"),
        ("rose o'brien", "rose"), ("O’Brien", "rose"), ("Strauss", "bo"), ("ROSE@EXAMPLE.ORG", "rose"),
        ("0113 496 0123", "will"), ("+44 113 496 0123", "will"), ("HF-2231", "rose"), ("where is hf-2231?", "rose"),
    ],
)  # fmt: skip
async def test_who_is_named_comes_first_with_or_without_accents(shop: Context, query: str, who: str) -> None:
    assert (await found(shop, query)).contacts[0].email == f"{who}@example.org"


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ("Siobahn Gallaghar", "siobhan"), ("Siobhan Galagher", "siobhan"), ("Galagher", "siobhan"),
        ("Jose Munos", "jose"), ("Wil Yuong", "will"),
    ],
)  # fmt: skip
async def test_a_misspelt_name_is_found_nearly_and_says_so(shop: Context, query: str, who: str) -> None:
    first = (await found(shop, query)).contacts[0]
    assert first.email == f"{who}@example.org"
    assert first.why.startswith("a name like “")


async def test_a_name_that_is_there_is_never_below_one_that_is_like_it(shop: Context) -> None:
    await BY_NAME["create_contact"].call(
        {"email": "other@example.org", "first_name": "Siobhan", "last_name": "Galagher"}, shop
    )
    result = await found(shop, "Siobhan Galagher")
    assert result.contacts[0].email == "other@example.org"
    assert not result.contacts[0].why.startswith("a name like")


async def test_a_question_is_not_taken_for_a_misspelt_name(shop: Context) -> None:
    for query in ("bees", "young", "old clocks", "roses and such things for the garden"):
        assert not [row.why for row in (await found(shop, query)).contacts if row.why.startswith("a name like")], query


@pytest.mark.parametrize(
    ("name", "asked", "likeness"),
    [
        ("siobhan gallagher", "siobhan gallagher", 1.0),
        ("smith", "smiht", 0.8),
        ("smith", "smit", 0.8),
        ("smith", "x", 0.0),
    ],
)
def test_each_slip_costs_its_share(name: str, asked: str, likeness: float) -> None:
    assert likeness_of(name, "", asked) == pytest.approx(likeness)
    assert likeness_of("somebody " + name, name, asked) == pytest.approx(likeness)


async def addressed(ctx: Context, words: str) -> list[str]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        rows = await audience.find(db, ctx, Audience(words, Filter()), ADDRESSED, limit=100)
    return [row.email.partition("@")[0] for row in rows]


async def test_an_audience_is_exactly_who_is_named_and_nobody_by_likeness(shop: Context) -> None:
    for query in ("Siobhan Gallagher", "siobhan@example.org"):
        assert await addressed(shop, query) == ["siobhan"]
    assert await addressed(shop, "0113 496 0123") == ["will"]
    assert "siobhan" not in await addressed(shop, "Siobahn Gallaghar")


async def test_one_word_of_several_moves_little(ctx: Context) -> None:
    """A note that is nearer by .15 stays above one that holds a rare word of two, and below one that holds both."""

    def at(cosine: float) -> HalfVector:
        return HalfVector([cosine, math.sqrt(1 - cosine * cosine), *([0.0] * 766)])

    notes = [("near", "hives", 0.5), ("one", "gallant tractors", 0.35), ("both", "gallant bee", 0.35)]
    notes += [(f"p{number}", "lamp", 0.0) for number in range(40)]
    async with ctx.database.transaction(ctx.tenant.id) as db:
        for email, note, cosine in notes:
            await contacts.add(
                db, ctx.tenant.id, email=f"{email}@example.org", first_name=None, last_name=None, phone_number=None,
                description=note, tags=[], vector=at(cosine), model="m", at=ctx.now(),
            )  # fmt: skip
        question = Question(text="", vector=at(1.0), model="m", words={"gallant": None, "bee": None})
        rows = await search.ranked(db, Scope(ctx.tenant.id), Filter(), question, SEARCHED, limit=10)
    assert [row.email.partition("@")[0] for row in rows] == ["both", "near", "one"]


async def test_each_says_why(shop: Context) -> None:
    why = {row.email.partition("@")[0]: row.why for row in (await found(shop, "honey from the market")).contacts}
    assert why["clock"] == "and sells honey at the market"
    assert (await found(shop, "apiarists")).contacts[0].why == "keeps bees"
    assert (await found(shop, "0113 496 0123")).contacts[0].why == "matches “+441134960123”"


@pytest.mark.parametrize(
    "query",
    [
        "'", "''", "\\", "a'b\\c & | ! <-> :*", "%", "_", "* (", "\\y", ":A", "“ ”", "?", "!", "🐝", "x" * 300, "- - -",
        "o'o'o", "’’’", "the of and", "a&b", "100%", "NULL", "\u0301",
    ],
)  # fmt: skip
async def test_any_text_may_be_asked_for(shop: Context, query: str) -> None:
    assert isinstance(await found(shop, query), ContactList)
    with contextlib.suppress(NobodyMatches):
        await BY_NAME["create_campaign"].call({"name": "X", "audience": query}, shop)


def test_only_whole_words_of_letters_have_forms() -> None:
    assert telling_words("Who restores clocks, HF-2231 or Uhren?") == {
        "restores": "restor", "clocks": "clock", "hf-2231": None, "uhren": "uhren",
    }  # fmt: skip
