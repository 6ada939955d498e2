"""Benchmark 5: the ten best contacts for a question, in tenants of 50, 20,000 and 1,000,000 contacts of one database.

Ours: the search as `search_contacts` makes it, in its transaction under row-level security; and the whole tool, with
embedding the question, misspelt names and the reasons. Peer: langchain-postgres with a metadata filter, its documented
HNSW index, the same vectors, meaning alone. Limit: hand-written SQL for one tenant, with the same indexes and rights:
meaning and words, and the ten nearest vectors alone. What is measured leaves embedding out, but for the whole tool.
Recall@10 is against comparing every row with the same scoring.

The contacts' vectors are those of 4,000 notes that were embedded really, each moved a little, so that no two are alike
(bench/people.py).

    python -m bench.contact_search [--quick] [--rounds 7]     --quick: without the million
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from bench.measure import Contestant, interleaved, throw_away_server
from bench.people import People
from db import indexes, search, tenants
from db.contacts import Filter
from db.pool import Connection, Database
from db.search import Question, Scope
from tools import BY_NAME, audience
from tools.base import Actor, Context, Tenant

SIZES = (50, 20_000, 1_000_000)

# The peer's own load and index of a million take longer than the rest of this benchmark.
MOST_FOR_PEER = 20_000

PEER_PYTHON = Path(".venv-peers/bin/python")

# Asked in every round, one after the other; a round's time is their mean.
QUESTIONS = (
    "old clocks", "bees and honey", "brass lamps for a hotel", "restores furniture", "plays the violin at weekends",
    "alte Uhren", "moves to Bristol", "steam engines in a barn", "speaks Dutch", "war medals",
    "pays in advance and wants a catalogue", "vintage tractors", "something for the church", "boats",
    "collects stamps since retiring", "theatre people", "keeps a museum", "wine", "order HF-242", "reads old books",
)  # fmt: skip

COPY = """
COPY contacts (tenant_id, email, first_name, last_name, phone_number, description, vector_embedding, embedding_model)
FROM STDIN (FORMAT binary)
"""

NEAREST = """
SELECT contact_id FROM contacts WHERE tenant_id = '{tenant}' AND embedding_model = '{model}'
 ORDER BY vector_embedding <=> %(vector)s LIMIT 10
"""

EVERY_ROW = """
WITH words AS MATERIALIZED (
    SELECT asked::tsquery AS asked,
           1 - ln(1 + (SELECT count(*) FROM contacts WHERE tenant_id = '{tenant}' AND search @@ asked::tsquery))
             / ln(2 + (SELECT count(*) FROM contacts WHERE tenant_id = '{tenant}')) AS rarity
      FROM unnest(%(lexemes)s::text[]) AS asked
)
SELECT c.*, 1 - (vector_embedding <=> %(vector)s)
            + 0.5 * (coalesce((SELECT sum(rarity) FROM words WHERE search @@ asked), 0) / %(count)s) ^ 2 AS score
  FROM contacts c WHERE tenant_id = '{tenant}' AND embedding_model = '{model}'
 ORDER BY score DESC LIMIT 10
"""

BY_INDEX = """
WITH nearest AS MATERIALIZED (
    SELECT contact_id FROM findable_contacts WHERE tenant_id = '{tenant}' AND embedding_model = '{model}'
     ORDER BY vector_embedding <=> %(vector)s LIMIT {breadth}
),
words AS MATERIALIZED (
    SELECT asked, ids, 1 - ln(1 + coalesce(cardinality(ids), 0)) / ln(2 + {size}) AS rarity
      FROM unnest(%(lexemes)s::tsquery[]) AS asked LEFT JOIN LATERAL (
           SELECT array_agg(contact_id) AS ids FROM (
                SELECT contact_id FROM findable_contacts WHERE tenant_id = '{tenant}' AND search @@ asked LIMIT 300
           ) AS some_of_them) AS found ON true
),
candidates AS (SELECT contact_id FROM nearest UNION SELECT unnest(ids) FROM words WHERE cardinality(ids) < 300)
SELECT c.*, 1 - (vector_embedding <=> %(vector)s)
            + 0.5 * (coalesce((SELECT sum(rarity) FROM words WHERE search @@ asked), 0) / %(count)s) ^ 2 AS score
  FROM contacts c JOIN candidates USING (contact_id) WHERE tenant_id = '{tenant}'
 ORDER BY score DESC LIMIT 10
