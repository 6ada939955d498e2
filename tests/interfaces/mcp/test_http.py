"""MCP over HTTP through the official client, on real Postgres: tools, roles, approvals, sessions, and what breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import MCPError

from tests.interfaces.api.conftest import House, served
from tests.interfaces.mcp.clients import APPROVE, ERAS, Plain, connected, messages, result_of, said, text_of
from tests.mail.test_send import make_campaign
from tests.tools.test_base import THEIRS, _filled, _without
from tools import ALL_TOOLS, BY_NAME, keys
from tools.base import ROLES, Context


@pytest.fixture
async def sending(live: Context) -> AsyncIterator[House]:
    """A house whose tenant may send."""
    async with served(live) as house:
        yield house


async def decisions(house: House) -> list[tuple[Any, ...]]:
    return await house.rows("SELECT state, decided_by, decided_via FROM approvals ORDER BY requested_at")


# What it serves


@pytest.mark.parametrize("era", ERAS)
async def test_every_tool_resource_and_prompt_is_there(house: House, era: str) -> None:
    async with connected(house, house.keys["viewer"], era) as client:
        tools = (await client.list_tools()).tools
        templates = (await client.list_resource_templates()).resource_templates
        prompts = (await client.list_prompts()).prompts

    assert [tool.name for tool in tools] == [tool.name for tool in ALL_TOOLS]
    assert {template.uri_template for template in templates} >= {"campaign://{campaign}", "contact://{contact}"}
    assert "plan_campaign" in {prompt.name for prompt in prompts}


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_is_written_down_as_the_keys(house: House, era: str) -> None:
    async with connected(house, house.keys["editor"], era) as client:
        result = await client.call_tool("create_contact", {"email": "ada@example.com", "first_name": "Ada"})

    assert "Added Ada" in text_of(result)
    assert await house.rows("SELECT actor, role, door, outcome FROM audit_log WHERE tool = 'create_contact'") == [
        ("the editor (key)", "editor", "mcp", "done")
    ]


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_what_it_may_do_and_nothing_else(house: House, role: str) -> None:
    """Every tool, with every role: refused for the role, or for its missing arguments only where the role will do."""
    async with connected(house, house.keys[role]) as client:
        answers = {tool.name: text_of(await client.call_tool(tool.name, {"nonsense": 1})) for tool in ALL_TOOLS}

    for tool in ALL_TOOLS:
        is_allowed = tool.effect in ROLES[role]  # type: ignore[index]
        assert ("There is no argument nonsense" in answers[tool.name]) == is_allowed, answers[tool.name]
        assert answers[tool.name].startswith(f"Your role is {role}, and {tool.name} takes") == (not is_allowed)


async def test_another_tenants_ids_are_as_good_as_none(house: House, other: Context) -> None:
    """Through every tool that can name something: nothing found, nothing changed, the answer for what is not there."""
    contact = await BY_NAME["create_contact"].call({"email": "grace@example.net", "description": "clocks"}, other)
    campaign = await BY_NAME["create_campaign"].call({"name": "Theirs", "audience": "everyone"}, other)
    await BY_NAME["create_campaign"].call({"name": "Ours"}, house.ctx)
    real = {"{contact}": str(contact.contact.contact_id), "{email}": "grace@example.net",
            "{campaign}": str(campaign.campaign.campaign_id)}  # fmt: skip
    nowhere = {"{contact}": "7b6f1c7e-7b2a-4c6e-9d4e-0a4b1c2d3e4f", "{email}": "grace@example.com",
               "{campaign}": "9c0de5a1-11f2-4b7b-8a53-6f0f8c1d2b3a"}  # fmt: skip

    async def theirs() -> list[tuple[Any, ...]]:
        async with other.database.transaction(other.tenant.id) as db:
            found = await db.execute("SELECT to_jsonb(c) FROM contacts c UNION ALL SELECT to_jsonb(c) FROM campaigns c")
            return await found.fetchall()

    before = await theirs()
    asking = Plain(house, house.keys["owner"])
    await asking.begin()
    for name, every in THEIRS.items():
        for arguments in every:
            results = [result_of(await asking.call(name, **_filled(arguments, ids))) for ids in (real, nowhere)]
            assert all(result["isError"] for result in results), f"{name} {arguments}"
            texts = [result["content"][0]["text"] for result in results]
            assert _without(texts[0], real) == _without(texts[1], nowhere), f"{name} {arguments}"
            assert await theirs() == before, f"{name} {arguments}"


async def test_another_tenants_resources_are_not_there(house: House, other: Context) -> None:
    campaign = await BY_NAME["create_campaign"].call({"name": "Theirs"}, other)
    await BY_NAME["create_contact"].call({"email": "grace@example.net"}, other)
    addresses = [f"campaign://{campaign.campaign.campaign_id}", "campaign://Theirs", "contact://grace@example.net"]
    async with connected(house, house.keys["owner"]) as client:
        listed = (await client.list_resources()).resources
        for address in addresses:
            with pytest.raises(MCPError):
                await client.read_resource(address)

    assert "Theirs" not in str(listed)


# Approvals


@pytest.mark.parametrize("era", ERAS)
async def test_a_send_is_decided_on_the_card_of_the_client(sending: House, era: str) -> None:
    await make_campaign(sending.ctx, 3)
    shown: list[str] = []

    async def person(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        shown.append(params.message)
        return APPROVE

    async with connected(sending, sending.keys["sender"], era, person) as client:
        result = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})

    assert "Send Harvest Fair to 3 people?" in shown[0]
    assert "goes to 3 recipients" in text_of(result)
    assert await decisions(sending) == [("used", "the sender (key)", "mcp")]


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_ask_gets_the_request_as_pending(sending: House, era: str) -> None:
    await make_campaign(sending.ctx, 3)

    async with connected(sending, sending.keys["sender"], era) as client:
        result = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})

    assert result.structured_content is not None
    assert result.structured_content["status"] == "waiting for a person"
    assert "`smartcampaign approve " in text_of(result)
    assert await decisions(sending) == [("pending", None, None)]


async def test_a_key_that_is_revoked_while_the_card_is_open_decides_nothing(sending: House) -> None:
    await make_campaign(sending.ctx, 2)
    plain = Plain(sending, sending.keys["sender"])
    await plain.begin({"elicitation": {}})
    asked, answered = anyio.Event(), []

    async def call() -> None:
        request = plain.request("tools/call", {"name": "send_campaign", "arguments": {"campaign": "Harvest Fair"}})
        async with plain._client.stream("POST", "/mcp", json=request, headers=plain.headers()) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: {"):
                    answered.append(json.loads(line.removeprefix("data: ")))
                    asked.set()

    task = asyncio.create_task(call())
    await asked.wait()
    await keys.revoke("the sender", sending.ctx)
    (question,) = answered
    assert question["method"] == "elicitation/create"
    late = await plain.post({"jsonrpc": "2.0", "id": question["id"], "result": json.loads(APPROVE.model_dump_json())})

    assert late.status_code == 401
    assert "was revoked on" in said(late)
    assert await decisions(sending) == [("pending", None, None)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_approval_of_another_call_is_not_taken_over(sending: House) -> None:
    """In the newer protocol what ties question and answer together travels with the client: sealed, and bound."""
    await make_campaign(sending.ctx, 2)
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": "send_campaign"}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "plain", "version": "1"},
    }
    call = {"name": "send_campaign", "arguments": {"campaign": "Harvest Fair"}, "_meta": meta}
    approve = {"inputResponses": {"decision": {"action": "accept", "content": {"decision": "approve"}}}}
    one, two = (Plain(sending, sending.keys[role]) for role in ("sender", "owner"))
    state = result_of(await one.say("tools/call", call, **headers))["requestState"]

    stolen = await two.say("tools/call", {**call, **approve, "requestState": state}, **headers)
    changed = await one.say("tools/call", {**call, **approve, "requestState": state[:-2] + "AA"}, **headers)
    bare = await one.say("tools/call", {**call, **approve, "requestState": state.split(".")[0]}, **headers)

    errors = [messages(answer)[-1]["error"]["message"] for answer in (stolen, changed, bare)]
    assert all("Nothing was decided. The request still waits" in error for error in errors)
    assert await decisions(sending) == [("pending", None, None)]
    assert not result_of(await one.say("tools/call", {**call, **approve, "requestState": state}, **headers))["isError"]
    assert await decisions(sending) == [("used", "the sender (key)", "mcp")]


# Sessions, and what breaks


async def test_a_key_that_is_revoked_opens_nothing_more_in_its_session(house: House) -> None:
    plain = Plain(house, house.keys["editor"])
    await plain.begin()
    assert not result_of(await plain.call("create_contact", email="ada@example.com"))["isError"]

    await keys.revoke("the editor", house.ctx)
    answer = await plain.call("create_contact", email="grace@example.com")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "Ask an owner for a new one" in said(answer)
    assert await house.rows("SELECT email FROM contacts") == [("ada@example.com",)]


async def test_a_session_is_its_users_alone(house: House, other: Context) -> None:
    """Not of a colleague, not of another tenant, not of the same name with another role: as if it did not exist."""
    plain = Plain(house, house.keys["editor"])
    await plain.begin()
    await keys.revoke("the editor", house.ctx)
    again = await house.new_key("the editor", "owner")
    theirs = await house.new_key("the editor", "editor", tenant=other.tenant)
    invented = Plain(house, house.keys["owner"])
    invented.session = "0" * 32
    nothing = await invented.call("list_campaigns")

    for key in (house.keys["owner"], house.keys["viewer"], again, theirs):
        thief = Plain(house, key)
        thief.session = plain.session
        answer = await thief.call("list_campaigns")
        assert answer.status_code == 404
        assert answer.json() == nothing.json()
        # Only now: a stream that is let in would never end.
        assert (await thief._client.get("/mcp", headers=thief.headers())).status_code == 404
        assert (await thief._client.delete("/mcp", headers=thief.headers())).status_code == 404


async def test_a_restart_in_mid_session_is_said_and_nothing_is_lost(ctx: Context) -> None:
    async with served(ctx) as house:
        plain = Plain(house, house.keys["editor"])
        await plain.begin()
        await plain.call("create_contact", email="ada@example.com")
        key, session = house.keys["editor"], plain.session

    async with served(ctx, roles=()) as house:
        plain = Plain(house, key)
        plain.session = session
        answer = await plain.call("create_contact", email="grace@example.com")
        assert answer.status_code == 404
        assert "the server was started again" in said(answer)
        assert "Begin a new one" in said(answer)
        plain.session = None
        await plain.begin()
        assert "ada@example.com" in str(result_of(await plain.call("search_contacts", query="ada@example.com")))
        assert await house.rows("SELECT email FROM contacts") == [("ada@example.com",)]


async def test_a_call_whose_connection_is_lost_is_done_once_or_not_at_all(house: House) -> None:
    """Cut at any moment, and said again: one contact each, one line of its making."""
    plain = Plain(house, house.keys["editor"])
    await plain.begin()
    for place in range(12):
        arguments = {"email": f"c{place}@example.com", "first_name": "Ada"}
        call = plain.say("tools/call", {"name": "create_contact", "arguments": arguments})
        task = asyncio.create_task(call)
        await asyncio.sleep(place * 0.004)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    again = [result_of(await plain.call("create_contact", email=f"c{place}@example.com")) for place in range(12)]

    texts = [result["content"][0]["text"] for result in again]
    assert all(("already" if result["isError"] else "Added") in text for result, text in zip(again, texts, strict=True))
    assert await house.rows("SELECT count(*), count(DISTINCT email) FROM contacts") == [(12, 12)]


async def test_a_card_whose_connection_is_lost_leaves_one_request(sending: House) -> None:
    await make_campaign(sending.ctx, 2)
    plain = Plain(sending, sending.keys["sender"])
    await plain.begin({"elicitation": {}})
    for _ in range(3):
        request = plain.request("tools/call", {"name": "send_campaign", "arguments": {"campaign": "Harvest Fair"}})
        async with plain._client.stream("POST", "/mcp", json=request, headers=plain.headers()) as stream:
            async for line in stream.aiter_lines():
                if "elicitation/create" in line:
                    break

    states = [state for state, *_ in await decisions(sending)]
    assert sorted(states) == ["pending", "withdrawn", "withdrawn"]
    assert await sending.rows("SELECT count(*) FROM deliveries") == [(0,)]


async def test_two_sessions_of_one_key_do_not_meet(house: House) -> None:
    one, two = (Plain(house, house.keys["editor"]) for _ in range(2))
    await one.begin()
    await two.begin()
    assert one.session != two.session
    answers = await asyncio.gather(
        *(one.call("create_contact", email=f"one{n}@example.com") for n in range(5)),
        *(two.call("create_contact", email=f"two{n}@example.com") for n in range(5)),
    )

    texts = [result_of(answer)["content"][0]["text"] for answer in answers]
    assert all(f"one{n}@" in texts[n] and f"two{n}@" in texts[5 + n] for n in range(5))
    ended = await one._client.delete("/mcp", headers=one.headers())
    assert ended.status_code == 200
    assert (await one.call("list_campaigns")).status_code == 404
    assert (await two.call("list_campaigns")).status_code == 200


async def test_before_the_first_key_this_machine_is_let_in_and_afterwards_not(ctx: Context) -> None:
    async with served(ctx, local=ctx.tenant, roles=()) as house:
        plain = Plain(house, None)
        assert (await plain.begin()).status_code == 200
        assert not result_of(await plain.call("create_contact", email="ada@example.com"))["isError"]
        await house.new_key("first", "viewer")
        answer = await plain.call("create_contact", email="grace@example.com")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_too_many_calls_are_refused_for_a_while(ctx: Context) -> None:
    from interfaces import mcp_http, web

    def strict(access: Any) -> Any:
        return mcp_http.door(access, per_minute=5, wrong_per_minute=3)

    kept, web.DOORS = web.DOORS, (strict,)
    try:
        async with served(ctx) as house:
            plain = Plain(house, house.keys["viewer"])
            await plain.begin()
            answers = [(await plain.say("ping")) for _ in range(5)]
            guesses = [await Plain(house, f"sck_{n}").say("ping") for n in range(5)]
            right = await Plain(house, house.keys["owner"]).say("ping")
    finally:
        web.DOORS = kept

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429, 429]
    assert right.status_code != 429, "a good key from that address is let in: it may be the proxy's"
