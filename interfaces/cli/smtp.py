"""`smartcampaign smtp`: talk to the mail server, and print what was said; keys that sign mails."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import TYPE_CHECKING

from interfaces.cli.running import DONE, FAILED, Stop, make_home, program, settings_for
from interfaces.cli.typeset import printable

if TYPE_CHECKING:
    from mail.dkim import Key
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
    from interfaces.worker import make_signer

    signer = make_signer(settings)
    message = _message(sender, to) if to else b""
    if signer is not None and to:
        message = signer(message, sender.rpartition("@")[2])
    failed = 0
    for server in servers:
        sys.stdout.write(f"{server.name}\n")
        failed += not await _try(server, sender, to, message)
    if signer is not None:
        _show_records(signer.keys)
    return FAILED if failed else DONE


async def dkim(domain: str | None, *, selector: str, ed25519: bool, path: Path | None) -> int:
    """Make a key pair for a domain and say what to do with it; without a domain show the DNS records of the keys set.

    A key file that is there stays as it is, and only its record is shown.
    """
    settings = settings_for()
    from interfaces.worker import make_signer
    from mail.dkim import BadKey, Key, KeyPlace, checked_domain, checked_selector, make_key

    if domain is None:
        signer = make_signer(settings)
        if signer is None:
            raise Stop("No key is set. Make one with: smartcampaign smtp dkim example.com")
        _show_records(signer.keys)
        return DONE
    try:
        place = KeyPlace(checked_selector(selector), checked_domain(domain), Path())
        file = (path or settings.home / "dkim" / f"{place.selector}.{place.domain}.pem").expanduser().absolute()
        place = KeyPlace(place.selector, place.domain, file)
        if path is None:
            make_home(settings.home)
            file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            make_key(file, "ed25519" if ed25519 else "rsa")
            sys.stdout.write(f"A new key is in {file}; only you can read it. Keep a copy with your backups.\n")
        except FileExistsError:
            sys.stdout.write(f"The key in {file} was there already, and stays.\n")
        key = Key.load(place)
    except BadKey as error:
        raise Stop(f"{error}.") from None
    others = [f"{each.selector}:{each.domain}:{each.path}" for each in settings.dkim_keys() if each != place]
    setting = " ".join([*others, f"{place.selector}:{place.domain}:{file}"])
    _show_records([key])
    sys.stdout.write(f'\nWhen it is there, set: SMARTCAMPAIGN_DKIM="{setting}"\n')
    return DONE


def _show_records(keys: Sequence[Key]) -> None:
    from mail.dkim import in_strings

    for key in keys:
        sys.stdout.write(f"\nDNS, for mails from {key.place.domain} ({key.algorithm}):\n")
        sys.stdout.write(f"{key.place.record_name}. TXT {in_strings(key.record)}\n")


async def _try(server: Server, sender: str, to: str, message: bytes) -> bool:
    from mail.smtp import Connection, Unreachable

    connection = Connection(server, told=_print)
    try:
        await connection.open()
        if to:
            outcome = await connection.send(sender, to, message)
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
