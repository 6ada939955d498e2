"""The audit log: rows are only added."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from db.pool import Connection
from db.queries import sql


async def add(
    db: Connection, tenant: UUID, *, at: datetime, actor: str, role: str, door: str, tool: str, effect: str,
    outcome: str, arguments: dict[str, Any], subjects: list[UUID], conversation_id: UUID | None,
) -> None:  # fmt: skip
    """Add one line."""
    await db.execute(
        sql("audit", "add"),
        {
            "tenant": tenant, "at": at, "actor": actor, "role": role, "door": door, "tool": tool, "effect": effect,
            "outcome": outcome, "arguments": Jsonb(arguments), "subjects": subjects,
            "conversation_id": conversation_id,
        },
    )  # fmt: skip
