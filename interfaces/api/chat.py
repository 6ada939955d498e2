"""Chat over SSE: a turn's events as they happen (agent/events.py), each with an id to go on from.

The first event is `thread`: it names the conversation, and comes before the agent begins to think.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import JSONResponse, Response, StreamingResponse

from agent import threads
from agent.events import ConfirmationAsked, Event, Failed, Text
from agent.run import LONGEST_CONTEXT, LONGEST_SENTENCE
from agent.threads import MessageList, Thread, ThreadList
from interfaces.access import Access
from interfaces.api.callers import Caller, Described
from interfaces.api.lists import Cursor, Limit
from interfaces.api.problems import documented
from interfaces.api.turns import RunningTurn, Turns
from tools.base import Context
from tools.base import Text as PlainText

# Proxies close a connection on which nothing comes for a minute.
KEEP_ALIVE = 15.0

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_SENTENCE = Field(min_length=1, max_length=LONGEST_SENTENCE, description="What the person says.")
_DATA = Field(None, max_length=LONGEST_CONTEXT, description="Data that comes with it, such as a list.")


class Said(BaseModel):
    """One message to the agent."""

    model_config = ConfigDict(extra="forbid")

    message: Annotated[PlainText, _SENTENCE]
    thread: UUID | None = Field(None, description="The conversation to go on with; without it a new one begins.")
    context: Annotated[PlainText | None, _DATA] = None
    confirm: StrictBool = Field(True, description="Ask before a write, where the settings want that.")
    stream: StrictBool = Field(True, description="False: one JSON answer at the end of the turn.")


class Answer(BaseModel):
    """The answer to `confirmation_asked`."""

    model_config = ConfigDict(extra="forbid")

    yes: StrictBool
    edits: dict[str, dict[str, Any]] = Field({}, description="Corrected arguments by the call's id.")
    stream: StrictBool = True


class WholeTurn(BaseModel):
    """A turn that was not streamed."""

    thread: UUID
    turn: str
    text: str = Field(description="The answer in words (Markdown).")
    status: str = Field(description="done, confirmation_asked or failed: how the turn ended.")
    events: list[dict[str, Any]]


# One event; `data` is JSON.
SSE: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {"event": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"},
                       "id": {"type": "string"}},
    }
}  # fmt: skip

_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The turn's events; with `stream: false` the whole turn.",
        "content": {"text/event-stream": SSE,
                    "application/json": {"schema": {"$ref": "#/components/schemas/WholeTurn"}}},
    }
}  # fmt: skip


def router(access: Access, turns: Turns) -> APIRouter:
    """Chat, and the caller's conversations."""
    made = APIRouter(prefix="/api", tags=["chat"], dependencies=[Described])

    @made.post("/chat", summary="Say something", response_class=Response, responses=documented(404, 409) | _STREAMED)
    async def chat(ctx: Caller, said: Said) -> Response:
        if said.thread is None:
            thread = await threads.begin(ctx)
        else:
            thread = (await threads.find(ctx, said.thread)).thread
        return await _played(turns.begin(thread, _said(access, said, replace(ctx, conversation=thread))), said.stream)

    @made.post(
        "/threads/{id}/answer", summary="Answer the agent's question before a write", response_class=Response,
        responses=documented(404, 409) | _STREAMED,
    )  # fmt: skip
    async def answer(ctx: Caller, id: UUID, said: Answer) -> Response:
        thread = (await threads.find(ctx, id)).thread
        events = _answered(access, said, replace(ctx, conversation=thread))
        return await _played(turns.begin(thread, events), said.stream)

    @made.get(
        "/threads/{id}/events", summary="Follow the turn under way, or read the last one again",
        response_class=Response,
        responses=documented(404) | {
            200: {"content": {"text/event-stream": SSE}},
            204: {"description": "No turn is under way, and none was just over."},
        },
    )  # fmt: skip
    async def follow(
        ctx: Caller, id: UUID, last_event_id: Annotated[str | None, Header(max_length=100)] = None
    ) -> Response:
        turn = turns.of((await threads.find(ctx, id)).thread)
        # 204 tells a browser's EventSource not to come back.
        return Response(status_code=204) if turn is None else _stream(turn, _after(turn, last_event_id))

    @made.get("/threads", summary="List your conversations", responses=documented())
    async def list_threads(ctx: Caller, limit: Limit = 20, cursor: Cursor = None) -> ThreadList:
        return await threads.listed(ctx, limit=limit, cursor=cursor)

    @made.get("/threads/{id}", summary="Show a conversation", responses=documented(404))
    async def thread(ctx: Caller, id: UUID) -> Thread:
        return await threads.find(ctx, id)

    @made.get("/threads/{id}/messages", summary="What was said, oldest first", responses=documented(404))
    async def messages(ctx: Caller, id: UUID, limit: Limit = 50, cursor: Cursor = None) -> MessageList:
        return await threads.messages(ctx, id, limit=limit, cursor=cursor)

    @made.delete("/threads/{id}", status_code=204, summary="Delete a conversation", responses=documented(404, 409))
    async def forget(ctx: Caller, id: UUID) -> None:
        turns.check((await threads.find(ctx, id)).thread)
        await threads.forget(ctx, id)

    return made


