"""Benchmark 3: a CSV of contacts, as people have them, parsed, checked, merged and stored.

Ours: `read_file` and `write_in_batches`, as `smartcampaign import` runs them (without embedding, which the product does
afterwards), under the program's role and row-level security. Peer: csv.DictReader and executemany of one INSERT ..
ON CONFLICT, which checks nothing. Limit: COPY of the rows that ours would store, clean and in COPY's own form, into the
same table with the same indexes, as a superuser (COPY is refused under row-level security).

The file: notes, tags, phone numbers in several forms, 1 % bad rows, 2 % addresses that come twice. At the end ours
imports the whole million once, with its memory measured on the way.

    python -m bench.import_contacts [--rounds 5] [--rows 200000] [--whole 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

import psycopg

from bench.measure import Contestant, interleaved, throw_away_server
from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from tools.base import Actor, Context, Tenant
from tools.imports.reading import Options, Reading, read_file
from tools.imports.writing import Written, audited, write_in_batches

OURS, PEER, LIMIT = "ours", "executemany, nothing checked", "COPY of clean rows (limit)"

HEADER = ["Email Address", "First Name", "Last Name", "Phone", "Notes", "Tags", "Status"]


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "Ada Grace Alan Rosa Jürgen Zoé Nuala Rowena Kenta Lieke Jago Evelyn Stuart Charity Raymond Dot "
    "Ursula Trudy Ken Miren Paolo Inês Björn Amira"
)
_LAST = _words(
    "Lovelace Hopper Turing Groß Müller McAteer Stubbs Tredwell Smeets Nancarrow Cowperthwaite "
    "Mensah Sykes Micawber Kemp Openshaw Hargreave Etxeberria Bianchi Araújo"
)
_DOMAINS = ("example.org", "example.net", "mail.example.com", "meadow.example", "Uni.Example.EDU", "shop.example.de")
_WORDS = _words(
    "restores old clocks collects punched cards keeps bees oak table wants delivery before Christmas "
    "asked about brass lamps repair walnut chairs moved to Leeds last spring prefers letters bought "
    "two kitchen shelves garden wedding grandfather shipyard tea pottery sewing machine vintage "
    "radio"
)
_TAGS = ("vip", "trade", "newsletter", "fair 2025", "lamps", "garden")
_BAD = ("", "nobody", "two@@example.org", "spaces in@example.org", "trailing@dot.", "@example.org")


def main(rounds: int, rows: int, whole: int) -> None:
    with tempfile.TemporaryDirectory(prefix="sc-bench-") as folder, throw_away_server() as url:
        asyncio.run(_measure(url, Path(folder), rounds, rows, whole))


async def _measure(url: str, folder: Path, rounds: int, rows: int, whole: int) -> None:
    id = tenants.add(url, name="Bench", time_zone="UTC", country="GB")
    assert id is not None
    database = Database(url)
    await database.open()
    ctx = Context(
        tenant=Tenant(id, "Bench", country="GB"), actor=Actor("bench"), database=database, embedder=LocalEmbedder(),
        now=lambda: datetime.now(UTC),
    )  # fmt: skip
    file, clean = folder / "people.csv", folder / "clean.copy"
    size = _write_file(file, rows)
    with read_file(file, Options(country="GB")) as reading:
        stored = _write_clean(reading, id, clean)

    async def ours() -> float:
        _empty(url)
        started = time.perf_counter()
        written = await _import(ctx, file)
        seconds = time.perf_counter() - started
        assert written.created == stored == _count(url)
        return seconds

    async def peer() -> float:
        _empty(url)
        started = time.perf_counter()
        await asyncio.to_thread(_executemany, url, id, file)
        return time.perf_counter() - started

    async def limit() -> float:
        _empty(url)
        started = time.perf_counter()
        await asyncio.to_thread(_copy, url, clean)
        seconds = time.perf_counter() - started
        assert _count(url) == stored
        return seconds

    medians = await interleaved([Contestant(OURS, ours), Contestant(PEER, peer), Contestant(LIMIT, limit)], rounds)
    print(f"\nBenchmark 3: a CSV of {rows:,} rows ({size / 1e6:.0f} MB), medians of {rounds}")
    for name, seconds in medians.items():
        print(f"{name:<44} {seconds:8.2f} s {rows / seconds:10,.0f} rows/s")
    print(
        f"ours / limit = {medians[LIMIT] / medians[OURS]:.2f} (target >= 0.60); "
        f"ours / peer = {medians[PEER] / medians[OURS]:.2f}",
        flush=True,
    )
    if whole:
        await _whole(ctx, url, folder, whole)
    await database.close()


async def _whole(ctx: Context, url: str, folder: Path, rows: int) -> None:
    """Everything once, beside COPY, and what memory it takes from its first tenth to its last."""
    file, clean = folder / "people.csv", folder / "clean.copy"
    size = _write_file(file, rows)
    _empty(url)
    samples: list[float] = []

    async def sample() -> None:
        while True:
            samples.append(_resident())
            await asyncio.sleep(0.2)

    watch = asyncio.create_task(sample())
    started = time.perf_counter()
    written = await _import(ctx, file)
    seconds = time.perf_counter() - started
    watch.cancel()
    with read_file(file, Options(country="GB")) as reading:
        _write_clean(reading, ctx.tenant.id, clean)
    _empty(url)
    started = time.perf_counter()
    await asyncio.to_thread(_copy, url, clean)
    limit = time.perf_counter() - started
    tenths = [max(samples[i * len(samples) // 10 : (i + 1) * len(samples) // 10] or [0]) for i in range(10)]
    print(f"\n{rows:,} rows ({size / 1e6:.0f} MB) at once: {seconds:.1f} s, {rows / seconds:,.0f} rows/s, "
          f"{written.created:,} contacts; COPY: {limit:.1f} s; ours / limit = {limit / seconds:.2f}")  # fmt: skip
    print(f"resident memory in MB, the highest of each tenth of the time: {', '.join(f'{mb:.0f}' for mb in tenths)}")


async def _import(ctx: Context, file: Path) -> Written:
    written = Written()
    with ExitStack() as stack:
        reading = await asyncio.to_thread(stack.enter_context, read_file(file, Options(country="GB")))
        async with audited(ctx) as recorded:
            await write_in_batches(recorded, reading, written)
    return written


def _executemany(url: str, tenant: UUID, file: Path) -> None:
    """What most scripts do. Only rows without an @ are left out: one of them would end the whole import."""
    statement = """
        INSERT INTO contacts AS c (tenant_id, email, first_name, last_name, phone_number, description, tags)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (tenant_id, lower(email)) DO UPDATE
           SET first_name = coalesce(excluded.first_name, c.first_name), last_name = excluded.last_name,
               phone_number = excluded.phone_number, description = excluded.description, tags = excluded.tags"""
    with psycopg.connect(url) as connection, file.open(encoding="utf-8", newline="") as text:
        rows = (
            (tenant, row["Email Address"], row["First Name"], row["Last Name"], row["Phone"][:20] or None, row["Notes"],
             row["Tags"].split(";"))
            for row in csv.DictReader(text) if "@" in row["Email Address"]
        )  # fmt: skip
        with connection.cursor() as cursor:
            while batch := list(islice(rows, 1_000)):
                cursor.executemany(statement, batch)


def _copy(url: str, clean: Path) -> None:
    with psycopg.connect(url) as connection, clean.open("rb") as data, connection.cursor().copy(_COPY) as copy:
        while block := data.read(1 << 18):
            copy.write(block)


_COPY = "COPY contacts (tenant_id, email, first_name, last_name, phone_number, description, tags, status) FROM STDIN"


def _write_clean(reading: Reading, tenant: UUID, clean: Path) -> int:
    """The good rows in COPY's text form; how many there are."""
    count = 0
    with clean.open("w", encoding="utf-8") as file:
        for batch in reading.spool.batches(10_000):
            for _, email, first, last, phone, note, tags, status, _, _ in batch:
                cells = [email, first, last, phone, note, "{" + _quoted(tags) + "}", status or "subscribed"]
                file.write("\t".join([str(tenant), *(_escaped(cell) for cell in cells)]) + "\n")
            count += len(batch)
    return count


