"""After an erasure nothing names the person: no row, no vector, no conversation, no file; the numbers stay."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row

from agent.choice import ModelChoice
from agent.events import ConfirmationAsked, Done, Failed
from agent.models import LanguageModel, choose
from agent.run import Agent
from db import analytics as rows_of_analytics
from db import bulk, contacts, conversations
from db.contacts import ContactRow
from db.embeddings import LocalEmbedder
from evals.scripted_model import Answer, ScriptedModel, call
from tests.agent.conftest import Talk
from tests.agent.conftest import talk_with as scripted_talk
from tests.conftest import NOW
from tools import BY_NAME, analytics, approvals
from tools.base import Actor, Context, Tenant
from tools.errors import NotAllowed
from tools.traces import ERASED, Person, Traces

# address, first name, last name, phone as people write it, E.164, note
PEOPLE = [
    ("ada@example.org", "Ada", "Lovelace", "0113 496 0123", "+441134960123", "collects punched cards"),
    ("GRACE.Hopper@example.net", "Grace", "Hopper", "+1 202-555-0143", "+12025550143", "found a moth in a relay once"),
    (
        "o'brien@example.org",
        "Siobhán",
        "O'Brien",
        "+353 1 679 0011",
        "+35316790011",
        'wants the "big" catalogue; no calls',
    ),
    ("jürgen@example.com", "Jürgen", "Großmann", "+49 30 901820 11", "+493090182011", "sammelt alte Standuhren"),
    (
        "kenta.m@example.net",
        "健太",
        "森脇",
        "+81 3-1234-5678",
        "+81312345678",
        "古い柱時計が好き。祖父の時計店の看板をまだ持っている。",
    ),
    (
        "maria.garcia@example.org",
        "María José",
        "García López",
        "+34 912 345 678",
        "+34912345678",
        "restaura muebles de roble",
    ),
    (
        "x+tag@example.org",
        "Xavier",
        "Tagg",
        "(020) 7946 0958",
        "+442079460958",
        '=HYPERLINK("http://evil.example") on his card',
    ),
    ("li.wei@example.com", "Wei", "Li", "+86 10 6552 9988", "+861065529988", "keeps bees on the roof of the library"),
    (
        "anna-lena@example.org",
        "Anna-Lena",
        "Schmidt-Rottluff",
        "030 901820 22",
        "+443090182022",
        "paints wagons, every summer",
    ),
    (
        "bob@sub.mail.example.org",
        "Bob",
        "de la Cruz",
        "+44 20 7946 0111",
        "+442079460111",
        "asks for prices by the dozen",
    ),
    ("percent%user@example.org", "Percy", "Hundred", "+44 20 7946 0112", "+442079460112", "gets 100% of the letters"),
    (
        "under_score@example.org",
        "Una",
        "Score",
        "+44 20 7946 0113",
        "+442079460113",
        "files things under_score letters",
    ),
    ("will@example.org", "Will", "Day", "+44 20 7946 0114", "+442079460114", "repairs cuckoo clocks for the fair"),
    ("noname@example.org", "", "", "", "", "came by the shop and asked for lamps"),
    ("onlyfirst@example.org", "Zelda", "", "", "", "plays the harp on Tuesdays"),
    ("inone@example.org", "Ursula Kemp", "", "+44 20 7946 0115", "+442079460115", "ties flies for trout fishing"),
    (
        "multi@example.org",
        "Milton",
        "Line",
        "+44 20 7946 0116",
        "+442079460116",
        "likes oak tables\nand brass lamps\nbut no wicker chairs",
    ),
    (
        "emoji@example.org",
        "Édouard",
        "Ünal",
        "+90 212 444 0 123",
        "+902124440123",
        "loves 🕰 and tells everyone about it",
    ),
    ("short@example.org", "Shay", "Orte", "", "", "VIP"),
    ("aleksandr@example.org", "Александр", "Пушкин", "+7 495 123-45-67", "+74951234567", "пишет письма гусиным пером"),
]

# Where an erased contact's id may stay: it leads nowhere, and proves that the erasure was asked for and done.
IDS_STAY = {("audit_log", "subjects"), ("approvals", "contact_id")}


def dump(url: str, tenant: Tenant) -> Iterator[tuple[str, str, str]]:
    """(table, column, text) of everything that the database holds of a tenant, states decoded."""
    serde = JsonPlusSerializer()
    with psycopg.connect(url, row_factory=dict_row) as db:
        tables = db.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND column_name = 'tenant_id' ORDER BY 1"
        ).fetchall()
        for table in (row["table_name"] for row in tables):
            for row in db.execute(f"SELECT * FROM {table} WHERE tenant_id = %s".encode(), (tenant.id,)):
                for column, value in row.items():
                    if isinstance(value, bytes) and "kind" in row:
                        yield table, column, repr(serde.loads_typed((row["kind"], value)))
                        yield table, column, value.decode("utf-8", "ignore")
                    elif isinstance(value, bytes):
                        yield table, column, value.decode("utf-8", "ignore")
                    elif value is not None:
                        yield table, column, str(value)


def everything_held(url: str, tenant: Tenant, home: Path) -> list[tuple[str, str, str]]:
    """The database of a tenant and the files of the data folder, as texts."""
    files = [("file", path.name, path.read_text(errors="replace")) for path in home.rglob("*") if path.is_file()]
    return [*dump(url, tenant), *files]


def traces_left(held: list[tuple[str, str, str]], row: ContactRow) -> list[tuple[str, str, str]]:
    """Where the person is in it, found by other means than the program's own."""
    sought = {row.email.lower()}
    if " " in row.full_name:
        sought.add(row.full_name.lower())
    if row.description and len(row.description) > 3:
        sought |= {row.description.lower(), *row.description.lower().splitlines()}
    digits = row.phone_number[3:].lstrip("0") if row.phone_number else None
    ids = {str(row.contact_id), row.contact_id.hex}
    left = []
    for table, column, text in held:
        lower = text.lower()
        found = [each for each in sought if each in lower or each.replace('"', '\\"') in lower]
        if digits and column not in ("vector_embedding", "fingerprint") and digits in re.sub(r"[\s().\-/]", "", text):
            found.append(digits)
        if (table, column) not in IDS_STAY:
            found += [id for id in ids if id in lower]
        left += [(f"{table}.{column}", each, text[:300]) for each in found]
    return left