async def _said(access: Access, said: Said, ctx: Context) -> AsyncGenerator[Event]:
    """A turn. In a program that has just started the agent is still being loaded; the first event need not wait."""
    agent = await access.agent()
    turn = agent.turn(said.message, ctx, context_text=said.context, confirm=said.confirm)
    async with contextlib.aclosing(turn) as events:
        async for event in events:
            yield event


async def _answered(access: Access, said: Answer, ctx: Context) -> AsyncGenerator[Event]:
    agent = await access.agent()
    async with contextlib.aclosing(agent.answer(said.yes, ctx, edits=said.edits)) as events:
        async for event in events:
            yield event


async def _played(turn: RunningTurn, stream: bool) -> Response:
    if stream:
        return _stream(turn, -1)
    events = [event async for _, event in turn.follow()]
    return JSONResponse(whole(turn, events).model_dump(mode="json"))


def whole(turn: RunningTurn, events: list[Event]) -> WholeTurn:
    """A turn that is over, in one piece."""
    end = events[-1]
    said = "".join(event.text for event in events if isinstance(event, Text))
    match end:
        case Failed():
            said = f"{said}\n\n{end.text}".strip()
        case ConfirmationAsked():
            said = "\n".join([said, *(f"- {call.text}" for call in end.calls)]).strip()
    return WholeTurn(
        thread=turn.conversation, turn=turn.id, text=said, status=end.event,
        events=[event.as_dict() for event in events],
    )  # fmt: skip


def _stream(turn: RunningTurn, after: int) -> Response:
    return StreamingResponse(_sse(turn, after), 200, _HEADERS, "text/event-stream")


def _after(turn: RunningTurn, last_event_id: str | None) -> int:
    """The number of the event that was seen last; -1 when that was another turn's."""
    name, _, number = (last_event_id or "").partition(".")
    return int(number) if name == turn.id and number.isdecimal() and number.isascii() and len(number) < 9 else -1


async def _sse(turn: RunningTurn, after: int) -> AsyncIterator[bytes]:
    if after < 0:
        first = {"event": "thread", "thread": str(turn.conversation), "turn": turn.id}
        yield format_sse_event(event="thread", data_str=json.dumps(first))
    async for numbered in with_pauses(turn.follow(after)):
        if numbered is None:
            yield KEEPALIVE_COMMENT
            continue
        number, event = numbered
        yield format_sse_event(
            event=event.event, data_str=json.dumps(event.as_dict(), ensure_ascii=False), id=f"{turn.id}.{number}"
        )


async def with_pauses(events: AsyncGenerator[tuple[int, Event]]) -> AsyncIterator[tuple[int, Event] | None]:
    """The same, and None whenever nothing has come for a while."""
    while True:
        following = asyncio.ensure_future(anext(events, None))
        try:
            while not (await asyncio.wait({following}, timeout=KEEP_ALIVE))[0]:
                yield None
        finally:
            if not following.done():
                following.cancel()
        found = following.result()
        if found is None:
            return
        yield found
