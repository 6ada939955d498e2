"""Hooks at the terminal: made here, with what opens them shown once."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from interfaces.cli.running import DONE, Stop, program
from interfaces.cli.slack import show_people
from interfaces.cli.typeset import printable, show_markdown

if TYPE_CHECKING:
    from db.workspaces import Kind, MembersRole
    from tools.base import Role


async def add(
    name: str, kind: Kind, tenant: str | None, *, signed: bool, answers: str | None, members: MembersRole | None
) -> int:
    """Make a hook. What it is opened with is shown this once."""
    async with program(tenant) as opened:
        from interfaces.hooks import address, signing_key
        from tools import workspaces

        if signed and kind != "json":
            raise Stop("Mattermost and Rocket.Chat sign nothing: leave out --signed, and use their token.")
        key = signing_key(opened.settings, opened.tenant.id, id := str(uuid4())) if signed else None
        if signed and key is None:
            raise Stop("--signed takes SMARTCAMPAIGN_SECRET: the key is made from it and stored nowhere.")
        token = secrets.token_urlsafe(32) if kind != "mattermost" and not signed else None
        await workspaces.add_hook(
            opened.context(), id, kind, name, members=members, tokens=[token] if token else [], is_signed=signed,
            answers_to=_origin(answers) if answers else None,
        )  # fmt: skip
        show_markdown(f"Address: {address(opened.tenant.id, id)} (behind the address of `smartcampaign serve`)")
        if token or key:
            sys.stderr.write(f"The {'token' if token else 'signing key'}, shown only this time:\n")
            sys.stdout.write(f"{token or key}\n")
        else:
            show_markdown(
                f'Mattermost makes the token: enter the address there, then `smartcampaign hooks token "{name}"`.'
            )
    return DONE


async def add_token(hook: str, tenant: str | None) -> int:
    """Read a token from standard input, unseen at a terminal."""
    from getpass import getpass

    given = getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    async with program(tenant) as opened:
        from tools import workspaces

        row = await workspaces.add_token(opened.context(), hook, given)
        show_markdown(f"{printable(row.name)} takes calls with this token.")
    return DONE


async def list_all(tenant: str | None) -> int:
    """Print the hooks."""
    async with program(tenant) as opened:
        from interfaces.hooks import address
        from tools import workspaces

        rows = [row for row in await workspaces.every(opened.context()) if row.kind != "slack"]
        if not rows:
            show_markdown("There are no hooks. Make one with: smartcampaign hooks add NAME --for mattermost")
            return DONE
        lines = ["| name | for | address | late answers to |", "|---|---|---|---|"]
        lines += [
            f"| {printable(row.name)} | {row.kind} | {address(opened.tenant.id, row.workspace_id)} "
            f"| {row.answers_to or 'nobody'} |"
            for row in rows
        ]
        show_markdown("\n".join(lines))
    return DONE


async def allow(hook: str, person: str, role: Role, name: str | None, tenant: str | None) -> int:
    """Let somebody in."""
    async with program(tenant) as opened:
        from tools import workspaces

        row = await workspaces.allow(opened.context(), hook, person, role, name)
        show_markdown(f"{printable(row.name)} may act as {row.role}.")
    return DONE


async def remove(hook: str, person: str, tenant: str | None) -> int:
    """Take somebody out."""
    async with program(tenant) as opened:
        from tools import workspaces

        await workspaces.disallow(opened.context(), hook, person)
        show_markdown(f"{printable(person)} is let in no more.")
    return DONE


async def people(hook: str, tenant: str | None) -> int:
    """List who was let in."""
    async with program(tenant) as opened:
        from tools import workspaces

        show_people(*await workspaces.people(opened.context(), hook))
    return DONE


async def end(hook: str, tenant: str | None) -> int:
    """End a hook."""
    async with program(tenant) as opened:
        from tools import workspaces

        row = await workspaces.remove(opened.context(), hook)
        show_markdown(f"{printable(row.name)} is ended. Its address answers nobody any more.")
    return DONE


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.path.strip("/"):
        raise Stop(f"{url!r} is no address of a chat. Write it like https://chat.example.com.")
    return f"{parts.scheme}://{parts.netloc.lower()}"
