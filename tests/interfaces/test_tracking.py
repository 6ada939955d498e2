"""The public endpoints over HTTP, on real rows: what is answered, what is written, and what is never done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from db import analytics
from db.pool import Database
from interfaces.access import Access
from interfaces.settings import Settings
from interfaces.tracking import PIXEL, Tracking
from interfaces.web import full_app, public_app
from interfaces.wiring import Program
from mail.links import Kind, Links, LinkSettings, Recipient
from tests.conftest import NOW
from tests.mail.test_links import NOWHERE
from tests.tools.histories import Sent, people, sent
from tools.base import Context

BASE = "http://127.0.0.1:8000"
SETTINGS = LinkSettings(BASE)
SHOP = "https://shop.example/lamps?id=7#top"
READER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
AT = NOW - timedelta(days=1)


@dataclass
class Site:
    """The running endpoints, a campaign that was sent, and its links."""

    ctx: Context
    tracking: Tracking
    web: httpx.AsyncClient
    links: Links
    campaign: Sent

    def to(self, place: int = 0) -> Recipient:
        return self.links.to(self.campaign.id, self.campaign.people[place])

    async def get(self, url: str, method: str = "GET", **headers: str) -> httpx.Response:
        named = {"User-Agent": READER} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.web.request(method, url.removeprefix(BASE), headers=named)

    async def post(self, url: str, body: str | bytes = "", **headers: str) -> httpx.Response:
        named = {"User-Agent": READER, "Content-Type": "application/x-www-form-urlencoded"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.web.post(url.removeprefix(BASE), content=body, headers=named)

    async def written(self) -> None:
        """Until nothing is left in memory."""
        for _ in range(1_000):
            if not self.tracking.hits.held:
                return
            await asyncio.sleep(0.01)
        raise TimeoutError

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        async with self.ctx.database.transaction(self.ctx.tenant.id, read_only=True) as db:
            return await (await db.execute(query.encode(), values)).fetchall()

    async def events(self) -> list[tuple[Any, ...]]:
        await self.written()
        return await self.rows("SELECT kind, class, reason, url, contact_id FROM events ORDER BY kind, at")

    async def is_counted_right(self) -> bool:
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            stored = await analytics.hours(db, self.ctx.tenant.id, self.campaign.id)
            counted = await analytics.recount(db, self.ctx.tenant.id, self.campaign.id)
            links = await analytics.link_counts(db, self.ctx.tenant.id, self.campaign.id)
            links_counted = await analytics.recount_links(db, self.ctx.tenant.id, self.campaign.id)
        return [row for row in stored if not row.is_empty()] == counted and links == links_counted


@asynccontextmanager
async def site_of(ctx: Context, to: Sequence[UUID] | None = None) -> AsyncIterator[Site]:
    campaign = await sent(ctx, f"Lamp Week {uuid4().hex[:6]}", to or await people(ctx, 5), AT)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        links = await Links.load(db, ctx.tenant.id, SETTINGS)
    tracking = Tracking(ctx.database, SETTINGS, now=ctx.now)
    program = Program(Settings.model_construct(), ctx.database.url, ctx.tenant, ctx.database, ctx.embedder, ctx.actor)
    transport = httpx.ASGITransport(full_app(Access(program, ctx.tenant), tracking))
    async with tracking.running(), httpx.AsyncClient(transport=transport, base_url=BASE) as web:
        yield Site(ctx, tracking, web, links, campaign)


@pytest.fixture
async def site(ctx: Context) -> AsyncIterator[Site]:
    async with site_of(ctx) as site:
        yield site


async def test_a_picture_counts_an_open(site: Site) -> None:
    answer = await site.get(site.to().pixel)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PIXEL, "image/gif")
    assert "no-store" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert await site.events() == [("open", "human", "browser", None, site.campaign.people[0])]
    assert await site.is_counted_right()


async def test_a_link_leads_on_and_counts_a_click(site: Site) -> None:
    answer = await site.get(site.to().link(SHOP))
    assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    assert await site.events() == [("click", "human", "browser", SHOP, site.campaign.people[0])]
    assert await site.is_counted_right()


async def test_a_hit_is_in_the_database_within_a_second(site: Site) -> None:
    async def seconds(so_far: int) -> float:
        began = time.monotonic()
        await asyncio.gather(*(site.get(site.to(place).pixel) for place in range(5)))
        for _ in range(500):
            if len(await site.rows("SELECT 1 FROM events")) == so_far + 5:
                break
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    # The best of three: other tests share the machine.
    assert min([await seconds(5 * number) for number in range(3)]) < 1


async def test_what_is_in_memory_is_written_when_it_ends(ctx: Context) -> None:
    async with site_of(ctx) as site:
        for place in range(5):
            await site.get(site.to(place).link(SHOP))
    assert len(await site.rows("SELECT 1 FROM events")) == 5


@pytest.mark.parametrize(("method", "headers", "reason"), [
    ("HEAD", {}, "head_request"), ("GET", {"Sec_Purpose": "prefetch;prerender"}, "prefetch"),
    ("GET", {"Purpose": "prefetch"}, "prefetch"), ("GET", {"X_Moz": "prefetch"}, "prefetch"),
    ("GET", {"User_Agent": "python-requests/2.32.3"}, "library"),
])  # fmt: skip
async def test_what_no_person_does_is_answered_and_marked(
    site: Site, method: str, headers: dict[str, str], reason: str
) -> None:
    answer = await site.get(site.to().link(SHOP), method, **headers)
    assert (answer.status_code, answer.headers["location"], answer.content) == (302, SHOP, b"")
    assert [event[:3] for event in await site.events()] == [("click", "machine", reason)]


async def test_one_mail_is_not_written_down_without_end(site: Site) -> None:
    for _ in range(80):
        assert (await site.get(site.to().pixel)).status_code == 200
    await site.get(site.to(1).pixel)
    assert len(await site.events()) == 61


async def test_an_address_in_a_link_is_not_kept(site: Site) -> None:
    target = "https://shop.example/me?email=ada@example.org"
    answer = await site.get(site.to().link(target))
    assert answer.headers["location"] == target
    assert [event[3] for event in await site.events()] == ["https://shop.example/me"]


# Tampering


def spoilt(text: str) -> list[str]:
    """Sixteen ways to change a token."""
    half = len(text) // 2
    swapped = text[: half - 1] + ("A" if text[half - 1] != "A" else "B") + text[half:]
    return [
        swapped, text[:-1], text[1:], text + "A", text[::-1], text.lower(), text.upper(), text[:half], "",
        "A" * len(text),
        text + "%00", text.replace(text[5], "-"), f"{text}%2F..%2F{text}", "." * 8, "%2e%2e%2f" * 3, "é" * 40,
    ]  # fmt: skip


async def test_every_changed_token_gets_the_same_answer_and_no_effect(site: Site) -> None:
    to = site.to()
    count = 0
    for path, text, end in (
        ("/o/", to.pixel.removesuffix(".gif").rpartition("/")[2], ".gif"),
        ("/c/", to.link(SHOP).rpartition("/")[2], ""),
        ("/u/", to.unsubscribe_url.rpartition("/")[2], ""),
        ("/v/", to.conversion_token, ".gif"),
    ):
        bodies = set()
        for changed in spoilt(text):
            for method in ("GET", "POST") if path in ("/u/", "/v/") else ("GET",):
                answer = await site.web.request(method, f"{path}{changed}{end}", content=b"List-Unsubscribe=One-Click")
                assert answer.status_code in (404, 405), (method, path, changed)
                assert "location" not in answer.headers
                bodies.add(answer.text)
                count += 1
        # Ours, and the framework's where an address is none of ours at all.
        assert len(bodies) <= 3
    assert count >= 60
    assert await site.events() == []
    assert await site.rows("SELECT 1 FROM suppressions") == []


async def test_a_token_of_one_kind_opens_no_other_door(site: Site) -> None:
    to = site.to()
    tokens = {
        "o": to.pixel.removesuffix(".gif").rpartition("/")[2], "c": to.link(SHOP).rpartition("/")[2],
        "u": to.unsubscribe_url.rpartition("/")[2], "v": to.conversion_token,
    }  # fmt: skip
    for door in tokens:
        for kind, token in tokens.items():
            if kind != door:
                for method in ("GET", "POST"):
                    answer = await site.web.request(method, f"/{door}/{token}", content=b"List-Unsubscribe=One-Click")
                    assert answer.status_code in (404, 405)
    assert await site.events() == []


@pytest.mark.parametrize("target", NOWHERE)
async def test_nothing_but_a_signed_web_address_is_redirected_to(site: Site, target: str) -> None:
    """The worst case: somebody holds the tenant's key and signs it."""
    key = site.links.keys
    signed = bytes((Kind.CLICK, key.current)) + key.tenant.bytes + site.campaign.id.bytes + UUID(int=7).bytes
    from mail.links import _encode

    signed += target.encode()
    mac = key.mac(key.current, signed)
    assert mac is not None
    for url in (f"/c/{_encode(signed + mac)}", f"{site.to().link(SHOP).removeprefix(BASE)}?url={target}"):
        try:
            answer = await site.web.get(url)
        except httpx.InvalidURL:
            continue
        assert answer.headers.get("location") in (None, SHOP)


