"""The worker as doors build it from settings: what it signs, and how it runs beside a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from db import tenants as tenant_rows
from interfaces.settings import BadSettings, Settings
from interfaces.worker import in_background, make_sender
from mail.dkim import Key, KeyPlace, make_key
from tests.mail.smtp_server import serving
from tests.mail.test_dkim import verified
from tests.mail.test_send import LINKS, QUICK, approve, go, live, make_campaign, rows, states, until
from tools import BY_NAME
from tools.base import Context, Tenant

__all__ = ["live"]  # a fixture


def heard(said: list[str], beginning: str) -> Callable[[], Awaitable[bool]]:
    async def is_there() -> bool:
        return any(sentence.startswith(beginning) for sentence in said)

    return is_there


@pytest.fixture
def keys(tmp_path: Path) -> list[Key]:
    """One of each kind, for the tenant's domain."""
    places = [KeyPlace("mail", "shop.example", tmp_path / "a.pem"), KeyPlace("ed", "shop.example", tmp_path / "b.pem")]
    make_key(places[0].path, "rsa")
    make_key(places[1].path, "ed25519")
    return [Key.load(place) for place in places]


def setting(keys: list[Key]) -> str:
    return " ".join(f"{key.place.selector}:{key.place.domain}:{key.place.path}" for key in keys)


async def test_what_leaves_is_signed_for_its_reader(live: Context, database_url: str, keys: list[Key]) -> None:
    """Campaign and test mails, over a real line; each signature is of that one mail."""
    await make_campaign(live, 3)
    await approve(live)
    async with serving() as (server, port):
        await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "hello@shop.example"}, live)
        settings = Settings(smtp_url=f"smtp://127.0.0.1:{port}?starttls=none", dkim=setting(keys))
        await go(make_sender(settings, database_url, live.database, LINKS, only=live.tenant.id, pace=QUICK))

    assert len(server.taken) == 4
    for taken in server.taken:
        assert verified(taken.message, *keys) == [True, True]
        parsed = message_from_bytes(taken.message, policy=policy.default)
        assert parsed["To"].addresses[0].addr_spec == taken.recipient
        assert parsed.keys()[:3] == ["DKIM-Signature", "DKIM-Signature", "From"]
    assert len({message_from_bytes(taken.message)["DKIM-Signature"] for taken in server.taken}) == 4


async def test_a_sender_of_another_domain_is_not_signed_for(live: Context, database_url: str, keys: list[Key]) -> None:
    tenant_rows.update(database_url, live.tenant.id, sender_email="hello@other.example")
    await make_campaign(live, 1)
    await approve(live)
    async with serving() as (server, port):
        settings = Settings(smtp_url=f"smtp://127.0.0.1:{port}?starttls=none", dkim=setting(keys))
        await go(make_sender(settings, database_url, live.database, LINKS, only=live.tenant.id, pace=QUICK))

    assert b"DKIM-Signature" not in server.taken[0].message


async def test_a_key_that_is_gone_stops_the_sending_and_says_so(live: Context, database_url: str) -> None:
    await make_campaign(live, 1)
    await approve(live)
    settings = Settings(dkim="mail:shop.example:/nowhere/at/all.pem")
    said: list[str] = []

    with pytest.raises(BadSettings, match="can't be read"):
        make_sender(settings, database_url, live.database, LINKS)
    with in_background(settings, database_url, LINKS, live.tenant.id, told=said.append):
        await until(heard(said, "Nothing is sent here."))
    assert said == [
        "Nothing is sent here. SMARTCAMPAIGN_DKIM: The key /nowhere/at/all.pem can't be read: "
        "No such file or directory."
    ]
    assert await states(live) == {"ready": 1}


async def test_in_the_background_all_tenants_are_served_and_each_step_is_told(
    live: Context, database_url: str, tmp_path: Path, new_tenant: Callable[[], Tenant]
) -> None:
    await make_campaign(live, 5, "Lantern Fair")
    await approve(live, "Lantern Fair")
    said: list[str] = []
    with in_background(Settings(home=tmp_path), database_url, LINKS, None, told=said.append):
        await until(heard(said, "Lantern Fair is sent."))

    assert said.index("Lantern Fair is being sent.") < said.index("Lantern Fair is sent.")
    assert await states(live) == {"sent": 5}
    assert await rows(live, "SELECT count(*) FROM captured_mails") == [(5,)]


async def test_in_the_background_only_the_tenant_of_a_chat_is_served(
    live: Context, database_url: str, tmp_path: Path, new_tenant: Callable[[], Tenant]
) -> None:
    await make_campaign(live, 2)
    await approve(live)
    other = new_tenant()
    with in_background(Settings(home=tmp_path), database_url, LINKS, other.id):
        await asyncio.sleep(1.5)

    assert await states(live) == {"ready": 2}
