"""Slack as its API behaves, on a port of its own: it keeps messages, checks the token, and signs what it sends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import httpx
from aiohttp import web

BOT, ADA, BO, CY, STRANGER = "U0BOT", "U0ADA", "U0BO", "U0CY", "U0STRANGER"
CHANNEL, DIRECT = "C0SHOP", "D0ADA"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TOKEN, APP_TOKEN = "xoxb-not-a-real-token", "xapp-not-a-real-token"

Body = dict[str, Any]


@dataclass
class Call:
    """One call of the API."""

    method: str
    said: Body
    at: float

    @property
    def text(self) -> str:
        return str(self.said.get("text", ""))

    @property
    def blocks(self) -> list[Body]:
        blocks = self.said.get("blocks") or []
        return json.loads(blocks) if isinstance(blocks, str) else blocks

    @property
    def everything(self) -> str:
        """All words that are shown."""
        return self.text + json.dumps(self.blocks, ensure_ascii=False)

    def buttons(self) -> dict[str, Body]:
        return {
            each["action_id"]: each for block in self.blocks if block["type"] == "actions" for each in block["elements"]
        }


@dataclass
class FakeSlack:
    """The API, and a workspace that speaks to an app."""

    api: str = ""
    team: str = field(default_factory=lambda: f"T{uuid4().hex[:10].upper()}")
    """Of its own in each test: a workspace is linked to one tenant of a database."""
    calls: list[Call] = field(default_factory=list, repr=False)
    files: dict[str, bytes] = field(default_factory=dict)
    fail: Callable[[str, Body], Body | None] = lambda method, said: None
    """An error answer to a call."""
    app: httpx.AsyncClient | None = field(default=None, repr=False)
    """The app's own address, where events go."""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    acknowledged: list[Body] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(1))

    # What the API answers.

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        said: Body = dict(request.query)
        if request.content_type == "application/json":
            said |= await request.json()
        elif request.can_read_body:
            said |= dict(await request.post())
        if request.headers.get("Authorization") not in (f"Bearer {TOKEN}", f"Bearer {APP_TOKEN}"):
            return web.json_response({"ok": False, "error": "invalid_auth"})
        self.calls.append(Call(method, said, time.monotonic()))
        failure = self.fail(method, said)
        if failure is not None:
            return web.json_response(failure, status=429 if failure.get("error") == "ratelimited" else 200,
                                     headers={"Retry-After": "1"})  # fmt: skip
        return web.json_response({"ok": True} | self._answer(method, said))

    def _answer(self, method: str, said: Body) -> Body:
        match method:
            case "auth.test":
                return {"url": "https://shop.slack.com/", "team": "Shop", "user": "smartcampaign", "team_id": self.team,
                        "user_id": BOT, "bot_id": "B0BOT"}  # fmt: skip
            case "chat.postMessage" | "chat.update":
                ts = said.get("ts") or self.new_ts()
                self.calls[-1].said["ts"] = ts
                return {"channel": said["channel"], "ts": ts}
            case "chat.postEphemeral":
                return {"message_ts": self.new_ts()}
            case "users.info":
                return {"user": {"id": said["user"], "profile": {"display_name": "", "real_name": "Ada Byron"}}}
            case "files.getUploadURLExternal":
                return {"upload_url": f"{self.api.removesuffix('api/')}upload/F1", "file_id": "F1"}
            case "files.completeUploadExternal":
                return {"files": json.loads(said["files"])}
            case "apps.connections.open":
                return {"url": f"{self.api.removesuffix('api/').replace('http', 'ws')}socket"}
        return {}

    async def _upload(self, request: web.Request) -> web.Response:
        self.files[request.match_info["id"]] = await request.read()
        return web.Response(text="OK")

    async def _response(self, request: web.Request) -> web.Response:
        self.calls.append(Call("response_url", await request.json(), time.monotonic()))
        return web.Response(text="ok")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": 1})
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.acknowledged.append(message.json())
        return socket

    # What the workspace sees.

    def new_ts(self) -> str:
        return f"1764000000.{next(self._numbers):06}"

    def of(self, *methods: str) -> list[Call]:
        return [call for call in self.calls if call.method in methods]

    def shown(self) -> list[Body]:
        """The messages as they stand now, oldest first."""
        messages: dict[str, Body] = {}
        for call in self.of("chat.postMessage", "chat.update"):
            ts = call.said["ts"]
            messages[ts] = (
                messages.get(ts, {})
                | {"text": call.text, "blocks": call.blocks, "ts": ts}
                | {name: call.said[name] for name in ("channel", "thread_ts") if call.said.get(name)}
            )
        return list(messages.values())

    async def until(self, holds: Callable[[], object], seconds: float = 30) -> None:
        """Wait for something to happen."""
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise TimeoutError(
                    f"it did not happen; last: {[(c.method, c.everything[:300]) for c in self.calls[-6:]]}"
                )
            await asyncio.sleep(0.02)

    async def said(self, words: str, times: int = 1) -> Call:
        """The call that showed these words, once there are so many."""

        def found() -> list[Call]:
            return [call for call in self.calls if words in call.everything]

        await self.until(lambda: len(found()) >= times)
        return found()[-1]

    # What the workspace sends.

    async def send(
        self, body: bytes | str, at: float | None = None, secret: str = SECRET, **headers: str
    ) -> httpx.Response:
        assert self.app is not None
        data = body.encode() if isinstance(body, str) else body
        signed = signature(data, time.time() if at is None else at, secret) | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        kind = "application/json" if data[:1] == b"{" else "application/x-www-form-urlencoded"
        return await self.app.post("/slack/events", content=data, headers={"Content-Type": kind} | signed)

    async def event(self, event: Body, **more: Any) -> httpx.Response:
        return await self.send(self.event_body(event, **more))

    def event_body(self, event: Body, **more: Any) -> str:
        envelope = {"token": "x", "team_id": self.team, "api_app_id": "A1", "type": "event_callback",
                    "event_id": f"Ev{next(self._numbers)}", "event_time": int(time.time()), "event": event}  # fmt: skip
        return json.dumps(envelope | more)

    def direct(self, text: str, user: str = ADA, **more: Any) -> Body:
        return {"type": "message", "channel": DIRECT, "channel_type": "im", "user": user, "text": text,
                "ts": self.new_ts(), "team": self.team} | more  # fmt: skip

    def mention(self, text: str, user: str = ADA, **more: Any) -> Body:
        return {"type": "app_mention", "channel": CHANNEL, "user": user, "text": f"<@{BOT}> {text}",
                "ts": self.new_ts(), "team": self.team} | more  # fmt: skip

    def command_body(self, text: str, user: str = ADA, **more: str) -> str:
        return urlencode({
            "token": "x", "team_id": self.team, "channel_id": CHANNEL, "user_id": user, "text": text,
            "command": "/campaign",
            "response_url": f"{self.api.removesuffix('api/')}response", "trigger_id": f"{next(self._numbers)}.1",
        } | more)  # fmt: skip

    def press_body(self, message: Body, button: Body, user: str = ADA, **more: Any) -> str:
        container = {"type": "message", "message_ts": message.get("ts"), "channel_id": message.get("channel", CHANNEL),
                     "is_ephemeral": False}  # fmt: skip
        if message.get("thread_ts"):
            container["thread_ts"] = message["thread_ts"]
        payload: Body = {
            "type": "block_actions", "team": {"id": self.team, "domain": "shop"},
            "user": {"id": user, "team_id": self.team},
            "api_app_id": "A1", "token": "x", "container": container, "trigger_id": f"{next(self._numbers)}.2",
            "channel": {"id": container["channel_id"]}, "message": message,
            "response_url": f"{self.api.removesuffix('api/')}response",
            "actions": [button | {"action_ts": "1.2", "block_id": "b"}],
        }  # fmt: skip
        return urlencode({"payload": json.dumps(payload | more)})

    async def press(self, message: Body, button: Body, user: str = ADA, **more: Any) -> httpx.Response:
        return await self.send(self.press_body(message, button, user, **more))

    def message_of(self, call: Call) -> Body:
        """The message that a call posted, as Slack repeats it with a button's press."""
        return {"ts": call.said.get("ts"), "blocks": call.blocks, "text": call.text} | {
            name: call.said[name] for name in ("channel", "thread_ts") if call.said.get(name)
        }


def signature(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """Slack's headers (https://docs.slack.dev/authentication/verifying-requests-from-slack/)."""
    made = hmac.new(secret.encode(), f"v0:{int(at)}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(int(at)), "X-Slack-Signature": f"v0={made}"}


@asynccontextmanager
async def fake_slack() -> AsyncIterator[FakeSlack]:
    """The API, running."""
    slack = FakeSlack()
    app = web.Application()
    app.router.add_route("*", "/api/{method}", slack._api)
    app.router.add_post("/upload/{id}", slack._upload)
    app.router.add_post("/response", slack._response)
    app.router.add_get("/socket", slack._socket)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    slack.api = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    try:
        yield slack
    finally:
        for socket in slack.sockets:
            await socket.close()
        await runner.cleanup()
