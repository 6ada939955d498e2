"""A change of the embedding model: nothing is mixed, search goes on by words, and all is made anew in batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from pgvector import HalfVector

from db import vectors
from db.embeddings import EmbeddingError
from tools import BY_NAME
from tools.base import Context
from tools.reembedding import AT_ONCE, count_missing, reembed


class OtherModel:
    """Another model: the local one's vectors turned round, under another name, failing after some batches."""

    name = "another"

    def __init__(self, ctx: Context, batches: int = 1_000) -> None:
        self._embedder, self._batches = ctx.embedder, batches

    async def embed(self, texts: Sequence[str]) -> list[HalfVector]:
        self._batches -= 1
        if self._batches < 0:
            raise EmbeddingError("The endpoint is gone.")
        return [HalfVector([-number for number in row.to_list()]) for row in await self._embedder.embed(texts)]


@pytest.fixture
async def shop(ctx: Context) -> Context:
    rows = "\n".join(f"p{number}@example.org,keeps bee hive number {number}" for number in range(AT_ONCE + 20))
    await BY_NAME["import_contacts"].call({"csv": f"email,note\n{rows}"}, ctx)
    await BY_NAME["create_campaign"].call({"name": "Honey Market", "audience": "everyone"}, ctx)
    await BY_NAME["draft_email"].call({"campaign": "Honey Market"}, ctx)
    return ctx


async def models_in_use(ctx: Context) -> set[str]:
    used: set[str] = set()
    async with ctx.database.transaction(ctx.tenant.id) as db:
        for table in ("contacts", "campaigns", "campaign_emails"):
            cursor = await db.execute(f"SELECT DISTINCT embedding_model FROM {table}".encode())
            used |= {row[0] for row in await cursor.fetchall()}
    return used


async def test_everything_is_made_anew(shop: Context) -> None:
    changed = dataclasses.replace(shop, embedder=OtherModel(shop))
    assert await count_missing(changed) == AT_ONCE + 22
    heard: list[int] = []
    assert await reembed(changed, heard.append) == 0
    assert heard == [AT_ONCE, AT_ONCE + 20, AT_ONCE + 21, AT_ONCE + 22]
    assert await models_in_use(shop) == {"another"}
    assert await reembed(changed, heard.append) == 0
    assert len(heard) == 4


async def test_what_is_stored_is_what_writing_stores(shop: Context) -> None:
    async def stored() -> list[tuple[object, ...]]:
        async with shop.database.transaction(shop.tenant.id) as db:
            cursor = await db.execute(
                "SELECT email_id, vector_embedding::text FROM campaign_emails UNION ALL"
                " SELECT campaign_id, vector_embedding::text FROM campaigns UNION ALL"
                " (SELECT contact_id, vector_embedding::text FROM contacts ORDER BY 1 LIMIT 5) ORDER BY 1"
            )
            return await cursor.fetchall()

    before = await stored()
    async with shop.database.transaction(shop.tenant.id) as db:
        for table in ("contacts", "campaigns", "campaign_emails"):
            await db.execute(f"UPDATE {table} SET vector_embedding = NULL, embedding_model = NULL".encode())
    assert await reembed(shop) == 0
    assert await stored() == before


async def test_search_goes_on_by_words_and_says_so(shop: Context) -> None:
    changed = dataclasses.replace(shop, embedder=OtherModel(shop))
    found = await BY_NAME["search_contacts"].call({"query": "hive"}, changed)
    assert found.incomplete
    assert len(found.contacts) == 20
    assert "smartcampaign reembed" in found.text()
    await reembed(changed)
    assert not (await BY_NAME["search_contacts"].call({"query": "hive"}, changed)).incomplete


async def test_an_endpoint_that_fails_in_the_middle_loses_nothing(shop: Context) -> None:
    changed = dataclasses.replace(shop, embedder=OtherModel(shop, batches=1))
    assert await reembed(changed) == 22
    changed = dataclasses.replace(shop, embedder=OtherModel(shop))
    heard: list[int] = []
    assert await reembed(changed, heard.append) == 0
    assert heard[-1] == 22


def test_every_kind_has_its_queries() -> None:
    assert vectors.NOUNS == ("contacts", "campaigns", "emails")
