"""What holds for every request but tracking's: no body without bounds, safe headers, and its place in the figures.

Plain ASGI, and tracking is let through at the first line: a pixel is answered ten thousand times a second.
"""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.api.figures import Figures
from interfaces.api.problems import TooLarge, of_refusal

TRACKING = ("/o/", "/c/", "/u/", "/v/", "/b/")

# Bytes of a body. Uploads are written to disk as they come, and have a limit of their own.
LONGEST = 1_000_000
# A list as text may be large, also over MCP.
LONGEST_OF = {"/api/tools/import_contacts": 12_000_000, "/mcp": 12_000_000}
DROPPED = 16_000_000
UPLOADS = ("/api/imports", "/import")

_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """Around the whole app."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(TRACKING):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers(scope, message)]
                self._count(scope, message["status"], time.perf_counter() - began)
            await send(message)

        if scope["path"] not in UPLOADS:
            most = LONGEST_OF.get(scope["path"], LONGEST)
            messages = await _read(scope, receive, most)
            if messages is None:
                refused = of_refusal(Request(scope), TooLarge(most=most))
                refused.headers["Connection"] = "close"  # the rest of the body is not read
                await refused(scope, receive, tell)
                return
            receive = _replayed(messages, receive)
        await self._app(scope, receive, tell)

    def _headers(self, scope: Scope, message: Message) -> list[tuple[bytes, bytes]]:
        given = {name.lower() for name, _ in message.get("headers", ())}
        more = [header for header in _SAFE if header[0] not in given]
        if b"cache-control" not in given:
            more.append((b"cache-control", b"no-store"))
        rate: tuple[str, str] | None = scope.get("smartcampaign.rate")
        if rate is not None:
            more += [(b"ratelimit-policy", rate[0].encode()), (b"ratelimit", rate[1].encode())]
        return more

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's pattern: an address may hold an id, and has no end of values.
        route = getattr(scope.get("route"), "path", "none")
        self._figures.requests.labels(route, scope["method"], str(status)).inc()
        self._figures.seconds.labels(route).observe(seconds)


async def _read(scope: Scope, receive: Receive, most: int) -> list[Message] | None:
    """The whole body, or None when it is longer than `most`.

    A little too much is read to its end and dropped: a client that is cut off while it sends never reads the answer.
    """
    said = dict(scope["headers"]).get(b"content-length", b"")
    if said.isdigit() and int(said) > most + DROPPED:
        return None
    messages: list[Message] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return [message]
        length += len(message.get("body", b""))
        if length <= most:
            messages.append(message)
        if length > most + DROPPED or not message.get("more_body", False):
            return messages if length <= most else None


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    waiting = iter(messages)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return again
