"""The agent as a graph: think, let a person look at writes, act, think again. It reads like a table of contents.

A graph of our own and not LangChain's `create_agent` (docs/decisions/0004): calls of one answer are done one after
another, because "create X and add everyone to it" depends on the order; arguments are checked before a person is
asked; and two steps a round cost less than a chain of middleware.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypedDict

import psycopg
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    HumanMessage,
    InvalidToolCall,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from psycopg_pool import PoolTimeout

from agent import answers, memory, provenance
from agent.events import ApprovalAsked, ProposedCall, Text, ToolFinished, ToolStarted
from agent.models import LanguageModel, ModelFailed
from agent.planner import Situation
from agent.situation import in_prose
from agent.toolbox import TOOLS
from agent.toolbox import in_prose as call_in_prose
from tools import approvals
from tools.base import LONGEST_RESULT, Context, Tool
from tools.errors import ToolError

log = logging.getLogger(__name__)

# A turn that needs more rounds than this goes in circles.
MOST_ROUNDS = 25

# How often a model may write a call that is no valid JSON before the turn ends with a sentence.
MOST_REPAIRS = 2

NOT_DONE = "Not done: the person said no."


class State(TypedDict):
    """What a conversation remembers (`messages`), and what belongs to the turn alone."""

    messages: Annotated[list[AnyMessage], add_messages]
    rounds: int
    confirm: bool


@dataclass(frozen=True)
class Turn:
    """What a turn works with: the tools' context, and what was known when it began."""

    ctx: Context
    situation: Situation


Next = Literal["review", "act", "think", "__end__"]


def build(model: LanguageModel, checkpointer: BaseCheckpointSaver[Any] | None) -> CompiledStateGraph[Any, Any]:
    """The compiled graph. Its run-time context is a `Turn`."""
    steps = _Steps(model)
    graph = StateGraph(State, context_schema=Turn)
    graph.add_node("think", steps.think)
    graph.add_node("review", steps.review)
    graph.add_node("act", steps.act)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", _after_thinking)
    graph.add_conditional_edges("review", _after_review)
    graph.add_edge("act", "think")
    return graph.compile(checkpointer=checkpointer)


def _after_thinking(state: State) -> Next:
    calls = _open_calls(state["messages"])
    if not calls:
        return "__end__"
    # What only reads harms nobody: it needs no look beforehand.
    return "act" if all(_only_reads(call) for call in calls) else "review"


def _after_review(state: State) -> Next:
    return "act" if _open_calls(state["messages"]) else "think"


