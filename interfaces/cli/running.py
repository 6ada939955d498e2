"""How a command runs and ends: its settings, one event loop, and an exit code; an error is one sentence on stderr."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from interfaces.settings import Settings
    from interfaces.wiring import Program

DONE, FAILED, USAGE, UNDECIDED = 0, 1, 2, 3
INTERRUPTED = 130

LOG = "smartcampaign.log"


class Stop(Exception):
    """End the command with this sentence on stderr."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.code = code


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run a command's coroutine to its exit code and leave the program with it.

    typer would call an `async def` command without ever awaiting it, so commands are plain functions that end here.
    """
    leave(lambda: asyncio.run(_with_signals(work)))


def leave(work: Callable[[], int]) -> NoReturn:
    """Leave the program with the exit code of `work`, or with its error in words."""
    _be_robust_with_text()
    try:
        code = work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`). Without this, Python complains once more on leaving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except Exception as error:
        if os.environ.get("SMARTCAMPAIGN_DEBUG"):
            raise
        code = error.code if isinstance(error, Stop) else FAILED
        sys.stderr.write(f"{in_words(error)}\n")
    raise SystemExit(code)


def settings_for(tenant: str | None = None) -> Settings:
    """The settings of the environment, with the tenant of the command line. Raises `BadSettings`."""
    from interfaces.settings import read

    settings = read()
    if tenant:
        settings.tenant = tenant
    start_log(settings.home)
    return settings


@asynccontextmanager
async def program(tenant: str | None, *, stays_open: bool = False) -> AsyncIterator[Program]:
    """Everything open, for one command; `stays_open` for one that goes on until the person leaves."""
    settings = settings_for(tenant)
    from interfaces.wiring import open_program

    async with open_program(settings, stays_open=stays_open) as opened:
        yield opened


def start_log(home: Path) -> None:
    """Send what libraries log and warn to the log file: a terminal is for answers."""
    import logging
    from logging.handlers import RotatingFileHandler

    root = logging.getLogger()
    if any(isinstance(handler, RotatingFileHandler) for handler in root.handlers):
        return
    handler: logging.Handler = logging.NullHandler()
    with suppress(OSError):
        make_home(home)
        (home / LOG).touch(mode=0o600)
        handler = RotatingFileHandler(home / LOG, maxBytes=1_000_000, backupCount=1, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def make_home(home: Path) -> None:
    """The data folder, closed to others. As root the server's own user must pass through it, and see nothing there."""
    closed = 0o711 if hasattr(os, "geteuid") and os.geteuid() == 0 else 0o700
    home.mkdir(parents=True, exist_ok=True, mode=closed)


def in_words(error: BaseException) -> str:
    """An error as a sentence that its reader can act on; what is a bug is written to the log file and named so."""
    if isinstance(error, Stop):
        return str(error)
    from interfaces.settings import BadSettings

    if isinstance(error, BadSettings):
        return str(error)
    import psycopg

    from db.embeddings import EmbeddingError
    from db.migrate import MigrationError
    from db.pool import DatabaseUnavailable
    from tools.base import WriterUnavailable
    from tools.errors import ToolError

    if isinstance(error, DatabaseUnavailable | MigrationError | EmbeddingError | WriterUnavailable | ToolError):
        return str(error)
    if type(error).__name__ in ("EmbeddedError", "BackupError"):
        # By name: their modules need the binaries, which may be what is missing.
        return str(error)
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        # Not libpq's own words: they repeat the address, and with it the password.
        return "DATABASE_URL can't be read. Write it like postgresql://user:password@host:5432/database."
    if isinstance(error, psycopg.OperationalError):
        return (
            f"The database can't be reached: {first_line(error)}. Check DATABASE_URL, or unset it to use the Postgres "
            "that comes along. `smartcampaign doctor` looks closer."
        )
    if isinstance(error, psycopg.Error):
        return f"The database refused this: {error.diag.message_primary or first_line(error)}."
    if isinstance(error, ImportError):
        return f"A part of the program is missing: {first_line(error)}. Install it again (`make demo` does)."
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    return f"Something went wrong inside ({type(error).__name__}: {first_line(error)}). {_keep(error)}"


def first_line(error: BaseException) -> str:
    """The beginning of what an error says, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def _keep(error: BaseException) -> str:
    import logging

    logging.getLogger("smartcampaign").error("".join(traceback.format_exception(error)))
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            return f"That is a bug; the details are in {handler.baseFilename}."
    return "That is a bug; SMARTCAMPAIGN_DEBUG=1 shows the details."


async def _with_signals(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Leave in order when the system or a closed terminal asks to, so that the last program stops the server."""
    task = asyncio.current_task()
    assert task is not None
    asked: list[int] = []

    def leave(number: int) -> None:
        asked.append(number)
        task.cancel()

    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, leave, number)
    try:
        return await work()
    except asyncio.CancelledError:
        if not asked:
            raise
        return 128 + asked[0]


def _be_robust_with_text() -> None:
    """No character may stop the program: neither one the terminal can't show nor bytes that are no text."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
