"""One table of requests through every door: the same tool calls, the same rows, the same refusals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from evals.scripted_model import Answer, ScriptedModel
from tests.interfaces.api.conftest import model, scripted_settings, served
from tests.interfaces.mcp.clients import connected
from tests.interfaces.slack.conftest import opened, slack, slack_settings
from tests.interfaces.slack.fake_slack import FakeSlack
from tools import BY_NAME
from tools.base import Context, Tenant
from tools.errors import ToolError

__all__ = ["model", "slack"]  # fixtures

PROGRAM = Path(sys.executable).with_name("smartcampaign")

# What is asked for, in this order. Refusals belong to it: they must be the same as well.
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("create_contact", {"email": "ada@example.org", "first_name": "Ada", "description": "restores old clocks"}),
    ("create_contact", {"email": "ada@example.org"}),
    ("create_contact", {"email": "no address"}),
    ("update_contact", {"contact": "ada@example.org", "tags": ["vip"]}),
    ("import_contacts", {"csv": "email,tags\ngrace@example.net,trade\nalan@example.net,trade\n"}),
    ("search_contacts", {"query": "grace@example.net"}),
    ("create_campaign", {"name": "Harvest Fair", "description": "oak furniture", "audience": "everyone"}),
    ("create_campaign", {"name": "harvest fair"}),
    ("update_campaign", {"campaign": "Harvest Fair", "start_date": "2099-12-05"}),
    ("remove_contacts_from_campaign", {"campaign": "Harvest Fair", "emails": ["alan@example.net"]}),
    ("unsubscribe_contact", {"contact": "grace@example.net"}),
    ("send_campaign", {"campaign": "Harvest Fair"}),
    ("delete_contact", {"contact": "alan@example.net"}),
    ("get_campaign", {"campaign": "Winter Lights"}),
]

# What the model says after its call, in letters: a number would have to be known.
OVER = [f"That was request {'abcdefghijklmnopqrstuvwxyz'[number]}." for number in range(len(REQUESTS))]


async def left_behind(ctx: Context) -> dict[str, list[tuple[Any, ...]]]:
    """What the requests left in the tenant, without ids, times and the name of the door."""
    statements = {
        "contacts": "SELECT email, first_name, description, tags, status FROM contacts ORDER BY email",
        "campaigns": "SELECT name, description, status, start_date FROM campaigns ORDER BY name",
        "audience": "SELECT k.name, c.email FROM campaign_contacts JOIN contacts c USING (tenant_id, contact_id)"
        " JOIN campaigns k USING (tenant_id, campaign_id) ORDER BY 1, 2",
        "suppressed": "SELECT reason FROM suppressions ORDER BY 1",
        "approvals": "SELECT action, state FROM approvals ORDER BY action",
        "calls": "SELECT tool, effect, outcome FROM audit_log WHERE tool = ANY (%(tools)s) ORDER BY tool, outcome",
    }
    async with ctx.database.transaction(ctx.tenant.id) as db:
        # A door's own making of keys and the like is no request.
        asked = {"tools": list(BY_NAME)}
        return {noun: await (await db.execute(said.encode(), asked)).fetchall() for noun, said in statements.items()}


def in_words(tool: str, arguments: dict[str, Any]) -> str:
    """A person's message: a model may only use what was said."""
    return " ".join([tool, *(str(value) for value in arguments.values())]).replace("\n", " ")


def script(model: ScriptedModel) -> None:
    """The model makes the calls that it is asked for, one a message."""
    for (tool, arguments), over in zip(REQUESTS, OVER, strict=True):
        model.script(Answer(calls=((tool, json.dumps(arguments)),)), over)


