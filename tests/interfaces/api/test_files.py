"""Lists in and out over HTTP, and a shop's own report of an order."""

from __future__ import annotations

import io
import zipfile

import pytest

from interfaces.api import files
from tests.conftest import NOW
from tests.interfaces.api.conftest import House
from tests.tools.histories import people, sent
from tools.base import Context

CSV = (
    b"\xef\xbb\xbfE-Mail;Vorname;Notiz\r\nada@example.org;Ada;sammelt Lochkarten\r\nnobody;X;\r\n"
    b"grace@example.org;Grace;\r\n"
)


async def test_a_list_is_imported_as_it_is(house: House) -> None:
    client = house.as_role("editor", Content_Type="text/csv")
    plan = await client.post("/api/imports", params={"dry_run": True}, content=CSV)
    assert (plan.status_code, plan.json()["result"]["rows"]) == (200, 2)
    assert await house.rows("SELECT 1 FROM contacts") == []
    done = await client.post("/api/imports", params={"tag": ["fair"]}, content=CSV)
    assert done.json()["result"]["created"] == 2
    assert await house.rows("SELECT email, first_name, tags FROM contacts ORDER BY email") == [
        ("ada@example.org", "Ada", ["fair"]), ("grace@example.org", "Grace", ["fair"]),
    ]  # fmt: skip
    assert await house.rows("SELECT actor, outcome FROM audit_log WHERE tool = 'import_contacts'") == [
        ("the editor (key)", "done")
    ]


async def test_an_upload_that_is_repeated_is_done_once(house: House) -> None:
    client = house.as_role("editor", Idempotency_Key="a")
    first, second = [await client.post("/api/imports", content=CSV) for _ in range(2)]
    assert first.json() == second.json()
    assert first.json()["result"]["created"] == 2
    other = await client.post("/api/imports", content=CSV + b"x@example.org;X;\r\n")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_a_zip_of_lists_is_imported(house: House) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr("subscribed.csv", "email\nada@example.org\n")
        packed.writestr("more.csv", "email\ngrace@example.org\n")
    answer = await house.as_role("editor").post("/api/imports", content=data.getvalue())
    assert (answer.status_code, answer.json()["result"]["created"]) == (200, 2)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"%PDF-1.7", b"no header at all", b"PK\x03\x04broken"])
async def test_what_is_no_list_is_refused(house: House, content: bytes) -> None:
    answer = await house.as_role("editor").post("/api/imports", content=content)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("bad_file", "bad_csv")


async def test_who_may_not_import_or_export_is_refused(house: House) -> None:
    client = house.as_role("viewer")
    assert (await client.post("/api/imports", content=CSV)).status_code == 403
    for name in ("contacts", "campaigns"):
        answer = await client.get(f"/api/exports/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert await house.rows("SELECT 1 FROM contacts") == []


async def test_an_upload_has_an_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_UPLOAD", 1_000)
    answer = await house.as_role("editor").post("/api/imports", content=b"email\n" + b"a@example.org\n" * 100)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_contacts_and_figures_are_downloaded(house: House, ctx: Context) -> None:
    first = await sent(ctx, "Lamp Week", await people(ctx, 3), NOW)
    client = house.as_role("editor")
    contacts = await client.get("/api/exports/contacts")
    assert contacts.headers["content-type"].startswith("text/csv")
    assert contacts.headers["content-disposition"] == 'attachment; filename="contacts.csv"'
    assert len(contacts.text.splitlines()) == 4
    figures = await client.get("/api/exports/campaigns", params={"format": "json"})
    assert [row["campaign"] for row in figures.json()] == ["Lamp Week"]
    results = await client.get("/api/exports/recipients", params={"campaign": str(first.id), "format": "jsonl"})
    assert len(results.text.splitlines()) == 3
    assert await house.rows("SELECT count(*) FROM audit_log WHERE door = 'rest' AND tool LIKE 'export%%'") == [(3,)]


async def test_an_order_counts_once(house: House, ctx: Context) -> None:
    first = await sent(ctx, "Lamp Week", await people(ctx, 3), NOW)
    client = house.as_role("editor")
    said = {"campaign": "Lamp Week", "contact": str(first.people[0]), "order": "A-1", "value": 12.5}
    assert (await client.post("/api/conversions", json=said)).json() == {"recorded": True}
    assert (await client.post("/api/conversions", json=said)).json() == {"recorded": False}
    assert await house.rows("SELECT kind, class, reason, value::float FROM events") == [
        ("conversion", "human", "server_call", 12.5)
    ]
    assert (await house.as_role("viewer").post("/api/conversions", json=said)).status_code == 403
    for change in ({"value": -1}, {"value": "1e400"}, {"value": "NaN"}, {"order": ""}, {"order": "x" * 101}, {"x": 1}):
        assert (await client.post("/api/conversions", json=said | change)).status_code == 422, change
