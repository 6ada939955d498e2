"""Benchmark 6: a turn of twenty steps with a scripted model and memory in Postgres.

Ours: the product's graph, its events and its conversation tables. Peer: LangChain's `create_agent` with LangGraph's
Postgres saver, which writes every step. Limit: our graph without any memory. The model is in-process and answers at
once, so what is measured is everything but the model: once with a tool that does nothing (the cost of the graph and its
memory), once with a real one (`list_campaigns`, the same rows for all three). "Nothing lost that matters" is checked by
reading the conversation back with a fresh agent.

    python -m bench.agent_turn [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

import agent.graph
from agent.graph import Turn, build
from agent.models import LanguageModel
from agent.run import Agent
from agent.situation import look
from agent.toolbox import TOOLS
from bench.measure import Contestant, interleaved, line, throw_away_server
from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from tools.base import Actor, Arguments, Context, Result, Tenant, tool

STEPS = 20

OURS = "ours"
PEER = "create_agent + sync Postgres saver"
LIMIT = "our graph without memory (limit)"


class _Nothing(Arguments):
    pass


class _Empty(Result):
    def text(self) -> str:
        return "There are no campaigns yet."


@tool(effect="read")
async def _idle(args: _Nothing, ctx: Context) -> _Empty:
    """List campaigns."""
    return _Empty()


class Scripted(BaseChatModel):
    """Calls the tool `STEPS` times, then answers."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        done = 0
        for message in reversed(messages):
            if message.type == "human":
                break
            done += isinstance(message, ToolMessage)
        if done >= STEPS:
            answer = AIMessage("Twenty times the same.")
        else:
            name = f"call_{uuid4().hex}"
            answer = AIMessage("", tool_calls=[{"name": "list_campaigns", "args": {}, "id": name, "type": "tool_call"}])
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages)


async def main(rounds: int) -> None:
    with throw_away_server() as url:
        await _measure(url, rounds)


async def _measure(url: str, rounds: int) -> None:
    name = "Bench"
    id = tenants.add(url, name=name, time_zone="UTC", country="GB")
    assert id is not None
    database = Database(url)
    await database.open()
    ctx = Context(
        tenant=Tenant(id, name), actor=Actor("bench"), database=database, embedder=LocalEmbedder(),
        now=lambda: datetime.now(UTC),
    )  # fmt: skip
    model = LanguageModel(
        chat=Scripted(), label="scripted", prompt=None, budget=1_000_000, may_invent=True, confirm_writes=False
    )
    agent.graph.MOST_ROUNDS = STEPS + 2
    ours = Agent(model, database)

    async def our_turn() -> float:
        talk = dataclasses.replace(ctx, conversation=await ours.open_conversation(ctx))
        started = time.perf_counter()
        events = [event async for event in ours.turn("list them", talk)]
        seconds = time.perf_counter() - started
        assert len([event for event in events if event.event == "tool_finished"]) == STEPS
        again = Agent(model, database)
        state = await again._graph.aget_state(again._config(talk))
        assert len(state.values["messages"]) == 2 * STEPS + 2, "a fresh program must remember the whole turn"
        return seconds

    bare = build(model, None)

    async def without_memory() -> float:
        started = time.perf_counter()
        state: Any = {"messages": [("user", "list them")], "rounds": 0, "confirm": False}
        async for _ in bare.astream(
            state, {"recursion_limit": 100}, context=Turn(ctx, await look(ctx)), stream_mode="custom"
        ):
            pass
        return time.perf_counter() - started

    async def list_campaigns() -> str:
        """List campaigns."""
        return str((await TOOLS["list_campaigns"].call({}, ctx)).text())

    # In a schema of its own: LangGraph's tables have the names of ours.
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA langgraph")
    options = {
        "autocommit": True,
        "prepare_threshold": 0,
        "row_factory": dict_row,
        "options": "-c search_path=langgraph",
    }
    pool: Any = AsyncConnectionPool(url, open=False, kwargs=options)
    await pool.open()
    saver = AsyncPostgresSaver(pool)
    await saver.setup()
    their_tool = StructuredTool.from_function(coroutine=list_campaigns, name="list_campaigns", description="List.")
    peer: Any = create_agent(Scripted(), [their_tool], checkpointer=saver)

    async def their_turn() -> float:
        config = {"configurable": {"thread_id": str(uuid4())}, "recursion_limit": 100}
        started = time.perf_counter()
        async for _ in peer.astream(
            {"messages": [("user", "list them")]}, config, stream_mode="updates", durability="sync"
        ):
            pass
        return time.perf_counter() - started

    contestants = [Contestant(OURS, our_turn), Contestant(PEER, their_turn), Contestant(LIMIT, without_memory)]
    for what, used in (
        ("a tool that does nothing", _idle),
        ("a tool that reads the database", TOOLS["list_campaigns"]),
    ):
        TOOLS["list_campaigns"] = used
        medians = await interleaved(contestants, rounds)
        print(f"\nBenchmark 6: a turn of {STEPS} steps, {what}, medians of {rounds}")
        for contestant, seconds in medians.items():
            print(line(contestant, seconds, STEPS))
        to_peer, to_limit = medians[OURS] / medians[PEER], medians[OURS] / medians[LIMIT]
        print(f"ours / peer = {to_peer:.2f} (target <= 0.50); ours / limit = {to_limit:.2f}", flush=True)
    await pool.close()
    await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    asyncio.run(main(parser.parse_args().rounds))
