"""POST /hooks/chat over real HTTP: what Mattermost, Rocket.Chat and programs send, and what nobody may."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from aiohttp import web

from evals.scripted_model import Answer, ScriptedModel, call
from interfaces import hooks
from interfaces.hooks import address, calls_nobody, signing_key
from interfaces.settings import Settings
from tests.interfaces.api.conftest import House, model, other, served
from tests.mail.test_send import live, make_campaign
from tools import approvals, workspaces
from tools.base import Context

__all__ = ["live", "model", "other"]  # fixtures

TOKEN = "xr3j5x3p4pfk7kk6ck7b4e6ghh"
SECRET = "7f8a0b1c2d3e4f5061728394a5b6c7d8"
ADA, BO = "8wiz6cb9nbrzpk7y1jbqh5xjyr", "rbbgetcnyjgq5x9xzjqxbtnqsw"

Body = dict[str, Any]


@dataclass
class Chat:
    """A hook, with Ada as its owner and Bo as a viewer."""

    house: House
    ctx: Context
    settings: Settings
    web: httpx.AsyncClient
    id: str
    path: str

    def signed(self, body: bytes, at: float | None = None, key: str | None = None) -> dict[str, str]:
        stamp = str(int(time.time() if at is None else at))
        chosen = key if key is not None else signing_key(self.settings, self.ctx.tenant.id, self.id)
        assert chosen is not None
        made = hmac.new(chosen.encode(), f"v1:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        return {"X-Timestamp": stamp, "X-Signature": f"v1={made}", "Content-Type": "application/json"}


async def chat_of(house: House, ctx: Context, settings: Settings, kind: Any, **more: Any) -> Chat:
    id = str(uuid4())
    given: dict[str, Any] = {"members": None, "tokens": [TOKEN], "is_signed": False, "answers_to": None} | more
    await workspaces.add_hook(ctx, id, kind, f"{kind} chat", **given)
    await workspaces.allow(ctx, f"{kind} chat", ADA, "owner", "Ada")
    await workspaces.allow(ctx, f"{kind} chat", BO, "viewer", "Bo")
    return Chat(house, ctx, settings, house.client(), id, address(ctx.tenant.id, id))


@pytest.fixture
def settings(model: ScriptedModel) -> Settings:
    return Settings.model_validate(
        {"model": "scripted", "OPENAI_BASE_URL": model.url, "model_mode": "native", "confirm_writes": "never",
         "secret": SECRET}
    )  # fmt: skip


@pytest.fixture
async def house(live: Context, settings: Settings) -> AsyncIterator[House]:
    async with served(live, settings=settings, roles=("editor",)) as house:
        yield house


def command(text: str, user: str = ADA, **more: str) -> str:
    """A slash command of Mattermost."""
    return urlencode({
        "channel_id": "c1", "channel_name": "town-square", "command": "/campaign", "response_url": "", "team_id": "t1",
        "team_domain": "shop", "text": text, "token": TOKEN, "trigger_id": uuid4().hex, "user_id": user,
        "user_name": "ada",
    } | more)  # fmt: skip


def outgoing(text: str, user: str = ADA, **more: Any) -> Body:
    """An outgoing webhook of Mattermost."""
    return {
        "token": TOKEN, "team_id": "t1", "team_domain": "shop", "channel_id": "c1", "channel_name": "town-square",
        "timestamp": 1764000000, "user_id": user, "user_name": "ada", "post_id": uuid4().hex,
        "text": f"campaign: {text}",
        "trigger_word": "campaign", "file_ids": "",
    } | more  # fmt: skip


def rocket(text: str, user: str = ADA, **more: Any) -> Body:
    """An outgoing webhook of Rocket.Chat."""
    return {
        "token": TOKEN, "bot": False, "channel_id": "GENERAL", "channel_name": "general", "message_id": uuid4().hex,
        "timestamp": "2026-11-25T10:00:00.000Z", "user_id": user, "user_name": "ada", "text": text,
        "siteUrl": "http://localhost:3000",
    } | more  # fmt: skip


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_mattermosts_command_and_webhook_are_answered_in_its_shape(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    chat = await chat_of(house, live, settings, "mattermost")
    model.script("Hello **there**.", "Hello, all.", "As a form.")
    alone = await chat.web.post(chat.path, content=command("hello there"), headers=FORM)
    assert (alone.status_code, alone.json()) == (200, {"text": "Hello **there**.", "response_type": "ephemeral"})
    everybody = await chat.web.post(chat.path, json=outgoing("hello all"))
    assert everybody.json() == {"text": "Hello, all.", "response_type": "in_channel"}
    form = await chat.web.post(chat.path, content=urlencode(outgoing("once more")), headers=FORM)
    assert form.json()["text"] == "As a form."
    assert [request["messages"][-1]["content"] for request in model.requests] == [
        "hello there",
        "hello all",
        "once more",
    ]
    assert "hello there" not in json.dumps(model.requests[1]), "what one person sees is no part of the channel's talk"
    assert "hello all" in json.dumps(model.requests[2])


async def test_rocket_chat_is_answered_once_and_its_bots_are_not(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    chat = await chat_of(house, live, settings, "rocket.chat")
    model.script("Hello.", "Twice!")
    body = rocket("hello")
    assert (await chat.web.post(chat.path, json=body)).json()["text"] == "Hello."
    assert (await chat.web.post(chat.path, json=body)).json() == {}
    for more in ({"bot": {"i": "x"}}, {"bot": True}, {"isEdited": True}, {"user_id": None}):
        assert (await chat.web.post(chat.path, json=rocket("hello", **more))).json() == {}
    assert len(model.requests) == 1


async def test_a_token_in_the_header_opens_as_well(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    chat = await chat_of(house, live, settings, "mattermost")
    model.script("Hello.")
    headers = FORM | {"Authorization": f"Token {TOKEN}"}
    assert (await chat.web.post(chat.path, content=command("hello", token=""), headers=headers)).json()[
        "text"
    ] == "Hello."


async def test_without_a_genuine_token_nobody_is_let_in(
    house: House, live: Context, settings: Settings, model: ScriptedModel, other: Context
) -> None:
    chat = await chat_of(house, live, settings, "mattermost")
    unset = await chat_of(house, live, settings, "rocket.chat", tokens=[])
    theirs = address(other.tenant.id, chat.id)
    tried = [
        (chat.path, outgoing("x", token="")), (chat.path, outgoing("x", token=TOKEN[::-1])),
        (chat.path, outgoing("x", token=TOKEN + "x")), (chat.path, outgoing("x", token=None)),
        (chat.path, outgoing("x", token=[TOKEN])),
        (chat.path, outgoing("x", token=hashlib.sha256(TOKEN.encode()).hexdigest())),
        (unset.path, rocket("x", token="")), (unset.path, rocket("x")), (theirs, outgoing("x")),
        (address(live.tenant.id, str(uuid4())), outgoing("x")), (chat.path[:-1], outgoing("x")),
        (f"{chat.path}A", outgoing("x")), ("/hooks/chat/..", outgoing("x")), ("/hooks/chat", outgoing("x")),
    ]  # fmt: skip
    for path, body in tried:
        answer = await chat.web.post(path, json=body)
        assert answer.status_code in (401, 404), (path, body)
        assert TOKEN not in answer.text
    for content in (b"", b"[]", b"{", b"\xff\xfe", b'"x"', b"[" * 5_000):
        assert (await chat.web.post(chat.path, content=content)).status_code == 401
    assert not model.requests


async def test_wrong_tokens_are_slowed_down(house: House, live: Context, settings: Settings) -> None:
    chat = await chat_of(house, live, settings, "mattermost")
    seen = {(await chat.web.post(chat.path, json=outgoing("x", token="y" * 26))).status_code for _ in range(40)}
    assert seen == {401, 429}


async def test_signed_calls_are_let_in_once_and_for_five_minutes(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    chat = await chat_of(house, live, settings, "json", tokens=[], is_signed=True)
    model.script("Hello.", "Twice!")
    body = json.dumps({"text": "hello", "user": ADA}).encode()
    good = chat.signed(body)
    assert (await chat.web.post(chat.path, content=body, headers=good)).json()["text"] == "Hello."
    assert (await chat.web.post(chat.path, content=body, headers=good)).json() == {}
    refused = [
        (body, {}), (body, chat.signed(body, time.time() - 301)), (body, chat.signed(body, time.time() + 310)),
        (body.replace(b"hello", b"jello"), good), (body, chat.signed(body, key="")),
        (body, chat.signed(body, key=SECRET)),
        (body, good | {"X-Timestamp": str(int(time.time()) + 7)}), (body, good | {"X-Timestamp": "x"}),
        (body, good | {"X-Signature": good["X-Signature"].upper()}), (body, {"Authorization": f"Bearer {TOKEN}"}),
        (body, chat.signed(body, key=signing_key(settings, live.tenant.id, str(uuid4())))),
    ]  # fmt: skip
    for content, headers in refused:
        assert (await chat.web.post(chat.path, content=content, headers=headers)).status_code == 401
    assert len(model.requests) == 1


async def test_who_is_not_known_is_refused_with_their_id(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    chat = await chat_of(house, live, settings, "mattermost")
    answer = await chat.web.post(chat.path, json=outgoing("hello", user="stranger1"))
    assert 'smartcampaign hooks allow "mattermost chat" stranger1' in answer.json()["text"]
    assert answer.json()["response_type"] == "ephemeral"
    assert not model.requests


async def test_only_who_may_approves_and_the_door_reads_it(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    await make_campaign(live, 2)
    chat = await chat_of(house, live, settings, "mattermost")
    model.script(call("send_campaign", campaign="Harvest Fair"), "It waits.", "I can't.")
    asked = (await chat.web.post(chat.path, json=outgoing("send Harvest Fair"))).json()
    (waiting,) = await approvals.waiting(live)
    assert f"approve {waiting.short_id}" in asked["text"]
    assert asked["attachments"][0]["title"] == "Send Harvest Fair to 2 people?"

    refused = await chat.web.post(chat.path, json=outgoing(f"approve {waiting.short_id}", user=BO))
    assert "Your role is viewer" in refused.json()["text"]
    assert (await chat.web.post(chat.path, json=outgoing("approve it"))).json()["text"] == "I can't."
    assert len(await approvals.waiting(live)) == 1
    listed = await chat.web.post(chat.path, json=outgoing("approvals"))
    assert waiting.short_id in listed.json()["text"]

    done = await chat.web.post(chat.path, json=outgoing(f"approve {waiting.short_id}"))
    assert "2 recipients" in done.json()["text"]
    again = await chat.web.post(chat.path, json=outgoing(f"approve {waiting.short_id}"))
    assert "can't be decided any more" in again.json()["text"]
    assert await house.rows("SELECT state, decided_by, decided_via FROM approvals") == [
        ("used", "Ada (mattermost chat)", "hook")
    ]


async def test_an_expired_request_is_not_approved(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    await make_campaign(live, 2)
    chat = await chat_of(house, live, settings, "rocket.chat")
    model.script(call("send_campaign", campaign="Harvest Fair"), "It waits.")
    await chat.web.post(chat.path, json=rocket("send Harvest Fair"))
    (waiting,) = await approvals.waiting(live)
    later = live.now() + timedelta(hours=25)
    house.access.now = lambda: later
    answer = await chat.web.post(chat.path, json=rocket(f"approve {waiting.approval_id}"))
    assert "expired" in answer.json()["text"]


async def test_a_late_answer_goes_to_the_named_address_and_nowhere_else(
    house: House, live: Context, settings: Settings, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "SOON", 0.2)
    monkeypatch.setattr(hooks, "PATIENCE", 1.5)
    posted: list[tuple[str, Body]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append((request.path, await request.json()))
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        chat = await chat_of(house, live, settings, "mattermost", answers_to=origin)
        model.script(*[Answer(text="It is late.", delay=0.8) for _ in range(12)])
        first = await chat.web.post(chat.path, content=command("think", response_url=f"{origin}/late"), headers=FORM)
        assert "the answer follows" in first.json()["text"]
        for _ in range(100):
            if posted:
                break
            await asyncio.sleep(0.05)
        assert [(path, body["text"]) for path, body in posted] == [("/late", "It is late.")], (
            "a redirect is not followed"
        )
        for url in (
            f"{origin}@evil.example/x", f"{origin}.evil.example/", "http://169.254.169.254/latest", "file:///etc/passwd",
            origin.replace("127.0.0.1", "localhost"), origin.replace("http", "https"), f"{origin[:-1]}/x", "//x", "http://[",
        ):  # fmt: skip
            answer = await chat.web.post(chat.path, content=command("think", response_url=url), headers=FORM)
            assert answer.json()["text"] == "It is late.", "waited for instead"
        assert len(posted) == 1
    finally:
        await runner.cleanup()


async def test_an_answer_that_takes_too_long_can_be_read_afterwards(
    house: House, live: Context, settings: Settings, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "PATIENCE", 0.3)
    chat = await chat_of(house, live, settings, "rocket.chat")
    model.script(Answer(text="Here it is.", delay=1))
    assert "Say “answer”" in (await chat.web.post(chat.path, json=rocket("think"))).json()["text"]
    for _ in range(40):
        text = (await chat.web.post(chat.path, json=rocket("answer"))).json()["text"]
        if text == "Here it is.":
            return
        await asyncio.sleep(0.1)
    raise AssertionError(text)


async def test_a_program_with_an_api_key_needs_no_hook(house: House, model: ScriptedModel) -> None:
    model.script("Hello.", "And on.")
    client = house.as_role("editor")
    assert (await client.post("/hooks/chat", json={"text": "hello", "thread": "t"})).json()["text"] == "Hello."
    assert (await client.post("/hooks/chat", json={"text": "go on", "thread": "t"})).json()["text"] == "And on."
    assert "hello" in json.dumps(model.requests[1])
    assert (await house.client().post("/hooks/chat", json={"text": "hello"})).status_code == 401
    assert (await house.client("sck_x").post("/hooks/chat", json={"text": "hello"})).status_code == 401
    bodies: list[Any] = [{}, {"text": 1}, {"text": " "}, [], {"text": "x", "user": {"id": 1}}]
    for wrong in bodies:
        assert (await client.post("/hooks/chat", json=wrong)).status_code == 400


@pytest.mark.parametrize("text", ["@channel", "@all hi", "(@here)", "<@U1>", "a\n@everyone", "**@channel**", "@ada.b"])
def test_no_text_calls_anybody(text: str) -> None:
    assert "@\u200b" in calls_nobody(text)
    assert calls_nobody("ada@example.org") == "ada@example.org"


async def test_long_answers_go_on_in_attachments(
    house: House, live: Context, settings: Settings, model: ScriptedModel
) -> None:
    chat = await chat_of(house, live, settings, "rocket.chat")
    model.script("\n".join(f"line {letter * 60}" for letter in "abcdefghij" * 20))
    answer = (await chat.web.post(chat.path, json=rocket("everything"))).json()
    assert len(answer["text"]) <= hooks.LONGEST
    assert len(answer["attachments"]) >= 2
    assert all(len(each["text"]) <= hooks.LONGEST for each in answer["attachments"])