async def test_another_tenants_ids_and_invented_ones_are_answered_alike(site: Site, new_tenant: Any) -> None:
    """A genuine token of this tenant that names the other's rows, and one that names nobody's."""
    other = replace(site.ctx, tenant=new_tenant())
    theirs = await sent(other, "Theirs", await people(other, 2), AT)
    answers = []
    for campaign, contact in (
        (theirs.id, theirs.people[0]), (uuid4(), uuid4()), (site.campaign.id, theirs.people[0]),
        (site.campaign.id, uuid4()),
    ):  # fmt: skip
        to = site.links.to(campaign, contact)
        mine = [
            await site.get(to.pixel), await site.get(to.link(SHOP)), await site.get(to.unsubscribe_url),
            await site.post(to.unsubscribe_url, "List-Unsubscribe=One-Click"),
            await site.get(f"/v/{to.conversion_token}.gif?order=1"),
            await site.post(f"/v/{to.conversion_token}", "order=2"),
        ]  # fmt: skip
        answers.append([(a.status_code, a.text, a.headers.get("location")) for a in mine])
    assert all(answer == answers[0] for answer in answers)
    await site.written()
    for ctx in (site.ctx, other):
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            for table in ("events", "suppressions"):
                assert await (await db.execute(f"SELECT 1 FROM {table}".encode())).fetchall() == []
            statuses = await (await db.execute("SELECT DISTINCT status FROM contacts")).fetchall()
            assert statuses == [("subscribed",)]


