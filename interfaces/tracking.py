"""Opens, clicks, conversions and unsubscribing: read the token, note the hit, answer at once. No cookies, no addresses.

An open or a click is answered from memory and written within a second (mail/hits.py). Whoever unsubscribes, and a shop
that reports a conversion, is answered when it is committed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from db import links as link_rows
from db import tenants
from db.pool import Database
from interfaces import unsubscribe_page
from mail import bounces, webhooks
from mail.classify import Verdict, by_agent
from mail.hits import HitQueue
from mail.leaving import unsubscribe
from mail.links import Keys, Kind, Links, LinkSettings, Token, read, with_parameter
from mail.recording import Hit, counted_url, plain_user_agent, record

# Keys and hosts are read again after so many seconds; one that is not known is looked for again after some.
FRESH = 60.0
UNKNOWN = 10.0
MOST_KNOWN = 10_000

# More hits of one mail in a minute are answered and not written: nobody reads that fast, and a loop must not fill the
# disk.
MOST_A_MINUTE = 60

LONGEST_BODY = 16_384
LONGEST_ORDER = 100
LONGEST_CALL = 1_000_000

# 1x1, transparent: the smallest GIF that every mail program shows.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")

_NO_STORE = {
    "Cache-Control": "no-store, private, max-age=0",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}

_AWAY = (psycopg.OperationalError, PoolTimeout, ConnectionError)


@dataclass(frozen=True)
class _Known:
    """What is kept in memory about a tenant; without keys: there is no such tenant, or it never sent a mail."""

    keys: Keys | None
    hosts: frozenset[str]
    read_at: float

    def is_fresh(self, version: int) -> bool:
        """Whether what is known will do for a token of this key."""
        known = self.keys is not None and version in self.keys.by_version
        return time.monotonic() - self.read_at < (FRESH if known else UNKNOWN)


class Unavailable(Exception):
    """The keys of a tenant can't be read just now."""


