"""What holds on every page: who comes in, whose form it is, what a browser may do, and whose data is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from lxml import html

from interfaces.pages import assets
from interfaces.pages.sessions import COOKIE, Sessions
from tests.interfaces.pages.conftest import Shop
from tools import keys
from tools.base import Context
from tools.campaigns import create_campaign
from tools.contacts import create_contact, delete_contact

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7*7 }}"

PAGES = ("/", "/campaigns", "/campaigns/new", "/contacts", "/contacts/new", "/approvals", "/outbox", "/import",
         "/settings")  # fmt: skip


async def every_page(shop: Shop) -> list[str]:
    """The addresses of all pages, with something on each."""
    campaign = await shop.campaign()
    contact = await create_contact.call({"email": f"{uuid4().hex}@example.org"}, shop.ctx)
    await delete_contact.call({"contact": contact.contact.email}, shop.ctx)
    thread = await shop.reader.send((await shop.reader.get("/")).form("/threads"), say="list my campaigns")
    return [*PAGES, f"/campaigns/{campaign}", f"/contacts/{contact.contact.contact_id}", thread.path]


async def test_every_page_says_what_a_browser_may_do(shop: Shop) -> None:
    for path in await every_page(shop):
        page = await shop.reader.get(path)
        assert page.status == 200, path
        policy = page.answer.headers["content-security-policy"]
        assert policy == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'"
        )
        assert page.answer.headers["x-content-type-options"] == "nosniff"
        assert page.answer.headers["cache-control"] == "no-store"
        # Nothing that the policy forbids is asked for either.
        assert not page.document.xpath("//*[@style or @onclick or @onload or self::style or self::base]"), path
        for script in page.all("script"):
            assert script.get("src", "").startswith("/static/"), path
            assert not (script.text or "").strip(), path


async def test_every_form_carries_its_token_and_none_is_believed_without(shop: Shop) -> None:
    tried = 0
    for path in await every_page(shop):
        page = await shop.reader.get(path)
        for form in page.document.forms:
            if form.method != "POST":
                continue
            assert form.fields["csrf"], (path, form.get("action"))
            for wrong in ("", "0" * 64):
                refused = await shop.reader.send(form, csrf=wrong)
                assert refused.status == 403, (path, form.get("action"))
                tried += 1
    assert tried > 30


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
])  # fmt: skip
async def test_another_sites_form_does_nothing(shop: Shop, headers: dict[str, str]) -> None:
    # Signed in: a session that would be believed from anywhere.
    key = (await keys.create("Robin", "owner", shop.ctx)).text
    await shop.reader.send((await shop.reader.get("/")).form("/sign-in"), key=key)
    form = (await shop.reader.get("/contacts/new")).form("/contacts/new")
    fields = dict(form.fields) | {"email": "ada@example.org"}
    answer = await shop.reader.web.post("/contacts/new", data=fields, headers=headers)
    assert answer.status_code == 403
    assert await shop.house.rows("SELECT 1 FROM contacts") == []


async def test_the_token_belongs_to_one_session(shop: Shop) -> None:
    token = (await shop.reader.get("/contacts/new")).form("/contacts/new").fields["csrf"]
    shop.reader.web.cookies.clear()
    form = (await shop.reader.get("/contacts/new")).form("/contacts/new")
    assert form.fields["csrf"] != token
    assert (await shop.reader.send(form, csrf=token, email="ada@example.org")).status == 403


async def test_the_cookie_is_for_these_pages_alone(shop: Shop) -> None:
    page = await shop.reader.get("/")
    cookie = page.answer.headers["set-cookie"].lower()
    assert cookie.startswith(COOKIE)
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "set-cookie" not in (await shop.reader.get("/")).answer.headers


async def test_sessions_and_forms_outlive_a_restart(shop: Shop, tmp_path: Path) -> None:
    form = (await shop.reader.get("/contacts/new")).form("/contacts/new")
    again = Sessions(tmp_path)
    assert (tmp_path / "web.key").stat().st_mode & 0o077 == 0
    request = shop.reader.web.build_request("GET", "/")

    class Asked:
        cookies = {COOKIE: request.headers["cookie"].partition("=")[2]}

    session = again.of(Asked())  # type: ignore[arg-type]
    assert not session.is_new
    assert again.token(session) == form.fields["csrf"]


async def test_what_people_typed_is_shown_as_text(shop: Shop) -> None:
    contact = await create_contact.call(
        {"email": "ada@example.org", "first_name": NASTY[:90], "last_name": "<b>L", "description": NASTY,
         "tags": ["<i>tag</i>"]},
        shop.ctx,
    )  # fmt: skip
    campaign = await shop.campaign(NASTY, NASTY)
    await delete_contact.call({"contact": "ada@example.org"}, shop.ctx)
    thread = await shop.reader.send((await shop.reader.get("/")).form("/threads"), say=f"who likes {NASTY}?")
    contact_path = f"/contacts/{contact.contact.contact_id}"
    paths = ["/campaigns", f"/campaigns/{campaign}", "/contacts", "/contacts?query=script", "/approvals", contact_path,
             thread.path, "/contacts?query=%3Cscript%3Ealert(3)%3C/script%3E"]  # fmt: skip
    for path in paths:
        page = await shop.reader.get(path)
        assert page.status == 200, path
        assert "<script>alert" not in page.answer.text, path
        assert "<img src=x" not in page.answer.text, path
        assert not page.document.xpath("//*[@onerror]"), path
        assert len(page.all("script")) == 1, path
    assert "<script>alert(1)</script>" in (await shop.reader.get(contact_path)).text


async def test_a_mail_is_shown_in_a_frame_that_can_do_nothing(shop: Shop) -> None:
    id = await shop.campaign()
    page = await shop.reader.get(f"/campaigns/{id}")
    (frame,) = page.all("iframe")
    assert frame.get("sandbox") == ""
    mail = await shop.reader.web.get(frame.get("src"))
    policy = mail.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert mail.headers["x-frame-options"] == "SAMEORIGIN"


async def test_somebody_elses_ids_are_not_found(shop: Shop, other: Context) -> None:
    theirs = await create_campaign.call({"name": "Secret Sale"}, other)
    contact = await create_contact.call({"email": "secret@example.org", "description": "a secret"}, other)
    asked = await delete_contact.call({"contact": "secret@example.org"}, other)
    agent = await shop.house.access.agent()
    thread = await agent.open_conversation(other)
    form = (await shop.reader.get("/contacts/new")).form("/contacts/new")
    campaign, person, card = theirs.campaign.campaign_id, contact.contact.contact_id, asked.approval_id
    gets = [f"/campaigns/{campaign}", f"/campaigns/{campaign}/mail", f"/campaigns/{campaign}/results",
            f"/contacts/{person}", f"/contacts/{person}/file", f"/threads/{thread}", f"/threads/{thread}/events",
            f"/approvals/{card}/mail", f"/outbox/{uuid4()}", "/import/abcdef", f"/import/{uuid4()}/errors"]  # fmt: skip
    for path in gets:
        page = await shop.reader.get(path)
        unknown = await shop.reader.get(path.replace(path.split("/")[2], str(uuid4())))
        assert (page.status, unknown.status) == (404, 404), path
        assert "secret" not in page.answer.text.lower(), path
        mine, nobodys = (html.tostring(each.all("main")[0]) for each in (page, unknown))
        assert _without_ids(mine) == _without_ids(nobodys), path
    posts = [
        f"/campaigns/{campaign}/{step}" for step in ("send", "test", "draft", "people", "pause", "resume", "cancel")
    ]
    posts += [f"/campaigns/{campaign}", f"/contacts/{person}", f"/contacts/{person}/erase", f"/approvals/{card}",
              f"/contacts/{person}/leave", f"/contacts/{person}/return", f"/threads/{thread}",
              f"/threads/{thread}/answer", f"/threads/{thread}/stop"]  # fmt: skip
    for path in posts:
        form.set("action", path)
        page = await shop.reader.send(form, decision="approve", say="hello", email="a@example.org", consent="by phone")
        assert page.status == 404, path
        assert "secret" not in page.answer.text.lower(), path
    async with other.database.transaction(other.tenant.id) as db:
        states = await (await db.execute("SELECT state FROM approvals")).fetchall()
    assert states == [("pending",)]


def _without_ids(page: bytes) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", page.decode())


async def test_with_a_key_nobody_comes_in_without_one(shop: Shop) -> None:
    await shop.reader.get("/")
    key = (await keys.create("Robin", "viewer", shop.ctx)).text
    for path in PAGES:
        page = await shop.reader.get(path)
        assert page.status == 401
        assert "Sign in" in page.text
    wrong = await shop.reader.send((await shop.reader.get("/settings")).form("/sign-in"), key="sck_nonsense")
    assert wrong.status == 401
    assert "not known" in wrong.text
    page = await shop.reader.send(wrong.form("/sign-in"), key=key, back="/settings")
    assert (page.status, page.path) == (200, "/settings")
    assert "Robin (key), viewer" in page.text
    # What a role may not do, it may not do here.
    refused = await shop.reader.send(
        (await shop.reader.get("/contacts/new")).form("/contacts/new"), email="a@example.org"
    )
    assert "Your role is viewer" in refused.text
    assert await shop.house.rows("SELECT 1 FROM contacts") == []
    await keys.revoke("Robin", replace(shop.ctx))
    assert (await shop.reader.get("/")).status == 401


async def test_signing_out_ends_the_session(shop: Shop) -> None:
    key = (await keys.create("Robin", "owner", shop.ctx)).text
    page = await shop.reader.send((await shop.reader.get("/")).form("/sign-in"), key=key)
    assert page.status == 200
    assert (await shop.reader.send(page.form("/sign-out"))).status == 401
    assert (await shop.reader.get("/")).status == 401


async def test_signing_in_leads_to_no_other_site(shop: Shop) -> None:
    key = (await keys.create("Robin", "owner", shop.ctx)).text
    for back in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        page = await shop.reader.send((await shop.reader.get("/")).form("/sign-in"), key=key, back=back)
        assert page.path == "/"
        assert str(page.answer.url).startswith(shop.house.url)
        await shop.reader.send(page.form("/sign-out"))


async def test_another_name_for_this_machine_is_refused(shop: Shop) -> None:
    answer = await shop.reader.web.get("/contacts", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_everything_together_is_small() -> None:
    whole = sum(len(asset.packed) for asset in assets.assets().values())
    assert whole < 60_000, f"{whole:,} bytes gzipped"
    for name, asset in assets.assets().items():
        assert b"http://" not in asset.content.replace(b"http://www.w3.org/2000/svg", b""), name
        assert b"https://" not in asset.content, name


async def test_assets_are_kept_for_ever_under_their_own_address(shop: Shop) -> None:
    answer = await shop.reader.web.get(f"{assets.address()}/page.js")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    old = await shop.reader.web.get("/static/000000000000/page.js")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-store")
    assert (await shop.reader.web.get(f"{assets.address()}/..%2f..%2fsite.py")).status_code == 404
