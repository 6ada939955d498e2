"""`smartcampaign import`: what a person sees, what is left when it is stopped, and what a script gets."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from evals.scripted_model import ScriptedModel
from tests.interfaces.cli.conftest import Home, model_settings
from tests.interfaces.cli.terminal import CTRL_C, ENTER

LIST = "E-Mail;Vorname;Notiz\nada@example.org;Ada;sammelt Lochkarten\nnobody;=1+1;\n"


@pytest.fixture
def shop(home: Home, request: pytest.FixtureRequest) -> Home:
    """A tenant of the test's own."""
    name = request.node.name.removeprefix("test_")[:90]
    assert home.call("tenants", "add", name, "--country", "GB").code == 0
    return replace(home, environment={"SMARTCAMPAIGN_TENANT": name})


def wrote(home: Home, content: str | bytes, name: str = "people.csv") -> str:
    file = home.path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def many(count: int) -> str:
    return "email,note\n" + "".join(f"p{number}@example.org,collects card {number}\n" for number in range(count))


def select(home: Home, query: str) -> list[tuple[Any, ...]]:
    """A query in the shop's tenant: {tenant} stands for its id."""
    with psycopg.connect(home.url) as db:
        row = db.execute(
            "SELECT id FROM tenants WHERE name = %s", (home.environment["SMARTCAMPAIGN_TENANT"],)
        ).fetchone()
        assert row is not None
        return db.execute(query.format(tenant=f"'{row[0]}'").encode()).fetchall()


CONTACTS = "SELECT count(*) FROM contacts WHERE tenant_id = {tenant}"