"""


@dataclass
class Peopled:
    """A tenant of the benchmark, and what a search in it needs."""

    ctx: Context
    size: int
    questions: list[Question]


async def main(sizes: tuple[int, ...], rounds: int) -> None:
    with throw_away_server() as url:
        database = Database(url)
        await database.open()
        people = People()
        peopled = [await _people(url, database, people, size) for size in sizes]
        peer = _start_peer(url, [one for one in peopled if one.size <= MOST_FOR_PEER])
        if peer is None:
            print("The peer is not installed (make .venv-peers/.installed), so it is left out.")
        for one in peopled:
            await _measure(one, peer if one.size <= MOST_FOR_PEER else None, rounds)
        if peer is not None:
            peer.close()
        await database.close()


async def _people(url: str, database: Database, people: People, size: int) -> Peopled:
    name = f"{size:,}"
    id = tenants.add(url, name=name, time_zone="UTC", country="GB")
    assert id is not None
    ctx = Context(
        tenant=Tenant(id, name), actor=Actor("bench"), database=database, embedder=people.model,
        now=lambda: datetime.now(UTC),
    )  # fmt: skip
    started = time.perf_counter()
    with psycopg.connect(url) as connection:
        register_vector(connection)
        # The owner is a superuser here, so COPY is allowed.
        for rows, vectors in people.make(size, seed=len(name)):
            with connection.cursor().copy(COPY) as copy:
                copy.set_types(["uuid", *["varchar"] * 4, "text", "halfvec", "text"])
                for row, vector in zip(rows, vectors, strict=True):
                    copy.write_row((id, *row, HalfVector(vector), people.model.name))
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE contacts")
    loaded = time.perf_counter() - started
    built = await asyncio.to_thread(indexes.refresh, url, id, people.model.name)
    print(f"{name} contacts: loaded in {loaded:.0f} s", end="")
    if built.made:
        with psycopg.connect(url) as connection:
            sizes = connection.execute(
                "SELECT split_part(relname, '_', 3), pg_relation_size(oid) FROM pg_class WHERE relname = ANY (%s)",
                (built.made,),
            ).fetchall()
        each = ", ".join(f"{kind} {bytes / 1e6:.0f} MB" for kind, bytes in sizes)
        print(f", indexed in {built.seconds:.0f} s ({each})", end="")
    print(flush=True)
    return Peopled(ctx, size, [await audience.question(ctx, text) for text in QUESTIONS])


async def _measure(one: Peopled, peer: Peer | None, rounds: int) -> None:
    ctx = one.ctx
    recall, of_peer, exact_seconds = await _recall(one, peer)
    breadth = Scope(ctx.tenant.id, one.size).breadth

    async def ours(question: Question) -> None:
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            await _best(db, ctx, question, complete=False)

    async def tool(question: Question) -> None:
        await BY_NAME["search_contacts"].call({"query": question.text, "limit": 10}, ctx)

    def written(statement: str) -> Callable[[Question], Awaitable[None]]:
        text = statement.format(tenant=ctx.tenant.id, model=ctx.embedder.name, size=one.size, breadth=breadth).encode()

        async def run(question: Question) -> None:
            async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
                if statement is BY_INDEX:
                    await db.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(breadth),))
                await (await db.execute(text, _given(question), prepare=False)).fetchall()

        return run

    by_words = EVERY_ROW if one.size < indexes.LARGE else BY_INDEX
    names = {
        "ours": ours, "ours, the whole tool": tool, "hand-written, meaning and words (limit)": written(by_words),
        "hand-written, nearest vectors alone": written(NEAREST),
    }  # fmt: skip
    contestants = [Contestant(name, _timed(one.questions, run)) for name, run in names.items()]
    if peer is not None:

        async def theirs() -> float:
            answers = [peer.ask(ctx.tenant.id, question) for question in one.questions]
            return statistics.mean(float(answer["seconds"]) for answer in answers)

        contestants.append(Contestant("langchain-postgres, meaning alone", theirs))
    medians = await interleaved(contestants, rounds)
    print(
        f"\nBenchmark 5: {one.size:,} contacts, a search, medians of {rounds} rounds of {len(one.questions)} questions"
    )
    for name, seconds in medians.items():
        print(f"  {name:<44} {seconds * 1000:9.2f} ms")
    print(f"  {'every row compared':<44} {exact_seconds * 1000:9.2f} ms")
    ratio = medians["ours"] / medians["hand-written, meaning and words (limit)"]
    print(f"  ours / limit = {ratio:.2f} (target <= 1.30); recall@10 = {recall:.3f} (target >= 0.95)")
    if peer is not None:
        theirs_to_ours = medians["langchain-postgres, meaning alone"] / medians["ours"]
        print(f"  peer / ours = {theirs_to_ours:.2f}; the peer's recall@10 of the nearest = {of_peer:.3f}")
    elif one.size > MOST_FOR_PEER:
        print("  peer: not measured; loading and indexing a million takes it longer than this benchmark")
    print(flush=True)


def _timed(questions: list[Question], run: Callable[[Question], Awaitable[None]]) -> Callable[[], Awaitable[float]]:
    async def round() -> float:
        started = time.perf_counter()
        for question in questions:
            await run(question)
        return (time.perf_counter() - started) / len(questions)

    return round


async def _recall(one: Peopled, peer: Peer | None) -> tuple[float, float, float]:
    """Ours and the peer's share of the ten that comparing every row finds, and the median seconds that takes."""
    ctx, shares, of_peer, seconds = one.ctx, [], [], []
    nearest = NEAREST.format(tenant=ctx.tenant.id, model=ctx.embedder.name).encode()
    for question in one.questions:
        async with ctx.database.transaction(ctx.tenant.id) as db:
            best = await _best(db, ctx, question, complete=False)
        async with ctx.database.transaction(ctx.tenant.id) as db:
            started = time.perf_counter()
            exact = await _best(db, ctx, question, complete=True)
            seconds.append(time.perf_counter() - started)
            if peer is not None:
                await db.execute("SET LOCAL enable_indexscan = off")
                cursor = await db.execute(nearest, _given(question), prepare=False)
                there = {str(row[0]) for row in await cursor.fetchall()}
                of_peer.append(len(there & set(peer.ask(ctx.tenant.id, question)["ids"])) / len(there))
        shares.append(len(exact & best) / max(1, len(exact)))
    return statistics.mean(shares), statistics.mean(of_peer) if of_peer else 0.0, statistics.median(seconds)


