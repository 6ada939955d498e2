"""Clients of MCP over HTTP: the official one, and one that says exactly what a test wants said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client

from tests.interfaces.api.conftest import House

ERAS = ("legacy", "2026-07-28")
APPROVE = types.ElicitResult(action="accept", content={"decision": "approve"})
ACCEPT = "application/json, text/event-stream"


@asynccontextmanager
async def connected(
    house: House, key: str | None, era: str = "legacy", person: ElicitationFnT | None = None, **more: Any
) -> AsyncIterator[Client]:
    """The official client, connected with this key."""
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(f"{house.url}/mcp", http_client=http), mode=era, elicitation_callback=person, **more
        ) as client,
    ):
        yield client


def text_of(result: types.CallToolResult) -> str:
    """The text of a result; what else it has is left out."""
    content = result.content[0]
    assert isinstance(content, types.TextContent)
    return content.text


class Plain:
    """Requests as a test spells them, with the session of a handshake."""

    def __init__(self, house: House, key: str | None, **headers: str) -> None:
        self._client = house.client(key, Accept=ACCEPT, **headers)
        self.session: str | None = None
        self._next = 0

    async def begin(self, capabilities: dict[str, Any] | None = None) -> httpx.Response:
        """Shake hands, as a client of 2025-11-25."""
        answer = await self.say(
            "initialize",
            {
                "protocolVersion": "2025-11-25", "capabilities": capabilities or {},
                "clientInfo": {"name": "plain", "version": "1"},
            },
        )  # fmt: skip
        self.session = answer.headers.get("mcp-session-id")
        if self.session:
            await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    async def say(self, method: str, params: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return await self.post(self.request(method, params), **headers)

    async def call(self, tool: str, /, **arguments: Any) -> httpx.Response:
        return await self.say("tools/call", {"name": tool, "arguments": arguments})

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self._next += 1
        return {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params or {}}

    async def post(self, message: Any, **headers: str) -> httpx.Response:
        return await self._client.post("/mcp", json=message, headers=self.headers(**headers))

    def headers(self, **headers: str) -> dict[str, str]:
        session = {"mcp-session-id": self.session} if self.session else {}
        return session | {name.replace("_", "-"): value for name, value in headers.items()}


def messages(answer: httpx.Response) -> list[dict[str, Any]]:
    """The messages of an answer, whether it came as JSON or as a stream of events."""
    if answer.headers["content-type"].startswith("application/json"):
        return [answer.json()]
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: {")]


def result_of(answer: httpx.Response) -> dict[str, Any]:
    """What a call answered."""
    assert answer.status_code == httpx.codes.OK, answer.text
    result: dict[str, Any] = messages(answer)[-1]["result"]
    return result


def said(answer: httpx.Response) -> str:
    """The sentence of a refusal."""
    sentence: str = answer.json()["error"]["message"]
    return sentence
