"""An OpenAI-compatible endpoint that speaks to the agent, so that Open WebUI and others can be the front.

Such a client sends the whole conversation each time; the agent keeps its own. Which of its conversations goes on is
found by what was said before, by both, under the same key (or by the front's own id, where it sends one). Where that is
not known here, because the front changed it or it was said elsewhere, it is given to the agent as data.

A question before a write, and a request that waits for a person, are answered by a message of their own that the door
reads and no model: yes or no, `approve ID` or `reject ID`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal
from uuid import UUID

import psycopg
from fastapi import APIRouter, Request
from fastapi.sse import KEEPALIVE_COMMENT
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from agent import threads
from agent.events import ApprovalAsked, ConfirmationAsked, Done, Event, Failed, Notice, Text
from agent.run import LONGEST_CONTEXT, Agent
from interfaces.access import Access
from interfaces.api.callers import Caller, Described
from interfaces.api.chat import SSE, with_pauses
from interfaces.api.problems import documented
from interfaces.api.turns import RunningTurn, Turns
from tools import approvals
from tools.approvals import Card
from tools.base import Context
from tools.base import Text as PlainText
from tools.errors import InvalidArguments, ToolError

MODEL = "smartcampaign"

# How Open WebUI names its conversation, when it is told to send such headers.
CHAT_ID = "x-openwebui-chat-id"

ENDS = (Done, ConfirmationAsked, Failed)

YES = frozenset({"y", "yes", "yes please", "ok", "okay", "do it", "ja", "oui", "si", "sí"})
NO = frozenset({"n", "no", "no thanks", "cancel", "nein", "non"})

_DECISION = re.compile(r"(approve|reject)\s+([0-9a-f-]{4,36})[.!]?", re.IGNORECASE)


class Part(BaseModel):
    """A piece of a message; only text is read."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: PlainText | None = None


