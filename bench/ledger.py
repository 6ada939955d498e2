"""Benchmark 2: rows of the ledger begun and finished, without rendering or SMTP.

Ours: `mail.books.Books.keep`, the transaction of the sending loop, with its look at suppressions, contact, campaign
and halt, its roll-up, under the program's role and row-level security. Peer: a procrastinate worker with tasks that do
nothing. Limit: batched SQL on the same table with the same indexes, as a superuser: SKIP LOCKED, one transaction a
batch that finishes the last batch and claims the next, nothing else. Ours and the limit take as many rows at a time.

    python -m bench.ledger [--rows 100000] [--rounds 5] [--batch 100] [--peer-rows 3000]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import psycopg

from bench.measure import Contestant, interleaved, throw_away_server
from bench.sending import LINKS, Shop
from db.deliveries import BEGINNING
from mail import outlets, start
from mail.books import Books
from mail.desk import Desk, Job, Place
from mail.pace import Pace
from mail.smtp import Outcome

OURS, PEER, LIMIT = "ours", "procrastinate", "batched SQL (limit)"
PEERS = Path(".venv-peers/bin")
TAKEN = Outcome("sent", 250, "250 2.0.0 taken")

CLAIM = """
UPDATE deliveries d SET state = 'sending', attempts = attempts + 1, lease_owner = 'limit', updated_at = now()
  FROM (SELECT tenant_id, campaign_id, contact_id FROM deliveries
         WHERE tenant_id = %s AND campaign_id = %s AND state = 'ready' AND next_attempt_at <= now()
           AND (next_attempt_at, contact_id) > (%s, %s)
         ORDER BY next_attempt_at, contact_id LIMIT %s FOR UPDATE SKIP LOCKED) p
 WHERE d.tenant_id = p.tenant_id AND d.campaign_id = p.campaign_id AND d.contact_id = p.contact_id
RETURNING d.contact_id, d.next_attempt_at
"""
FINISH = """
UPDATE deliveries SET state = 'sent', sent_at = now(), smtp_code = 250, smtp_answer = '250 2.0.0 taken',
       lease_owner = NULL, updated_at = now()
 WHERE tenant_id = %s AND campaign_id = %s AND contact_id = ANY (%s)
"""


async def ours(shop: Shop, batch: int) -> float:
    campaign = await shop.approved()
    tenant = shop.ctx.tenant.id
    assert await start.start(shop.ctx.database, tenant, campaign)
    books = Books(shop.ctx.database, "bench", Pace(), LINKS, bounce_address=None, sign=None, only_keeps=False)
    desk, outlet = Desk(tenant), outlets.capture()
    outlet.keeps = False
    trip, problem = await books.trip(desk, campaign)
    assert trip is not None, problem
    started = time.perf_counter()
    while True:
        rows, places = await books.keep(desk, trip, [Place(outlet) for _ in range(batch)])
        if not rows:
            break
        trip.after = max((row.next_attempt_at, row.contact_id) for row in rows)
        for row, place in zip(rows, places, strict=False):
            job = Job(desk, place, row, trip.letters, until=0)
            desk.held[job.key] = job
            job.end(TAKEN, books.pace)
            desk.answered.append(job)
    seconds = time.perf_counter() - started
    assert books.sent == shop.people
    assert await start.finish(shop.ctx.database, tenant, campaign)
    return seconds


async def limit(shop: Shop, batch: int) -> float:
    campaign, tenant = await shop.approved(), shop.ctx.tenant.id
    async with await psycopg.AsyncConnection.connect(shop.url) as connection:
        started = time.perf_counter()
        done, claimed, after = 0, list[UUID](), BEGINNING
        while True:
            async with connection.transaction():
                if claimed:
                    done += (await connection.execute(FINISH, (tenant, campaign, claimed))).rowcount
                rows = await (await connection.execute(CLAIM, (tenant, campaign, *after, batch))).fetchall()
            if not rows and not claimed:
                break
            claimed = [row[0] for row in rows]
            after = max(((row[1], row[0]) for row in rows), default=after)
        seconds = time.perf_counter() - started
    assert done == shop.people
    return seconds


async def main(arguments: argparse.Namespace) -> None:
    with throw_away_server() as url:
        shop = await Shop.open(url, arguments.rows)
        contestants = [
            Contestant(OURS, lambda: ours(shop, arguments.batch)),
            Contestant(LIMIT, lambda: limit(shop, arguments.batch)),
        ]
        if (PEERS / "python").exists():

            async def peer() -> float:
                seconds = await asyncio.to_thread(procrastinate, url, arguments.peer_rows)
                return seconds * float(arguments.rows / arguments.peer_rows)

            contestants.append(Contestant(PEER, peer))
        else:
            print("procrastinate is not there (make bench sets it up); without it only the limit is compared.")
        medians = await interleaved(contestants, arguments.rounds)
        await shop.ctx.database.close()
    print(f"\nBenchmark 2: {arguments.rows:,} rows, {arguments.batch} at a time, medians of {arguments.rounds}")
    for name, seconds in medians.items():
        print(f"{name:<44} {arguments.rows / seconds:10,.0f} rows/s")
    print(f"ours / limit = {medians[LIMIT] / medians[OURS]:.2f} (target >= 0.5)")
    if PEER in medians:
        print(f"ours / peer = {medians[PEER] / medians[OURS]:.0f} (target >= 100)")


def procrastinate(url: str, jobs: int) -> float:
    """Seconds in which a procrastinate worker does `jobs` tasks, as it says itself."""
    script = Path(__file__).parent / "peers" / "procrastinate_worker.py"
    done = subprocess.run(
        [PEERS / "python", script, url, str(jobs)], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--peer-rows", type=int, default=3_000)
    sys.exit(asyncio.run(main(parser.parse_args())))
