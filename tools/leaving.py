"""Leaving and coming back by hand: somebody at the counter, on the phone or in a reply says "no more mail", or "again".

Leaving is a tool: it only ever takes mail away. Coming back is not: it needs a person who says how the other agreed
(docs/decisions/0019-leaving-by-hand.md).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import psycopg
from pydantic import Field

from db import contacts, deliveries, events
from db.contacts import ContactRow
from db.pool import Connection
from mail import leaving
from tools.base import PERSONAL, Arguments, Context, Result, Text, allowed, recorded_as, tool
from tools.contacts import find_contact
from tools.errors import CannotResubscribe, ConsentNeeded, NoSuchContact
from tools.fields import Whom, checked_email

# Later than this after a campaign it is not that mail that drove somebody away.
COUNTED_WITHIN = timedelta(days=30)

# What a contact's attributes keep of it.
REASON, CONSENT = "unsubscribed because", "consent"

SHORTEST_CONSENT = 8

_ATTEMPTS = 3


class UnsubscribeContact(Arguments):
    contact: Whom
    reason: Annotated[Text, PERSONAL, Field(max_length=300, description="Why, in their words, if they said so.")] = ""


class Unsubscribed(Result):
    contact: str
    contact_id: UUID | None = None
    """None: nobody has that address; it is never mailed all the same."""
    was: str | None = None
    """The status before."""
    skipped: int = 0
    """Mails that waited for them and do not leave now."""
    counted_in: str | None = None
    """The campaign whose figures count it: the last one they got, if that was in the last 30 days."""

    def text(self) -> str:
        if self.contact_id is None:
            return f"Nobody has the address {self.contact}. It is never mailed from now on, also when it is imported."
        if self.was in ("unsubscribed", "complained"):
            return f"{self.contact} was {self.was} already and gets no mail."
        said = [f"{self.contact} is unsubscribed and gets no mail any more."]
        if self.skipped:
            mails = "mail that waited for them does" if self.skipped == 1 else "mails that waited for them do"
            said.append(f"{self.skipped:,} {mails} not leave.")
        if self.counted_in:
            said.append(f"Counted with {self.counted_in}, the last mail they got.")
        return " ".join(said)


@tool(effect="write")
async def unsubscribe_contact(args: UnsubscribeContact, ctx: Context) -> Unsubscribed:
    """Take one contact off all mailings, as they asked: they stay a contact and are never mailed again."""
    for attempt in range(_ATTEMPTS):
        try:
            async with ctx.transaction() as db:
                return await _unsubscribe(db, ctx, args)
        except psycopg.errors.DeadlockDetected:  # with a worker that begins two mails to the same person
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("it returned, or raised")


async def _unsubscribe(db: Connection, ctx: Context, args: UnsubscribeContact) -> Unsubscribed:
    tenant, now = ctx.tenant.id, ctx.now()
    try:
        row = await find_contact(db, ctx, args.contact)
    except NoSuchContact:
        if "@" not in args.contact:
            raise
        address, _ = checked_email(args.contact)
        await deliveries.suppress(db, tenant, address, reason="unsubscribed", source="by_hand", at=now)
        return Unsubscribed(contact=address)
    ctx.about(row.contact_id)
    last = await events.last_mailed_since(db, tenant, row.contact_id, now - COUNTED_WITHIN)
    if last is None:
        pair = (leaving.NO_CAMPAIGN, row.contact_id)
        skipped = await leaving.close(db, tenant, [pair], why="unsubscribed", source="by_hand", at=now)
    else:
        skipped = await leaving.unsubscribe(db, tenant, last[0], row.contact_id, how="by_hand", at=now)
    if args.reason:
        await contacts.note(db, tenant, row.contact_id, {REASON: args.reason}, at=now)
    return Unsubscribed(
        contact=row.label, contact_id=row.contact_id, was=row.status, skipped=skipped,
        counted_in=last[1] if last else None,
    )  # fmt: skip


class Resubscribed(Result):
    contact: str
    contact_id: UUID
    was: str

    def text(self) -> str:
        if self.was == "subscribed":
            return f"{self.contact} is a subscriber already. How they agreed is kept with them."
        return (
            f"{self.contact} gets mail again (was {self.was}). How they agreed is kept with them; what they missed "
            "meanwhile is not sent."
        )


async def resubscribe(whom: str, consent: str, ctx: Context) -> Resubscribed:
    """Let somebody who left be mailed again, because they said so themselves. For doors, never for a model.

    `consent` says when and how they agreed; it is kept with the contact. Raises `ConsentNeeded`, or
    `CannotResubscribe` for who complained and for addresses that bounced.
    """
    allowed(ctx.actor.role, "send", "resubscribe_contact")
    ctx = recorded_as("resubscribe_contact", "send", ctx)
    consent = " ".join(consent.split())
    if len(consent) < SHORTEST_CONSENT:
        raise ConsentNeeded()
    async with ctx.transaction() as db:
        row = await find_contact(db, ctx, whom)
        ctx.about(row.contact_id)
        was = await _status(db, ctx, row)
        if was in ("complained", "bounced"):
            raise CannotResubscribe(contact=row.label, why=_WHY[was])
        await deliveries.lift_suppression(db, ctx.tenant.id, row.email)
        await contacts.subscribe(db, ctx.tenant.id, row.contact_id, at=ctx.now())
        said = f"{consent} ({ctx.now():%Y-%m-%d}, {ctx.actor.name})"
        await contacts.note(db, ctx.tenant.id, row.contact_id, {CONSENT: said}, at=ctx.now())
    return Resubscribed(contact=row.label, contact_id=row.contact_id, was=was)


_WHY = {
    "complained": "called a mail of yours spam",
    "bounced": "can't be reached: a server said that there is nobody at that address",
}


async def _status(db: Connection, ctx: Context, row: ContactRow) -> str:
    """What keeps mail from them: the contact's status, or what is known of the address, whichever is stricter."""
    suppressed = await deliveries.suppression(db, ctx.tenant.id, row.email)
    if suppressed in _WHY or row.status in _WHY:
        return row.status if row.status in _WHY else str(suppressed)
    return "unsubscribed" if suppressed else row.status
