"""MCP over streamable HTTP, at /mcp: the same server as over stdio, for whoever brings an API key or an access token.

Every request is let in by itself, also within a session: a key that was revoked opens nothing from then on. A session
belongs to who began it (tenant, name and role); for anybody else it does not exist.

A browser must not be made to speak for a page of another site: a foreign Origin is refused, and so is a name in Host
that is not ours (DNS rebinding).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from psycopg import OperationalError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.pool import DatabaseUnavailable
from interfaces.access import LOOPBACK, Access, bearer
from interfaces.api.callers import WRONG_PER_MINUTE, Limiter
from interfaces.api.problems import TooFast
from interfaces.doors import Door
from interfaces.mcp_oauth import IssuerUnreachable, NotEnough, TokenRefused, Tokens
from interfaces.mcp_server import make_server
from tools.base import Context
from tools.errors import KeyNeeded, KeyOver, UnknownKey
from tools.keys import PREFIX

PATH = "/mcp"

# Where a client looks for whom to ask for a token (RFC 9728, 3.1): with the path of the resource, and without.
METADATA = "/.well-known/oauth-protected-resource"

SESSION = "mcp-session-id"
MOST_SESSIONS = 2_000

_GONE = (
    "This session is not known here: it has ended, or the server was started again. Begin a new one (initialize). "
    "What was done is done, and requests that wait for a person still wait."
)

_calling: ContextVar[Context] = ContextVar("calling")
"""What the request under way works with. The SDK carries it along to the handler."""


def door(access: Access, *, per_minute: int | None = None, wrong_per_minute: int = WRONG_PER_MINUTE) -> Door:
    """MCP for everybody whom `access` knows, at most so many requests a minute for each."""
    settings = access.program.settings
    oauth = settings.oauth()
    tokens = Tokens(oauth, access.database, access.program.url, access.local) if oauth else None
    ours = Ours([url for url in (settings.mcp_url, access.url) if url])
    described_at = _described_at(settings.mcp_url) if oauth and settings.mcp_url else None
    known = Known(access, tokens, Limiter(per_minute or settings.rate_limit), Limiter(wrong_per_minute))
    entrance = Entrance(known, ours, described_at)
    routes: list[BaseRoute] = [Route(PATH, entrance, methods=["GET", "POST", "DELETE"])]
    if oauth and settings.mcp_url:
        routes += _metadata(settings.mcp_url, oauth.issuer)
    return Door(routes, entrance.running)


@dataclass(frozen=True)
class Caller:
    """Who is let in."""

    ctx: Context
    issuer: str
    """Who vouches for them: `key`, `machine`, or the address of an authorization server."""
    subject: str

    def user(self) -> AuthenticatedUser:
        """As the SDK knows them; it binds sessions, and what goes to the client and comes back, to these three."""
        return AuthenticatedUser(
            AccessToken(
                token="",  # it is not kept
                client_id=str(self.ctx.tenant.id), scopes=[], subject=f"{self.ctx.actor.role} {self.subject}",
                claims={"iss": self.issuer},
            )
        )  # fmt: skip


class Refused(Exception):
    """Not let in: the answer instead."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Known:
    """Tells who calls."""

    def __init__(self, access: Access, tokens: Tokens | None, limit: Limiter, wrong: Limiter) -> None:
        self._access, self._tokens, self._limit, self._wrong = access, tokens, limit, wrong

    async def caller(self, request: Request) -> Caller:
        """Raises `KeyNeeded`, `UnknownKey`, `KeyOver`, `TokenRefused`, `NotEnough`, `IssuerUnreachable`, `TooFast`."""
        try:
            found = await self._recognised(request)
        except (KeyNeeded, UnknownKey, KeyOver, TokenRefused):
            # Whoever is right is let in all the same: behind a proxy everybody has one address, and keys of 256 bits
            # are not guessed.
            self._wrong.take(request.client.host if request.client else "")
            raise
        self._limit.take(f"{found.ctx.tenant.id} {found.issuer} {found.subject}")
        return found

    async def _recognised(self, request: Request) -> Caller:
        said = bearer(request)
        if self._tokens is not None:
            # Where people sign in, nobody is let in for sitting at this machine: a proxy sits there, too.
            if said is None:
                raise KeyNeeded
            if not said.startswith(PREFIX):
                found = await self._tokens.recognise(said, "mcp")
                ctx = self._access.program.context(actor=found.actor, tenant=found.tenant)
                return Caller(ctx, self._tokens.issuer, found.subject)
        ctx = await self._access.by_request(request, "mcp")
        return Caller(ctx, "machine" if said is None else "key", ctx.actor.name)


