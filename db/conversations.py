"""Conversations: what was said, one turn at a time, and the graph's state after the last turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql

Role = Literal["person", "agent", "note"]


@dataclass(frozen=True)
class Interrupted:
    """A turn that was stopped in the middle: what was said, and which tools had done something."""

    text: str
    done: list[str]


@dataclass(frozen=True)
class CheckpointRow:
    checkpoint_id: str
    kind: str
    checkpoint: bytes
    metadata: bytes


@dataclass(frozen=True)
class WriteRow:
    task_id: str
    channel: str
    kind: str
    value: bytes


async def open_one(db: Connection, tenant: UUID, *, actor: str, name: str | None, at: datetime) -> UUID:
    """The actor's conversation of this name, made when there is none; without a name always a new one."""
    id = uuid4()
    await db.execute(sql("conversations", "add"), {"tenant": tenant, "id": id, "actor": actor, "name": name, "at": at})
    if name is None:
        return id
    cursor = await db.execute(sql("conversations", "by_name"), {"tenant": tenant, "actor": actor, "name": name})
    row = await cursor.fetchone()
    assert row is not None
    return UUID(str(row[0]))


async def lease(db: Connection, tenant: UUID, id: UUID, *, actor: str, owner: UUID, seconds: float) -> bool:
    """Take the conversation for a turn; False while another turn has it. Waits while somebody is being erased."""
    await db.execute(sql("conversations", "enter"), {"tenant": tenant})
    cursor = await db.execute(
        sql("conversations", "lease"),
        {"tenant": tenant, "id": id, "actor": actor, "owner": owner, "seconds": seconds},
    )
    return await cursor.fetchone() is not None


async def renew(db: Connection, tenant: UUID, id: UUID, *, owner: UUID, seconds: float) -> bool:
    """Keep the conversation for longer; False when `owner` has lost it."""
    parameters = {"tenant": tenant, "id": id, "owner": owner, "seconds": seconds}
    return await (await db.execute(sql("conversations", "renew"), parameters)).fetchone() is not None


async def is_leased(db: Connection, tenant: UUID, id: UUID, *, owner: UUID) -> bool:
    """Whether `owner` has the conversation, and will have it until this transaction's end."""
    cursor = await db.execute(sql("conversations", "is_leased"), {"tenant": tenant, "id": id, "owner": owner})
    return await cursor.fetchone() is not None


async def exists(db: Connection, tenant: UUID, id: UUID, *, actor: str) -> bool:
    """Whether this actor has this conversation."""
    cursor = await db.execute(sql("conversations", "exists"), {"tenant": tenant, "id": id, "actor": actor})
    return await cursor.fetchone() is not None


async def release(db: Connection, tenant: UUID, id: UUID, *, owner: UUID) -> None:
    """Give the conversation free, if `owner` still has it."""
    await db.execute(sql("conversations", "release"), {"tenant": tenant, "id": id, "owner": owner})


async def begin_turn(db: Connection, tenant: UUID, id: UUID, text: str, at: datetime) -> int:
    """Write down what the person said, before anything is done about it; return the turn's number."""
    cursor = await db.execute(sql("conversations", "begin_turn"), {"tenant": tenant, "id": id, "at": at})
    row = await cursor.fetchone()
    assert row is not None
    turn = int(row[0])
    await say(db, tenant, id, turn=turn, role="person", text=text, at=at)
    return turn


async def say(db: Connection, tenant: UUID, id: UUID, *, turn: int, role: Role, text: str, at: datetime) -> None:
    """Add a message to a turn."""
    await db.execute(
        sql("conversations", "say"),
        {"tenant": tenant, "id": id, "turn": turn, "role": role, "text": text, "at": at},
    )


async def say_now(db: Connection, tenant: UUID, id: UUID, *, role: Role, text: str, at: datetime) -> None:
    """Add a message to the last turn."""
    await db.execute(
        sql("conversations", "say_now"), {"tenant": tenant, "id": id, "role": role, "text": text, "at": at}
    )


async def history(db: Connection, tenant: UUID, id: UUID, limit: int) -> list[tuple[str, str]]:
    """The last messages as (role, text), oldest first."""
    cursor = await db.execute(sql("conversations", "history"), {"tenant": tenant, "id": id, "limit": limit})
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def interrupted(db: Connection, tenant: UUID, id: UUID) -> Interrupted | None:
    """The last turn, if it was stopped in the middle."""
    cursor = await db.execute(sql("conversations", "unanswered"), {"tenant": tenant, "id": id})
    row = await cursor.fetchone()
    if row is None:
        return None
    cursor = await db.execute(sql("conversations", "done_since"), {"tenant": tenant, "id": id, "since": row[1]})
    return Interrupted(row[0], [done[0] for done in await cursor.fetchall()])