async def test_a_tenant_that_is_not_here_is_answered_like_a_changed_token(site: Site) -> None:
    keys = replace(site.links.keys, tenant=uuid4())
    foreign = Links(SETTINGS, keys).to(site.campaign.id, site.campaign.people[0])
    changed = site.to().link(SHOP)[:-1]
    one, other = await site.get(foreign.link(SHOP)), await site.get(changed)
    assert (one.status_code, one.text) == (other.status_code, other.text) == (404, one.text)


# Unsubscribing


async def test_looking_at_the_unsubscribe_page_changes_nothing(site: Site) -> None:
    for method in ("GET", "HEAD"):
        answer = await site.get(site.to().unsubscribe_url, method)
        assert answer.status_code == 200
    page = (await site.get(site.to().unsubscribe_url)).text
    assert page.count("<button") == 1
    assert '<form method="post">' in page
    assert '<html lang="en">' in page
    assert "<script" not in page
    assert "http" not in page.replace("<!doctype html>", ""), "nothing is loaded from anywhere"
    assert await site.rows("SELECT DISTINCT status FROM contacts") == [("subscribed",)]
    assert await site.events() == []


@pytest.mark.parametrize(("languages", "language", "word"), [
    ("de-AT,de;q=0.9,en;q=0.8", "de", "Abmelden"), ("fr", "fr", "désinscrire"), ("es-MX", "es", "baja"),
    ("nl,pt", "en", "Unsubscribe"), ("", "en", "Unsubscribe"), ("," * 5_000, "en", "Unsubscribe"),
])  # fmt: skip
async def test_the_page_speaks_the_readers_language(site: Site, languages: str, language: str, word: str) -> None:
    page = (await site.get(site.to().unsubscribe_url, Accept_Language=languages)).text
    assert f'lang="{language}"' in page
    assert word in page