class Ours:
    """The names this server goes by: those of this machine, the address it was reached at, and what the settings say.

    A page in a browser can point a name of its own at us (DNS rebinding), but not an address.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        places = [urlsplit(url) for url in urls]
        self._hosts = {place.netloc.lower() for place in places} | {place.hostname or "" for place in places}
        self._origins = {f"{place.scheme}://{place.netloc}".lower() for place in places}

    def check(self, request: Request) -> None:
        """Raise `Refused` for a Host or an Origin that is not ours."""
        host = request.headers.get("host", "").lower()
        name = _hostname(host)
        reached_at = (request.scope.get("server") or ("",))[0]
        if not name or not (host in self._hosts or name in (*LOOPBACK, reached_at) or name in self._hosts):
            raise Refused(
                _problem(421, "This server does not go by that name. Set SMARTCAMPAIGN_MCP_URL to its address.")
            )
        for origin in map(str.lower, request.headers.getlist("origin")):
            if origin not in self._origins and not _is_from(origin, host):
                raise Refused(_problem(403, "Pages of other sites can't use this server."))


def _is_from(origin: str, host: str) -> bool:
    """Whether a page is this server's own, or comes from this machine."""
    scheme, sep, place = origin.partition("://")
    return scheme in ("http", "https") and bool(sep) and (place == host or _hostname(place) in LOOPBACK)


def _hostname(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "" if parts.netloc == host and "@" not in host else ""
    except ValueError:
        return ""


class Entrance:
    """The ASGI app at /mcp: lets in or turns away, then the SDK's session manager answers."""

    def __init__(self, known: Known, ours: Ours, described_at: str | None) -> None:
        self._known, self._ours, self._described_at = known, ours, described_at
        self._inside: ASGIApp | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sessions live while the block runs."""
        manager = StreamableHTTPSessionManager(make_server(_context, _nothing), max_sessions=MOST_SESSIONS)
        async with manager.run():
            self._inside = AuthContextMiddleware(manager.handle_request)
            try:
                yield
            finally:
                self._inside = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            if self._inside is None:
                raise Refused(_problem(503, "The server is stopping."))
            self._ours.check(request)
            caller = await self._let_in(request)
        except Refused as refused:
            await refused.response(scope, receive, send)
            return
        scope["user"] = caller.user()
        token = _calling.set(caller.ctx)
        try:
            await self._inside(scope, receive, _explained(send) if SESSION in request.headers else send)
        finally:
            _calling.reset(token)

    async def _let_in(self, request: Request) -> Caller:
        try:
            return await self._known.caller(request)
        except KeyNeeded as error:
            raise Refused(self._unknown(401, str(error))) from None
        except (UnknownKey, KeyOver, TokenRefused) as error:
            raise Refused(self._unknown(401, str(error), "invalid_token")) from None
        except NotEnough as error:
            raise Refused(self._unknown(403, str(error), "insufficient_scope")) from None
        except TooFast as error:
            raise Refused(_problem(429, str(error), {"Retry-After": str(error.details["seconds"])})) from None
        except IssuerUnreachable as error:
            raise Refused(_problem(503, str(error), {"Retry-After": "30"})) from None
        except (OperationalError, DatabaseUnavailable):
            raise Refused(_problem(503, "The database does not answer. Try again.", {"Retry-After": "30"})) from None

    def _unknown(self, status: int, sentence: str, error: str | None = None) -> Response:
        """RFC 6750, 3: without any token no error is named; RFC 9728, 5.1: where to learn whom to ask for one."""
        said = [f'error="{error}"'] if error else []
        said += [f'resource_metadata="{self._described_at}"'] if self._described_at else []
        challenge = f"Bearer {', '.join(said)}".strip()
        return _problem(status, sentence, {"WWW-Authenticate": challenge})


async def _context() -> Context:
    return _calling.get()


async def _nothing() -> None:
    """The program is closed by who opened it."""


def _problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """What a client gets that is not let in: a sentence in the form in which it reads errors."""
    said = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": sentence}}
    return JSONResponse(said, status, {"Cache-Control": "no-store"} | (headers or {}))


def _explained(send: Send) -> Send:
    """The SDK says of a session it does not know that it is not found; this says why and what to do."""
    gone = False

    async def tell(message: Message) -> None:
        nonlocal gone
        if message["type"] == "http.response.start" and message["status"] == 404:
            gone = True
            body = _gone_body()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({**message, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        elif not gone:
            await send(message)

    return tell


def _gone_body() -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": _GONE}}).encode()


def _described_at(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{METADATA}{parts.path.rstrip('/')}"


def _metadata(url: str, issuer: str) -> list[BaseRoute]:
    """What this resource is and who issues tokens for it (RFC 9728). Anybody may read it, from any page."""
    said: dict[str, Any] = {
        "resource": url, "authorization_servers": [issuer], "bearer_methods_supported": ["header"],
        "resource_name": "SmartCampaign AI",
    }  # fmt: skip

    async def describe(_: Request) -> Response:
        return JSONResponse(said, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=3600"})

    paths = {METADATA, f"{METADATA}{urlsplit(url).path.rstrip('/')}", f"{METADATA}{PATH}"}
    return [Route(path, describe, methods=["GET"]) for path in sorted(paths)]