@pytest.fixture
def at_home(ctx: Context, tmp_path: Path) -> Context:
    """With a data folder."""
    return dataclasses.replace(ctx, home=tmp_path)


async def erase(ctx: Context, whom: str) -> str:
    """Ask and approve, as a person does."""
    asked = await BY_NAME["delete_contact"].call({"contact": whom}, ctx)
    return (await approvals.decide(asked.short_id, approve=True, ctx=ctx)).outcome


async def find(ctx: Context, email: str) -> ContactRow:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        row = await contacts.by_email(db, ctx.tenant.id, email)
    assert row is not None, email
    return row


@pytest.fixture(scope="module")
def planner(embedder: LocalEmbedder) -> LanguageModel:
    """The built-in planner, which takes a second to make."""
    return choose(ModelChoice(), embedder)


async def talk_with(model: LanguageModel, ctx: Context, name: str | None = None) -> Talk:
    agent = Agent(model, ctx.database)
    return Talk(agent, dataclasses.replace(ctx, conversation=await agent.open_conversation(ctx, name)))


async def spoken_about(row: ContactRow, talk: Talk, place: int) -> None:
    """Half of the turns that bring a person into conversations, campaigns, drafts and requests; `place` says which."""
    name = row.full_name or row.email
    note = row.description or "is new"
    turns: list[tuple[str, dict[str, Any]]] = [
        (f"find {name}", {}),
        (f"add {row.email} to Harvest Fair", {"confirm": False}),
        (f"draft an e-mail of Harvest Fair for {row.email} that thanks {name}", {"confirm": False}),
        (f"send a test of Harvest Fair to {row.email}", {}),
        (f"who {note.splitlines()[0]}?", {}),
        (f"preview Harvest Fair for {row.email}", {}),
        (f'note on {row.email}: "{note}", phone {row.phone_number}', {}),
        (f"delete {row.email}", {}),
    ]
    for sentence, more in turns[place % 2 * 4 :][:4]:
        await talk.say(sentence, **more)


