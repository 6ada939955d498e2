"""What the tests stand on: one real Postgres for the run, migrated; a fresh tenant for each test."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from db import tenants
from db.embedded import EmbeddedServer
from db.embeddings import LocalEmbedder
from db.migrate import migrate
from db.pool import Database
from tools.base import Actor, Context, Tenant

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)  # a Wednesday


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """The embedded Postgres of this test process, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="sc-test-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def database_url(server: EmbeddedServer) -> str:
    """The URL of a migrated database."""
    url = server.url()
    migrate(url)
    return url


@pytest.fixture(scope="session")
def embedder() -> LocalEmbedder:
    """The real local model, loaded once."""
    return LocalEmbedder()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, max_size=4)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def new_tenant(database_url: str) -> Callable[..., Tenant]:
    """Make a tenant that no other test has."""

    def make(name: str = "Harrow & Finch", time_zone: str = "Europe/London", country: str = "GB") -> Tenant:
        unique = f"{name} {uuid4().hex[:8]}"
        id = tenants.add(database_url, name=unique, time_zone=time_zone, country=country)
        assert id is not None
        return Tenant(id, unique, time_zone, country)

    return make


@pytest.fixture
def ctx(new_tenant: Callable[..., Tenant], database: Database, embedder: LocalEmbedder) -> Context:
    """An owner at the terminal, in a tenant of the test's own, at a fixed time."""
    return Context(tenant=new_tenant(), actor=Actor("Robin"), database=database, embedder=embedder, now=lambda: NOW)