async def save_checkpoint(db: Connection, tenant: UUID, id: UUID, row: CheckpointRow) -> None:
    """Replace the state; what was pending on an older one goes."""
    same = {"tenant": tenant, "id": id, "checkpoint_id": row.checkpoint_id}
    await db.execute(
        sql("conversations", "save_checkpoint"),
        same | {"kind": row.kind, "checkpoint": row.checkpoint, "metadata": row.metadata},
    )
    await db.execute(sql("conversations", "drop_old_writes"), same)


async def save_writes(
    db: Connection, tenant: UUID, id: UUID, checkpoint_id: str, writes: Sequence[tuple[int, WriteRow]]
) -> None:
    """Store what a step wrote before the next checkpoint, each at its place."""
    rows: list[dict[str, Any]] = [
        {
            "tenant": tenant,
            "id": id,
            "checkpoint_id": checkpoint_id,
            "place": place,
            "task_id": write.task_id,
            "channel": write.channel,
            "kind": write.kind,
            "value": write.value,
        }
        for place, write in writes
    ]
    async with db.cursor() as cursor:
        await cursor.executemany(sql("conversations", "save_write"), rows)


async def checkpoint(db: Connection, tenant: UUID, id: UUID) -> tuple[CheckpointRow, list[WriteRow]] | None:
    """The state and what is pending on it; None before the first turn."""
    cursor = await db.execute(sql("conversations", "checkpoint"), {"tenant": tenant, "id": id})
    row = await cursor.fetchone()
    if row is None:
        return None
    found = CheckpointRow(*row)
    cursor = await db.execute(
        sql("conversations", "writes"), {"tenant": tenant, "id": id, "checkpoint_id": found.checkpoint_id}
    )
    return found, [WriteRow(*write) for write in await cursor.fetchall()]


async def forget(db: Connection, tenant: UUID, id: UUID) -> None:
    """Delete the conversation with its messages and state."""
    await db.execute(sql("conversations", "forget"), {"tenant": tenant, "id": id})


@dataclass(frozen=True)
class ThreadRow:
    """A conversation as a list shows it."""

    conversation_id: UUID
    name: str | None
    turns: int
    created_at: datetime
    updated_at: datetime
    is_busy: bool | None
    """A turn is under way."""


@dataclass(frozen=True)
class MessageRow:
    turn: int
    place: int
    role: Role
    text: str
    created_at: datetime


async def page(
    db: Connection, tenant: UUID, *, actor: str, after: tuple[datetime, UUID] | None, limit: int
) -> list[ThreadRow]:
    """The actor's conversations, the last one first, those after the given one."""
    after_at, after_id = after or (None, None)
    async with db.cursor(row_factory=class_row(ThreadRow)) as cursor:
        await cursor.execute(
            sql("conversations", "page"),
            {"tenant": tenant, "actor": actor, "after_at": after_at, "after_id": after_id, "limit": limit},
        )
        return await cursor.fetchall()


async def one(db: Connection, tenant: UUID, id: UUID, *, actor: str) -> ThreadRow | None:
    """This conversation of this actor."""
    async with db.cursor(row_factory=class_row(ThreadRow)) as cursor:
        await cursor.execute(sql("conversations", "one"), {"tenant": tenant, "id": id, "actor": actor})
        return await cursor.fetchone()


async def messages(db: Connection, tenant: UUID, id: UUID, *, after: tuple[int, int], limit: int) -> list[MessageRow]:
    """What was said, oldest first, after the given turn and place."""
    async with db.cursor(row_factory=class_row(MessageRow)) as cursor:
        await cursor.execute(
            sql("conversations", "messages"),
            {"tenant": tenant, "id": id, "after_turn": after[0], "after_place": after[1], "limit": limit},
        )
        return await cursor.fetchall()


async def rename(db: Connection, tenant: UUID, id: UUID, *, actor: str, name: str) -> None:
    """Call this conversation so, unless another of the actor's is called so."""
    await db.execute(sql("conversations", "rename"), {"tenant": tenant, "id": id, "actor": actor, "name": name})


@dataclass(frozen=True)
class SaidRow:
    """A message, and the conversation it is in."""

    conversation_id: UUID
    name: str | None
    begun_at: datetime
    role: Role
    text: str
    created_at: datetime


async def everything_said(db: Connection, tenant: UUID) -> AsyncGenerator[SaidRow]:
    """Every message of the tenant, conversation by conversation, through a cursor."""
    async with db.cursor(name="everything_said", row_factory=class_row(SaidRow)) as cursor:
        await cursor.execute(sql("conversations", "saying"), {"tenant": tenant})
        async for row in cursor:
            yield row


async def hold_turns(db: Connection, tenant: UUID) -> None:
    """Until the transaction's end no turn begins, and those under way can't write any more."""
    await db.execute(sql("conversations", "hold_turns"), {"tenant": tenant})
    await db.execute(sql("conversations", "break_leases"), {"tenant": tenant})
