"""The language model as the graph uses it: an OpenAI-compatible endpoint in two modes, or the built-in planner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

import prompts
from agent.choice import ModelChoice
from agent.planner import Planner, Situation
from agent.planner_model import PlannerModel
from agent.planner_vectors import kept
from agent.schema_mode import SchemaModel
from agent.toolbox import as_functions, as_signatures
from db.embeddings import Embedder, LocalEmbedder
from tools.base import WriterUnavailable

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
        planner = Planner(kept(local.encode, local.name, choice.cache))
        return LanguageModel(
            chat=PlannerModel(planner=planner), label="the built-in planner (no language model)",
            prompt=None, budget=BUDGET["native"], may_invent=False, confirm_writes=choice.confirm_writes,
        )  # fmt: skip
    endpoint = connect(choice)
    chat: Any = SchemaModel(endpoint=endpoint) if choice.mode == "json-schema" else endpoint.bind_tools(as_functions())
    return LanguageModel(
        chat=chat, label=f"{choice.name} ({choice.mode} mode)",
        prompt=_small_prompt() if choice.mode == "json-schema" else prompts.load("agent"),
        budget=BUDGET[choice.mode], may_invent=True, confirm_writes=choice.confirm_writes,
    )  # fmt: skip


def _small_prompt() -> prompts.Prompt:
    """The prompt of json-schema mode, with a line for each tool: its endpoint is not told of the tools otherwise."""
    prompt = prompts.load("agent_small")
    return prompts.Prompt(prompt.id, prompt.text.replace("{{ tools }}", as_signatures()))


def connect(choice: ModelChoice) -> ChatOpenAI:
    """The endpoint. It is asked at most three times a call, with growing pauses (429, 5xx, lost connections)."""
    return ChatOpenAI(
        model=choice.name or "",
        base_url=choice.base_url,
        api_key=SecretStr(choice.api_key),
        timeout=choice.timeout,
        stream_chunk_timeout=choice.timeout,
        max_retries=2,
        temperature=0,
        # Newer model names would be sent to an API that few endpoints have.
        use_responses_api=False,
        stream_usage=True,
    )


class ModelWriter:
    """The language model for drafts and summaries: words in, words out (`tools.base.Writer`)."""

    def __init__(self, choice: ModelChoice) -> None:
        self.name = choice.name or ""
        self._endpoint = connect(choice)

    async def write(self, system: str, request: str) -> str:
        try:
            answer = await self._endpoint.ainvoke([SystemMessage(system), HumanMessage(request)])
        except Exception as error:
            raise WriterUnavailable(str(in_our_words(error))) from error
        return answer.text


def is_too_long(error: Exception) -> bool:
    """Whether the endpoint refused because the conversation does not fit its context window."""
    return isinstance(error, openai.BadRequestError) and bool(
        re.search(r"context|too long|maximum.{0,20}(length|tokens)|exceed", str(error), re.IGNORECASE)
    )


def in_our_words(error: Exception) -> Exception:
    """The endpoint's error as a sentence that says what to do; other errors as they are."""
    match error:
        case openai.APITimeoutError():
            text = "The language model did not answer in time. Try again, or raise SMARTCAMPAIGN_MODEL_TIMEOUT."
        case openai.APIConnectionError():
            text = "The language model can't be reached. Check OPENAI_BASE_URL and that its server runs."
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            text = "The language model's endpoint refuses the key. Check OPENAI_API_KEY."
        case openai.NotFoundError():
            text = "The endpoint does not know this model or address. Check SMARTCAMPAIGN_MODEL and OPENAI_BASE_URL."
        case openai.RateLimitError():
            text = "The language model's endpoint is over its limit (429). Wait a little, or look at your quota there."
        case openai.APIStatusError():
            text = f"The language model's endpoint answered with an error ({error.status_code}). Try again later."
        case openai.APIError() | TimeoutError():
            text = "The language model's answer broke off. Try again."
        case _ if type(error).__name__ == "StreamChunkTimeoutError":
            text = "The language model stopped in mid-answer. Try again, or raise SMARTCAMPAIGN_MODEL_TIMEOUT."
        case _:
            return error
    return ModelFailed(text)
