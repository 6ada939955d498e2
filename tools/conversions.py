"""A shop's own report that somebody bought, by a program with a key: the same as the report with a token of the mail.

No tool: it is told by a program that took the order, never by a model.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from mail.classify import Verdict
from mail.recording import Hit, record
from tools.base import PERSONAL, Arguments, Context, Result, Text, allowed, recorded_as
from tools.campaigns import find_campaign
from tools.contacts import find_contact
from tools.fields import CampaignName, Whom

_ACTION = "record_conversion"


class Conversion(Arguments):
    """An order that came from a campaign's mail."""

    campaign: CampaignName
    contact: Whom
    order: Annotated[
        Text, PERSONAL, Field(min_length=1, max_length=100, description="Its number: an order counts once a campaign.")
    ]
    value: Annotated[
        Decimal | None,
        Field(ge=0, max_digits=11, decimal_places=2, description="In your own currency, with at most two decimals."),
    ] = None


class Recorded(Result):
    """`recorded` is false for an order that was counted before, and for somebody who never got that mail."""

    recorded: bool

    def text(self) -> str:
        return "Counted." if self.recorded else "Not counted: it was before, or that person never got the mail."


async def report(said: Conversion, ctx: Context) -> Recorded:
    """Count a conversion, committed when this returns.

    Raises `NotAllowed` for less than an editor, and what names no campaign or contact.
    """
    allowed(ctx.actor.role, "write", f"to {_ACTION.replace('_', ' a ')}")
    ctx = recorded_as(_ACTION, "write", ctx)
    async with ctx.transaction() as db:
        campaign = await find_campaign(db, ctx, said.campaign)
        contact = await find_contact(db, ctx, said.contact)
        ctx.about(campaign.campaign_id, contact.contact_id)
        hit = Hit(
            campaign=campaign.campaign_id, contact=contact.contact_id, kind="conversion", at=ctx.now(),
            value=said.value, verdict=Verdict("human", "server_call"),
            key="conversion " + hashlib.sha256(said.order.encode()).hexdigest()[:32],
        )  # fmt: skip
        return Recorded(recorded=bool(await record(db, ctx.tenant.id, [hit])))
