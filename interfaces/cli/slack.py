"""Slack at the terminal: the app's manifest, the link to a tenant, and who may do what."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from interfaces.cli.running import DONE, Stop, program
from interfaces.cli.typeset import printable, show_markdown

if TYPE_CHECKING:
    from db.workspaces import MembersRole, PersonRow, WorkspaceRow
    from interfaces.settings import Settings, SlackSettings
    from tools.base import Role


def manifest(url: str | None, *, socket: bool) -> int:
    """Print the manifest to paste at api.slack.com/apps. Raises `Stop`."""
    from urllib.parse import urlsplit

    from interfaces.slack.manifest import manifest

    if (url is None) == (not socket):
        raise Stop("Say one of --url ADDRESS (Slack calls us) and --socket (we connect to Slack).")
    if url is not None and (urlsplit(url).scheme != "https" or not urlsplit(url).hostname):
        raise Stop("Slack calls only addresses that begin with https://, like https://app.example.com.")
    sys.stdout.write(json.dumps(manifest(url), indent=2) + "\n")
    return DONE


async def link(tenant: str | None, members: MembersRole | None) -> int:
    """Link the workspace of SLACK_BOT_TOKEN to the tenant."""
    async with program(tenant) as opened:
        from tools import workspaces

        settings = _settings(opened.settings)
        found = await _ask(settings, "auth.test")
        row = await workspaces.link_slack(opened.context(), found["team_id"], members=members)
        may = f"Its members may act as {row.members_role}." if row.members_role else "Nobody in it may do anything yet."
        show_markdown(
            f"{printable(found.get('team', row.workspace_id))} is linked to {printable(opened.tenant.name)}. {may} "
            "Let people in with: smartcampaign slack allow ID --role ROLE"
        )
    return DONE


async def unlink(tenant: str | None) -> int:
    """End the link."""
    async with program(tenant) as opened:
        from tools import workspaces

        await workspaces.remove(opened.context(), None)
        show_markdown("Slack is not linked any more. Everybody who was let in is out.")
    return DONE


async def allow(person: str, role: Role, name: str | None, tenant: str | None) -> int:
    """Let somebody in, called as Slack calls them unless a name is given."""
    async with program(tenant) as opened:
        from tools import workspaces

        settings = _settings(opened.settings)
        if name is None:
            profile = (await _ask(settings, "users.info", user=person))["user"]["profile"]
            name = profile.get("display_name") or profile.get("real_name")
        row = await workspaces.allow(opened.context(), None, person, role, name)
        show_markdown(f"{printable(row.name)} ({row.person_id}) may act as {row.role}.")
    return DONE


async def remove(person: str, tenant: str | None) -> int:
    """Take somebody out."""
    async with program(tenant) as opened:
        from tools import workspaces

        await workspaces.disallow(opened.context(), None, person)
        show_markdown(f"{printable(person)} is let in no more.")
    return DONE


async def people(tenant: str | None) -> int:
    """List who was let in."""
    async with program(tenant) as opened:
        from tools import workspaces

        row, named = await workspaces.people(opened.context(), None)
        show_people(row, named)
    return DONE


def show_people(row: WorkspaceRow, named: list[PersonRow]) -> None:
    """Who may do what in a linked chat."""
    others = f"Others who are in it: {row.members_role}." if row.members_role else "Others who are in it: nothing."
    lines = [f"| {each.person_id} | {printable(each.name)} | {each.role} |" for each in named]
    table = ["| id | name | role |", "|---|---|---|", *lines, ""] if lines else []
    show_markdown("\n".join([*table, others]))


def _settings(settings: Settings) -> SlackSettings:
    found = settings.slack()
    if found is None:
        raise Stop("SLACK_BOT_TOKEN is not set. docs/slack.md tells how to make the app and where its token stands.")
    return found


async def _ask(settings: SlackSettings, method: str, **parameters: str) -> Any:
    """What Slack's API answers. Raises `Stop`."""
    from aiohttp import ClientError
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.async_client import AsyncWebClient

    client = AsyncWebClient(token=settings.bot_token, base_url=settings.api_url, timeout=15)
    try:
        return (await client.api_call(method, params=parameters)).data
    except SlackApiError as error:
        raise Stop(f"Slack refused {method}: {error.response.get('error')}. Is SLACK_BOT_TOKEN the app's?") from None
    except (ClientError, TimeoutError, OSError):
        raise Stop(f"Slack can't be reached at {settings.api_url}.") from None
