"""A mail's subject and body, compiled once a campaign and rendered for each person.

Compiling reads the merge tags and makes the body into the pieces of an HTML and of a text part. Rendering works out the
values and puts them between the pieces: no parser of Markdown, MJML or HTML runs for a person, and none ever reads a
value. Where a template has branches, each way through them is made into pieces when it is first taken, and kept.
"""

from __future__ import annotations

import html
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock

from mail.document import About, Document
from mail.headers import one_line
from mail.layout import Layout
from mail.merge import BadTemplate, CannotRender, Merged, Source
from mail.pieces import Filling, slot_pattern

__all__ = ["BadTemplate", "CannotRender", "Layout", "Rendered", "Template", "compile_template"]

# Ways through a template's branches that are kept; three `if` of a mail make eight.
MOST_KEPT = 64

_PREHEADER = re.compile(r"\s*<!--\s*preheader:(.*?)-->", re.IGNORECASE | re.DOTALL)
# Between preheader and body, which are merged as one.
_BETWEEN = "\x1e"


class Rendered:
    """One person's mail. The parts are put together when they are asked for."""

    __slots__ = ("_document", "_filling", "blanks")

    def __init__(self, document: Document, filling: Filling, blanks: tuple[str, ...]) -> None:
        self._document, self._filling = document, filling
        self.blanks = blanks
        """Merge tags that left a hole: nothing is known there, and the tag has no default."""

    @property
    def subject(self) -> str:
        return self._filling.subject

    @property
    def html(self) -> str:
        return self._document.html.text(self._filling)

    @property
    def text(self) -> str:
        return self._document.text.text(self._filling)

    @property
    def about(self) -> About:
        """What checks want to know of the mail."""
        return self._document.about

    def encoded_html(self) -> tuple[str, bytes]:
        """(transfer encoding, the HTML part in it)"""
        return self._document.html.transfer_encoding, self._document.html.encode(self._filling)

    def encoded_text(self) -> tuple[str, bytes]:
        """(transfer encoding, the text part in it)"""
        return self._document.text.transfer_encoding, self._document.text.encode(self._filling)


class Template:
    """See `compile_template`. Safe to use from several threads."""

    def __init__(self, subject: str, body: str, preheader: str, layout: Layout) -> None:
        self._mark = f"m{secrets.token_hex(8)}"
        self._layout = layout
        self._subject = Source(subject, self._mark)
        self._subject_slots = slot_pattern(self._mark)
        self._body = Source(_with_preheader(preheader, body), self._mark)
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        """The merge tags that it asks for, such as `contact.first_name`."""
        return list(dict.fromkeys([*self._subject.names, *self._body.names]))

    def unknown(self, data: Mapping[str, object]) -> list[str]:
        """The merge tags that `data` has no place for."""
        return list(dict.fromkeys([*self._subject.unknown(data), *self._body.unknown(data)]))

    def render(
        self, data: Mapping[str, object], link: Callable[[str], str] | None = None, pixel: str | None = None
    ) -> Rendered:
        """The mail for the reader of `data`, which is like `mail.render.merge_data`. Raises `CannotRender`.

        `link` gives the address to write for every different http(s) link, `unsubscribe_url` apart; `pixel` is the
        address of the image that counts opens. Without them nothing is tracked.
        """
        subject = self._subject.merge(data)
        body = self._body.merge(data)
        document = self._document(body)
        # The last value, for the footer's link out where the body has none.
        body.values.append(_way_out(data))
        links = [address.of(body.values) for address in document.addresses]
        if link is not None:
            links = [link(address) for address in links]
        filling = Filling(body.values, links, self._one_line(subject), _image(pixel), link is not None)
        blanks = tuple(dict.fromkeys(subject.blanks + body.blanks)) if subject.blanks else body.blanks
        return Rendered(document, filling, blanks)

    def _one_line(self, subject: Merged) -> str:
        values = subject.values
        return one_line(self._subject_slots.sub(lambda slot: values[int(slot[2])], subject.skeleton))

    def _document(self, body: Merged) -> Document:
        with self._lock:
            document = self._documents.get(body.skeleton)
            if document is None:
                preheader, between, text = body.skeleton.partition(_BETWEEN)
                if not between:
                    preheader, text = "", body.skeleton
                try:
                    document = Document(preheader, text, self._mark, self._layout, len(body.values))
                except BadTemplate as error:
                    raise CannotRender(str(error)) from error
                self._documents[body.skeleton] = document
                if len(self._documents) > MOST_KEPT:
                    self._documents.popitem(last=False)
            return document


def compile_template(subject: str, body: str, *, layout: Layout | None = None, preheader: str = "") -> Template:
    """The template of a subject and a body, in Markdown or HTML, with merge tags. Raises `BadTemplate`.

    A preheader, the words that inboxes show behind the subject, can also be the body's first thing:
    `<!-- preheader: Eleven pieces, one of each -->`.
    """
    template = Template(subject, body, preheader, layout or Layout())
    try:
        template.render({})
    except CannotRender as error:
        raise BadTemplate(str(error)) from error
    return template


def _with_preheader(preheader: str, body: str) -> str:
    body = body.replace(_BETWEEN, "")
    written = _PREHEADER.match(body)
    if written:
        preheader = preheader or written[1]
        # Its lines stay, so that a complaint about line 3 means line 3.
        body = "\n" * written[0].count("\n") + body[written.end() :]
    preheader = " ".join(preheader.replace(_BETWEEN, "").split())
    return f"{preheader}{_BETWEEN}{body}" if preheader else body


def _way_out(data: Mapping[str, object]) -> str:
    address = str(data.get("unsubscribe_url") or "")
    if address and not address.startswith(("https://", "http://")):
        raise CannotRender("The unsubscribe address is none of the web.")
    return address


def _image(address: str | None) -> str:
    if not address:
        return ""
    return (
        f'<img src="{html.escape(address)}" alt="" width="1" height="1" '
        'style="display:block;width:1px;height:1px;border:0">'
    )
