"""What a conversation remembers of its turns, for doors that show it again: which tools were called, and what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage


@dataclass(frozen=True)
class PastCall:
    """A tool call that has its result."""

    id: str
    tool: str
    arguments: dict[str, Any]
    ok: bool
    text: str
    approval: str | None = None
    """The id of the approval request that it wrote."""


@dataclass
class PastTurn:
    """What followed a sentence, with its answers by yes or no."""

    said: str
    calls: list[PastCall] = field(default_factory=list)


def past_turns(messages: Sequence[AnyMessage]) -> list[PastTurn]:
    """The turns that are remembered, oldest first. What was said before them is in the transcript alone."""
    turns: list[PastTurn] = []
    arguments: dict[str, dict[str, Any]] = {}
    for message in messages:
        if isinstance(message, HumanMessage):
            turns.append(PastTurn(message.text))
        elif isinstance(message, AIMessage):
            arguments |= {call["id"] or "": call["args"] for call in message.tool_calls}
        elif isinstance(message, ToolMessage) and turns:
            turns[-1].calls.append(_call(message, arguments.get(message.tool_call_id, {})))
    return turns


def _call(message: ToolMessage, arguments: dict[str, Any]) -> PastCall:
    artifact = message.artifact if isinstance(message.artifact, dict) else {}
    approval = artifact.get("data", {}).get("approval_id")
    return PastCall(
        id=message.tool_call_id, tool=message.name or "", arguments=arguments, ok=message.status != "error",
        text=str(artifact.get("text", message.text)), approval=str(approval) if approval else None,
    )  # fmt: skip
