"""The chat without any script: from a question to an approved campaign, once, whatever happens to the window."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from interfaces.pages.prose import as_html
from interfaces.pages.site import Site
from tests.interfaces.pages.conftest import Shop
from tests.interfaces.pages.reader import Page
from tools import approvals
from tools.contacts import create_contact, delete_contact

PLAN = "create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail"


async def begin(shop: Shop, text: str) -> Page:
    return await shop.reader.send((await shop.reader.get("/")).form("/threads"), say=text)


async def say(shop: Shop, page: Page, text: str) -> Page:
    return await shop.reader.send(page.form(page.path), say=text)


async def restorer(shop: Shop) -> None:
    await create_contact.call(
        {"email": "ken@example.org", "first_name": "Ken", "description": "restores chairs"}, shop.ctx
    )


async def test_from_a_question_to_an_approved_campaign(shop: Shop) -> None:
    await restorer(shop)
    page = await begin(shop, PLAN)
    assert "This would be done" in page.text
    assert await shop.house.rows("SELECT 1 FROM campaigns") == []
    page = await shop.reader.send(page.form(f"{page.path}/answer"), answer="yes")
    assert "Drafted the mail of Harvest Fair" in page.text
    page = await say(shop, page, "send Harvest Fair")
    (card,) = page.document.xpath("//section[starts-with(@id, 'card-')]")
    assert "Send Harvest Fair to 1 people?" in card.text_content()
    assert "smartcampaign approve" not in page.text, "the card takes the place of the command"
    assert await shop.house.rows("SELECT status FROM campaigns") == [("draft",)]
    action = card.get("id").replace("card-", "/approvals/")
    page = await shop.reader.send(page.form(action), decision="approve")
    assert page.path.startswith("/threads/")
    assert "Approved by" in page.text
    assert not [form for form in page.document.forms if form.get("action") == action], "decided: no buttons any more"
    ((status,),) = await shop.house.rows("SELECT status FROM campaigns")
    assert status == "scheduled"
    assert "A person approved" in page.text


async def test_a_decision_is_the_persons_and_counts_once(shop: Shop) -> None:
    await create_contact.call({"email": "ada@example.org"}, shop.ctx)
    asked = await delete_contact.call({"contact": "ada@example.org"}, shop.ctx)
    form = (await shop.reader.get("/approvals")).form(f"/approvals/{asked.approval_id}")
    pages = await asyncio.gather(*(shop.reader.send(form, decision="approve") for _ in range(3)))
    assert {page.status for page in pages} == {200}
    late = await shop.reader.send(form, decision="reject")
    assert "used" in late.note() or "can't be decided" in late.note()
    ((state, by, via),) = await shop.house.rows("SELECT state, decided_by, decided_via FROM approvals")
    assert (state, by, via) == ("used", shop.ctx.actor.name, "web")
    log = await shop.house.rows(
        "SELECT actor, door FROM audit_log WHERE tool = 'approve delete_contact' AND outcome = 'done'"
    )
    assert log == [(shop.ctx.actor.name, "web")]


async def test_a_rejected_card_does_nothing(shop: Shop) -> None:
    id = await shop.campaign()
    page = await begin(shop, "send Harvest Fair")
    (card,) = page.document.xpath("//section[starts-with(@id, 'card-')]")
    page = await shop.reader.send(page.form(card.get("id").replace("card-", "/approvals/")), decision="reject")
    assert "Rejected by" in page.text
    assert await shop.house.rows("SELECT status FROM campaigns WHERE campaign_id = %s", UUID(id)) == [("draft",)]


async def test_values_can_be_corrected_before_yes(shop: Shop) -> None:
    page = await begin(shop, "Add Ada Lovelace (ada@example.org), she collects punched cards")
    form = page.form(f"{page.path}/answer")
    (name,) = [name for name in form.fields if name.endswith(" description")]
    corrected: dict[str, Any] = {name: "collects punched tape, and maps"}
    page = await shop.reader.send(form, answer="yes", **corrected)
    rows = await shop.house.rows("SELECT first_name, description FROM contacts")
    assert rows == [("Ada", "collects punched tape, and maps")]


async def test_no_leaves_everything_as_it_was(shop: Shop) -> None:
    page = await begin(shop, "Add Ada Lovelace (ada@example.org), she collects punched cards")
    page = await shop.reader.send(page.form(f"{page.path}/answer"), answer="no")
    assert await shop.house.rows("SELECT 1 FROM contacts") == []
    assert not [form for form in page.document.forms if form.get("action", "").endswith("/answer")]


async def test_a_form_that_is_sent_twice_does_it_once(shop: Shop) -> None:
    first = (await shop.reader.get("/")).form("/threads")
    pages = await asyncio.gather(*(shop.reader.send(first, say="list my campaigns") for _ in range(3)))
    assert len({page.path for page in pages}) == 1, "one conversation"
    page = await shop.reader.get(pages[0].path)
    assert page.text.count("You said: list my campaigns") == 1
    form = page.form(page.path)
    await asyncio.gather(*(shop.reader.send(form, say="help") for _ in range(3)))
    again = await shop.reader.send(form, say="help")
    assert again.text.count("You said: help") == 1
    assert again.note() == ""


async def test_yes_in_two_windows_is_one_yes(shop: Shop) -> None:
    page = await begin(shop, "Add Ada Lovelace (ada@example.org), she collects punched cards")
    form = page.form(f"{page.path}/answer")
    await asyncio.gather(*(shop.reader.send(form, answer="yes") for _ in range(2)))
    await shop.reader.send(form, answer="yes")
    assert len(await shop.house.rows("SELECT 1 FROM contacts")) == 1
    page = await shop.reader.get(page.path)
    assert page.text.count("Yes, do it") == 1
    assert "Nothing waits for your answer" not in page.text


async def test_a_window_that_lags_behind_says_so_and_keeps_what_was_typed(shop: Shop) -> None:
    page = await begin(shop, "list my campaigns")
    await say(shop, page, "help")
    late = await say(shop, page, "delete everything I typed here")
    assert late.status == 409
    assert "went on in another window" in late.note()
    (box,) = late.all("textarea")
    assert box.text_content().strip() == "delete everything I typed here"
    assert "delete everything" not in " ".join(
        row[0] for row in await shop.house.rows("SELECT text FROM messages WHERE role = 'person'")
    )


async def test_after_a_restart_the_conversation_is_as_it_was(shop: Shop) -> None:
    await restorer(shop)
    page = await begin(shop, PLAN)
    page = await shop.reader.send(page.form(f"{page.path}/answer"), answer="yes")
    page = await say(shop, page, "send Harvest Fair")
    before = _main(page)
    _forget_turns(shop)
    after = _main(await shop.reader.get(page.path))
    assert after == before
    assert "Add people to Harvest Fair" in after
    assert "A person decides" in after


async def test_an_answer_that_was_cut_off_is_named(shop: Shop) -> None:
    page = await begin(shop, "list my campaigns")
    id = UUID(page.path.rpartition("/")[2])
    # As a program leaves it that dies in the middle: said, and not answered.
    async with shop.ctx.database.transaction(shop.ctx.tenant.id) as db:
        await db.execute("UPDATE conversations SET turn = 2 WHERE conversation_id = %s", (id,))
        await db.execute(
            "INSERT INTO messages (tenant_id, conversation_id, turn, place, role, text) "
            "VALUES (%s, %s, 2, 0, 'person', 'create Lamp Week')", (shop.ctx.tenant.id, id),
        )  # fmt: skip
    _forget_turns(shop)
    page = await shop.reader.get(page.path)
    assert "stopped before its end. Done so far: nothing." in page.text
    stream = await shop.reader.web.get(f"{page.path}/events")
    assert "event: end" in stream.text
    page = await say(shop, page, "help")
    assert page.status == 200
    assert "was stopped before its end" in page.text


async def test_an_answer_is_followed_and_taken_up_again(shop: Shop) -> None:
    await restorer(shop)
    form = (await shop.reader.get("/")).form("/threads")
    headers = {"Origin": shop.house.url, "Sec-Fetch-Site": "same-origin", "sc-part": "1"}
    fields = dict(form.fields) | {"say": "who restores chairs?"}
    answer = await shop.reader.web.post("/threads", data=fields, headers=headers, follow_redirects=False)
    assert answer.status_code == 303
    path = answer.headers["location"]
    async with shop.reader.web.stream("GET", f"{path}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = "".join([piece async for piece in stream.aiter_text()])
    assert "event: end" in text
    again = await shop.reader.web.get(f"{path}/events")
    assert "event: end" in again.text
    page = await shop.reader.get(path)
    assert "ken@example.org" in page.text


async def test_somebody_elses_conversation_is_not_listed(shop: Shop) -> None:
    agent = await shop.house.access.agent()
    stranger = replace(shop.ctx, actor=replace(shop.ctx.actor, name="Stranger"))
    id = await agent.open_conversation(stranger)
    async for _ in agent.turn("list my campaigns", replace(stranger, conversation=id)):
        pass
    assert "list my campaigns" not in (await shop.reader.get("/")).text
    assert (await shop.reader.get(f"/threads/{id}")).status == 404


@pytest.mark.parametrize(("text", "must_not", "must"), [
    ("<script>alert(1)</script>", "<script", "&lt;script"),
    ("[x](javascript:alert(1))", "javascript:alert(1)\"", "x"),
    ("![x](https://evil.example/pixel.gif)", "<img", "x"),
    ("[click](https://ok.example 'onmouseover=alert(1)')", " onmouseover=", "https://ok.example"),
    ("| a |\n|--:|\n| 1 |", "style=", "<td align=\"right\">"),
    ("# Big", "<h1", "<h2>"),
])  # fmt: skip
def test_markdown_of_answers_can_do_nothing(text: str, must_not: str, must: str) -> None:
    html = str(as_html(text))
    assert must_not not in html
    assert must in html


def _main(page: Page) -> str:
    (log,) = page.document.xpath("//*[@id='log']")
    return " ".join(log.text_content().split())


def _forget_turns(shop: Shop) -> None:
    """What the running program kept in memory is gone, as after a restart."""
    for each in gc.get_objects():
        if isinstance(each, Site) and each.access is shop.house.access:
            each.turns._lives.clear()


async def test_waiting_requests_are_counted_on_every_page(shop: Shop) -> None:
    await create_contact.call({"email": "ada@example.org"}, shop.ctx)
    assert not (await shop.reader.get("/")).document.xpath("//*[@class='count']")
    await delete_contact.call({"contact": "ada@example.org"}, shop.ctx)
    assert (await shop.reader.get("/contacts")).document.xpath("//*[@class='count']")
    assert len(await approvals.waiting(shop.ctx)) == 1