async def mailed(ctx: Context, row: ContactRow, campaign: UUID) -> None:
    """A line in the ledger, and what came back."""
    at = NOW - timedelta(days=2)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await bulk.insert(
            db, ctx.tenant.id, "deliveries",
            "campaign_id contact_id variant address state attempts sent_at next_attempt_at created_at updated_at "
            "smtp_answer message_id",
            [(campaign, row.contact_id, "a", row.email, "sent", 1, at, at, at, at, f"250 <{row.email}> accepted",
              f"<{row.contact_id}@mail>")],
        )  # fmt: skip
        await db.execute(
            "INSERT INTO captured_mails (tenant_id, campaign_id, contact_id, sender, recipient, subject, message)"
            " VALUES (%s, %s, %s, 'us@example.org', %s, %s, %s)",
            (ctx.tenant.id, campaign, row.contact_id, row.email, f"For {row.full_name}", row.email.encode()),
        )
        await db.execute(
            "INSERT INTO events (tenant_id, campaign_id, contact_id, kind, class, url, user_agent, details,"
            " idempotency_key, value) VALUES (%(t)s, %(c)s, %(p)s, 'click', 'human', %(u)s, 'Mail 1.0', %(d)s, NULL,"
            " NULL), (%(t)s, %(c)s, %(p)s, 'conversion', 'human', NULL, NULL, '{}', %(k)s, 12.50)",
            {"t": ctx.tenant.id, "c": campaign, "p": row.contact_id, "u": f"https://shop.example/?e={row.email}",
             "d": f'{{"ip": "{row.contact_id}"}}', "k": f"order of {row.email}"},
        )  # fmt: skip


async def figures(ctx: Context, campaign: UUID) -> analytics.Figures:
    """Counted anew from ledger and events."""
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await rows_of_analytics.roll_up(db, ctx.tenant.id, campaign)
    summary = await BY_NAME["summarize_performance"].call({"campaign": "Harvest Fair"}, ctx)
    assert summary.figures.sent == summary.figures.converted == len(PEOPLE)
    assert summary.figures.value == Decimal("12.50") * len(PEOPLE)
    found: analytics.Figures = summary.figures
    return found