class Message(BaseModel):
    """One message as the client keeps it."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: PlainText | list[Part] | None = None

    @property
    def said(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class Completion(BaseModel):
    """What clients send. What is about sampling has no meaning here and is let pass."""

    model_config = ConfigDict(extra="allow")

    model: str = MODEL
    messages: list[Message] = Field(min_length=1, max_length=2_000)
    stream: bool = False


def router(access: Access, turns: Turns) -> APIRouter:
    """`/v1/models` and `/v1/chat/completions`."""
    made = APIRouter(prefix="/v1", tags=["openai"], dependencies=[Described])

    @made.get("/models", summary="The one model there is", responses=documented())
    async def models(ctx: Caller) -> dict[str, Any]:
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}]}

    @made.post(
        "/chat/completions", summary="Say something, as OpenAI's clients do", response_class=Response,
        responses=documented(404, 409) | {200: {"content": {
            "application/json": {"schema": {"type": "object"}}, "text/event-stream": SSE}}},
    )  # fmt: skip
    async def complete(request: Request, ctx: Caller, asked: Completion) -> Response:
        said = [message.said for message in asked.messages if message.role == "user"]
        if asked.messages[-1].role != "user" or not said[-1].strip():
            raise InvalidArguments(problems="The last message must be the user's, with some text.")
        agent = await access.agent()
        there = await _conversation(agent, request, ctx, asked.messages)
        turns.check(_id(there))
        decision = _DECISION.fullmatch(said[-1].strip())
        if decision is not None:
            events = _decided(agent, there, *decision.groups())
        else:
            events = await _events(agent, there, asked.messages, said)
        if CHAT_ID not in request.headers:
            events = _renamed(events, there, asked.messages)
        turn = turns.begin(_id(there), events)
        if asked.stream:
            return StreamingResponse(_chunks(turn), 200, {"Cache-Control": "no-store"}, "text/event-stream")
        return JSONResponse(await _whole(turn))

    return made


async def _conversation(agent: Agent, request: Request, ctx: Context, messages: Sequence[Message]) -> Context:
    """The conversation to go on with; a new one where nothing was said yet."""
    chat = request.headers.get(CHAT_ID)
    before = [message for message in messages[:-1] if message.role in ("user", "assistant")]
    name = f"chat {chat}" if chat else (_named(message.said for message in before) if before else None)
    return replace(ctx, conversation=await agent.open_conversation(ctx, name))


def _named(said: Iterable[str]) -> str:
    """What a conversation is called in which this was said, by both. Fronts may trim what they show."""
    words = json.dumps([" ".join(text.split()) for text in said])
    return "said " + hashlib.sha256(words.encode()).hexdigest()[:32]


async def _events(
    agent: Agent, ctx: Context, messages: Sequence[Message], said: Sequence[str]
) -> AsyncGenerator[Event]:
    """The answer to a waiting question, or a turn."""
    _, question = await agent.remembered(ctx)
    word = said[-1].strip().lower().rstrip(".!")
    if question is not None and word in YES | NO:
        return agent.answer(word in YES, ctx)
    known = await threads.find(ctx, _id(ctx))
    before = _before(messages) if known.turns == 0 and len(said) > 1 else None
    return agent.turn(said[-1], ctx, context_text=before)


def _before(messages: Sequence[Message]) -> str:
    """What was said before, for a conversation that we do not know: the newest of it."""
    lines = [f"{message.role}: {message.said}" for message in messages[:-1] if message.role in ("user", "assistant")]
    return ("Said before in this conversation:\n" + "\n".join(lines))[-LONGEST_CONTEXT:]


async def _decided(agent: Agent, ctx: Context, verb: str, id: str) -> AsyncGenerator[Event]:
    """Carry out what a person wrote, and let the conversation know."""
    try:
        decided = await approvals.decide(id, approve=verb.lower() == "approve", ctx=ctx)
    except ToolError as error:
        yield Failed(str(error), code=error.code)
        return
    await agent.note(f"A person {decided.decision} it: {decided.outcome}", ctx)
    yield Text(decided.outcome)
    yield Done(model=agent.name)


async def _renamed(events: AsyncGenerator[Event], ctx: Context, messages: Sequence[Message]) -> AsyncGenerator[Event]:
    """The same events; before the last one the conversation is called as the front will send it next time."""
    answer = ""
    async with contextlib.aclosing(events):
        async for event in events:
            answer += in_words(event)
            if isinstance(event, ENDS):
                said = [message.said for message in messages if message.role in ("user", "assistant")]
                # An answer is not lost because its conversation is not found again.
                with contextlib.suppress(psycopg.Error, PoolTimeout):
                    await threads.rename(ctx, _id(ctx), _named([*said, answer]))
            yield event


def in_words(event: Event) -> str:
    """An event as a piece of the answer's text; empty for what such a client does not show."""
    match event:
        case Text():
            return event.text
        case Notice():
            return f"*{event.text}*\n\n"
        case Failed():
            return f"\n\n{event.text}"
        case ConfirmationAsked():
            steps = "\n".join(f"{place}. {call.text}" for place, call in enumerate(event.calls, 1))
            return f"\n\nThis would be done:\n\n{steps}\n\nAnswer **yes** or **no**, or say what to change."
        case ApprovalAsked():
            card, short = Card.model_validate(event.card).text(), event.id[:8]
            return f"\n\n{card}\n\nTo decide, send `approve {short}` or `reject {short}` as a message of its own.\n\n"
    return ""


async def _chunks(turn: RunningTurn) -> AsyncIterator[bytes]:
    yield _chunk(turn, {"role": "assistant", "content": ""})
    async for numbered in with_pauses(turn.follow()):
        text = in_words(numbered[1]) if numbered else ""
        if numbered is None:
            yield KEEPALIVE_COMMENT
        elif text:
            yield _chunk(turn, {"content": text})
    yield _chunk(turn, {}, "stop")
    yield b"data: [DONE]\n\n"


def _chunk(turn: RunningTurn, delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = _head(turn, "chat.completion.chunk") | {"choices": [choice]}
    return f"data: {json.dumps(data)}\n\n".encode()


async def _whole(turn: RunningTurn) -> dict[str, Any]:
    text = "".join([in_words(event) async for _, event in turn.follow()])
    choice = {"index": 0, "message": {"role": "assistant", "content": text.strip()}, "finish_reason": "stop"}
    # Tokens are counted by the language model's own endpoint, and the planner has none.
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return _head(turn, "chat.completion") | {"choices": [choice], "usage": usage}


def _head(turn: RunningTurn, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{turn.id}", "object": kind, "created": int(time.time()), "model": MODEL}


def _id(ctx: Context) -> UUID:
    assert ctx.conversation is not None
    return ctx.conversation
