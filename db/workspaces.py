"""Chats of other programs that are linked to a tenant, and the people in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from psycopg.rows import class_row

from db.keys import Role
from db.pool import Connection
from db.queries import sql

Kind = Literal["slack", "mattermost", "rocket.chat", "json"]
MembersRole = Literal["viewer", "editor"]


@dataclass(frozen=True)
class WorkspaceRow:
    """A Slack workspace, or a hook that was made here."""

    workspace_id: str
    kind: Kind
    name: str
    members_role: MembersRole | None
    """What those may do who are not named; None: nothing."""
    token_hashes: list[bytes] = field(repr=False)
    is_signed: bool
    answers_to: str | None
    """The origin that late answers may be posted to."""
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class PersonRow:
    person_id: str
    """The chat's own id of them."""
    name: str
    role: Role
    added_by: str
    added_at: datetime


Row = TypeVar("Row")


async def add(
    db: Connection, tenant: UUID, id: str, *, kind: Kind, name: str, members_role: MembersRole | None = None,
    token_hashes: list[bytes] | None = None, is_signed: bool = False, answers_to: str | None = None, created_by: str,
    at: datetime,
) -> bool:  # fmt: skip
    """Link a workspace; False when the tenant has it, or another one of that name."""
    parameters = {
        "tenant": tenant, "id": id, "kind": kind, "name": name, "members_role": members_role,
        "token_hashes": token_hashes or [], "is_signed": is_signed, "answers_to": answers_to,
        "created_by": created_by, "at": at,
    }  # fmt: skip
    return await (await db.execute(sql("workspaces", "add"), parameters)).fetchone() is not None


async def find(db: Connection, tenant: UUID, id: str) -> WorkspaceRow | None:
    """The tenant's workspace with this id."""
    rows = await _rows(db, WorkspaceRow, "find", {"tenant": tenant, "id": id})
    return rows[0] if rows else None


async def every(db: Connection, tenant: UUID) -> list[WorkspaceRow]:
    """All workspaces of the tenant, oldest first."""
    return await _rows(db, WorkspaceRow, "all", {"tenant": tenant})


async def set_members_role(db: Connection, tenant: UUID, id: str, role: MembersRole | None) -> None:
    """Say what those may do who are not named."""
    await db.execute(sql("workspaces", "set_members_role"), {"tenant": tenant, "id": id, "members_role": role})


async def set_tokens(db: Connection, tenant: UUID, id: str, hashes: list[bytes]) -> None:
    """Replace the tokens that open a hook."""
    await db.execute(sql("workspaces", "set_tokens"), {"tenant": tenant, "id": id, "token_hashes": hashes})


async def remove(db: Connection, tenant: UUID, id: str) -> bool:
    """Take a workspace away with its people; False when there is none."""
    return await (await db.execute(sql("workspaces", "remove"), {"tenant": tenant, "id": id})).fetchone() is not None


async def allow(
    db: Connection, tenant: UUID, id: str, person: str, *, name: str, role: Role, added_by: str, at: datetime
) -> None:
    """Let somebody in, or change what they may. A taken name raises psycopg.errors.UniqueViolation."""
    parameters = {
        "tenant": tenant, "id": id, "person": person, "name": name, "role": role, "added_by": added_by, "at": at
    }  # fmt: skip
    await db.execute(sql("workspaces", "allow"), parameters)


async def disallow(db: Connection, tenant: UUID, id: str, person: str) -> bool:
    """Let somebody in no more; False when they were not named."""
    parameters = {"tenant": tenant, "id": id, "person": person}
    return await (await db.execute(sql("workspaces", "disallow"), parameters)).fetchone() is not None


async def person(db: Connection, tenant: UUID, id: str, person: str) -> PersonRow | None:
    """Somebody who was named."""
    rows = await _rows(db, PersonRow, "person", {"tenant": tenant, "id": id, "person": person})
    return rows[0] if rows else None


async def people(db: Connection, tenant: UUID, id: str) -> list[PersonRow]:
    """Everybody who was named."""
    return await _rows(db, PersonRow, "people", {"tenant": tenant, "id": id})


async def _rows(db: Connection, row: type[Row], name: str, parameters: dict[str, Any]) -> list[Row]:
    async with db.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql("workspaces", name), parameters)
        return await cursor.fetchall()
