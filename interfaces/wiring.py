"""Settings -> database, tenant, embedder, model, agent, Context: the only place where they are built."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from agent.choice import ModelChoice
from db import tenants
from db.embedded import EmbeddedError, EmbeddedServer
from db.embeddings import Embedder, LocalEmbedder, RemoteEmbedder
from db.migrate import migrate
from db.pool import Database
from db.tenants import TenantRow
from interfaces.embedding import BackgroundEmbedder, in_background
from interfaces.settings import BadSettings, Settings
from mail.links import LinkSettings
from tools.base import Actor, Context, Tenant, Writer

if TYPE_CHECKING:
    from agent.run import Agent

DEFAULT_TENANT = "My company"


@dataclass
class Program:
    """Everything a door needs, open. `agent` and `writer` are built when first used (LangGraph is slow to import)."""

    settings: Settings
    url: str
    tenant: Tenant
    database: Database
    embedder: Embedder
    actor: Actor
    embed_later: Callable[[], None] | None = None
    """Wakes the background embedder, where there is one."""

    def context(
        self, *, conversation: UUID | None = None, actor: Actor | None = None, tenant: Tenant | None = None
    ) -> Context:
        """What a tool call through this door works with; without `tenant` on the program's own."""
        return Context(
            tenant=tenant or self.tenant,
            actor=actor or self.actor,
            database=self.database,
            embedder=self.embedder,
            now=lambda: datetime.now(UTC),
            writer=self.writer,
            conversation=conversation,
            home=self.settings.home,
            embed_later=self.embed_later,
        )

    @property
    def link_settings(self) -> LinkSettings:
        """Where the links in mails lead, and what they are signed with."""
        return self.settings.link_settings()

    @cached_property
    def agent(self) -> Agent:
        from agent.models import choose
        from agent.run import Agent

        return Agent(choose(self.settings.model_choice(), self.embedder), self.database)

    @cached_property
    def writer(self) -> Writer | None:
        return None if self.settings.model is None else _WriterWhenNeeded(self.settings.model_choice())


class _WriterWhenNeeded:
    """The language model for drafts, connected at its first use: importing it takes a second."""

    def __init__(self, choice: ModelChoice) -> None:
        self.name = choice.name or ""
        self._choice = choice

    async def write(self, system: str, request: str) -> str:
        return await self._writer.write(system, request)

    @cached_property
    def _writer(self) -> Writer:
        from agent.endpoint import ModelWriter

        return ModelWriter(self._choice)


@asynccontextmanager
async def open_program(
    settings: Settings, actor: Actor | None = None, *, stays_open: bool = False
) -> AsyncIterator[Program]:
    """Start or reach the database, bring its schema up to date, and find the tenant.

    A door that `stays_open` also makes the vectors of imported notes, in the background.
    Raises `BadSettings`, `EmbeddedError`, `MigrationError` or `DatabaseUnavailable`, each with what to do.
    """
    async with open_database(settings) as url:
        tenant = await asyncio.to_thread(find_tenant, url, settings.tenant)
        database = Database(url)
        await database.open()
        try:
            program = Program(settings, url, tenant, database, make_embedder(settings), actor or local_actor())
            if not stays_open:
                yield program
                return
            background = BackgroundEmbedder()
            program.embed_later = background.wake
            async with in_background(program.context(), background):
                yield program
        finally:
            await database.close()


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """The URL of a migrated database: the one of DATABASE_URL, or the embedded one, held while the block runs."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        await asyncio.to_thread(migrate, url)
        yield url
        return
    server = EmbeddedServer(settings.home / "postgres")
    url = await asyncio.to_thread(server.start)
    watch = asyncio.create_task(_keep_running(server))
    try:
        await asyncio.to_thread(migrate, url)
        yield url
    finally:
        watch.cancel()
        await asyncio.to_thread(server.stop)


async def _keep_running(server: EmbeddedServer) -> None:
    """Start the embedded server again when it dies under us (out of memory, a kill): the pool reconnects by itself."""
    while True:
        await asyncio.sleep(1)
        if not server.runs():
            with contextlib.suppress(EmbeddedError):
                await asyncio.to_thread(server.start)


def find_tenant(url: str, name: str | None) -> Tenant:
    """The tenant with this name or id; without one the only one, made when there is none. Blocks.

    Raises `BadSettings` when the name is unknown, or missing while there are several.
    """
    rows = tenants.all_of(url)
    if name:
        found = [row for row in rows if name.lower() in (row.name.lower(), str(row.id))]
        if not found:
            known = ", ".join(row.name for row in rows[:10]) or "none yet"
            raise BadSettings(f"There is no tenant {name!r} (SMARTCAMPAIGN_TENANT). There are: {known}.")
        return as_tenant(found[0])
    if not rows:
        tenants.add(url, name=DEFAULT_TENANT, time_zone="UTC", country="US")
        rows = tenants.all_of(url)
    if len(rows) > 1:
        raise BadSettings(
            "There are several tenants; choose one with SMARTCAMPAIGN_TENANT: "
            + ", ".join(row.name for row in rows[:10])
        )
    return as_tenant(rows[0])


def as_tenant(row: TenantRow) -> Tenant:
    return Tenant(row.id, row.name, row.time_zone, row.country)


def make_embedder(settings: Settings) -> Embedder:
    """The local model, or the endpoint of SMARTCAMPAIGN_EMBEDDING_MODEL."""
    if settings.embedding_model is None:
        return LocalEmbedder()
    key = settings.embedding_api_key or settings.openai_api_key
    url = settings.embedding_base_url or settings.openai_base_url or "https://api.openai.com/v1"
    return RemoteEmbedder(url, key.get_secret_value() if key else "none", settings.embedding_model)


def local_actor(door: str = "cli") -> Actor:
    """The person at this machine: the owner of what is on it."""
    name = os.environ.get("USER") or os.environ.get("USERNAME") or "owner"
    return Actor(name, "owner", door)
