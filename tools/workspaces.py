"""Chats of other programs: which are linked to the tenant, and who in them may do what.

Whoever writes in a linked chat is looked up at every message, so that taking somebody out holds at once. Who is not
named gets the role of the workspace's members, which is none unless an owner said otherwise, and never one that sends.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from dataclasses import dataclass
from uuid import UUID

import psycopg

from db import locks, tenants, workspaces
from db.pool import Database
from db.workspaces import Kind, MembersRole, PersonRow, WorkspaceRow
from tools.base import Actor, Context, Role, Tenant, at_least, recorded_as
from tools.errors import (
    AlreadyLinked,
    InvalidArguments,
    NameTaken,
    NoSuchPerson,
    NoSuchWorkspace,
    NotLinked,
    UnknownPerson,
)

SLACK = "Slack"

# A token that a person made up could be guessed; those that chats make have 22 characters and more.
SHORTEST_TOKEN = 20
MOST_TOKENS = 10


@dataclass(frozen=True)
class Speaker:
    """Somebody who wrote in a linked chat."""

    tenant: Tenant
    workspace: WorkspaceRow
    person_id: str
    person: PersonRow | None

    def actor(self, door: str) -> Actor:
        """Who acts. Raises `UnknownPerson` for somebody who was not let in."""
        role: Role | None = self.person.role if self.person else self.workspace.members_role
        if role is None:
            raise UnknownPerson(person=self.person_id, command=self._command)
        return Actor(f"{self.person.name if self.person else self.person_id} ({self.workspace.name})", role, door)

    @property
    def _command(self) -> str:
        if self.workspace.kind == "slack":
            return f"slack allow {self.person_id}"
        return f'hooks allow "{self.workspace.name}" {self.person_id}'


async def speaker(database: Database, tenant: UUID, workspace: str, person: str) -> Speaker | None:
    """Who that is, if this tenant has this workspace."""
    async with database.transaction(tenant, read_only=True) as db:
        row = await workspaces.find(db, tenant, workspace)
        owner = await tenants.find(db, tenant) if row is not None else None
        if row is None or owner is None:
            return None
        known = await workspaces.person(db, tenant, workspace, person)
    return Speaker(Tenant(owner.id, owner.name, owner.time_zone, owner.country), row, person, known)


async def link_slack(ctx: Context, team: str, *, members: MembersRole | None = None) -> WorkspaceRow:
    """Link a Slack workspace to the tenant, or change what its members may.

    Raises `AlreadyLinked` when another tenant has it: a message says the workspace, and not the tenant.
    """
    at_least("owner", ctx.actor.role, "to link Slack")
    if not re.fullmatch(r"T[A-Z0-9]{2,20}", team):
        raise InvalidArguments(problems=f"{team[:30]!r} is no id of a Slack workspace; they look like T024BE7LD.")
    url = ctx.database.url
    async with locks.alone(url, f"link of slack {team}") as is_alone:
        if not is_alone:
            raise AlreadyLinked(name="This Slack workspace", whom=" at this moment by another program", hint="")
        for tenant in await _all_tenants(url):
            if tenant != ctx.tenant.id:
                async with ctx.database.transaction(tenant, read_only=True) as db:
                    if await workspaces.find(db, tenant, team) is not None:
                        raise AlreadyLinked(
                            name="This Slack workspace", whom=" to another tenant",
                            hint="Unlink it there first: smartcampaign slack unlink --tenant NAME",
                        )  # fmt: skip
        async with recorded_as("link_workspace", "write", ctx).transaction() as db:
            before = await workspaces.find(db, ctx.tenant.id, team)
            if before is not None:
                await workspaces.set_members_role(db, ctx.tenant.id, team, members)
            elif not await workspaces.add(
                db, ctx.tenant.id, team, kind="slack", name=SLACK, members_role=members, created_by=ctx.actor.name,
                at=ctx.now(),
            ):  # fmt: skip
                raise AlreadyLinked(
                    name="Another Slack workspace", whom="", hint="Unlink it first: smartcampaign slack unlink"
                )
            row = await workspaces.find(db, ctx.tenant.id, team)
    assert row is not None
    return row


async def find_team(database: Database, team: str) -> UUID:
    """The tenant that a Slack workspace is linked to. Looks into each tenant alone. Raises `NotLinked`."""
    for tenant in await _all_tenants(database.url):
        async with database.transaction(tenant, read_only=True) as db:
            if await workspaces.find(db, tenant, team) is not None:
                return tenant
    raise NotLinked(id=team, group="slack")


async def add_hook(
    ctx: Context, id: str, kind: Kind, name: str, *, members: MembersRole | None, tokens: list[str], is_signed: bool,
    answers_to: str | None,
) -> WorkspaceRow:  # fmt: skip
    """Make a hook for a chat. Raises `AlreadyLinked` for a name that is taken, or `InvalidArguments`."""
    at_least("owner", ctx.actor.role, "to make a hook")
    name = _name(name)
    if name.lower() == SLACK.lower():
        raise InvalidArguments(problems="A hook can't be called Slack: the log would take its people for Slack's.")
    hashes = [_hashed(token) for token in tokens]
    async with recorded_as("add_hook", "write", ctx).transaction() as db:
        if not await workspaces.add(
            db, ctx.tenant.id, id, kind=kind, name=name, members_role=members, token_hashes=hashes,
            is_signed=is_signed, answers_to=answers_to, created_by=ctx.actor.name, at=ctx.now(),
        ):  # fmt: skip
            raise AlreadyLinked(name=name, whom="", hint="Choose another name, or end that one first.")
        row = await workspaces.find(db, ctx.tenant.id, id)
    assert row is not None
    return row


async def add_token(ctx: Context, name: str, token: str) -> WorkspaceRow:
    """Let calls with this token in, beside those that are let in already. Only its hash is kept."""
    at_least("owner", ctx.actor.role, "to change a hook")
    hashed = _hashed(token)
    async with recorded_as("add_hook_token", "write", ctx).transaction() as db:
        row = _called(name, await workspaces.every(db, ctx.tenant.id), hooks=True)
        if hashed not in row.token_hashes:
            if len(row.token_hashes) >= MOST_TOKENS:
                raise InvalidArguments(problems=f"{row.name} has {MOST_TOKENS} tokens already. Make another hook.")
            await workspaces.set_tokens(db, ctx.tenant.id, row.workspace_id, [*row.token_hashes, hashed])
    return row


def opens(row: WorkspaceRow, token: str) -> bool:
    """Whether a token is one of the hook's. Compares all of them, in constant time."""
    given = hashlib.sha256(token.encode("utf-8", "replace")).digest()
    return sum(hmac.compare_digest(given, known) for known in row.token_hashes) > 0


