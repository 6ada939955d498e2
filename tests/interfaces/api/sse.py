"""Reading server-sent events as a client does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Sent:
    """One event as it came."""

    event: str
    data: dict[str, Any]
    id: str | None


async def events_of(answer: httpx.Response) -> AsyncIterator[Sent]:
    """The events of a streamed answer, as they come (HTML standard, 9.2.6). Comments are left out."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield Sent(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


async def say(client: httpx.AsyncClient, message: str, **more: Any) -> list[Sent]:
    """All events of one turn."""
    async with client.stream("POST", "/api/chat", json={"message": message} | more) as answer:
        assert answer.status_code == 200, await answer.aread()
        return [event async for event in events_of(answer)]
