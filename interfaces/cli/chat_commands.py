"""`smartcampaign slack ..` and `hooks ..`: names, options and help. What they do is in slack.py and hooks.py."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn

import typer

from interfaces.cli.running import leave, run

slack_app = typer.Typer(help="Slack: its app, the link to it, and who in it may do what.", no_args_is_help=True)
hooks_app = typer.Typer(help="Mattermost, Rocket.Chat and other chats that call us.", no_args_is_help=True)

Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Whose data; else SMARTCAMPAIGN_TENANT, or the only one.")
]
RoleName = Literal["viewer", "editor", "sender", "owner"]
Role = Annotated[
    RoleName, typer.Option("--role", help="viewer reads, editor writes, sender sends and approves, owner erases too.")
]
Members = Annotated[
    Literal["viewer", "editor"] | None,
    typer.Option("--members", help="What those may do who were not let in by name; else nothing."),
]
Called = Annotated[str | None, typer.Option("--name", help="What the log and approvals call them.")]
Hook = Annotated[str, typer.Argument(metavar="HOOK", help="The hook's name.")]


@slack_app.command()
def manifest(
    url: Annotated[
        str | None, typer.Option("--url", help="Where Slack reaches us, like https://app.example.com")
    ] = None,
    socket: Annotated[bool, typer.Option("--socket", help="Socket Mode: we connect to Slack.")] = False,
) -> NoReturn:
    """Print the app's manifest, to be pasted at api.slack.com/apps.

    Example: smartcampaign slack manifest --socket
    """
    from interfaces.cli.slack import manifest

    leave(lambda: manifest(url, socket=socket))


@slack_app.command()
def link(members: Members = None, tenant: Tenant = None) -> NoReturn:
    """Link the workspace of SLACK_BOT_TOKEN to a tenant, or say anew what its members may do.

    Example: smartcampaign slack link --members viewer
    """
    from interfaces.cli.slack import link

    run(lambda: link(tenant, members))


@slack_app.command()
def unlink(tenant: Tenant = None) -> NoReturn:
    """End the link: nobody in Slack is answered any more.

    Example: smartcampaign slack unlink
    """
    from interfaces.cli.slack import unlink

    run(lambda: unlink(tenant))


@slack_app.command()
def allow(
    person: Annotated[str, typer.Argument(metavar="ID", help="Slack's id of them, like U024BE7LH (in their profile).")],
    role: Role = "editor",
    name: Called = None,
    tenant: Tenant = None,
) -> NoReturn:
    """Let somebody in, or change their role.

    Example: smartcampaign slack allow U024BE7LH --role sender
    """
    from interfaces.cli.slack import allow

    run(lambda: allow(person, role, name, tenant))


@slack_app.command()
def remove(
    person: Annotated[str, typer.Argument(metavar="ID", help="Slack's id of them.")], tenant: Tenant = None
) -> NoReturn:
    """Take somebody out. It holds at once.

    Example: smartcampaign slack remove U024BE7LH
    """
    from interfaces.cli.slack import remove

    run(lambda: remove(person, tenant))


@slack_app.command()
def people(tenant: Tenant = None) -> NoReturn:
    """List who was let in.

    Example: smartcampaign slack people
    """
    from interfaces.cli.slack import people

    run(lambda: people(tenant))


@hooks_app.command("add")
def add_hook(
    name: Annotated[str, typer.Argument(help="What the log and approvals call it, like the chat's name.")],
    kind: Annotated[
        Literal["mattermost", "rocket.chat", "json"],
        typer.Option("--for", help="Which chat calls; json: your own program."),
    ],
    signed: Annotated[bool, typer.Option("--signed", help="Calls are signed (HMAC) and carry no token.")] = False,
    answers: Annotated[
        str | None, typer.Option("--answers", help="Where late answers may go, like https://chat.example.com")
    ] = None,
    members: Members = None,
    tenant: Tenant = None,
) -> NoReturn:
    """Make a hook: prints its address, and its token or key, once.

    Example: smartcampaign hooks add "Team chat" --for mattermost
    """
    from interfaces.cli.hooks import add

    run(lambda: add(name, kind, tenant, signed=signed, answers=answers, members=members))


@hooks_app.command()
def token(hook: Hook, tenant: Tenant = None) -> NoReturn:
    """Let calls in that carry the token which the chat made; it is read from standard input.

    Example: smartcampaign hooks token "Team chat"
    """
    from interfaces.cli.hooks import add_token

    run(lambda: add_token(hook, tenant))


@hooks_app.command("list")
def list_hooks(tenant: Tenant = None) -> NoReturn:
    """List the hooks with their addresses.

    Example: smartcampaign hooks list
    """
    from interfaces.cli.hooks import list_all

    run(lambda: list_all(tenant))


@hooks_app.command("allow")
def allow_in_hook(
    hook: Hook,
    person: Annotated[
        str, typer.Argument(metavar="ID", help="The chat's id of them; it tells them when they are refused.")
    ],
    role: Role = "editor",
    name: Called = None,
    tenant: Tenant = None,
) -> NoReturn:
    """Let somebody in, or change their role.

    Example: smartcampaign hooks allow "Team chat" 8wiz6cb9nbrzpk7y1jbqh5xjyr --role sender --name Ada
    """
    from interfaces.cli.hooks import allow

    run(lambda: allow(hook, person, role, name, tenant))


@hooks_app.command("remove")
def remove_from_hook(
    hook: Hook,
    person: Annotated[str, typer.Argument(metavar="ID", help="The chat's id of them.")],
    tenant: Tenant = None,
) -> NoReturn:
    """Take somebody out. It holds at once.

    Example: smartcampaign hooks remove "Team chat" 8wiz6cb9nbrzpk7y1jbqh5xjyr
    """
    from interfaces.cli.hooks import remove

    run(lambda: remove(hook, person, tenant))


@hooks_app.command("people")
def people_of_hook(hook: Hook, tenant: Tenant = None) -> NoReturn:
    """List who was let in.

    Example: smartcampaign hooks people "Team chat"
    """
    from interfaces.cli.hooks import people

    run(lambda: people(hook, tenant))


@hooks_app.command()
def end(hook: Hook, tenant: Tenant = None) -> NoReturn:
    """End a hook: its address answers nobody any more.

    Example: smartcampaign hooks end "Team chat"
    """
    from interfaces.cli.hooks import end

    run(lambda: end(hook, tenant))
