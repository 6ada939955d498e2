"""A mail as one reader sees it, with everything that is to be said about it: for previews, checks and drafts.

Sending goes by mail.template, which compiles once and renders for each.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

from db.campaigns import CampaignRow
from db.contacts import ContactRow
from db.tenants import TenantRow
from mail.checks import Sample, check
from mail.headers import one_line
from mail.layout import Layout
from mail.merge import LONGEST_SOURCE, BadTemplate, CannotRender, about_unknown
from mail.template import compile_template

__all__ = ["Shown", "contact_data", "layout_of", "merge_data", "one_line", "render", "shared_data"]

# Until a mail is sent to somebody it has no unsubscribe link; `.invalid` can never be anybody's (RFC 2606).
PREVIEW_UNSUBSCRIBE = "https://unsubscribe.invalid/preview"


@dataclass(frozen=True)
class Shown:
    """One mail for one reader, and what is to be said about it."""

    subject: str
    text: str
    html: str
    blanks: tuple[str, ...] = ()
    """Merge tags that left a hole: nothing is known there, and the tag has no default."""
    unknown_tags: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """Sentences. With any, subject and text are the source as it is written: such a mail must not be sent."""
    hints: tuple[str, ...] = ()
    """Sentences on unknown merge tags."""
    checks: tuple[str, ...] = ()
    """Sentences of `mail.checks`."""

    @property
    def warnings(self) -> list[str]:
        """All of it."""
        return [*self.errors, *self.hints, *self.checks]


def shared_data(tenant: TenantRow, campaign: CampaignRow) -> dict[str, object]:
    """What merge tags may say that is the same for all readers of a campaign.

    A campaign's description is the sender's own business: no tag reaches it.
    """
    start = campaign.start_date
    return {
        "campaign": {"name": campaign.name, "start_date": f"{start.day} {start:%B %Y}" if start else ""},
        "tenant": {"name": tenant.name},
        "sender": {"name": tenant.sender_name or tenant.name, "email": tenant.sender_email or ""},
    }


def contact_data(
    first_name: str | None, last_name: str | None, email: str, phone_number: str | None
) -> dict[str, str]:  # fmt: skip
    """What merge tags may say about a reader. A contact's note and tags are not for them to read."""
    first, last = (first_name or "").strip(), (last_name or "").strip()
    return {
        "first_name": first, "last_name": last, "full_name": f"{first} {last}".strip(), "email": email,
        "phone_number": (phone_number or "").strip(),
    }  # fmt: skip


def merge_data(
    tenant: TenantRow, campaign: CampaignRow, contact: ContactRow | None, unsubscribe_url: str = PREVIEW_UNSUBSCRIBE
) -> dict[str, object]:
    """All that merge tags may say; without a contact, about one of whom nothing is known."""
    reader = (
        contact_data(contact.first_name, contact.last_name, contact.email, contact.phone_number)
        if contact
        else contact_data(None, None, "nobody@example.invalid", None)
    )
    return {"contact": reader, **shared_data(tenant, campaign), "unsubscribe_url": unsubscribe_url}


def layout_of(tenant: TenantRow) -> Layout:
    """The frame of a tenant's mails."""
    return Layout(sender=tenant.sender_name or tenant.name, sender_email=tenant.sender_email or "")


def render(subject: str, body: str, data: Mapping[str, object], layout: Layout | None = None) -> Shown:
    """The mail as the reader of `data` sees it. Never raises for what a template holds: see `Shown.errors`."""
    sender_email = layout.sender_email if layout else ""
    try:
        template = compile_template(subject, body, layout=layout)
        rendered = template.render(data)
    except (BadTemplate, CannotRender) as error:
        shown = body[:LONGEST_SOURCE]
        return Shown(
            subject=one_line(subject), text=shown, html=f"<pre>{html.escape(shown)}</pre>", errors=(str(error),)
        )  # fmt: skip
    unknown = template.unknown(data)
    return Shown(
        subject=rendered.subject, text=rendered.text, html=rendered.html,
        blanks=tuple(blank for blank in rendered.blanks if blank not in unknown),  # said once is enough
        unknown_tags=tuple(unknown), hints=tuple(about_unknown(tag, data) for tag in unknown),
        checks=tuple(check([Sample(rendered, 1)], sender_email=sender_email, unknown_tags=unknown)),
    )  # fmt: skip
