"""`smartcampaign keys ..`: names, options and help. What they do is in interfaces/cli/keys.py."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn

import typer

from interfaces.cli.running import run

app = typer.Typer(help="API keys: who may come in through the network, and as what.", no_args_is_help=True)

Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Whose data; else SMARTCAMPAIGN_TENANT, or the only one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for; the log and approvals call it so.")],
    role: Annotated[
        Literal["viewer", "editor", "sender", "owner"],
        typer.Option("--role", help="viewer reads, editor writes, sender sends and approves, owner erases too."),
    ] = "editor",
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, help="Good for so long; else until revoked.")
    ] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Make a key. It is shown once: only its hash is kept.

    Example: smartcampaign keys create "Open WebUI" --role editor --days 90
    """
    from interfaces.cli.keys import create

    run(lambda: create(name, role, tenant, days=days, as_json=as_json))


@app.command("list")
def list_all(tenant: Tenant = None, as_json: Json = False) -> NoReturn:
    """List the keys, also those that are over, with when each was used last.

    Example: smartcampaign keys list
    """
    from interfaces.cli.keys import list_all

    run(lambda: list_all(tenant, as_json=as_json))


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its name, or its id or the beginning of that.")],
    tenant: Tenant = None,
) -> NoReturn:
    """End a key at once. It can't be undone; make a new one.

    Example: smartcampaign keys revoke "Open WebUI"
    """
    from interfaces.cli.keys import revoke

    run(lambda: revoke(key, tenant))
