"""The field of the fault tests: a campaign, a mail server and workers, each a process that can be killed.

`CHAOS=full` (`make chaos`) takes the numbers of the table of faults; else a short form runs with every `make test`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import psycopg
import pytest

from db import tenants
from db.embedded import EmbeddedServer
from db.embeddings import LocalEmbedder
from db.migrate import migrate
from db.pool import ROLE, Database
from tests.mail.test_send import approve, make_campaign
from tools import deliveries
from tools.base import Actor, Context, Tenant

FULL = os.environ.get("CHAOS") == "full"

# A starved machine is no fault of the program.
PATIENCE = 600 if FULL else 120


# The table of faults: what each one must keep to.
PASSES_WHEN = {
    "F1": "kills, sent again: 0 lost, duplicates <= kills x connections",
    "F2": "kills, parked: 0 duplicates, every missing address is an unknown row",
    "F3": "Postgres restarts at once: 0 lost, going again within 10 s",
    "F4": "SMTP drops the line: 0 lost, duplicates <= drops after DATA",
    "F5": "4xx and 5xx: tried again later, 5xx never, hard ones suppressed",
    "F6": "a worker stopped past its lease: <= 1 extra a stopped connection",
    "F7": "pause, cancel or halt: <= one batch after the commit",
    "F8": "model slow, 429, malformed: 0 wrong writes, each turn ends in words",
    "F9": "kill between approval and send: single sends",
    "F10": "dump, restore, resume, migration: 0 resends, 0 failed requests",
    "F11": "rate limit 14/s: never over 14 in any second",
    "F12": "unsubscribe while queued: 0 sent after the commit",
    "memory": "a worker's memory: flat, < 150 MB",
}
_FIGURES: list[tuple[str, str, str]] = []


def tell(fault: str, figures: str) -> None:
    """Show what this test counted in the table at the end of the run."""
    _FIGURES.append((fault, os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0], figures))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults: what was promised, what was counted, and whether that held."""
    if not _FIGURES:
        return
    failed = {report.nodeid for report in terminalreporter.getreports("failed")}
    terminalreporter.section("faults, in figures" if FULL else "faults, in figures (short form)")
    for fault, promised in PASSES_WHEN.items():
        told = [(figures, test in failed) for name, test, figures in _FIGURES if name == fault]
        terminalreporter.write_line(f"{fault:<7} {promised}{'' if told else ': not run'}")
        for figures, is_broken in told:
            terminalreporter.write_line(f"{'':<7} {'BROKEN' if is_broken else 'held'}: {figures}")


def pick(full: int, short: int) -> int:
    """The number of the full form, or of the short one."""
    return full if FULL else short


@dataclass(frozen=True)
class Line:
    """One line of the mail server's log."""

    at: float
    recipient: str
    verdict: str
    """taken, dropped (taken, and the line cut before the answer), lost, later, refused"""


@dataclass
class Field:
    """A tenant with a campaign, and where its mail goes."""

    url: str
    tenant: UUID
    folder: Path
    connections: int = 8
    port: int = 0
    processes: list[subprocess.Popen[Any]] = field(default_factory=list)

    # People

    def campaign(
        self, people: int, name: str = "Harvest Fair", *, on_crash: Literal["park", "resend"] = "park",
        approved: bool = True,
    ) -> None:  # fmt: skip
        """A campaign with `people` recipients, approved."""

        async def made(ctx: Context) -> None:
            await make_campaign(ctx, people, name)
            await deliveries.choose_on_crash(name, on_crash, ctx)
            if approved:
                await approve(ctx, name)

        self.do(made)

    def do(self, what: Callable[[Context], Any]) -> Any:
        """Run a coroutine function with a context, on a loop and connections of its own."""

        async def done() -> Any:
            database = Database(self.url, max_size=2)
            await database.open()
            try:
                ctx = Context(
                    tenant=Tenant(self.tenant, "Chaos"), actor=Actor("Robin"), database=database, embedder=EMBEDDER,
                    now=lambda: datetime.now(UTC),
                )  # fmt: skip
                return await what(dataclasses.replace(ctx))
            finally:
                await database.close()

        return asyncio.run(done())

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What this tenant's database says."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT set_config('app.tenant_id', %s, false)", (str(self.tenant),))
            connection.execute(f"SET ROLE {ROLE}".encode())
            return connection.execute(statement.encode(), values).fetchall()

    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT state, count(*) FROM deliveries GROUP BY 1"))

    def waits(self) -> int:
        """Rows that are not settled."""
        states = self.states()
        return sum(states.get(state, 0) for state in ("ready", "leased", "sending"))

    # The mail server

    def serve_mail(self, *options: str) -> None:
        """Start the mail server; it writes a log."""
        self.port = _free_port()
        self.start("tests.mail.smtp_server", str(self.port), "--log", str(self.folder / "mails"), *options)
        wait_until(lambda: _answers(self.port), "the mail server starts")

    def log(self) -> list[Line]:
        path = self.folder / "mails"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Line(float(at), recipient, verdict) for at, recipient, verdict in (line.split(" ") for line in lines)]

    def taken(self) -> list[Line]:
        """What the mail server has, whether or not it could say so."""
        return [line for line in self.log() if line.verdict in ("taken", "dropped")]

    def twice(self) -> int:
        """How many mails too many were taken."""
        return sum(count - 1 for count in Counter(line.recipient for line in self.taken()).values())

    # Workers

    def worker(self, lease: float = 2) -> subprocess.Popen[Any]:
        """Start one; returns when it works."""
        process = self.start(
            "tests.chaos.worker", self.url, str(self.tenant), str(self.port), str(self.connections), str(lease)
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def start(self, module: str, *arguments: str) -> subprocess.Popen[Any]:
        log = (self.folder / "errors").open("a")
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[Any]) -> None:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def stop(self, process: subprocess.Popen[Any]) -> None:
        """Ask it to end; it must do so in order."""
        process.terminate()
        assert process.wait(timeout=60) == 0, (self.folder / "errors").read_text()[-2000:]
        assert process.stdout is not None
        process.stdout.close()

    def finish(self, seconds: float = PATIENCE) -> None:
        """Let a worker send the rest, and end it."""
        process = self.worker()
        wait_until(lambda: self.waits() == 0, "everything is settled", seconds)
        self.stop(process)


EMBEDDER = LocalEmbedder()


@pytest.fixture
def new_field(tmp_path: Path) -> Iterator[Callable[..., Field]]:
    """Make a field in the database at `url`, or in this test process's own."""
    fields: list[Field] = []

    def make(url: str, connections: int = 8) -> Field:
        id = tenants.add(url, name=f"Chaos {random.random()}", time_zone="UTC", country="GB")
        assert id is not None
        tenants.update(
            url, id, sender_name="Harrow & Finch", sender_email="hello@shop.example", send_cap=10**6, daily_cap=10**9
        )
        fields.append(Field(url, id, tmp_path, connections))
        return fields[-1]

    yield make
    for each in fields:
        for process in each.processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def chaos(new_field: Callable[..., Field], database_url: str) -> Field:
    return new_field(database_url)


@contextmanager
def own_server() -> Iterator[EmbeddedServer]:
    """A migrated Postgres that may be killed."""
    with (
        tempfile.TemporaryDirectory(prefix="sc-chaos-", ignore_cleanup_errors=True) as folder,
        EmbeddedServer(Path(folder) / "postgres") as server,
    ):
        migrate(server.url())
        yield server


def wait_until(what: Callable[[], object], why: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not in time: {why}"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
