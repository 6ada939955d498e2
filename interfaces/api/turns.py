"""Turns under way. A turn belongs to its conversation, not to the connection that began it.

It runs in a task of its own and keeps its events; any number of connections follow it, from any event on. So a lost
connection loses nothing, and somebody who comes back reads on where they were. After a restart the events are gone and
the transcript is there (GET /api/threads/{id}/messages).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from agent.events import Event, Failed
from tools.errors import ToolError

log = logging.getLogger("smartcampaign.web")

# How long the events of a turn that is over can be read again, in seconds, and of how many turns.
KEPT = 300.0
MOST_KEPT = 1_000

# A program that stops gives its turns so many seconds to end.
PATIENCE = 10.0


class Busy(ToolError):
    """This conversation is still answering. Follow that answer, wait for its end, or begin another conversation."""

    code = "busy"


@dataclass
class RunningTurn:
    """One turn, with all that has happened in it so far."""

    conversation: UUID
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    events: list[Event] = field(default_factory=list)
    is_over: bool = False
    ended_at: float = 0.0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, after: int = -1) -> AsyncGenerator[tuple[int, Event]]:
        """The events behind the one with this number, as they come, to the turn's end."""
        place = after + 1
        while True:
            while place < len(self.events):
                yield place, self.events[place]
                place += 1
            if self.is_over:
                return
            await self._news.wait()

    def tell(self, event: Event) -> None:
        """Keep an event, and wake whoever follows."""
        self.events.append(event)
        self._wake()

    def end(self) -> None:
        self.is_over, self.ended_at = True, time.monotonic()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Turns:
    """The turns of one program."""

    def __init__(self) -> None:
        self._of: dict[UUID, RunningTurn] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._is_closing = False

    @property
    def running(self) -> int:
        """How many are under way."""
        return len(self._tasks)

    def check(self, conversation: UUID) -> None:
        """Raise `Busy` while a turn of this conversation is under way here."""
        if conversation in self._tasks or self._is_closing:
            raise Busy

    def begin(self, conversation: UUID, events: AsyncGenerator[Event]) -> RunningTurn:
        """Run a turn to its end, whoever listens. Raises `Busy`."""
        self.check(conversation)
        self._forget_old()
        turn = self._of[conversation] = RunningTurn(conversation)
        self._tasks[conversation] = asyncio.create_task(self._run(turn, events))
        return turn

    def of(self, conversation: UUID) -> RunningTurn | None:
        """The last turn of this conversation, under way or just over."""
        return self._of.get(conversation)

    async def _run(self, turn: RunningTurn, events: AsyncGenerator[Event]) -> None:
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    turn.tell(event)
        except asyncio.CancelledError:
            turn.tell(Failed("The program is stopping. What was done is kept; say it again in a moment.", "stopped"))
            raise
        except Exception:
            log.exception("a turn failed")
            turn.tell(Failed("Something went wrong inside. What was done is kept.", code="bug"))
        finally:
            turn.end()
            del self._tasks[turn.conversation]

    def _forget_old(self) -> None:
        until = time.monotonic() - KEPT
        over = [turn for turn in self._of.values() if turn.is_over]
        for turn in over[: max(0, len(over) - MOST_KEPT)]:
            del self._of[turn.conversation]
        for turn in over:
            if turn.ended_at < until:
                self._of.pop(turn.conversation, None)

    @asynccontextmanager
    async def running_to_their_end(self) -> AsyncIterator[None]:
        """On leaving: no turn begins any more, those under way get some seconds, then they are stopped."""
        try:
            yield
        finally:
            self._is_closing = True
            if self._tasks:
                await asyncio.wait(self._tasks.values(), timeout=PATIENCE)
            for task in list(self._tasks.values()):
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
