"""How well contact search finds who is meant: `python -m evals.search [--show-failures]`.

The labelled set (evals/cases/search.yaml) is 200 invented contacts, loaded into a tenant of its own as an import would
leave them, and queries that are put to `search_contacts` itself. nDCG@10 has the gain 2^grade - 1 and is counted on
what the tool returns, in its order. Parameters are chosen on the queries of the set "tune" alone; "judge" is for
measuring, and so are the twins (the same question in another language), the exact and the misspelt ones.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from pgvector import HalfVector

from db import bulk, contacts, tenants
from db.contacts import Filter
from db.embedded import EmbeddedServer
from db.embeddings import Embedder, LocalEmbedder
from db.migrate import migrate
from db.pool import Database
from db.search import Nearness
from tools import BY_NAME, audience
from tools.base import Actor, Context, Tenant
from tools.fields import checked_phone
from tools.reembedding import embed_missing

CASES = Path(__file__).parent / "cases" / "search.yaml"

SHOWN = 10


@dataclass(frozen=True)
class Cut:
    """What one cut-off finds of all judged queries: the share of the found that is relevant, of the relevant found."""

    precision: float
    recall: float
    found: float
    """How many it finds for a query, in the median."""


@dataclass
class Report:
    """The figures; nDCG, hits, precision and recall between 0 and 1."""

    meaning: float = 0.0
    meaning_tune: float = 0.0
    by_words_alone: float = 0.0
    by_meaning_alone: float = 0.0
    exact: float = 0.0
    twins: float = 0.0
    twins_in_english: float = 0.0
    misspelt_first: float = 0.0
    misspelt_in_three: float = 0.0
    searched: Cut = field(default_factory=lambda: Cut(0, 0, 0))
    addressed: Cut = field(default_factory=lambda: Cut(0, 0, 0))
    milliseconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join([
            f"meaning, nDCG@10             {self.meaning:.3f}   target >= 0.60 (tune set: {self.meaning_tune:.3f})",
            f"  by keyword search alone    {self.by_words_alone:.3f}",
            f"  by meaning alone           {self.by_meaning_alone:.3f}",
            f"exact, hit@1                 {self.exact:.3f}   target 1.00",
            f"other languages, nDCG@10     {self.twins:.3f}   the same queries in English {self.twins_in_english:.3f}, "
            f"target within 0.05",
            f"misspelt names, hit@1        {self.misspelt_first:.3f}   hit@3 {self.misspelt_in_three:.3f}",
            f"cut-off of a search          precision {self.searched.precision:.2f}, recall {self.searched.recall:.2f}, "
            f"{self.searched.found:.0f} found",
            f"cut-off of an audience       precision {self.addressed.precision:.2f}, "
            f"recall {self.addressed.recall:.2f}, {self.addressed.found:.0f} found",
            f"a search                     {self.milliseconds:.1f} ms",
        ])  # fmt: skip


def cases() -> dict[str, Any]:
    """The labelled set."""
    read: dict[str, Any] = yaml.safe_load(CASES.read_text("utf-8"))
    return read


async def load(ctx: Context, people: list[dict[str, Any]]) -> dict[UUID, str]:
    """Store the set's contacts in the tenant of `ctx`, with their vectors; return whose id is whose in the set."""
    columns = "email first_name last_name phone_number description tags"
    rows = [
        (one["email"], one["first_name"], one["last_name"], checked_phone(one["phone_number"], ctx.tenant.country),
         one["note"], one["tags"])
        for one in people
    ]  # fmt: skip
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await bulk.insert(db, ctx.tenant.id, "contacts", columns, rows)
    left = (await embed_missing(ctx, "contacts")).left
    assert left == 0, f"{left} notes could not be embedded"
    async with ctx.database.transaction(ctx.tenant.id) as db:
        there = await contacts.page(db, ctx.tenant.id, Filter(), after=None, limit=10_000)
    by_email = {one["email"].lower(): one["id"] for one in people}
    return {row.contact_id: by_email[row.email.lower()] for row in there}