MULTIPART = (
    "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n",
    "multipart/form-data; boundary=b",
)  # fmt: skip
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("body", "kind", "how"), [
    ("List-Unsubscribe=One-Click", FORM, "one_click"), (*MULTIPART, "one_click"), ("confirm=yes", FORM, "page"),
])  # fmt: skip
async def test_unsubscribing_holds_before_it_is_answered(site: Site, body: str, kind: str, how: str) -> None:
    ctx, person = site.ctx, site.campaign.people[0]
    later = await sent(ctx, "Next week", site.campaign.people, AT)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute("UPDATE deliveries SET state = 'ready', sent_at = NULL WHERE campaign_id = %s", (later.id,))
    answer = await site.post(site.to().unsubscribe_url, body, Content_Type=kind)
    assert answer.status_code == 200
    # Nothing is waited for: it is committed.
    assert await site.rows("SELECT status FROM contacts WHERE contact_id = %s", person) == [("unsubscribed",)]
    assert await site.rows("SELECT reason, source FROM suppressions ORDER BY source") == [("unsubscribed", how)] * 2
    assert await site.rows(
        "SELECT state, reason FROM deliveries WHERE campaign_id = %s AND contact_id = %s", later.id, person
    ) == [("skipped", "suppressed (unsubscribed)")]
    assert await site.rows("SELECT kind, class, reason FROM events") == [("unsubscribe", "human", how)]
    assert await site.rows("SELECT count(*) FROM deliveries WHERE state = 'ready'") == [(4,)]
    # Again: the same answer, and it counts once.
    again = await site.post(site.to().unsubscribe_url, body, Content_Type=kind)
    assert (again.status_code, again.text) == (200, answer.text)
    assert len(await site.events()) == 1
    assert await site.is_counted_right()


@pytest.mark.parametrize(
    "body", ["", "x", "List-Unsubscribe=", "List-Unsubscribe=Two-Click", "confirm=no", "x" * 100_000]
)
async def test_a_post_without_the_word_changes_nothing(site: Site, body: str) -> None:
    assert (await site.post(site.to().unsubscribe_url, body)).status_code == 400
    assert await site.rows("SELECT 1 FROM suppressions") == []


async def test_a_mail_on_the_wire_is_left_to_its_answer(site: Site) -> None:
    ctx, person = site.ctx, site.campaign.people[0]
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute(
            "UPDATE deliveries SET state = 'sending', sent_at = NULL, lease_owner = 'w' WHERE contact_id = %s",
            (person,),
        )
    await site.post(site.to().unsubscribe_url, "List-Unsubscribe=One-Click")
    assert await site.rows("SELECT state FROM deliveries WHERE contact_id = %s", person) == [("sending",)]


async def test_an_address_that_was_changed_since_is_suppressed_both_ways(site: Site) -> None:
    ctx, person = site.ctx, site.campaign.people[0]
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute("UPDATE contacts SET email = 'new@example.org' WHERE contact_id = %s", (person,))
    await site.post(site.to().unsubscribe_url, "List-Unsubscribe=One-Click")
    found = await site.rows(
        "SELECT address_hash = suppression_hash(tenant_id, 'new@example.org') FROM suppressions ORDER BY 1"
    )
    assert found == [(False,), (True,)]


