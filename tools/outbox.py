"""The outbox: mails that were sent while no server is set up, to be looked at."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from db import captures
from tools.base import Context, Result, allowed
from tools.errors import NoSuchMail
from tools.lists import page_of, read_place, write_cursor


class CapturedMail(Result):
    """One mail of the outbox. Times are UTC; the size is in bytes."""

    captured_id: UUID
    sender: str
    recipient: str
    subject: str
    at: datetime
    size: int

    def text(self) -> str:
        return f"{self.subject} to {self.recipient}"


class Outbox(Result):
    mails: list[CapturedMail]
    next_cursor: str | None = None

    def text(self) -> str:
        return "\n".join(f"- {mail.text()}" for mail in self.mails) or "The outbox is empty."


async def listed(ctx: Context, *, cursor: str | None = None, limit: int = 20) -> Outbox:
    """The outbox, newest first. Raises `BadCursor`."""
    allowed(ctx.actor.role, "read", "to look into the outbox")
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        rows = await captures.page(db, ctx.tenant.id, after=read_place(cursor), limit=limit + 1)
    shown, more = page_of(rows, limit)
    last = write_cursor(shown[-1].at.isoformat(), str(shown[-1].captured_id)) if more else None
    return Outbox(mails=[CapturedMail.model_validate(row, from_attributes=True) for row in shown], next_cursor=last)


async def message(ctx: Context, id: UUID) -> bytes:
    """A mail as it would have left (RFC 5322). Raises `NoSuchMail`."""
    allowed(ctx.actor.role, "read", "to look into the outbox")
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        rows = await captures.find(db, ctx.tenant.id, str(id))
    if not rows:
        raise NoSuchMail(id=id)
    return rows[0].message