def _quoted(tags: str | None) -> str:
    return ",".join(f'"{tag}"' for tag in tags.split(",")) if tags else ""


def _escaped(cell: str | None) -> str:
    return r"\N" if cell is None else cell.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _write_file(file: Path, rows: int) -> int:
    """Write the list; its size in bytes."""
    with file.open("w", encoding="utf-8", newline="") as text:
        table = csv.writer(text)
        table.writerow(HEADER)
        table.writerows(_people(rows))
    return file.stat().st_size


def _people(rows: int) -> Iterator[list[str]]:
    """The same people every time."""
    chance = random.Random(3)
    for number in range(rows):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        luck = chance.random()
        if luck < 0.01:
            email = chance.choice(_BAD)
        else:
            # Two in a hundred are somebody who was there before.
            who = chance.randrange(number) if number and luck < 0.03 else number
            email = f"p.person{who}@{_DOMAINS[who % len(_DOMAINS)]}"
        note = " ".join(chance.choices(_WORDS, k=chance.randint(4, 16))) if chance.random() < 0.7 else ""
        tags = "; ".join(chance.sample(_TAGS, chance.randint(0, 3)))
        yield [email, first, last, _phone(chance), note, tags, "unsubscribed" if chance.random() < 0.01 else ""]


def _phone(chance: random.Random) -> str:
    digits = f"{chance.randrange(1_000_000):06d}"
    forms = ("", "", f"0113 4{digits}", f"+44 113 4{digits[:3]} {digits[3:]}", f"(0113) 4{digits[:2]}-{digits[2:]}",
             f"+44 (0)113 4{digits}", f"07700 9{digits[1:]}", f"+49 170 1{digits}", "ask her husband")  # fmt: skip
    return chance.choices(forms, weights=(20, 10, 20, 15, 10, 5, 15, 4, 1))[0]


def _empty(url: str) -> None:
    """An empty table, and a server that has nothing left to do from the round before."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE contacts, suppressions CASCADE")
        connection.execute("CHECKPOINT")


def _count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM contacts").fetchone()
    assert row is not None
    return int(row[0])


def _resident() -> float:
    """This process' memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--whole", type=int, default=1_000_000)
    given = parser.parse_args()
    main(given.rounds, given.rows, given.whole)
