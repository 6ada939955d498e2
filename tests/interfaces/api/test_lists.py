"""Lists page by page, and other tenants' ids through every route."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from agent.run import Agent
from db import captures
from db.captures import Captured
from tests.conftest import NOW
from tests.interfaces.api.conftest import House
from tests.tools.histories import people, sent
from tests.tools.test_base import THEIRS
from tools import BY_NAME
from tools.base import Actor, Context


async def every(
    house: House, path: str, rows: str, id: str, between: Callable[[int], Awaitable[None]], **which: str
) -> list[str]:
    """All ids of a list, page by page; `between` is awaited after each page."""
    client = house.as_role("owner")
    found: list[str] = []
    cursor: str | None = None
    for page in range(50):
        answer = await client.get(path, params={"limit": 3} | which | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += [each[id] for each in answer.json()[rows]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found
        await between(page)
    raise AssertionError("the list has no end")


async def test_pages_are_stable_while_contacts_and_campaigns_are_added(house: House, ctx: Context) -> None:
    at = NOW

    def later() -> Context:
        nonlocal at
        at += timedelta(seconds=1)
        return dataclasses.replace(ctx, now=lambda: at)

    async def contact(number: int) -> str:
        saved = await BY_NAME["create_contact"].call({"email": f"p{number}@example.org"}, later())
        return str(saved.contact.contact_id)

    async def campaign(number: int) -> str:
        return str((await BY_NAME["create_campaign"].call({"name": f"C{number}"}, later())).campaign.campaign_id)

    for path, rows, id, make in (
        ("/api/contacts", "contacts", "contact_id", contact), ("/api/campaigns", "campaigns", "campaign_id", campaign),
    ):  # fmt: skip
        made = [await make(number) for number in range(10)]

        async def more(page: int, make: Callable[[int], Awaitable[str]] = make) -> None:
            await make(100 + page)

        assert await every(house, path, rows, id, more) == made[::-1]


async def test_pages_are_stable_while_requests_are_added(house: House, ctx: Context) -> None:
    async def ask(number: int) -> str:
        there = dataclasses.replace(ctx, now=lambda: NOW + timedelta(seconds=number))
        await BY_NAME["create_contact"].call({"email": f"p{number}@example.org"}, there)
        asked = await BY_NAME["delete_contact"].call({"contact": f"p{number}@example.org"}, there)
        return str(asked.approval_id)

    made = [await ask(number) for number in range(8)]

    async def more(page: int) -> None:
        await ask(100 + page)

    assert await every(house, "/api/approvals", "requests", "approval_id", more) == made[::-1]


async def test_pages_are_stable_while_mails_are_added(house: House, ctx: Context) -> None:
    first = await sent(ctx, "Lamp Week", await people(ctx, 10), NOW)

    async def more(page: int) -> None:
        await sent(ctx, f"More {uuid4()}", first.people[:2], NOW)

    found = await every(house, "/api/deliveries", "deliveries", "contact_id", more, campaign="Lamp Week")
    assert found == sorted(map(str, first.people))
    both = await every(house, "/api/deliveries", "deliveries", "contact_id", more)
    assert set(map(str, first.people)) <= set(both)
    answer = await house.as_role("viewer").get("/api/deliveries", params={"state": "failed"})
    assert answer.json()["deliveries"] == []


async def test_the_outbox_page_by_page_and_a_mail_of_it(house: House, ctx: Context) -> None:
    async def keep(count: int) -> None:
        async with ctx.database.transaction(ctx.tenant.id) as db:
            mail = Captured(None, None, "a@example.org", "b@example.org", "x", b"Subject: x\r\n\r\nHello")
            await captures.add(db, ctx.tenant.id, [mail] * count)

    await keep(8)
    before = [row[0] for row in await house.rows("SELECT captured_id::text FROM captured_mails")]
    found = await every(house, "/api/outbox", "mails", "captured_id", lambda page: keep(1))
    assert sorted(found) == sorted(before)
    mail = await house.as_role("viewer").get(f"/api/outbox/{found[0]}")
    assert (mail.status_code, mail.content) == (200, b"Subject: x\r\n\r\nHello")
    assert mail.headers["content-disposition"].startswith("attachment")
    assert mail.headers["content-type"] == "message/rfc822"


async def test_conversations_and_what_was_said_page_by_page(house: House) -> None:
    client = house.as_role("viewer")
    made = []
    for number in range(5):
        house.access.now = lambda number=number: NOW + timedelta(seconds=number)  # type: ignore[misc]
        answer = await client.post("/api/chat", json={"message": f"hello {number}", "stream": False})
        made.append(answer.json()["thread"])
    assert [each["thread"] for each in (await client.get("/api/threads")).json()["threads"]] == made[::-1]
    for _ in range(3):
        await client.post("/api/chat", json={"message": "list my campaigns", "thread": made[0], "stream": False})
    found: list[tuple[int, str]] = []
    cursor = None
    while True:
        answer = await client.get(
            f"/api/threads/{made[0]}/messages", params={"limit": 3} | ({"cursor": cursor} if cursor else {})
        )
        found += [(each["turn"], each["role"]) for each in answer.json()["messages"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert found == [(turn, role) for turn in (1, 2, 3, 4) for role in ("person", "agent")]
    assert (await client.delete(f"/api/threads/{made[0]}")).status_code == 204
    assert (await client.get(f"/api/threads/{made[0]}")).status_code == 404


# Other tenants


async def test_another_tenants_ids_are_as_good_as_none_through_every_route(house: House, other: Context) -> None:
    """Every route with an id in its address or its body: the answer is the one for an id that does not exist."""
    theirs = await _everything_of(house, other)
    nowhere = {name: str(uuid4()) for name in theirs} | {"email": "nobody@example.net"}
    described = (await house.client().get("/api/openapi.json")).json()["paths"]
    with_ids = {path for path in described if "{id}" in path}
    tried: dict[tuple[str, str], dict[str, Any] | None] = {
        ("GET", "/api/contacts/{contact}"): None, ("GET", "/api/campaigns/{campaign}"): None,
        ("GET", "/api/approvals/{approval}"): None,
        ("POST", "/api/approvals/{approval}/decision"): {"approve": True},
        ("GET", "/api/outbox/{mail}"): None, ("GET", "/api/threads/{thread}"): None,
        ("GET", "/api/threads/{thread}/messages"): None, ("GET", "/api/threads/{thread}/events"): None,
        ("POST", "/api/threads/{thread}/answer"): {"yes": True}, ("DELETE", "/api/threads/{thread}"): None,
        ("POST", "/api/chat"): {"message": "hello", "thread": "{thread}"},
        ("POST", "/api/conversions"): {"campaign": "{campaign}", "contact": "{contact}", "order": "1"},
        ("GET", "/api/deliveries?campaign={campaign}"): None, ("GET", "/api/contacts?campaign={campaign}"): None,
        ("GET", "/api/exports/recipients?campaign={campaign}"): None,
    }  # fmt: skip
    assert {re.sub(r"\{\w+\}", "{id}", path) for _, path in tried if "?" not in path} >= with_ids
    requests = [*((*which, body) for which, body in tried.items()), *_tool_requests()]
    client = house.as_role("owner")
    before = await _counts(other)
    for method, path, body in requests:
        answers = []
        for ids in (theirs, nowhere):
            answer = await client.request(method, _filled(path, ids), json=_filled(body, ids))
            text = answer.text
            for name, value in ids.items():
                text = text.replace(value, f"<{name}>")
            answers.append((answer.status_code, text))
        assert answers[0] == answers[1], (method, path)
        assert answers[0][0] >= 400, (method, path)
    for path in ("contacts", "campaigns", "approvals", "deliveries", "outbox", "threads", "exports/contacts"):
        text = (await client.get(f"/api/{path}")).text
        assert not any(value in text for value in theirs.values()), path
    assert await _counts(other) == before


async def test_a_colleagues_conversation_is_as_good_as_none(house: House) -> None:
    made = await house.as_role("owner").post("/api/chat", json={"message": "hello", "stream": False})
    thread = made.json()["thread"]
    client = house.as_role("editor")
    for method, path in (("GET", ""), ("GET", "/messages"), ("GET", "/events"), ("DELETE", "")):
        assert (await client.request(method, f"/api/threads/{thread}{path}")).status_code == 404
    assert (await client.post("/api/chat", json={"message": "hello", "thread": thread})).status_code == 404


def _tool_requests() -> list[tuple[str, str, dict[str, Any] | None]]:
    return [
        ("POST", f"/api/tools/{tool}", body)
        for tool, bodies in THEIRS.items()
        for body in bodies
        if "Ours" not in str(body) and "Theirs" not in str(body)
    ]


async def _everything_of(house: House, other: Context) -> dict[str, str]:
    contact = await BY_NAME["create_contact"].call({"email": "grace@example.net"}, other)
    campaign = await BY_NAME["create_campaign"].call({"name": "Theirs", "audience": "everyone"}, other)
    asked = await BY_NAME["delete_contact"].call({"contact": "grace@example.net"}, other)
    agent: Agent = await house.access.agent()
    # The same name as our key's: a conversation is the tenant's before it is a name's.
    thread = await agent.open_conversation(dataclasses.replace(other, actor=Actor("the owner (key)")))
    async with other.database.transaction(other.tenant.id) as db:
        await captures.add(db, other.tenant.id, [Captured(None, None, "a@b.cd", "grace@example.net", "S", b"x")])
        row = await (await db.execute("SELECT captured_id::text FROM captured_mails")).fetchone()
        assert row is not None
    return {
        "contact": str(contact.contact.contact_id), "campaign": str(campaign.campaign.campaign_id),
        "approval": str(asked.approval_id), "thread": str(thread), "mail": row[0], "email": "grace@example.net",
    }  # fmt: skip


async def _counts(ctx: Context) -> list[int]:
    counts = []
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        for table in ("contacts", "campaigns", "approvals", "conversations", "messages", "events", "audit_log"):
            row = await (await db.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()
            assert row is not None
            counts.append(row[0])
    return counts


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, ids) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, ids) for each in value]
    if isinstance(value, str):
        for name, id in ids.items():
            value = value.replace(f"{{{name}}}", id)
    return value


@pytest.mark.parametrize("cursor", ["x", "bm90IGpzb24", "e30", "W10", "WyIxIl0", "A" * 499, "%ff", "é"])
async def test_a_cursor_of_ones_own_making_is_refused(house: House, cursor: str) -> None:
    client = house.as_role("viewer")
    for path in ("contacts", "campaigns", "approvals", "deliveries", "outbox", "threads"):
        answer = await client.get(f"/api/{path}", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor"), path
