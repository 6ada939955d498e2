"""The owner's commands: the schema, and the tenants of the database."""

from __future__ import annotations

import asyncio
import re
import zoneinfo
from typing import Any

from interfaces.cli.jobs import show_json
from interfaces.cli.running import DONE, Stop, settings_for
from interfaces.cli.typeset import printable, show_markdown


async def migrate() -> int:
    """Bring the schema up to date and say how it stands."""
    from db.migrate import all_migrations
    from interfaces.wiring import open_database

    async with open_database(settings_for()):
        names = [migration.name for migration in all_migrations()]
    show_markdown(f"The schema is up to date: {', '.join(names)}.")
    return DONE


async def list_all(*, as_json: bool) -> int:
    """Print the tenants, oldest first."""
    from db import tenants
    from interfaces.wiring import open_database

    async with open_database(settings_for()) as url:
        rows = await asyncio.to_thread(tenants.all_of, url)
    if as_json:
        show_json([
            {"id": row.id, "name": row.name, "time_zone": row.time_zone, "country": row.country,
             "sender_name": row.sender_name, "sender_email": row.sender_email}
            for row in rows
        ])  # fmt: skip
    elif not rows:
        show_markdown("There are no tenants yet; the first start of the chat makes one.")
    else:
        lines = [f"| {row.name} | {row.time_zone} | {row.country} | {row.sender_email or ''} |" for row in rows]
        show_markdown("\n".join(["| name | time zone | country | sender |", "|---|---|---|---|", *lines]))
    return DONE


async def add(name: str, *, time_zone: str | None, country: str | None) -> int:
    """Add a tenant. Raises `Stop` when a value can't be used."""
    from db import tenants
    from interfaces.wiring import open_database

    name, zone, code = _name(name), _zone(time_zone) or "UTC", _country(country) or "US"
    async with open_database(settings_for()) as url:
        id = await asyncio.to_thread(tenants.add, url, name=name, time_zone=zone, country=code)
    if id is None:
        raise Stop(f"There is already a tenant called {name}.")
    show_markdown(f"Added {name} ({zone}, {code}). Work in it with: smartcampaign chat --tenant {_quoted(name)}")
    return DONE


async def change(
    tenant: str, *, name: str | None = None, time_zone: str | None = None, country: str | None = None,
    sender_name: str | None = None, sender_email: str | None = None, send_cap: int | None = None,
    daily_cap: int | None = None, rate: float | None = None, own_addresses: list[str] | None = None,
) -> int:  # fmt: skip
    """Change what is given. Raises `Stop` when a value can't be used."""
    import psycopg

    from db import tenants
    from interfaces.wiring import find_tenant, open_database
    from tools.fields import checked_email

    changes: dict[str, Any] = {
        "name": _name(name) if name is not None else None,
        "time_zone": _zone(time_zone),
        "country": _country(country),
        "sender_name": printable(sender_name).strip() if sender_name else None,
        "sender_email": checked_email(sender_email)[0] if sender_email else None,
        "send_cap": send_cap,
        "daily_cap": daily_cap,
        "rate": rate,
        "own_addresses": [checked_email(address)[0] for address in own_addresses] if own_addresses else None,
    }
    changes = {field: value for field, value in changes.items() if value is not None}
    if not changes:
        raise Stop("Nothing to change was said. The options: smartcampaign tenants change --help")
    async with open_database(settings_for()) as url:
        found = await asyncio.to_thread(find_tenant, url, tenant)
        try:
            await asyncio.to_thread(lambda: tenants.update(url, found.id, **changes))
        except psycopg.errors.UniqueViolation:
            raise Stop(f"There is already a tenant called {changes['name']}.") from None
    changed = ", ".join(f"{field.replace('_', ' ')}: {_shown(value)}" for field, value in changes.items())
    show_markdown(f"Changed {found.name}: {changed}.")
    return DONE


async def use_outbox(tenant: str) -> int:
    """Send nothing of a tenant through a server any more: without SMTP settings its mail goes to the outbox again."""
    from db import tenants
    from interfaces.wiring import find_tenant, open_database

    async with open_database(settings_for()) as url:
        found = await asyncio.to_thread(find_tenant, url, tenant)
        await asyncio.to_thread(tenants.set_live, url, found.id, False)
    show_markdown(f"Without a mail server in the settings, mail of {found.name} goes to the outbox again.")
    return DONE


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _name(text: str) -> str:
    name = " ".join(printable(text).split())
    if not 1 <= len(name) <= 100:
        raise Stop("A tenant's name has 1 to 100 characters.")
    return name


def _zone(text: str | None) -> str | None:
    if text is None:
        return None
    # A zone by its exact name: the files of some systems answer to any case, Postgres may not.
    if text not in zoneinfo.available_timezones():
        raise Stop(f"{text!r} is no time zone. Write it like Europe/London or America/New_York.")
    return text


def _country(text: str | None) -> str | None:
    if text is None:
        return None
    import phonenumbers

    code = text.upper()
    if not re.fullmatch("[A-Z]{2}", code) or code not in phonenumbers.SUPPORTED_REGIONS:
        raise Stop(f"{text!r} is no country code. Write two letters, like GB or US.")
    return code


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)