async def test_somebody_who_was_erased_is_answered_kindly_and_nothing_is_written(site: Site) -> None:
    ctx, person = site.ctx, site.campaign.people[0]
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute("DELETE FROM contacts WHERE contact_id = %s", (person,))
    for answer in (
        await site.get(site.to().pixel), await site.get(site.to().link(SHOP)),
        await site.post(site.to().unsubscribe_url, "List-Unsubscribe=One-Click"),
    ):  # fmt: skip
        assert answer.status_code in (200, 302)
    assert await site.events() == []


async def test_a_test_mails_links_count_nothing_and_unsubscribe_nobody(site: Site) -> None:
    to = site.links.for_test()
    assert "test" in (await site.get(to.unsubscribe_url)).text
    assert (await site.post(to.unsubscribe_url, "List-Unsubscribe=One-Click")).status_code == 200
    assert await site.events() == []
    assert await site.rows("SELECT 1 FROM suppressions") == []


async def test_a_thousand_unsubscribe_at_once_and_each_counts_once(ctx: Context) -> None:
    crowd = await people(ctx, 60)
    async with site_of(ctx, crowd) as site:
        answers = await asyncio.gather(
            *(site.post(site.to(place).unsubscribe_url, "List-Unsubscribe=One-Click") for place in [*range(60)] * 2),
            *(site.get(site.to(place).link(SHOP)) for place in range(60)),
        )
        assert {answer.status_code for answer in answers} == {200, 302}
        await site.written()
        assert await site.rows(
            "SELECT count(*), count(DISTINCT contact_id) FROM events WHERE kind = 'unsubscribe'"
        ) == [(60, 60)]
        assert await site.rows("SELECT sum(unsubscribe_count), sum(link_clicked_count) FROM campaign_analytics") == [
            (60, 60)
        ]
        assert await site.is_counted_right()


# Conversions


async def test_a_shop_reports_a_conversion_once(site: Site) -> None:
    url = f"/v/{site.to().conversion_token}"
    first = await site.post(url, '{"value": 12.50, "order": "A-1"}', Content_Type="application/json")
    assert (first.status_code, first.json()) == (200, {"recorded": True})
    assert (await site.post(url, "value=12.50&order=A-1")).json() == {"recorded": False}
    assert (await site.post(url, "value=3", Idempotency_Key="A-2")).json() == {"recorded": True}
    # The same order by somebody else's link is the same order.
    assert (await site.post(f"/v/{site.to(1).conversion_token}", "order=A-1")).json() == {"recorded": False}
    assert await site.rows("SELECT kind, class, reason, value FROM events ORDER BY value") == [
        ("conversion", "human", "server_call", Decimal("3.00")),
        ("conversion", "human", "server_call", Decimal("12.50")),
    ]  # fmt: skip
    assert await site.is_counted_right()


async def test_the_same_order_at_the_same_moment_counts_once(site: Site) -> None:
    url = f"/v/{site.to().conversion_token}"
    answers = await asyncio.gather(*(site.post(url, "order=A-1&value=5") for _ in range(8)))
    assert sorted(answer.json()["recorded"] for answer in answers) == [False] * 7 + [True]


@pytest.mark.parametrize("body", [
    "", "value=5", "order=", "order=1&value=-5", "order=1&value=1e9", "order=1&value=NaN", "order=1&value=5,00",
    "order=1&value=12345678901", f"order={'x' * 101}", "order=1&value=٣",
    '{"order": 7, "value": {"a": 1}}"', '{"order": ["x"]}',
])  # fmt: skip
async def test_a_report_that_cannot_be_read_is_refused(site: Site, body: str) -> None:
    assert (await site.post(f"/v/{site.to().conversion_token}", body.encode())).status_code == 400
    assert await site.events() == []


async def test_a_picture_on_the_page_of_thanks_counts_once_a_day_or_order(site: Site) -> None:
    url = f"/v/{site.to().conversion_token}.gif"
    for query in ("", "", "?order=A-1&value=9.90", "?order=A-1&value=9.90"):
        answer = await site.get(url + query)
        assert (answer.status_code, answer.content) == (200, PIXEL)
    await site.get(url + "?order=A-2", User_Agent="Googlebot/2.1 (+http://www.google.com/bot.html)")
    events = await site.events()
    assert [(event[1], event[2]) for event in events] == [("human", "pixel"), ("human", "pixel"), ("machine", "bot")]
    assert await site.is_counted_right()


