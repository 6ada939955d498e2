"""`smartcampaign serve` and `events`, as a user runs them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from db.pool import Database
from mail.links import Links, LinkSettings
from tests.interfaces.cli.conftest import Home

READER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SHOP = "https://shop.example/lamps"


@pytest.fixture
def tenant(home: Home) -> tuple[str, UUID]:
    """A tenant with a campaign that one person got."""
    name = f"Shop {uuid4().hex[:6]}"
    assert home.call("tenants", "add", name).code == 0
    with psycopg.connect(home.url) as db:
        row = db.execute("SELECT id FROM tenants WHERE name = %s", (name,)).fetchone()
        assert row is not None
        campaign, contact = uuid4(), uuid4()
        at = datetime.now(UTC) - timedelta(hours=2)
        db.execute(
            "INSERT INTO contacts (tenant_id, contact_id, email) VALUES (%s, %s, 'a@example.org')", (row[0], contact)
        )
        db.execute(
            "INSERT INTO campaigns (tenant_id, campaign_id, name, status) VALUES (%s, %s, 'Lamp Week', 'sent')",
            (row[0], campaign),
        )
        db.execute(
            "INSERT INTO deliveries (tenant_id, campaign_id, contact_id, address, state, sent_at)"
            " VALUES (%s, %s, %s, 'a@example.org', 'sent', %s)",
            (row[0], campaign, contact, at),
        )
        for kind, agent, url in (("open", READER, None), ("click", "curl/8.4.0", SHOP)):
            db.execute(
                "INSERT INTO events (tenant_id, campaign_id, contact_id, kind, class, user_agent, url)"
                " VALUES (%s, %s, %s, %s, 'human', %s, %s)",
                (row[0], campaign, contact, kind, agent, url),
            )
        return name, row[0]


def test_verify_finds_what_was_never_counted_and_repairs_it(home: Home, tenant: tuple[str, UUID]) -> None:
    found = home.call("events", "verify", "--tenant", tenant[0])
    assert found.code == 1
    assert "email_sent_count: 0, recounted 1" in found.out
    assert "clicks on https://shop.example/lamps" in found.out
    assert home.call("events", "verify", "--tenant", tenant[0], "--campaign", "lamp week", "--repair").code == 0
    again = home.call("events", "verify", "--tenant", tenant[0])
    assert (again.code, again.out) == (0, "1 campaign: every figure equals the recount.\n")


def test_reclassify_judges_by_todays_rules_and_counts_what_changed(home: Home, tenant: tuple[str, UUID]) -> None:
    home.call("events", "verify", "--tenant", tenant[0], "--repair")
    judged = home.call("events", "reclassify", "--tenant", tenant[0])
    assert judged.out == "Looked at what 1 people opened and clicked in 1 campaign: 2 verdicts changed.\n"
    with psycopg.connect(home.url) as db:
        rows = db.execute(
            "SELECT kind, class, reason FROM events WHERE tenant_id = %s ORDER BY 1", (tenant[1],)
        ).fetchall()
    assert rows == [("click", "machine", "library"), ("open", "human", "browser")]
    assert home.call("events", "verify", "--tenant", tenant[0]).code == 0
    assert "0 verdicts changed" in home.call("events", "reclassify", "--tenant", tenant[0]).out
    later = home.call("events", "reclassify", "--tenant", tenant[0], "--since", "2026-01-01", "--campaign", "Lamp Week")
    assert later.code == 0
    wrong = home.call("events", "reclassify", "--tenant", tenant[0], "--campaign", "Lmap Week")
    assert (wrong.code, "Did you mean" in wrong.err) == (1, True)


def test_bounces_need_a_mailbox_and_read_one(home: Home, tenant: tuple[str, UUID], tmp_path: Path) -> None:
    assert "SMARTCAMPAIGN_BOUNCES" in home.call("events", "bounces", "--tenant", tenant[0]).err
    for folder in ("new", "cur", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "new" / "1.a.x").write_bytes(b"From: a@b.example\n\nHello")
    read = home.call("events", "bounces", "--tenant", tenant[0], "--mailbox", f"maildir:{tmp_path}")
    assert read.out == "Read 1 mail: 0 new reports.\n"
    assert (
        "Read 0 mails" in home.call("events", "bounces", "--tenant", tenant[0], "--mailbox", f"maildir:{tmp_path}").out
    )
    assert home.call("events", "bounces", "--tenant", tenant[0], "--mailbox", "maildir:/none").code == 1


def test_a_providers_address_needs_one_of_our_own(home: Home, tenant: tuple[str, UUID]) -> None:
    assert "SMARTCAMPAIGN_PUBLIC_URL" in home.call("events", "hook", "postmark", "--tenant", tenant[0]).err
    public = {"SMARTCAMPAIGN_PUBLIC_URL": "https://mail.example.com/"}
    shown = home.call("events", "hook", "postmark", "--tenant", tenant[0], **public)
    assert re.fullmatch(r"https://mail\.example\.com/b/[\w-]{80,}\n", shown.out)
    assert "There are: generic" in home.call("events", "hook", "sendmail", "--tenant", tenant[0], **public).err


def test_a_shops_hosts_are_said_and_shown(home: Home, tenant: tuple[str, UUID]) -> None:
    assert "No hosts" in home.call("events", "hosts", "--tenant", tenant[0]).out
    assert home.call("events", "hosts", "Shop.Example.com", "b.example", "--tenant", tenant[0]).out == (
        "b.example, shop.example.com\n"
    )
    for wrong in ("https://shop.example", "shop", "shop.example/x", "*.example", "-a.example"):
        assert home.call("events", "hosts", "--tenant", tenant[0], "--", wrong).code == 1
    assert "shop.example.com" in home.call("events", "hosts", "--tenant", tenant[0]).out
    assert "No hosts" in home.call("events", "hosts", "--none", "--tenant", tenant[0]).out


@pytest.mark.parametrize(("arguments", "words"), [
    (["--host", "0.0.0.0"], "there is no API key yet"), (["--tracking", "0.0.0.0:8001"], "SMARTCAMPAIGN_PUBLIC_URL"),
    (["--host", "mail.example.com"], "there is no API key yet"),
])  # fmt: skip
def test_others_are_not_served_by_accident(home: Home, arguments: list[str], words: str) -> None:
    refused = home.call("serve", *arguments)
    assert refused.code == 1
    assert words in refused.err


@pytest.mark.parametrize(("name", "value"), [
    ("SMARTCAMPAIGN_PUBLIC_URL", "mail.example.com"), ("SMARTCAMPAIGN_PUBLIC_URL", "https://u:p@mail.example.com"),
    ("SMARTCAMPAIGN_SECRET", "short"), ("SMARTCAMPAIGN_SECRET", f"{'x' * 40} short"),
])  # fmt: skip
def test_a_setting_that_would_not_work_is_refused(home: Home, name: str, value: str) -> None:
    refused = home.call("events", "verify", **{name: value})
    assert refused.code == 1
    assert name in refused.err
    assert value.rpartition(" ")[0] not in refused.err or " " not in value


def get(url: str, **headers: str) -> tuple[int, str]:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object) -> None:
            return None

    request = urllib.request.Request(url, headers={"User-Agent": READER} | headers)
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=10) as answer:
            return answer.status, answer.read().decode("latin-1")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Location") or error.read().decode()


def links_of(url: str, tenant: UUID, base: str) -> tuple[str, str]:
    """A picture and a link of the campaign's only mail."""

    async def made() -> tuple[str, str]:
        database = Database(url, max_size=1)
        await database.open()
        async with database.transaction(tenant) as db:
            links = await Links.load(db, tenant, LinkSettings(base))
            row = await (await db.execute("SELECT campaign_id, contact_id FROM deliveries")).fetchone()
        await database.close()
        assert row is not None
        to = links.to(row[0], row[1])
        return to.pixel, to.link(SHOP)

    return asyncio.run(made())


