"""Who must not come in over MCP: no key, a wrong one, a foreign page, another's session, and requests that are none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from interfaces.settings import Settings
from tests.conftest import NOW
from tests.interfaces.api.conftest import House, served
from tests.interfaces.mcp.clients import ACCEPT, Plain, messages, said
from tools import keys
from tools.base import Actor, Context, Tenant

# All on the event loop of their server.
pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS = "https://app.example.com/mcp"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(database_url: str, embedder: LocalEmbedder) -> AsyncIterator[House]:
    """One server for this file, as others reach it: under any address, with a key. Nothing here changes its keys."""
    database = Database(database_url, max_size=4)
    await database.open()
    ctx = Context(tenant=a_tenant(database_url), actor=Actor("Robin"), database=database, embedder=embedder,
                  now=lambda: NOW)  # fmt: skip
    async with served(ctx, settings=Settings.model_construct(mcp_url=ADDRESS), local=ctx.tenant, hosts=None) as house:
        yield house
    await database.close()


def a_tenant(database_url: str) -> Tenant:
    name = f"Harrow {uuid4().hex[:8]}"
    id = tenants.add(database_url, name=name, time_zone="Europe/London", country="GB")
    assert id is not None
    return Tenant(id, name, "Europe/London", "GB")


@pytest.fixture(scope="module")
def other(database_url: str, house: House) -> Context:
    """The owner of another tenant."""
    return replace(house.ctx, tenant=a_tenant(database_url))


async def initialize(house: House, headers: dict[str, str], path: str = "/mcp") -> httpx.Response:
    body = Plain(house, None).request(
        "initialize",
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "plain", "version": "1"}},
    )
    return await house.client().post(path, json=body, headers={"Accept": ACCEPT} | headers)


# Each takes the good key and makes something of it that opens nothing.
CREDENTIALS: dict[str, Any] = {
    "nothing": lambda key: {},
    "an empty header": lambda key: {"Authorization": ""},
    "bearer without anything": lambda key: {"Authorization": "Bearer"},
    "basic": lambda key: {"Authorization": f"Basic {key}"},
    "the key without a scheme": lambda key: {"Authorization": key},
    "the key as a token of GitHub's": lambda key: {"Authorization": f"token {key}"},
    "the key as a cookie": lambda key: {"Cookie": f"token={key}; session={key}"},
    "the key in another header": lambda key: {"X-Api-Key": key},
    "a shortened key": lambda key: {"Authorization": f"Bearer {key[:-1]}"},
    "a lengthened key": lambda key: {"Authorization": f"Bearer {key}A"},
    "one letter changed": lambda key: {"Authorization": f"Bearer {key[:-2]}{'A' if key[-2] != 'A' else 'B'}{key[-1]}"},
    "the secret changed": lambda key: {"Authorization": f"Bearer {key[:60]}{'A' * 30}"},
    "the key twice": lambda key: {"Authorization": f"Bearer {key}, Bearer {key}"},
    "only the prefix": lambda key: {"Authorization": "Bearer sck_"},
    "an unsigned token": lambda key: {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."},
    "SQL": lambda key: {"Authorization": "Bearer ' OR 1=1 --"},
    "somebody who says to be from here": lambda key: {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
}  # fmt: skip


@pytest.mark.parametrize("what", CREDENTIALS)
async def test_without_a_good_key_nobody_comes_in(house: House, what: str) -> None:
    key = house.keys["owner"]
    answer = await initialize(house, CREDENTIALS[what](key))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "mcp-session-id" not in answer.headers
    assert key not in answer.text
    assert house.ctx.tenant.name not in answer.text


async def test_a_key_in_the_address_opens_nothing_and_is_not_logged(house: House) -> None:
    heard: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(("httpx", "httpcore")):
                heard.append(record.getMessage())

    # Not pytest's own, which also hears loggers that are switched off.
    listening, level = Listening(), logging.getLogger().level
    logging.getLogger().addHandler(listening)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        for name in ("access_token", "key", "token", "api_key"):
            assert (await initialize(house, {}, f"/mcp?{name}={house.keys['owner']}")).status_code == 401
        assert (await initialize(house, {"Authorization": f"Bearer {house.keys['owner']}"})).status_code == 200
    finally:
        logging.getLogger().removeHandler(listening)
        logging.getLogger().setLevel(level)

    assert heard, "the server logs something at this level"
    assert house.keys["owner"][10:] not in " ".join(heard)


async def test_a_key_that_is_over_opens_nothing(house: House) -> None:
    expiring, revoked_key = [
        (await keys.create(name, "owner", house.ctx, days=1)).text for name in ("expiring", "revoked")
    ]
    await keys.revoke("revoked", house.ctx)
    revoked = await initialize(house, {"Authorization": f"Bearer {revoked_key}"})
    house.access.now = lambda: house.ctx.now() + timedelta(days=2)
    over = await initialize(house, {"Authorization": f"Bearer {expiring}"})
    house.access.now = house.ctx.now

    assert (over.status_code, revoked.status_code) == (401, 401)
    assert "expired on" in said(over)
    assert "was revoked on" in said(revoked)


async def test_a_key_with_another_tenants_id_in_it_opens_neither(house: House, other: Context) -> None:
    theirs = await house.new_key("theirs", "owner", tenant=other.tenant)
    ours = house.keys["owner"]
    for mixed in (theirs[:25] + ours[25:], ours[:25] + theirs[25:], theirs[:46] + ours[46:]):
        assert (await initialize(house, {"Authorization": f"Bearer {mixed}"})).status_code == 401


FOREIGN_HOSTS = [
    "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "203.0.113.9",
    "127.0.0.1@evil.example", "app.example.com.evil.example", "app.example.com@evil.example", "[::1", "localhost/..",
    "evil.example#localhost", "",
]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without"])
async def test_a_foreign_host_is_misdirected(house: House, host: str, with_key: bool) -> None:
    """A page may point a name of its own at this machine: it must not come in, whatever the browser sends along."""
    headers = {"Authorization": f"Bearer {house.keys['owner']}"} if with_key else {}
    answer = await initialize(house, headers | {"Host": host})

    assert answer.status_code in (400, 421)
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize(
    "host", ["localhost:1234", "127.0.0.1", "[::1]:8000", "app.example.com", "APP.example.com:443"]
)
async def test_its_own_names_are_answered_to(house: House, host: str) -> None:
    headers = {"Authorization": f"Bearer {house.keys['viewer']}", "Host": host}
    assert (await initialize(house, headers)).status_code == 200


FOREIGN_ORIGINS = [
    "https://evil.example", "http://127.0.0.1.evil.example", "http://localhost@evil.example", "null", "file://",
    "https://app.example.com.evil.example", "http://app.example.com", "chrome-extension://abc", "localhost",
    "https://evil.example:8000", "ftp://localhost", "http://[::1",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_page_of_another_site_is_forbidden(house: House, origin: str) -> None:
    headers = {"Authorization": f"Bearer {house.keys['owner']}", "Origin": origin}
    answer = await initialize(house, headers)

    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["http://localhost:6274", "http://127.0.0.1", "https://app.example.com"])
async def test_pages_of_this_machine_may_with_a_key_and_not_without(
    house: House, database_url: str, origin: str
) -> None:
    """Before the first key somebody at this machine is let in; a page that runs in their browser is not them."""
    key = {"Authorization": f"Bearer {house.keys['viewer']}"}
    assert (await initialize(house, {"Origin": origin} | key)).status_code == 200
    house.access.local = a_tenant(database_url)  # one that has no key yet
    try:
        assert (await initialize(house, {})).status_code == 200
        assert (await initialize(house, {"Origin": origin})).status_code == 401
    finally:
        house.access.local = house.ctx.tenant


async def test_a_browser_gets_no_leave_to_ask(house: House) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await house.client().request("OPTIONS", "/mcp", headers=asked)

    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


NO_REQUESTS: dict[str, tuple[dict[str, str], bytes, tuple[int, ...]]] = {
    "a form, as any page may send it": ({"Content-Type": "text/plain"}, b"{}", (400, 415)),
    "no type": ({"Content-Type": ""}, b"{}", (400, 415)),
    "no JSON": ({}, b"{", (400,)),
    "an empty body": ({}, b"", (400,)),
    "a batch": ({}, b"[]", (400,)),
    "a number": ({}, b"7", (400,)),
    "JSON that is too deep": ({}, b"[" * 100_000, (400,)),
    "bytes": ({}, b"\xff\xfe\x00", (400,)),
    "thirteen megabytes": ({}, b" " * 13_000_000, (413,)),
    "no session": ({}, b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', (400,)),
    "an invented session": ({"mcp-session-id": "0" * 32}, b'{"jsonrpc":"2.0","id":1,"method":"ping"}', (404,)),
    "a long session": ({"mcp-session-id": "x" * 5000}, b'{"jsonrpc":"2.0","id":1,"method":"ping"}', (404,)),
    "an unknown version": ({"mcp-protocol-version": "9999-01-01"}, b'{"jsonrpc":"2.0","id":1,"method":"ping"}', (400,)),
    "only JSON is taken": ({"Accept": "text/html"}, b'{"jsonrpc":"2.0","id":1,"method":"ping"}', (406,)),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_REQUESTS)
async def test_what_is_no_request_gets_no_more_than_a_refusal(house: House, what: str) -> None:
    headers, body, statuses = NO_REQUESTS[what]
    client = house.as_role("owner", Accept=ACCEPT)
    answer = await client.post("/mcp", content=body, headers={"Content-Type": "application/json"} | headers)

    assert answer.status_code in statuses, answer.text
    assert "Traceback" not in answer.text
    assert (await initialize(house, {"Authorization": f"Bearer {house.keys['viewer']}"})).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "TRACE"])
async def test_other_methods_do_nothing(house: House, method: str) -> None:
    answer = await house.as_role("owner").request(method, "/mcp")
    assert answer.status_code in (400, 405, 406)


async def test_the_list_of_tools_takes_a_key_in_the_newer_protocol_too(house: House) -> None:
    plain = Plain(house, None)
    answer = await plain.say(
        "tools/list",
        {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}},
        mcp_protocol_version="2026-07-28", mcp_method="tools/list",
    )  # fmt: skip
    assert answer.status_code == 401


async def test_without_an_issuer_there_is_no_metadata(house: House) -> None:
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
        assert (await house.client().get(path)).status_code == 404


async def test_at_the_same_time_everybody_gets_their_own(house: House, other: Context) -> None:
    """The calls of two tenants, mixed: each sees its own rows and no other's."""
    theirs = await house.new_key("mixed", "owner", tenant=other.tenant)
    one, two = Plain(house, house.keys["owner"]), Plain(house, theirs)
    await one.begin()
    await two.begin()
    await one.call("create_contact", email="ours@example.com")
    await two.call("create_contact", email="theirs@example.com")
    answers = await asyncio.gather(
        *(who.call("search_contacts", query="everyone") for _ in range(20) for who in (one, two))
    )
    for place, answer in enumerate(answers):
        text = str(messages(answer)[-1]["result"])
        assert ("ours@example.com" in text, "theirs@example.com" in text) == (place % 2 == 0, place % 2 == 1)