async def test_only_a_tenants_own_hosts_get_a_token_to_report_with(ctx: Context, database_url: str) -> None:
    with psycopg.connect(database_url) as owner:
        owner.execute("UPDATE tenants SET conversion_hosts = '{shop.example}' WHERE id = %s", (ctx.tenant.id,))
    async with site_of(ctx) as site:
        to = site.to()
        for url, is_ours in (
            (SHOP, True), ("https://www.shop.example/", True), ("https://notshop.example/", False),
            ("https://shop.example.evil.example/", False), ("https://evil.example/?shop.example", False),
        ):  # fmt: skip
            location = (await site.get(to.link(url))).headers["location"]
            assert ("sc=" in location) == is_ours, url
        assert (await site.get(to.link(SHOP))).headers["location"] == (
            f"https://shop.example/lamps?id=7&sc={to.conversion_token}#top"
        )
        token = to.conversion_token
        assert (await site.post(f"/v/{token}", "order=1")).json() == {"recorded": True}


# When the database is away


async def test_links_go_on_working_while_the_database_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await site.get(site.to().pixel)).status_code == 200
    await site.written()
    transaction = Database.transaction

    def away(self: Database, tenant: UUID, *, read_only: bool = False) -> Any:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(Database, "transaction", away)
    assert (await site.get(site.to(1).link(SHOP))).headers["location"] == SHOP
    answer = await site.post(site.to(2).unsubscribe_url, "List-Unsubscribe=One-Click")
    assert answer.status_code == 503, "nobody is told that they left while they did not"
    await asyncio.sleep(0.5)
    assert site.tracking.hits.held == 1
    monkeypatch.setattr(Database, "transaction", transaction)
    events = await site.events()
    assert [event[0] for event in events] == ["click", "open"]
    assert site.tracking.hits.lost == 0


async def test_a_commit_of_which_nobody_heard_is_not_counted_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    transaction = Database.transaction
    lost = iter([True])

    @asynccontextmanager
    async def unheard(self: Database, tenant: UUID, *, read_only: bool = False) -> AsyncIterator[Any]:
        async with transaction(self, tenant, read_only=read_only) as db:
            yield db
        if not read_only and next(lost, False):
            raise psycopg.OperationalError("the connection was lost")

    await site.get(site.to().pixel)
    await site.written()
    monkeypatch.setattr(Database, "transaction", unheard)
    await site.get(site.to(1).pixel)
    await site.get(site.to(1).link(SHOP))
    assert len(await site.events()) == 3
    assert site.tracking.hits.lost == 0
    assert await site.is_counted_right()


async def test_a_full_memory_answers_all_the_same_and_says_what_it_lost(site: Site) -> None:
    site.tracking.hits._most, site.tracking.hits._gather = 2, 30
    for place in range(2):
        await site.get(site.to(place).pixel)
    began = time.monotonic()
    assert (await site.get(site.to(2).link(SHOP))).headers["location"] == SHOP
    assert time.monotonic() - began < 2
    assert (await site.web.get("/health")).json() == {"status": "ok", "waiting": 2, "lost": 1}


# Who is served


async def test_the_local_app_refuses_a_foreign_host_and_the_public_one_has_no_more_than_tracking(site: Site) -> None:
    assert (await site.get("/health", Host="mail.shop.example")).status_code == 400
    public = httpx.ASGITransport(public_app(site.tracking))
    async with httpx.AsyncClient(transport=public, base_url="https://mail.shop.example") as web:
        assert (await web.get("/health")).status_code == 200
        assert (await web.get(site.to().pixel.removeprefix(BASE))).status_code == 200
        for path in (
            "/",
            "/docs",
            "/api/openapi.json",
            "/api/tools/send_campaign",
            "/api/chat",
            "/v1/models",
            "/metrics",
        ):
            assert (await web.get(path)).status_code == 404
