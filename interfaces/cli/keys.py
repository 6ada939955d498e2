"""API keys at the terminal: the person at this machine is the owner."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from interfaces.cli.jobs import show_json
from interfaces.cli.running import DONE, program
from interfaces.cli.typeset import printable, show_markdown

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from db.keys import KeyRow, Role


async def create(name: str, role: Role, tenant: str | None, *, days: int | None, as_json: bool) -> int:
    """Make a key and print it: on stdout the key alone, so that a script can keep it."""
    async with program(tenant) as opened:
        from tools import keys
        from tools.dates import in_words

        made = await keys.create(name, role, opened.context(), days=days)
        if as_json:
            show_json(_as_data(made.row) | {"key": made.text})
            return DONE
        until = f"until {in_words(made.row.expires_at, opened.tenant.zone)}" if made.row.expires_at else "until revoked"
        sys.stderr.write(
            f"{printable(made.row.name)}, {role} of {opened.tenant.name}, {until}. This is the only time it is shown:\n"
        )
        sys.stdout.write(f"{made.text}\n")
    return DONE


async def list_all(tenant: str | None, *, as_json: bool) -> int:
    """Print the keys, oldest first."""
    async with program(tenant) as opened:
        from tools import keys

        rows = await keys.every(opened.context())
        if as_json:
            show_json([_as_data(row) for row in rows])
        elif not rows:
            show_markdown("There are no keys. Make one with: smartcampaign keys create NAME --role editor")
        else:
            zone = opened.tenant.zone
            lines = ["| id | name | role | state | last used |", "|---|---|---|---|---|"]
            lines += [
                f"| {str(row.key_id)[:8]} | {printable(row.name)} | {row.role} | {_state(row, zone)} "
                f"| {_day(row.last_used_at, zone) or 'never'} |"
                for row in rows
            ]
            show_markdown("\n".join(lines))
    return DONE


async def revoke(key: str, tenant: str | None) -> int:
    """End a key."""
    async with program(tenant) as opened:
        from tools import keys

        row = await keys.revoke(key, opened.context())
        show_markdown(f"Revoked {printable(row.name)} ({row.role}). It opens nothing any more.")
    return DONE


def _state(row: KeyRow, zone: ZoneInfo) -> str:
    if row.revoked_at is not None:
        return f"revoked {_day(row.revoked_at, zone)}"
    if row.expires_at is not None:
        verb = "expired" if row.expires_at <= datetime.now(UTC) else "until"
        return f"{verb} {_day(row.expires_at, zone)}"
    return "until revoked"


def _day(moment: datetime | None, zone: ZoneInfo) -> str:
    from tools.dates import in_words

    return in_words(moment, zone) if moment else ""


def _as_data(row: KeyRow) -> dict[str, Any]:
    return {
        "id": str(row.key_id), "name": row.name, "role": row.role, "created_by": row.created_by,
        **{name: at.isoformat() if (at := getattr(row, name)) else None
           for name in ("created_at", "expires_at", "revoked_at", "last_used_at")},
    }  # fmt: skip
