"""The indexes of large tenants: made and dropped by the owner, used by search, and right with and without them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import numpy
import psycopg
import pytest
from pgvector import HalfVector

from db import bulk, campaigns, contacts, indexes, search, vectors
from db.contacts import Filter
from db.pool import Database
from db.search import Nearness, Question, Scope
from tools.base import Tenant

MODEL, SIZE = "model of this test", 2_000
ALL = Nearness(floor=-9, share=-9, deviations=-9, few_floor=-9, few_share=-9)
KINDS = {"words", "tags", "names", "left", "near"}


def direction(seed: int) -> HalfVector:
    """A question's or a note's vector: near to one of fifty topics."""
    topic = numpy.random.default_rng(seed % 50).normal(size=512)
    numbers = topic + numpy.random.default_rng(seed).normal(size=512) * 0.7
    return HalfVector(numpy.concatenate([numbers / numpy.linalg.norm(numbers), numpy.zeros(256)]))


@pytest.fixture
async def large(database: Database, new_tenant: Callable[..., Tenant]) -> UUID:
    """A tenant of two thousand."""
    tenant = new_tenant().id
    columns = "email first_name last_name phone_number description tags vector_embedding embedding_model"
    rows = [
        (f"p{number}@example.org", "Ada", f"Lovelace{number}", f"+44113{number:07}",
         f"bought lamp HF-{number}{' and a zither' if number % 500 == 7 else ''}",
         ["rare"] if number % 300 == 0 else [], direction(number), MODEL)
        for number in range(SIZE)
    ]  # fmt: skip
    async with database.transaction(tenant) as db:
        await bulk.insert(db, tenant, "contacts", columns, rows)
    return tenant


async def best(
    database: Database, tenant: UUID, question: Question, which: Filter | None = None, *, exact: bool = False,
    limit: int = 10, offset: int = 0,
) -> list[str]:  # fmt: skip
    async with database.transaction(tenant, read_only=True) as db:
        scope = Scope(tenant) if exact else await search.scope(db, tenant, question.model)
        assert exact or scope.size is not None
        rows = await search.ranked(db, scope, which or Filter(), question, ALL, limit=limit, offset=offset)
    return [row.email.partition("@")[0] for row in rows]


def there(database_url: str, tenant: UUID) -> set[str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT split_part(relname, '_', 3) FROM pg_class JOIN pg_index ON indexrelid = oid"
            " WHERE starts_with(relname, %s) AND indisvalid",
            (f"contacts_{tenant.hex}_",),
        ).fetchall()
    return {row[0] for row in rows}


async def test_the_best_are_those_that_comparing_everybody_finds(
    database: Database, database_url: str, large: UUID
) -> None:
    indexes.refresh(database_url, large, MODEL, large=SIZE)
    shares = []
    for seed in range(1_000_000, 1_000_020):
        question = Question(text="lamp", vector=direction(seed), model=MODEL, words={"lamp": None})
        found, exact = [await best(database, large, question, exact=way) for way in (False, True)]
        shares.append(len(set(found) & set(exact)) / 10)
        assert found[0] == exact[0]
    assert sum(shares) / len(shares) >= 0.95


async def test_who_is_named_is_found_wherever_the_vector_lies(
    database: Database, database_url: str, large: UUID
) -> None:
    indexes.refresh(database_url, large, MODEL, large=SIZE)
    far = HalfVector([0.0] * 512 + [1.0] * 256)
    asked = [
        Question(text="Ada Lovelace1234", vector=far, model=MODEL, name_words=["ada", "lovelace1234"]),
        Question(text="lovelace1234", vector=far, model=MODEL, name_words=["lovelace1234"]),
        Question(text="0113 0001234", vector=far, model=MODEL, phone="+441130001234"),
        Question(text="hf-1234", vector=far, model=MODEL, code="hf-1234"),
        Question(text="P1234@example.org", vector=far, model=MODEL, words={"p1234@example.org": None}),
    ]
    for question in asked:
        found, exact = [await best(database, large, question, exact=way) for way in (False, True)]
        assert found[0] == exact[0] == "p1234", question.text
    rare = Question(text="zither", vector=far, model=MODEL, words={"zither": None})
    holders = {f"p{number}" for number in range(7, SIZE, 500)}
    assert set(await best(database, large, rare, limit=len(holders))) == holders


async def test_a_misspelt_name_is_found_by_index(database: Database, database_url: str, large: UUID) -> None:
    indexes.refresh(database_url, large, MODEL, large=SIZE)
    async with database.transaction(large) as db:
        scope = await search.scope(db, large, MODEL)
        near = await search.named_like(db, scope, "Ada Lovelaec1234", ["ada", "lovelaec1234"])
        assert "ada lovelace1234" in [full for _, full, *_ in near]
        assert await search.named_like(db, scope, "Ada Lovelace1234", ["ada", "lovelace1234"]) == []


async def test_filters_lose_nobody(database: Database, database_url: str, large: UUID) -> None:
    indexes.refresh(database_url, large, MODEL, large=SIZE)
    now = datetime(2026, 11, 25, tzinfo=UTC)
    async with database.transaction(large) as db:
        campaign = await campaigns.add(
            db, large, name="Few", description=None, start_date=None, vector=None, model=None, at=now
        )
        assert campaign is not None
        rows = await contacts.page(db, large, Filter(), after=None, limit=SIZE)
        few = [row.contact_id for row in rows if int(row.email[1:].partition("@")[0]) % 100 == 1]
        await campaigns.add_contacts(db, large, campaign, few, at=now)
    question = Question(text="lamp", vector=direction(1_000_007), model=MODEL, words={"lamp": None})
    for which in (Filter(tags=["rare"]), Filter(campaign=campaign), Filter(status="subscribed")):
        found, exact = [await best(database, large, question, which, exact=way) for way in (False, True)]
        assert len(found) == len(exact) >= min(10, SIZE // 300)
        assert len(set(found) & set(exact)) >= len(exact) - 1, which


async def test_later_pages_go_on_where_the_first_ended(database: Database, database_url: str, large: UUID) -> None:
    indexes.refresh(database_url, large, MODEL, large=SIZE)
    question = Question(text="lamp", vector=direction(1_000_008), model=MODEL)
    seen: list[str] = []
    for offset in range(0, 500, 100):
        seen += await best(database, large, question, limit=100, offset=offset)
    assert len(seen) == len(set(seen)) == 500


async def test_a_plan_uses_the_indexes(database: Database, database_url: str, large: UUID) -> None:
    indexes.refresh(database_url, large, MODEL, large=SIZE)
    async with database.transaction(large) as db:
        asked = {
            "near": ("embedding_model = %s ORDER BY vector_embedding <=> %s LIMIT 10", (MODEL, direction(1))),
            "words": ("search @@ 'zither'::tsquery", ()),
            "names": ("name_of(first_name, last_name) %% 'lovelace17'", ()),
            "tags": ("tags @> ARRAY['rare']", ()),
            "left": ("embedding_model IS DISTINCT FROM %s AND description <> '' LIMIT 1", (MODEL,)),
        }
        await db.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = on")
        for kind, (condition, values) in asked.items():
            cursor = await db.execute(
                f"EXPLAIN SELECT contact_id FROM findable_contacts WHERE tenant_id = %s AND {condition}".encode(),
                (large, *values),
                prepare=False,
            )
            plan = "\n".join(row[0] for row in await cursor.fetchall())
            assert f"contacts_{large.hex}_{kind}" in plan, plan
        cursor = await db.execute(
            "EXPLAIN SELECT FROM findable_contacts WHERE tenant_id = %s AND lower(email) = 'p1@example.org'", (large,)
        )
        assert "Index Cond: ((tenant_id = " in (plan := "\n".join(row[0] for row in await cursor.fetchall()))
        assert "lower((email)::text) = 'p1@example.org'" in plan
        assert not await vectors.is_incomplete(db, large, MODEL)


async def test_a_small_tenant_has_none_and_a_smaller_one_loses_them(
    database: Database, database_url: str, large: UUID
) -> None:
    assert indexes.refresh(database_url, large, MODEL).made == []
    assert there(database_url, large) == set()
    made = indexes.refresh(database_url, large, MODEL, large=SIZE)
    assert len(made.made) == len(KINDS)
    assert there(database_url, large) == KINDS
    again = indexes.refresh(database_url, large, MODEL, large=SIZE)
    assert (again.made, again.dropped) == ([], [])
    assert len(indexes.refresh(database_url, large, MODEL, large=SIZE + 1).dropped) == len(KINDS)
    assert there(database_url, large) == set()
    question = Question(text="lamp", vector=direction(1), model=MODEL)
    assert len(await best(database, large, question, exact=True)) == 10


async def test_another_model_has_indexes_of_its_own_and_the_old_ones_go(
    database: Database, database_url: str, large: UUID
) -> None:
    indexes.refresh(database_url, large, MODEL, large=SIZE)
    async with database.transaction(large) as db:
        await db.execute("UPDATE contacts SET embedding_model = 'new' WHERE tenant_id = %s", (large,))
        # Until they are made, everybody is read.
        assert (await search.scope(db, large, "new")).size is None
    refreshed = indexes.refresh(database_url, large, "new", large=SIZE)
    assert {name.split("_")[2] for name in refreshed.made} == {"left", "near"}
    assert {name.split("_")[2] for name in refreshed.dropped} == {"left", "near"}
    question = Question(text="lamp", vector=direction(1), model="new")
    assert len(await best(database, large, question)) == 10


async def test_what_a_kill_left_unfinished_is_not_used_and_made_again(
    database: Database, database_url: str, large: UUID
) -> None:
    made = indexes.refresh(database_url, large, MODEL, large=SIZE).made
    near = next(name for name in made if "_near_" in name)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", (near,))
    async with database.transaction(large) as db:
        assert (await search.scope(db, large, MODEL)).size is None
    again = indexes.refresh(database_url, large, MODEL, large=SIZE)
    assert (again.made, again.dropped) == ([near], [near])
    async with database.transaction(large) as db:
        assert (await search.scope(db, large, MODEL)).size is not None