@pytest.mark.slow
async def test_no_trace_is_left_of_twenty_people(
    at_home: Context, database_url: str, tmp_path: Path, planner: LanguageModel
) -> None:
    ctx = at_home
    campaign = await BY_NAME["create_campaign"].call({"name": "Harvest Fair", "description": "10% off oak"}, ctx)
    id = campaign.campaign.campaign_id
    await BY_NAME["draft_email"].call({"campaign": "Harvest Fair", "instructions": "10% off oak"}, ctx)
    talk = await talk_with(planner, ctx, "everybody")
    for place, (email, first, last, phone, _, note) in enumerate(PEOPLE):
        if place % 2 == 0:
            given = {"email": email, "first_name": first, "last_name": last, "phone_number": phone, "description": note}
            await BY_NAME["create_contact"].call(given, ctx)
        else:
            cells = [f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in (email, first, last, phone, note)]
            csv = "email,first name,last name,phone,notes\n" + ",".join(cells) + "\n"
            await BY_NAME["import_contacts"].call({"csv": csv}, ctx)
            await talk.say(f"import these contacts\n\n{csv}", confirm=False)
    stays = "Priscilla Keeper"
    given = {"email": "keeper@example.org", "first_name": "Priscilla", "last_name": "Keeper"}
    await BY_NAME["create_contact"].call(given, ctx)
    rows = [await find(ctx, email) for email, *_ in PEOPLE]
    typed = logged = ""
    for place, (row, (_, first, last, _, e164, note)) in enumerate(zip(rows, PEOPLE, strict=True)):
        assert (row.first_name or "", row.last_name or "") == (first, last)
        assert (row.phone_number or "") == e164
        assert row.description == note
        await mailed(ctx, row, id)
        await spoken_about(row, talk, place)
        if place % 5 == 0:
            await (await talk_with(planner, ctx, f"about {row.email}")).say(f"find {row.full_name or row.email}")
        typed += f"\n# 2026-11-25\n+write to {row.email}: {row.description}\n"
        logged += f"ERROR failed for {row.email} ({row.contact_id})\n"
    (tmp_path / "chat_history").write_text(typed)
    (tmp_path / "smartcampaign.log").write_text(logged)
    await talk.say(f"find {stays}")
    # Something that waits for an answer in the middle of a turn names a person too.
    waiting = await talk_with(planner, ctx)
    await waiting.say(f"add Ada Byron ({rows[0].email}), {rows[0].description}")
    held = everything_held(database_url, ctx.tenant, tmp_path)
    for row in rows:
        assert len(traces_left(held, row)) > 8, f"nothing to erase of {row.email}"
    before = await figures(ctx, id)
    for row in rows:
        outcome = await erase(ctx, row.email)
        assert not Traces(Person.of(row)).named_in(outcome)
    held = everything_held(database_url, ctx.tenant, tmp_path)
    assert [trace for row in rows for trace in traces_left(held, row)] == []
    assert await figures(ctx, id) == before
    # What was about others is still there, and the conversation goes on.
    said = "\n".join(text for _, text in await talk.agent.history(talk.ctx, 100_000))
    assert stays in said
    assert ERASED in said
    await talk.say(f"find {stays}")
    assert isinstance(talk.end, Done)
    assert stays in talk.text


@pytest.fixture
async def fair(at_home: Context) -> Context:
    """Ada, who is to be erased; Bob, who knows her; and a campaign."""
    for given in (
        {"email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "phone_number": "0113 496 0123",
         "description": "collects punched cards"},
        {"email": "bob@example.org", "first_name": "Bob", "last_name": "Stone",
         "description": "husband of Ada Lovelace (0113 496 0123), write to ada@example.org; Ada collects clocks"},
    ):  # fmt: skip
        await BY_NAME["create_contact"].call(given, at_home)
    await BY_NAME["create_campaign"].call(
        {"name": "Harvest Fair", "description": "10% off oak", "audience": "everyone"}, at_home
    )
    await BY_NAME["draft_email"].call({"campaign": "Harvest Fair", "instructions": "10% off oak"}, at_home)
    return at_home


async def one(ctx: Context, query: str, *parameters: Any) -> Any:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        row = await (await db.execute(query.encode(), parameters)).fetchone()
    return row[0] if row else None


async def test_what_others_know_of_them_goes_and_the_campaigns_own_words_are_named(fair: Context) -> None:
    words = {"campaign": "Harvest Fair", "description": "with Ada Lovelace at the till"}
    await BY_NAME["update_campaign"].call(words, fair)
    await BY_NAME["create_campaign"].call({"name": "Ada Lovelace Day"}, fair)
    asked = await BY_NAME["delete_contact"].call({"contact": "ada@example.org"}, fair)
    assert asked.card.facts["Named in notes about others"] == "1 (taken out there)"
    assert asked.card.facts["Named in campaigns"] == "Ada Lovelace Day, Harvest Fair (left as they are)"
    outcome = (await approvals.decide(asked.short_id, approve=True, ctx=fair)).outcome
    assert "taken out of 1 note about others" in outcome
    assert "look at their texts: [erased] Day, Harvest Fair." in outcome
    bob = await find(fair, "bob@example.org")
    assert bob.description == "husband of [erased] ([erased]), write to [erased]; Ada collects clocks"
    # The vector belonged to the old words.
    assert await one(fair, "SELECT embedding_model FROM contacts WHERE email = 'bob@example.org'") is None
    kept = await one(fair, "SELECT description FROM campaigns WHERE name = 'Harvest Fair'")
    assert kept == "with Ada Lovelace at the till"
    # In the log, which can't be cleaned, no free text is kept; a campaign's name is, it is what the campaign is called.
    log = await one(fair, "SELECT string_agg(arguments::text, ' ') FROM audit_log WHERE tool <> 'create_campaign'")
    assert "Lovelace" not in log


