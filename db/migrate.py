"""Apply the migrations in order, each once.

A migration is `db/sql/migrations/NNNN_words.sql`. It runs in a transaction with the note that it ran, under a lock,
so two programs that start at once don't collide and a kill in the middle leaves the schema as it was. A migration that
has landed is never edited: its hash is compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg.sql import SQL

# Any number that only this program uses: pg_advisory_xact_lock's key.
LOCK = 7_205_759_301

OLDEST_POSTGRES = 150_000
OLDEST_PGVECTOR = (0, 8, 2)


class MigrationError(RuntimeError):
    """The schema can't be brought up to date; the text says why and what to do."""


@dataclass(frozen=True)
class Migration:
    name: str
    sql: str

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def all_migrations() -> list[Migration]:
    """Every migration that this version brings, oldest first."""
    folder = files("db").joinpath("sql", "migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [Migration(name.removesuffix(".sql"), folder.joinpath(name).read_text(encoding="utf-8")) for name in names]


def migrate(url: str, upto: str | None = None) -> list[str]:
    """Bring the database at `url` up to date; return the names of what was applied now.

    With `upto`, the name of a migration, only to where that one leads (to put data of an older version into). Blocks.
    Raises `MigrationError` when the server is too old, lacks an extension, was migrated by a newer version, or
    its user may not create what is needed; the database is then as it was.
    """
    known = [migration for migration in all_migrations() if upto is None or migration.name <= upto]
    with psycopg.connect(url) as connection:
        if _is_up_to_date(connection, known):
            return []
        connection.rollback()
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        _check_server(connection)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            " name text PRIMARY KEY, fingerprint text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = _done(connection)
        _check_history(known, done)
        applied = []
        for migration in known:
            if migration.name in done:
                continue
            try:
                connection.execute(SQL(migration.sql))
            except psycopg.Error as error:
                raise MigrationError(
                    f"Migration {migration.name} could not be applied: {str(error).strip().splitlines()[0]}. "
                    "Nothing was changed. The user of DATABASE_URL must own the database and be allowed to create "
                    "extensions and roles; see docs/database.md."
                ) from error
            connection.execute(
                "INSERT INTO schema_migrations (name, fingerprint) VALUES (%s, %s)",
                (migration.name, migration.fingerprint),
            )
            applied.append(migration.name)
    return applied


def _is_up_to_date(connection: psycopg.Connection, known: list[Migration]) -> bool:
    """One look without a lock: the usual start changes nothing."""
    found = connection.execute("SELECT to_regclass('schema_migrations')").fetchone()
    if found is None or found[0] is None:
        return False
    return _done(connection) == {migration.name: migration.fingerprint for migration in known}


def _done(connection: psycopg.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, fingerprint FROM schema_migrations").fetchall())


def _check_server(connection: psycopg.Connection) -> None:
    if connection.info.server_version < OLDEST_POSTGRES:
        version = connection.info.server_version // 10_000
        raise MigrationError(f"Postgres {version} is too old: SmartCampaign needs 15 or newer.")
    row = connection.execute("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    if row is None:
        raise MigrationError(
            "This Postgres has no pgvector. Install it on the server (every managed Postgres offers it), "
            "or unset DATABASE_URL to use the Postgres that comes along."
        )
    if tuple(int(part) for part in row[0].split(".")) < OLDEST_PGVECTOR:
        raise MigrationError(f"pgvector {row[0]} is too old (CVE-2026-3172): SmartCampaign needs 0.8.2 or newer.")


def _check_history(known: list[Migration], done: dict[str, str]) -> None:
    names = {migration.name: migration.fingerprint for migration in known}
    newer = sorted(set(done) - set(names))
    if newer:
        raise MigrationError(
            f"This database was migrated by a newer SmartCampaign ({newer[-1]} is unknown here). Update the program."
        )
    changed = [name for name, fingerprint in done.items() if names[name] != fingerprint]
    if changed:
        raise MigrationError(
            f"Migration {changed[0]} differs from the one this database was made with. "
            "Use the program version that made it, or restore a backup."
        )
