"""Requests that are done once, whatever the network does: their keys, and the answers that were given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True)
class Claim:
    """A request's hold on its key."""

    tenant: UUID
    caller: str
    key_hash: bytes
    owner: UUID

    def parameters(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "caller": self.caller, "key_hash": self.key_hash, "owner": self.owner}


@dataclass(frozen=True)
class AnswerRow:
    """What is known about a key."""

    request_hash: bytes
    acted: bool
    """The write was committed."""
    status: int | None
    """None while it is under way, or when it was stopped."""
    answer: bytes | None
    """None also when it was removed because somebody was erased."""
    is_stale: bool | None


async def begin(
    db: Connection, claim: Claim, *, request_hash: bytes, seconds: float, at: datetime, expires_at: datetime
) -> bool:
    """Take the key for `seconds`; False when another request has or had it."""
    parameters = claim.parameters() | {
        "request_hash": request_hash, "seconds": seconds, "at": at, "expires_at": expires_at,
    }  # fmt: skip
    return await (await db.execute(sql("idempotency", "begin"), parameters)).fetchone() is not None


async def find(db: Connection, claim: Claim) -> AnswerRow | None:
    """What another request with this key has come to."""
    async with db.cursor(row_factory=class_row(AnswerRow)) as cursor:
        await cursor.execute(sql("idempotency", "find"), claim.parameters())
        return await cursor.fetchone()


async def note_acted(db: Connection, claim: Claim) -> bool:
    """Note in the transaction of the write that it was done; False when another request has the key now."""
    return await (await db.execute(sql("idempotency", "acted"), claim.parameters())).fetchone() is not None


async def finish(db: Connection, claim: Claim, *, status: int, answer: bytes) -> None:
    """Keep the answer."""
    await db.execute(sql("idempotency", "finish"), claim.parameters() | {"status": status, "answer": answer})


async def release(db: Connection, claim: Claim) -> None:
    """Give the key free, if nothing was done."""
    await db.execute(sql("idempotency", "release"), claim.parameters())


async def renew(db: Connection, claim: Claim, seconds: float) -> None:
    """Keep the key for longer."""
    await db.execute(sql("idempotency", "renew"), claim.parameters() | {"seconds": seconds})


async def expire(db: Connection, tenant: UUID, at: datetime) -> int:
    """Remove what is over; return how many."""
    return (await db.execute(sql("idempotency", "expire"), {"tenant": tenant, "at": at})).rowcount


async def forget_answers(db: Connection, tenant: UUID) -> None:
    """Remove every stored answer of the tenant, and keep that they were given."""
    await db.execute(sql("idempotency", "forget_answers"), {"tenant": tenant})
