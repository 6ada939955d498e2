"""The worker: sends what is due, in a program of its own or beside a conversation."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from db import tenants
from db.pool import Database
from interfaces.settings import BadSettings, Settings
from mail import outlets
from mail.links import LinkSettings
from mail.outlets import Outlet
from mail.pace import Pace
from mail.send import Sender

if TYPE_CHECKING:
    from mail.dkim import Signer
    from mail.returns import MailboxReader

log = logging.getLogger(__name__)

# A conversation that ends waits so long for answers of mail servers; what is then in flight is `unknown`.
PATIENCE = 5.0

Told = Callable[[str], None]


def make_outlets(settings: Settings) -> list[Outlet]:
    """The servers of the settings, or the capture."""
    return [outlets.smtp(server) for server in settings.mail_servers()] or [outlets.capture()]


def make_signer(settings: Settings) -> Signer | None:
    """What signs mails; None where no key is set. Raises `BadSettings`: nothing leaves unsigned by a broken setting."""
    places = settings.dkim_keys()
    if not places:
        return None
    from mail.dkim import BadKey, Signer

    try:
        return Signer.load(places)
    except BadKey as error:
        raise BadSettings(f"SMARTCAMPAIGN_DKIM: {error}.") from None


def make_sender(
    settings: Settings, url: str, database: Database, links: LinkSettings, *, only: UUID | None = None,
    pace: Pace | None = None, told: Told | None = None,
) -> Sender:  # fmt: skip
    """A sender for all tenants of the database at `url`, or `only` for one.

    Without a mail server it leaves tenants alone whose mail goes through one: a program that was started without the
    SMTP settings must not put their mail into the outbox and call it sent.
    """
    ways = make_outlets(settings)
    keeps = all(way.keeps for way in ways)
    left_alone: set[UUID] = set()

    def mine() -> list[UUID]:
        rows = [row for row in tenants.all_of(url) if only is None or row.id == only]
        if keeps:
            for row in rows:
                if row.live_since is not None and row.id not in left_alone and told:
                    left_alone.add(row.id)
                    told(f"{row.name} sends through a mail server, and here none is set: its mail is left to others.")
            return [row.id for row in rows if row.live_since is None]
        for row in rows:
            if row.live_since is None:
                tenants.set_live(url, row.id, True)
        return [row.id for row in rows]

    async def ask() -> Sequence[UUID]:
        return await asyncio.to_thread(mine)

    return Sender(
        database, ways, ask, links=links, pace=pace, bounce_address=settings.bounce_address, sign=make_signer(settings),
        told=told,
    )  # fmt: skip


def make_reader(
    settings: Settings, url: str, database: Database, links: LinkSettings, *, only: UUID | None = None,
    told: Told | None = None,
) -> MailboxReader | None:  # fmt: skip
    """What reads the mailbox of returned mails, for all tenants or `only` for one; None where none is set."""
    if settings.bounces is None:
        return None
    from mail.returns import MailboxReader

    async def ask() -> Sequence[UUID]:
        return [only] if only else [row.id for row in await asyncio.to_thread(tenants.all_of, url)]

    address = settings.bounces.get_secret_value()
    return MailboxReader(database, ask, links.secrets, address, keep_others=only is not None, told=told)


async def send_and_read(sender: Sender, reader: MailboxReader | None, stopping: asyncio.Event) -> None:
    """Send, and read what comes back, until `stopping` is set."""
    reading = asyncio.create_task(reader.run(stopping)) if reader is not None else None
    try:
        await sender.run(stopping)
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def work(
    settings: Settings, url: str, links: LinkSettings, stopping: asyncio.Event, *, only: UUID | None = None,
    pace: Pace | None = None, told: Told | None = None,
) -> int:  # fmt: skip
    """Send until `stopping` is set; return how many mails servers took."""
    database = Database(url, max_size=4)
    await database.open()
    try:
        sender = make_sender(settings, url, database, links, only=only, pace=pace, told=told)
        # Whoever's reports are in the mailbox: it is one for all tenants.
        await send_and_read(sender, make_reader(settings, url, database, links, told=told), stopping)
        return sender.sent
    finally:
        await database.close()


@contextmanager
def in_background(
    settings: Settings, url: str, links: LinkSettings, only: UUID | None, *, told: Told | None = None
) -> Iterator[None]:  # fmt: skip
    """Send the mail of `only`, or of all tenants, while the block runs.

    In a thread: a prompt that waits for a person blocks the loop. `told` is called there.
    """
    background = _Background(settings, url, links, only, told or log.info)
    background.thread.start()
    try:
        yield
    finally:
        background.stop()


class _Background:
    """A sender with a loop of its own."""

    def __init__(
        self, settings: Settings, url: str, links: LinkSettings, only: UUID | None, told: Told
    ) -> None:  # fmt: skip
        self._arguments = (settings, url, links)
        self._only, self._told = only, told
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._asked = threading.Event()
        # A daemon: a program that must end does, whatever a mail server does.
        self.thread = threading.Thread(target=self._run, name="sending", daemon=True)

    def stop(self) -> None:
        """Ask it to end, and wait some seconds for the answers of mails in flight."""
        self._asked.set()
        if self._loop is not None and self._stopping is not None:
            with_loop, stopping = self._loop, self._stopping
            try:
                with_loop.call_soon_threadsafe(stopping.set)
            except RuntimeError:
                return  # it has ended already
        self.thread.join(PATIENCE + 5)

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BadSettings as error:
            self._told(f"Nothing is sent here. {error}")
        except Exception:
            log.exception("sending in the background has stopped")
            self._told("Sending here has stopped: an error of this program; see its log.")

    async def _work(self) -> None:
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._asked.is_set():
            return
        await work(*self._arguments, self._stopping, only=self._only, pace=Pace(drain=PATIENCE), told=self._told)