async def test_a_namesake_keeps_the_name_in_notes(fair: Context) -> None:
    await BY_NAME["create_contact"].call(
        {"email": "other@example.org", "first_name": "ada", "last_name": "LOVELACE"}, fair
    )
    await erase(fair, "ada@example.org")
    bob = await find(fair, "bob@example.org")
    assert bob.description == "husband of Ada Lovelace ([erased]), write to [erased]; Ada collects clocks"


async def test_the_ledger_keeps_numbers_of_nobody_and_mails_nobody(fair: Context) -> None:
    ada = await find(fair, "ada@example.org")
    campaign = await one(fair, "SELECT campaign_id FROM campaigns")
    other = uuid4()
    async with fair.database.transaction(fair.tenant.id) as db:
        await db.execute("INSERT INTO campaigns (tenant_id, campaign_id, name) VALUES (%s, %s, 'Lamp Week')",
                         (fair.tenant.id, other))  # fmt: skip
        for id, state in ((campaign, "ready"), (other, "sending")):
            await db.execute(
                "INSERT INTO deliveries (tenant_id, campaign_id, contact_id, address, state, lease_owner, lease_until)"
                " VALUES (%s, %s, %s, 'ada@old.example', %s, 'w', now())",
                (fair.tenant.id, id, ada.contact_id, state),
            )
            await db.execute(
                "INSERT INTO events (tenant_id, campaign_id, contact_id, kind) VALUES (%s, %s, %s, 'open')",
                (fair.tenant.id, id, ada.contact_id),
            )
    await erase(fair, "ada@example.org")
    async with fair.database.transaction(fair.tenant.id) as db:
        cursor = await db.execute(
            "SELECT d.contact_id, d.address, d.state, d.reason, e.contact_id = d.contact_id"
            " FROM deliveries d JOIN events e USING (tenant_id, campaign_id) ORDER BY d.state"
        )
        (skipped, unknown) = await cursor.fetchall()
        cursor = await db.execute("SELECT count(*) FROM suppressions WHERE reason = 'erased'")
        # The address that she had before is suppressed as well.
        assert await cursor.fetchone() == (2,)
    assert skipped[1:] == ("", "skipped", "suppressed (erased)", True)
    assert unknown[1:] == ("", "unknown", "erased", True)
    # Two campaigns can't be put together again.
    assert len({skipped[0], unknown[0], ada.contact_id}) == 3


async def test_open_requests_that_name_them_are_withdrawn_and_blank(fair: Context) -> None:
    test = await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "ada@example.org"}, fair)
    other = await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "bob@example.org"}, fair)
    # Asking for the other test withdrew the first one; what it said is still there.
    assert [request.approval_id for request in await approvals.waiting(fair)] == [other.approval_id]
    test = await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "ada@example.org"}, fair)
    await erase(fair, "ada@example.org")
    assert await approvals.waiting(fair) == []
    left = await one(fair, "SELECT string_agg(card::text || arguments::text, ' ') FROM approvals")
    assert "ada@example.org" not in left
    assert "bob@example.org" in left
    assert await one(fair, "SELECT state FROM approvals WHERE approval_id = %s", test.approval_id) == "withdrawn"


