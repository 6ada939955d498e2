"""Backups on the command line: where to, how far, and what to do next."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from interfaces.cli.running import DONE, Stop, settings_for

if TYPE_CHECKING:
    from db.backup import Told


async def back_up(path: Path, *, force: bool) -> int:
    """Write a backup to `path`. Raises `Stop` for a place that can't be written to."""
    path = _place(path, force)
    from db.backup import back_up
    from interfaces.wiring import open_database

    started = time.monotonic()
    async with open_database(settings_for()) as url:
        await asyncio.to_thread(back_up, url, path, _told())
    megabytes = max(0.1, (await asyncio.to_thread(path.stat)).st_size / 1e6)
    sys.stdout.write(
        f"All data is in {path} ({megabytes:,.1f} MB, {time.monotonic() - started:.0f} s). It holds personal data: "
        "keep it where nobody else can read it.\nSettings and key files are not in it.\n"
    )
    return DONE


async def restore(path: Path) -> int:
    """Put the backup at `path` into the empty database of the settings."""
    from db import backup
    from db.indexes import LARGE
    from interfaces.wiring import open_database

    async with open_database(settings_for()) as url:
        done = await asyncio.to_thread(backup.restore, url, path, _told())
    sys.stdout.write(
        f"Restored. Contacts: {done.contacts:,}; campaigns: {done.campaigns:,}.\n"
        "Sending is halted: a mail that left after the backup was made would leave again. Look at what is under way "
        "(smartcampaign campaigns list), cancel what had gone on, then: smartcampaign resume-sending\n"
    )
    if done.contacts >= LARGE:
        sys.stdout.write("Large lists are searched faster after: smartcampaign reembed\n")
    return DONE


def _place(path: Path, force: bool) -> Path:
    path = path.expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise Stop(f"{path} is no place for a file. Name a file in a folder that is there.")
    if path.exists() and not force:
        raise Stop(f"{path} is there already. Choose another name, or --force to write over it.")
    return path


def _told() -> Told | None:
    """Show the table that is at work, on a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(table: str) -> None:
        sys.stderr.write(f"\r\x1b[K{table} ..\r")
        sys.stderr.flush()

    return show
