"""One connection as bytes in and replies out (RFC 5321 4.2), with a time limit."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

# RFC 5321 allows 512 octets a line; some servers write more. What goes beyond is no SMTP server.
LONGEST_LINE = 8_192
MOST_LINES = 100
# What is kept of an answer.
LONGEST_ANSWER = 300


_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class Reply(NamedTuple):
    """What a server answered to one command."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.code} {' '.join(self.lines)}"[:LONGEST_ANSWER]

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300


class Dropped(Exception):
    """The connection ended or stalled."""


Told = Callable[[str, str], None]
"""Called with "C" or "S" and each line of the talk, passwords masked."""


class Wire(asyncio.Protocol):
    """Bytes in, replies out. The time limit is one timer a connection, moved when it fires, not one a reply."""

    def __init__(self, told: Told | None) -> None:
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._lines: list[str] = []
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._why = ""

    @property
    def is_lost(self) -> bool:
        return bool(self._why)

    def own_address(self) -> str:
        """This end's IP address."""
        assert self._transport is not None
        return str(self._transport.get_extra_info("sockname")[0])

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._why:
            self._transport.write(data)

    async def reply(self, limit: float) -> Reply:
        """The next reply. Raises `Dropped` when the line ends, stalls for `limit` seconds, or speaks no SMTP."""
        while not self._replies:
            if self._why:
                raise Dropped(self._why)
            self._deadline = self._loop.time() + limit
            if self._timer is None:
                self._timer = self._loop.call_at(self._deadline, self._look_at_the_clock)
            elif self._timer.when() > self._deadline:
                self._timer.cancel()
                self._timer = self._loop.call_at(self._deadline, self._look_at_the_clock)
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._replies.popleft()

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go over to TLS. What came before the handshake and was not asked for is an attack (CVE-2011-0411)."""
        if self._rest or self._replies or self._lines:
            raise ssl.SSLError("the server said something before TLS began")
        assert self._transport is not None
        transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        if transport is None:
            raise ssl.SSLError("the connection was lost")
        self._transport = transport

    def abort(self) -> None:
        self._why = self._why or "it was closed"
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.rstrip(b"\r"))
        if len(self._rest) > LONGEST_LINE or len(self._lines) > MOST_LINES:
            self._fail("its answer has no end")

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(said(error) if error else "the server closed it")

    def _line(self, line: bytes) -> None:
        if self._told:
            self._told("S", line.decode(errors="replace"))
        code, more = line[:3], line[3:4]
        if not code.isdigit() or more not in (b" ", b"-", b"") or not b"200" <= code <= b"599":
            self._fail("it does not speak SMTP")
            return
        # No control characters: it ends up in a table, a log and a terminal.
        self._lines.append(_CONTROLS.sub("?", line[4:].decode(errors="replace")))
        if more != b"-":
            self._replies.append(Reply(int(code), tuple(self._lines)))
            self._lines = []
            self._wake()

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() >= self._deadline:
            self._fail("it did not answer in time")
        else:
            self._timer = self._loop.call_at(self._deadline, self._look_at_the_clock)

    def _fail(self, why: str) -> None:
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None


def said(error: Exception) -> str:
    """What an error of a connection says, in short."""
    words = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(words).split())[:200] or type(error).__name__
