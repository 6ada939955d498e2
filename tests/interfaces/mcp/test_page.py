"""The page of MCP Apps in a real browser, inside a host's frame as the specification has it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, Request, async_playwright

from interfaces import mcp_apps

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt install chromium)")

# What a host allows a page that asks for nothing (specification 2026-01-26, "Content Security Policy"), and pictures
# besides, which the page must not load by itself.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: https:; media-src 'self' data:; connect-src 'none'"
)

HOST = """
<iframe id="app" sandbox="allow-scripts" style="width: 700px; height: 700px"></iframe>
<script>
  window.heard = [];
  const app = document.getElementById("app");
  window.addEventListener("message", (event) => {
    window.heard.push(event.data);
    if (event.data.method !== "ui/initialize") return;
    const result = { protocolVersion: "2026-01-26", hostInfo: { name: "host", version: "1" }, hostCapabilities: {},
      hostContext: { theme: "dark", styles: { variables: { "--color-text-primary": "rgb(1, 2, 3)" } } } };
    app.contentWindow.postMessage({ jsonrpc: "2.0", id: event.data.id, result }, "*");
  });
  app.srcdoc = HTML;
</script>
"""

PREVIEW: dict[str, Any] = {
    "campaign": "Harvest Fair", "contact": "Ada <script>alert(1)</script>", "subject": "<b>Hello</b>",
    "body": "Hello Ada\n\n10% off oak", "warnings": ["The link <x> is dead."],
}  # fmt: skip
REQUEST: dict[str, Any] = {
    "status": "waiting for a person", "approval_id": "4a739f7b-30cb-4cb4-b137-0b91bae9dc5f",
    "card": {"title": "Send it to 3 people?", "facts": {"Recipients": "3"}, "warnings": [], "preview": "Hello <i>"},
}  # fmt: skip


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """The app, shaken hands with its host."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        (content,) = [mcp_apps.read(mcp_apps.PREVIEW)]
        assert content is not None
        html = content.text.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">')
        await page.set_content(HOST.replace("HTML", json.dumps(html).replace("</", "<\\/")))
        await page.wait_for_function("window.heard.some((m) => m.method === 'ui/notifications/initialized')")
        yield page
        await browser.close()


async def show(page: Page, result: dict[str, Any]) -> None:
    """Hand the tool's result to the app, as a host does."""
    message = {"jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": result}
    await page.evaluate("(m) => document.getElementById('app').contentWindow.postMessage(m, '*')", message)
    await page.wait_for_function("window.heard.some((m) => m.method === 'ui/notifications/size-changed')")


async def test_it_shows_the_mail_and_nothing_in_it_runs(page: Page) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    hostile = (
        "<p id='text'>10% off oak</p><script>parent.parent.postMessage('out', '*')</script>"
        "<img src='https://evil.example/pixel.gif' onerror=\"parent.parent.postMessage('out', '*')\">"
    )
    await show(page, {"content": [], "structuredContent": PREVIEW, "_meta": {mcp_apps.PAGE: hostile}})

    app = page.frame_locator("#app")
    assert await app.locator("h1").inner_text() == "<b>Hello</b>"
    assert "Ada <script>" in await app.locator("dl").inner_text()
    assert "The link <x> is dead." in await app.locator("ul").inner_text()
    assert await app.frame_locator("iframe").locator("#text").inner_text() == "10% off oak"
    await page.wait_for_timeout(300)
    assert "out" not in await page.evaluate("window.heard")
    # The browser names the request and says that a policy stopped it before it left.
    left = [request.url for request in asked if request.url.startswith("http") and request.failure != "csp"]
    assert not left, "looking at a mail is not opening it"


async def test_without_the_whole_mail_its_text_is_shown(page: Page) -> None:
    await show(page, {"content": [], "structuredContent": PREVIEW})

    app = page.frame_locator("#app")
    assert "10% off oak" in await app.locator("pre").inner_text()
    assert await app.locator("iframe").count() == 0


async def test_a_request_is_shown_without_anything_to_press(page: Page) -> None:
    await show(page, {"content": [], "structuredContent": REQUEST})

    app = page.frame_locator("#app")
    text = await app.locator("main").inner_text()
    assert "Send it to 3 people?" in text
    assert "Nothing has happened yet" in text
    assert "smartcampaign approve 4a739f7b" in text
    assert "Hello <i>" in text
    assert await app.locator("button, a, input, form").count() == 0
    assert not [
        m for m in await page.evaluate("window.heard") if m.get("method", "").startswith(("tools/", "ui/message"))
    ]


async def test_a_refusal_and_what_a_decision_did_are_shown_as_text(page: Page) -> None:
    await show(page, {"content": [{"type": "text", "text": "No such campaign."}], "isError": True})
    assert "No such campaign." in await page.frame_locator("#app").locator("main").inner_text()
    await show(page, {"content": [], "structuredContent": {"status": "done", "outcome": "Approved: it goes out."}})
    assert "Approved: it goes out." in await page.frame_locator("#app").locator("main").inner_text()


async def test_it_dresses_as_its_host(page: Page) -> None:
    colour = "getComputedStyle(document.body).color"
    assert await page.frame_locator("#app").locator("body").evaluate(f"() => {colour}") == "rgb(1, 2, 3)"
