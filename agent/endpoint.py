"""OpenAI-compatible endpoints: connecting, and what can go wrong with them. Slow to import (the SDK)."""

from __future__ import annotations

import re
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from agent.choice import ModelChoice
from agent.models import ModelFailed
from agent.schema_mode import SchemaModel
from agent.toolbox import as_functions
from tools.base import WriterUnavailable


def native(choice: ModelChoice) -> BaseChatModel:
    """The endpoint with the tools bound, in its own form of tool calls."""
    chat: Any = connect(choice).bind_tools(as_functions())
    bound: BaseChatModel = chat
    return bound


def in_schema_mode(choice: ModelChoice) -> BaseChatModel:
    """The endpoint in json-schema mode."""
    return SchemaModel(endpoint=connect(choice))


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