def test_serve_answers_here_and_there_and_writes_everything_before_it_ends(
    home: Home, tenant: tuple[str, UUID]
) -> None:
    environment = {"DATABASE_URL": home.url, "SMARTCAMPAIGN_PUBLIC_URL": "http://127.0.0.1:18431"}
    with home.started("serve", "--port", "18430", "--tracking", "127.0.0.1:18431", **environment) as program:
        assert program.stdout is not None
        assert "http://127.0.0.1:18430" in program.stdout.readline()
        assert "18431" in program.stdout.readline()
        health = ""
        for _ in range(100):
            try:
                health = get("http://127.0.0.1:18430/health")[1]
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        assert json.loads(health)["status"] == "ok"
        assert get("http://127.0.0.1:18430/health", Host="mail.example.com")[0] == 400
        pixel, link = links_of(home.url, tenant[1], "http://127.0.0.1:18431")
        assert get(pixel)[0] == 200
        assert get(link) == (302, SHOP)
        assert get(link[:-1])[0] == 404
        assert get("http://127.0.0.1:18431/docs")[0] == 404
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 128 + signal.SIGTERM
    with psycopg.connect(home.url) as db:
        counted = db.execute("SELECT count(*) FROM events WHERE tenant_id = %s", (tenant[1],)).fetchone()
    assert counted == (4,)
    log = (home.path / "smartcampaign.log").read_text() if (home.path / "smartcampaign.log").exists() else ""
    assert pixel.rpartition("/")[2][:40] not in log


def test_a_taken_port_is_one_sentence(home: Home) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = home.run("serve", "--port", str(port), DATABASE_URL=home.url)
    assert refused.code == 1
    assert f"127.0.0.1:{port}" in refused.err
    assert "Traceback" not in refused.err


def test_what_was_written_outlives_a_kill(home: Home, tenant: tuple[str, UUID]) -> None:
    def written() -> int:
        with psycopg.connect(home.url) as db:
            row = db.execute("SELECT count(*) FROM events WHERE tenant_id = %s", (tenant[1],)).fetchone()
        return int(row[0]) if row else 0

    with home.started("serve", "--port", "18432", DATABASE_URL=home.url) as program:
        pixel, _ = links_of(home.url, tenant[1], "http://127.0.0.1:18432")
        for _ in range(200):
            with contextlib.suppress(urllib.error.URLError):
                get(pixel)
                break
            time.sleep(0.1)
        for _ in range(100):
            if written() == 3:
                break
            time.sleep(0.1)
        program.kill()
        program.wait()
    assert written() == 3
