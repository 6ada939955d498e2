"""Settings to a running program: the embedded Postgres, or somebody else's over TCP."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from pydantic import SecretStr

from db.embedded import EmbeddedServer
from db.pool import DatabaseUnavailable
from interfaces.settings import BadSettings, Settings, read
from interfaces.wiring import open_program
from tools import BY_NAME
from tools.base import Actor

PERSON = Actor("Robin")


@pytest.fixture
def home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="sc-wiring-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def theirs() -> Iterator[str]:
    """A Postgres that is not ours, over TCP: its database's owner is no superuser."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        TemporaryDirectory(prefix="sc-theirs-", ignore_cleanup_errors=True) as name,
        EmbeddedServer(Path(name) / "postgres", port=port) as server,
    ):
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE shop LOGIN CREATEROLE PASSWORD 'secret'")
            connection.execute("CREATE DATABASE shop OWNER shop")
        with psycopg.connect(server.url("shop"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        yield f"postgresql://shop:secret@127.0.0.1:{port}/shop"


async def add_ada(settings: Settings) -> list[str]:
    async with open_program(settings, PERSON) as program:
        ctx = program.context()
        await BY_NAME["create_contact"].call({"email": "ada@example.org"}, ctx)
        found = await BY_NAME["search_contacts"].call({}, ctx)
        return [contact.email for contact in found.contacts]


async def test_without_settings_a_postgres_comes_along(home: Path) -> None:
    assert await add_ada(Settings(home=home)) == ["ada@example.org"]
    assert not (home / "postgres" / "data" / "postmaster.pid").exists()


async def test_somebody_elses_postgres_over_tcp(home: Path, theirs: str) -> None:
    assert await add_ada(Settings(home=home, database_url=SecretStr(theirs))) == ["ada@example.org"]
    assert not (home / "postgres").exists()
    with psycopg.connect(theirs) as connection:
        # The owner of the tables is held to row-level security as well: no tenant, no rows.
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (0,)


async def test_a_database_that_does_not_answer_is_said_without_the_password(home: Path) -> None:
    settings = Settings(home=home, database_url=SecretStr("postgresql://shop:secret@127.0.0.1:1/shop"))
    with pytest.raises((DatabaseUnavailable, psycopg.OperationalError)) as failed:
        async with open_program(settings, PERSON):
            pass
    assert "secret" not in str(failed.value)


async def test_a_killed_server_is_started_again_under_the_program(home: Path) -> None:
    async with open_program(Settings(home=home), PERSON) as program:
        ctx = program.context()
        await BY_NAME["create_contact"].call({"email": "ada@example.org"}, ctx)
        pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(4)
        found = await BY_NAME["search_contacts"].call({}, ctx)
    assert [contact.email for contact in found.contacts] == ["ada@example.org"]


async def test_two_tenants_must_be_chosen_between(home: Path) -> None:
    from db import tenants

    async with open_program(Settings(home=home), PERSON) as program:
        tenants.add(program.url, name="Second", time_zone="UTC", country="GB")
    with pytest.raises(BadSettings, match="My company, Second"):
        async with open_program(Settings(home=home), PERSON):
            pass
    async with open_program(Settings(home=home, tenant="second"), PERSON) as program:
        assert program.tenant.name == "Second"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SMARTCAMPAIGN_MODEL", "gpt-x", "neither OPENAI_API_KEY nor OPENAI_BASE_URL"),
        ("OPENAI_BASE_URL", "127.0.0.1:11434", "must begin with http"),
        ("SMARTCAMPAIGN_MODEL_MODE", "clever", "SMARTCAMPAIGN_MODEL_MODE"),
        ("SMARTCAMPAIGN_MODEL_TIMEOUT", "-1", "SMARTCAMPAIGN_MODEL_TIMEOUT"),
        ("SMARTCAMPAIGN_EMBEDDING_MODEL", "e", "no endpoint"),
    ],
)
def test_a_bad_setting_is_named_with_what_would_do(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    for each in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "SMARTCAMPAIGN_MODEL"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as refused:
        read()
    assert says in str(refused.value)
    assert "Value error" not in str(refused.value)
