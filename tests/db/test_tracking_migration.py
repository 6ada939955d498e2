"""A database of the first version: after the migration its figures are there, and equal a recount."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from db import analytics
from db.migrate import all_migrations, migrate
from db.pool import Database

AT = datetime(2026, 11, 2, 9, 40, tzinfo=UTC)

# Who, what, by whom, how many hours after the first mail.
ANSWERS: list[tuple[int, str, str, int, str | None, float | None]] = [
    (0, "open", "human", 1, None, None), (0, "click", "human", 2, "https://a.example/", None),
    (0, "click", "machine", 2, "https://a.example/", None), (0, "conversion", "human", 3, None, 12.5),
    (1, "open", "machine", 0, None, None), (2, "bounce", "machine", 1, None, None),
]  # fmt: skip


def test_figures_of_the_first_version_are_counted_anew(database_url: str) -> None:
    name = f"old_{uuid4().hex[:8]}"
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    url = make_conninfo(database_url, dbname=name)
    tenant, campaign = uuid4(), uuid4()
    people = [uuid4() for _ in range(4)]
    with psycopg.connect(url) as db:
        db.execute(all_migrations()[0].sql.encode())
        db.execute(
            "CREATE TABLE schema_migrations (name text PRIMARY KEY, fingerprint text NOT NULL,"
            " applied_at timestamptz DEFAULT now())"
        )
        first = all_migrations()[0]
        db.execute("INSERT INTO schema_migrations (name, fingerprint) VALUES (%s, %s)", (first.name, first.fingerprint))
        db.execute("INSERT INTO tenants (id, name) VALUES (%s, 'Old')", (tenant,))
        db.execute("INSERT INTO campaigns (tenant_id, campaign_id, name) VALUES (%s, %s, 'Old')", (tenant, campaign))
        for place, contact in enumerate(people):
            db.execute(
                "INSERT INTO deliveries (tenant_id, campaign_id, contact_id, address, state, sent_at)"
                " VALUES (%s, %s, %s, 'x', 'sent', %s)",
                (tenant, campaign, contact, AT + place * timedelta(minutes=15)),
            )
        for person, kind, who, hours, link, value in ANSWERS:
            db.execute(
                "INSERT INTO events (tenant_id, campaign_id, contact_id, kind, class, at, url, value)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (tenant, campaign, people[person], kind, who, AT + timedelta(hours=hours), link, value),
            )
    assert "0006_tracking" in migrate(url)
    asyncio.run(compare(url, tenant, campaign))
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE {name}".encode())


async def compare(url: str, tenant: UUID, campaign: UUID) -> None:
    database = Database(url, max_size=1)
    await database.open()
    async with database.transaction(tenant) as db:
        hours = await analytics.hours(db, tenant, campaign)
        assert hours == await analytics.recount(db, tenant, campaign)
        assert len(hours) == 4
        links = await analytics.link_counts(db, tenant, campaign)
        assert links == await analytics.recount_links(db, tenant, campaign)
        (totals,) = await analytics.totals(db, tenant, [campaign])
    await database.close()
    assert (totals.sent, totals.opened_and_clicked, totals.conversions, totals.bounced, totals.machine_clicks) == (
        4, 1, 1, 1, 1,
    )  # fmt: skip
    assert totals.first_sent_at == AT
