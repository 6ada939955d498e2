"""Where evals play: the real agent on a real Postgres, a new tenant for each case, at a fixed time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from agent.events import ApprovalAsked, ConfirmationAsked, Event, Failed, Text, ToolFinished, ToolStarted
from agent.run import Agent
from agent.toolbox import TOOLS
from bench.measure import throw_away_server
from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from mail import outlets
from mail.links import LinkSettings
from mail.send import Sender
from tools.base import Actor, Context, Tenant, Writer

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)  # a Wednesday
SENDER = "hello@harrow.example"


@dataclass(frozen=True)
class Stage:
    """A migrated database and the local embedder, for any number of tenants."""

    url: str
    database: Database
    embedder: LocalEmbedder

    async def tenant(self, name: str = "Harrow & Finch", writer: Writer | None = None) -> Context:
        """An owner at the terminal, in a new tenant in London at 10 o'clock on 25 November 2026."""
        unique = f"{name} {uuid4().hex[:8]}"
        id = await asyncio.to_thread(tenants.add, self.url, name=unique, time_zone="Europe/London", country="GB")
        assert id is not None, "the name is new"
        await asyncio.to_thread(tenants.update, self.url, id, sender_name=name, sender_email=SENDER)
        tenant = Tenant(id, unique, "Europe/London", "GB")
        return Context(tenant, Actor("Robin"), self.database, self.embedder, lambda: NOW, writer=writer)


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """A stage on an embedded server of its own."""
    with throw_away_server() as url:
        database = Database(url, max_size=4)
        await database.open()
        try:
            yield Stage(url, database, LocalEmbedder())
        finally:
            await database.close()


async def rows(ctx: Context, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of a query on this tenant's data."""
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        return await (await db.execute(statement.encode(), values)).fetchall()


async def change(ctx: Context, statement: str, *values: object) -> None:
    """Change this tenant's rows past the tools, which would not let a case's past be written."""
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute(statement.encode(), values)


async def do(ctx: Context, tool: str, /, **arguments: Any) -> Any:
    """Call a tool, as the person would at a door."""
    return await TOOLS[tool].call(arguments, ctx)


async def run_the_worker(ctx: Context) -> None:
    """Let the sending loop send all that is due; mails go to the capture."""

    async def only_this() -> Sequence[Any]:
        return [ctx.tenant.id]

    links = LinkSettings("http://localhost:8000", ("evals-secret-of-32-characters-xx",))
    await Sender(ctx.database, [outlets.capture()], only_this, links=links).run_once()


@dataclass
class Talk:
    """One conversation with the agent, and all that happened in it."""

    agent: Agent
    ctx: Context
    events: list[Event] = field(default_factory=list)
    turn: list[Event] = field(default_factory=list)
    """The events of the last turn."""

    @classmethod
    async def open(cls, agent: Agent, ctx: Context) -> Talk:
        return cls(agent, dataclasses.replace(ctx, conversation=await agent.open_conversation(ctx)))

    async def say(self, text: str, **more: Any) -> list[Event]:
        """One turn to its end."""
        return self._kept([event async for event in self.agent.turn(text, self.ctx, **more)])

    async def answer(self, yes: bool, **more: Any) -> list[Event]:
        """A person's yes or no to the writes that were shown."""
        return self._kept([event async for event in self.agent.answer(yes, self.ctx, **more)])

    def _kept(self, events: list[Event]) -> list[Event]:
        self.turn = events
        self.events += events
        return events

    @property
    def text(self) -> str:
        """What the agent said in the last turn."""
        said = [e.text for e in self.turn if isinstance(e, Text)]
        return "".join(said) or next((e.text for e in self.turn if isinstance(e, Failed)), "")

    @property
    def asked(self) -> ConfirmationAsked | None:
        """The writes that wait for a yes or no, if the last turn ended with that."""
        end = self.turn[-1] if self.turn else None
        return end if isinstance(end, ConfirmationAsked) else None

    @property
    def approvals(self) -> list[ApprovalAsked]:
        return [event for event in self.turn if isinstance(event, ApprovalAsked)]

    def calls(self, events: Sequence[Event] | None = None) -> list[tuple[str, dict[str, Any]]]:
        """What was carried out, as (tool, arguments): refused calls are left out."""
        events = self.events if events is None else events
        done = {event.id for event in events if isinstance(event, ToolFinished) and event.ok}
        return [(e.tool, e.arguments) for e in events if isinstance(e, ToolStarted) and e.id in done]
