"""An agent over a scripted endpoint, or over the built-in planner, in a conversation of the test's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.choice import Mode, ModelChoice
from agent.events import Event, Text, ToolFinished, ToolStarted
from agent.models import choose
from agent.run import Agent
from evals.scripted_model import ScriptedModel
from tools.base import Context


@dataclass
class Talk:
    """One conversation: `say` runs a turn and keeps its events."""

    agent: Agent
    ctx: Context
    events: list[Event] = field(default_factory=list)

    async def say(self, text: str, **more: Any) -> list[Event]:
        self.events = [event async for event in self.agent.turn(text, self.ctx, **more)]
        return self.events

    async def answer(self, yes: bool, **more: Any) -> list[Event]:
        self.events = [event async for event in self.agent.answer(yes, self.ctx, **more)]
        return self.events

    @property
    def text(self) -> str:
        """The answer of the last turn."""
        return "".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def started(self) -> list[tuple[str, dict[str, Any]]]:
        """The tools of the last turn with their arguments."""
        return [(event.tool, event.arguments) for event in self.events if isinstance(event, ToolStarted)]

    @property
    def finished(self) -> list[ToolFinished]:
        return [event for event in self.events if isinstance(event, ToolFinished)]

    @property
    def end(self) -> Event:
        return self.events[-1]


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


async def talk_with(
    model: ScriptedModel, ctx: Context, *, mode: Mode = "native", confirm: bool = False, patience: float = 20
) -> Talk:
    """A new conversation with the scripted endpoint."""
    choice = ModelChoice("scripted", model.url, "key", mode, patience, confirm)
    agent = Agent(choose(choice, ctx.embedder), ctx.database)
    return Talk(agent, dataclasses.replace(ctx, conversation=await agent.open_conversation(ctx)))


@pytest.fixture
async def talk(model: ScriptedModel, ctx: Context) -> Talk:
    """With a model that calls tools natively; writes are not asked about."""
    return await talk_with(model, ctx)


@pytest.fixture
async def asking(model: ScriptedModel, ctx: Context) -> Talk:
    """The same, but a person is shown writes before they are done."""
    return await talk_with(model, ctx, confirm=True)