def environment(ctx: Context, **more: str) -> dict[str, str]:
    """What a program of its own is started with."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMARTCAMPAIGN_", "OPENAI_"))}
    return kept | {"DATABASE_URL": ctx.database.url, "SMARTCAMPAIGN_TENANT": str(ctx.tenant.id)} | more


# The doors: each does all that is asked for, in the tenant of `ctx`.


async def tools(ctx: Context, model: ScriptedModel, slack: FakeSlack, tmp_path: Path) -> None:
    for tool, arguments in REQUESTS:
        with contextlib.suppress(ToolError):
            await BY_NAME[tool].call(arguments, ctx)


async def terminal(ctx: Context, model: ScriptedModel, slack: FakeSlack, tmp_path: Path) -> None:
    script(model)
    settings = {"SMARTCAMPAIGN_MODEL": "scripted", "OPENAI_BASE_URL": model.url, "SMARTCAMPAIGN_MODEL_MODE": "native",
                "SMARTCAMPAIGN_CONFIRM_WRITES": "never", "SMARTCAMPAIGN_HOME": str(tmp_path)}  # fmt: skip
    said = "".join(f"{in_words(*request)}\n" for request in REQUESTS)

    def chat() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "chat"], input=said, env=environment(ctx, **settings), text=True, capture_output=True, timeout=120
        )

    done = await asyncio.to_thread(chat)
    assert all(over in done.stdout for over in OVER), done.stderr


async def rest(ctx: Context, model: ScriptedModel, slack: FakeSlack, tmp_path: Path) -> None:
    async with served(ctx, roles=("owner",)) as house:
        client = house.as_role("owner")
        for tool, arguments in REQUESTS:
            await client.post(f"/api/tools/{tool}", json=arguments)


async def chat_over_rest(ctx: Context, model: ScriptedModel, slack: FakeSlack, tmp_path: Path) -> None:
    script(model)
    async with served(ctx, settings=scripted_settings(model), roles=("owner",)) as house:
        client = house.as_role("owner")
        for request, over in zip(REQUESTS, OVER, strict=True):
            assert over in (await client.post("/api/chat", json={"message": in_words(*request)})).text


async def mcp_over_http(ctx: Context, model: ScriptedModel, slack: FakeSlack, tmp_path: Path) -> None:
    async with served(ctx, roles=("owner",)) as house, connected(house, house.keys["owner"]) as client:
        await call_all(client)


async def mcp_over_stdio(ctx: Context, model: ScriptedModel, slack: FakeSlack, tmp_path: Path) -> None:
    started = StdioServerParameters(
        command=str(PROGRAM), args=["mcp"], env=environment(ctx, SMARTCAMPAIGN_HOME=str(tmp_path))
    )
    async with Client(stdio_client(started), mode="legacy") as client:
        await call_all(client)


async def call_all(client: Client) -> None:
    for tool, arguments in REQUESTS:
        await client.call_tool(tool, arguments)


async def in_slack(ctx: Context, model: ScriptedModel, slack: FakeSlack, tmp_path: Path) -> None:
    script(model)
    async with opened(ctx, slack, slack_settings(slack, model)) as office:
        for request, over in zip(REQUESTS, OVER, strict=True):
            await office.slack.event(office.slack.direct(in_words(*request)))
            await office.slack.said(over)


DOORS = [terminal, rest, chat_over_rest, mcp_over_http, mcp_over_stdio, in_slack]


@pytest.mark.parametrize("door", DOORS, ids=[door.__name__ for door in DOORS])
async def test_every_door_does_the_same(
    ctx: Context, new_tenant: Callable[..., Tenant], model: ScriptedModel, slack: FakeSlack, tmp_path: Path,
    door: Callable[[Context, ScriptedModel, FakeSlack, Path], Awaitable[None]],
) -> None:  # fmt: skip
    itself = replace(ctx, tenant=new_tenant())
    await tools(itself, model, slack, tmp_path)
    expected = await left_behind(itself)
    assert len(expected["contacts"]) == 3
    assert expected["approvals"], "what waits for a person belongs to it"
    assert {outcome for _, _, outcome in expected["calls"]} > {"done"}, "so do refusals"
    await door(ctx, model, slack, tmp_path)
    assert await left_behind(ctx) == expected
