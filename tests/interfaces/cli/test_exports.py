"""Exports at the command line: a file is there whole or not at all. Erasing: the address is typed by a person."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.interfaces.cli.conftest import Home

NOTE = 'collects "punched cards";\n=SUM(A1)'


@pytest.fixture(scope="module")
def shop(home: Home) -> Home:
    """A tenant of this module's own, with two contacts and a campaign."""
    assert home.call("tenants", "add", "Exports", "--time-zone", "Europe/London", "--country", "GB").code == 0
    shop = replace(home, environment={"SMARTCAMPAIGN_TENANT": "Exports"})
    shop.call("contacts", "add", "ada@example.org", "--first-name", "Ada", "--last-name", "Lovelace", "--note", NOTE,
              "--phone", "020 7946 0123", "--tag", "vip")  # fmt: skip
    shop.call("contacts", "add", "zoe@example.org", "--first-name", "Zoé")
    assert shop.call("campaigns", "create", "Lamp Week", "--audience", "everyone").code == 0
    return shop


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_contacts_into_a_file_that_the_import_reads(shop: Home, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    done = shop.call("export", "contacts", str(file))
    assert (done.code, done.out) == (0, f"Exported 2 contacts to {file}.\n"), done.err
    ada, zoe = csv.DictReader(io.StringIO(file.read_bytes().decode(), newline=""))
    assert (ada["phone_number"], ada["description"]) == ("'+442079460123", 'collects "punched cards";\n\'=SUM(A1)')
    assert zoe["first_name"] == "Zoé"
    # It names people: nobody else on this machine may read it.
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert leftovers(tmp_path) == []
    assert shop.call("tenants", "add", "Copied", "--country", "US").code == 0
    copied = shop.call("import", str(file), "--yes", "--tenant", "Copied")
    assert copied.code == 0, copied.err
    shown = json.loads(shop.call("contacts", "show", "ada@example.org", "--tenant", "Copied", "--json").out)
    assert (shown["description"], shown["phone_number"], shown["tags"]) == (NOTE, "+442079460123", ["vip"])


def test_a_pipe_gets_the_file_alone(shop: Home) -> None:
    for arguments in (("export", "contacts"), ("export", "contacts", "-")):
        done = shop.call(*arguments)
        assert done.code == 0
        assert done.out.startswith("email,first_name,")
        assert done.err == "Exported 2 contacts.\n"
    assert shop.call("export", "contacts", "--tag", "vip").out.count("example.org") == 1
    assert shop.call("export", "contacts", "--query", "punched cards").out.count("example.org") == 1
    assert shop.call("export", "contacts", "--status", "bounced").out.count("example.org") == 0
    assert shop.call("export", "contacts", "--campaign", "Lamp Week").out.count("example.org") == 2
    assert shop.call("export", "contacts", "--excel").out.startswith("\ufeffemail")


def test_the_format_follows_the_name(shop: Home, tmp_path: Path) -> None:
    for name, form in (("a.json", None), ("b.jsonl", None), ("c.txt", "jsonl"), ("d.csv", "json")):
        more = ("--format", form) if form else ()
        assert shop.call("export", "contacts", str(tmp_path / name), *more).code == 0
    assert len(json.loads((tmp_path / "a.json").read_text())) == 2
    assert json.loads((tmp_path / "b.jsonl").read_text().splitlines()[0])["phone_number"] == "+442079460123"
    assert json.loads((tmp_path / "c.txt").read_text().splitlines()[0])["email"] == "ada@example.org"
    assert json.loads((tmp_path / "d.csv").read_text())[1]["first_name"] == "Zoé"


def test_a_file_that_is_there_is_not_written_over(shop: Home, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("mine")
    refused = shop.call("export", "contacts", str(file))
    assert refused.code == 1
    assert refused.err == f"{file} is there already. Choose another name, or write over it with --force.\n"
    assert file.read_text() == "mine"
    assert shop.call("export", "contacts", str(file), "--force").code == 0
    assert file.read_text().startswith("email,")


def test_what_cannot_be_written_gets_a_sentence(shop: Home, tmp_path: Path) -> None:
    assert "is a folder" in shop.call("export", "contacts", str(tmp_path)).err
    assert "There is no folder" in shop.call("export", "contacts", str(tmp_path / "no" / "x.csv")).err
    assert shop.call("export", "contacts", "--format", "pdf").err == (
        "There is no format pdf; there are: csv, json, jsonl.\n"
    )
    assert shop.call("export", "contacts", "--format", "json", "--excel").code == 2
    file = tmp_path / "x.csv"
    assert shop.call("export", "contacts", str(file), "--campaign", "Lmap").err.startswith("No campaign is called")
    assert shop.call("export", "results", "Nothing", str(file)).code == 1
    assert list(tmp_path.iterdir()) == []


def test_results(shop: Home, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    done = shop.call("export", "results", str(file))
    assert done.out == f"Exported 1 campaign to {file}.\n"
    (row,) = csv.DictReader(io.StringIO(file.read_text(), newline=""))
    assert (row["campaign"], row["sent"], row["first_sent_at_utc"]) == ("Lamp Week", "0", "")
    one = shop.call("export", "results", "lamp week", str(tmp_path / "one.csv"))
    assert one.out == f"Exported 2 recipients to {tmp_path / 'one.csv'}.\n"
    assert "ada@example.org" in (tmp_path / "one.csv").read_text()
    assert shop.call("export", "results", "Lamp Week").out.startswith("address,")


@contextmanager
def in_the_middle(shop: Home, file: Path) -> Iterator[subprocess.Popen[str]]:
    """An export that has written its header and waits for the first row."""
    with psycopg.connect(shop.url) as db:
        db.execute("LOCK TABLE suppressions IN ACCESS EXCLUSIVE MODE")
        with shop.started("export", "contacts", str(file)) as program:
            deadline = time.monotonic() + 60
            while db.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is None:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield program


def test_ctrl_c_leaves_nothing(shop: Home, tmp_path: Path) -> None:
    with in_the_middle(shop, tmp_path / "people.csv") as program:
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 130
    assert list(tmp_path.iterdir()) == []


def test_after_a_kill_no_file_looks_complete(shop: Home, tmp_path: Path) -> None:
    with in_the_middle(shop, tmp_path / "people.csv") as program:
        program.kill()
        program.wait(30)
    assert [path.name[:12] for path in tmp_path.iterdir()] == [".people.csv."]
    assert leftovers(tmp_path) != []


def test_a_failure_in_the_middle_leaves_nothing(shop: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left", "x")))
    failed = shop.call("export", "contacts", str(tmp_path / "people.csv"))
    assert (failed.code, failed.err) == (1, "x: No space left.\n")
    assert list(tmp_path.iterdir()) == []


def test_one_person(shop: Home, tmp_path: Path) -> None:
    file = tmp_path / "ada.json"
    done = shop.call("export", "person", "ada@example.org", str(file))
    assert done.out == f"Everything known about ada@example.org. It is in {file}.\n"
    found = json.loads(file.read_text())
    assert found["contact"]["description"] == NOTE
    assert found["campaigns"][0]["campaign"] == "Lamp Week"
    assert json.loads(shop.call("export", "person", "nobody@example.org").out)["contact"] is None
    assert shop.call("export", "person", "Nobody Known").err.startswith("No contact is found")


def test_erasing_needs_the_address_typed_at_a_terminal(shop: Home) -> None:
    assert shop.call("contacts", "add", "eve@example.org", "--first-name", "Eve").code == 0
    asked = shop.call("contacts", "erase", "eve@example.org", input="eve@example.org\n")
    assert asked.code == 3
    assert "smartcampaign approve" in asked.out
    assert shop.call("contacts", "show", "eve@example.org").code == 0

    for answer, left in (("y", True), ("EVE@example.org", False)):
        terminal = shop.terminal("contacts", "erase", "eve@example.org", DATABASE_URL=shop.url)
        terminal.wait_for("type the address (eve@example.org): ")
        terminal.type(f"{answer}\r")
        terminal.wait_for("Nothing was done." if left else "The contact is erased.")
        assert terminal.exit_code() == 0
        assert (shop.call("contacts", "show", "eve@example.org").code == 0) == left
    assert shop.call("contacts", "erase", "eve@example.org").err.startswith("No contact is found")


def test_what_was_typed_in_the_chat_is_erased_with_them(shop: Home) -> None:
    shop.call("contacts", "add", "owl@example.org", "--first-name", "Owen", "--last-name", "Owl")
    typed = shop.path / "chat_history"
    typed.write_text("\n# 2026-11-25\n+find Owen Owl\n\n# 2026-11-25\n+list my campaigns\n")
    id = shop.call("contacts", "delete", "owl@example.org", "--json").out.split('"approval_id": "')[1][:36]
    assert shop.call("approve", id, "--yes").code == 0
    assert typed.read_text() == "\n# 2026-11-25\n+find [erased]\n\n# 2026-11-25\n+list my campaigns\n"
