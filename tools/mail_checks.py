"""A campaign's mails seen through the eyes of their recipients: who is typical, who fares worst, what to warn of.

Nobody renders a million mails to check one: recipients of whom the same things are known leave the same holes, so one
of each kind stands for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db import emails
from db.campaigns import CampaignRow
from db.emails import EmailRow, StandInRow
from db.pool import Connection
from db.tenants import TenantRow
from mail.checks import Sample, check
from mail.merge import about_unknown
from mail.render import layout_of, merge_data
from mail.template import BadTemplate, CannotRender, Rendered, compile_template
from tools.base import Context

# What a person reads on a card before they decide.
MOST_WARNINGS = 12
# Drafts for single people that are looked at; a campaign rarely has more than fifty.
MOST_DRAFTS = 200


@dataclass(frozen=True)
class Seen:
    """A mail as one recipient would see it, who stands for others."""

    reader: StandInRow
    rendered: Rendered


@dataclass(frozen=True)
class Review:
    """A template as its recipients would see it."""

    seen: tuple[Seen, ...]
    """One for each kind of recipient, those who stand for most people first."""
    stops: tuple[str, ...]
    """Why it can't be sent at all: it can't be read, or asks for what does not exist."""
    doubts: tuple[str, ...]
    """What its readers may stumble over."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that is to be said about it, the worst first."""
        return self.stops + self.doubts

    @property
    def people(self) -> int:
        return sum(one.reader.people for one in self.seen)

    @property
    def typical(self) -> Seen | None:
        return self.seen[0] if self.seen else None

    @property
    def worst(self) -> Seen | None:
        """The one with the most holes; of several, who stands for most people."""
        return max(self.seen, key=lambda one: (len(one.rendered.blanks), one.reader.people), default=None)


@dataclass(frozen=True)
class Checked:
    """All of a campaign's mails, looked at before a person is asked about them."""

    stops: list[str]
    """Why they can't be sent; nobody is asked then."""
    warnings: list[str]
    """What a person should know before they decide, at most `MOST_WARNINGS` and one that says how many more."""


async def review(db: Connection, ctx: Context, tenant: TenantRow, row: CampaignRow, mail: EmailRow) -> Review:
    """One template of a campaign, through the eyes of its recipients."""
    readers = await emails.stand_ins(db, ctx.tenant.id, row.campaign_id)
    # Templates can take a second to work out; others go on meanwhile.
    return await asyncio.to_thread(_reviewed, tenant, row, mail, readers)


async def checked(db: Connection, ctx: Context, tenant: TenantRow, row: CampaignRow) -> Checked:
    """What stops a campaign's mails and what a person should know of them before they approve it, as sentences."""
    mails = await emails.all_of(db, ctx.tenant.id, row.campaign_id)
    readers = await emails.stand_ins(db, ctx.tenant.id, row.campaign_id)
    templates = [mail for mail in mails if mail.contact_id is None]
    drafts = [mail for mail in mails if mail.contact_id is not None][:MOST_DRAFTS]
    own = {}
    for draft in drafts:
        contact = await emails.reader(db, ctx.tenant.id, row.campaign_id, draft.contact_id)
        if contact is not None and contact.status == "subscribed":
            own[draft.email_id] = StandInRow(**vars(contact), people=1)
    return await asyncio.to_thread(_all_checked, tenant, row, templates, readers, drafts, own)


def _all_checked(
    tenant: TenantRow, row: CampaignRow, templates: Sequence[EmailRow], readers: Sequence[StandInRow],
    drafts: Sequence[EmailRow], own: dict[UUID, StandInRow],
) -> Checked:  # fmt: skip
    reviews: list[tuple[str, Review]] = []
    if readers or not drafts:  # else nobody reads the template
        for mail in templates:
            name = f"Variant {mail.variant}: " if len(templates) > 1 else ""
            reviews.append((name, _reviewed(tenant, row, mail, readers)))
    for draft in drafts:
        reader = own.get(draft.email_id)
        if reader is not None:
            reviews.append((f"The draft for {reader.label}: ", _reviewed(tenant, row, draft, [reader])))
    return Checked(
        [name + stop for name, review in reviews for stop in review.stops],
        _most([name + doubt for name, review in reviews for doubt in review.doubts]),
    )


def _most(said: list[str]) -> list[str]:
    more = len(said) - MOST_WARNINGS
    if more <= 0:
        return said
    are = "is 1 more warning; a preview shows it" if more == 1 else f"are {more} more warnings; previews show them"
    return [*said[:MOST_WARNINGS], f"There {are}."]


def _reviewed(tenant: TenantRow, row: CampaignRow, mail: EmailRow, readers: Sequence[StandInRow]) -> Review:
    nobody = merge_data(tenant, row, None)
    try:
        template = compile_template(mail.subject, mail.body, layout=layout_of(tenant))
        seen = tuple(Seen(reader, template.render(merge_data(tenant, row, reader))) for reader in readers)
        samples = [Sample(one.rendered, one.reader.people) for one in seen]
        if not samples:
            samples = [Sample(template.render(nobody), 1)]
    except (BadTemplate, CannotRender) as error:
        return Review((), (str(error),), ())
    unknown = template.unknown(nobody)
    doubts = check(samples, sender_email=tenant.sender_email or "", unknown_tags=unknown)
    return Review(seen, tuple(about_unknown(tag, nobody) for tag in unknown), tuple(doubts))
