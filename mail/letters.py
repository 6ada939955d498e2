"""A campaign's mails as they leave: compiled once, written for one recipient after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from db.campaigns import CampaignRow
from db.emails import EmailRow
from db.tenants import TenantRow
from mail.links import Links, Recipient
from mail.message import BadHeader, Headers, build, envelope_address, message_id
from mail.render import contact_data, layout_of, shared_data
from mail.template import BadTemplate, CannotRender, Template, compile_template

# Whom mails come from where no sender is set: good for the capture only.
NO_SENDER = "sender-not-set@sender.invalid"

# Templates that are kept compiled; drafts for single contacts are used once and are not worth keeping.
MOST_COMPILED = 16


class CannotWrite(Exception):
    """A mail can't be written for this recipient; the text is a sentence that says why."""


class Letter(NamedTuple):
    """One mail, ready to leave."""

    sender: str
    """The envelope's sender (return path)."""
    recipient: str
    subject: str
    message: bytes
    message_id: str


@dataclass(frozen=True)
class Reader:
    """Whom a mail is written for."""

    contact_id: UUID
    address: str
    first_name: str | None
    last_name: str | None
    phone_number: str | None


Sign = Callable[[bytes, str], bytes]
"""Puts DKIM signatures on top of a mail, those for the domain of its sender."""


class Letters:
    """Writes the mails of one campaign. Raises `CannotWrite` where it is made, for a sender that can't be used."""

    def __init__(
        self, tenant: TenantRow, campaign: CampaignRow, links: Links, *, bounce_address: str | None = None,
        sign: Sign | None = None,
    ) -> None:  # fmt: skip
        self.tenant, self.campaign, self.links = tenant, campaign, links
        self._sender = tenant.sender_email or NO_SENDER
        self._domain = self._sender.rpartition("@")[2]
        self._bounces = bounce_address
        self._sign = sign
        self._layout = layout_of(tenant)
        self._shared = shared_data(tenant, campaign)
        # Where a mail can't be compiled, why.
        self._compiled: OrderedDict[UUID, Template | str] = OrderedDict()
        try:
            self._headers = Headers(
                tenant.sender_name or tenant.name, self._sender,
                list_id=f"{campaign.campaign_id.hex}.{self._domain}", list_name=campaign.name,
            )  # fmt: skip
        except BadHeader as error:
            raise CannotWrite(str(error)) from None

    def knows(self, email_id: UUID | None) -> bool:
        """Whether this mail is compiled already."""
        return email_id in self._compiled

    def learn(self, mails: Sequence[EmailRow]) -> None:
        """Compile these mails. One that can't be compiled is told when it is to be written."""
        for mail in mails:
            try:
                self._compiled[mail.email_id] = compile_template(mail.subject, mail.body, layout=self._layout)
            except BadTemplate as error:
                self._compiled[mail.email_id] = str(error)
        while len(self._compiled) > max(MOST_COMPILED, len(mails)):
            self._compiled.popitem(last=False)

    def write(self, email_id: UUID | None, reader: Reader) -> Letter:
        """The mail for one recipient of the campaign. Raises `CannotWrite`."""
        template = self._compiled.get(email_id, "Its text is gone.") if email_id else "It has no text."
        if isinstance(template, str):
            raise CannotWrite(template)
        return self._letter(template, reader, self.links.to(self.campaign.campaign_id, reader.contact_id), test=False)

    def write_test(self, subject: str, body: str, reader: Reader, to: str) -> Letter:
        """The mail as `reader` would get it, marked [TEST], for another address; nothing in it counts."""
        try:
            template = compile_template(subject, body, layout=self._layout)
        except BadTemplate as error:
            raise CannotWrite(str(error)) from None
        return self._letter(template, reader, self.links.for_test(), test=True, to=to)

    def _letter(
        self, template: Template, reader: Reader, person: Recipient, *, test: bool, to: str | None = None
    ) -> Letter:
        try:
            rendered = template.render(
                {
                    **self._shared,
                    "contact": contact_data(reader.first_name, reader.last_name, reader.address, reader.phone_number),
                    "unsubscribe_url": person.unsubscribe_url,
                },
                link=person.link, pixel=person.pixel,
            )  # fmt: skip
            address = to or reader.address
            name = " ".join(part for part in (reader.first_name, reader.last_name) if part) if to is None else ""
            # A test is a mail of its own each time: inboxes hide what has the Message-ID of another one.
            id = message_id(f"t.{uuid4().hex}", self._domain) if test else person.message_id(self._domain)
            message = build(
                self._headers, rendered, to_email=address, to_name=name, message_id=id,
                unsubscribe_url=person.unsubscribe_url, date=datetime.now(UTC), test=test,
            )  # fmt: skip
            recipient = envelope_address(address)
        except (BadHeader, CannotRender) as error:
            raise CannotWrite(str(error)) from None
        sender = self._sender
        if self._bounces and not test:
            sender = person.return_path(self._bounces)
        if self._sign is not None:
            message = self._sign(message, self._domain)
        return Letter(sender, recipient, rendered.subject, message, id)