class Tracking:
    """The public endpoints and what they need. `running` writes the hits while its block lasts."""

    def __init__(
        self, database: Database, settings: LinkSettings, *, mailgun_key: str | None = None,
        fetch: webhooks.Fetch | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._database, self._settings, self._now = database, settings, now
        self._mailgun_key, self._fetch = mailgun_key, fetch or _fetch
        self._known: dict[UUID, _Known] = {}
        self._looking = asyncio.Lock()
        self._minute = 0
        self._busy: dict[tuple[int, int], int] = {}
        self.hits = HitQueue(database)
        self.routes = [
            Route("/o/{token}", self.open),
            Route("/c/{token}", self.click),
            Route("/u/{token}", self.unsubscribe_page),
            Route("/u/{token}", self.unsubscribe, methods=["POST"]),
            Route("/v/{token}", self.conversion_pixel),
            Route("/v/{token}", self.conversion, methods=["POST"]),
            Route("/b/{token}", self.hook, methods=["POST"]),
            Route("/health", self.health),
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write hits meanwhile, and the last ones on leaving."""
        task = asyncio.create_task(self.hits.run())
        try:
            yield
        finally:
            await self.hits.close(task)

    async def open(self, request: Request) -> Response:
        """The picture of a mail was asked for."""
        token = await self._token(request, Kind.OPEN, ".gif")
        if token is None:
            return _bad_link()
        await self._note(request, token, "open")
        return _PIXEL

    async def click(self, request: Request) -> Response:
        """A link was followed: on to the address that was signed, and to no other."""
        token = await self._token(request, Kind.CLICK)
        if token is None:
            return _bad_link()
        await self._note(request, token, "click", url=counted_url(token.target))
        known, target = self._known.get(token.tenant), token.target
        if known is not None and known.keys is not None and known.hosts and _is_one_of(target, known.hosts):
            links = Links(self._settings, known.keys).to(token.campaign, token.contact)
            target = with_parameter(target, "sc", links.conversion_token)
        return _Redirect(target)

    async def unsubscribe_page(self, request: Request) -> Response:
        """Ask. A GET changes nothing: scanners follow this link as well."""
        languages = request.headers.get("accept-language", "")
        try:
            token = await self._token(request, Kind.UNSUBSCRIBE)
            if token is None:
                return unsubscribe_page.bad_link(languages)
            if token.is_test:
                return unsubscribe_page.test_mail(languages)
            return unsubscribe_page.ask(await self._sender(token.tenant), languages)
        except (Unavailable, *_AWAY):
            return unsubscribe_page.away(languages)

    async def unsubscribe(self, request: Request) -> Response:
        """RFC 8058's one click, or the page's button: true before it is answered."""
        languages = request.headers.get("accept-language", "")
        try:
            token = await self._token(request, Kind.UNSUBSCRIBE)
            if token is None:
                return unsubscribe_page.bad_link(languages)
            body = await _body(request)
            how = "one_click" if _ONE_CLICK.search(body) else "page"
            if how == "page" and b"confirm=yes" not in body:
                return PlainTextResponse("Send List-Unsubscribe=One-Click (RFC 8058).\n", 400, _NO_STORE)
            if token.is_test:
                return unsubscribe_page.test_mail(languages)
            await self._unsubscribe(token, how, _asked(request)[0])
            return unsubscribe_page.done(await self._sender(token.tenant), languages)
        except (Unavailable, *_AWAY):
            return unsubscribe_page.away(languages)

    async def conversion_pixel(self, request: Request) -> Response:
        """A picture on a shop's page of thanks: `?order=` (counted once) and `?value=`."""
        token = await self._token(request, Kind.CONVERSION, ".gif")
        if token is None:
            return _bad_link()
        order, value = request.query_params.get("order", ""), request.query_params.get("value", "")
        hit = self._conversion(request, token, order, value, "pixel")
        if hit is None:
            return PlainTextResponse(
                "value must be a number like 12.50, and order at most 100 characters.\n", 400, _NO_STORE
            )
        if not token.is_test and self._may_note(token):
            await self.hits.put(token.tenant, hit)
        return _PIXEL

    async def conversion(self, request: Request) -> Response:
        """A shop's server reports: committed before the answer, and once for each Idempotency-Key or order."""
        try:
            token = await self._token(request, Kind.CONVERSION)
            if token is None:
                return _bad_link()
            fields = _fields(await _body(request))
            order = request.headers.get("idempotency-key") or fields.get("order", "")
            if not order:
                return PlainTextResponse("Send an Idempotency-Key header, or order in the body.\n", 400, _NO_STORE)
            hit = self._conversion(request, token, order, fields.get("value", ""), "server_call")
            if hit is None:
                return PlainTextResponse(
                    "value must be a number like 12.50, and the key at most 100 characters.\n", 400, _NO_STORE
                )
            async with self._database.transaction(token.tenant) as db:
                new = await record(db, token.tenant, [hit])
            return JSONResponse({"recorded": bool(new)}, headers=_NO_STORE)
        except (Unavailable, *_AWAY):
            return PlainTextResponse("Try again in a minute.\n", 503, {"Retry-After": "60", **_NO_STORE})

    async def hook(self, request: Request) -> Response:
        """A provider tells of bounces and complaints: committed before the answer, and counted once."""
        try:
            token = await self._token(request, Kind.HOOK)
            if token is None:
                return _bad_link()
            body = await _body(request, LONGEST_CALL)
            call = await webhooks.understood(
                token.target, body, now=self._now(), fetch=self._fetch, mailgun_key=self._mailgun_key
            )
            if call.confirm is not None:
                await self._fetch(call.confirm)
            known = self._known[token.tenant]
            assert known.keys is not None
            async with self._database.transaction(token.tenant) as db:
                found = await webhooks.matched(db, token.tenant, known.keys, call.notices)
                new = await bounces.apply(db, token.tenant, found, source=token.target, at=self._now())
            return JSONResponse({"told": len(call.notices), "recorded": new}, headers=_NO_STORE)
        except webhooks.Refused as error:
            return PlainTextResponse(f"{error}\n", 400, _NO_STORE)
        except (Unavailable, httpx.HTTPError, *_AWAY):
            return PlainTextResponse("Try again in a minute.\n", 503, {"Retry-After": "60", **_NO_STORE})

    async def health(self, request: Request) -> Response:
        """200 when hits are written: the database answers and none waits for long."""
        late = self.hits.age > 5
        return JSONResponse(
            {"status": "late" if late else "ok", "waiting": self.hits.held, "lost": self.hits.lost},
            503 if late else 200, _NO_STORE,
        )  # fmt: skip

    async def _token(self, request: Request, kind: Kind, suffix: str = "") -> Token | None:
        """The token of the address; None when it is not genuine. Raises `Unavailable`."""
        text: str = request.path_params["token"]
        if suffix:
            text, _, rest = text.partition(".")
            if rest not in ("", suffix[1:]):
                return None
        claim = read(text, kind)
        if claim is None:
            return None
        known = self._known.get(claim.token.tenant)
        if known is None or not known.is_fresh(claim.version):
            known = await self._of(claim.token.tenant, claim.version)
        return claim.token if known.keys is not None and claim.is_genuine(known.keys) else None

    async def _of(self, tenant: UUID, version: int) -> _Known:
        """What is to be known about a tenant for a token of this key. Raises `Unavailable`."""
        known = self._known.get(tenant)
        if known is not None and known.is_fresh(version):
            return known
        # One look at a time: invented tenants must not take the database's connections from the others.
        async with self._looking:
            again = self._known.get(tenant)
            if again is not None and again is not known:
                return again
            try:
                return await self._look(tenant)
            except _AWAY:
                # Links go on working while the database is away, for every tenant that was here before.
                if known is not None and known.keys is not None:
                    return known
                raise Unavailable from None

    async def _look(self, tenant: UUID) -> _Known:
        async with self._database.transaction(tenant, read_only=True) as db:
            keys = await Keys.find(db, tenant, self._settings.secrets, to_sign=False)
            hosts = await link_rows.conversion_hosts(db, tenant)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        known = self._known[tenant] = _Known(keys, hosts, time.monotonic())
        return known

    async def _sender(self, tenant: UUID) -> str:
        async with self._database.transaction(tenant, read_only=True) as db:
            row = await tenants.find(db, tenant)
        return (row.sender_name or row.name) if row else ""

    async def _note(self, request: Request, token: Token, kind: str, url: str | None = None) -> None:
        if token.is_test or not self._may_note(token):
            return
        agent, how = _asked(request)
        hit = Hit(
            campaign=token.campaign, contact=token.contact, kind=kind, at=self._now(), url=url, user_agent=agent,
            request=how,
        )  # fmt: skip
        await self.hits.put(token.tenant, hit)

    def _may_note(self, token: Token) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._busy.clear()
        mail = token.campaign.int, token.contact.int
        count = self._busy[mail] = self._busy.get(mail, 0) + 1
        return count <= MOST_A_MINUTE

    def _conversion(self, request: Request, token: Token, order: str, value: str, how: str) -> Hit | None:
        if len(order) > LONGEST_ORDER or (value and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", value)):
            return None
        agent, asked = _asked(request)
        at = self._now()
        said = by_agent("click", agent)
        human = how == "server_call" or (not asked and said.who != "machine")
        # Without an order's number a page of thanks that is loaded again counts once a day.
        key = order or f"{token.contact} {at.astimezone(UTC).date()}"
        return Hit(
            campaign=token.campaign, contact=token.contact, kind="conversion", at=at, user_agent=agent,
            value=Decimal(value) if value else None, key="conversion " + hashlib.sha256(key.encode()).hexdigest()[:32],
            verdict=Verdict("human", how) if human else Verdict("machine", asked or said.reason),
        )  # fmt: skip

    async def _unsubscribe(self, token: Token, how: str, agent: str) -> None:
        for attempt in range(3):
            try:
                async with self._database.transaction(token.tenant) as db:
                    await unsubscribe(
                        db, token.tenant, token.campaign, token.contact,
                        how="one_click" if how == "one_click" else "page", at=self._now(), user_agent=agent,
                    )  # fmt: skip
                return
            except psycopg.errors.DeadlockDetected:  # with a worker that begins two mails to the same person
                if attempt == 2:
                    raise


# As application/x-www-form-urlencoded or multipart/form-data (RFC 8058 3.2); some senders differ in case.
_ONE_CLICK = re.compile(rb'List-Unsubscribe(=|"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n)One-Click', re.IGNORECASE)


async def _body(request: Request, most: int = LONGEST_BODY) -> bytes:
    """At most `most` bytes; what is longer is cut."""
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                return body[:most]
    except ClientDisconnect:
        return b""
    return body


async def _fetch(url: str) -> bytes:
    """Amazon's certificate, or the address it wants to be confirmed; the host was checked (mail/webhooks.py)."""
    async with httpx.AsyncClient(timeout=10, follow_redirects=False) as client:
        answer = await client.get(url)
        answer.raise_for_status()
        return answer.content


def _fields(body: bytes) -> dict[str, str]:
    """The fields of a form or of a flat JSON object."""
    import json

    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            return {}
        return {name: value for name, value in found.items() if isinstance(value, str)}
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=20).items()}
    except ValueError:
        return {}


_PURPOSES = frozenset({b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"})


def _asked(request: Request) -> tuple[str, str]:
    """The User-Agent, and `head` or `prefetch` for a request that no person's look or click makes."""
    agent, how = b"", "head" if request.method == "HEAD" else ""
    for name, value in request.scope["headers"]:
        if name == b"user-agent":
            agent = value
        elif name in _PURPOSES and re.search(rb"prefetch|prerender|preview", value, re.IGNORECASE):
            how = how or "prefetch"
    return plain_user_agent(agent.decode("latin-1")), how


def _is_one_of(url: str, hosts: frozenset[str]) -> bool:
    host = urlsplit(url).hostname or ""
    return any(host == known or host.endswith(f".{known}") for known in hosts)


# An answer has no state of its own, so one serves all.
_PIXEL = Response(PIXEL, 200, _NO_STORE, "image/gif")


class _Redirect(Response):
    """302 to exactly the address that was signed: RedirectResponse would write it anew."""

    _HEADERS: ClassVar = Response(b"", 302, _NO_STORE).raw_headers

    def __init__(self, target: str) -> None:
        self.status_code, self.body, self.background = 302, b"", None
        self.raw_headers = [*self._HEADERS, (b"location", target.encode("ascii"))]


def _bad_link() -> Response:
    """The same answer whatever is wrong: changed, of another kind, of a tenant that is not here."""
    return PlainTextResponse("This link does not work. Please use the link in the mail.\n", 404, _NO_STORE)
