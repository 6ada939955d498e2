"""Benchmark 7: an MCP tool call that reads a tenant's rows.

Ours: `list_campaigns` of `smartcampaign mcp` and of the door at /mcp, with a key. Peer: a tool that takes SQL, in a
plain server of the same SDK, sending the same query. Limit: a tool of such a server that does nothing. All three are
processes of their own, asked by the official client over stdio and over HTTP. The query alone, in a transaction on a
warm connection, is measured beside them: what a call may take is 1.3 times the limit, and the query.

What is timed is the call. That the Python client then checks a structured result against the tool's schema costs the
client several times as much as the call, and is shown on a line of its own.

    python -m bench.mcp_call [--rounds 7] [--calls 40] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
import mcp_types as types
import psycopg
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer

from bench.measure import throw_away_server
from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from db.queries import sql
from tools import BY_NAME, keys
from tools.base import Actor, Context, Tenant

CAMPAIGNS = 50
SHOWN = 20

OURS = "ours: list_campaigns"
PEER = "peer: a tool that takes SQL"
LIMIT = "limit: a tool that does nothing"

TOOL = {OURS: "list_campaigns", PEER: "query", LIMIT: "nothing"}


# The servers, in processes of their own


def serve(name: str, url: str, tenant: str, port: int | None) -> None:
    """Serve one contestant over stdio, or over HTTP on `port`, until it is stopped."""
    if name == OURS:
        asyncio.run(_serve_ours(port)) if port else _serve_ours_stdio()
        return
    server = MCPServer("plain")
    if name == LIMIT:

        @server.tool()
        async def nothing() -> str:
            """Nothing."""
            return "nothing"

    else:
        connection: list[psycopg.AsyncConnection[Any]] = []

        @server.tool()
        async def query(sql: str) -> str:
            """Run SQL."""
            if not connection:
                connection.append(await psycopg.AsyncConnection.connect(url, autocommit=True))
            return str(await (await connection[0].execute(sql.encode())).fetchall())

    if port is None:
        server.run()
    else:
        server.run("streamable-http", host="127.0.0.1", port=port)


def _serve_ours_stdio() -> None:
    from interfaces import settings
    from interfaces.mcp_server import serve_stdio

    serve_stdio(settings.read())


async def _serve_ours(port: int) -> None:
    from functools import partial

    from fastapi import FastAPI

    from interfaces import mcp_http, settings
    from interfaces.access import open_access
    from interfaces.cli.serve import make_server

    async with open_access(settings.read()) as access:
        # Without the limit of calls a minute, which would be what is measured.
        door = partial(mcp_http.door, per_minute=10_000_000)(access)
        assert door.running is not None
        running = door.running

        @asynccontextmanager
        async def life(_: FastAPI) -> AsyncIterator[None]:
            async with running():
                yield

        app = FastAPI(lifespan=life)
        app.router.routes.extend(door.routes)
        await make_server(app).serve(sockets=[socket.create_server(("127.0.0.1", port))])


# The measurement


@dataclasses.dataclass(frozen=True)
class Shop:
    url: str
    tenant: UUID
    key: str

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "DATABASE_URL": self.url, "SMARTCAMPAIGN_TENANT": str(self.tenant)}

    def arguments(self, name: str) -> dict[str, Any]:
        return {"sql": _query(self.tenant)} if name == PEER else {}

    def command(self, name: str, *more: str) -> list[str]:
        return ["-m", "bench.mcp_call", "--serve", name, "--url", self.url, "--tenant", str(self.tenant), *more]


def _query(tenant: UUID) -> str:
    """The query of `list_campaigns` with its values written in, as a model would send it."""
    values = {
        "tenant": f"'{tenant}'::uuid", "status": "NULL", "after_at": "NULL", "after_id": "NULL",
        "limit": str(SHOWN + 1),
    }  # fmt: skip
    text = sql("campaigns", "page").decode()
    for name, value in values.items():
        text = text.replace(f"%({name})s", value)
    return text


async def _shop(url: str) -> Shop:
    id = tenants.add(url, name="Bench", time_zone="UTC", country="GB")
    assert id is not None
    database = Database(url)
    await database.open()
    ctx = Context(
        tenant=Tenant(id, "Bench"), actor=Actor("bench"), database=database, embedder=LocalEmbedder(),
        now=lambda: datetime.now(UTC),
    )  # fmt: skip
    for number in range(CAMPAIGNS):
        await BY_NAME["create_campaign"].call({"name": f"Campaign {number}", "description": "lamps and clocks"}, ctx)
    key = (await keys.create("bench", "viewer", ctx)).text
    await database.close()
    return Shop(url, id, key)


@asynccontextmanager
async def over_stdio(shop: Shop, name: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(command=sys.executable, args=shop.command(name), env=shop.environment)
    async with Client(server, mode="legacy", raise_exceptions=True) as client:
        yield client


@asynccontextmanager
async def over_http(shop: Shop, name: str) -> AsyncIterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *shop.command(name, "--port", str(port))]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, env=shop.environment, stdout=quiet, stderr=quiet)
    try:
        await _listens(port)
        headers = {"Authorization": f"Bearer {shop.key}"} if name == OURS else {}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http), mode="legacy") as client,
        ):
            yield client
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        await asyncio.sleep(0.1)
    raise RuntimeError("a server did not start")


async def _calls(client: Client, shop: Shop, name: str, calls: int) -> list[float]:
    request = types.CallToolRequest(params=types.CallToolRequestParams(name=TOOL[name], arguments=shop.arguments(name)))
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        result = await client.session.send_request(request, types.CallToolResult)
        times.append(time.perf_counter() - started)
        assert not result.is_error, result
    if name != LIMIT:
        assert "Campaign 49" in str(result.content), "it must have read the rows"
    return times


async def _checked(client: Client, calls: int) -> float:
    """The median of our calls with the client's check of the result."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        await client.call_tool(TOOL[OURS], {})
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


