"""A sample's mail from the template through SMTP to a server, read back there: every header and every part."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from importlib.resources import files
from typing import Any

import lxml.html
import pytest
import yaml
from aiosmtpd.smtp import SMTP, Envelope, Session

from mail.layout import Layout
from mail.message import Headers, build, envelope_address, message_id
from mail.render import contact_data
from mail.servers import Server
from mail.smtp import Connection
from mail.template import compile_template

OUT = "https://mail.harrow-finch.example/u/3f2a"
HEADERS = Headers(
    "Harrow & Finch",
    "hello@harrow-finch.example",
    "shop@harrow-finch.example",
    "news.harrow-finch.example",
    "Oak & Ash",
)
LAYOUT = Layout("Harrow & Finch", "hello@harrow-finch.example", "The Old Rope Works, 4 Finch Yard", "en")


class Sink:
    """Takes everything, and keeps it as it came."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 taken"


@pytest.fixture
async def sink() -> AsyncIterator[tuple[Sink, Server]]:
    sink = Sink()
    listening = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, enable_SMTPUTF8=True), "127.0.0.1", 0
    )  # fmt: skip
    port: int = listening.sockets[0].getsockname()[1]
    yield sink, Server("127.0.0.1", port, "none")
    listening.close()
    await listening.wait_closed()


def tracked(url: str) -> str:
    return f"https://mail.harrow-finch.example/c/x?u={url.rpartition('/')[2]}"


def sample_mail(name: str) -> tuple[str, str]:
    outline = yaml.safe_load(files("samples").joinpath("campaigns.yaml").read_text(encoding="utf-8"))
    campaign = next(each for each in outline["campaigns"] if each["name"] == name)
    return campaign["subject"], campaign["body"]


@pytest.mark.parametrize(("first", "last", "address"), [
    ("Ada", "Lovelace", "ada@example.org"), ("健太", "森脇", "kenta@example.org"), ("", "", "nobody@example.org"),
    ('Dr. "Bo", <x@evil.example>', "\r\nBcc: all@evil.example", "bo@example.org"),
    ("Zoë", "Brontë", "zoë@bücher.example"),
])  # fmt: skip
async def test_what_arrives_is_what_was_written(
    sink: tuple[Sink, Server], first: str, last: str, address: str
) -> None:  # fmt: skip
    taken, server = sink
    subject, body = sample_mail("Clock Clinic")
    data: dict[str, Any] = {"contact": contact_data(first, last, address, None), "unsubscribe_url": OUT}
    rendered = compile_template(
        f"{subject} {{{{ contact.first_name }}}}", body + "\n\n.\n\n..two\n", layout=LAYOUT
    ).render(data, tracked, "https://mail.harrow-finch.example/o/x")
    id = message_id("1.2", "harrow-finch.example")
    raw = build(
        HEADERS, rendered, to_email=address, to_name=f"{first} {last}", message_id=id, unsubscribe_url=OUT,
        date=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    )  # fmt: skip
    connection = Connection(server)
    outcome = await connection.send("bounces@harrow-finch.example", envelope_address(address), raw)
    await connection.close()
    assert outcome.kind == "sent", outcome
    (envelope,) = taken.taken
    assert envelope.rcpt_tos == [envelope_address(address)]
    arrived = envelope.content
    assert isinstance(arrived, bytes)
    assert arrived == raw, "not a byte was changed on the way, leading dots included"

    mail = message_from_bytes(arrived, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    assert mail.keys() == [
        "From", "Reply-To", "List-ID", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe",
        "List-Unsubscribe-Post", "MIME-Version", "Content-Type",
    ]  # fmt: skip
    assert mail["From"] == "Harrow & Finch <hello@harrow-finch.example>"
    assert mail["Reply-To"] == "shop@harrow-finch.example"
    assert mail["List-ID"] == "Oak & Ash <news.harrow-finch.example>"
    assert mail["Subject"] == rendered.subject
    assert mail["Date"].datetime == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert mail["Message-ID"] == id
    assert mail["List-Unsubscribe"] == f"<{OUT}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    if address.isascii():
        (recipient,) = mail["To"].addresses
        assert recipient.addr_spec == address
        assert recipient.display_name == " ".join(f"{first} {last}".split())
    text, page = mail.iter_parts()
    assert text.get_payload(decode=True) == rendered.text.replace("\n", "\r\n").encode()
    assert page.get_payload(decode=True) == rendered.html.replace("\n", "\r\n").encode()
    greeting = f"Dear {first},\n" if first else "Dear clock owner,\n"
    assert rendered.text.startswith(greeting)
    hrefs = [link.get("href") for link in lxml.html.document_fromstring(rendered.html).iter("a")]
    assert hrefs == [tracked(f"https://harrow-finch.example/clinic/{page}") for page in ("book", "before")] + [OUT]
    assert re.findall(r"\((https?://[^)]*)\)", rendered.text) == hrefs
