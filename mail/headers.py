"""Header fields of a mail (RFC 5322, 2047, 2369, 2919): made one line, checked or encoded before they are written.

Nothing else writes into a mail's head, so no value can begin a field of its own.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property, lru_cache

from email_validator import EmailNotValidError, validate_email

LONGEST_SUBJECT = 255
LONGEST_NAME = 120
LONGEST_ADDRESS = 254
LONGEST_URL = 900
_LINE = 76

# Controls, surrogates, and what turns the direction of the text after it.
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABELS = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABELS}")
_ATOMS = re.compile(rf"{_ATOM}(?: {_ATOM})*")
_MESSAGE_ID = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABELS}")
_URL = re.compile(r"https?://[!-;=?-~]+")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_OURS = frozenset({
    "bcc", "cc", "content-transfer-encoding", "content-type", "date", "from", "list-id", "list-unsubscribe",
    "list-unsubscribe-post", "message-id", "mime-version", "reply-to", "sender", "subject", "to",
})  # fmt: skip


class BadHeader(ValueError):
    """What should stand in a header can't; the text is a sentence that says why."""


@dataclass(frozen=True)
class Headers:
    """What the head of every mail of a campaign has in common. Raises `BadHeader`."""

    sender_name: str
    sender_email: str
    reply_to: str | None = None
    list_id: str | None = None
    """A name like `news.shop.example` (RFC 2919): the same for all mails of a kind."""
    list_name: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self.written

    @cached_property
    def written(self) -> bytes:
        """The fields, ready to be sent."""
        if not self.sender_email.isascii():
            raise BadHeader("The sender's address must be ASCII: many servers take no other.")
        fields = [_mailbox("From", self.sender_name, self.sender_email)]
        if self.reply_to:
            fields.append(_mailbox("Reply-To", "", self.reply_to))
        if self.list_id:
            if not re.fullmatch(_LABELS, self.list_id) or len(self.list_id) > 200:
                raise BadHeader(f"{self.list_id!r} can't name a list: it takes letters, digits, hyphens and dots.")
            fields.append(_with_phrase("List-ID", self.list_name or "", f"<{self.list_id}>"))
        for name, value in self.extra.items():
            if not _FIELD_NAME.fullmatch(name) or name.lower() in _OURS:
                raise BadHeader(f"{name!r} can't be an extra header.")
            fields.append(f"{name}: {unstructured(one_line(value, 800), len(name) + 2)}")
        return "".join(f"{line}\r\n" for line in fields).encode("ascii")


