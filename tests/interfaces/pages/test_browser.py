"""The pages in a real Chromium: by keyboard, on a phone, in both themes, for screen readers, and without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from interfaces.settings import Settings
from interfaces.wiring import local_actor
from tests.interfaces.api.conftest import served
from tests.interfaces.pages.chromium import chromium, why_not
from tests.interfaces.pages.conftest import Shop
from tests.interfaces.pages.reader import Reader
from tests.tools.histories import people, sent
from tools.base import Context, Tenant
from tools.contacts import create_contact, delete_contact

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(why_not() is not None, reason=f"NO BROWSER TESTS: {why_not()}"),
]

PLAN = "create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail"

# Whatever is slow on a busy machine is waited for so long, in milliseconds.
PATIENCE = 20_000


@dataclass
class Place:
    """A running program with a little history, and one browser for all tests."""

    shop: Shop
    browser: Browser
    paths: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What the console said, and what was asked for elsewhere."""

    @asynccontextmanager
    async def page(self, width: int = 1280, *, dark: bool = False, script: bool = True) -> AsyncIterator[Page]:
        context = await self.browser.new_context(
            base_url=self.shop.house.url, viewport={"width": width, "height": 844}, java_script_enabled=script,
            color_scheme="dark" if dark else "light", reduced_motion="reduce",
        )  # fmt: skip
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._look(request.url))
        yield page
        await context.close()

    def _look(self, url: str) -> None:
        if not url.startswith((self.shop.house.url, "data:", "about:")):
            self.problems.append(f"asked elsewhere: {url}")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(
    database_url: str, embedder: LocalEmbedder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    database = Database(database_url, max_size=8)
    await database.open()
    id = tenants.add(database_url, name="Browsers Ltd", time_zone="Europe/London", country="GB")
    assert id is not None
    tenant = Tenant(id, "Browsers Ltd", "Europe/London", "GB")
    ctx = Context(tenant=tenant, actor=local_actor("web"), database=database, embedder=embedder,
                  now=lambda: datetime.now(UTC))  # fmt: skip
    settings = Settings.model_construct(home=tmp_path_factory.mktemp("home"))
    async with served(ctx, settings=settings, local=tenant, roles=()) as house, chromium() as browser:
        shop = Shop(house, Reader(house.url), ctx)
        place = Place(shop, browser)
        place.paths = await furnish(shop)
        yield place
        await shop.reader.web.aclose()
    await database.close()


async def furnish(shop: Shop) -> list[str]:
    """Something on every page; returns their addresses."""
    ctx = shop.ctx
    everyone = await people(ctx, 60, note="cares about lamps")
    at = ctx.now() - timedelta(days=3)
    lamps = await sent(ctx, "Lamp Week", everyone, at, opened=everyone[:30], clicked=everyone[:9],
                       subjects=("A letter", "Another letter"), links=2)  # fmt: skip
    campaign = await shop.campaign("Clock Fair", "old clocks")
    ada = await create_contact.call({"email": "ada@example.org", "first_name": "Ada", "tags": ["vip"],
                                     "description": "restores clocks; wants <b>no</b> calls"}, ctx)  # fmt: skip
    await delete_contact.call({"contact": "ada@example.org"}, ctx)
    form = (await shop.reader.get("/")).form("/threads")
    thread = await shop.reader.send(form, say="send Clock Fair")
    file = b"email,first_name,shop\nzoe@example.org,Zoe,Leeds\nbroken,Bo,York\n"
    job = await shop.reader.send(
        (await shop.reader.get("/import")).form("/import"), files={"file": ("people.csv", file)}
    )
    return ["/", thread.path, "/campaigns", "/campaigns/new", f"/campaigns/{lamps.id}", f"/campaigns/{campaign}",
            "/contacts", "/contacts?query=old+clocks", "/contacts/new", f"/contacts/{ada.contact.contact_id}",
            "/approvals", "/outbox", "/import", job.path, "/settings"]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_complains(request: pytest.FixtureRequest, place: Place) -> Any:
    """No error in the console, no request to elsewhere, in no test."""
    place.problems.clear()
    yield
    expected = request.node.get_closest_marker("parametrize") and "lost" in request.node.name
    assert expected or not place.problems


async def test_from_a_question_to_an_approved_campaign(place: Place) -> None:
    await create_contact.call({"email": "ken@restorers.example", "description": "restores old things"}, place.shop.ctx)
    async with place.page() as page:
        await page.goto("/")
        await page.fill("#say", "who restores old things?")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".reply > .prose table")
        await page.click(".step summary")
        assert await page.is_visible(".step .inside"), "tool steps unfold"
        await page.fill("#say", PLAN)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#question")
        await page.click("#question >> text=Yes, do it")
        await page.wait_for_selector(".reply > .prose >> text=Drafted the mail of Harvest Fair")
        await page.fill("#say", "send Harvest Fair")
        await page.click("#send")
        await page.wait_for_selector(".card.open")
        assert await page.inner_text("#pages .count") >= "1"
        await page.click(".look summary")
        frame = page.frame_locator(".card.open iframe")
        await frame.locator("text=Harvest Fair").first.wait_for()
        await page.click("text=Approve and send")
        await page.wait_for_selector(".outcome >> text=Approved by")
        assert await page.evaluate("document.activeElement.matches('.card')"), "focus is on what was decided"
        assert await page.query_selector(".card.open") is None
    rows = await place.shop.house.rows("SELECT status FROM campaigns WHERE name = 'Harvest Fair'")
    assert rows == [("scheduled",)]


