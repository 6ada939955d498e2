"""A real Chromium for tests and screenshots."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"

# As root there is no sandbox of its own; and it must ask nobody for anything.
ARGUMENTS = ["--no-sandbox", "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip


def why_not() -> str | None:
    """What is missing; None when a browser can be started."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    if shutil.which(CHROMIUM) is None:
        return "there is no chromium: install Debian's package"
    return None


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser, while the block runs."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()
