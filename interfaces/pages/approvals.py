"""What waits for a person, and their decision: on the page of its own and on cards in a conversation."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from db import approvals as rows
from db import conversations
from db.approvals import ApprovalRow
from interfaces.pages.site import NotFound, Site, Visit, framed, get, in_conversation, post
from tools import approvals
from tools.base import Context
from tools.emails import PreviewEmail, preview_with_page
from tools.errors import ToolError

log = logging.getLogger(__name__)

MOST_OVER = 30

# A note for a conversation waits for the turn that is under way there; the page does not.
PATIENCE = 2.0

_notes: set[asyncio.Task[None]] = set()


def routes(site: Site) -> list[Route]:
    return [
        get(site, "/approvals", listed),
        post(site, "/approvals/{id}", decide),
        get(site, "/approvals/{id}/mail", mail),
    ]


async def listed(visit: Visit) -> Response:
    """Open requests, oldest first, and the last ones that are over."""
    ctx = visit.ctx
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        cards = await rows.pending(db, ctx.tenant.id, ctx.now())
        over = await rows.over(db, ctx.tenant.id, ctx.now(), limit=MOST_OVER)
    return await visit.page("approvals.html", cards=cards, over=[as_it_stands(row, ctx) for row in over])


async def decide(visit: Visit) -> Response:
    """Approve or reject, as the person of this session. A second time says what was decided, and does nothing."""
    row = await _row(visit)
    address = local(visit.said("back")) or "/approvals"
    approve = visit.said("decision") == "approve"
    try:
        decided = await approvals.decide(str(row.approval_id), approve=approve, ctx=visit.ctx)
    except ToolError as error:
        return visit.to(address, problem=str(error))
    verb = "approved" if approve else "rejected"
    text = f"A person {verb} “{row.card['title']}”: {decided.outcome}"
    if visit.said("thread"):
        await _tell(visit, visit.said("thread"), text)
        return visit.to(address)
    return visit.to(address, decided.outcome)


async def mail(visit: Visit) -> Response:
    """The mail of a request as its readers would see it, for a frame."""
    row = await _row(visit)
    if row.campaign_id is None:
        raise NotFound
    _, html = await preview_with_page(PreviewEmail(campaign=str(row.campaign_id)), visit.ctx)
    return framed(html)


async def _row(visit: Visit) -> ApprovalRow:
    ctx = visit.ctx
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        found = await rows.find(db, ctx.tenant.id, str(visit.id()))
    if not found:
        raise NotFound
    return as_it_stands(found[0], ctx)


def as_it_stands(row: ApprovalRow, ctx: Context) -> ApprovalRow:
    """The request, `expired` when its time is over."""
    return replace(row, state="expired") if row.state == "pending" and row.expires_at <= ctx.now() else row


async def _tell(visit: Visit, thread: str, text: str) -> None:
    """Let the conversation know what was decided."""
    ctx = visit.ctx
    try:
        id = UUID(thread)
    except ValueError:
        return
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        if not await conversations.exists(db, ctx.tenant.id, id, actor=ctx.actor.name):
            return
    agent = await visit.site.access.agent()
    task = asyncio.create_task(agent.note(text, in_conversation(ctx, id)))
    _notes.add(task)
    task.add_done_callback(_noted)
    await asyncio.wait([task], timeout=PATIENCE)


def _noted(task: asyncio.Task[None]) -> None:
    _notes.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.warning("a decision was not noted in its conversation", exc_info=task.exception())


def local(address: str) -> str | None:
    """An address of our own pages; None for any other."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else None