async def test_by_keyboard_alone(place: Place) -> None:
    async with place.page() as page:
        await page.goto("/campaigns")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.goto("/")
        assert await page.evaluate("document.activeElement.id") == "say", "one can type at once"
        await page.keyboard.type("add Zora (zora@example.org), she paints doors")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#question")
        await _tab_to(page, "document.activeElement.value === 'yes'", backwards=True)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".reply > .prose >> text=Added Zora")
        await page.keyboard.type("erase zora@example.org")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".card.open")
        await _tab_to(page, "document.activeElement.value === 'reject'", backwards=True)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".outcome >> text=Rejected by")
    assert len(await place.shop.house.rows("SELECT 1 FROM contacts WHERE email = 'zora@example.org'")) == 1


async def _tab_to(page: Page, condition: str, *, backwards: bool = False) -> None:
    for _ in range(40):
        if await page.evaluate(condition):
            return
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"not reached by Tab: {condition}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing(place: Place, dark: bool) -> None:
    from axe_playwright_python.base import AXE_FILE_PATH  # type: ignore[import-untyped]

    axe = AXE_FILE_PATH.read_text()
    # The themes differ in their colours alone.
    rules = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}} if dark else {}
    found = []
    async with place.page(dark=dark) as page:
        for path in place.paths:
            await page.goto(path)
            await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            await page.evaluate(axe)
            result = await page.evaluate("rules => axe.run({ iframes: false, ...rules })", rules)
            found += [
                f"{path}: {each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
                for each in result["violations"]
                for node in each["nodes"]
            ]
    assert not found, "\n".join(found)


async def test_no_page_is_wider_than_a_phone(place: Place) -> None:
    async with place.page(390) as page:
        for path in place.paths:
            await page.goto(path)
            await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path
        await page.click("[aria-label=Menu]")
        await page.click("#side >> text=Contacts")
        await page.wait_for_url("**/contacts")


async def test_search_answers_while_one_types(place: Place) -> None:
    async with place.page() as page:
        await page.goto("/contacts")
        await page.type("#query", "restores clocks")
        await page.wait_for_selector("#results >> text=Ada")
        await page.wait_for_url(lambda url: "query=restores" in url)
        assert await page.evaluate("document.activeElement.id") == "query"


async def test_a_second_window_goes_on_by_itself(place: Place) -> None:
    async with place.page() as page:
        await page.goto("/")
        await page.fill("#say", "list my campaigns")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".reply > .prose table")
        second = await page.context.new_page()
        await second.goto(page.url)
        await page.fill("#say", "help")
        await page.keyboard.press("Enter")
        await second.wait_for_selector("#turn-2 .prose p")
        await second.fill("#say", "list my campaigns")
        await second.keyboard.press("Enter")
        await second.wait_for_selector("#turn-3 .reply > .prose table")
        await page.wait_for_selector("#turn-3 .reply > .prose table")
        assert await page.locator("#turn-3").count() == 1


async def test_lost_connection_is_said_and_nothing_is_lost(place: Place) -> None:
    async with place.page() as page:
        await page.goto("/")
        await page.fill("#say", "list my campaigns")
        await page.context.set_offline(True)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#connection >> text=Nothing was lost")
        assert await page.input_value("#say") == "list my campaigns"
        await page.context.set_offline(False)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".reply > .prose table")
        assert await page.locator(".said").count() == 1
    place.problems = [each for each in place.problems if "ERR_INTERNET_DISCONNECTED" not in each]


async def test_everything_works_without_scripts(place: Place) -> None:
    async with place.page(script=False) as page:
        await page.goto("/contacts/new")
        await page.fill("#email", "noscript@example.org")
        await page.click("text=Add the contact")
        await page.wait_for_selector("h1 >> text=noscript@example.org")
        await page.fill("#description", "collects keys")
        await page.click("text=Save")
        await page.wait_for_selector(".note >> text=Updated description")
        await page.goto("/")
        await page.fill("#say", "who collects keys?")
        await page.click("#send")
        await page.wait_for_selector(".reply > .prose >> text=noscript@example.org")
        await page.goto("/campaigns/new")
        await page.fill("#name", "Key Fair")
        await page.fill("#audience", "collects keys")
        await page.click("text=Create the draft")
        await page.fill("#instructions", "Keys are 5 pounds")
        await page.click("text=Write the draft >> nth=-1")
        await page.wait_for_selector(".note >> text=Drafted")
        await page.click("text=Ask to send >> nth=-1")
        await page.wait_for_selector(".card.open")
        await page.click("text=Approve and send")
        await page.wait_for_selector(".note >> text=Approved")
    rows = await place.shop.house.rows("SELECT status FROM campaigns WHERE name = 'Key Fair'")
    assert rows == [("scheduled",)]
