"""A large write is known to the planner at once, not when autovacuum comes by."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from db import tenants
from db.embedded import EmbeddedServer
from db.embeddings import LocalEmbedder
from db.migrate import migrate
from db.pool import Database
from tests.conftest import NOW
from tools import BY_NAME
from tools.base import Actor, Context, Tenant

PEOPLE = 2_500


@pytest.fixture
def own_url(server: EmbeddedServer) -> Iterator[str]:
    """A database where nothing was analysed before, and nobody does it by the way."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE statistics")
        url = server.url("statistics")
        migrate(url)
        with psycopg.connect(url) as own:
            for table in ("contacts", "campaign_contacts"):
                own.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        yield url
        connection.execute("DROP DATABASE statistics WITH (FORCE)")


def believed(url: str, table: str) -> float:
    """How many rows the planner counts on; -1 for a table that was never looked at."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", (table,)).fetchone()
        assert row is not None
        return float(row[0])


async def test_after_an_import_and_a_full_campaign_postgres_knows(own_url: str, embedder: LocalEmbedder) -> None:
    id = tenants.add(own_url, name="Harrow & Finch", time_zone="Europe/London", country="GB")
    assert id is not None
    database = Database(own_url)
    await database.open()
    try:
        ctx = Context(
            tenant=Tenant(id, "Harrow & Finch", "Europe/London", "GB"), actor=Actor("Robin"), database=database,
            embedder=embedder, now=lambda: NOW,
        )  # fmt: skip
        few = "email\n" + "\n".join(f"early{number}@example.org" for number in range(10))
        await BY_NAME["import_contacts"].call({"csv": few}, ctx)
        assert believed(own_url, "contacts") <= 0, "a small write is not worth a look"
        csv = "email\n" + "\n".join(f"p{number}@example.org" for number in range(PEOPLE))
        await BY_NAME["import_contacts"].call({"csv": csv}, ctx)
        assert believed(own_url, "contacts") >= PEOPLE
        await BY_NAME["create_campaign"].call({"name": "Harvest Fair", "audience": "everyone"}, ctx)
        assert believed(own_url, "campaign_contacts") >= PEOPLE
    finally:
        await database.close()


def test_the_programs_role_may_look_at_these_tables_only(own_url: str) -> None:
    with psycopg.connect(own_url) as connection:
        connection.execute("SET ROLE smartcampaign_app")
        connection.execute("SELECT refresh_statistics('{contacts,audit_log}', 1000000)")
    assert believed(own_url, "audit_log") == -1
