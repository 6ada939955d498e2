"""The language model as the graph uses it: an OpenAI-compatible endpoint in two modes, or the built-in planner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import SystemMessage

import prompts
from agent.choice import ModelChoice
from agent.planner import Planner, Situation
from agent.planner_model import PlannerModel
from agent.toolbox import as_signatures
from db.embeddings import Embedder, LocalEmbedder

# Characters of a conversation that go to the model; small local models read slowly and have short windows.
BUDGET = {"native": 120_000, "json-schema": 14_000}


class ModelFailed(RuntimeError):
    """The language model can't answer; the text says why and what to do."""


@dataclass(frozen=True)
class LanguageModel:
    """A chat model with its tools bound, and what the graph has to know about it."""

    chat: BaseChatModel
    label: str
    """How it is named to people."""
    prompt: prompts.Prompt | None
    budget: int
    may_invent: bool
    """Whether what it writes must be compared with what was said: true for every language model."""
    confirm_writes: bool
    explain: Callable[[Exception], Exception] = lambda error: error
    """Its errors in our words, as `ModelFailed`; other errors as they are."""
    is_too_long: Callable[[Exception], bool] = lambda _: False
    """Whether it refused because the conversation is too long for it."""

    @property
    def prompt_id(self) -> str:
        return self.prompt.id if self.prompt else "planner"

    def system(self, situation: Situation, prose: str) -> SystemMessage:
        """The system message: the fixed part first, so that endpoints can cache it."""
        text = f"{self.prompt.text}\n\n{prose}" if self.prompt else ""
        return SystemMessage(text, additional_kwargs={"situation": situation})


def choose(choice: ModelChoice, embedder: Embedder) -> LanguageModel:
    """The model that the settings chose; without one the built-in planner."""
    if choice.name is None:
        # The planner compares sentences with the local model, whatever embeds the contacts.
        local = embedder if isinstance(embedder, LocalEmbedder) else LocalEmbedder()
        return LanguageModel(
            chat=PlannerModel(planner=Planner(local.encode)), label="the built-in planner (no language model)",
            prompt=None, budget=BUDGET["native"], may_invent=False, confirm_writes=choice.confirm_writes,
        )  # fmt: skip
    # Only now: importing the SDK takes a second, which the planner need not wait for.
    from agent import endpoint

    chat = endpoint.in_schema_mode(choice) if choice.mode == "json-schema" else endpoint.native(choice)
    return LanguageModel(
        chat=chat, label=f"{choice.name} ({choice.mode} mode)",
        prompt=_small_prompt() if choice.mode == "json-schema" else prompts.load("agent"),
        budget=BUDGET[choice.mode], may_invent=True, confirm_writes=choice.confirm_writes,
        explain=endpoint.in_our_words, is_too_long=endpoint.is_too_long,
    )  # fmt: skip


def _small_prompt() -> prompts.Prompt:
    """The prompt of json-schema mode, with a line for each tool: its endpoint is not told of the tools otherwise."""
    prompt = prompts.load("agent_small")
    return prompts.Prompt(prompt.id, prompt.text.replace("{{ tools }}", as_signatures()))
