"""Somebody who reads the pages without any script: follows links, fills in forms as they stand, and sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from lxml import html


@dataclass
class Page:
    """One page that was read."""

    answer: httpx.Response
    document: html.HtmlElement

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def text(self) -> str:
        """What a person reads, on one line."""
        return " ".join(self.document.text_content().split())

    @property
    def path(self) -> str:
        return self.answer.url.path

    def note(self) -> str:
        """What the page says first."""
        return " ".join(
            " ".join(each.text_content() for each in self.document.xpath("//*[@id='note' or @id='problem']")).split()
        )

    def all(self, tag: str) -> list[html.HtmlElement]:
        """Every element of this tag."""
        return list(self.document.iter(tag))

    def form(self, action: str) -> html.FormElement:
        """The last form that goes to this address."""
        return [form for form in self.document.forms if form.get("action") == action][-1]


class Reader:
    """A browser without scripts, with a cookie jar of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.web = httpx.AsyncClient(base_url=url, timeout=30, follow_redirects=True)

    async def get(self, path: str) -> Page:
        return _page(await self.web.get(path, headers={"Sec-Fetch-Site": "none"}))

    async def send(self, form: html.FormElement, *, files: dict[str, tuple[str, bytes]] | None = None,
                   **values: Any) -> Page:  # fmt: skip
        """Fill in these fields and send it, as a browser does from a page of this address."""
        fields = {name: value for name, value in form.fields.items() if name and value is not None} | values
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        if files is not None:
            fields.pop("file", None)
            return _page(await self.web.post(form.get("action"), data=fields, files=files, headers=headers))
        return _page(await self.web.post(form.get("action"), data=fields, headers=headers))


def _page(answer: httpx.Response) -> Page:
    return Page(answer, html.fromstring(answer.content or b"<p></p>"))
