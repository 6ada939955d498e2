"""One turn of the agent as Slack shows it, and the turns of this program: in a thread one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID
from weakref import WeakValueDictionary

import psycopg
from psycopg_pool import PoolTimeout

from agent.events import (
    ApprovalAsked,
    ConfirmationAsked,
    Event,
    Failed,
    Notice,
    Text,
    ToolFinished,
    ToolStarted,
)
from agent.run import Agent
from db import conversations, heard
from db.heard import Heard
from interfaces.access import Access
from interfaces.cli.talk import NO, YES
from interfaces.slack import cards, charts
from interfaces.slack.cards import Seal
from interfaces.slack.mrkdwn import escape, from_markdown
from interfaces.slack.posting import Growing, Speech
from tools import approvals
from tools.approvals import Card
from tools.base import Context
from tools.dates import in_words

log = logging.getLogger("smartcampaign.slack")

# Slack repeats an event for an hour, or hourly for a day where delayed events are on.
REPEATED = timedelta(days=2)

# A program that dies leaves what it was answering to others after so many seconds; a living one renews in time.
LEASE = 30.0
RENEWAL = 10.0

# How often what was left over is looked for, in seconds.
LOOK_AGAIN = 15.0

# How long a message waits for another program to end its turn in the same thread.
PATIENCE = 600.0

# A program that stops gives its turns so many seconds to end.
LAST_SECONDS = 8.0

STOPPING = "_The program is stopping. What was done is kept; say it again in a moment._"


@dataclass
class Told:
    """What a turn has come to so far."""

    notices: list[str] = field(default_factory=list)
    answer: str = ""
    running: dict[str, str] = field(default_factory=dict)
    """Tools under way, by their calls' ids."""
    results: list[ToolFinished] = field(default_factory=list)
    asked: list[ApprovalAsked] = field(default_factory=list)
    question: ConfirmationAsked | None = None
    failure: Failed | None = None

    def take(self, event: Event) -> None:
        match event:
            case Text():
                self.answer += event.text
            case Notice():
                self.notices.append(event.text)
            case ToolStarted():
                self.running[event.id] = event.tool.replace("_", " ")
            case ToolFinished():
                self.running.pop(event.id, None)
                if event.ok:
                    self.results.append(event)
            case ApprovalAsked():
                self.asked.append(event)
            case ConfirmationAsked():
                self.question = event
            case Failed():
                self.failure = event

    def so_far(self) -> str:
        """mrkdwn of what there is, with what is under way."""
        under_way = ", ".join(self.running.values()) or ("" if self.answer.strip() or self.failure else "Thinking")
        return "\n\n".join(part for part in (self.whole(), f"_{escape(under_way)} …_" if under_way else "") if part)

    def whole(self) -> str:
        """mrkdwn of the answer; requests are left out, they come as cards."""
        answer = self.answer
        for asked in self.asked:
            answer = answer.replace(asked.text, "")
        parts = [*(f"_{escape(notice)}_" for notice in self.notices), from_markdown(answer)]
        if self.failure is not None:
            parts.append(f"⚠ {escape(self.failure.text)}")
        return "\n\n".join(part for part in parts if part.strip())


