"""`smartcampaign backup` and `restore`: names, options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from interfaces.cli.running import run


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes, such as monday.backup.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> NoReturn:
    """Write all data of all tenants into one file, while everything goes on.

    Example: smartcampaign backup monday.backup
    """
    from interfaces.cli.backups import back_up

    run(lambda: back_up(file, force=force))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup that this program made.")],
) -> NoReturn:
    """Put a backup into an empty database: a new SMARTCAMPAIGN_HOME, or a new DATABASE_URL. Sending stays halted.

    Example: SMARTCAMPAIGN_HOME=~/restored smartcampaign restore monday.backup
    """
    from interfaces.cli.backups import restore

    run(lambda: restore(file))


def add_to(app: typer.Typer) -> None:
    """Add them to the program."""
    for command in (backup, restore):
        app.command()(command)