class _Steps:
    """The nodes. They share the model and nothing else."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    async def think(self, state: State, runtime: Runtime[Turn]) -> dict[str, Any]:
        """Ask the model what to do or say next."""
        rounds = state.get("rounds", 0) + 1
        if rounds > MOST_ROUNDS:
            return {
                "messages": [
                    _said(f"I stopped after {MOST_ROUNDS} steps without coming to an end. Please ask in smaller steps.")
                ]
            }
        situation = runtime.context.situation
        system = self._model.system(situation, in_prose(situation, runtime.context.ctx))
        history = memory.whole(state["messages"])
        repairs: list[AnyMessage] = []
        for _ in range(MOST_REPAIRS + 1):
            answer = await self._ask([system, *history, *repairs])
            if not answer.invalid_tool_calls:
                answer = await self._grounded(answer, [system, *history], runtime.context)
                # Kept with the conversation: which words the model was told when it said this.
                told = {"model": self._model.label, "prompt": self._model.prompt_id}
                return {"messages": [answer.model_copy(update={"response_metadata": told})], "rounds": rounds}
            repairs += _asked_again(answer)
        raise ModelFailed(
            "The language model answered with tool calls that are no valid JSON, also when asked again. "
            "Try SMARTCAMPAIGN_MODEL_MODE=json-schema, or another model."
        )

    async def review(self, state: State, runtime: Runtime[Turn]) -> dict[str, Any]:
        """Refuse what can't be right; show a person the writes before they are done, if that is wanted."""
        answer, calls = _last_answer(state["messages"]), _open_calls(state["messages"])
        refused = await self._refused(calls, state["messages"], runtime.context.ctx)
        if refused:
            return {"messages": refused}
        if not state["confirm"] or not any(_is_write(call) for call in calls):
            return {}
        shown = [await _proposed(call, runtime.context.ctx) for call in calls]
        decision = interrupt({"calls": [asdict(call) for call in shown]})
        if not decision["yes"]:
            return {"messages": [_declined(call) for call in calls]}
        if not decision["edits"]:
            return {}
        return {"messages": [_edited(answer, decision["edits"])]}

    async def act(self, state: State, runtime: Runtime[Turn]) -> dict[str, Any]:
        """Do the calls one after another; after a write that failed the following ones are left undone."""
        done: list[AnyMessage] = []
        failed: str | None = None
        for call in _open_calls(state["messages"]):
            if failed and TOOLS[call["name"]].effect != "read":
                done.append(_refusal(call, f"Not done, because {failed} before it was refused."))
                continue
            message = await _do(call, TOOLS[call["name"]], runtime.context.ctx)
            done.append(message)
            if message.status == "error" and TOOLS[call["name"]].effect != "read":
                failed = call["name"]
        return {"messages": done}

    async def _grounded(self, answer: AIMessage, asked: list[AnyMessage], turn: Turn) -> AIMessage:
        """The answer if all that it claims is known; else another one, asked for once; else the tools' own words."""
        if not self._model.may_invent or not answer.text:
            return answer
        claims = await self._claims(answer, asked, turn)
        if claims and not answer.tool_calls:
            answer = await self._said_otherwise(answer, claims, asked)
            claims = await self._claims(answer, asked, turn) if answer.text else []
            if (claims and not answer.tool_calls) or not (answer.text or answer.tool_calls):
                answer, claims = AIMessage(answers.in_written_form(asked)), []
        if claims:
            # The calls are checked by themselves; the words beside them are none that anybody needs.
            return answer.model_copy(update={"content": ""})
        if answer.text:
            get_stream_writer()(Text(answer.text))
        return answer

    async def _said_otherwise(self, answer: AIMessage, claims: list[str], asked: list[AnyMessage]) -> AIMessage:
        """The model's second answer; an empty one if it gives none."""
        try:
            again = await self._ask([*asked, *answers.asked_again(answer, claims)])
        except ModelFailed:
            return AIMessage("")
        return AIMessage("") if again.invalid_tool_calls else again

    async def _claims(self, answer: AIMessage, asked: list[AnyMessage], turn: Turn) -> list[str]:
        return await asyncio.to_thread(answers.unbacked, answer.text, asked, turn.situation, turn.ctx)

    async def _ask(self, messages: list[AnyMessage]) -> AIMessage:
        """One answer, streamed; a conversation that is too long for the model is shortened and asked again."""
        budget = self._model.budget
        while True:
            try:
                # What may be invented is looked at before it is shown.
                return await _streamed(self._model.chat, memory.fit(messages, budget), show=not self._model.may_invent)
            except Exception as error:
                if self._model.is_too_long(error) and budget > 2_000:
                    budget //= 2
                    continue
                raise self._model.explain(error) from error

    async def _refused(self, calls: list[ToolCall], messages: list[AnyMessage], ctx: Context) -> list[ToolMessage]:
        """Results for all calls if one of them can't be done as it stands, so that the model writes all anew."""
        problems: dict[str, str] = {}
        for call in calls:
            tool = TOOLS.get(call["name"])
            if tool is None:
                problems[_id(call)] = f"There is no tool {call['name']}; there are: {', '.join(TOOLS)}."
                continue
            if self._model.may_invent and tool.effect != "read":
                invented = provenance.invented(call, messages, calls)
                if invented:
                    problems[_id(call)] = invented
                    continue
            if tool.effect == "read":
                continue  # it refuses by itself, and harms nobody
            try:
                tool.check(call["args"], ctx)
            except ToolError as error:
                problems[_id(call)] = str(error)
        if not problems:
            return []
        write = get_stream_writer()
        for call in calls:
            if _id(call) in problems:
                write(ToolStarted(_id(call), call["name"], call["args"]))
                write(ToolFinished(_id(call), call["name"], False, problems[_id(call)]))
        return [
            _refusal(call, problems.get(_id(call), "Not done, because another call was refused.")) for call in calls
        ]


async def _streamed(model: BaseChatModel, messages: list[AnyMessage], *, show: bool) -> AIMessage:
    """The whole answer; with `show` its text goes out as it comes."""
    write = get_stream_writer()
    whole: AIMessage | None = None
    async for chunk in model.astream(messages):
        if chunk.text and show:
            write(Text(chunk.text))
        # A model that does not stream gives one whole message.
        whole = whole + chunk if isinstance(whole, AIMessageChunk) else chunk
    if whole is None or not (whole.text or whole.tool_calls or whole.invalid_tool_calls):
        raise ModelFailed("The language model gave an empty answer. Ask again, or choose another model.")
    if isinstance(whole, AIMessageChunk) and not whole.response_metadata.get("finish_reason"):
        raise ModelFailed("The language model's answer broke off. Try again.")
    calls, unreadable = _strictly(whole)
    return AIMessage(
        content=whole.text,
        tool_calls=[{**call, "id": call["id"] or f"call_{uuid.uuid4().hex[:12]}"} for call in calls],
        invalid_tool_calls=unreadable,
        usage_metadata=whole.usage_metadata,
        id=whole.id or f"run-{uuid.uuid4()}",
    )


