"""Approvals over MCP: a person's choice on the client's form decides, and nothing else does."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client, MCPError
from mcp.client.session import ElicitationFnT

from interfaces.mcp_server import FORM, make_server
from tests.mail.test_send import live, make_campaign, now, rows
from tools import ALL_TOOLS, approvals
from tools.base import Actor, Context

__all__ = ["live"]  # a fixture

ERAS = ("legacy", "2026-07-28")
APPROVE = types.ElicitResult(action="accept", content={"decision": "approve"})


@pytest.fixture
def mine(live: Context) -> Context:
    """What a call over MCP works with."""
    return dataclasses.replace(live, actor=Actor("ada", "owner", "mcp"))


def connected(ctx: Context, era: str = "legacy", person: ElicitationFnT | None = None, **more: Any) -> Client:
    async def context() -> Context:
        return ctx

    async def closed() -> None: ...

    return Client(make_server(context, closed), mode=era, elicitation_callback=person, **more)


def answering(*answers: types.ElicitResult) -> tuple[ElicitationFnT, list[types.ElicitRequestFormParams]]:
    """A person who gives these answers in turn, and the forms they were shown."""
    shown: list[types.ElicitRequestFormParams] = []
    left = list(answers)

    async def person(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestFormParams)
        shown.append(params)
        return left.pop(0)

    return person, shown


def text_of(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


async def decisions(ctx: Context) -> list[tuple[Any, ...]]:
    return await rows(ctx, "SELECT action, state, decided_by, decided_via FROM approvals ORDER BY requested_at")


@pytest.mark.parametrize("era", ERAS)
async def test_a_send_is_decided_on_its_card_and_written_down_as_that_persons(mine: Context, era: str) -> None:
    await make_campaign(mine, 3)
    person, shown = answering(APPROVE)

    async with connected(mine, era, person) as client:
        result = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})

    (form,) = shown
    assert "Send Harvest Fair to 3 people?" in form.message
    assert "10% off oak" in form.message, "the mail itself is on the card"
    assert "goes to 3 recipients" in text_of(result)
    assert await decisions(mine) == [("send_campaign", "used", "ada", "mcp")]
    assert await rows(mine, "SELECT status FROM campaigns") == [("scheduled",)]
    assert await rows(mine, "SELECT actor, door, outcome FROM audit_log WHERE tool = 'approve send_campaign'") == [
        ("ada", "mcp", "done")
    ]


def test_nothing_on_the_form_is_chosen_beforehand() -> None:
    (field,) = FORM["properties"].values()

    assert FORM["required"] == ["decision"]
    assert "default" not in field
    assert field["enum"] == ["reject", "approve"], "who takes a list's first entry unseen sends nothing"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "answer",
    [
        types.ElicitResult(action="decline"),
        types.ElicitResult(action="cancel"),
        types.ElicitResult(action="decline", content={"decision": "approve"}),
        types.ElicitResult(action="cancel", content={"decision": "approve"}),
        types.ElicitResult(action="accept"),
        types.ElicitResult(action="accept", content={}),
        types.ElicitResult(action="accept", content={"decision": "yes"}),
        types.ElicitResult(action="accept", content={"decision": "Approve "}),
        types.ElicitResult(action="accept", content={"decision": True}),
        types.ElicitResult(action="accept", content={"decision": ["approve"]}),
        types.ElicitResult(action="accept", content={"approve": True}),
    ],
    ids=lambda answer: f"{answer.action} {answer.content}",
)
async def test_without_a_choice_the_request_stays_open(mine: Context, era: str, answer: types.ElicitResult) -> None:
    await make_campaign(mine, 2)
    person, shown = answering(answer)

    async with connected(mine, era, person) as client:
        result = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})

    assert len(shown) == 1
    assert result.structured_content is not None
    assert result.structured_content["status"] == "waiting for a person"
    assert f"`smartcampaign approve {result.structured_content['approval_id'][:8]}`" in text_of(result)
    assert await decisions(mine) == [("send_campaign", "pending", None, None)]
    assert await rows(mine, "SELECT count(*) FROM deliveries") == [(0,)]


async def test_a_client_that_breaks_while_it_asks_leaves_the_request_open(mine: Context) -> None:
    await make_campaign(mine, 2)

    async def broken(context: object, params: object) -> types.ElicitResult:
        raise RuntimeError("no window")

    async with connected(mine, "legacy", broken) as client:
        result = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})

    assert "`smartcampaign approve " in text_of(result)
    assert await decisions(mine) == [("send_campaign", "pending", None, None)]


async def test_a_client_that_gives_up_waiting_leaves_the_request_open(mine: Context) -> None:
    """The person thinks longer than the client waits for the tool; the answer that comes then decides nothing."""
    await make_campaign(mine, 2)

    async def slow(context: object, params: object) -> types.ElicitResult:
        await anyio.sleep(1.5)
        return APPROVE

    async with connected(mine, "legacy", slow, read_timeout_seconds=0.5) as client:
        with pytest.raises(MCPError):
            await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})
        await anyio.sleep(2)

    assert await decisions(mine) == [("send_campaign", "pending", None, None)]


async def test_a_request_that_nobody_answers_ends_with_its_time(mine: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_campaign(mine, 2)
    monkeypatch.setattr(approvals, "TIME_TO_DECIDE", timedelta(seconds=1))

    async def away(context: object, params: object) -> types.ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    async with connected(mine, "legacy", away) as client:
        with anyio.fail_after(30):
            result = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})
        (waiting,) = await decisions(mine)

    assert "`smartcampaign approve " in text_of(result)
    assert waiting == ("send_campaign", "pending", None, None)


@pytest.mark.parametrize("era", ERAS)
async def test_an_approval_that_comes_too_late_or_after_a_change_does_nothing(mine: Context, era: str) -> None:
    await make_campaign(mine, 2)
    clock = [now()]
    ctx = dataclasses.replace(mine, now=lambda: clock[0])

    async def late(context: object, params: object) -> types.ElicitResult:
        clock[0] += timedelta(hours=25)
        return APPROVE

    async def meanwhile_changed(context: object, params: object) -> types.ElicitResult:
        async with mine.database.transaction(mine.tenant.id) as db:
            await db.execute("UPDATE campaign_emails SET subject = subject || '!'")
        return APPROVE

    async with connected(ctx, era, late) as client:
        expired = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})
    async with connected(mine, era, meanwhile_changed) as client:
        changed = await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})

    assert expired.is_error
    assert "expired" in text_of(expired)
    assert changed.is_error
    assert "changed" in text_of(changed)
    assert "used" not in {state for _, state, *_ in await decisions(mine)}
    assert await rows(mine, "SELECT status FROM campaigns") == [("draft",)]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "extra",
    [
        {"approve": True}, {"approved": True}, {"decision": "approve"}, {"approval_id": "{id}"}, {"confirm": "yes"},
        {"inputResponses": {"decision": {"action": "accept", "content": {"decision": "approve"}}}},
        {"requestState": "{id}"}, {"_meta": {"decision": "approve"}},
    ],
    ids=lambda extra: next(iter(extra)),
)  # fmt: skip
async def test_no_argument_of_a_tool_approves(mine: Context, era: str, extra: dict[str, Any]) -> None:
    await make_campaign(mine, 2)
    async with connected(mine, era) as client:
        await client.call_tool("send_campaign", {"campaign": "Harvest Fair"})
        (waiting,) = await approvals.waiting(mine)
        given = {name: str(waiting.approval_id) if value == "{id}" else value for name, value in extra.items()}
        for tool in ALL_TOOLS:
            await client.call_tool(
                tool.name, {"campaign": "Harvest Fair", "contact": "harvest-fair0@example.org"} | given
            )
            await client.call_tool(tool.name, given)

    assert {state for _, state, *_ in await decisions(mine)} <= {"pending", "withdrawn"}
    assert await rows(mine, "SELECT count(*) FROM deliveries") == [(0,)]


async def test_there_is_no_tool_that_approves(mine: Context) -> None:
    async with connected(mine) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        refused = [await client.call_tool(name, {}) for name in ("approve", "decide", "approve_send_campaign")]

    assert not [name for name in names if "approv" in name or "decide" in name]
    assert all("There is no tool" in text_of(result) for result in refused)


async def test_an_answer_to_a_question_that_was_not_asked_is_none(mine: Context) -> None:
    """In the newer protocol answers travel with the call: one that comes with the first call finds no request."""
    await make_campaign(mine, 2)
    person, shown = answering(types.ElicitResult(action="cancel"))
    async with connected(mine, "2026-07-28", person) as client:
        result = await client.session.call_tool(
            "send_campaign", {"campaign": "Harvest Fair"}, input_responses={"decision": APPROVE},
            allow_input_required=True,
        )  # fmt: skip

    assert isinstance(result, types.InputRequiredResult), "it asks as if nothing had been said"
    assert not shown
    assert await decisions(mine) == [("send_campaign", "pending", None, None)]
