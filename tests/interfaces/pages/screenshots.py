"""The pictures of the README: `make screenshots` opens the sample in a database of its own and looks at the pages.

python -m tests.interfaces.pages.screenshots [folder]
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from interfaces.access import Access
from interfaces.cli.demo import in_the_sample
from interfaces.cli.serve import make_server
from interfaces.settings import Settings
from interfaces.tracking import Tracking
from interfaces.web import full_app
from tests.interfaces.pages.chromium import chromium, why_not

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

FOLDER = Path("docs/images")

# A README is loaded by people who only pass by.
LARGEST = 150_000

PLAN = "create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail"


async def chat(page: Page) -> None:
    """A plan, as it is asked about."""
    await page.goto("/")
    await page.fill("#say", PLAN)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#question")


async def approval(page: Page) -> None:
    """Go on from the chat: yes, and the card."""
    await chat(page)
    await page.click("#question >> text=Yes, do it")
    await page.wait_for_selector(".reply > .prose >> text=Drafted the mail")
    await page.wait_for_selector("#under:not(:has(form))")
    await page.fill("#say", "send Harvest Fair next Monday at 9am")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".card.open >> text=Approve and send")


async def campaign(page: Page) -> None:
    """One that was sent, with what came back."""
    await page.goto("/campaigns?query=Lamp+Week")
    await page.click("#results >> text=Lamp Week")
    await page.wait_for_selector(".figures")


async def contacts(page: Page) -> None:
    """Found by meaning, with why."""
    await page.goto("/contacts?query=restores+furniture")


async def campaigns(page: Page) -> None:
    """The list."""
    await page.goto("/campaigns")


# (name, what is shown, width, dark). The order matters: a campaign that was made stays.
PICTURES: tuple[tuple[str, Callable[[Page], Awaitable[None]], int, bool], ...] = (
    ("chat", chat, 1280, False),
    ("campaign", campaign, 1280, False),
    ("campaign-dark", campaign, 1280, True),
    ("contacts", contacts, 1280, False),
    ("approval", approval, 1280, False),
    ("campaigns-phone", campaigns, 390, False),
    ("campaign-phone-dark", campaign, 390, True),
)


async def take(folder: Path) -> None:
    """All pictures, into this folder."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # nothing else runs yet
    with tempfile.TemporaryDirectory(prefix="sc-pictures-", ignore_cleanup_errors=True) as home:
        settings = Settings.model_construct(home=Path(home))
        async with in_the_sample(settings) as opened:
            access = Access(opened, opened.tenant)
            await access.agent()
            server = make_server(full_app(access, Tracking(access.database, settings.link_settings())))
            listening = socket.create_server(("127.0.0.1", 0))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            async with chromium() as browser:
                for name, shown, width, dark in PICTURES:
                    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                    picture = await _picture(browser, url, shown, width, dark=dark)
                    assert len(picture) < LARGEST, f"{name} has {len(picture):,} bytes"
                    (folder / f"{name}.png").write_bytes(picture)
                    sys.stdout.write(f"{folder / name}.png {len(picture) / 1000:.0f} kB\n")
            server.should_exit = True
            await serving


async def _picture(
    browser: Browser, url: str, shown: Callable[[Page], Awaitable[None]], width: int, *, dark: bool
) -> bytes:
    context = await browser.new_context(
        base_url=url, viewport={"width": width, "height": 800 if width > 500 else 844}, reduced_motion="reduce",
        color_scheme="dark" if dark else "light", locale="en-GB",
    )  # fmt: skip
    page = await context.new_page()
    await shown(page)
    await page.evaluate("document.activeElement.blur()")
    await page.wait_for_timeout(400)
    picture = await page.screenshot()
    await context.close()
    return picture


if __name__ == "__main__":
    missing = why_not()
    if missing:
        sys.exit(f"No pictures: {missing}.")
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
