"""Lists as people have them: what is good is taken in, what is not is named with its line."""

from __future__ import annotations

import pytest

from db import contacts
from tools import BY_NAME
from tools.base import Context
from tools.errors import ToolError
from tools.imports import Imported

PEOPLE = """Email Address,First Name,Last Name,Phone,Tags,Notes
ada@example.org,Ada,Lovelace,0113 496 0123,"vip; trade",collects punched cards
GRACE@example.net,Grace,Hopper,,,found a moth
nobody,No,Address,,,
ada@example.org,,,,newsletter,
"""


async def imported(ctx: Context, csv: str, dry_run: bool = False) -> Imported:
    result = await BY_NAME["import_contacts"].call({"csv": csv, "dry_run": dry_run}, ctx)
    assert isinstance(result, Imported)
    return result


async def everybody(ctx: Context) -> dict[str, contacts.ContactRow]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        rows = await contacts.page(db, ctx.tenant.id, contacts.Filter(), after=None, limit=100)
    return {row.email: row for row in rows}


async def test_good_rows_are_taken_in_and_bad_ones_named(ctx: Context) -> None:
    result = await imported(ctx, PEOPLE)
    assert (result.created, result.changed, result.unchanged, result.merged) == (2, 0, 0, 1)
    assert [(problem.line, "no e-mail address" in problem.reason) for problem in result.problems] == [(4, True)]
    people = await everybody(ctx)
    ada = people["ada@example.org"]
    assert (ada.first_name, ada.phone_number, ada.tags) == (
        "Ada", "+441134960123", ["vip", "trade", "newsletter"],
    )  # fmt: skip
    assert ada.description == "collects punched cards"
    assert set(people) == {"ada@example.org", "GRACE@example.net"}


async def test_a_repeated_import_changes_nothing(ctx: Context) -> None:
    await imported(ctx, PEOPLE)
    before = await everybody(ctx)
    again = await imported(ctx, PEOPLE)
    assert (again.created, again.changed, again.unchanged) == (0, 0, 2)
    assert await everybody(ctx) == before


async def test_a_dry_run_changes_nothing_and_shows_the_rows(ctx: Context) -> None:
    result = await imported(ctx, PEOPLE, dry_run=True)
    assert await everybody(ctx) == {}
    assert "2 rows could be imported; nothing was changed" in result.text()
    assert "| ada@example.org | Ada | Lovelace |" in result.text()
    assert result.columns["Notes"] == "description"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
async def test_separators_byte_order_marks_and_other_languages(ctx: Context, separator: str) -> None:
    rows = [["E-Mail", "Vorname", "Nachname", "Notiz"], ["jürgen@example.org", "Jürgen", "Groß", "sammelt Uhren"]]
    await imported(ctx, "\ufeff" + "\r\n".join(separator.join(row) for row in rows))
    (row,) = (await everybody(ctx)).values()
    assert (row.email, row.first_name, row.last_name, row.description) == (
        "jürgen@example.org", "Jürgen", "Groß", "sammelt Uhren",
    )  # fmt: skip


async def test_who_has_unsubscribed_stays_so(ctx: Context) -> None:
    await imported(ctx, "email,status\nada@example.org,unsubscribed\ngrace@example.net,cleaned\n")
    later = "email,status,first name\nada@example.org,subscribed,Ada\ngrace@example.net,active,Grace\n"
    assert (await imported(ctx, later)).changed == 2
    assert {row.email: row.status for row in (await everybody(ctx)).values()} == {
        "ada@example.org": "unsubscribed", "grace@example.net": "bounced",
    }  # fmt: skip
    async with ctx.database.transaction(ctx.tenant.id) as db:
        cursor = await db.execute("SELECT reason FROM suppressions ORDER BY reason")
        assert await cursor.fetchall() == [("bounced",), ("unsubscribed",)]


async def test_what_the_file_leaves_empty_stays(ctx: Context) -> None:
    await imported(ctx, "email,first name,notes\nada@example.org,Ada,collects punched cards\n")
    await imported(ctx, "email,first name,notes\nADA@example.org,Augusta,\n")
    (row,) = (await everybody(ctx)).values()
    assert (row.first_name, row.description) == ("Augusta", "collects punched cards")


async def test_imported_notes_are_found_by_meaning(ctx: Context) -> None:
    result = await imported(ctx, PEOPLE)
    assert result.without_meaning == 0
    found = await BY_NAME["search_contacts"].call({"query": "punched cards"}, ctx)
    assert found.contacts[0].email == "ada@example.org"


NO_TABLES = [
    "just words",
    "email,first name\n",
    "name,phone\nAda,1",
    "\x89PNG\r\n\x1a\n",
    ",,,\n,,,",
    'email\n"' + "x" * 200_000,
    "email," + ",".join(f"c{n}" for n in range(10_000)) + "\na@example.org",
]


@pytest.mark.parametrize("csv", NO_TABLES)
async def test_what_is_no_table_of_contacts_gets_a_sentence(ctx: Context, csv: str) -> None:
    with pytest.raises(ToolError) as refused:
        await imported(ctx, csv)
    assert refused.value.code in ("bad_csv", "bad_file")
    assert str(refused.value).endswith("Nothing was imported.")
    assert await everybody(ctx) == {}


async def test_formulas_are_only_text(ctx: Context) -> None:
    await imported(ctx, "email,first name,notes\nada@example.org,=1+1,@SUM(A1)\n")
    (row,) = (await everybody(ctx)).values()
    assert (row.first_name, row.description) == ("=1+1", "@SUM(A1)")
