"""What is known before the first word of a turn: the time, the campaigns there are, the tags in use."""

from __future__ import annotations

from agent.planner import KnownCampaign, Situation
from db import campaigns, contacts
from tools.base import Context
from tools.dates import in_words


async def look(ctx: Context) -> Situation:
    """The situation of this moment, from the tenant's rows."""
    async with ctx.transaction() as db:
        names = await campaigns.names(db, ctx.tenant.id)
        tags = await contacts.all_tags(db, ctx.tenant.id)
    return Situation(
        now=ctx.now(),
        time_zone=ctx.tenant.time_zone,
        country=ctx.tenant.country,
        campaigns=tuple(KnownCampaign(name, status) for name, status in names),
        tags=tuple(tags),
    )


def in_prose(situation: Situation, ctx: Context) -> str:
    """The situation for a language model. Names are data: they are quoted, one a line.

    The time comes last: what stands before it stays the same for a while, so that endpoints can cache it.
    """
    lines = ["Campaigns (name: status):" if situation.campaigns else "There are no campaigns yet."]
    lines += [f'- "{campaign.name}": {campaign.status}' for campaign in situation.campaigns[:40]]
    if situation.tags:
        lines.append("Tags in use: " + ", ".join(situation.tags[:30]))
    lines.append(f"Tenant: {ctx.tenant.name}, {situation.country}. Now: {in_words(situation.now, ctx.tenant.zone)}.")
    return "\n".join(lines)