async def measure(ctx: Context) -> Report:
    """Load the set into the tenant of `ctx`, which must be empty, and put its queries to the search."""
    given = cases()
    known = await load(ctx, given["contacts"])
    report = Report()
    by_set = {name: [one for one in given["meaning"] if one["set"] == name] for name in ("tune", "judge")}
    judged = by_set["judge"]

    async def found(query: str, limit: int = SHOWN, by: Context = ctx) -> list[str]:
        result = await BY_NAME["search_contacts"].call({"query": query, "limit": limit}, by)
        return [known[row.contact_id] for row in result.contacts]

    gains: dict[str, float] = {}
    taken: list[float] = []
    for one in given["meaning"]:
        started = time.perf_counter()
        best = await found(one["query"])
        taken.append(time.perf_counter() - started)
        gains[one["id"]] = ndcg(best, one["relevant"])
        if gains[one["id"]] < 0.2:
            report.failures.append(f"{gains[one['id']]:.2f}  {one['query']!r}")
    report.milliseconds = statistics.median(taken) * 1000
    report.meaning = statistics.mean(gains[one["id"]] for one in judged)
    report.meaning_tune = statistics.mean(gains[one["id"]] for one in by_set["tune"])
    blind = replace(ctx, embedder=_Blind())
    report.by_words_alone = statistics.mean(
        [ndcg(await found(one["query"], by=blind), one["relevant"]) for one in judged]
    )
    report.by_meaning_alone = statistics.mean(
        [ndcg(await _nearest(ctx, known, one), one["relevant"]) for one in judged]
    )
    exact = [
        (await found(one["query"], by=_in_country(ctx, one.get("country"))))[:1] == [one["first"]]
        for one in given["exact"]
    ]
    report.exact = statistics.mean(exact)
    relevant = {one["id"]: one["relevant"] for one in given["meaning"]}
    report.twins = statistics.mean([ndcg(await found(one["query"]), relevant[one["of"]]) for one in given["twins"]])
    report.twins_in_english = statistics.mean(gains[one["of"]] for one in given["twins"])
    places = [_place(await found(one["query"]), one["first"]) for one in given["misspelt"]]
    report.misspelt_first = statistics.mean(place == 0 for place in places)
    report.misspelt_in_three = statistics.mean(place < 3 for place in places)
    report.searched = await _cut(ctx, known, judged, audience.SEARCHED)
    report.addressed = await _cut(ctx, known, judged, audience.ADDRESSED)
    return report


def ndcg(found: Sequence[str], relevant: dict[str, int]) -> float:
    """Normalised discounted cumulative gain of the first ten, with the gain 2^grade - 1."""

    def gain(grades: Sequence[int]) -> float:
        return sum(float(2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(grades[:SHOWN]))

    return gain([relevant.get(id, 0) for id in found]) / gain(sorted(relevant.values(), reverse=True))


async def _nearest(ctx: Context, known: dict[UUID, str], one: dict[str, Any]) -> list[str]:
    """The order of the vectors alone."""
    async with ctx.database.transaction(ctx.tenant.id) as db:
        question = await audience.question(ctx, one["query"])
        cursor = await db.execute(
            "SELECT contact_id FROM contacts WHERE tenant_id = %s AND vector_embedding IS NOT NULL"
            " ORDER BY vector_embedding <=> %s LIMIT %s",
            (ctx.tenant.id, question.vector, SHOWN),
        )
        return [known[row[0]] for row in await cursor.fetchall()]


async def _cut(ctx: Context, known: dict[UUID, str], judged: list[dict[str, Any]], nearness: Nearness) -> Cut:
    right = named = there = 0
    counts = []
    for one in judged:
        async with ctx.database.transaction(ctx.tenant.id) as db:
            asked = audience.Audience(one["query"], Filter())
            rows = await audience.find(db, ctx, asked, nearness, limit=len(known))
        right += sum(known[row.contact_id] in one["relevant"] for row in rows)
        named += len(rows)
        there += len(one["relevant"])
        counts.append(len(rows))
    return Cut(right / max(1, named), right / there, statistics.median(counts))


def _in_country(ctx: Context, country: str | None) -> Context:
    """National forms of telephone numbers are those of the tenant's country."""
    return replace(ctx, tenant=replace(ctx.tenant, country=country or ctx.tenant.country))


def _place(found: list[str], wanted: str) -> int:
    return found.index(wanted) if wanted in found else len(found) + SHOWN


class _Blind:
    """A model that no note was embedded with: only words are left to compare."""

    name = "none"

    async def embed(self, texts: Sequence[str]) -> list[HalfVector]:
        return [HalfVector([1.0] + [0.0] * 767) for _ in texts]


async def _main(show_failures: bool) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="sc-eval-", ignore_cleanup_errors=True) as folder,
        EmbeddedServer(Path(folder) / "postgres") as server,
    ):
        url = server.url()
        migrate(url)
        id = tenants.add(url, name="Search", time_zone="Europe/London", country="GB")
        assert id is not None
        database = Database(url)
        await database.open()
        embedder: Embedder = LocalEmbedder()
        ctx = Context(
            tenant=Tenant(id, "Search", "Europe/London", "GB"), actor=Actor("eval"), database=database,
            embedder=embedder, now=lambda: datetime.now(UTC),
        )  # fmt: skip
        report = await measure(ctx)
        await database.close()
    print(report.text())
    if show_failures:
        print("\nnDCG below 0.2:\n" + "\n".join(report.failures))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--show-failures", action="store_true")
    asyncio.run(_main(parser.parse_args(arguments).show_failures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