async def _alone(shop: Shop, calls: int) -> list[float]:
    """The query as the program sends it, in its transaction, without anything around it."""
    values = {"tenant": shop.tenant, "status": None, "after_at": None, "after_id": None, "limit": SHOWN + 1}
    database = Database(shop.url)
    await database.open()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        async with database.transaction(shop.tenant, read_only=True) as db:
            await (await db.execute(sql("campaigns", "page"), values)).fetchall()
        times.append(time.perf_counter() - started)
    await database.close()
    return times


async def main(rounds: int, calls: int) -> None:
    with throw_away_server() as url:
        shop = await _shop(url)
        print(f"\nBenchmark 7: {SHOWN} of {CAMPAIGNS} campaigns, {rounds} rounds of {calls} calls, medians")
        for way, connect in (("stdio", over_stdio), ("HTTP", over_http)):
            times: dict[str, list[float]] = {name: [] for name in (*TOOL, "query")}
            async with contextlib.AsyncExitStack() as stack:
                clients = {name: await stack.enter_async_context(connect(shop, name)) for name in TOOL}
                for number in range(rounds + 1):
                    names = [*TOOL][number % 3 :] + [*TOOL][: number % 3]
                    taken = {name: await _calls(clients[name], shop, name, calls) for name in names}
                    taken["query"] = await _alone(shop, calls)
                    if number:  # the first round warms
                        for name, found in taken.items():
                            times[name] += found
                checked = await _checked(clients[OURS], calls)
            medians = {name: statistics.median(found) * 1000 for name, found in times.items()}
            for name, median in medians.items():
                print(f"{way:<6} {name if name != 'query' else 'the query alone':<34} {median:7.2f} ms")
            allowed = 1.3 * medians[LIMIT] + medians["query"]
            print(
                f"{way:<6} ours {medians[OURS]:.2f} ms, allowed 1.3 x limit + query = {allowed:.2f} ms: "
                f"{medians[OURS] / allowed:.2f} of it (target <= 1); ours / peer = {medians[OURS] / medians[PEER]:.2f}",
                flush=True,
            )
            print(f"{way:<6} {'ours, with the check of the client':<34} {checked:7.2f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="two rounds of ten: shows that it runs, measures little")
    parser.add_argument("--serve", choices=[*TOOL], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--tenant", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.url, given.tenant, given.port)
    else:
        asyncio.run(main(2, 10) if given.quick else main(given.rounds, given.calls))
