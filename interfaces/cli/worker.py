"""`smartcampaign worker`: sends what is due, and says what it does in lines that a person reads."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from interfaces.cli.running import DONE, settings_for

if TYPE_CHECKING:
    from mail.returns import MailboxReader
    from mail.send import Sender

# A line about a long campaign so often.
EVERY = 10.0


async def work(tenant: str | None, *, once: bool) -> int:
    """Send until Ctrl-C or SIGTERM, or with `once` what is due now. Mails in flight end first, some seconds at most."""
    from db.pool import Database
    from interfaces.wiring import find_tenant, open_database
    from interfaces.worker import make_reader, make_sender

    settings = settings_for()
    async with open_database(settings) as url:
        only = (await asyncio.to_thread(find_tenant, url, tenant)).id if tenant else None
        database = Database(url, max_size=6)
        await database.open()
        try:
            sender = make_sender(settings, url, database, settings.link_settings(), only=only, told=_tell)
            reader = make_reader(settings, url, database, settings.link_settings(), told=_tell)
            servers = ", ".join(server.name for server in settings.mail_servers())
            _tell(f"Sending through {servers}." if servers else "No mail server is set: mail is kept in the outbox.")
            if once:
                await sender.run_once()
                if reader is not None:
                    await reader.read_once()
            else:
                await _until_stopped(sender, reader)
            _tell(f"{sender.sent:,} {'mail' if sender.sent == 1 else 'mails'} taken by servers.")
        finally:
            await database.close()
    return DONE


async def _until_stopped(sender: Sender, reader: MailboxReader | None) -> None:
    from interfaces.worker import send_and_read

    stopping = asyncio.Event()
    running = asyncio.create_task(send_and_read(sender, reader, stopping))
    progress = asyncio.create_task(_progress(sender))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        # Ctrl-C or SIGTERM: what is in flight ends; asked twice, it ends at once.
        _tell("Stopping: waiting for the mails in flight.")
        stopping.set()
        await running
    finally:
        progress.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await progress


async def _progress(sender: Sender) -> None:
    before, at = sender.sent, time.monotonic()
    while True:
        await asyncio.sleep(EVERY)
        if sender.sent > before:
            rate = (sender.sent - before) / (time.monotonic() - at)
            _tell(f"{sender.sent:,} mails sent, {rate:,.0f} a second.")
        before, at = sender.sent, time.monotonic()


def _tell(sentence: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {sentence}\n")
    sys.stdout.flush()