class Turns:
    """The turns of this program in Slack."""

    def __init__(self, access: Access, seal: Seal) -> None:
        self._access, self._seal = access, seal
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_line: WeakValueDictionary[tuple[UUID, str], asyncio.Lock] = WeakValueDictionary()

    def begin(self, message: Heard, work: Callable[[], Awaitable[None]]) -> None:
        """Answer a message in a task of its own, and say while it lasts that it is being answered."""
        task = asyncio.create_task(self._answer(message, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def running_to_their_end(self) -> AsyncIterator[None]:
        """On leaving, turns get some seconds; then they are stopped, and say so."""
        try:
            yield
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=LAST_SECONDS)
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def claim(self, message: Heard, *, channel: str | None, thread: str | None) -> bool:
        """Take a message to answer it; False when it was heard before, here or by another program."""
        database, at = self._access.database, self._access.now()
        async with database.transaction(message.tenant) as db:
            taken = await heard.claim(
                db, message, at=at, expires_at=at + REPEATED, seconds=LEASE, channel=channel, thread=thread
            )
            await heard.expire(db, message.tenant, at)
        return taken

    async def say(self, said: str, message: Heard, speech: Speech, ctx: Context) -> None:
        """Answer what somebody said. Messages of one thread are answered in their order."""
        async with self._line(ctx, speech.place.conversation):
            agent, ctx = await self._conversation(ctx, speech)
            await self._note(message, ctx, None)
            waiting = (await agent.remembered(ctx))[1] if said.lower().rstrip(".!") in YES | NO else None
            if waiting is not None:
                yes = said.lower().rstrip(".!") in YES
                events: Callable[[], AsyncGenerator[Event]] = lambda: agent.answer(yes, ctx)  # noqa: E731
            else:
                events = lambda: agent.turn(said, ctx)  # noqa: E731
            await self._play(events, message, speech, ctx)

    async def answer(self, question: str, yes: bool, message: Heard, speech: Speech, ctx: Context) -> bool:
        """Answer the question with this fingerprint; False when another one waits now, or none."""
        async with self._line(ctx, speech.place.conversation):
            agent, ctx = await self._conversation(ctx, speech)
            waiting = (await agent.remembered(ctx))[1]
            if waiting is None or cards.fingerprint(waiting.calls) != question:
                return False
            await self._note(message, ctx, None)
            await self._play(lambda: agent.answer(yes, ctx), message, speech, ctx)
        return True

    async def note(self, text: str, speech: Speech, ctx: Context) -> None:
        """Let the conversation know what a person decided."""
        async with self._line(ctx, speech.place.conversation):
            agent, ctx = await self._conversation(ctx, speech)
            await agent.note(text, ctx)

    async def show_waiting(self, speech: Speech, ctx: Context) -> None:
        """Post a card for everything that waits for a person."""
        waiting = await approvals.waiting(ctx)
        if not waiting:
            await speech.tell("Nothing waits for a decision.")
        for asked in waiting[:10]:
            await self._card(
                str(asked.approval_id), asked.card, in_words(asked.expires_at, ctx.tenant.zone), speech, ctx
            )
        if len(waiting) > 10:
            await speech.say(f"{len(waiting) - 10} more wait; decide these first, and ask again.")

    async def _play(
        self, events: Callable[[], AsyncGenerator[Event]], message: Heard, speech: Speech, ctx: Context
    ) -> None:
        told = Told()
        grows = Growing(speech, told.so_far, lambda ts: self._note(message, ctx, ts))
        try:
            async with grows.growing(), aclosing(_patiently(events)) as stream:
                grows.changed()
                async for event in stream:
                    told.take(event)
                    grows.changed()
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(grows.end("\n\n".join([told.whole(), STOPPING]).strip()), 3)
                await self._finish(message)
            raise
        except Exception:
            log.exception("a turn failed")
            told.failure = Failed("Something went wrong inside. What was done is kept.", code="bug")
        await self._end(told, grows, speech, ctx)

    async def _end(self, told: Told, grows: Growing, speech: Speech, ctx: Context) -> None:
        answer = told.whole()
        if told.question is not None:
            question = told.question.calls
            value = self._seal.value(cards.fingerprint(question), ctx.tenant.id, speech.place.channel)
            await grows.end(answer or f"_{_writes(len(question))} for your yes:_")
            await speech.say(cards.proposal_text(question), cards.proposal(question, value))
            return
        await grows.end(answer or ("This waits for a person:" if told.asked else "Done."))
        await charts.post(told.results, speech, ctx)
        for asked in told.asked:
            card = Card.model_validate(asked.card)
            found = await approvals.one(ctx, UUID(asked.id))
            await self._card(asked.id, card, in_words(found.expires_at, ctx.tenant.zone), speech, ctx)

    async def _card(self, id: str, card: Card, until: str, speech: Speech, ctx: Context) -> None:
        value = self._seal.value(id, ctx.tenant.id, speech.place.channel)
        await speech.say(escape(card.title), cards.approval(card, value, until))

    async def _conversation(self, ctx: Context, speech: Speech) -> tuple[Agent, Context]:
        agent = await self._access.agent()
        shared = replace(ctx, shared="Slack" if not speech.place.response_url else None)
        id = await agent.open_conversation(shared, speech.place.conversation)
        return agent, replace(shared, conversation=id)

    def _line(self, ctx: Context, conversation: str) -> asyncio.Lock:
        return self._in_line.setdefault((ctx.tenant.id, conversation), asyncio.Lock())

    async def _note(self, message: Heard, ctx: Context, reply: str | None) -> None:
        assert ctx.conversation is not None
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await heard.note_reply(db, message, reply=reply, conversation=ctx.conversation)

    async def _answer(self, message: Heard, work: Callable[[], Awaitable[None]]) -> None:
        renewal = asyncio.create_task(self._renew(message))
        try:
            await work()
        except Exception:
            # Slack can't be told that Slack can't be reached; the answer stands in the conversation.
            log.exception("a message in Slack was not answered")
        finally:
            renewal.cancel()
        # A message that was stopped before it had an answer stays left over: whoever runs next says so.
        await self._finish(message)

    async def _renew(self, message: Heard) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            with contextlib.suppress(psycopg.Error, PoolTimeout):
                async with self._access.database.transaction(message.tenant) as db:
                    await heard.renew(db, message, LEASE)

    async def _finish(self, message: Heard) -> None:
        with contextlib.suppress(psycopg.Error, PoolTimeout):
            async with self._access.database.transaction(message.tenant) as db:
                await heard.finish(db, message)


async def what_was_done(access: Access, tenant: UUID, conversation: UUID | None) -> str:
    """What to say about a turn whose program died, in mrkdwn."""
    done = ""
    if conversation is not None:
        async with access.database.transaction(tenant, read_only=True) as db:
            stopped = await conversations.interrupted(db, tenant, conversation)
        done = ", ".join(tool.replace("_", " ") for tool in stopped.done) if stopped else ""
    return (
        "⚠ The program was stopped in the middle of this answer. "
        f"Done so far: {escape(done) or 'nothing'}. Say again what is missing."
    )


async def _patiently(events: Callable[[], AsyncGenerator[Event]]) -> AsyncGenerator[Event]:
    """A turn, tried again while another program answers in the same conversation."""
    until = time.monotonic() + PATIENCE
    while True:
        is_busy = False
        async with aclosing(events()) as stream:
            async for event in stream:
                is_busy = isinstance(event, Failed) and event.code == "busy" and time.monotonic() < until
                if not is_busy:
                    yield event
        if not is_busy:
            return


def _writes(count: int) -> str:
    return "This waits" if count == 1 else f"These {count} wait"
