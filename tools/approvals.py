"""Nothing leaves and nothing is erased without a person.

A tool whose effect is `send` or `erase` does not act: it writes an approval request, bound to a fingerprint of exactly
what would happen, and returns its card. A person decides it at a door (`decide`; no tool does that), once, before it
expires; what would happen is worked out again in the transaction that carries it out, and must be the same.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from db import approvals
from db.approvals import Action, ApprovalRow
from db.pool import Connection
from tools.base import Context, Effect, Result, allowed, recorded_as
from tools.dates import in_words
from tools.errors import ApprovalOutdated, ApprovalOver, NoSuchApproval
from tools.lists import page_of, read_place, write_cursor

# Long enough for a colleague to look after lunch, short enough that nobody approves last week's idea.
TIME_TO_DECIDE = timedelta(hours=24)


class Card(Result):
    """What a person sees before they decide."""

    title: str
    facts: dict[str, str] = {}
    warnings: list[str] = []
    preview: str | None = None

    def text(self) -> str:
        lines = [f"**{self.title}**", ""]
        lines += [f"- {name}: {value}" for name, value in self.facts.items()]
        lines += [f"- ⚠ {warning}" for warning in self.warnings]
        if self.preview:
            lines += ["", *(f"> {line}" for line in self.preview.splitlines())]
        return "\n".join(lines)


class Answered(Result):
    """What a tool that sends or erases answers: mostly `ApprovalAsked`; `Decided` where no person is needed."""

    status: str = "done"


class ApprovalAsked(Answered):
    """A request that waits for a person. Nothing has happened yet."""

    approval_id: UUID
    action: Action
    card: Card
    recipient_count: int = 0
    expires_at: datetime
    status: Literal["waiting for a person"] = "waiting for a person"

    @property
    def short_id(self) -> str:
        return str(self.approval_id)[:8]

    def text(self) -> str:
        return f"{self.card.text()}\n\nA person must approve this first: `smartcampaign approve {self.short_id}`."


class Decided(Answered):
    """What a person's decision did."""

    approval_id: UUID
    action: Action
    decision: Literal["approved", "rejected"]
    outcome: str

    def text(self) -> str:
        return self.outcome


class Request(Result):
    """A request as a list shows it, also one that is decided."""

    approval_id: UUID
    action: Action
    state: Literal["pending", "used", "rejected", "withdrawn", "expired"]
    card: Card
    recipient_count: int
    campaign_id: UUID | None
    requested_by: str
    requested_via: str
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_via: str | None
    decided_at: datetime | None

    @classmethod
    def of(cls, row: ApprovalRow) -> Request:
        return cls.model_validate(row, from_attributes=True)

    def text(self) -> str:
        return f"{self.card.title} ({self.state})"


class RequestList(Result):
    requests: list[Request]
    next_cursor: str | None = None

    def text(self) -> str:
        return "\n".join(f"- {request.text()}" for request in self.requests) or "There are no such requests."


@dataclass(frozen=True)
class _Kind:
    effect: Effect
    fingerprint: Callable[[Connection, Context, ApprovalRow], Awaitable[str | None]]
    carry_out: Callable[[Connection, Context, ApprovalRow], Awaitable[str]]


_KINDS: dict[Action, _Kind] = {}


def register(
    action: Action,
    *,
    effect: Effect,
    fingerprint: Callable[[Connection, Context, ApprovalRow], Awaitable[str | None]],
    carry_out: Callable[[Connection, Context, ApprovalRow], Awaitable[str]],
) -> None:
    """Say how an approved `action` is checked again (None: there is nothing left to do it to) and carried out.

    `carry_out` returns what it did, as a sentence. Both run in the transaction that uses the approval up.
    """
    _KINDS[action] = _Kind(effect, fingerprint, carry_out)


async def ask(
    db: Connection, ctx: Context, *, action: Action, fingerprint: str, card: Card, campaign_id: UUID | None = None,
    contact_id: UUID | None = None, arguments: dict[str, Any] | None = None, recipient_count: int = 0,
) -> ApprovalAsked:  # fmt: skip
    """Write the request for `action`; open requests for the same thing are withdrawn."""
    now = ctx.now()
    row = await approvals.add(
        db, ctx.tenant.id, action=action, campaign_id=campaign_id, contact_id=contact_id, arguments=arguments or {},
        fingerprint=fingerprint, recipient_count=recipient_count, card=card.model_dump(mode="json"),
        requested_by=ctx.actor.name, requested_via=ctx.actor.door, at=now, expires_at=now + TIME_TO_DECIDE,
    )  # fmt: skip
    return asked(row)


def asked(row: ApprovalRow) -> ApprovalAsked:
    """The request as a door shows it."""
    return ApprovalAsked(
        approval_id=row.approval_id, action=row.action, card=Card.model_validate(row.card),
        recipient_count=row.recipient_count, expires_at=row.expires_at,
    )  # fmt: skip


