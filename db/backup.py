"""Backups: all data of a database in one file, and into an empty one again.

The file is a data-only archive of pg_dump's custom format with a checksum at its end (pg_restore does not notice when
the last tables are missing). The schema is not in it: it comes from the migrations, up
to the one that the data was made with, so tables, policies and owners are what the program expects, whoever the user
of the new database is; then the rest of the migrations run. Everything here blocks.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL

from db import tenants
from db.embedded import BINARIES
from db.migrate import all_migrations, migrate

# What a table is called in the archive's list: "3456; 0 16500 TABLE DATA public contacts postgres".
_DATA_OF = "TABLE DATA public "
_HISTORY = "schema_migrations"

# What a finished file ends with: this, and the SHA-256 of all before.
_SEAL = b"\nsmartcampaign backup, sha256 "

Told = Callable[[str], None]
"""Called with the name of each table when its turn comes."""


class BackupError(RuntimeError):
    """No backup, or nothing restored; the text says why and what to do. The database is as it was, or empty."""


@dataclass(frozen=True)
class Restored:
    """What is in the database now."""

    contacts: int
    campaigns: int
    upgraded: list[str]
    """The migrations that this version added to the data's."""


def back_up(url: str, path: Path, told: Told | None = None) -> None:
    """Write everything that the database at `url` holds at this moment into `path`, whole or not at all.

    Others go on reading and writing meanwhile. The file holds personal data: only its owner may read it. `url` must be
    a superuser's (the embedded server's is), or of a user with BYPASSRLS: others see no rows. Raises `BackupError`.
    """
    with psycopg.connect(url) as connection:
        _check_user(connection, "rolsuper OR rolbypassrls")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _run("pg_dump", url, ["--data-only", "--format=custom", "--schema=public", "--verbose"], told, output=file)
            with unfinished.open("rb") as written:
                file.write(_SEAL + hashlib.file_digest(written, "sha256").digest())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise BackupError(f"{path} can't be written: {error.strerror}. Choose another place.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def restore(url: str, path: Path, told: Told | None = None) -> Restored:
    """Fill the database at `url`, which must hold no contacts and no campaigns, with what `path` holds.

    All sending is halted then: mails that left after the backup was made are not in its ledger, and would leave again.
    `url` must be a superuser's. Raises `BackupError`, and `MigrationError` when the server lacks something.
    """
    _check_whole(path)
    made_with = _history(path)
    newest = _known(made_with)
    with psycopg.connect(url) as connection:
        _check_user(connection, "rolsuper")
        _check_empty(connection)
        _clear(connection)
    try:
        migrate(url, upto=newest)
        with psycopg.connect(url) as connection:
            connection.execute("TRUNCATE tenants CASCADE")
        with tempfile.TemporaryDirectory() as folder:
            chosen = Path(folder, "chosen")
            listed = _output("pg_restore", ["--list", str(path)]).decode().splitlines()
            chosen.write_text("\n".join(line for line in listed if f"{_DATA_OF}{_HISTORY} " not in line))
            options = ["--data-only", "--disable-triggers", "--single-transaction", "--exit-on-error", "--verbose"]
            _run("pg_restore", url, [*options, f"--use-list={chosen}", str(path)], told)
    finally:
        # Whatever happened, the program finds its schema.
        upgraded = migrate(url)
    tenants.halt(url, None)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        counted = connection.execute("SELECT (SELECT count(*) FROM contacts), (SELECT count(*) FROM campaigns)")
        contacts, campaigns = counted.fetchone() or (0, 0)
    return Restored(contacts, campaigns, upgraded)


def _check_whole(path: Path) -> None:
    """Raise `BackupError` for a file that `back_up` did not write, or that is no longer as it wrote it."""
    digest, left = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            begin = file.read(5)
            left = file.seek(0, os.SEEK_END) - len(_SEAL) - digest.digest_size
            file.seek(0)
            while left > 0 and (read := file.read(min(left, 1_000_000))):
                digest.update(read)
                left -= len(read)
            end = file.read()
    except OSError as error:
        raise BackupError(f"{path} can't be read: {error.strerror}.") from error
    if begin != b"PGDMP":
        raise BackupError(f"{path} is no backup of this program: `smartcampaign backup` makes one.")
    if end != _SEAL + digest.digest():
        raise BackupError(f"{path} is not whole, or was changed after the backup was made. Take another one.")


def _history(path: Path) -> dict[str, str]:
    """Which migrations the data was made with, and their fingerprints."""
    script = _output("pg_restore", ["--data-only", f"--table={_HISTORY}", "--file=-", str(path)]).decode()
    copied = script.partition("FROM stdin;\n")[2].partition("\n\\.")[0]
    return {name: fingerprint for name, fingerprint, *_ in (line.split("\t") for line in copied.splitlines())}


def _known(made_with: dict[str, str]) -> str:
    """The last of the migrations that the data was made with, if this program has the same ones."""
    ours = {migration.name: migration.fingerprint for migration in all_migrations()}
    unknown = sorted(set(made_with) - set(ours))
    if unknown:
        raise BackupError(
            f"This backup is of a newer SmartCampaign ({unknown[-1]} is unknown here): update the program."
        )
    other = [name for name, fingerprint in made_with.items() if ours[name] != fingerprint]
    if other:
        raise BackupError(f"This backup was made with another {other[0]}: restore it with the version that made it.")
    return max(made_with)


def _check_user(connection: psycopg.Connection, right: str) -> None:
    row = connection.execute(f"SELECT {right} FROM pg_roles WHERE rolname = current_user").fetchone()  # noqa: S608
    if row is None or not row[0]:
        raise BackupError(
            "The user of DATABASE_URL doesn't see all tenants' rows, so a backup by it would be empty. Run this with "
            "the URL of a superuser of that server, or use the backups of whoever runs it."
        )


def _check_empty(connection: psycopg.Connection) -> None:
    tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    if tables and _HISTORY not in tables:
        raise BackupError("This database holds tables of something else. Restore into one of its own.")
    for noun in ("contacts", "campaigns"):
        row = connection.execute(f"SELECT count(*) FROM {noun}").fetchone() if noun in tables else None  # noqa: S608
        if row and row[0]:
            raise BackupError(
                f"This database holds {noun} already ({row[0]:,}), and restoring would lose them. Restore into an "
                "empty one: set SMARTCAMPAIGN_HOME to a new folder, or DATABASE_URL to a new database."
            )


def _clear(connection: psycopg.Connection) -> None:
    connection.execute("SET LOCAL lock_timeout = '5s'")
    try:
        connection.execute(
            SQL("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC")
        )
    except psycopg.errors.LockNotAvailable:
        raise BackupError(
            "Another program works with this database. Stop it (chat, serve, worker) and try again."
        ) from None


def _run(program: str, url: str, arguments: Sequence[str], told: Told | None, output: object = None) -> None:
    """Run one of Postgres' programs on the database at `url`, telling the tables as it comes to them."""
    settings = conninfo_to_dict(url)
    # Not on its command line, which every user of the machine can read.
    password = settings.pop("password", None)
    environment = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    command = [str(BINARIES / program), f"--dbname={make_conninfo('', **settings)}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output or subprocess.DEVNULL,  # type: ignore[call-overload]
        stderr=subprocess.PIPE, text=True, errors="replace", env=environment,
    ) as process:  # fmt: skip
        last = ""
        try:
            for line in process.stderr:
                last = line.strip() or last
                if told is not None and ("dumping contents of" in line or "processing data for" in line):
                    told(line.rpartition("public.")[2].strip().strip('"'))
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise BackupError(f"{program} failed: {last.removeprefix(f'{program}: ').removeprefix('error: ')}")


def _output(program: str, arguments: Sequence[str]) -> bytes:
    done = subprocess.run([BINARIES / program, *arguments], stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BackupError(f"The file can't be read: {said[-1] if said else program + ' failed'}.")
    return done.stdout