async def test_nothing_of_all_this_reached_a_tool(house: House) -> None:
    for what in CREDENTIALS.values():
        plain = Plain(house, None, **what(house.keys["owner"]))
        await plain.call("create_contact", email="evil@example.com")
        await plain.call("delete_contact", contact="evil@example.com")

    assert await house.rows("SELECT count(*) FROM contacts WHERE email = 'evil@example.com'") == [(0,)]
    assert await house.rows("SELECT count(*) FROM audit_log WHERE tool = 'delete_contact'") == [(0,)]


async def test_the_name_of_the_proxy_is_one_of_ours() -> None:
    """`serve --url` says where a proxy lets others in: MCP answers to that, too."""
    from starlette.requests import Request

    from interfaces.mcp_http import Ours, Refused

    def asked(host: str) -> Request:
        return Request({"type": "http", "headers": [(b"host", host.encode())], "server": ("10.0.0.5", 8000)})

    ours = Ours(["https://app.example.com:8443", "https://mcp.example.com/mcp"])
    for name in ("app.example.com:8443", "app.example.com", "mcp.example.com", "10.0.0.5:8000", "localhost"):
        ours.check(asked(name))
    for name in ("10.0.0.6", "example.com", "xapp.example.com"):
        with pytest.raises(Refused):
            ours.check(asked(name))