async def allow_by_rule(db: Connection, ctx: Context, request: ApprovalAsked, rule: str) -> Decided:
    """Carry out a request that needs no person, in the transaction that made it; `rule` is written down as who decided.

    Only for what can't reach anybody but the tenant's own people.
    """
    row = await approvals.claim(
        db, ctx.tenant.id, request.approval_id, state="used", decided_by=rule, decided_via="rule", at=ctx.now()
    )
    assert row is not None, "it was made in this transaction"
    outcome = await _KINDS[row.action].carry_out(db, ctx, row)
    return Decided(approval_id=row.approval_id, action=row.action, decision="approved", outcome=outcome)


async def waiting(ctx: Context) -> list[ApprovalAsked]:
    """The requests that a person can decide now, oldest first."""
    async with ctx.transaction() as db:
        return [asked(row) for row in await approvals.pending(db, ctx.tenant.id, ctx.now())]


async def listed(ctx: Context, *, state: str | None = None, cursor: str | None = None, limit: int = 20) -> RequestList:
    """Every request, newest first, also those that are decided. Raises `BadCursor`."""
    allowed(ctx.actor.role, "read", "to list approvals")
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        rows = await approvals.page(
            db, ctx.tenant.id, state=state, after=read_place(cursor), limit=limit + 1, at=ctx.now()
        )  # fmt: skip
    shown, more = page_of(rows, limit)
    last = write_cursor(shown[-1].requested_at.isoformat(), str(shown[-1].approval_id)) if more else None
    return RequestList(requests=[Request.of(row) for row in shown], next_cursor=last)


async def one(ctx: Context, id: UUID) -> Request:
    """A request by its id, also one that is decided. Raises `NoSuchApproval`."""
    allowed(ctx.actor.role, "read", "to look at an approval")
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        return Request.of(await _find(db, ctx, str(id)))


async def find(ctx: Context, id: str) -> ApprovalAsked:
    """An open request by its id or the beginning of it. Raises `NoSuchApproval` or `ApprovalOver`."""
    async with ctx.transaction() as db:
        row = await _find(db, ctx, id)
    if row.state != "pending":
        raise ApprovalOver(state=row.state)
    if row.expires_at <= ctx.now():
        raise ApprovalOver(state=f"expired since {in_words(row.expires_at, ctx.tenant.zone)}")
    return asked(row)


async def decide(id: str, *, approve: bool, ctx: Context) -> Decided:
    """Carry out a request, or reject it: the decision of the person who is `ctx.actor`. For doors, never for a model.

    Raises `NoSuchApproval`, `ApprovalOver` (decided, withdrawn or expired), `ApprovalOutdated` (what it would do has
    changed; it is withdrawn then) or `NotAllowed`. One transaction: what was decided and what it did are both there,
    or neither is.
    """
    found = await find(ctx, id)
    kind = _KINDS[found.action]
    verb = "approve" if approve else "reject"
    # Whoever may change a campaign may also stop it; to allow a request takes the role for its effect.
    allowed(ctx.actor.role, kind.effect if approve else "write", f"to {verb} {found.action}")
    ctx = recorded_as(f"{verb} {found.action}", kind.effect, ctx)
    try:
        async with ctx.transaction() as db:
            row = await approvals.claim(
                db, ctx.tenant.id, found.approval_id, state="used" if approve else "rejected",
                decided_by=ctx.actor.name, decided_via=ctx.actor.door, at=ctx.now(),
            )  # fmt: skip
            if row is None:
                raise ApprovalOver(state=(await _find(db, ctx, str(found.approval_id))).state)
            ctx.about(*(id for id in (row.campaign_id, row.contact_id) if id is not None))
            outcome = "Rejected. Nothing was done."
            if approve:
                current = await kind.fingerprint(db, ctx, row)
                if current != row.fingerprint:
                    raise ApprovalOutdated(what="it is gone" if current is None else "recipients, text, sender or time")
                outcome = await kind.carry_out(db, ctx, row)
    except ApprovalOutdated:
        async with ctx.transaction() as db:
            await approvals.close(db, ctx.tenant.id, found.approval_id, state="withdrawn", at=ctx.now())
        raise
    return Decided(
        approval_id=row.approval_id,
        action=row.action,
        decision="approved" if approve else "rejected",
        outcome=outcome,
    )


async def _find(db: Connection, ctx: Context, id: str) -> ApprovalRow:
    beginning = id.strip().lower()
    rows = []
    if re.fullmatch(r"[0-9a-f-]{4,36}", beginning):
        rows = await approvals.find(db, ctx.tenant.id, beginning)
    if len(rows) != 1:
        raise NoSuchApproval(id=id[:40])
    return rows[0]
