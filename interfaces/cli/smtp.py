"""`smartcampaign smtp test`: talk to the mail server, and print what was said."""

from __future__ import annotations

import sys
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

from interfaces.cli.running import DONE, FAILED, Stop, program, settings_for
from interfaces.cli.typeset import printable

if TYPE_CHECKING:
    from mail.servers import Server


async def test(address: str | None, tenant: str | None) -> int:
    """Connect to each server, log in, and with `address` send a short mail; print the talk. Returns 1 if one failed."""
    settings = settings_for(tenant)
    servers = settings.mail_servers()
    if not servers:
        raise Stop("No mail server is set. Set SMTP_URL, like smtp://user:password@mail.example.org:587")
    sender, to = "", ""
    if address:
        sender, to = await _sender(tenant), _checked(address)
    failed = 0
    for server in servers:
        sys.stdout.write(f"{server.name}\n")
        failed += not await _try(server, sender, to)
    return FAILED if failed else DONE


async def _try(server: Server, sender: str, to: str) -> bool:
    from mail.smtp import Connection, Unreachable

    connection = Connection(server, told=_print)
    try:
        await connection.open()
        if to:
            outcome = await connection.send(sender, to, _message(sender, to))
            if outcome.kind != "sent":
                sys.stdout.write(f"It did not take the mail: {printable(outcome.text)}\n")
                return False
        await connection.close()
    except Unreachable as error:
        sys.stdout.write(f"{printable(str(error))}\n")
        return False
    sys.stdout.write(
        "It took the mail.\n" if to else "It lets us in. With an address behind the command a mail goes there.\n"
    )
    return True


def _message(sender: str, to: str) -> bytes:
    from datetime import UTC, datetime

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, "[TEST] SmartCampaign reaches you"
    mail["Date"], mail["Message-ID"] = format_datetime(datetime.now(UTC)), make_msgid(domain=sender.rpartition("@")[2])
    mail.set_content("This mail was sent by `smartcampaign smtp test`. Nothing else is in it.\n")
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


async def _sender(tenant: str | None) -> str:
    from db import tenants

    async with program(tenant) as opened:
        ctx = opened.context()
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            row = await tenants.find(db, ctx.tenant.id)
    if row is None or not row.sender_email:
        raise Stop("No sender is set. Set one with: smartcampaign tenants change NAME --sender-email ADDRESS")
    return row.sender_email


def _checked(address: str) -> str:
    from tools.fields import checked_email

    return checked_email(address)[0]


def _print(who: str, line: str) -> None:
    sys.stdout.write(f"{who}: {printable(line)}\n")
