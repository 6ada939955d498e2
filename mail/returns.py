"""The mailbox of returned mails, read again and again beside the sending, by one program at a time.

Mailboxes block, so a thread of its own reads them; what a mail means is written down on the loop, in one transaction a
mail. A mail is marked as read only after its COMMIT, and the same report counts once: nothing is lost or counted twice
when a program dies in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from db.locks import alone
from db.pool import Database
from mail import bounces
from mail.bounces import Report
from mail.links import Keys
from mail.mailboxes import MOST, MailboxError, unread

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two looks, and at most when the mailbox or the database does not answer.
EVERY = 60.0
LONGEST_WAIT = 1800.0


class Read(NamedTuple):
    """What one look into the mailbox brought."""

    mails: int
    new: int
    """Reports that were not known yet."""


class MailboxReader:
    """Reads one mailbox for the tenants it is given."""

    def __init__(
        self, database: Database, tenants: Callable[[], Awaitable[Sequence[UUID]]], secrets: Sequence[str],
        address: str, *, keep_others: bool = False, every: float = EVERY, told: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        """`secrets`: those of links. With `keep_others` reports that are none of these tenants' stay unread."""
        self._database, self._tenants, self._secrets, self._address = database, tenants, secrets, address
        self._keep_others, self._every = keep_others, every
        self._told = told or (lambda _: None)
        self._keys: list[Keys] | None = None
        self._failures = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Look every minute until `stopping` is set. Raises nothing: sending goes on whatever a mailbox does."""
        while not stopping.is_set():
            wait = await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await stopping.wait()

    async def read_once(self) -> None:
        """Look once, and tell what came of it; raises as little as `run`."""
        await self._look()

    async def _look(self) -> float:
        """Read, and say in how many seconds to look again."""
        try:
            read = await self.read()
        except Exception as error:
            why = _in_words(error)
            if not self._failures:
                self._told(f"{why} It is tried again, less and less often; mails are sent all the same.")
            self._failures += 1
            return float(min(LONGEST_WAIT, self._every * 2 ** min(self._failures - 1, 30)))
        if self._failures:
            self._told("The mailbox of returned mails is read again.")
        self._failures = 0
        if read is None:
            return self._every
        if read.new:
            self._told(f"{read.new:,} new {'report' if read.new == 1 else 'reports'} about returned mails.")
        return 0.0 if read.mails >= MOST else self._every

    async def read(self) -> Read | None:
        """Read what is unread, at most 500 mails; None when another program is at it.

        Raises `MailboxError`, or what a database raises that does not answer.
        """
        async with alone(self._database.url, lock_name(self._address)) as is_ours:
            if not is_ours:
                return None
            self._keys = None
            loop, left = asyncio.get_running_loop(), threading.Event()
            try:
                return await _in_a_thread(lambda: self._read(loop, left))
            finally:
                left.set()

    def _read(self, loop: asyncio.AbstractEventLoop, left: threading.Event) -> Read:
        """The thread's part. Ends at the next mail when `left` is set."""
        mails = new = 0
        with unread(self._address) as received:
            for one in received:
                if left.is_set():
                    break
                mails += 1
                try:
                    reports = bounces.reports_in(one.message)
                    found = asyncio.run_coroutine_threadsafe(self._write_down(reports), loop).result()
                except (psycopg.OperationalError, PoolTimeout):
                    raise
                except Exception:
                    # One mail that nobody foresaw must not keep all that come after it from being read.
                    log.exception("a returned mail can't be read; it is left aside")
                    found = 0
                new += found or 0
                if found is not None:
                    one.done()
        return Read(mails, new)

    async def _write_down(self, reports: Sequence[Report]) -> int | None:
        """How many of these reports were new; None when they are others' and stay for them."""
        if not reports:
            return 0
        if self._keys is None:
            self._keys = await self._all_keys()
        new, is_ours = 0, False
        for keys in self._keys:
            about = [report for report in reports if bounces.is_about(report, keys)]
            if not about:
                continue
            is_ours = True
            async with self._database.transaction(keys.tenant) as db:
                matched = [await bounces.match(db, keys.tenant, keys, report) for report in about]
                found = [one for one in matched if one is not None]
                new += await bounces.apply(db, keys.tenant, found, source="mailbox", at=datetime.now(UTC))
        return new if is_ours or not self._keep_others else None

    async def _all_keys(self) -> list[Keys]:
        found = []
        for tenant in await self._tenants():
            async with self._database.transaction(tenant, read_only=True) as db:
                keys = await Keys.find(db, tenant, self._secrets, to_sign=False)
            if keys is not None:
                found.append(keys)
        return found


def lock_name(address: str) -> str:
    """What programs that read this mailbox agree on; without its password. A maildir is another one on each machine."""
    parts = urlsplit(address)
    where = socket.gethostname() if parts.scheme == "maildir" else f"{parts.username}@{parts.hostname}"
    return f"mailbox {where} {parts.path}"


def _in_words(error: Exception) -> str:
    if isinstance(error, MailboxError):
        log.warning("%s", error)
        return str(error)
    if isinstance(error, psycopg.OperationalError | PoolTimeout):
        log.warning("returned mails: the database does not answer: %s", " ".join(str(error).split())[:200])
        return "Returned mails can't be read while the database does not answer."
    log.exception("reading the mailbox of returned mails")
    return "The mailbox of returned mails can't be read: an error of this program; see its log."


async def _in_a_thread(work: Callable[[], T]) -> T:
    """Run it in a thread that keeps no program from ending, unlike those of `asyncio.to_thread`."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def end(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, problem = None, None
        try:
            result = work()
        except BaseException as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(end, result, problem)

    threading.Thread(target=run, name="mailbox", daemon=True).start()
    return await done
