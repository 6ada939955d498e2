"""The Postgres that comes along: it starts, is shared, survives kills, and says what is wrong."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from db.embedded import EmbeddedError, EmbeddedServer
from db.migrate import MigrationError, all_migrations, migrate

Program = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="sc-embedded-", ignore_cleanup_errors=True) as name:
        yield Path(name) / "postgres"


def server_pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


@pytest.fixture
def program(folder: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start another program that uses the server of this folder."""
    with contextlib.ExitStack() as stack:
        yield lambda body: stack.enter_context(_started(folder, body))


def _started(folder: Path, body: str) -> subprocess.Popen[str]:
    code = f"""
        import sys, time, psycopg
        from pathlib import Path
        from db.embedded import EmbeddedServer
        server = EmbeddedServer(Path({str(folder)!r}))
        url = server.start()
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code) + textwrap.dedent(body)], stdout=subprocess.PIPE, text=True
    )


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout)


def test_it_stops_when_its_last_program_leaves(folder: Path, program: Program) -> None:
    with EmbeddedServer(folder) as server:
        other = program("print('up', flush=True); sys.stdin.read(); server.stop()")
        assert next(lines(other)) == "up\n"
        other.wait(20)
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not (folder / "data" / "postmaster.pid").exists()


def test_a_killed_program_leaves_nothing_that_keeps_the_server_up(folder: Path, program: Program) -> None:
    victim = program("print('up', flush=True); time.sleep(60)")
    assert next(lines(victim)) == "up\n"
    victim.kill()
    victim.wait(20)
    with EmbeddedServer(folder):
        assert (folder / "data" / "postmaster.pid").exists()
    assert not (folder / "data" / "postmaster.pid").exists()


def test_two_programs_that_start_at_once_share_one_server(folder: Path, program: Program) -> None:
    both = [program("print(url, flush=True); time.sleep(3); server.stop()") for _ in range(2)]
    assert len({next(lines(process)) for process in both}) == 1
    assert [process.wait(30) for process in both] == [0, 0]


def test_after_a_kill_of_the_server_in_mid_write_every_answered_write_is_there(folder: Path, program: Program) -> None:
    with EmbeddedServer(folder) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        writer = program(
            """
            with psycopg.connect(url, autocommit=True) as connection:
                for n in range(100_000):
                    connection.execute("INSERT INTO kept VALUES (%s)", (n,))
                    print(n, flush=True)
            """,
        )
        answered = [next(lines(writer)) for _ in range(200)]
        os.kill(server_pid(folder), signal.SIGKILL)
        answered += list(lines(writer))
        writer.wait(20)
        server.start()
        with psycopg.connect(server.url()) as connection:
            row = connection.execute("SELECT count(*), max(n) FROM kept").fetchone()
        assert row is not None
        assert row[0] >= len(answered)
        assert row[1] == row[0] - 1


def test_a_kill_in_the_middle_of_creation_leaves_no_half_cluster(folder: Path) -> None:
    (folder / "data.unfinished").mkdir(parents=True)
    (folder / "data.unfinished" / "PG_VERSION").write_text("18")
    (folder / "data").mkdir()  # a folder without a cluster in it
    with EmbeddedServer(folder) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_path_that_is_too_long_for_a_socket_works(folder: Path) -> None:
    long = folder / ("long" * 20) / "postgres"
    with EmbeddedServer(long) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(folder: Path) -> None:
    folder.parent.joinpath("file").write_text("")
    with pytest.raises(EmbeddedError, match="SMARTCAMPAIGN_HOME"):
        EmbeddedServer(folder.parent / "file" / "postgres").start()


def test_broken_data_ends_with_the_servers_own_words(folder: Path) -> None:
    with EmbeddedServer(folder):
        pass
    (folder / "data" / "global" / "pg_control").write_bytes(b"broken")
    started = time.monotonic()
    with pytest.raises(EmbeddedError, match="does not start"):
        EmbeddedServer(folder).start(timeout=2)
    assert time.monotonic() - started < 20


def test_migrations_run_once_and_refuse_what_they_do_not_know(folder: Path) -> None:
    with EmbeddedServer(folder) as server:
        assert migrate(server.url()) == [migration.name for migration in all_migrations()]
        assert migrate(server.url()) == []
        with psycopg.connect(server.url()) as connection:
            connection.execute("INSERT INTO schema_migrations (name, fingerprint) VALUES ('9999_later', 'x')")
        with pytest.raises(MigrationError, match="newer SmartCampaign"):
            migrate(server.url())
        with psycopg.connect(server.url()) as connection:
            connection.execute("DELETE FROM schema_migrations WHERE name = '9999_later'")
            connection.execute("UPDATE schema_migrations SET fingerprint = 'other'")
        with pytest.raises(MigrationError, match="differs"):
            migrate(server.url())


def test_migrations_started_at_once_do_not_collide(folder: Path, program: Program) -> None:
    with EmbeddedServer(folder):
        three = [program("from db.migrate import migrate; print(len(migrate(url)))") for _ in range(3)]
        counts = sorted(int(process.communicate(timeout=60)[0]) for process in three)
        assert counts == [0, 0, len(all_migrations())]
