"""The background embedder: it wakes when asked, works on after trouble, and stops quickly."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from pgvector import HalfVector

from db.embeddings import EmbeddingError
from interfaces.embedding import BackgroundEmbedder, in_background
from tools import BY_NAME
from tools.base import Context
from tools.imports import tool
from tools.reembedding import count_missing


def notes(count: int) -> str:
    return "email,note\n" + "".join(f"p{number}@example.org,collects card {number}\n" for number in range(count))


class Counting:
    """The real embedder, failing and waiting as told."""

    def __init__(self, ctx: Context, *, failures: int = 0, delay: float = 0) -> None:
        self._embedder, self.failures, self._delay, self.calls = ctx.embedder, failures, delay, 0
        self.name = ctx.embedder.name
        self.second_call = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> list[HalfVector]:
        self.calls += 1
        if self.calls == 2:
            self.second_call.set()
        await asyncio.sleep(self._delay)
        if self.failures:
            self.failures -= 1
            raise EmbeddingError("The endpoint is gone.")
        return await self._embedder.embed(texts)


async def all_made(ctx: Context, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while await count_missing(ctx, "contacts"):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def test_an_import_wakes_it(ctx: Context, monkeypatch: Any) -> None:
    monkeypatch.setattr(tool, "EMBEDDED_WITH_IT", 100)
    background = BackgroundEmbedder(first_look=600)
    door = dataclasses.replace(ctx, embed_later=background.wake)
    async with in_background(door, background):
        result = await BY_NAME["import_contacts"].call({"csv": notes(250)}, door)
        assert (result.without_meaning, result.in_background) == (150, True)
        assert "they are being prepared" in result.text()
        assert await all_made(ctx)


async def test_it_looks_by_itself_for_what_another_program_left(ctx: Context, monkeypatch: Any) -> None:
    monkeypatch.setattr(tool, "EMBEDDED_WITH_IT", 0)
    result = await BY_NAME["import_contacts"].call({"csv": notes(20)}, ctx)
    assert "`smartcampaign reembed` prepares them" in result.text()
    async with in_background(ctx, BackgroundEmbedder(first_look=0)):
        assert await all_made(ctx)


async def test_trouble_never_leaves_it(ctx: Context, monkeypatch: Any) -> None:
    monkeypatch.setattr(tool, "EMBEDDED_WITH_IT", 0)
    await BY_NAME["import_contacts"].call({"csv": notes(20)}, ctx)
    failing = dataclasses.replace(ctx, embedder=Counting(ctx, failures=1))
    background = BackgroundEmbedder(first_look=0)
    async with in_background(failing, background):
        await asyncio.sleep(0.3)
        assert await count_missing(ctx, "contacts") == 20
        background.wake()
        assert await all_made(ctx)
    broken: Any = dataclasses.replace(ctx, database=None)  # type: ignore[arg-type]
    background = BackgroundEmbedder(first_look=0)
    async with in_background(broken, background):
        await asyncio.sleep(0.1)
        background.wake()
        await asyncio.sleep(0.1)


async def test_it_stops_at_once_and_loses_a_batch_at_most(ctx: Context, monkeypatch: Any) -> None:
    monkeypatch.setattr(tool, "EMBEDDED_WITH_IT", 0)
    await BY_NAME["import_contacts"].call({"csv": notes(250)}, ctx)
    slow = Counting(ctx, delay=0.3)
    async with in_background(dataclasses.replace(ctx, embedder=slow), BackgroundEmbedder(first_look=0)):
        await slow.second_call.wait()
        started = time.monotonic()
    assert time.monotonic() - started < 0.25
    assert await count_missing(ctx, "contacts") == 150
