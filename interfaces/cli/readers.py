"""The readers of the tour: mail programs, browsers and machines that ask for what stands in the captured mails.

They go through the real endpoints with the signed addresses of the mails, and are judged as anybody is: so a person's
part has to wait until a person could have read the mail.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from html import unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from db.pool import Database
    from mail.links import LinkSettings
    from tools.base import Tenant

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
# It says what it is: time alone would tell it only on a machine that is not busy.
GATEWAY = "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))"
# Apple's proxy fetches every picture, whether the mail is read or not.
APPLE_PRIVACY = "Mozilla/5.0"

# A click within eight seconds of delivery is taken for a machine's (mail/classify.yaml); one more for rounding.
SECONDS_TO_READ = 9.0

_ADDRESS = re.compile(r'(?:href|src)="([^"]+)"')


@dataclass(frozen=True)
class CapturedMail:
    """The tracked addresses in one mail of the outbox."""

    recipient: str
    picture: str
    links: list[str]


class Readers:
    """Those who got the mails of the outbox. Made by `among`."""

    def __init__(self, web: httpx.AsyncClient, mails: list[CapturedMail]) -> None:
        self._web, self._mails = web, mails
        self._since = time.monotonic()

    async def machines(self) -> str:
        """A gateway looks through the first mail while it is delivered, and Apple's proxy through the second."""
        gateway, apple = self._mails[:2]
        for address in (gateway.picture, *gateway.links):
            await self._ask(address, GATEWAY)
        await self._ask(apple.picture, APPLE_PRIVACY)
        return (
            "At once a mail gateway looked through one mail and followed its link, and Apple's proxy fetched the "
            "picture of another. This program plays them, through the real endpoints."
        )

    async def people(self) -> str:
        """Four people open their mail, two of them click; not before a person could."""
        await asyncio.sleep(max(0.0, self._since + SECONDS_TO_READ - time.monotonic()))
        readers = self._mails[2:6]
        for mail, agent in zip(readers, (FIREFOX, SAFARI, FIREFOX, SAFARI), strict=True):
            await self._ask(mail.picture, agent)
        for mail, agent in zip(readers[:2], (FIREFOX, SAFARI), strict=True):
            await self._ask(mail.links[0], agent)
        return (
            "Nine seconds after delivery and later: four people opened the mail, two of them followed its link. "
            "Played too: as their browsers ask, with the signed addresses of the mails in the outbox."
        )

    async def _ask(self, address: str, agent: str) -> None:
        answer = await self._web.get(address, headers={"User-Agent": agent})
        # A link leads on; nobody follows it out of this machine.
        assert answer.status_code in (200, 302), f"{address} answers {answer.status_code}"


@asynccontextmanager
async def among(database: Database, tenant: Tenant, links: LinkSettings) -> AsyncIterator[Readers]:
    """The readers of the newest mails in the outbox. What they did is written when the block ends."""
    import httpx

    from interfaces.tracking import Tracking
    from interfaces.web import public_app

    tracking = Tracking(database, links)
    transport = httpx.ASGITransport(public_app(tracking))
    async with tracking.running(), httpx.AsyncClient(transport=transport) as web:
        yield Readers(web, await _captured(database, tenant, links))


async def _captured(database: Database, tenant: Tenant, links: LinkSettings) -> list[CapturedMail]:
    from db import captures

    found = []
    async with database.transaction(tenant.id, read_only=True) as db:
        for row in await captures.newest(db, tenant.id, limit=20):
            (kept,) = await captures.find(db, tenant.id, str(row.captured_id))
            mail = BytesParser(policy=policy.default).parsebytes(kept.message)
            part = mail.get_body(("html",))
            assert part is not None, "every mail has an HTML part"
            addresses = [unescape(address) for address in _ADDRESS.findall(part.get_content())]
            (picture,) = [address for address in addresses if address.startswith(f"{links.base_url}/o/")]
            clicks = [address for address in addresses if address.startswith(f"{links.base_url}/c/")]
            found.append(CapturedMail(row.recipient, picture, clicks))
    return sorted(found, key=lambda mail: mail.recipient)
