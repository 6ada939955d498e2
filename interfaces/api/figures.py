"""Whether the program lives, whether it can work, and its figures for Prometheus. No figure names anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from psycopg_pool import PoolTimeout
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from interfaces.access import Access
from interfaces.api.callers import Callers
from interfaces.api.turns import Turns
from mail.hits import HitQueue

# A probe asks every few seconds and must not wait for a pool that waits for a server.
PATIENCE = 2.0

# Seconds to the first byte of an answer.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Alive(BaseModel):
    status: str = "ok"


class Ready(BaseModel):
    """Each part with `ok`, or what is wrong with it as a sentence."""

    status: str
    parts: dict[str, str]


class Figures:
    """What is counted in one app."""

    def __init__(self, turns: Turns, hits: HitQueue) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "smartcampaign_http_requests", "Answers by route, method and status.", ("route", "method", "status"),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "smartcampaign_http_first_byte_seconds", "Time to the first byte of an answer.", ("route",),
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._gauge("smartcampaign_turns_running", "Turns of the agent under way.", lambda: turns.running)
        self._gauge("smartcampaign_hits_waiting", "Opens and clicks not written yet.", lambda: hits.held)
        self._gauge("smartcampaign_hits_lost", "Opens and clicks that found no room.", lambda: hits.lost)
        self._gauge("smartcampaign_hits_age_seconds", "How long the oldest of them waits.", lambda: hits.age)

    def _gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


def router(access: Access, callers: Callers, figures: Figures, hits: HitQueue) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`."""
    made = APIRouter(tags=["health"])

    @made.get("/healthz", summary="Whether the program lives")
    async def healthz() -> Alive:
        return Alive()

    @made.get(
        "/readyz", summary="Whether it can work: 503 while it can't",
        responses={503: {"model": Ready, "description": "A part can't work just now."}, 200: {"model": Ready}},
        response_class=JSONResponse, response_model=None,
    )  # fmt: skip
    async def readyz() -> Response:
        parts = {
            "database": await _database(access),
            "hits": "ok" if hits.age <= 5 else f"Opens and clicks wait for {hits.age:.0f} s to be written.",
        }
        is_ready = all(part == "ok" for part in parts.values())
        ready = Ready(status="ready" if is_ready else "not ready", parts=parts)
        return JSONResponse(ready.model_dump(), 200 if is_ready else 503, {"Cache-Control": "no-store"})

    @made.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        await callers.may_look(request)
        return Response(figures.text(), 200, {"Cache-Control": "no-store"}, CONTENT_TYPE_LATEST)

    return made


async def _database(access: Access) -> str:
    try:
        async with (
            asyncio.timeout(PATIENCE),
            access.database.transaction(access.program.tenant.id, read_only=True) as db,
        ):
            await db.execute("SELECT 1")
    except (psycopg.Error, PoolTimeout, TimeoutError, OSError) as error:
        return f"The database does not answer ({type(error).__name__})."
    return "ok"
