"""The whole web app over real HTTP, on real Postgres: a server on a port of its own, and a key of each role."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from evals.scripted_model import ScriptedModel
from interfaces.access import Access
from interfaces.api.callers import Callers
from interfaces.cli.serve import make_server
from interfaces.settings import Settings
from interfaces.tracking import Tracking
from interfaces.web import LOOPBACK, full_app
from interfaces.wiring import Program
from mail.links import LinkSettings
from tools import keys
from tools.base import Actor, Context, Role, Tenant

ROLES: tuple[Role, ...] = ("viewer", "editor", "sender", "owner")


@dataclass
class House:
    """A running server, its access, and clients with keys."""

    url: str
    access: Access
    ctx: Context
    """The owner at the terminal, in the tenant of the keys."""
    keys: dict[str, str] = field(default_factory=dict)
    at_the_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def client(self, key: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client with this key; closed at the end of the test."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        client = httpx.AsyncClient(base_url=self.url, headers=sent, timeout=30)
        self.at_the_end.append(client.aclose)
        return client

    def as_role(self, role: str, **headers: str) -> httpx.AsyncClient:
        return self.client(self.keys[role], **headers)

    async def new_key(self, name: str, role: Role = "editor", *, tenant: Tenant | None = None) -> str:
        ctx = self.ctx if tenant is None else replace(self.ctx, tenant=tenant)
        return (await keys.create(name, role, ctx)).text

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            return await (await db.execute(query.encode(), values)).fetchall()


@asynccontextmanager
async def served(
    ctx: Context, *, settings: Settings | None = None, local: Tenant | None = None, per_minute: int = 100_000,
    wrong_per_minute: int = 100_000, hosts: tuple[str, ...] | None = LOOPBACK, roles: tuple[Role, ...] = ROLES,
) -> AsyncIterator[House]:  # fmt: skip
    """The app on a port of its own while the block runs, working for `ctx`'s tenant."""
    chosen = settings or Settings.model_construct()
    program = Program(chosen, ctx.database.url, ctx.tenant, ctx.database, ctx.embedder, Actor("Robin", "owner", "rest"))
    access = Access(program, local, now=ctx.now)
    tracking = Tracking(ctx.database, LinkSettings("http://127.0.0.1:8000"), now=ctx.now)
    callers = Callers(access, per_minute, wrong_per_minute)
    server = make_server(full_app(access, tracking, hosts=hosts, callers=callers))
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    house = House(f"http://127.0.0.1:{listening.getsockname()[1]}", access, ctx)
    for role in roles:
        house.keys[role] = await house.new_key(f"the {role}", role)
    await access.agent()
    task = asyncio.create_task(server.serve(sockets=[listening]))
    async with asyncio.timeout(30):
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    try:
        yield house
    finally:
        for close in house.at_the_end:
            await close()
        server.should_exit = True
        await task
        listening.close()


@pytest.fixture
async def house(ctx: Context) -> AsyncIterator[House]:
    """With the built-in planner."""
    async with served(ctx) as house:
        yield house


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


def scripted_settings(model: ScriptedModel, confirm: str = "never") -> Settings:
    """Settings that name the scripted model."""
    return Settings.model_validate(
        {"model": "scripted", "openai_base_url": model.url, "model_mode": "native", "confirm_writes": confirm}
    )


@pytest.fixture
async def scripted(ctx: Context, model: ScriptedModel) -> AsyncIterator[House]:
    """With a scripted model; writes are not asked about."""
    async with served(ctx, settings=scripted_settings(model)) as house:
        yield house


@pytest.fixture
def other(ctx: Context, new_tenant: Callable[..., Tenant]) -> Context:
    """The owner of another tenant."""
    return replace(ctx, tenant=new_tenant("Theirs Ltd"))
