"""The ledger of sends, and who must never be mailed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from db.pool import Connection
from db.queries import sql


async def count_for_contact(db: Connection, tenant: UUID, contact_id: UUID) -> int:
    """How many mails this contact was sent."""
    cursor = await db.execute(sql("deliveries", "count_for_contact"), {"tenant": tenant, "contact_id": contact_id})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def forget_contact(db: Connection, tenant: UUID, contact_id: UUID) -> None:
    """Blank the address in every row of this contact."""
    await db.execute(sql("deliveries", "forget_contact"), {"tenant": tenant, "contact_id": contact_id})


async def suppress(db: Connection, tenant: UUID, email: str, *, reason: str, source: str, at: datetime) -> None:
    """Never mail this address again; only a hash of it is stored."""
    await db.execute(
        sql("deliveries", "suppress"),
        {"tenant": tenant, "email": email, "reason": reason, "source": source, "at": at},
    )
