"""Rendering: what one person's mail costs, once the campaign's template is compiled.

Ours: values, links signed, HTML and text, headers and encoding, to the bytes that SMTP sends. Peer: the same mail by
the libraries as their manuals show them: python-liquid with its template parsed once, markdown-it, MJML and
`email.message` for each person. Limit: the finished pieces of the same mail joined, and nothing else.

Every link is rewritten by the same function for all three, an HMAC over the address and the person.

    python -m bench.render [--rounds 7] [--mails 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256
from importlib.resources import files
from typing import Any

import liquid
import yaml
from inscriptis import get_text
from markdown_it import MarkdownIt
from mjml import mjml2html

from bench.measure import Contestant, interleaved
from mail.layout import Layout
from mail.message import Headers, build
from mail.render import contact_data
from mail.template import compile_template

OURS, PEER, LIMIT = "ours", "python-liquid + markdown-it + mjml + email", "the finished pieces joined (limit)"
NAMES = [("Ada", "Lovelace"), ("Zoë", "Brontë"), ("健太", "森脇"), ("", ""), ("Ng'ang'a", "O’Brien")]
AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SENDER = ("Harrow & Finch", "hello@harrow-finch.example")


def people(mails: int) -> Iterator[tuple[dict[str, Any], str]]:
    """(what merge tags may say, address) of each."""
    for number in range(mails):
        first, last = NAMES[number % len(NAMES)]
        email = f"reader{number}@example.org"
        yield {
            "contact": contact_data(first, last, email, None),
            "unsubscribe_url": f"https://mail.harrow-finch.example/u/{number:032x}",
        }, email  # fmt: skip


def signed(email: str) -> Callable[[str], str]:
    def link(url: str) -> str:
        token = hmac.new(b"a key of thirty-two octets, or so", f"{email} {url}".encode(), sha256).hexdigest()
        return f"https://mail.harrow-finch.example/c/{token}?u={url}"

    return link


def ours(subject: str, body: str) -> Callable[[int], list[bytes]]:
    def run(mails: int) -> list[bytes]:
        headers = Headers(*SENDER, list_id="news.harrow-finch.example", list_name=SENDER[0])
        template = compile_template(subject, body, layout=Layout(*SENDER))
        return [
            build(
                headers, template.render(data, signed(email), "https://mail.harrow-finch.example/o/1"), to_email=email,
                to_name=str(data["contact"]["full_name"]),
                message_id=f"<{number}.1@harrow-finch.example>", unsubscribe_url=str(data["unsubscribe_url"]), date=AT,
            )
            for number, (data, email) in enumerate(people(mails))
        ]  # fmt: skip

    return run


def peer(subject: str, body: str) -> Callable[[int], list[bytes]]:
    def run(mails: int) -> list[bytes]:
        subject_template, body_template = liquid.parse(subject), liquid.parse(body)
        markdown = MarkdownIt("commonmark")
        return [
            _by_the_manuals(subject_template.render(**data), markdown, body_template.render(**data), data, email)
            for data, email in people(mails)
        ]

    return run


def _by_the_manuals(subject: str, markdown: MarkdownIt, body: str, data: dict[str, Any], email: str) -> bytes:
    link = signed(email)
    page = markdown.render(body)
    for piece in page.split('href="')[1:]:
        url = piece.partition('"')[0]
        if url != data["unsubscribe_url"]:
            page = page.replace(f'"{url}"', f'"{link(url)}"')
    page = mjml2html(
        "<mjml><mj-body><mj-section><mj-column><mj-text>"
        + page
        + "</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    message = EmailMessage(policy=SMTP)
    message["From"] = f"{SENDER[0]} <{SENDER[1]}>"
    message["To"] = Address(str(data["contact"]["full_name"]), addr_spec=email)
    message["Subject"] = subject
    message["Date"] = AT
    message["List-Unsubscribe"] = f"<{data['unsubscribe_url']}>"
    message.set_content(get_text(page))
    message.add_alternative(page, subtype="html")
    return bytes(message)


def limit(subject: str, body: str) -> Callable[[int], list[bytes]]:
    """Joins as many pieces of as many octets as ours has."""
    (mail,) = ours(subject, body)(1)
    size = len(mail) // 24
    pieces = [mail[start : start + size] for start in range(0, len(mail), size)]

    def run(mails: int) -> list[bytes]:
        return [b"".join(pieces) for _ in range(mails)]

    return run


def timed(run: Callable[[int], list[bytes]], mails: int) -> Callable[[], Awaitable[float]]:
    """Seconds of the processor a mail: nothing here waits, so what else runs on the machine is left out."""

    async def round_() -> float:
        started = time.process_time()
        assert len(run(mails)) == mails
        return (time.process_time() - started) / mails

    return round_


async def main(rounds: int, mails: int) -> None:
    outline = yaml.safe_load(files("samples").joinpath("campaigns.yaml").read_text(encoding="utf-8"))
    campaign = next(each for each in outline["campaigns"] if each["name"] == "Oak Month")
    greeting = {
        "text and tags": 'Hello {{ contact.first_name | default: "there" }},',
        "with an `if`": "Hello{% if contact.first_name != '' %} {{ contact.first_name }}{% endif %},",
    }
    for what, words in greeting.items():
        subject, body = campaign["subject"], campaign["body"].replace("Hello,", words)
        contestants = [
            Contestant(OURS, timed(ours(subject, body), mails)),
            Contestant(PEER, timed(peer(subject, body), max(10, mails // 10))),
            Contestant(LIMIT, timed(limit(subject, body), mails)),
        ]
        medians = await interleaved(contestants, rounds)
        size = len(ours(subject, body)(1)[0]) / 1000
        print(f"\nRendering, {what}: a mail of {size:.1f} kB with 4 links, medians of {rounds}")
        for name, seconds in medians.items():
            print(f"{name:<46} {seconds * 1e6:9.1f} us {1 / seconds:11,.0f} a second")
        to_peer, to_limit = medians[PEER] / medians[OURS], medians[OURS] / medians[LIMIT]
        print(f"{to_peer:.0f} times as fast as the peer; {to_limit:.0f} times the limit", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mails", type=int, default=1000)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.mails))
