"""What an import leaves behind: whole batches, nothing twice, vectors that still fit, and a line in the audit log."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from db import bulk, imports
from db.imports import STAGED
from tests.tools.imports.conftest import Read, rows_of
from tools import BY_NAME, exports
from tools.base import Actor, Context, recorded_as
from tools.errors import NotAllowed
from tools.imports import writing
from tools.imports.reading import Options, Reading, read_file
from tools.imports.writing import Written, audited, record_stopped, write_in_batches, write_refused
from tools.reembedding import count_missing, embed_missing


async def stored(ctx: Context, reading: Reading) -> Written:
    done = Written()
    async with audited(ctx) as recorded:
        await write_in_batches(recorded, reading, done)
    return done


async def select(ctx: Context, query: str) -> list[Any]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        return await (await db.execute(query.encode())).fetchall()


def many(count: int, note: str = "collects {}") -> str:
    return "email,note\n" + "".join(f"p{number}@example.org,{note.format(number)}\n" for number in range(count))


async def test_a_repeated_import_writes_no_row(ctx: Context, read: Read) -> None:
    content = (
        "email,first name,note,tags,status,city,time zone\n"
        "ada@example.org,Ada,cards,a;b,unsubscribed,Leeds,Europe/London\n"
        "ADA@example.org,Augusta,cards,c,,York,\nbob@example.org,,,,cleaned,,\n"
    )
    first = await stored(ctx, read(content))
    assert (first.rows, first.created, first.changed, first.suppressed) == (2, 2, 0, 2)
    before = await select(ctx, "SELECT *, xmin::text FROM contacts ORDER BY email")
    again = await stored(ctx, read(content))
    assert (again.created, again.changed, again.unchanged, again.suppressed) == (0, 0, 2, 0)
    assert await select(ctx, "SELECT *, xmin::text FROM contacts ORDER BY email") == before
    assert await select(ctx, "SELECT first_name, tags, status, attributes, time_zone FROM contacts ORDER BY email") == [
        ("Augusta", ["a", "b", "c"], "unsubscribed", {"city": "York"}, "Europe/London"),
        (None, [], "bounced", {}, None),
    ]


async def test_a_vector_goes_only_with_the_words_it_was_made_of(ctx: Context, read: Read) -> None:
    await stored(ctx, read("email,first name,note,tags\n" + "".join(f"{n}@x.org,A,cards,a\n" for n in "abcd")))
    await embed_missing(ctx, "contacts")
    await stored(ctx, read("email,first name,note,tags,city\na@x.org,B,,,Leeds\nb@x.org,,cards,a,\n"
                           "c@x.org,,clocks,,\nd@x.org,,,new,\n"))  # fmt: skip
    kept = "SELECT email, vector_embedding IS NOT NULL, embedding_model IS NOT NULL FROM contacts ORDER BY email"
    assert await select(ctx, kept) == [
        ("a@x.org", True, True), ("b@x.org", True, True), ("c@x.org", False, False), ("d@x.org", False, False),
    ]  # fmt: skip


async def test_every_character_arrives_as_it_is(ctx: Context, read: Read) -> None:
    chance = random.Random(1)
    notes = ["\\N", "\\", "a\\tb", "tab\there", "two\nlines", '"quotes"', "{}", "'", "\\x41", "\\.", "森 é 🙂", "\\n"]
    notes += ["".join(chance.choices('\\Nntx.\t\n"{},;|é', k=12)).strip() or "x" for _ in range(100)]
    content = "email,note,tags,city\n"
    for number, note in enumerate(notes):
        cell = note.replace('"', '""')
        content += f'p{number:03d}@example.org,"{cell}","""a\\b""; c{{d","{cell}"\n'
    await stored(ctx, read(content))
    found = await select(ctx, "SELECT description, tags, attributes->>'city' FROM contacts ORDER BY email")
    assert [row[0] for row in found] == notes
    assert [row[2] for row in found] == notes
    assert {tuple(row[1]) for row in found} == {("a\\b", "c{d")}


async def test_a_cell_that_holds_a_separator_of_copy_is_never_sent(ctx: Context) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        with pytest.raises(ValueError, match="separator of COPY"):
            await bulk.stage(db, "contacts", STAGED, [("a\x1f@x.org", *[None] * 8)])


async def test_a_stop_leaves_whole_batches_and_the_next_run_ends_it(
    ctx: Context, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BATCH", 10)
    reading, done = read(many(95)), Written()
    recorded = recorded_as("import_contacts", "write", ctx)

    def stop(rows: int) -> None:
        if rows == 40:
            task.cancel()

    task = asyncio.create_task(write_in_batches(recorded, reading, done, stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    await record_stopped(recorded, reading, done)
    ((count,),) = await select(ctx, "SELECT count(*) FROM contacts")
    assert count in (40, 50, 60)
    assert (done.rows, done.created) == (count, count)

    again = await stored(ctx, reading)
    assert (again.created, again.unchanged) == (95 - count, count)
    log = await select(ctx, "SELECT outcome, arguments FROM audit_log ORDER BY outcome")
    assert log == [
        ("done", {"rows": 95, "refused": 0, "stored": 95, "created": 95 - count, "changed": 0}),
        ("started", {"rows": 95, "refused": 0}),
        ("started", {"rows": 95, "refused": 0}),
        ("stopped", {"rows": 95, "refused": 0, "stored": count, "created": count, "changed": 0}),
    ]


async def test_a_batch_that_fails_stops_the_others_and_is_raised(
    ctx: Context, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BATCH", 10)
    merge, calls = imports.merge, 0

    async def failing(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the server is gone")
        return await merge(*args)

    monkeypatch.setattr(imports, "merge", failing)
    done = Written()
    with pytest.raises(RuntimeError, match="gone"):
        async with audited(ctx) as recorded:
            await write_in_batches(recorded, read(many(500)), done)
    assert await select(ctx, "SELECT count(*) FROM contacts") == [(done.rows,)]
    assert done.rows in (20, 30)


async def test_an_import_of_one_batch_is_one_line_in_the_log_without_a_name(ctx: Context, read: Read) -> None:
    await stored(ctx, read("email\nada@example.org\nnobody\n"))
    log = await select(ctx, "SELECT tool, effect, outcome, actor, arguments FROM audit_log")
    assert log == [
        ("import_contacts", "write", "done", "Robin",
         {"rows": 1, "refused": 1, "stored": 1, "created": 1, "changed": 0}),
    ]  # fmt: skip


async def test_two_imports_of_the_same_people_in_other_orders_both_end(
    ctx: Context, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BATCH", 400)
    rows = [f"p{number}@example.org,unsubscribed" for number in range(400)]
    await stored(ctx, read("email\n" + "\n".join(row.split(",")[0] for row in rows)))
    lists = ["\n".join(["email,status,note", *(f"{row},{word}" for row in order)])
             for word, order in (("one", rows), ("two", rows[::-1]))]  # fmt: skip
    for _ in range(3):
        readings = [read(content, f"{name}.csv") for name, content in zip("ab", lists, strict=True)]
        await asyncio.gather(*(stored(ctx, reading) for reading in readings))
    assert await select(ctx, "SELECT count(*), count(DISTINCT description) FROM contacts") in ([(400, 1)], [(400, 2)])
    assert await select(ctx, "SELECT count(*) FROM suppressions") == [(400,)]


async def test_an_import_sees_only_its_own_tenant(ctx: Context, read: Read, new_tenant: Any) -> None:
    other = dataclasses.replace(ctx, tenant=new_tenant("Other"))
    await stored(other, read("email,note\nada@example.org,theirs\n"))
    assert (await stored(ctx, read("email,note,status\nada@example.org,ours,unsubscribed\n"))).created == 1
    assert await select(other, "SELECT description, status FROM contacts") == [("theirs", "subscribed")]
    assert await select(other, "SELECT count(*) FROM suppressions") == [(0,)]


async def test_the_tool_is_all_or_nothing_and_refuses_a_viewer(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH", 10)
    merge, calls = imports.merge, 0

    async def failing(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the server is gone")
        return await merge(*args)

    monkeypatch.setattr(imports, "merge", failing)
    with pytest.raises(RuntimeError):
        await BY_NAME["import_contacts"].call({"csv": many(50)}, ctx)
    assert await select(ctx, "SELECT count(*) FROM contacts") == [(0,)]
    viewer = dataclasses.replace(ctx, actor=Actor("Vic", role="viewer"))
    with pytest.raises(NotAllowed):
        await BY_NAME["import_contacts"].call({"csv": many(1)}, viewer)
    with pytest.raises(NotAllowed):
        async with audited(viewer):
            pass
    assert await select(ctx, "SELECT outcome, actor FROM audit_log") == [("refused: not_allowed", "Vic")] * 2


async def test_refused_rows_are_written_safely_and_can_be_corrected(ctx: Context, read: Read, tmp_path: Path) -> None:
    reading = read('email,first name,note\nnobody,=1+1,"two\nlines"\nada@example.org,Ada,x\n,@SUM(A1),-5\n')
    file = tmp_path / "people.errors.csv"
    write_refused(reading, file)
    assert file.stat().st_mode & 0o077 == 0
    rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines(keepends=True)))
    assert rows[0] == ["import line", "import error", "email", "first name", "note"]
    assert rows[1][0] == "3"
    assert "is no e-mail address" in rows[1][1]
    assert rows[1][2:] == ["nobody", "'=1+1", "two\nlines"]
    assert rows[2][2:] == ["", "'@SUM(A1)", "'-5"]

    corrected = file.read_text(encoding="utf-8-sig").replace("nobody", "bob@example.org").replace(",,'@", ",c@x.org,'@")
    again = read(corrected)
    assert [(row["email"], row["first_name"], row["description"]) for row in rows_of(again)] == [
        ("bob@example.org", "=1+1", "two\nlines"), ("c@x.org", "@SUM(A1)", "-5"),
    ]  # fmt: skip
    assert again.problem_count == 0
    assert again.kept == []


async def test_our_own_export_comes_back_as_it_was(ctx: Context, read: Read) -> None:
    await stored(ctx, read(
        "email,first name,phone,note,tags,status,city,time zone\n"
        'ada@example.org,=1+1,0113 496 0123,"@SUM(A1)\n- more","vip; trade",unsubscribed,"Leeds; -x",Europe/London\n'
        "bob@example.org,'=x,,-5,,,,\n"
    ))  # fmt: skip
    before = await select(ctx, "SELECT *, xmin::text FROM contacts ORDER BY email")
    export = "".join([piece async for piece in exports.contacts(ctx)])
    again = await stored(ctx, read(export, "export.csv"))
    assert (again.rows, again.unchanged) == (2, 2)
    assert await select(ctx, "SELECT *, xmin::text FROM contacts ORDER BY email") == before


async def test_a_note_that_changes_while_it_is_embedded_does_not_get_its_old_vector(ctx: Context, read: Read) -> None:
    await stored(ctx, read("email,note\nada@example.org,cards\nbob@example.org,clocks\n"))
    embedder = ctx.embedder

    class Slow:
        name = embedder.name

        async def embed(self, texts: Any) -> Any:
            await select(ctx, "UPDATE contacts SET description = 'bees' WHERE email = 'ada@example.org' RETURNING 1")
            return await embedder.embed(texts)

    slow = dataclasses.replace(ctx, embedder=Slow())
    embedded = await embed_missing(slow, "contacts")
    assert (embedded.done, embedded.left) == (1, 1)
    assert await select(ctx, "SELECT email FROM contacts WHERE embedding_model IS NULL") == [("ada@example.org",)]


async def test_one_program_at_a_time_makes_vectors(ctx: Context, read: Read) -> None:
    await stored(ctx, read(many(350)))
    made: list[int] = []
    embedder = ctx.embedder

    class Counting:
        name = embedder.name

        async def embed(self, texts: Any) -> Any:
            made.append(len(texts))
            return await embedder.embed(texts)

    counting = dataclasses.replace(ctx, embedder=Counting())
    await asyncio.gather(*(embed_missing(counting, "contacts") for _ in range(3)))
    assert sum(made) == 350
    assert await count_missing(ctx) == 0


async def test_vectors_of_another_model_are_left_for_reembed(ctx: Context, read: Read) -> None:
    await stored(ctx, read(many(3)))
    theirs = "embedding_model = 'other', vector_embedding = array_fill(1, ARRAY[768])::halfvec"
    await select(ctx, f"UPDATE contacts SET {theirs} WHERE email = 'p0@example.org' RETURNING 1")
    embedded = await embed_missing(ctx, "contacts", only_new=True)
    assert (embedded.done, embedded.left) == (2, 0)
    assert (await embed_missing(ctx, "contacts")).done == 1


def test_reading_can_be_kept_open(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(many(3))
    with ExitStack() as stack:
        heard: list[tuple[int, int]] = []
        reading = stack.enter_context(read_file(file, Options(), lambda done, total: heard.append((done, total))))
        assert reading.rows == 3
        assert heard[-1] == (file.stat().st_size, file.stat().st_size)
