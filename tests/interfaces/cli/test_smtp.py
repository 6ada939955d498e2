"""`smartcampaign smtp`: the talk with a server, and keys that sign mails; what the doctor says of them."""

from __future__ import annotations

import asyncio
import mailbox
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mail.dkim import Key, KeyPlace, make_key
from tests.interfaces.cli.conftest import Home
from tests.mail.smtp_server import Misbehaving, serving
from tests.mail.test_dkim import verified


@contextmanager
def mail_server() -> Iterator[tuple[Misbehaving, str]]:
    """A server in a thread, and its address as SMTP_URL takes it."""
    ready, stopping = threading.Event(), asyncio.Event()
    found: list[tuple[Misbehaving, int, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with serving() as (manners, port):
            found.append((manners, port, asyncio.get_running_loop()))
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    manners, port, loop = found[0]
    try:
        yield manners, f"smtp://127.0.0.1:{port}?starttls=none"
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()


@pytest.fixture(scope="module")
def tenant(home: Home) -> str:
    added = home.call("tenants", "add", "Smtp", "--time-zone", "Europe/London")
    assert added.code == 0, added.err
    assert home.call("tenants", "change", "Smtp", "--sender-email", "hello@shop.example").code == 0
    return "Smtp"


@pytest.fixture
def key(tmp_path: Path) -> Key:
    place = KeyPlace("mail", "shop.example", tmp_path / "key.pem")
    make_key(place.path, "ed25519")
    return Key.load(place)


def setting(key: Key) -> str:
    return f"{key.place.selector}:{key.place.domain}:{key.place.path}"


def test_a_new_key_comes_with_its_record_and_setting(home: Home, tmp_path: Path) -> None:
    own = replace(home, environment={"SMARTCAMPAIGN_HOME": str(tmp_path / "own data")})
    made = own.call("smtp", "dkim", "Shop.example")
    path = tmp_path / "own data" / "dkim" / "mail.shop.example.pem"

    assert made.code == 0, made.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = Key.load(KeyPlace("mail", "shop.example", path))
    assert "mail._domainkey.shop.example. TXT" in made.out
    assert "".join(re.findall(r'"([^"]+)"', made.out.splitlines()[3])) == key.record
    assert "BEGIN" not in made.out, "the key itself is not shown"
    assert f'SMARTCAMPAIGN_DKIM="mail:shop.example:{path}"' in made.out

    # A second time nothing is replaced; another kind goes beside it, and both stand in the setting.
    held = path.read_bytes()
    again = own.call("smtp", "dkim", "shop.example")
    assert "was there already" in again.out
    assert path.read_bytes() == held
    first = {"SMARTCAMPAIGN_DKIM": f"mail:shop.example:{path}"}
    both = own.call("smtp", "dkim", "shop.example", "--ed25519", "--selector", "ed", **first)
    assert f"mail:shop.example:{path} ed:shop.example:" in both.out
    shown = own.call("smtp", "dkim", **first)
    assert "mail._domainkey.shop.example. TXT" in shown.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "No key is set. Make one with: smartcampaign smtp dkim"), (("shop",), "is no domain"),
        (("shop.example", "--selector", "a b"), "is no selector"),
        (("shop.example", "--out", "/nowhere/at/all/key.pem"), "/nowhere/at/all/key.pem"),
    ],
)  # fmt: skip
def test_what_can_not_be_made_is_one_sentence(home: Home, arguments: tuple[str, ...], expected: str) -> None:
    ended = home.call("smtp", "dkim", *arguments)

    assert ended.code == 1
    assert expected in ended.err
    assert ended.err.count("\n") == 1


def test_the_test_mail_is_signed_and_the_talk_is_shown(home: Home, tenant: str, key: Key) -> None:
    with mail_server() as (manners, url):
        ended = home.call(
            "smtp", "test", "me@example.org", "--tenant", tenant, SMTP_URL=url, SMARTCAMPAIGN_DKIM=setting(key)
        )  # fmt: skip

    assert ended.code == 0, ended.err
    assert "C: RCPT TO:<me@example.org>" in ended.out
    assert "It took the mail." in ended.out
    assert key.record in ended.out
    (taken,) = manners.taken
    assert verified(taken.message, key) == [True]


def test_a_key_that_can_not_be_read_stops_the_sending(home: Home, tenant: str, tmp_path: Path) -> None:
    """Nothing leaves unsigned because a file was moved."""
    broken = {"SMARTCAMPAIGN_DKIM": f"mail:shop.example:{tmp_path}/nothing.pem"}
    for command in (("worker", "--once", "--tenant", tenant), ("smtp", "test")):
        ended = home.call(*command, SMTP_URL="smtp://127.0.0.1:1?starttls=none", **broken)
        assert ended.code == 1
        assert "nothing.pem can't be read: No such file" in ended.err
    assert home.call("tenants", "list", **broken).code == 0, "what sends nothing needs no key"


def test_the_doctor_shows_the_record_and_what_is_wrong(home: Home, key: Key, tmp_path: Path) -> None:
    good = home.call("doctor", SMARTCAMPAIGN_DKIM=setting(key))
    key.place.path.chmod(0o644)
    open_to_all = home.call("doctor", SMARTCAMPAIGN_DKIM=setting(key))
    missing = home.call("doctor", SMARTCAMPAIGN_DKIM=f"mail:shop.example:{tmp_path}/nothing.pem")
    unset = home.call("doctor", SMTP_URL="smtp://127.0.0.1:25", SMARTCAMPAIGN_PUBLIC_URL="https://mail.shop.example")

    assert good.code == 0, good.out
    assert f"TXT record at mail._domainkey.shop.example: {key.record}" in good.out.replace("\n", " ")
    assert "chmod 600" not in good.out
    assert "chmod 600" in open_to_all.out
    assert missing.code == 1
    assert "until then nothing is sent" in missing.out
    assert "smartcampaign smtp dkim DOMAIN" in unset.out


def test_the_doctor_looks_into_the_mailbox_of_returned_mails(home: Home, tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "box")
    key = box.add(b"Subject: x\n\nx\n")
    good = home.call("doctor", SMARTCAMPAIGN_BOUNCES=f"maildir:{tmp_path}/box")
    bad = home.call("doctor", SMARTCAMPAIGN_BOUNCES="imap://x:hushhush@127.0.0.1:1/INBOX")

    assert "the mailbox can be read" in good.out
    assert "S" not in box.get_message(key).get_flags()
    assert bad.code == 1
    assert "The mailbox at 127.0.0.1 can't be read" in bad.out
    assert "hushhush" not in bad.out
