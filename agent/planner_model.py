"""The built-in planner as a chat model: the same graph, the same tools, no language model."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict

from agent.planner import Call, Memory, Planner, Situation, Understanding


class PlannerModel(BaseChatModel):
    """Understands the last sentence and calls tools; after their results it answers with those."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    planner: Planner

    @property
    def _llm_type(self) -> str:
        return "smartcampaign-planner"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = await asyncio.to_thread(self._answer, messages)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        if isinstance(messages[-1], ToolMessage):
            return AIMessage(_results(messages))
        situation = next(m.additional_kwargs["situation"] for m in messages if isinstance(m, SystemMessage))
        assert isinstance(situation, Situation)
        understood = self.planner.understand(messages[-1].text, situation, remembered(messages[:-1]))
        return _as_message(understood)


def _as_message(understood: Understanding) -> AIMessage:
    if understood.kind != "calls":
        return AIMessage(understood.reply)
    calls = [
        {"name": call.tool, "args": call.arguments, "id": f"call_{uuid.uuid4().hex[:12]}", "type": "tool_call"}
        for call in understood.calls
    ]
    return AIMessage("", tool_calls=calls)


def _results(messages: list[BaseMessage]) -> str:
    """What the tools of this turn said, one after another."""
    texts: list[str] = []
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            break
        if isinstance(message, ToolMessage):
            artifact = message.artifact or {}
            texts.append("Nothing was done." if artifact.get("declined") else artifact.get("text", message.text))
    return "\n\n".join(dict.fromkeys(reversed(texts)))


def remembered(messages: list[BaseMessage]) -> Memory:
    """What earlier turns spoke of: the last campaign, contact and search, and what was understood last."""
    campaign = contact = query = None
    last: list[Call] = []
    undone = False
    for message in messages:
        if isinstance(message, HumanMessage):
            last, undone = [], False
        elif isinstance(message, AIMessage) and message.tool_calls:
            last = [Call(call["name"], dict(call["args"])) for call in message.tool_calls]
            for call in last:
                arguments = call.arguments
                named = arguments.get("name") if call.tool == "create_campaign" else None
                campaign = named or arguments.get("campaign") or campaign
                contact = arguments.get("email") or arguments.get("contact") or contact
                query = arguments.get("query") or arguments.get("audience") or query
        elif isinstance(message, ToolMessage):
            artifact = message.artifact or {}
            undone = undone or bool(artifact.get("declined"))
            data = artifact.get("data", {})
            about = data.get("campaign")
            campaign = (about.get("name") if isinstance(about, dict) else about) or campaign
    return Memory(campaign=campaign, contact=contact, query=query, calls=tuple(last), undone=undone)