async def test_an_address_that_a_conversation_changed_goes_too(fair: Context, planner: LanguageModel) -> None:
    talk = await talk_with(planner, fair)
    await talk.say("change the e-mail of ada@example.org to countess@example.org", confirm=False)
    if talk.started != [("update_contact", {"contact": "ada@example.org", "email": "countess@example.org"})]:
        pytest.fail(f"the planner understood {talk.started}")
    await erase(fair, "countess@example.org")
    for _, _, text in dump(fair.database.url, fair.tenant):
        assert "countess@example.org" not in text
    state = await one(fair, "SELECT convert_from(replace(checkpoint::text, '\\x', '')::bytea, 'UTF8') FROM checkpoints")
    assert b"ada@example.org".hex() not in state


async def test_an_erased_address_is_not_offered_to_another_tenant_nor_touched_there(
    fair: Context, new_tenant: Callable[..., Tenant], planner: LanguageModel
) -> None:
    theirs = dataclasses.replace(fair, tenant=new_tenant(), home=None)
    await BY_NAME["create_contact"].call(
        {"email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace"}, theirs
    )
    talk = await talk_with(planner, theirs)
    await talk.say("find Ada Lovelace")
    await erase(fair, "ada@example.org")
    assert (await find(theirs, "ada@example.org")).full_name == "Ada Lovelace"
    assert "Ada Lovelace" in "\n".join(text for _, text in await talk.agent.history(talk.ctx))


# Turns that run while somebody is erased


