"""One recipient's mail as it goes over the wire: a head of checked fields, and two encoded parts.

Written by hand and not by `email.message`, which takes ten times as long; the tests parse every result back with it.
"""

from __future__ import annotations

from datetime import datetime

from mail.headers import (
    BadHeader,
    Headers,
    date_field,
    envelope_address,
    message_id,
    message_id_field,
    needs_smtputf8,
    subject_field,
    to_field,
    unsubscribe_fields,
)
from mail.template import Rendered

__all__ = ["BadHeader", "Headers", "build", "envelope_address", "message_id", "needs_smtputf8"]

# Neither quoted-printable nor base64 can write `=_`, so no part holds it.
_BOUNDARY = b"=_smartcampaign"
_HEAD = (
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="' + _BOUNDARY + b'"\r\n\r\n'
)  # fmt: skip
_PART = {
    (subtype, encoding): (
        f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode("ascii")
    for subtype in ("plain", "html")
    for encoding in ("quoted-printable", "base64")
}


def build(
    headers: Headers, rendered: Rendered, *, to_email: str, to_name: str = "", message_id: str, unsubscribe_url: str,
    date: datetime, test: bool = False,
) -> bytes:  # fmt: skip
    """The whole mail, CRLF at every line's end, no line longer than 998 octets. Raises `BadHeader`.

    7-bit, except the To field of an address that `needs_smtputf8`. `test` puts [TEST] before the subject.
    """
    text_encoding, text = rendered.encoded_text()
    html_encoding, html = rendered.encoded_html()
    return b"".join((
        headers.written, to_field(to_name, to_email), subject_field(rendered.subject, test=test), date_field(date),
        message_id_field(message_id), unsubscribe_fields(unsubscribe_url), _HEAD,
        b"--", _BOUNDARY, b"\r\n", _PART["plain", text_encoding], text,
        b"\r\n--", _BOUNDARY, b"\r\n", _PART["html", html_encoding], html,
        b"\r\n--", _BOUNDARY, b"--\r\n",
    ))  # fmt: skip
