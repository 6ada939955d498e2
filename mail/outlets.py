"""Where mails leave: the SMTP servers of the settings, or the capture while there is none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from db.rates import Limit
from mail.capture import CaptureLine
from mail.pace import Pace, Rest
from mail.servers import Server
from mail.smtp import Connection, Outcome

if TYPE_CHECKING:
    from mail.desk import Job

# The capture is no network: so many rows a turn of the loop.
CAPTURE_LINES = 32


class Line(Protocol):
    """One connection: one mail at a time."""

    async def send(self, sender: str, recipient: str, message: bytes, until: float | None = None) -> Outcome:
        """See `mail.smtp.Connection.send`."""

    async def close(self) -> None:
        """Let go of what is open."""


class Outlet:
    """One way out: its lines, its rate, and whether it is worth a try."""

    def __init__(
        self, name: str, line: Callable[[], Line], lines: int, *, rate: float | None = None, keeps: bool = False
    ) -> None:
        self.name, self.line, self.lines = name, line, lines
        self.keeps = keeps
        """Whether mails stay here, in the outbox."""
        self.limit = Limit(f"server:{name}", rate) if rate else None
        self.rest = Rest(Pace())
        self.busy = 0
        """Mails that have begun and are not recorded yet."""
        self.queue: asyncio.Queue[Job] = asyncio.Queue()

    def room(self, ending: int) -> int:
        """How many more mails may begin here now, with `ending` of the busy ones about to be recorded."""
        return max(0, self.rest.room(self.lines) - (self.busy - ending))


def capture() -> Outlet:
    """The outlet that keeps everything and sends nothing."""
    return Outlet("outbox", CaptureLine, CAPTURE_LINES, keeps=True)


def smtp(server: Server, tls: ssl.SSLContext | None = None) -> Outlet:
    """The outlet of an SMTP server."""
    return Outlet(server.name, lambda: Connection(server, tls=tls), server.connections, rate=server.rate)
