"""Turns that are under way: they belong to the program and not to a connection, so that a page may come and go.

What a turn has shown so far is kept as parts, each with the number of its last change. Whoever connects, for the first
time or again, gets the parts that changed since; a part replaces the one of the same name, so twice is like once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from agent.events import ApprovalAsked, Event, Failed, Notice, Text, ToolFinished, ToolStarted

if TYPE_CHECKING:
    from agent.transcript import PastCall

log = logging.getLogger(__name__)

# Pieces of an answer that come within this time are shown together.
TOGETHER = 0.08

# Without a sign of life for so long, a proxy may close a stream.
HEARTBEAT = 15.0

# Failures that the transcript does not hold, since no turn was begun or could be written down.
_NOT_WRITTEN = ("busy", "database", "lost", "nothing_waits", "too_long")

# In the place of a request's text, which is shown as a card.
ASKED = "It wrote a request, which waits for a person's decision."

State = Literal["running", "done", "refused"]


@dataclass
class Step:
    """A tool call as the page shows it."""

    id: str
    tool: str
    arguments: dict[str, Any]
    state: State = "running"
    text: str = ""

    @classmethod
    def past(cls, call: PastCall) -> Step:
        text = ASKED if call.approval else call.text
        return cls(call.id, call.tool, call.arguments, "done" if call.ok else "refused", text)


@dataclass
class Live:
    """One turn under way."""

    number: int
    said: str
    steps: dict[str, Step] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    answer: str = ""
    cards: list[str] = field(default_factory=list)
    """The texts of approval requests: shown as cards after the turn, not as part of the answer."""
    problem: str | None = None
    is_over: bool = False
    changes: dict[str, int] = field(default_factory=dict)
    """The number of each part's last change."""
    task: asyncio.Task[None] | None = None
    _count: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def prose(self) -> str:
        """The answer so far, without the cards."""
        return without(self.answer, self.cards)

    def take(self, event: Event) -> None:
        match event:
            case Text():
                self.answer += event.text
                self.change("text")
            case ToolStarted():
                self.steps[event.id] = Step(event.id, event.tool, event.arguments)
                self.change("steps")
            case ToolFinished():
                step = self.steps.setdefault(event.id, Step(event.id, event.tool, {}))
                step.state, step.text = "done" if event.ok else "refused", event.text
                self.change("steps")
            case Notice():
                self.notices.append(event.text)
                self.change("steps")
            case ApprovalAsked():
                self.cards.append(event.text)
                for step in self.steps.values():
                    step.text = ASKED if step.text == event.text else step.text
            case Failed() if event.code in _NOT_WRITTEN:
                self.problem = event.text

    def change(self, part: str | None) -> None:
        self._count += 1
        if part is not None:
            self.changes[part] = self._count
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        self.is_over = True
        self.change(None)

    async def changed_since(self, number: int) -> AsyncIterator[tuple[int, list[str]]]:
        """(number of the last change, the parts that changed), each time there is something new; until the end."""
        while True:
            waiting = self._changed
            parts = [part for part, changed in self.changes.items() if changed > number]
            if parts:
                number = self._count
                yield number, parts
            if self.is_over:
                return
            if self._count > number:
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiting.wait(), HEARTBEAT)
                await asyncio.sleep(TOGETHER)
                continue
            yield number, []


Key = tuple[UUID, UUID]
"""(tenant, conversation)."""


class Turns:
    """The turns of this program: at most one in a conversation. The last one stays known until the next."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(4)
        self._lives: dict[Key, Live] = {}

    def of(self, key: Key) -> Live | None:
        return self._lives.get(key)

    def is_running(self, key: Key) -> bool:
        live = self._lives.get(key)
        return live is not None and not live.is_over

    def start(self, key: Key, live: Live, events: AsyncGenerator[Event]) -> Live:
        """Carry the turn out, whoever looks on; returns the one that is there when it was begun before."""
        before = self._lives.get(key)
        if before is not None and (not before.is_over or (before.number >= live.number and not before.problem)):
            return before
        self._lives[key] = live
        live.task = asyncio.create_task(self._play(live, events))
        self._forget_old()
        return live

    async def stop(self, key: Key) -> None:
        """End the turn; what its tools had done stays done."""
        live = self._lives.get(key)
        if live is not None and live.task is not None and not live.is_over:
            live.task.cancel()
            await asyncio.wait([live.task])

    async def stop_all(self) -> None:
        tasks = [live.task for live in self._lives.values() if live.task is not None and not live.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _play(self, live: Live, events: AsyncGenerator[Event]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    live.take(event)
        except asyncio.CancelledError:
            live.problem = "Stopped. What was done is kept."
            raise
        except Exception:
            log.exception("a turn failed")
            live.problem = "This turn failed by an error of this program. What was done is kept."
        finally:
            live.end()

    def _forget_old(self, keep: int = 200) -> None:
        over = [key for key, live in self._lives.items() if live.is_over]
        for key in over[: max(0, len(over) - keep)]:
            del self._lives[key]


def without(text: str, cards: list[str]) -> str:
    """The text without what is shown as cards."""
    for card in cards:
        text = text.replace(card, "")
    return text.strip()
