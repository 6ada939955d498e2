"""Approval requests: what a person may allow, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Json, Jsonb

from db.pool import Connection
from db.queries import sql

Action = Literal["send_campaign", "send_test_email", "delete_contact"]


@dataclass(frozen=True)
class ApprovalRow:
    tenant_id: UUID
    approval_id: UUID
    action: Action
    campaign_id: UUID | None
    contact_id: UUID | None
    arguments: dict[str, Any]
    fingerprint: str
    recipient_count: int
    card: dict[str, Any]
    state: str
    requested_by: str
    requested_via: str
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_via: str | None
    decided_at: datetime | None


async def add(
    db: Connection, tenant: UUID, *, action: Action, campaign_id: UUID | None, contact_id: UUID | None,
    arguments: dict[str, Any], fingerprint: str, recipient_count: int, card: dict[str, Any], requested_by: str,
    requested_via: str, at: datetime, expires_at: datetime,
) -> ApprovalRow:  # fmt: skip
    """Store a request; the open ones for the same thing are withdrawn."""
    same = {
        "tenant": tenant,
        "action": action,
        "campaign_id": campaign_id,
        "contact_id": contact_id,
        "at": at,
    }
    await db.execute(sql("approvals", "withdraw_others"), same)
    rows = await _rows(
        db, "add",
        same | {
            "arguments": Jsonb(arguments), "fingerprint": fingerprint, "recipient_count": recipient_count,
            "card": Json(card), "requested_by": requested_by, "requested_via": requested_via,
            "expires_at": expires_at,
        },
    )  # fmt: skip
    return rows[0]


async def claim(
    db: Connection, tenant: UUID, id: UUID, *, state: Literal["used", "rejected"], decided_by: str, decided_via: str,
    at: datetime,
) -> ApprovalRow | None:  # fmt: skip
    """Decide an open request; None when it is not open (any more)."""
    rows = await _rows(
        db, "claim",
        {"tenant": tenant, "id": id, "state": state, "decided_by": decided_by, "decided_via": decided_via, "at": at},
    )  # fmt: skip
    return rows[0] if rows else None


async def close(
    db: Connection, tenant: UUID, id: UUID, *, state: Literal["withdrawn", "expired"], at: datetime
) -> None:
    """End an open request without a decision."""
    await db.execute(sql("approvals", "close"), {"tenant": tenant, "id": id, "state": state, "at": at})


async def withdraw_of_campaign(db: Connection, tenant: UUID, campaign_id: UUID, at: datetime) -> int:
    """Withdraw the campaign's open requests; return how many there were."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "at": at}
    return (await db.execute(sql("approvals", "withdraw_of_campaign"), parameters)).rowcount


async def find(db: Connection, tenant: UUID, beginning: str) -> list[ApprovalRow]:
    """Those whose id begins so; at most two."""
    return await _rows(db, "find", {"tenant": tenant, "beginning": beginning})


async def pending(db: Connection, tenant: UUID, at: datetime) -> list[ApprovalRow]:
    """Those a person can decide, oldest first."""
    return await _rows(db, "pending", {"tenant": tenant, "at": at})


async def page(
    db: Connection, tenant: UUID, *, state: str | None, after: tuple[datetime, UUID] | None, limit: int, at: datetime
) -> list[ApprovalRow]:
    """Newest first, those after the given row; `state` as it is at this moment."""
    after_at, after_id = after or (None, None)
    parameters = {
        "tenant": tenant,
        "state": state,
        "after_at": after_at,
        "after_id": after_id,
        "limit": limit,
        "at": at,
    }
    return await _rows(db, "page", parameters)


async def over(db: Connection, tenant: UUID, at: datetime, *, limit: int) -> list[ApprovalRow]:
    """The requests that were decided, withdrawn or have expired, last ones first."""
    return await _rows(db, "over", {"tenant": tenant, "at": at, "limit": limit})


async def _rows(db: Connection, name: str, parameters: dict[str, Any]) -> list[ApprovalRow]:
    async with db.cursor(row_factory=class_row(ApprovalRow)) as cursor:
        await cursor.execute(sql("approvals", name), parameters)
        return await cursor.fetchall()
