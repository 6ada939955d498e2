"""A mail's head: whatever comes in, no field, no recipient and no line is added."""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mail.headers import (
    LONGEST_NAME,
    LONGEST_SUBJECT,
    BadHeader,
    Headers,
    date_field,
    envelope_address,
    message_id,
    message_id_field,
    needs_smtputf8,
    one_line,
    subject_field,
    to_field,
    unsubscribe_fields,
)

BREAKS = ["\r\n", "\n", "\r", "\n\r", "\r\n\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029",
          "\x00", "\x00\r\n", "%0d%0a", "\\r\\n", "=?utf-8?q?=0d=0a?=", "\r\n ", "\r\n\t"]  # fmt: skip
INJECTED = "Bcc: everybody@evil.example"


def parsed(*fields: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(b"".join(fields) + b"\r\nbody\r\n")
    assert isinstance(message, EmailMessage)
    assert message.get_content() == "body\r\n"  # no field ended the head early
    return message


def name_in(field_body: str) -> tuple[str, str]:
    """(name, address) of a field with one address.

    Not by `policy.default`: that of Python 3.11 leaves a space between encoded words of a name, against RFC 2047 6.2.
    """
    name, address = parseaddr(field_body)
    return str(make_header(decode_header(name))) if name else "", address


def lines(field: bytes) -> list[bytes]:
    """Physical lines, after the checks that hold for all of them."""
    assert field.endswith(b"\r\n")
    split = field[:-2].split(b"\r\n")
    for line in split[1:]:
        assert line.startswith(b" "), field
        assert line.strip(), field  # a line of blanks would end the head in some programs
    for line in split:
        assert len(line) <= 998
        assert not any(byte < 32 or byte == 127 for byte in line), field
    return split


# 20 breaks in four places are 80 cases of the attack table's 60.


@pytest.mark.parametrize("line_break", BREAKS)
def test_no_break_in_a_subject_begins_a_field(line_break: str) -> None:
    field = subject_field(f"Lamps{line_break}{INJECTED}{line_break}")
    lines(field)
    assert parsed(field).keys() == ["Subject"]


@pytest.mark.parametrize("line_break", BREAKS)
def test_no_break_in_a_name_begins_a_field_or_adds_a_recipient(line_break: str) -> None:
    for name in (f"Ada{line_break}{INJECTED}", f'Ada" <x@evil.example>,{line_break} "', f"Ada{line_break}"):
        field = to_field(name, "ada@example.org")
        lines(field)
        message = parsed(field)
        assert message.keys() == ["To"]
        assert [address.addr_spec for address in message["To"].addresses] == ["ada@example.org"]
        sender = Headers(name, "shop@example.org", list_id="news.example.org", list_name=name, extra={"X-Note": name})
        assert parsed(sender.written).keys() == ["From", "List-ID", "X-Note"]


@pytest.mark.parametrize("line_break", BREAKS)
def test_an_address_with_a_break_is_refused(line_break: str) -> None:
    for address in (
        f"ada@example.org{line_break}{INJECTED}",
        f"ada{line_break}@example.org",
        f"{line_break}a@b.example",
    ):
        if line_break in ("%0d%0a", "=?utf-8?q?=0d=0a?=") and "," not in address and " " not in address:
            assert envelope_address(address) == address  # only letters: nothing in mail reads them as a break
            continue
        with pytest.raises(BadHeader):
            to_field("", address)
        with pytest.raises(BadHeader):
            Headers("", address)
        with pytest.raises(BadHeader):
            Headers("", "a@b.example", reply_to=address)
        with pytest.raises(BadHeader):
            envelope_address(address)


@pytest.mark.parametrize("line_break", BREAKS)
def test_ids_and_links_with_a_break_are_refused(line_break: str) -> None:
    with pytest.raises(BadHeader):
        message_id_field(f"<1@x.example>{line_break}{INJECTED}")
    with pytest.raises(BadHeader):
        message_id(f"1{line_break} 2", "x.example")
    with pytest.raises(BadHeader):
        unsubscribe_fields(f"https://u.example/1{line_break} {INJECTED}")
    with pytest.raises(BadHeader):
        Headers("", "a@b.example", list_id=f"a.b{line_break} c")
    with pytest.raises(BadHeader):
        Headers("", "a@b.example", extra={f"X-Note{line_break} {INJECTED}": "x"})


@pytest.mark.parametrize("address", [
    "", "ada", "ada@", "@example.org", "a b@example.org", "ada@exa mple.org", "ada@example.org,b@example.org",
    "ada@example.org>", "<ada@example.org>", '"a b"@example.org', "ada@[127.0.0.1]", "a..b@example.org",
    "ada@example..org", "(x)ada@example.org", "ada@example.org (x)", "x" * 300 + "@example.org",
    "ada@example.org\u202e",
    "a\u200bda@example.org", "ada@exam\u2028ple.org", "ada;b@example.org", "ada:b@example.org",
])  # fmt: skip
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(BadHeader, match=r"is no address that a mail can be sent to\.$"):
        to_field("Ada", address)


@pytest.mark.parametrize("name", ["From", "to", "BCC", "Subject", "List-Unsubscribe", "X Note", "X-Note:", "", "1st"])
def test_extra_fields_replace_none_of_ours(name: str) -> None:
    with pytest.raises(BadHeader):
        Headers("", "a@b.example", extra={name: "x"})


# What is written is what is read.

# All alphabets; those that Unicode has not assigned say nothing.
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cn", "Co")), max_size=300)


@given(TEXTS)
@example("Ελληνικά, кириллица, 日本語 und Ümläute " * 5)
@example("👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿" * 12)
@example("=?utf-8?b?QmNj?=")
@example("an = ASCII ? subject")
@example("x" * 255)
@example("a " * 120)
def test_a_subject_is_read_back_as_it_was(text: str) -> None:
    subject = one_line(text)
    assert subject == one_line(subject)
    assert len(subject) <= LONGEST_SUBJECT
    field = subject_field(text)
    assert field.isascii()
    assert all(len(line) <= 78 for line in lines(field))
    message = parsed(field)
    assert message["Subject"] == subject
    assert not message["Subject"].defects
    marked = parsed(subject_field(text, test=True))["Subject"]
    assert marked == one_line(f"[TEST] {text}")
    assert marked.startswith("[TEST]")


@given(TEXTS)
@example('Ada "the Countess" \\ Lovelace, <x@evil.example>')
@example("Dr. Ada (x) Lovelace; a:b")
@example("=?utf-8?q?Bcc?=")
@example("健太 森脇")
@example("َA" * 60)
def test_a_name_is_read_back_as_it_was(text: str) -> None:
    field = to_field(text, "ada@example.org")
    assert field.isascii()
    assert all(len(line) <= 78 for line in lines(field))
    (address,) = parsed(field)["To"].addresses
    assert address.addr_spec == "ada@example.org"
    assert name_in(field[4:].decode()) == (one_line(text, LONGEST_NAME), "ada@example.org")


@given(TEXTS, TEXTS)
def test_what_all_mails_of_a_campaign_share_is_read_back(name: str, note: str) -> None:
    headers = Headers(name, "shop@example.org", "answers@example.org", "news.example.org", name, {"Feedback-ID": note})
    lines_of_all = headers.written.replace(b"\r\n ", b"").split(b"\r\n")
    assert len(lines_of_all) == 5
    message = parsed(headers.written)
    assert name_in(headers.written.partition(b"\r\nReply-To:")[0][6:].decode())[0] == one_line(name, LONGEST_NAME)
    assert message["Reply-To"].addresses[0].addr_spec == "answers@example.org"
    assert message["List-ID"].endswith("<news.example.org>")
    assert " ".join(str(message["Feedback-ID"]).split()) == one_line(note, 800)


def test_addresses_of_other_alphabets() -> None:
    assert envelope_address("ada@büro.example") == "ada@xn--bro-hoa.example"
    assert not needs_smtputf8("ada@büro.example")
    assert to_field("Ada", "ada@büro.example") == b"To: Ada <ada@xn--bro-hoa.example>\r\n"
    assert needs_smtputf8("adá@example.org")
    assert to_field("Adá", "adá@example.org") == "To: =?utf-8?b?QWTDoQ==?= <adá@example.org>\r\n".encode()
    with pytest.raises(BadHeader, match="must be ASCII"):
        Headers("", "adá@example.org")


def test_the_rest_of_the_head() -> None:
    at = datetime(2026, 11, 22, 8, 30, 5, tzinfo=UTC)
    assert date_field(at) == b"Date: Sun, 22 Nov 2026 08:30:05 +0000\r\n"
    with pytest.raises(BadHeader, match="no time zone"):
        date_field(at.replace(tzinfo=None))
    assert message_id("a-1.b", "mail.example.org") == "<a-1.b@mail.example.org>"
    assert message_id_field("<1@x.example>") == b"Message-ID: <1@x.example>\r\n"
    with_post = unsubscribe_fields("https://u.example/abc?x=1")
    assert with_post == (
        b"List-Unsubscribe: <https://u.example/abc?x=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )
    assert unsubscribe_fields("http://127.0.0.1/abc") == b"List-Unsubscribe: <http://127.0.0.1/abc>\r\n"
    for refused in ("mailto:a@b.example", "javascript:x", "https://u.example/>", "", "https://u.example/" + "x" * 1000):
        with pytest.raises(BadHeader, match="unsubscribe address"):
            unsubscribe_fields(refused)