def _strictly(answer: AIMessage) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """The calls whose arguments are whole JSON, and the others.

    LangChain completes half a JSON text while it streams: a broken-off `{"name": "Harv` would become a call.
    """
    calls, unreadable = list(answer.tool_calls), list(answer.invalid_tool_calls)
    for piece in answer.tool_call_chunks if isinstance(answer, AIMessageChunk) else ():
        try:
            json.loads(piece["args"] or "{}")
        except (ValueError, RecursionError):
            calls = [call for call in calls if call["id"] != piece["id"]]
            if piece["id"] not in [call["id"] for call in unreadable]:
                unreadable.append(invalid_tool_call(name=piece["name"], args=piece["args"], id=piece["id"], error=None))
    return calls, unreadable


async def _do(call: ToolCall, tool: Tool[Any, Any], ctx: Context) -> ToolMessage:
    """One tool call; refusals and bugs become a result that the model reads, a lost database ends the turn."""
    write = get_stream_writer()
    write(ToolStarted(_id(call), tool.name, call["args"]))
    try:
        result = await tool.call(call["args"], ctx)
    except ToolError as error:
        write(ToolFinished(_id(call), tool.name, False, str(error)))
        return _refusal(call, str(error))
    except (psycopg.OperationalError, PoolTimeout, asyncio.CancelledError):
        raise
    except Exception:
        reference = uuid.uuid4().hex[:8]
        log.exception("tool %s failed (reference %s)", tool.name, reference)
        text = (
            f"{tool.name} failed by an error of this program (reference {reference} in the log). Nothing was changed."
        )
        write(ToolFinished(_id(call), tool.name, False, text))
        return _refusal(call, text)
    data = result.model_dump(mode="json", exclude_none=True)
    text = result.text()
    write(ToolFinished(_id(call), tool.name, True, text, data))
    if isinstance(result, approvals.ApprovalAsked):
        write(
            ApprovalAsked(
                str(result.approval_id), result.action, result.card.model_dump(mode="json"), text,
                result.expires_at.isoformat(),
            )
        )  # fmt: skip
    more = f"\n\nnext_cursor: {data['next_cursor']}" if data.get("next_cursor") else ""
    return ToolMessage(
        content=(text + more)[:LONGEST_RESULT],
        tool_call_id=_id(call),
        name=tool.name,
        artifact={"text": text, "data": _small(data)},
    )


def _small(data: dict[str, Any]) -> dict[str, Any]:
    """What later turns refer to: the plain values, not the rows of a list."""
    return {
        name: value
        for name, value in data.items()
        if isinstance(value, str | int | bool) or name in ("campaign", "contact")
    }


async def _proposed(call: ToolCall, ctx: Context) -> ProposedCall:
    tool = TOOLS[call["name"]]
    text = call_in_prose(call["name"], call["args"])
    more = await tool.foreseen(call["args"], ctx)
    return ProposedCall(_id(call), call["name"], call["args"], f"{text}{f' ({more})' if more else ''}")


def _last_answer(messages: list[AnyMessage]) -> AIMessage:
    return next(message for message in reversed(messages) if isinstance(message, AIMessage))


def _open_calls(messages: list[AnyMessage]) -> list[ToolCall]:
    """The calls of the last answer that have no result yet."""
    if not isinstance(messages[-1], AIMessage | ToolMessage):
        return []
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    return [call for call in _last_answer(messages).tool_calls if call["id"] not in answered]


def _only_reads(call: ToolCall) -> bool:
    return call["name"] in TOOLS and TOOLS[call["name"]].effect == "read"


def _is_write(call: ToolCall) -> bool:
    # Sending and erasing only write a request here; their card is asked about in its own way.
    return TOOLS[call["name"]].effect == "write"


def _id(call: ToolCall) -> str:
    return call["id"] or ""


def _said(text: str) -> AIMessage:
    get_stream_writer()(Text(text))
    return AIMessage(text)


def _refusal(call: ToolCall, text: str) -> ToolMessage:
    return ToolMessage(content=text, tool_call_id=_id(call), name=call["name"], status="error", artifact={"text": text})


def _declined(call: ToolCall) -> ToolMessage:
    return ToolMessage(
        content=NOT_DONE, tool_call_id=_id(call), name=call["name"], status="error",
        artifact={"text": NOT_DONE, "declined": True},
    )  # fmt: skip


def _edited(answer: AIMessage, edits: dict[str, dict[str, Any]]) -> AIMessage:
    """The same answer (same id, so it replaces the old one) with the arguments as the person corrected them."""
    calls = [{**call, "args": edits.get(_id(call), call["args"])} for call in answer.tool_calls]
    return answer.model_copy(update={"tool_calls": calls})


def _asked_again(answer: AIMessage) -> list[AnyMessage]:
    problems = "; ".join(f"{call['name']}: {call['error'] or 'no valid JSON'}" for call in answer.invalid_tool_calls)
    return [
        AIMessage(answer.text or "(a tool call that could not be read)"),
        HumanMessage(f"Your tool call could not be read ({problems[:500]}). Write it again, as valid JSON."),
    ]