def one_line(text: str, longest: int = LONGEST_SUBJECT) -> str:
    """A subject or a name: one line whatever comes in, so that no header can follow it."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text[:longest].strip()
    # split() also takes U+2028, U+0085 and their kind; what is left of the control characters shows nowhere.
    line = _CONTROLS.sub("", " ".join(text.split()))
    return " ".join(line.split())[:longest].strip()


def to_field(name: str, email: str) -> bytes:
    """The To field. Raises `BadHeader`.

    ASCII, except for an address whose local part is not: that can only go in UTF-8 to a server that offers SMTPUTF8
    (RFC 6532); see `needs_smtputf8`.
    """
    return (_mailbox("To", name, email) + "\r\n").encode("utf-8")


def subject_field(subject: str, *, test: bool = False) -> bytes:
    """The Subject field; `test` marks it [TEST]."""
    subject = one_line(f"[TEST] {subject}" if test else subject)
    return f"Subject: {unstructured(subject, len('Subject: '))}\r\n".encode("ascii")


def unsubscribe_fields(url: str) -> bytes:
    """List-Unsubscribe (RFC 2369), and with https also the one-click POST (RFC 8058 asks for https)."""
    if len(url) > LONGEST_URL or not _URL.fullmatch(url):
        raise BadHeader("The unsubscribe address must be a plain http or https address.")
    fields = f"List-Unsubscribe: <{url}>\r\n"
    if url.startswith("https://"):
        fields += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    return fields.encode("ascii")


def message_id(local: str, domain: str) -> str:
    """`<local@domain>`. Raises `BadHeader`."""
    id = f"{local}@{domain}"
    if len(id) > 200 or not _MESSAGE_ID.fullmatch(id):
        raise BadHeader(f"{id!r} can't be a Message-ID.")
    return f"<{id}>"


def message_id_field(id: str) -> bytes:
    """The Message-ID field, of an id in its angle brackets. Raises `BadHeader`."""
    if len(id) > 202 or not (id.startswith("<") and id.endswith(">") and _MESSAGE_ID.fullmatch(id[1:-1])):
        raise BadHeader(f"{id!r} can't be a Message-ID.")
    return f"Message-ID: {id}\r\n".encode("ascii")


def date_field(at: datetime) -> bytes:
    """The Date field, in UTC; `at` has a zone."""
    if at.tzinfo is None:
        raise BadHeader("The date has no time zone.")
    return _date(int(at.timestamp()))


@lru_cache(maxsize=8)
def _date(seconds: int) -> bytes:
    return f"Date: {format_datetime(datetime.fromtimestamp(seconds, UTC))}\r\n".encode("ascii")


def envelope_address(email: str) -> str:
    """The address as MAIL FROM and RCPT TO take it: the domain in ASCII (IDNA). Raises `BadHeader`.

    The local part stays as it is; where it is not ASCII, the mail `needs_smtputf8`.
    """
    if email.isascii():
        if len(email) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(email):
            raise BadHeader(f"{one_line(email, 80)!r} is no address that a mail can be sent to.")
        return email
    try:
        checked = validate_email(email, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise BadHeader(f"{one_line(email, 80)!r} is no address that a mail can be sent to.") from error
    return f"{checked.local_part}@{checked.ascii_domain}"


def needs_smtputf8(email: str) -> bool:
    """Whether only a server that offers SMTPUTF8 (RFC 6531) can take a mail to it; an IDN alone does not need that."""
    return not email.isascii() and not email.rpartition("@")[0].isascii()


def unstructured(text: str, used: int) -> str:
    """The text of a field, folded; `used`: how many characters of the first line are taken. One line comes in."""
    if not text.isascii() or "=?" in text:
        return _encoded_words(text, used)
    if used + len(text) <= _LINE:
        return text
    words = text.split(" ")
    if max(map(len, words)) > _LINE - used:
        return _encoded_words(text, used)
    lines, line = [], ""
    for word in words:
        if line and used + len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line, used = word, 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def _encoded_words(text: str, used: int) -> str:
    """RFC 2047: words of at most 75 characters, none ending inside a character; a reader leaves out what is between."""
    words = []
    room = max(12, (_LINE - used - 12) // 4 * 3)
    chunk = b""
    for character in text:
        code = character.encode("utf-8")
        if len(chunk) + len(code) > room:
            words.append(chunk)
            chunk, room = b"", 45
        chunk += code
    words.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{binascii.b2a_base64(word, newline=False).decode()}?=" for word in words)


def _mailbox(field_name: str, name: str, email: str) -> str:
    address = envelope_address(email)
    return _with_phrase(field_name, name, f"<{address}>") if name else f"{field_name}: {address}"


def _with_phrase(field_name: str, phrase: str, rest: str) -> str:
    phrase = one_line(phrase, LONGEST_NAME)
    if not phrase:
        return f"{field_name}: {rest}"
    start = f"{field_name}: {_phrase(phrase, len(field_name) + 2)}"
    last = len(start) - start.rfind("\n") - 1
    return f"{start}\r\n {rest}" if last + 1 + len(rest) > _LINE else f"{start} {rest}"


def _phrase(text: str, used: int) -> str:
    if not text.isascii() or "=?" in text or used + len(text) > 60:
        return _encoded_words(text, used)
    if _ATOMS.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