def wait_until(what: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_dry_run_shows_the_columns_and_rows_and_changes_nothing(shop: Home) -> None:
    tried = shop.call("import", wrote(shop, LIST), "--dry-run")
    assert tried.code == 0, tried.err
    assert tried.out.startswith("A dry run: 1 row could be imported; nothing was changed.")
    assert "E-Mail → email, Vorname → first_name, Notiz → description" in tried.out
    assert "| ada@example.org | Ada | sammelt Lochkarten |" in tried.out
    assert "line 3: 'nobody' is no e-mail address" in tried.out
    assert not (shop.path / "people.errors.csv").exists()
    assert select(shop, CONTACTS) == [(0,)]


def test_an_import_says_what_it_did_and_where_the_rest_is(shop: Home) -> None:
    file = wrote(shop, LIST)
    done = shop.call("import", file, "--tag", "Fair 2026")
    assert done.code == 0, done.err
    assert done.out.startswith("Imported 1 row: 1 new, 0 changed, 0 as they were.")
    errors = shop.path / "people.errors.csv"
    assert str(errors) in done.out
    assert "'=1+1" in errors.read_text(encoding="utf-8-sig")
    assert select(shop, "SELECT tags, embedding_model IS NOT NULL FROM contacts WHERE tenant_id = {tenant}") == [
        (["fair 2026"], True)
    ]
    again = json.loads(shop.call("contacts", "import", file, "--json", "--errors", str(shop.path / "e.csv")).out)
    assert (again["created"], again["unchanged"], again["errors_file"]) == (0, 1, str(shop.path / "e.csv"))
    log = select(shop, "SELECT tool, outcome, door, arguments FROM audit_log WHERE tenant_id = {tenant} ORDER BY at")
    assert [row[:3] for row in log] == [("import_contacts", "done", "cli")] * 2
    assert log[0][3] == {"rows": 1, "refused": 1, "stored": 1, "created": 1, "changed": 0}


def test_options_of_reading(shop: Home) -> None:
    odd = wrote(shop, "Kontakt:Was:Vorname\nana@example.org:Muñoz:Łuk\n".encode("cp1250", "replace"), "odd.csv")
    ended = shop.call(
        "import", odd, "--map", "Kontakt=email", "--map", "was=last_name", "--delimiter", ":", "--encoding", "cp1250",
        "--no-embed",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert select(shop, "SELECT first_name FROM contacts WHERE tenant_id = {tenant}") == [("Łuk",)]
    assert shop.call("import", odd, "--map", "Kontakt").code == 2
    assert shop.call("import", odd, "--delimiter", "::").code == 2
    assert "no field 'mail'" in shop.call("import", odd, "--map", "Kontakt=mail").err


def test_a_pipe_is_read_as_well(shop: Home) -> None:
    piped = shop.call("import", "-", input="email;name\nyan@example.net;Yan Li\nnobody;\n")
    assert piped.code == 0, piped.err
    assert "1 row was left out" in piped.out
    assert not list(shop.path.glob("*-*.csv"))
    found = shop.call("import", "-", "--json", input="email,name\nzoé@example.net,Zoé\n".encode("utf-16"))
    assert json.loads(found.out)["described"] == ["table, commas, UTF-16"]


REFUSED = [
    ("missing.csv", None, "There is no file"),
    ("empty.csv", b"", "is empty"),
    ("book.xlsx", b"\xd0\xcf\x11\xe0" + bytes(600), "Save it as CSV"),
    ("page.csv", b"<html></html>", "a web page"),
    ("names.csv", b"Kontakt,Name\nx,y\n", '--map "Kontakt=email"'),
]


@pytest.mark.parametrize(("name", "content", "words"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_what_is_no_list_is_a_sentence_and_an_exit_code(
    shop: Home, name: str, content: bytes | None, words: str
) -> None:
    file = wrote(shop, content, name) if content is not None else str(shop.path / name)
    ended = shop.call("import", file)
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert ended.err.strip().endswith("Nothing was imported.")
    assert select(shop, CONTACTS) == [(0,)]


def test_a_list_without_one_good_row_fails_and_writes_what_was_wrong(shop: Home) -> None:
    ended = shop.call("import", wrote(shop, "email\nnobody\n", "bad.csv"))
    assert ended.code == 1
    assert (shop.path / "bad.errors.csv").exists()


def test_a_person_is_shown_the_list_and_asked(shop: Home) -> None:
    file = wrote(shop, LIST, "asked.csv")
    for answer, code in (("n", 0), ("", 0)):
        terminal = shop.terminal("import", file)
        terminal.wait_for("Lochkarten")
        terminal.wait_for("Import 1 row? [y/N]")
        terminal.type(answer + ENTER)
        terminal.wait_for("Nothing was imported")
        assert terminal.exit_code() == code
        terminal.close()
    assert select(shop, CONTACTS) == [(0,)]
    terminal = shop.terminal("import", file)
    terminal.wait_for("Import 1 row? [y/N]")
    terminal.type("y" + ENTER)
    terminal.wait_for("Imported 1 row: 1 new")
    assert terminal.exit_code() == 0
    terminal.close()
    terminal = shop.terminal("import", file, "--yes")
    terminal.wait_for("1 as they were")
    assert terminal.exit_code() == 0
    assert "Import 1 row" not in terminal.raw
    terminal.close()


@pytest.mark.slow
def test_ctrl_c_leaves_whole_batches_and_says_how_far_it_came(shop: Home) -> None:
    file = wrote(shop, many(120_000), "large.csv")
    terminal = shop.terminal("import", file, "--yes", "--no-embed")
    terminal.wait_for("Storing")
    wait_until(lambda: terminal.read(0.02) and select(shop, CONTACTS) != [(0,)])
    terminal.type(CTRL_C)
    said = terminal.wait_for("Running the same import again is safe")
    assert terminal.exit_code() == 130
    terminal.close()
    ((stored,),) = select(shop, CONTACTS)
    assert 0 < stored < 120_000
    assert stored % 10_000 == 0
    assert f"Stopped after {stored:,} of 120,000 rows" in " ".join(said.split())
    outcomes = select(shop, "SELECT outcome FROM audit_log WHERE tenant_id = {tenant} ORDER BY at")
    assert outcomes == [("started",), ("stopped",)]


@pytest.mark.slow
def test_ctrl_c_among_the_notes_costs_no_row_and_says_what_is_left(shop: Home) -> None:
    terminal = shop.terminal("import", wrote(shop, many(3_000), "notes.csv"), "--yes")
    terminal.wait_for("Notes")
    wait_until(lambda: terminal.read(0.02) and select(shop, CONTACTS + " AND embedding_model IS NOT NULL") != [(0,)])
    terminal.type(CTRL_C)
    terminal.wait_for("Imported 3,000 rows")
    terminal.wait_for("smartcampaign reembed")
    assert terminal.exit_code() == 130
    terminal.close()
    assert select(shop, CONTACTS) == [(3_000,)]


@pytest.mark.slow
def test_a_kill_leaves_whole_batches_and_the_same_command_ends_it(shop: Home) -> None:
    file = wrote(shop, many(60_000), "killed.csv")
    with shop.started("import", file, "--no-embed") as program:
        wait_until(lambda: select(shop, CONTACTS) != [(0,)])
        program.send_signal(signal.SIGKILL)
        program.wait()
    time.sleep(1.5)  # the server ends what the dead program had begun
    ((stored,),) = select(shop, CONTACTS)
    assert 0 < stored < 60_000
    assert stored % 10_000 == 0
    again = json.loads(shop.run("import", file, "--no-embed", "--json").out)
    assert again["created"] == 60_000 - stored
    assert again["unchanged"] == stored
    assert again["without_meaning"] == 60_000


@pytest.mark.slow
def test_the_notes_go_on_after_a_kill(shop: Home) -> None:
    file = wrote(shop, many(1_500), "notes.csv")
    embedded = CONTACTS + " AND embedding_model IS NOT NULL"
    with shop.started("import", file) as program:
        wait_until(lambda: select(shop, embedded) > [(100,)])
        program.send_signal(signal.SIGKILL)
        program.wait()
    time.sleep(0.5)
    ((done,),) = select(shop, embedded)
    assert 0 < done < 1_500
    assert done % 100 == 0
    made = select(shop, "SELECT contact_id, xmin::text FROM contacts WHERE tenant_id = {tenant}"
                        " AND embedding_model IS NOT NULL ORDER BY 1")  # fmt: skip
    assert shop.run("reembed").code == 0
    assert select(shop, embedded) == [(1_500,)]
    versions = dict(select(shop, "SELECT contact_id, xmin::text FROM contacts WHERE tenant_id = {tenant}"))
    assert all(versions[id] == version for id, version in made)


@pytest.mark.slow
def test_a_conversation_makes_the_missing_vectors_in_the_background(shop: Home, model: ScriptedModel) -> None:
    # Not the built-in planner: it embeds its own examples first, which takes its time in a new data folder.
    shop = replace(shop, environment=shop.environment | model_settings(model))
    assert shop.run("import", wrote(shop, many(600), "later.csv"), "--no-embed").code == 0
    missing = CONTACTS + " AND embedding_model IS NULL"
    assert select(shop, missing) == [(600,)]
    with shop.started("chat") as program:
        assert program.stdout is not None
        reader = threading.Thread(target=program.stdout.read, daemon=True)
        reader.start()
        wait_until(lambda: select(shop, missing) == [(0,)])
        assert program.stdin is not None
        program.stdin.close()
        assert program.wait(timeout=20) == 0


def test_a_folder_that_can_not_be_written_to_costs_only_the_errors_file(shop: Home, tmp_path: Path) -> None:
    ended = shop.call("import", wrote(shop, LIST), "--errors", str(tmp_path / "no" / "such" / "errors.csv"))
    assert ended.code == 0
    assert "Use --errors" in ended.err
    assert select(shop, CONTACTS) == [(1,)]
