"""Alive, ready, the figures, rates, and who may see them."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db import tenants
from db.embedded import EmbeddedServer
from db.migrate import migrate
from db.pool import Database
from tests.interfaces.api.conftest import House, served
from tests.interfaces.api.sse import say
from tools.base import Context, Tenant


async def test_it_lives_and_is_ready(house: House) -> None:
    client = house.client()
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


async def test_without_its_database_it_lives_is_not_ready_and_says_so_everywhere(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Database, tenant: UUID, **_: Any) -> Any:
        raise psycopg.OperationalError("connection to 10.0.0.7 failed: password of robin")

    client = house.as_role("viewer")
    monkeypatch.setattr(Database, "transaction", away)
    assert (await client.get("/healthz")).status_code == 200
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    for path in ("/api/contacts", "/api/threads", "/v1/models"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "away")
        assert answer.headers["retry-after"]
        assert "robin" not in answer.text
    assert (await client.post("/api/chat", json={"message": "hello"})).status_code == 503
    monkeypatch.undo()
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/api/contacts")).status_code == 200


@pytest.mark.slow
async def test_a_database_that_stops_and_comes_back(ctx: Context) -> None:
    with tempfile.TemporaryDirectory(prefix="sc-test-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        url = await asyncio.to_thread(server.start)
        await asyncio.to_thread(migrate, url)
        id = await asyncio.to_thread(lambda: tenants.add(url, name="Mine", time_zone="UTC", country="US"))
        assert id is not None
        database = Database(url, patience=3)
        await database.open()
        try:
            there = dataclasses.replace(ctx, tenant=Tenant(id, "Mine"), database=database)
            async with served(there) as house:
                client = house.as_role("viewer")
                assert (await client.get("/readyz")).status_code == 200
                await asyncio.to_thread(server.stop)
                answers = await asyncio.gather(*(client.get(path) for path in ("/readyz", "/healthz", "/api/contacts")))
                assert [answer.status_code for answer in answers] == [503, 200, 503]
                assert "does not answer" in answers[0].json()["parts"]["database"]
                await asyncio.to_thread(server.start)
                async with asyncio.timeout(30):
                    while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                        await asyncio.sleep(0.2)
                assert (await client.get("/api/contacts")).status_code == 200
        finally:
            await database.close()
            await asyncio.to_thread(server.stop)


async def test_figures_count_by_route_and_name_nobody(house: House) -> None:
    client = house.as_role("viewer")
    for path in ("/api/contacts?query=ada@example.org", "/api/contacts/7b6f1c7e-7b2a-4c6e-9d4e-0a4b1c2d3e4f", "/x/y"):
        await client.get(path)
    await say(client, "hello")
    text = (await client.get("/metrics")).text
    assert 'smartcampaign_http_requests_total{method="GET",route="/api/contacts",status="200"} 1.0' in text
    assert 'route="/api/contacts/{id}",status="404"} 1.0' in text
    assert 'route="none",status="404"} 1.0' in text
    assert 'smartcampaign_http_first_byte_seconds_count{route="/api/chat"} 1.0' in text
    assert "smartcampaign_hits_waiting 0.0" in text
    assert "smartcampaign_turns_running 0.0" in text
    for secret in ("ada@", "7b6f1c7e", str(house.ctx.tenant.id), house.keys["viewer"]):
        assert secret not in text


async def test_figures_are_for_this_machine_and_for_keys(house: House) -> None:
    client = house.client()
    assert (await client.get("/metrics")).status_code == 200
    assert (await client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"})).status_code == 401
    keyed = house.as_role("viewer", X_Forwarded_For="203.0.113.7")
    assert (await keyed.get("/metrics")).status_code == 200


async def test_a_key_has_a_rate_of_its_own(ctx: Context) -> None:
    async with served(ctx, per_minute=5) as house:
        client, another = house.as_role("viewer"), house.as_role("editor")
        answers = [await client.get("/api/threads") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert answers[0].headers["ratelimit-policy"] == '"minute";q=5;w=60'
        left = [answer.headers["ratelimit"].split(";")[1] for answer in answers]
        assert left == ["r=4", "r=3", "r=2", "r=1", "r=0", "r=0", "r=0"]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 12
        assert answers[-1].json()["code"] == "too_fast"
        assert (await another.get("/api/threads")).status_code == 200
        assert (await client.get("/healthz")).status_code == 200


async def test_answers_are_safe_to_get(house: House) -> None:
    client = house.as_role("viewer")
    for path in ("/api/contacts", "/api/nowhere", "/healthz", "/metrics", "/api/openapi.json"):
        answer = await client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
