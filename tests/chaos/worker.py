"""A worker as a program, with the pace of tests: what is killed, stopped and starved here.

python -m tests.chaos.worker URL TENANT PORT [CONNECTIONS] [LEASE]
"""

from __future__ import annotations

import asyncio
import signal
import sys
from uuid import UUID

from interfaces.settings import Settings
from interfaces.worker import make_sender
from mail.links import LinkSettings
from mail.pace import Pace


async def main(url: str, tenant: str, port: str, connections: str = "8", lease: str = "2") -> None:
    from db.pool import Database

    settings = Settings(smtp_url=f"smtp://127.0.0.1:{port}?starttls=none&connections={connections}")
    pace = Pace(
        lease=float(lease), first_wait=0.3, longest_wait=1, look=0.2, first_rest=0.2, longest_rest=1, drain=10
    )  # fmt: skip
    database = Database(url, max_size=4)
    await database.open()
    links = LinkSettings("https://mail.shop.example", is_public=True)
    sender = make_sender(settings, url, database, links, only=UUID(tenant), pace=pace)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await sender.run(stopping)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