async def _best(db: Connection, ctx: Context, question: Question, *, complete: bool) -> set[UUID]:
    if complete:
        scope = await search.everybody(db, ctx.tenant.id)
    else:
        scope = await search.scope(db, ctx.tenant.id, ctx.embedder.name)
    rows = await search.ranked(db, scope, Filter(), question, audience.SEARCHED, limit=10)
    return {row.contact_id for row in rows}


def _given(question: Question) -> dict[str, Any]:
    lexemes = [
        f"'{word}' | '{stem}':*" if stem else " <-> ".join(f"'{part}'" for part in word.replace("-", " -").split())
        for word, stem in question.words.items()
    ]
    return {"vector": question.vector, "lexemes": lexemes, "count": max(1, len(lexemes))}


def _start_peer(url: str, peopled: list[Peopled]) -> Peer | None:
    return Peer(url, peopled) if PEER_PYTHON.exists() else None


class Peer:
    """The peer's process, with the same vectors in a table of its own."""

    def __init__(self, url: str, peopled: list[Peopled]) -> None:
        parts = psycopg.conninfo.conninfo_to_dict(url)
        host = quote(str(parts["host"]), safe="")
        theirs = f"postgresql+psycopg://{parts['user']}@/{parts['dbname']}?host={host}&port={parts['port']}"
        self._process = subprocess.Popen(
            [PEER_PYTHON, "bench/peers/langchain_search.py", theirs, "peer_notes"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._read()
        self._tell({"places": 512})
        with psycopg.connect(url) as connection:
            for one in peopled:
                connection.execute(
                    "INSERT INTO peer_notes (langchain_id, content, embedding, tenant)"
                    " SELECT contact_id, description, subvector(vector_embedding, 1, 512)::vector(512), tenant_id::text"
                    " FROM contacts WHERE tenant_id = %s",
                    (one.ctx.tenant.id,),
                )
        self._tell({})

    def ask(self, tenant: UUID, question: Question) -> Any:
        return self._tell({"tenant": str(tenant), "vector": question.vector.to_list()[:512]})

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def _tell(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The peer has ended; see what it said above.")
        return json.loads(line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the million")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    random.seed(5)
    asyncio.run(main(SIZES[:2] if chosen.quick else SIZES, chosen.rounds))