async def test_a_turn_that_has_read_them_cannot_write_them_back(
    fair: Context, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.run.RENEWAL", 0.2)  # it tries to keep its lease meanwhile
    ada = await find(fair, "ada@example.org")
    with ScriptedModel() as model:
        told = Answer("Ada Lovelace (ada@example.org) collects punched cards.", delay=1.5)
        model.script(call("search_contacts", query="Ada Lovelace"), told, "Nobody of that name.")
        talk = await scripted_talk(model, fair)
        turn = asyncio.create_task(talk.say("who is Ada Lovelace?"))
        await asyncio.to_thread(model.wait_for, 2)
        await erase(fair, "ada@example.org")
        events = await turn
        assert isinstance(events[-1], Failed)
        assert events[-1].code == "lost"
        assert traces_left(everything_held(database_url, fair.tenant, tmp_path), ada) == []
        await talk.say("and now?")
        assert isinstance(talk.end, Done)


async def test_a_conversation_that_begins_meanwhile_waits_for_the_end(fair: Context, planner: LanguageModel) -> None:
    talk = await talk_with(planner, fair)
    async with fair.database.transaction(fair.tenant.id) as db:
        await conversations.hold_turns(db, fair.tenant.id)
        turn = asyncio.create_task(talk.say("find Ada Lovelace"))
        while not turn.done():
            if await one(fair, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                break
            await asyncio.sleep(0.05)
        assert not turn.done()
    await turn
    assert isinstance(talk.end, Done)


async def test_a_lease_that_was_broken_is_not_renewed(fair: Context, planner: LanguageModel) -> None:
    talk = await talk_with(planner, fair)
    owner, id = uuid4(), talk.ctx.conversation
    assert id is not None
    tenant = fair.tenant.id
    async with fair.database.transaction(tenant) as db:
        assert await conversations.lease(db, tenant, id, actor=fair.actor.name, owner=owner, seconds=60)
        assert await conversations.renew(db, tenant, id, owner=owner, seconds=60)
        await conversations.hold_turns(db, tenant)
        assert not await conversations.renew(db, tenant, id, owner=owner, seconds=60)
        assert not await conversations.is_leased(db, tenant, id, owner=owner)


async def test_a_waiting_question_about_them_does_nothing_any_more(fair: Context, planner: LanguageModel) -> None:
    talk = await talk_with(planner, fair)
    await talk.say("add ada.l@example.org to my contacts, name Ada Lovelace, she keeps owls in the attic")
    assert isinstance(talk.end, ConfirmationAsked)
    await erase(fair, "ada@example.org")
    held = dump(fair.database.url, fair.tenant)
    assert [text for _, _, text in held if "ada.l@example.org" in text] == []
    await talk.answer(True)
    assert await one(fair, "SELECT count(*) FROM contacts WHERE first_name = 'Ada'") == 0


async def test_a_state_that_cannot_be_read_is_deleted(fair: Context, planner: LanguageModel) -> None:
    talk = await talk_with(planner, fair)
    await talk.say("find Ada Lovelace")
    async with fair.database.transaction(fair.tenant.id) as db:
        await db.execute("UPDATE checkpoints SET kind = 'pickle'")
    await erase(fair, "ada@example.org")
    assert await one(fair, "SELECT count(*) FROM checkpoints") == 0
    await talk.say("list my campaigns")
    assert isinstance(talk.end, Done)


async def test_who_may_not_erase_is_refused(fair: Context) -> None:
    with pytest.raises(NotAllowed):
        await erase(dataclasses.replace(fair, actor=Actor("Sam", "sender")), "ada@example.org")


# What is in the tables. A new column must be placed here, and tools/erasure.py must know it if it can name a person.

MAY_NAME_THEM = {
    "approvals": "arguments card fingerprint",
    "campaign_links": "url",
    "captured_mails": "message recipient subject",
    "checkpoint_writes": "value",
    "checkpoints": "checkpoint metadata",
    "contacts": "attributes description email embedding_model first_name last_name phone_number search status tags "
    "time_zone vector_embedding",
    "conversations": "name",
    "deliveries": "address message_id smtp_answer",
    "events": "details idempotency_key url user_agent",
    "idempotency_keys": "answer",
    "messages": "text",
    "test_mails": "address body subject",
}
# The company's own words (named to whoever erases), words of this program, keys and hashes.
NAMES_NOBODY = {
    "api_keys": "created_by key_hash name role",
    "approvals": "action decided_by decided_via requested_by requested_via state",
    "audit_log": "actor arguments door effect outcome role tool",
    "campaign_emails": "body embedding_model subject unknown_claims variant vector_embedding written_by",
    "campaign_links": "url_hash",
    "campaigns": "content_fingerprint description embedding_model name on_crash status vector_embedding why",
    "captured_mails": "sender",
    "checkpoint_writes": "channel checkpoint_id kind task_id",
    "checkpoints": "checkpoint_id kind",
    "conversations": "actor",
    "deliveries": "lease_owner reason state variant",
    "events": "class kind reason",
    "heard_messages": "channel message_hash reply thread workspace_id",
    "idempotency_keys": "caller key_hash request_hash",
    "link_keys": "key secret_id",
    "messages": "role",
    "suppressions": "address_hash reason source",
    "test_mails": "lease_owner reason state",
    "variant_tests": "decided_by evidence outcome unclear winner",
    "workspace_people": "added_by name person_id role workspace_id",
    "workspaces": "answers_to created_by kind members_role name token_hashes workspace_id",
}


def test_every_column_that_can_hold_a_text_is_placed(database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        found = db.execute(
            "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c"
            " JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE table_schema = 'public' AND t.table_type = 'BASE TABLE'"
            " AND EXISTS (SELECT FROM information_schema.columns k WHERE k.table_schema = 'public'"
            "             AND k.table_name = c.table_name AND k.column_name = 'tenant_id')"
            " AND (c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY', 'USER-DEFINED',"
            "                      'tsvector') AND c.udt_name <> '_uuid')"
        ).fetchall()
    placed = {
        f"{table}.{column}"
        for columns_of in (MAY_NAME_THEM, NAMES_NOBODY)
        for table, columns in columns_of.items()
        for column in columns.split()
    }
    assert {row[0] for row in found} - placed == set()
