"""The doctor's look at a database: only looks, changes nothing."""

from __future__ import annotations

from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from db.migrate import OLDEST_PGVECTOR, OLDEST_POSTGRES, all_migrations
from db.pool import ROLE, safe_url
from interfaces.cli.doctor import Finding

EXTENSIONS = ("vector", "pg_trgm", "unaccent")

Connection = psycopg.Connection[TupleRow]

AVAILABLE: LiteralString = (
    "SELECT name, coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = ANY(%s)"
)

UNPROTECTED: LiteralString = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
 ORDER BY 1
"""


def look(url: str, *, ours: bool) -> list[Finding]:
    """What there is to say of the database at `url` (`ours`: the embedded one). Raises `psycopg.Error`."""
    with psycopg.connect(url, connect_timeout=5, options="-c statement_timeout=5000") as db:
        found = [] if ours else [Finding("ok", f"Database {safe_url(url)} answers")]
        found += [_version(db), *_extensions(db)]
        there = db.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
        if there is None or not there[0]:
            return [
                *found,
                Finding("ok", "Schema: not there yet; the first start, or `smartcampaign migrate`, makes it"),
            ]
        return [*found, _schema(db), _role(db), _row_security(db), _tenants(db)]


def _version(db: Connection) -> Finding:
    version = db.info.server_version
    words = f"Postgres {version // 10_000}.{version % 10_000}"
    if version < OLDEST_POSTGRES:
        return Finding("problem", f"{words} is too old.", "Postgres 15 or newer is needed.")
    return Finding("ok", words)


def _extensions(db: Connection) -> list[Finding]:
    versions: dict[str, str] = dict(db.execute(AVAILABLE, (list(EXTENSIONS),)).fetchall())
    missing = [name for name in EXTENSIONS if name not in versions]
    if missing:
        return [
            Finding(
                "problem", f"The server lacks {', '.join(missing)}.",
                "Install it there (every managed Postgres offers it), or unset DATABASE_URL to use the Postgres "
                "that comes along.",
            )
        ]  # fmt: skip
    version = versions["vector"]
    if tuple(int(part) for part in version.split(".")) < OLDEST_PGVECTOR:
        needed = ".".join(map(str, OLDEST_PGVECTOR))
        return [Finding("problem", f"pgvector {version} is too old.", f"Update it to {needed} or newer.")]
    return [Finding("ok", f"pgvector {version}, pg_trgm, unaccent")]


def _schema(db: Connection) -> Finding:
    done: dict[str, str] = dict(db.execute("SELECT name, fingerprint FROM schema_migrations").fetchall())
    known = {migration.name: migration.fingerprint for migration in all_migrations()}
    if set(done) - set(known):
        return Finding("problem", "The schema was made by a newer version.", "Update the program.")
    if any(known[name] != fingerprint for name, fingerprint in done.items()):
        return Finding(
            "problem", "The schema was made by another build of this version.",
            "Use the program that made it, or restore a backup.",
        )  # fmt: skip
    missing = len(known) - len(done)
    if missing:
        return Finding("warning", f"The schema lacks {missing} migration(s).", "Run: smartcampaign migrate")
    return Finding("ok", f"Schema up to date ({max(known)})")


def _role(db: Connection) -> Finding:
    """Whether we may become the role that owns nothing, and whether it can't get around row security."""
    to_do = f"As the database's owner, run: GRANT {ROLE} TO the user of DATABASE_URL. See docs/settings.md."
    row = db.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone()
    if row is None:
        return Finding("problem", f"The role {ROLE} is missing.", "Run smartcampaign migrate as the database's owner.")
    if row[0]:
        return Finding(
            "problem", f"The role {ROLE} may pass by row security: tenants are not kept apart.",
            f"Run: ALTER ROLE {ROLE} NOSUPERUSER NOBYPASSRLS",
        )  # fmt: skip
    try:
        with db.transaction(force_rollback=True):
            db.execute("SELECT set_config('role', %s, true)", (ROLE,))
            seen = db.execute("SELECT count(*) FROM contacts").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return Finding("problem", f"This user may not become the role {ROLE}.", to_do)
    if seen is None or seen[0]:
        return Finding("problem", "Without a tenant, contacts can be seen.", "Run smartcampaign migrate; then tell us.")
    return Finding("ok", f"Works as the role {ROLE}; without a tenant it sees no rows")


def _row_security(db: Connection) -> Finding:
    names = [row[0] for row in db.execute(UNPROTECTED).fetchall()]
    if names:
        return Finding(
            "problem", f"Row security is not forced on: {', '.join(names)}.",
            "Run for each: ALTER TABLE .. ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        )  # fmt: skip
    return Finding("ok", "Row security is forced on every table with a tenant")


def _tenants(db: Connection) -> Finding:
    names = [row[0] for row in db.execute("SELECT name FROM tenants ORDER BY created_at LIMIT 6").fetchall()]
    if not names:
        return Finding("ok", "Tenants: none yet; the first start makes one")
    more = " .." if len(names) > 5 else ""
    return Finding("ok", f"Tenants: {', '.join(names[:5])}{more}")
