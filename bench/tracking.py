"""Benchmark 4: opens and clicks over HTTP, answered and then durable within a second.

Ours: the product's tracking app: the token is checked, the hit queued, judged, counted and written in batches. Peer: a
FastAPI route that writes one row a hit before it answers. Limit: the product's app whose routes answer the same bytes
and do nothing. Each is a uvicorn of its own process; half of the hits are pictures, half are clicks, all of different
people.
The clock runs until the last answer; ours must then also be in the database, and how long that took is told.

    python -m bench.tracking [--rounds 5] [--hits 20000] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import uvicorn
from fastapi import FastAPI, Response
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request
from starlette.routing import Route

from bench.measure import throw_away_server
from db import tenants
from db.pool import Database
from interfaces.tracking import PIXEL, Tracking
from interfaces.web import public_app
from mail.links import Links, LinkSettings

CONNECTIONS = 32
IN_FLIGHT = 4
SETTINGS = LinkSettings("http://127.0.0.1:1")
SHOP = "https://shop.example/lamps?id=7"
READER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

OURS, PEER, LIMIT = "ours", "FastAPI, one INSERT a hit", "the same routes doing nothing"


def _ours(url: str) -> FastAPI:
    database = Database(url)
    tracking = Tracking(database, SETTINGS)

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> Any:
        await database.open()
        async with tracking.running():
            yield
        await database.close()

    app = public_app(tracking)
    app.router.lifespan_context = life
    return app


def _peer(url: str) -> FastAPI:
    pool: Any = AsyncConnectionPool(url, open=False, min_size=10, max_size=10, kwargs={"autocommit": True})

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> Any:
        await pool.open()
        yield
        await pool.close()

    app = FastAPI(lifespan=life)

    @app.get("/o/{token}")
    async def opened(token: str, request: Request) -> Response:
        async with pool.connection() as connection:
            await connection.execute(
                "INSERT INTO peer_hits (kind, token, user_agent) VALUES ('open', %s, %s)",
                (token, request.headers.get("user-agent")),
            )
        return Response(PIXEL, media_type="image/gif")

    @app.get("/c/{token}")
    async def clicked(token: str, request: Request) -> Response:
        async with pool.connection() as connection:
            await connection.execute(
                "INSERT INTO peer_hits (kind, token, user_agent) VALUES ('click', %s, %s)",
                (token, request.headers.get("user-agent")),
            )
        return Response(status_code=302, headers={"Location": SHOP})

    return app


def _limit(url: str) -> FastAPI:
    headers = {"Cache-Control": "no-store, private, max-age=0", "Referrer-Policy": "no-referrer",
               "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex, nofollow"}  # fmt: skip

    async def opened(request: Request) -> Response:
        return Response(PIXEL, 200, headers, "image/gif")

    async def clicked(request: Request) -> Response:
        return Response(status_code=302, headers=headers | {"Location": SHOP})

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.router.routes.extend([Route("/o/{token}", opened), Route("/c/{token}", clicked)])
    return app


APPS = {OURS: _ours, PEER: _peer, LIMIT: _limit}


def _serve(name: str, url: str, port: int) -> None:
    uvicorn.run(APPS[name](url), host="127.0.0.1", port=port, access_log=False, log_level="error")


@dataclass
class Served:
    """A contestant that runs."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds of processor that its process has used so far; on a busy machine these vary less than the clock's."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _served(name: str, url: str) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(name, url, port))
    process.start()
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        assert process.pid is not None
        yield Served(port, process.pid)
    finally:
        process.terminate()
        process.join(20)


class _Client(asyncio.Protocol):
    """One connection that keeps some requests on the way, and counts answers."""

    def __init__(self, requests: list[bytes], done: asyncio.Future[None]) -> None:
        self._requests, self._done = requests, done
        self._sent = self._answered = 0
        self._tail = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(IN_FLIGHT)

    def data_received(self, data: bytes) -> None:
        text = self._tail + data
        answers = text.count(b"HTTP/1.1 200") + text.count(b"HTTP/1.1 302")
        self._tail = text[-11:]
        if not answers:
            return
        self._answered += answers
        if self._answered >= len(self._requests):
            if not self._done.done():
                self._done.set_result(None)
            return
        self._send(answers)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError(f"{self._answered} of {len(self._requests)} answered"))

    def _send(self, many: int) -> None:
        assert self._transport is not None
        more = self._requests[self._sent : self._sent + many]
        self._sent += len(more)
        self._transport.write(b"".join(more))


def _return(client: _Client) -> _Client:
    return client


def _itself(client: _Client) -> _Client:
    return client


