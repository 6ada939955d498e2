"""What came back: opens, clicks, conversions, bounces, complaints, unsubscribes."""

from __future__ import annotations

from uuid import UUID

from db.pool import Connection
from db.queries import sql


async def forget_contact(db: Connection, tenant: UUID, contact_id: UUID) -> None:
    """Remove what in this contact's events could tell who it was."""
    await db.execute(sql("events", "forget_contact"), {"tenant": tenant, "contact_id": contact_id})
