"""Conversations as a list: whose they are, what was said, and forgetting one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from db import conversations
from tools.base import Context
from tools.errors import NoSuchThread
from tools.lists import page_of, read_place, read_places, write_cursor


class Thread(BaseModel):
    """One conversation of the caller. Times are UTC."""

    thread: UUID
    name: str | None
    turns: int
    busy: bool
    """A turn is under way."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: conversations.ThreadRow) -> Thread:
        return cls(
            thread=row.conversation_id, name=row.name, turns=row.turns, busy=bool(row.is_busy),
            created_at=row.created_at, updated_at=row.updated_at,
        )  # fmt: skip


class ThreadList(BaseModel):
    threads: list[Thread]
    next_cursor: str | None = None


class Message(BaseModel):
    """Something that was said. A `note` is what a person decided."""

    turn: int
    role: conversations.Role
    text: str
    created_at: datetime


class MessageList(BaseModel):
    messages: list[Message]
    next_cursor: str | None = None


async def listed(ctx: Context, *, cursor: str | None = None, limit: int = 20) -> ThreadList:
    """The caller's conversations, the one begun last first. Raises `BadCursor`."""
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        rows = await conversations.page(
            db, ctx.tenant.id, actor=ctx.actor.name, after=read_place(cursor), limit=limit + 1
        )  # fmt: skip
    shown, more = page_of(rows, limit)
    last = write_cursor(shown[-1].created_at.isoformat(), str(shown[-1].conversation_id)) if more else None
    return ThreadList(threads=[Thread.of(row) for row in shown], next_cursor=last)


async def begin(ctx: Context) -> UUID:
    """A new conversation of the caller."""
    async with ctx.database.transaction(ctx.tenant.id) as db:
        return await conversations.open_one(db, ctx.tenant.id, actor=ctx.actor.name, name=None, at=ctx.now())


async def find(ctx: Context, id: UUID) -> Thread:
    """The caller's conversation with this id. Raises `NoSuchThread`, also for somebody else's."""
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        row = await conversations.one(db, ctx.tenant.id, id, actor=ctx.actor.name)
    if row is None:
        raise NoSuchThread(id=id)
    return Thread.of(row)


async def messages(ctx: Context, id: UUID, *, cursor: str | None = None, limit: int = 50) -> MessageList:
    """What was said, oldest first. Raises `NoSuchThread` or `BadCursor`."""
    after = read_places(cursor)
    await find(ctx, id)
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        rows = await conversations.messages(db, ctx.tenant.id, id, after=after, limit=limit + 1)
    shown, more = page_of(rows, limit)
    said = [Message.model_validate(row, from_attributes=True) for row in shown]
    last = write_cursor(str(shown[-1].turn), str(shown[-1].place)) if more else None
    return MessageList(messages=said, next_cursor=last)


async def forget(ctx: Context, id: UUID) -> None:
    """Delete a conversation of the caller, with what was said in it. Raises `NoSuchThread`."""
    await find(ctx, id)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await conversations.forget(db, ctx.tenant.id, id)


async def rename(ctx: Context, id: UUID, name: str) -> None:
    """Call a conversation of the caller so, unless another one is called so."""
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await conversations.rename(db, ctx.tenant.id, id, actor=ctx.actor.name, name=name)
