"""API keys at the network's door: who comes in, as what, and what is kept of a key."""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import NOW
from tests.interfaces.api.conftest import ROLES, House, served
from tools import ALL_TOOLS, keys
from tools.base import ROLES as MAY
from tools.base import Actor, Context, Role, Tenant, Tool
from tools.errors import InvalidArguments, KeyExists, KeyOver, NoSuchKey, NotAllowed, UnknownKey


async def test_a_key_opens_its_tenant_with_its_role(ctx: Context) -> None:
    made = await keys.create("Front", "editor", ctx)
    found = await keys.recognise(made.text, ctx.database, NOW)
    assert found.tenant == ctx.tenant
    assert found.actor("rest") == Actor("Front (key)", "editor", "rest")


async def test_only_a_hash_is_kept(ctx: Context) -> None:
    made = await keys.create("Front", "editor", ctx)
    secret = made.text.removeprefix(keys.PREFIX)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        dump = await (await db.execute("SELECT row_to_json(k)::text FROM api_keys k")).fetchall()
        log = await (await db.execute("SELECT row_to_json(l)::text FROM audit_log l")).fetchall()
    assert len(dump) == 1
    for text in (dump[0][0], *(line[0] for line in log), repr(made), repr(made.row)):
        assert made.text not in text
        # Nor any half of it, in base64url or in hexadecimal.
        assert secret[43:] not in text
        assert secret[-20:] not in text


@pytest.mark.parametrize("change", [
    lambda text: text[:-1] + ("A" if text[-1] != "A" else "E"), lambda text: text[:-2], lambda text: text + "A",
    lambda text: text.upper(), lambda text: "", lambda text: "sck_", lambda text: "sck_" + "A" * 86,
    lambda text: text.removeprefix("sck_"), lambda text: text[:50] + "é" + text[51:], lambda text: "sck_" + "*" * 86,
    lambda text: text[:60] + ("A" if text[60] != "A" else "B") + text[61:], lambda text: f" {text}",
])  # fmt: skip
async def test_what_is_not_the_whole_key_opens_nothing(ctx: Context, change: Callable[[str], str]) -> None:
    made = await keys.create("Front", "editor", ctx)
    with pytest.raises(UnknownKey):
        await keys.recognise(change(made.text), ctx.database, NOW)


async def test_another_tenants_key_with_our_tenants_id_opens_nothing(
    ctx: Context, new_tenant: Callable[..., Tenant]
) -> None:
    """The id of a tenant is no secret: what is random must be right for it."""
    import base64

    other = dataclasses.replace(ctx, tenant=new_tenant())
    theirs = await keys.create("Front", "owner", other)
    data = base64.urlsafe_b64decode(theirs.text.removeprefix("sck_") + "==")
    forged = "sck_" + base64.urlsafe_b64encode(ctx.tenant.id.bytes + data[16:]).decode().rstrip("=")
    with pytest.raises(UnknownKey):
        await keys.recognise(forged, ctx.database, NOW)


async def test_hashes_are_compared_in_constant_time_also_for_a_key_that_is_not_there(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counted(one: Any, other: Any) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr("tools.keys.hmac.compare_digest", counted)
    made = await keys.create("Front", "editor", ctx)
    await keys.recognise(made.text, ctx.database, NOW)
    for text in (made.text[:70] + "A" * 20, "sck_" + "A" * 86):
        with pytest.raises(UnknownKey):
            await keys.recognise(text, ctx.database, NOW)
    assert compared == [(32, 32)] * 3


async def test_a_key_that_was_revoked_or_is_too_old_says_so_to_its_holder_alone(ctx: Context) -> None:
    revoked, old = await keys.create("Front", "editor", ctx), await keys.create("Old", "editor", ctx, days=7)
    await keys.revoke("front", ctx)
    with pytest.raises(KeyOver, match="revoked"):
        await keys.recognise(revoked.text, ctx.database, NOW)
    await keys.recognise(old.text, ctx.database, NOW + timedelta(days=6, hours=23))
    with pytest.raises(KeyOver, match="expired"):
        await keys.recognise(old.text, ctx.database, NOW + timedelta(days=7))
    with pytest.raises(UnknownKey):
        await keys.recognise(revoked.text[:-4] + "AAAA", ctx.database, NOW)


async def test_a_name_stands_for_one_living_key(ctx: Context) -> None:
    await keys.create("Front", "editor", ctx)
    with pytest.raises(KeyExists):
        await keys.create("FRONT", "owner", ctx)
    await keys.revoke("Front", ctx)
    await keys.create("Front", "viewer", ctx)
    with pytest.raises(NoSuchKey):
        await keys.revoke("Fron", ctx)
    for name in ("", "   ", "x" * 101, "a\x1b[2Jb"):
        with pytest.raises(InvalidArguments):
            await keys.create(name, "viewer", ctx)


@pytest.mark.parametrize("role", ["viewer", "editor", "sender"])
async def test_only_an_owner_makes_lists_and_revokes_keys(ctx: Context, role: Role) -> None:
    made = await keys.create("Front", "editor", ctx)
    lesser = dataclasses.replace(ctx, actor=Actor("Sam", role))
    with pytest.raises(NotAllowed, match="owner"):
        await keys.create("Mine", "owner", lesser)
    with pytest.raises(NotAllowed):
        await keys.every(lesser)
    with pytest.raises(NotAllowed):
        await keys.revoke("Front", lesser)
    await keys.recognise(made.text, ctx.database, NOW)


async def test_another_tenants_keys_are_neither_seen_nor_revoked(
    ctx: Context, new_tenant: Callable[..., Tenant]
) -> None:
    other = dataclasses.replace(ctx, tenant=new_tenant())
    theirs = await keys.create("Front", "owner", other)
    assert await keys.every(ctx) == []
    for which in ("Front", str(theirs.row.key_id)):
        with pytest.raises(NoSuchKey):
            await keys.revoke(which, ctx)
    await keys.recognise(theirs.text, ctx.database, NOW)


async def test_the_last_use_is_noted_to_the_minute(house: House) -> None:
    made = await keys.create("Front", "editor", house.ctx)
    noted = []
    for seconds in (0, 30, 59, 90):
        house.access.now = lambda seconds=seconds: NOW + timedelta(seconds=seconds)  # type: ignore[misc]
        await house.access.by_key(made.text, "rest")
        noted += [row.last_used_at for row in await keys.every(house.ctx) if row.name == "Front"]
    assert noted == [NOW] * 3 + [NOW + timedelta(seconds=90)]


# Over HTTP


@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer sck_x", "Basic Zm9vOmJhcg==", "sck_" + "A" * 86, "Bearer sck_" + "A" * 86,
    "Bearer sck_" + "A" * 10_000, "Bearer \xff\xfe",
])  # fmt: skip
async def test_without_a_good_key_nothing_is_answered(house: House, header: str | None) -> None:
    client = house.client()
    headers = [] if header is None else [(b"Authorization", header.encode("latin-1"))]
    for path in ("/api/tools", "/api/contacts", "/api/approvals", f"/api/threads/{uuid4()}", "/v1/models"):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == ("key_needed" if header is None else "bad_key")


