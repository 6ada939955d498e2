"""The mail on the wire: what the standard library reads is what was rendered, whoever it is for."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mail.headers import one_line
from mail.layout import Layout
from mail.message import Headers, build
from mail.render import contact_data
from mail.template import compile_template

AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
OUT = "https://mail.shop.example/u/abc"
HEADERS = Headers(
    "Harrow & Finch",
    "hello@shop.example",
    "answers@shop.example",
    "news.shop.example",
    "Harrow",
    {"Feedback-ID": "c1:t1"},
)
BODIES = {
    "Markdown": 'Hello {{ contact.first_name | default: "there" }},\n\n- oak = good\n- élan\n\n.\n\n'
    "From here [go](https://shop.example/?u={{ contact.email }})\n\n[Leave]({{ unsubscribe_url }})",
    "HTML": "<div><p>Hello {{ contact.first_name }}</p><p>.</p><a href='https://shop.example/'>x</a></div>",
    "a document": "<html><body><p>Hello {{ contact.first_name }}</p></body></html>",
    "another alphabet": "{{ contact.first_name }} 様\n\n" + "秋の市を開きます。古い時計も直します。" * 60,
}  # fmt: skip
TEMPLATES = {
    name: compile_template("Für {{ contact.first_name }}", body, layout=Layout("Harrow & Finch", "hello@shop.example"))
    for name, body in BODIES.items()
}
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cn", "Co")), max_size=200)


def data(name: str) -> dict[str, Any]:
    return {"contact": contact_data(name, "", "ada@example.org", ""), "unsubscribe_url": OUT}


def parsed(raw: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(message, EmailMessage)
    return message


def content(part: Message[Any, Any]) -> str:
    assert not part.defects
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8").replace("\r\n", "\n")


@pytest.mark.parametrize("kind", BODIES)
@given(name=NAMES, tracked=st.booleans())
@example(name="健太 👩‍👩‍👧‍👦 <b>&amp;", tracked=True)
@example(name="x" * 199, tracked=False)
@example(name="." * 100 + " =\t= " + "é" * 60, tracked=True)
def test_what_is_read_is_what_was_rendered(kind: str, name: str, tracked: bool) -> None:
    rendered = TEMPLATES[kind].render(
        data(name),
        (lambda url: f"https://t.example/{url[::-1]}") if tracked else None,
        "https://t.example/o" if tracked else None,
    )
    raw = build(
        HEADERS, rendered, to_email="ada@example.org", to_name="Ada", message_id="<1.2@mail.shop.example>",
        unsubscribe_url=OUT, date=AT,
    )  # fmt: skip
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\x00" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    message = parsed(raw)
    assert not message.defects
    assert message.keys() == [
        "From", "Reply-To", "List-ID", "Feedback-ID", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe",
        "List-Unsubscribe-Post", "MIME-Version", "Content-Type",
    ]  # fmt: skip
    assert message["Subject"] == rendered.subject == one_line(f"Für {one_line(' '.join(name.split()), 1000)}")
    assert message["Date"].datetime == AT
    assert message["Message-ID"] == "<1.2@mail.shop.example>"
    assert message["List-Unsubscribe"] == f"<{OUT}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "multipart/alternative"
    text, page = message.iter_parts()
    assert (text.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content_charset() == page.get_content_charset() == "utf-8"
    assert content(text) == rendered.text
    assert content(page) == rendered.html


def test_the_shorter_encoding_is_chosen() -> None:
    for kind, encoding in (("Markdown", "quoted-printable"), ("another alphabet", "base64")):
        raw = built(TEMPLATES[kind])
        text, page = parsed(raw).iter_parts()
        assert text["Content-Transfer-Encoding"] == encoding
        assert len(raw) < 1.6 * (len(content(text).encode()) + len(content(page).encode())) + 1500


def test_a_test_mail_is_marked_and_otherwise_the_same() -> None:
    raw, marked = built(TEMPLATES["Markdown"]), built(TEMPLATES["Markdown"], test=True)
    assert parsed(marked)["Subject"] == "[TEST] Für Ada"
    assert re.sub(rb"Subject: .*?\r\nDate", b"Date", marked) == re.sub(rb"Subject: .*?\r\nDate", b"Date", raw)


def test_an_address_in_another_alphabet_is_the_only_thing_that_is_not_ascii() -> None:
    raw = built(TEMPLATES["Markdown"], to_email="adá@büro.example")
    (line,) = [line for line in raw.split(b"\r\n") if not line.isascii()]
    assert line == "To: Ada <adá@xn--bro-hoa.example>".encode()


def test_no_value_ends_a_part() -> None:
    raw = built(TEMPLATES["Markdown"], name="--=_smartcampaign-- \r\n--=_smartcampaign")
    assert len(list(parsed(raw).iter_parts())) == 2
    assert raw.count(b"--=_smartcampaign") == 3


def test_a_mail_is_made_in_well_under_a_millisecond() -> None:
    # bench/render.py measures; this only notices when somebody's mail is parsed again for each reader.
    template = TEMPLATES["Markdown"]
    took = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(100):
            built(template)
        took.append((time.process_time() - began) / 100)
    assert min(took) < 0.001


def built(template: Any, *, to_email: str = "ada@example.org", name: str = "Ada", test: bool = False) -> bytes:
    return build(
        HEADERS, template.render(data(name)), to_email=to_email, to_name="Ada", message_id="<1@x.example>",
        unsubscribe_url=OUT, date=AT, test=test,
    )  # fmt: skip
