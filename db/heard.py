"""What was heard in linked chats: each message is answered once, by one program."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True)
class Heard:
    """One message of a workspace, by the hash of its id there."""

    tenant: UUID
    workspace: str
    message_hash: bytes

    def parameters(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "workspace": self.workspace, "message": self.message_hash}


@dataclass(frozen=True)
class LeftOverRow:
    """A message whose answer was never finished, and where it stands."""

    message_hash: bytes
    channel: str | None
    thread: str | None
    reply: str | None
    conversation_id: UUID | None


async def claim(
    db: Connection, heard: Heard, *, at: datetime, expires_at: datetime, seconds: float, channel: str | None = None,
    thread: str | None = None,
) -> bool:  # fmt: skip
    """Take a message to answer it within `seconds`; False when it was heard before."""
    parameters = heard.parameters() | {
        "at": at, "expires_at": expires_at, "seconds": seconds, "channel": channel, "thread": thread
    }  # fmt: skip
    return await (await db.execute(sql("heard", "claim"), parameters)).fetchone() is not None


async def note_reply(db: Connection, heard: Heard, *, reply: str | None, conversation: UUID) -> None:
    """Note in which message the answer grows, and in which conversation."""
    await db.execute(sql("heard", "reply"), heard.parameters() | {"reply": reply, "conversation": conversation})


async def renew(db: Connection, heard: Heard, seconds: float) -> None:
    """Say that the answer is still being worked on."""
    await db.execute(sql("heard", "renew"), heard.parameters() | {"seconds": seconds})


async def finish(db: Connection, heard: Heard) -> None:
    """Say that it is answered."""
    await db.execute(sql("heard", "finish"), heard.parameters())


async def left_over(db: Connection, tenant: UUID, workspace: str, seconds: float) -> list[LeftOverRow]:
    """Take over, for `seconds`, what programs that died were answering."""
    async with db.cursor(row_factory=class_row(LeftOverRow)) as cursor:
        await cursor.execute(
            sql("heard", "left_over"), {"tenant": tenant, "workspace": workspace, "seconds": seconds}
        )  # fmt: skip
        return await cursor.fetchall()


async def expire(db: Connection, tenant: UUID, at: datetime) -> None:
    """Forget what can't be repeated any more."""
    await db.execute(sql("heard", "expire"), {"tenant": tenant, "at": at})
