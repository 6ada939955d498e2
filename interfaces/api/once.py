"""Writes that are done once: the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header-07).

The same key with the same request gets the answer of the first one. That the write was done is noted in its own
transaction, so a crash between the write and its answer neither does it twice nor loses it. What was refused did
nothing, and its key is free again. docs/decisions/0021-idempotency.md
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from db import idempotency
from db.idempotency import AnswerRow, Claim
from db.pool import Connection
from tools.base import Context
from tools.errors import InvalidArguments, ToolError

# How long an answer is kept: longer than any client goes on trying.
KEPT = timedelta(hours=24)

# A program that dies leaves its keys to others after so many seconds; a living one renews in time.
LEASE = 30.0
RENEWAL = 10.0

# How long a twin waits for the first one's answer.
PATIENCE = 10.0

HEADER = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "Any text that is new for a new request. Asked again with the same one within a day, the first "
    "answer comes back and nothing is done again.",
}  # fmt: skip


class KeyReused(ToolError):
    """This Idempotency-Key was used for another request. Use a new one for a new request."""

    code = "key_reused"


class InProgress(ToolError):
    """The first request with this Idempotency-Key is still under way. Ask again in a moment."""

    code = "in_progress"


class InDoubt(ToolError):
    """What this Idempotency-Key stands for was done, and its answer was lost when the program stopped. Look at what
    there is now; nothing was done twice."""

    code = "in_doubt"


class AnswerGone(ToolError):
    """What this Idempotency-Key stands for was done. Its answer was removed, because somebody was erased since."""

    code = "answer_gone"


class TakenOver(RuntimeError):
    """This request was held up for so long that another one with its key has begun; it must not write any more."""


async def once(
    request: Request, ctx: Context, act: Callable[[Context], Awaitable[Response]], digest: bytes | None = None
) -> Response:
    """The answer of `act`, or the one that was given to the same request before. Without the header just `act`.

    `digest` stands for a body that was read already. Raises `KeyReused`, `InProgress`, `InDoubt` or `AnswerGone`.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return await act(ctx)
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidArguments(problems="An Idempotency-Key has 1 to 255 letters, digits and signs, and no spaces.")
    claim = Claim(ctx.tenant.id, ctx.actor.name, hashlib.sha256(key.encode()).digest(), uuid4())
    said = _hash(request, await request.body() if digest is None else digest)
    known = await _taken(ctx, claim, said)
    return _again(known) if known is not None else await _do(ctx, claim, act)


def _hash(request: Request, body: bytes) -> bytes:
    """What makes two requests the same: method, address and body."""
    return hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode() + body).digest()


async def _taken(ctx: Context, claim: Claim, said: bytes) -> AnswerRow | None:
    """None when the key is ours now; else what the request that had it has come to."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while True:
        async with ctx.database.transaction(ctx.tenant.id) as db:
            at = ctx.now()
            if await idempotency.begin(
                db, claim, request_hash=said, seconds=LEASE, at=at, expires_at=at + KEPT
            ):  # fmt: skip
                await idempotency.expire(db, ctx.tenant.id, at)
                return None
            row = await idempotency.find(db, claim)
        if row is not None:
            if row.request_hash != said:
                raise KeyReused
            if row.status is not None:
                return row
            if row.acted and row.is_stale:
                raise InDoubt
        if loop.time() > until:
            raise InProgress
        await asyncio.sleep(0.1)


def _again(row: AnswerRow) -> Response:
    if row.answer is None:
        raise AnswerGone
    assert row.status is not None
    return Response(row.answer, row.status, {"Idempotency-Replayed": "true"}, "application/json")


async def _do(ctx: Context, claim: Claim, act: Callable[[Context], Awaitable[Response]]) -> Response:
    async def note(db: Connection) -> None:
        if not await idempotency.note_acted(db, claim):
            raise TakenOver

    async with _kept(ctx, claim):
        try:
            answer = await act(replace(ctx, also=note))
        except TakenOver:
            raise InProgress from None
        except BaseException:
            # What raised wrote nothing: its transaction was rolled back. Only a crash leaves the key to its lease.
            with contextlib.suppress(psycopg.Error, PoolTimeout):
                await asyncio.shield(_release(ctx, claim))
            raise
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await idempotency.finish(db, claim, status=answer.status_code, answer=bytes(answer.body))
    return answer


async def _release(ctx: Context, claim: Claim) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await idempotency.release(db, claim)


@asynccontextmanager
async def _kept(ctx: Context, claim: Claim) -> AsyncIterator[None]:
    """Keep the key while the block runs: a large import takes longer than a lease."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            with contextlib.suppress(psycopg.Error, PoolTimeout):
                async with ctx.database.transaction(ctx.tenant.id) as db:
                    await idempotency.renew(db, claim, LEASE)

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