async def _hit(port: int, requests: list[bytes]) -> float:
    loop = asyncio.get_running_loop()
    done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    transports = []
    for place in range(CONNECTIONS):
        client = _Client(requests[place::CONNECTIONS], done[place])
        transports.append((await loop.create_connection(partial(_itself, client), "127.0.0.1", port))[0])
    await asyncio.gather(*done)
    seconds = time.perf_counter() - began
    for transport in transports:
        transport.close()
    return seconds


@dataclass
class Shop:
    """A tenant with contacts, and a new campaign to them for every round."""

    url: str
    tenant: UUID
    links: Links
    contacts: list[UUID]

    def campaign(self) -> UUID:
        id = uuid4()
        with psycopg.connect(self.url) as db:
            db.execute(
                "INSERT INTO campaigns (tenant_id, campaign_id, name, status) VALUES (%s, %s, %s, 'sent')",
                (self.tenant, id, str(id)),
            )
            db.execute(
                "INSERT INTO deliveries (tenant_id, campaign_id, contact_id, address, state, sent_at) "
                "SELECT tenant_id, %s, contact_id, email, 'sent', now() - interval '1 hour' FROM contacts "
                "WHERE tenant_id = %s",
                (id, self.tenant),
            )
        return id

    def requests(self, campaign: UUID) -> list[bytes]:
        head = f" HTTP/1.1\r\nHost: mail.example\r\nUser-Agent: {READER}\r\nAccept: */*\r\n\r\n"
        made = []
        for place, contact in enumerate(self.contacts):
            to = self.links.to(campaign, contact)
            link = to.pixel if place % 2 else to.link(SHOP)
            made.append(f"GET {link.removeprefix(SETTINGS.base_url)}{head}".encode())
        return made

    def written(self, campaign: UUID) -> int:
        with psycopg.connect(self.url) as db:
            row = db.execute(
                "SELECT count(*) FROM events WHERE tenant_id = %s AND campaign_id = %s", (self.tenant, campaign)
            ).fetchone()
        return row[0] if row else 0


async def _shop(url: str, hits: int) -> Shop:
    tenant = tenants.add(url, name="Bench", time_zone="UTC", country="GB")
    assert tenant is not None
    with psycopg.connect(url) as db:
        db.execute(
            "INSERT INTO contacts (tenant_id, email) "
            "SELECT %s, 'p' || i || '@example.org' FROM generate_series(1, %s) i",
            (tenant, hits),
        )
        contacts = [
            row[0] for row in db.execute("SELECT contact_id FROM contacts WHERE tenant_id = %s", (tenant,)).fetchall()
        ]
        db.execute(
            "CREATE TABLE peer_hits (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), kind text, token text, "
            "user_agent text, at timestamptz DEFAULT now())"
        )
        db.execute("ANALYZE")
    database = Database(url)
    await database.open()
    async with database.transaction(tenant) as connection:
        links = await Links.load(connection, tenant, SETTINGS)
    await database.close()
    return Shop(url, tenant, links, contacts)


async def main(rounds: int, hits: int) -> None:
    with throw_away_server() as url:
        shop = await _shop(url, hits)
        with contextlib.ExitStack() as stack:
            contestants = {name: stack.enter_context(_served(name, url)) for name in APPS}
            rates: dict[str, list[float]] = {name: [] for name in APPS}
            cpu: dict[str, list[float]] = {name: [] for name in APPS}
            lags: list[float] = []
            for number in range(rounds + 1):
                campaign = await asyncio.to_thread(shop.campaign)
                requests = shop.requests(campaign)
                names = list(APPS)
                for name in names[number % 3 :] + names[: number % 3]:
                    used = contestants[name].cpu()
                    seconds = await _hit(contestants[name].port, requests)
                    if name == OURS:
                        answered = time.perf_counter()
                        for _ in range(1_000):
                            if await asyncio.to_thread(shop.written, campaign) >= hits:
                                break
                            await asyncio.sleep(0.01)
                        if number:
                            lags.append(time.perf_counter() - answered)
                    if number:  # the first round warms
                        cpu[name].append((contestants[name].cpu() - used) / hits)
                        rates[name].append(hits / seconds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\nBenchmark 4: {hits:,} signed pictures and clicks, medians of {rounds}")
    for name, rate in medians.items():
        print(f"{name:<34} {rate:9,.0f} requests/s {statistics.median(cpu[name]) * 1e6:7.0f} us of its processor each")
    print(
        f"ours / peer = {medians[OURS] / medians[PEER]:.2f} (target >= 2); "
        f"ours / limit = {medians[OURS] / medians[LIMIT]:.2f} (target >= 0.80); the last hit was in the database "
        f"{max(lags):.2f} s after its answer at the latest (target <= 1)",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hits", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true", help="two rounds of 2,000: shows that it runs, measures little")
    given = parser.parse_args()
    asyncio.run(main(2, 2_000) if given.quick else main(given.rounds, given.hits))
