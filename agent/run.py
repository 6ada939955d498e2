"""One turn as a stream of typed events: the only way in for every door."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import psycopg
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.types import Command
from psycopg_pool import PoolTimeout

from agent import memory
from agent.checkpoints import LEASE as LEASE_KEY
from agent.checkpoints import Checkpoints, LeaseLost, hold, thread_id
from agent.events import ApprovalAsked, ConfirmationAsked, Done, Event, Failed, Notice, ProposedCall, Text
from agent.graph import MOST_ROUNDS, Turn, build
from agent.models import LanguageModel, ModelFailed
from agent.situation import look
from agent.transcript import PastTurn, past_turns
from db import conversations
from db.pool import Database
from tools.base import Context

log = logging.getLogger(__name__)

# A program that dies leaves its conversation to others after so many seconds; a living one renews in time.
LEASE = 12.0
RENEWAL = 3.0

# How long a second window waits for the first one's turn to end: longer than a dead program holds it.
PATIENCE = 15.0

# A sentence longer than this is no sentence; a list belongs into a file.
LONGEST_SENTENCE = 20_000
LONGEST_CONTEXT = 60_000


class Agent:
    """The agent of a program: any number of conversations, one turn at a time in each."""

    def __init__(self, model: LanguageModel, database: Database) -> None:
        self.name = model.label
        self._model = model
        self._graph = build(model, Checkpoints(database))

    async def open_conversation(self, ctx: Context, name: str | None = None) -> UUID:
        """A new conversation, or with a name the actor's conversation of that name."""
        async with ctx.database.transaction(ctx.tenant.id) as db:
            return await conversations.open_one(
                db, ctx.tenant.id, actor=ctx.keeper, name=name[:100] if name else None, at=ctx.now()
            )

    async def history(self, ctx: Context, limit: int = 20) -> list[tuple[str, str]]:
        """The last messages of the conversation as (role, text), oldest first; role: person, agent or note."""
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            return await conversations.history(db, ctx.tenant.id, _conversation(ctx), limit)

    async def remembered(self, ctx: Context) -> tuple[list[PastTurn], ConfirmationAsked | None]:
        """What the conversation remembers of its turns, and what waits for a yes or no: for doors that show it."""
        state = await self._graph.aget_state(self._config(ctx))
        asked = state.interrupts[0].value["calls"] if state.interrupts else None
        question = ConfirmationAsked([ProposedCall(**call) for call in asked]) if asked else None
        return past_turns(state.values.get("messages", [])), question

    async def note(self, text: str, ctx: Context) -> None:
        """Tell the conversation what a person decided at the door, so that later turns know."""
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await conversations.say_now(db, ctx.tenant.id, _conversation(ctx), role="note", text=text, at=ctx.now())
        owner = uuid4()
        # Without the lease another turn is under way; the transcript has it, and the model does without.
        if await self._take(ctx, owner):
            try:
                config = self._config(ctx, owner)
                await self._graph.aupdate_state(config, {"messages": [AIMessage(text)]}, as_node="think")
            finally:
                await asyncio.shield(self._release(ctx, owner))

    async def turn(
        self, text: str, ctx: Context, *, context_text: str | None = None, confirm: bool = True
    ) -> AsyncGenerator[Event]:
        """Answer one sentence. `context_text` is data that came with it; without `confirm` writes are done unasked.

        Never raises for what can go wrong outside (the model, the database): the last event is then `Failed`.
        """
        said = _without_nul(text).strip()
        if not said:
            yield Text("Say what you would like to do, or /help for examples.")
            yield Done(model=self.name, prompt=self._model.prompt_id)
            return
        if len(said) > LONGEST_SENTENCE or len(context_text or "") > LONGEST_CONTEXT:
            yield Failed(
                f"That is too long for one message (at most {LONGEST_SENTENCE:,} characters). "
                "Put a list into a file and import it: smartcampaign contacts import FILE.",
                code="too_long",
            )
            return
        extra = f"\n\n{_without_nul(context_text)}" if context_text and context_text.strip() else ""
        async for event in self._run(ctx, said, said + extra, confirm):
            yield event

    async def answer(
        self, yes: bool, ctx: Context, *, edits: dict[str, dict[str, Any]] | None = None
    ) -> AsyncGenerator[Event]:
        """The person's answer to `ConfirmationAsked`; `edits` maps a call's id to its corrected arguments."""
        config = self._config(ctx)
        if not (await self._graph.aget_state(config)).interrupts:
            yield Failed("Nothing waits for your answer any more. Say again what you would like.", code="nothing_waits")
            return
        said = "yes" if yes else "no"
        async for event in self._run(ctx, said, Command(resume={"yes": yes, "edits": edits or {}}), True):
            yield event

    async def _run(self, ctx: Context, said: str, what: str | Command[Any], confirm: bool) -> AsyncGenerator[Event]:
        owner = uuid4()
        try:
            if not await self._take(ctx, owner):
                yield Failed(
                    "Another window is still answering in this conversation. Wait for it, or start a new one.",
                    code="busy",
                )
                return
            renewal = asyncio.create_task(self._renew(ctx, owner))
            try:
                async with contextlib.aclosing(self._turn(ctx, owner, said, what, confirm)) as events:
                    async for event in events:
                        yield event
            finally:
                renewal.cancel()
                await asyncio.shield(self._release(ctx, owner))
        except LeaseLost:
            yield Failed(
                "Somebody was erased while this was being answered, so this turn is not remembered. What it did is "
                "done; say again what is missing.",
                code="lost",
            )
        except (psycopg.OperationalError, PoolTimeout) as error:
            log.warning("the database failed in a turn: %s", type(error).__name__)
            yield Failed(
                "The database was lost in the middle. What was done is kept; try again in a moment.", code="database"
            )

    async def _turn(
        self, ctx: Context, owner: UUID, said: str, what: str | Command[Any], confirm: bool
    ) -> AsyncGenerator[Event]:
        config = self._config(ctx, owner)
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await hold(db, ctx.tenant.id, _conversation(ctx), owner)
            stopped = await conversations.interrupted(db, ctx.tenant.id, _conversation(ctx))
            turn = await conversations.begin_turn(db, ctx.tenant.id, _conversation(ctx), said, ctx.now())
        answer: list[str] = []
        waiting, failure = 0, None
        try:
            graph_input: Any = what
            if isinstance(what, str):
                before = []
                if stopped is not None:
                    yield Notice(_what_was_stopped(stopped))
                    before = [HumanMessage(stopped.text), AIMessage(_what_was_stopped(stopped))]
                old = (await self._graph.aget_state(config)).values.get("messages", [])
                graph_input = {
                    "messages": [*memory.outgrown(old), *before, HumanMessage(what)],
                    "rounds": 0,
                    "confirm": confirm and self._model.confirm_writes,
                }
            async with contextlib.aclosing(self._events(graph_input, config, ctx)) as events:
                async for event in events:
                    if isinstance(event, Text):
                        answer.append(event.text)
                    waiting += isinstance(event, ApprovalAsked)
                    yield event
        except ModelFailed as error:
            failure = Failed(str(error), code="model")
        except GraphRecursionError:
            failure = Failed("This took too many steps. Please ask in smaller steps.", code="too_many_steps")
        asked = () if failure else (await self._graph.aget_state(config)).interrupts
        if asked:
            end: Event = ConfirmationAsked([ProposedCall(**call) for call in asked[0].value["calls"]])
            answer.append("\n".join(call["text"] for call in asked[0].value["calls"]))
        else:
            end = failure or Done(waiting=waiting, model=self.name, prompt=self._model.prompt_id)
        text = "".join(answer) or (failure.text if failure else "")
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await hold(db, ctx.tenant.id, _conversation(ctx), owner)
            await conversations.say(
                db, ctx.tenant.id, _conversation(ctx), turn=turn, role="agent", text=text, at=ctx.now()
            )
        yield end

    async def _take(self, ctx: Context, owner: UUID) -> bool:
        """Take the conversation's lease, waiting a little for another turn to end."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            async with ctx.database.transaction(ctx.tenant.id) as db:
                if await self._lease(db, ctx, owner):
                    return True
                if not await conversations.exists(db, ctx.tenant.id, _conversation(ctx), actor=ctx.keeper):
                    raise LookupError("there is no such conversation of this actor")
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.25)

    async def _renew(self, ctx: Context, owner: UUID) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            with contextlib.suppress(psycopg.Error, PoolTimeout):
                async with ctx.database.transaction(ctx.tenant.id) as db:
                    await conversations.renew(
                        db, ctx.tenant.id, _conversation(ctx), owner=owner, seconds=LEASE
                    )  # fmt: skip

    async def _lease(self, db: Any, ctx: Context, owner: UUID) -> bool:
        return await conversations.lease(
            db, ctx.tenant.id, _conversation(ctx), actor=ctx.keeper, owner=owner, seconds=LEASE
        )

    async def _release(self, ctx: Context, owner: UUID) -> None:
        with contextlib.suppress(psycopg.Error, PoolTimeout):
            async with ctx.database.transaction(ctx.tenant.id) as db:
                await conversations.release(db, ctx.tenant.id, _conversation(ctx), owner=owner)

    async def _events(self, graph_input: Any, config: RunnableConfig, ctx: Context) -> AsyncGenerator[Event]:
        # "exit": one checkpoint a turn. What a kill in the middle loses is the turn's memory, not its work, and the
        # next turn says what that was.
        turn = Turn(ctx, await look(ctx))
        stream = self._graph.astream(graph_input, config, context=turn, stream_mode="custom", durability="exit")
        async for event in stream:
            assert isinstance(event, Event)
            yield event

    def _config(self, ctx: Context, owner: UUID | None = None) -> RunnableConfig:
        """For a run; `owner` has the conversation's lease, without which nothing can be stored."""
        lease = {LEASE_KEY: str(owner)} if owner else {}
        return {
            "configurable": {"thread_id": thread_id(ctx.tenant.id, _conversation(ctx)), **lease},
            # Three nodes a round; the graph's own limit speaks first.
            "recursion_limit": 3 * MOST_ROUNDS + 10,
        }


def _conversation(ctx: Context) -> UUID:
    assert ctx.conversation is not None, "a turn belongs to a conversation"
    return ctx.conversation


def _what_was_stopped(stopped: conversations.Interrupted) -> str:
    done = ", ".join(tool.replace("_", " ") for tool in stopped.done) or "nothing"
    return f"The last turn (“{stopped.text[:80]}”) was stopped before its end. Done so far: {done}."


def _without_nul(text: str) -> str:
    # Neither Postgres nor a language model takes NUL or half a surrogate pair.
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()
