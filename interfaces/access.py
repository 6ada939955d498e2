"""Who asks, through the network: an API key becomes a tenant, an actor and a role.

Every web door gets its `Context` here. Without a key only this machine is served, as its owner, and only until the
first key is made (docs/decisions/0020-api-keys.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from starlette.requests import HTTPConnection

from db import keys as key_rows
from db import tenants
from db.pool import Database
from interfaces.embedding import BackgroundEmbedder
from interfaces.settings import Settings
from interfaces.wiring import Program, as_tenant, find_tenant, local_actor, make_embedder, open_database
from tools import keys
from tools.base import Context, Tenant
from tools.errors import KeyNeeded

if TYPE_CHECKING:
    from agent.run import Agent

LOOPBACK = ("127.0.0.1", "localhost", "::1")

# What a proxy adds: a request that was passed on comes from somewhere else, whatever its address says.
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")

# How exactly a key's last use is known.
NOTED_EVERY = timedelta(minutes=1)
LONG_AGO = datetime.min.replace(tzinfo=UTC)

# Connections of the doors; a turn of the agent needs one only for moments.
CONNECTIONS = 20

# Seconds that a request waits for one: whoever asks would rather hear that the database is away.
PATIENCE = 10.0


@dataclass
class Access:
    """The program as web doors use it. Any number of tenants; whose data a request works on is in its key."""

    program: Program
    local: Tenant | None
    """Whose data this machine works on without a key; None: a key is always needed."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    url: str | None = None
    """Where a proxy lets others in (`serve --url`): its name is one of ours."""
    _embedders: dict[UUID, BackgroundEmbedder] = field(default_factory=dict)
    _tasks: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    _noted: dict[UUID, datetime] = field(default_factory=dict)
    """When each key's last use was written down."""
    _embeds: bool = False
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def database(self) -> Database:
        return self.program.database

    async def agent(self) -> Agent:
        """The agent of all tenants. The first call imports and loads it, which takes seconds: in a thread."""
        if self.is_warm:
            return self.program.agent
        async with self._opening:
            return await asyncio.to_thread(self._warm_up)

    @property
    def is_warm(self) -> bool:
        """Whether the agent is loaded."""
        return "agent" in vars(self.program)

    def _warm_up(self) -> Agent:
        warm_up = getattr(self.program.embedder, "warm_up", None)
        if warm_up is not None and not self.is_warm:
            warm_up()
        return self.program.agent

    async def by_key(self, key: str, door: str) -> Context:
        """What a call with this key works with. Raises `UnknownKey` or `KeyOver`."""
        found, now = await keys.recognise(key, self.database, self.now()), self.now()
        # Many requests at once must not queue for one row, to write the same minute into it.
        if now - self._noted.get(found.key.key_id, LONG_AGO) >= NOTED_EVERY:
            self._noted[found.key.key_id] = now
            await keys.note_use(found, self.database, now)
        return self._context(self.program.context(actor=found.actor(door), tenant=found.tenant))

    async def by_request(self, request: HTTPConnection, door: str) -> Context:
        """What this HTTP request works with: its bearer key, or this machine's owner before there are keys.

        Raises `KeyNeeded`, `UnknownKey` or `KeyOver`.
        """
        key = bearer(request)
        if key is not None:
            return await self.by_key(key, door)
        if self.local is None or not is_from_here(request) or await self.is_locked(self.local):
            raise KeyNeeded
        return self._context(self.program.context(actor=local_actor(door), tenant=self.local))

    async def is_locked(self, tenant: Tenant) -> bool:
        """Whether a key was ever made for this tenant: then nobody comes in without one."""
        async with self.database.transaction(tenant.id, read_only=True) as db:
            return await key_rows.any_made(db, tenant.id)

    def _context(self, ctx: Context) -> Context:
        ctx = replace(ctx, now=self.now)
        if not self._embeds:
            return ctx
        self._embed_for(ctx)
        return replace(ctx, embed_later=self._embedders[ctx.tenant.id].wake)

    def _embed_for(self, ctx: Context) -> None:
        if ctx.tenant.id not in self._embedders:
            embedder = self._embedders[ctx.tenant.id] = BackgroundEmbedder()
            self._tasks[ctx.tenant.id] = asyncio.create_task(embedder.run(ctx))

    @asynccontextmanager
    async def embedding(self, of: list[Tenant]) -> AsyncIterator[None]:
        """Make missing vectors in the background while the block runs: of these tenants, and of all that come."""
        self._embeds = True
        for tenant in of:
            self._embed_for(self.program.context(tenant=tenant))
        try:
            yield
        finally:
            self._embeds = False
            for task in self._tasks.values():
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@asynccontextmanager
async def open_access(settings: Settings, *, embeds: bool = True) -> AsyncIterator[Access]:
    """Start or reach the database and serve all its tenants. Raises what `open_program` raises."""
    async with open_database(settings) as url:
        database = Database(url, max_size=CONNECTIONS, patience=PATIENCE)
        await database.open()
        try:
            local = await asyncio.to_thread(_local_tenant, url, settings.tenant)
            of = [as_tenant(row) for row in await asyncio.to_thread(tenants.all_of, url)]
            program = Program(settings, url, local or of[0], database, make_embedder(settings), local_actor("rest"))
            access = Access(program, local)
            async with access.embedding(of) if embeds else contextlib.nullcontext():
                yield access
        finally:
            await database.close()


def _local_tenant(url: str, name: str | None) -> Tenant | None:
    """The tenant of the settings, or the only one; None where there are several and none was chosen. Blocks."""
    if name is None and len(tenants.all_of(url)) > 1:
        return None
    return find_tenant(url, name)


async def any_usable_key(database: Database, of: list[UUID], at: datetime) -> bool:
    """Whether one of these tenants has a key that opens anything."""
    for tenant in of:
        async with database.transaction(tenant, read_only=True) as db:
            if await key_rows.any_usable(db, tenant, at):
                return True
    return False


def bearer(request: HTTPConnection) -> str | None:
    """The key of the Authorization header (RFC 6750); None without that header."""
    said = request.headers.get("authorization")
    if said is None:
        return None
    scheme, _, key = said.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def is_from_here(request: HTTPConnection) -> bool:
    """Whether somebody at this machine asks, by themselves: no proxy, no other name, no page of another site.

    A page in a browser may send requests to loopback; it can neither leave out its Origin nor choose the Host. nginx as
    it comes changes the Host to ours and adds nothing, but speaks HTTP/1.0, which no client of today does.
    """
    client = request.client.host if request.client else ""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    origin = request.headers.get("origin")
    return (
        is_loopback(client)
        and host in LOOPBACK
        and request.scope.get("http_version") != "1.0"
        and not any(name in request.headers for name in _PASSED_ON)
        and (origin is None or origin == f"{request.url.scheme}://{request.headers.get('host')}")
        and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    )


def is_loopback(host: str) -> bool:
    """Whether an address, or `localhost`, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
