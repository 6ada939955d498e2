"""Backups: what is in one comes back as it was, and nothing is overwritten, mailed twice or left half done."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from db import backup, tenants
from db.backup import BackupError, back_up, restore
from db.embedded import EmbeddedServer
from db.migrate import all_migrations, migrate
from db.pool import ROLE

NewDatabase = Callable[..., str]


@pytest.fixture
def new_database(server: EmbeddedServer) -> Iterator[NewDatabase]:
    """Make databases of their own in the tests' server."""
    made: list[str] = []

    def make(owner: str = "postgres") -> str:
        made.append(f"backup_{len(made)}")
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {made[-1]} OWNER {owner}".encode())
        return server.url(made[-1])

    yield make
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def fill(url: str, upto: str | None = None) -> None:
    """Two tenants with rows that refer to each other."""
    migrate(url, upto)
    with psycopg.connect(url) as connection:
        for name in ("Harrow & Finch", "Ünï"):
            (tenant,) = connection.execute(
                "INSERT INTO tenants (name, time_zone, country) VALUES (%s, 'Europe/London', 'GB') RETURNING id",
                (name,),
            ).fetchone() or (None,)
            given = {"tenant": tenant, "note": "one\ntwo\t|"}
            for statement in (
                "INSERT INTO contacts (tenant_id, email, description) VALUES (%(tenant)s, 'ada@example.org', %(note)s)",
                "INSERT INTO campaigns (tenant_id, name) VALUES (%(tenant)s, 'Harvest Fair')",
                "INSERT INTO campaign_contacts (tenant_id, campaign_id, contact_id)"
                " SELECT tenant_id, campaign_id, contact_id FROM contacts JOIN campaigns USING (tenant_id)"
                " WHERE tenant_id = %(tenant)s",
            ):
                connection.execute(statement, given)


def everything(url: str) -> dict[str, list[tuple[str]]]:
    """All rows of all tables as text."""
    with psycopg.connect(url) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            if name != "schema_migrations"
        ]
        return {
            table: connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1".encode()).fetchall()
            for table in tables
        }


def test_what_was_backed_up_comes_back_and_sending_is_halted(new_database: NewDatabase, tmp_path: Path) -> None:
    one, two, path = new_database(), new_database(), tmp_path / "monday.backup"
    fill(one)
    told: list[str] = []
    back_up(one, path, told.append)
    assert {"tenants", "contacts", "campaigns"} <= set(told)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["monday.backup"]
    migrate(two)
    done = restore(two, path)
    assert (done.contacts, done.campaigns, done.upgraded) == (2, 2, [])
    assert all(row.halted_at is not None for row in tenants.all_of(two))
    tenants.lift_halt(two, None)
    assert everything(two) == everything(one)
    with psycopg.connect(two) as connection:
        connection.execute(f"SET ROLE {ROLE}".encode())
        assert connection.execute("SELECT count(*) FROM findable_contacts").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (0,), "row-level security is there"


def test_data_of_an_older_version_is_brought_up_to_date(new_database: NewDatabase, tmp_path: Path) -> None:
    one, two, path = new_database(), new_database(), tmp_path / "old.backup"
    older, *newer = [migration.name for migration in all_migrations()]
    fill(one, upto=older)
    back_up(one, path)
    assert restore(two, path).upgraded == newer
    assert migrate(two) == []


def test_nothing_is_written_over(new_database: NewDatabase, tmp_path: Path) -> None:
    one, path = new_database(), tmp_path / "monday.backup"
    fill(one)
    back_up(one, path)
    before = everything(one)
    with pytest.raises(BackupError, match=r"holds contacts already \(2\)"):
        restore(one, path)
    assert everything(one) == before
    other = new_database()
    with psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE invoices (number int)")
    with pytest.raises(BackupError, match="tables of something else"):
        restore(other, path)
    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM invoices").fetchone() == (0,)


@pytest.mark.parametrize("bad", ["", "not a backup", "PGDMP but not really"])
def test_what_is_no_backup_changes_nothing(new_database: NewDatabase, tmp_path: Path, bad: str) -> None:
    url, path = new_database(), tmp_path / "x.backup"
    migrate(url)
    path.write_text(bad)
    with pytest.raises(BackupError, match=r"is no backup of this program|not whole"):
        restore(url, path)
    assert migrate(url) == []
    with pytest.raises(BackupError, match="can't be read: No such file"):
        restore(url, tmp_path / "nowhere")


@pytest.mark.parametrize("keep", [slice(None, -1), slice(None, -200), slice(None, 100), slice(1, None)])
def test_a_backup_that_is_not_whole_is_refused(new_database: NewDatabase, tmp_path: Path, keep: slice) -> None:
    one, two, path = new_database(), new_database(), tmp_path / "monday.backup"
    fill(one)
    back_up(one, path)
    path.write_bytes(path.read_bytes()[keep])
    with pytest.raises(BackupError, match=r"not whole|no backup"):
        restore(two, path)


def test_a_restore_that_breaks_off_leaves_an_empty_database_that_works(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    one, two, path = new_database(), new_database(), tmp_path / "monday.backup"
    fill(one)
    with psycopg.connect(one) as connection:
        connection.execute("ALTER TABLE campaigns ADD COLUMN unheard_of text")
    back_up(one, path)
    with pytest.raises(BackupError, match="unheard_of"):
        restore(two, path)
    assert migrate(two) == []
    with psycopg.connect(two) as connection:
        assert connection.execute("SELECT count(*) FROM tenants").fetchone() == (0,)


def test_a_backup_of_a_newer_version_is_refused(
    new_database: NewDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, path = new_database(), tmp_path / "monday.backup"
    fill(one)
    back_up(one, path)
    monkeypatch.setattr(backup, "all_migrations", lambda: all_migrations()[:-1])
    with pytest.raises(BackupError, match="newer SmartCampaign"):
        restore(new_database(), path)


def test_a_user_who_sees_no_rows_is_told_so_instead_of_getting_an_empty_file(
    server: EmbeddedServer, new_database: NewDatabase, tmp_path: Path
) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE backup_owner LOGIN CREATEROLE")
    url = new_database()
    plain = f"{url}&user=backup_owner"
    with pytest.raises(BackupError, match="would be empty"):
        back_up(plain.replace("postgres@", ""), tmp_path / "x.backup")
    assert list(tmp_path.iterdir()) == []
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP ROLE backup_owner")


def test_another_program_at_work_is_waited_for_and_then_named(new_database: NewDatabase, tmp_path: Path) -> None:
    one, two, path = new_database(), new_database(), tmp_path / "monday.backup"
    fill(one)
    back_up(one, path)
    migrate(two)
    with psycopg.connect(two) as other:
        other.execute("LOCK TABLE contacts IN SHARE MODE")
        with pytest.raises(BackupError, match="Another program works"):
            restore(two, path)
    assert migrate(two) == []


def test_a_place_that_cannot_be_written_is_named(new_database: NewDatabase) -> None:
    url = new_database()
    migrate(url)
    with pytest.raises(BackupError, match="can't be written"):
        back_up(url, Path("/proc/nowhere/monday.backup"))
