"""Benchmark 8: an audience and its campaigns on one page, 1M contacts and 10M events.

The page: contacts by status and how many are new, every campaign's totals, the hours of the latest one, and its links.
Ours: the product's functions, which read the roll-up. Limit: one SQL statement by hand that gives the same. Peer: a
loop over the campaigns that counts their mails and events, as code on top of an ORM does; once, for it takes long.

    python -m bench.dashboard [--rounds 200] [--contacts 1000000] [--events 10000000] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from bench.measure import throw_away_server
from db import analytics, tenants
from db.pool import Database

CAMPAIGNS = 20
LINKS = 12

ONE_STATEMENT = b"""
WITH chosen AS (SELECT campaign_id, name, status FROM campaigns WHERE tenant_id = %(tenant)s),
latest AS (SELECT campaign_id FROM campaign_analytics WHERE tenant_id = %(tenant)s AND email_sent_count > 0
            GROUP BY campaign_id ORDER BY max(hour) DESC LIMIT 1)
SELECT (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'subscribed'),
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'unconfirmed'),
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'unsubscribed'),
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'bounced'),
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'complained'),
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND created_at >= %(since)s),
       (SELECT json_agg(t) FROM (
            SELECT c.name, c.status, sum(a.email_sent_count), sum(a.bounce_count), sum(a.email_opened_count),
                   sum(a.link_clicked_count), sum(a.opened_and_clicked_count), sum(a.conversions),
                   sum(a.unsubscribe_count), sum(a.complaint_count), sum(a.total_click_count),
                   sum(a.total_conversion_count), sum(a.conversion_value), sum(a.machine_open_count),
                   sum(a.machine_click_count), min(a.first_sent_at), max(a.last_sent_at)
              FROM chosen c JOIN campaign_analytics a ON a.tenant_id = %(tenant)s AND a.campaign_id = c.campaign_id
             GROUP BY c.campaign_id, c.name, c.status) t),
       (SELECT json_agg(d) FROM (SELECT campaign_id, state, count(*) FROM deliveries
          WHERE tenant_id = %(tenant)s AND campaign_id IN (SELECT campaign_id FROM chosen)
            AND state IN ('failed', 'skipped', 'unknown') GROUP BY 1, 2) d),
       (SELECT count(*) FROM deliveries WHERE tenant_id = %(tenant)s
          AND campaign_id IN (SELECT campaign_id FROM chosen) AND state = 'ready'),
       (SELECT count(*) FROM deliveries WHERE tenant_id = %(tenant)s
          AND campaign_id IN (SELECT campaign_id FROM chosen) AND state IN ('leased', 'sending')),
       (SELECT json_agg(a ORDER BY hour) FROM campaign_analytics a
         WHERE tenant_id = %(tenant)s AND campaign_id IN (SELECT campaign_id FROM latest)),
       (SELECT json_agg(l) FROM (SELECT url, person_count, click_count FROM campaign_links
         WHERE tenant_id = %(tenant)s AND campaign_id IN (SELECT campaign_id FROM latest)
         ORDER BY person_count DESC LIMIT 10) l)
