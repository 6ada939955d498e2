"""The work on the pages without any script: campaigns, contacts, lists that come in and go out, mails, keys."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from uuid import UUID

from tests.interfaces.pages.conftest import Shop
from tests.tools.histories import people, sent
from tools.contacts import create_contact

PEOPLE = b"Email,Vorname,Shop\nzoe@example.org,Zoe,Leeds\nmax@example.org,Max,York\nbroken,Bo,Hull\n"


async def test_a_campaign_from_its_form_to_its_card_and_back(shop: Shop) -> None:
    await create_contact.call({"email": "ken@example.org", "description": "restores chairs"}, shop.ctx)
    form = (await shop.reader.get("/campaigns/new")).form("/campaigns/new")
    page = await shop.reader.send(form, name="Chair Fair", description="5 chairs", audience="restores chairs")
    assert "Created the campaign Chair Fair" in page.note()
    base = page.path
    page = await shop.reader.send(page.form(f"{base}/draft"), tone="warm")
    assert "Drafted" in page.note()
    page = await shop.reader.send(page.form(f"{base}/send"), send_at="2001-01-01T09:00")
    assert "is in the past" in page.note()
    page = await shop.reader.send(page.form(f"{base}/send"), send_at="2090-05-05T09:00")
    assert "Fri 5 May 2090, 09:00 (Europe/London)" in page.text
    (card,) = page.document.xpath("//section[starts-with(@id, 'card-')]")
    page = await shop.reader.send(page.form(card.get("id").replace("card-", "/approvals/")), decision="approve")
    assert (page.path, "Approved: Chair Fair is scheduled" in page.note()) == (base, True)
    page = await shop.reader.send(page.form(f"{base}/pause"))
    assert "Paused Chair Fair" in page.note()
    page = await shop.reader.send(page.form(f"{base}/resume"))
    assert "goes on as it was approved" in page.note()
    page = await shop.reader.send(page.form(f"{base}/people"), do="remove", email="ken@example.org")
    assert "Removed 1 person" in page.note()
    page = await shop.reader.send(page.form(f"{base}/cancel"))
    assert "Cancelled Chair Fair" in page.note()
    assert await shop.house.rows("SELECT status FROM campaigns") == [("cancelled",)]


async def test_figures_are_peoples_and_the_chart_is_a_table_too(shop: Shop) -> None:
    everyone = await people(shop.ctx, 40)
    from datetime import timedelta

    campaign = await sent(shop.ctx, "Lamp Week", everyone, shop.ctx.now() - timedelta(days=2), opened=everyone[:20],
                          clicked=everyone[:4])  # fmt: skip
    page = await shop.reader.get(f"/campaigns/{campaign.id}")
    assert "50.0 %" in page.text
    assert "10.0 %" in page.text
    (chart,) = page.document.xpath("//*[name()='svg' and contains(@class, 'bars')]")
    assert "at most" in chart.get("aria-label")
    cells = page.document.xpath("//details[@id='timeline-table']//td/text()")
    assert "20" in cells
    assert "4" in cells
    listed = await shop.reader.get("/campaigns?query=lamp")
    assert "50.0 %" in listed.text
    clicked = await shop.reader.get(f"/campaigns/{campaign.id}?did=clicked")
    assert len(clicked.document.xpath("//*[@id='recipients']//tbody/tr")) == 4
    first = await shop.reader.get(f"/campaigns/{campaign.id}")
    (more,) = first.document.xpath("//*[@id='recipients']//a[contains(@href, 'after=')]/@href")
    second = await shop.reader.get(more.partition("#")[0])
    rows = "//*[@id='recipients']//tbody/tr//a/@href"
    assert len(first.document.xpath(rows)) == len(second.document.xpath(rows)) == 20
    assert not set(first.document.xpath(rows)) & set(second.document.xpath(rows))
    results = await shop.reader.web.get(f"/campaigns/{campaign.id}/results")
    assert len(list(csv.reader(io.StringIO(results.text)))) == 41
    assert "attachment" in results.headers["content-disposition"]


async def test_a_contact_is_added_changed_taken_off_and_let_back(shop: Shop) -> None:
    form = (await shop.reader.get("/contacts/new")).form("/contacts/new")
    wrong = await shop.reader.send(form, email="no address", first_name="Ada")
    assert (wrong.status, "is no e-mail address" in wrong.note()) == (422, True)
    assert wrong.form("/contacts/new").fields["first_name"] == "Ada", "nothing has to be typed again"
    page = await shop.reader.send(wrong.form("/contacts/new"), email="ada@example.org", tags="vip, poet")
    base = page.path
    page = await shop.reader.send(page.form(base), tags="poet, maths", description="punched cards")
    assert "Updated description, tags" in page.note()
    assert await shop.house.rows("SELECT tags, description FROM contacts") == [(["poet", "maths"], "punched cards")]
    page = await shop.reader.send(page.form(base))
    assert "Nothing was changed" in page.note()
    page = await shop.reader.send(page.form(f"{base}/leave"), reason="too many")
    assert "is unsubscribed" in page.note()
    page = await shop.reader.send(page.form(f"{base}/return"), consent="said so by phone today")
    assert "gets mail again" in page.note()
    known = json.loads((await shop.reader.web.get(f"{base}/file")).text)
    assert known["contact"]["email"] == "ada@example.org"
    page = await shop.reader.send(page.form(f"{base}/erase"))
    (card,) = page.document.xpath("//section[starts-with(@id, 'card-')]")
    page = await shop.reader.send(page.form(card.get("id").replace("card-", "/approvals/")), decision="approve")
    assert await shop.house.rows("SELECT 1 FROM contacts") == []
    assert (await shop.reader.get(base)).status == 404


async def test_search_says_why_and_pages_without_gaps(shop: Shop) -> None:
    for number in range(60):
        await create_contact.call({"email": f"p{number}@example.org", "tags": ["many"]}, shop.ctx)
    await create_contact.call(
        {"email": "ken@example.org", "description": "repairs antique timepieces; lives far"}, shop.ctx
    )
    found = await shop.reader.get("/contacts?query=old+clocks")
    assert "repairs antique timepieces" in found.text
    seen: list[str] = []
    path = "/contacts?tag=many"
    while path:
        page = await shop.reader.get(path)
        seen += page.document.xpath("//tbody//b/a/@href")
        path = next(iter(page.document.xpath("//nav[@class='pager']//a[contains(@href, 'cursor')]/@href")), "")
    assert len(seen) == len(set(seen)) == 60
    kept = await shop.reader.web.get("/contacts/file?tag=many")
    assert len(list(csv.reader(io.StringIO(kept.text)))) == 61
    assert (await shop.reader.get("/contacts?cursor=nonsense")).status == 409


async def test_a_list_is_shown_mapped_and_stored_once(shop: Shop) -> None:
    form = (await shop.reader.get("/import")).form("/import")
    page = await shop.reader.send(form, files={"file": ("people.csv", PEOPLE)}, tags="fair")
    assert "2 people can be imported" in page.text
    assert "line 4" in page.text
    assert await shop.house.rows("SELECT 1 FROM contacts") == [], "a dry run"
    base = page.path
    remap = page.form(f"{base}/read")
    place = next(name for name, value in remap.fields.items() if value == "Shop").replace("column", "field")
    said: dict[str, Any] = {place: "description"}
    page = await shop.reader.send(remap, **said)
    assert "Leeds" in page.text
    left = await shop.reader.web.get(f"{base}/errors")
    assert "broken" in left.text
    store = page.form(f"{base}/store")
    page = await shop.reader.send(store)
    again = await shop.reader.send(store)
    assert "2 new" in page.text
    assert "2 new" in again.text
    rows = await shop.house.rows("SELECT email, first_name, description, tags FROM contacts ORDER BY email")
    assert rows == [("max@example.org", "Max", "York", ["fair"]), ("zoe@example.org", "Zoe", "Leeds", ["fair"])]
    await shop.reader.send(page.form(f"{base}/drop"))
    assert (await shop.reader.get(base)).status == 404


async def test_what_is_no_list_is_said_and_can_be_put_right(shop: Shop) -> None:
    form = (await shop.reader.get("/import")).form("/import")
    page = await shop.reader.send(form, files={"file": ("a.csv", b"Kontakt,Name\nada@example.org,Ada\n")})
    assert "No column for the e-mail address" in page.note()
    page = await shop.reader.send(page.form(f"{page.path}/read"), column="Kontakt", field="email")
    assert "1 person can be imported" in page.text
    picture = await shop.reader.send(form, files={"file": ("a.png", b"\x89PNG\r\n\x1a\n0000")})
    assert "a picture" in picture.note()
    nothing = await shop.reader.send(form, files={"file": ("", b"")})
    assert "Choose a file first" in nothing.note()


async def test_a_kept_mail_can_be_looked_at(shop: Shop) -> None:
    from db import captures
    from db.captures import Captured

    message = (b"From: a@example.org\r\nTo: b@example.org\r\nSubject: Hello <b>\r\nMIME-Version: 1.0\r\n"
               b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>Dear <script>x</script> reader</p>\r\n")  # fmt: skip
    mail = Captured(None, None, "a@example.org", "b@example.org", "Hello <b>", message)
    async with shop.ctx.database.transaction(shop.ctx.tenant.id) as db:
        await captures.add(db, shop.ctx.tenant.id, [mail])
    page = await shop.reader.get("/outbox")
    assert "Hello <b>" in page.text
    (path,) = page.document.xpath("//tbody//a/@href")
    page = await shop.reader.get(path)
    (frame,) = page.all("iframe")
    assert frame.get("sandbox") == ""
    assert "sandbox" in (await shop.reader.web.get(frame.get("src"))).headers["content-security-policy"]
    assert (await shop.reader.web.get(f"{path}/file")).content == message


async def test_the_first_key_is_an_owners_and_whoever_makes_it_stays_in(shop: Shop) -> None:
    form = (await shop.reader.get("/settings")).form("/settings/keys")
    refused = await shop.reader.send(form, name="shop", role="viewer")
    assert "must be an owner's" in refused.note()
    page = await shop.reader.send(form, name="Robin", role="owner")
    (key,) = page.document.xpath("//code[contains(@class, 'secret')]/text()")
    assert key.startswith("sck_")
    page = await shop.reader.get("/settings")
    assert page.status == 200
    assert key not in page.answer.text, "it is shown once"
    page = await shop.reader.send(page.form("/settings/keys"), name="shop", role="viewer", days="30")
    assert "The key shop" in page.text
    ((id,),) = await shop.house.rows("SELECT key_id FROM api_keys WHERE name = 'shop'")
    page = await shop.reader.send(
        (await shop.reader.get("/settings")).form("/settings/keys/revoke"), key=str(UUID(str(id)))
    )
    assert "shop is revoked" in page.note()


async def test_settings_show_no_secret(shop: Shop) -> None:
    settings = shop.house.access.program.settings
    from pydantic import SecretStr

    object.__setattr__(settings, "smtp_url", SecretStr("smtp://user:hunter2@mail.example:587"))
    object.__setattr__(settings, "database_url", SecretStr("postgresql://me:swordfish@db.example/x"))
    page = await shop.reader.get("/settings")
    assert "mail.example" in page.text
    assert "db.example" in page.text
    assert "hunter2" not in page.answer.text
    assert "swordfish" not in page.answer.text