async def every(ctx: Context) -> list[WorkspaceRow]:
    """What is linked, oldest first. Raises `NotAllowed` for less than an owner."""
    at_least("owner", ctx.actor.role, "to list what is linked")
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        return await workspaces.every(db, ctx.tenant.id)


async def find(ctx: Context, name: str | None) -> WorkspaceRow:
    """A hook by its name, or with None the Slack workspace. Raises `NoSuchWorkspace`."""
    rows = await every(ctx)
    return _called(name or SLACK, rows, hooks=name is not None)


async def remove(ctx: Context, name: str | None) -> WorkspaceRow:
    """Take away a hook, or with None Slack's link, with everybody who was let in by it."""
    at_least("owner", ctx.actor.role, "to unlink a chat")
    async with recorded_as("unlink_workspace", "write", ctx).transaction() as db:
        row = _called(name or SLACK, await workspaces.every(db, ctx.tenant.id), hooks=name is not None)
        await workspaces.remove(db, ctx.tenant.id, row.workspace_id)
    return row


async def allow(ctx: Context, workspace: str | None, person: str, role: Role, name: str | None = None) -> PersonRow:
    """Let somebody in, or change their role. `person` is the chat's id of them; `name` is what the log calls them."""
    at_least("owner", ctx.actor.role, "to let somebody in")
    person = person.strip()
    if not re.fullmatch(r"[A-Za-z0-9._@:-]{1,100}", person):
        raise InvalidArguments(problems=f"{person[:60]!r} is no id of a person in a chat; Slack's look like U024BE7LH.")
    called = _name(name or person)
    try:
        async with recorded_as("allow_person", "write", ctx).transaction() as db:
            row = _called(workspace or SLACK, await workspaces.every(db, ctx.tenant.id), hooks=workspace is not None)
            await workspaces.allow(
                db, ctx.tenant.id, row.workspace_id, person, name=called, role=role, added_by=ctx.actor.name,
                at=ctx.now(),
            )  # fmt: skip
            known = await workspaces.person(db, ctx.tenant.id, row.workspace_id, person)
    except psycopg.errors.UniqueViolation:
        raise NameTaken(name=called, workspace=workspace or SLACK) from None
    assert known is not None
    return known


async def disallow(ctx: Context, workspace: str | None, person: str) -> None:
    """Let somebody in no more, from the commit on. Raises `NoSuchPerson`."""
    at_least("owner", ctx.actor.role, "to take somebody out")
    async with recorded_as("disallow_person", "write", ctx).transaction() as db:
        row = _called(workspace or SLACK, await workspaces.every(db, ctx.tenant.id), hooks=workspace is not None)
        if not await workspaces.disallow(db, ctx.tenant.id, row.workspace_id, person.strip()):
            raise NoSuchPerson(person=person[:60], name=row.name)


async def people(ctx: Context, workspace: str | None) -> tuple[WorkspaceRow, list[PersonRow]]:
    """Everybody who was let in by name."""
    row = await find(ctx, workspace)
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        return row, await workspaces.people(db, ctx.tenant.id, row.workspace_id)


def _called(name: str, rows: list[WorkspaceRow], *, hooks: bool) -> WorkspaceRow:
    found = [row for row in rows if row.name.lower() == name.strip().lower() and (row.kind != "slack") == hooks]
    if not found:
        known = ", ".join(row.name for row in rows if (row.kind != "slack") == hooks)
        hint = " Link it with: smartcampaign slack link" if not hooks else f" There are: {known or 'none yet'}."
        raise NoSuchWorkspace(name=name[:60], hint=hint)
    return found[0]


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidArguments(problems="A name has 1 to 100 characters.")
    return name


def _hashed(token: str) -> bytes:
    token = token.strip()
    if len(token) < SHORTEST_TOKEN:
        raise InvalidArguments(problems=f"A token has at least {SHORTEST_TOKEN} characters, made by a program.")
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


async def _all_tenants(url: str) -> list[UUID]:
    return [row.id for row in await asyncio.to_thread(tenants.all_of, url)]