async def test_a_revoked_key_opens_nothing_from_then_on(house: House) -> None:
    key = await house.new_key("Front")
    client = house.client(key)
    assert (await client.get("/api/contacts")).status_code == 200
    await keys.revoke("Front", house.ctx)
    assert (await client.get("/api/contacts")).status_code == 401


async def test_a_key_is_never_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = house.keys["editor"]
    client = house.client(key)
    await client.get("/api/contacts")
    await client.get("/api/nowhere")
    await client.post("/api/tools/create_contact", json={"email": "nobody"})
    await house.client(key[:-1]).get("/api/contacts")
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not any(key[10:] in record.getMessage() or key[10:] in str(record.exc_text) for record in ours)


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_over_http_what_its_effects_allow(house: House, role: Role) -> None:
    client = house.as_role(role)
    for tool in ALL_TOOLS:
        answer = await client.post(f"/api/tools/{tool.name}", json=_least(tool))
        if tool.effect in MAY[role]:
            assert answer.status_code not in (401, 403), answer.text
            continue
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        needed = next(each for each in ROLES if tool.effect in MAY[each])
        assert role in answer.json()["detail"]
        assert needed in answer.json()["detail"]


def _least(tool: Tool[Any, Any]) -> dict[str, Any]:
    """The arguments that must be there, naming nothing that there is."""
    schema = tool.input.model_json_schema()
    values = {"array": ["Nothing", "Nowhere"], "string": "nothing@example.org"}
    return {name: values[schema["properties"][name]["type"]] for name in schema.get("required", [])}


# This machine


async def test_before_there_is_a_key_this_machine_is_the_owner_and_nobody_else_is(ctx: Context) -> None:
    async with served(ctx, local=ctx.tenant, roles=()) as house:
        client = house.client()
        assert (await client.post("/api/tools/create_contact", json={"email": "ada@example.org"})).status_code == 200
        assert await house.rows("SELECT role, door FROM audit_log") == [("owner", "rest")]
        for headers in (
            {"X-Forwarded-For": "203.0.113.7"}, {"Forwarded": "for=203.0.113.7"}, {"Via": "1.1 proxy"},
            {"X-Real-IP": "127.0.0.1"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:1"},
        ):  # fmt: skip
            answer = await client.get("/api/contacts", headers=headers)
            assert answer.status_code == 401, headers
        assert (await client.get("/api/contacts", headers={"Host": "evil.example"})).status_code == 400
        # nginx as it comes: our own name in Host, no header of its own, HTTP/1.0.
        reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]))
        writer.write(b"GET /api/contacts HTTP/1.0\r\nHost: 127.0.0.1:8000\r\nConnection: close\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
        await house.new_key("First")
        assert (await client.get("/api/contacts")).status_code == 401
        await keys.revoke("First", ctx)
        assert (await client.get("/api/contacts")).status_code == 401


async def test_a_name_that_a_proxy_uses_needs_a_key(ctx: Context) -> None:
    async with served(ctx, local=ctx.tenant, roles=(), hosts=("127.0.0.1", "app.example.com")) as house:
        answer = await house.client().get("/api/contacts", headers={"Host": "app.example.com"})
        assert answer.status_code == 401
        assert (await house.client().get("/healthz", headers={"Host": "app.example.com"})).status_code == 200


async def test_whoever_tries_keys_is_slowed_down(ctx: Context) -> None:
    async with served(ctx, wrong_per_minute=5) as house:
        client = house.client("sck_" + "A" * 86)
        assert [(await client.get("/api/contacts")).status_code for _ in range(7)] == [401] * 5 + [429] * 2
        answer = await client.get("/api/contacts")
        assert int(answer.headers["retry-after"]) >= 1
        # Behind a proxy both have the same address.
        assert (await house.as_role("viewer").get("/api/contacts")).status_code == 200