"""


def fill(url: str, tenant: UUID, contacts: int, events: int) -> None:
    """Contacts, and campaigns over the last weeks to four in ten of them, with opens and clicks of the days after."""
    each, mails = events // CAMPAIGNS, max(1, contacts * 4 // 10)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SET synchronous_commit = off")
        db.execute(
            "INSERT INTO contacts (tenant_id, email, status, created_at) "
            "SELECT %s, 'p' || i || '@example.org', CASE WHEN i %% 50 = 0 THEN 'unsubscribed' "
            "WHEN i %% 90 = 0 THEN 'bounced' ELSE 'subscribed' END, now() - (i %% 900) * interval '1 day' "
            "FROM generate_series(1, %s) i",
            (tenant, contacts),
        )
        indexes = db.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'events' AND indexname <> 'events_pkey'"
        ).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}".encode())
        for number in range(CAMPAIGNS):
            row = db.execute(
                "INSERT INTO campaigns (tenant_id, name, status, send_at) "
                "VALUES (%s, %s, 'completed', now() - %s * interval '9 days') RETURNING campaign_id, send_at",
                (tenant, f"Campaign {number}", number + 1),
            ).fetchone()
            assert row is not None
            db.execute(
                "INSERT INTO deliveries (tenant_id, campaign_id, contact_id, address, state, sent_at) "
                "SELECT tenant_id, %s, contact_id, email, CASE WHEN n %% 200 = 0 THEN 'failed' ELSE 'sent' END, "
                "%s + n * interval '20 milliseconds' FROM (SELECT *, row_number() OVER () AS n FROM contacts "
                "WHERE tenant_id = %s OFFSET %s LIMIT %s) c",
                (row[0], row[1], tenant, number * 1_000, mails),
            )
            db.execute(
                "INSERT INTO events (tenant_id, campaign_id, contact_id, kind, class, at, url) "
                "SELECT %s, %s, contact_id, CASE WHEN i %% 7 = 0 THEN 'click' "
                "WHEN i %% 500 = 1 THEN 'unsubscribe' ELSE 'open' END, "
                "CASE WHEN i %% 3 = 0 THEN 'machine' ELSE 'human' END, %s + (i %% 100000) * interval '3 seconds', "
                "CASE WHEN i %% 7 = 0 THEN 'https://shop.example/' || i %% %s END "
                "FROM (SELECT contact_id, row_number() OVER () AS n FROM deliveries WHERE tenant_id = %s "
                "AND campaign_id = %s) d JOIN generate_series(1, %s) i ON d.n = 1 + i %% %s",
                (tenant, row[0], row[1], LINKS, tenant, row[0], each, mails),
            )
            print(f"\r{number + 1} of {CAMPAIGNS} campaigns", end="", flush=True)
        for _, definition in indexes:
            db.execute(definition.encode())
        db.execute("VACUUM (ANALYZE)")
    print()


async def measure(url: str, contacts: int, events: int, rounds: int) -> None:
    tenant = tenants.add(url, name="Bench", time_zone="UTC", country="GB")
    assert tenant is not None
    await asyncio.to_thread(fill, url, tenant, contacts, events)
    database = Database(url)
    await database.open()
    async with database.transaction(tenant) as db:
        ids = [row[0] for row in await (await db.execute("SELECT campaign_id FROM campaigns")).fetchall()]
    for id in ids:
        async with database.transaction(tenant) as db:
            await db.execute("SET LOCAL statement_timeout = '20min'")
            await analytics.roll_up(db, tenant, id)
    since = datetime.now(UTC) - timedelta(days=30)

    async def ours() -> Any:
        async with database.transaction(tenant, read_only=True) as db:
            people = await analytics.audience(db, tenant, since)
            chosen = await analytics.sent_since(db, tenant, None, 50)
            totals = await analytics.totals(db, tenant, chosen)
            hours = await analytics.hours(db, tenant, chosen[0])
            links = await analytics.links(db, tenant, chosen[:1])
        return people.subscribed, len(totals), len(hours), links[0].people

    async def limit() -> Any:
        async with database.transaction(tenant, read_only=True) as db:
            cursor = await db.execute(ONE_STATEMENT, {"tenant": tenant, "since": since})
            row = await cursor.fetchone()
        assert row is not None
        return row[0], len(row[6]), len(row[10]), row[11][0]["person_count"]

    async def peer() -> float:
        began = time.perf_counter()
        async with database.transaction(tenant, read_only=True) as db:
            await db.execute("SET LOCAL statement_timeout = '20min'")
            for id in ids:
                for kind in ("open", "click", "conversion", "bounce", "unsubscribe"):
                    await db.execute(
                        "SELECT count(DISTINCT contact_id) FROM events WHERE tenant_id = %s AND campaign_id = %s"
                        " AND kind = %s AND class <> 'machine'",
                        (tenant, id, kind),
                    )
                await db.execute(
                    "SELECT state, count(*) FROM deliveries WHERE tenant_id = %s AND campaign_id = %s GROUP BY 1",
                    (tenant, id),
                )
        return time.perf_counter() - began

    one, other = await ours(), await limit()
    assert one == other, (one, other)
    times: dict[str, list[float]] = {"ours": [], "one statement": []}
    for number in range(rounds):
        pair = [("ours", ours), ("one statement", limit)]
        for name, run in pair if number % 2 else pair[::-1]:
            began = time.perf_counter()
            await run()
            times[name].append(time.perf_counter() - began)
    loop = await peer()
    await database.close()
    medians = {name: statistics.median(values) for name, values in times.items()}
    p99 = sorted(times["ours"])[int(len(times["ours"]) * 0.99) - 1]
    print(f"\nBenchmark 8: {contacts:,} contacts, {events:,} events, {CAMPAIGNS} campaigns, {rounds} rounds")
    print(f"ours                    {medians['ours'] * 1000:9.1f} ms (p99 {p99 * 1000:.1f} ms)")
    print(f"one statement           {medians['one statement'] * 1000:9.1f} ms")
    print(f"a loop that counts      {loop * 1000:9.1f} ms (once)")
    print(
        f"ours / limit = {medians['ours'] / medians['one statement']:.2f} (target <= 1.20); "
        f"p99 = {p99 * 1000:.0f} ms (target < 100)",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 contacts and 200,000 events")
    given = parser.parse_args()
    with throw_away_server() as url:
        if given.quick:
            asyncio.run(measure(url, 20_000, 200_000, 50))
        else:
            asyncio.run(measure(url, given.contacts, given.events, given.rounds))
