"""The world of the agent's evals: made once, then copied row by row into a new tenant for each case."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import yaml
from psycopg import sql

from db import analytics, bulk
from evals.stage import NOW, Stage, change, do, rows
from tools.base import Context

WORLD = Path(__file__).parent / "cases" / "agent_world.yaml"

# In this order: a row is copied after those that it points to.
_TABLES = (
    "contacts", "campaigns", "campaign_contacts", "campaign_emails", "campaign_analytics", "deliveries", "events",
    "suppressions",
)  # fmt: skip


async def furnished(stage: Stage) -> Context:
    """A tenant with all that the world file says."""
    ctx = await stage.tenant()
    said: dict[str, Any] = yaml.safe_load(WORLD.read_text("utf-8"))
    for contact in said["contacts"]:
        status = contact.pop("status", None)
        await do(ctx, "create_contact", **contact)
        if status:
            await change(ctx, "UPDATE contacts SET status = %s WHERE email = %s", status, contact["email"])
    for campaign in said["campaigns"]:
        await _campaign(ctx, campaign)
    return ctx


async def _campaign(ctx: Context, said: dict[str, Any]) -> None:
    name = said["name"]
    await do(ctx, "create_campaign", name=name, description=said.get("about"))
    if said.get("people"):
        await do(ctx, "add_contacts_to_campaign", campaign=name, emails=said["people"])
    if said.get("mail"):
        await do(ctx, "draft_email", campaign=name, instructions=said["mail"])
    status = said.get("status", "draft")
    if said.get("sent"):
        await _history(ctx, said)
    if status != "draft":
        at = NOW - timedelta(days=said.get("days_ago", -3))
        await change(ctx, "UPDATE campaigns SET status = %s, send_at = %s WHERE name = %s", status, at, name)


async def _history(ctx: Context, said: dict[str, Any]) -> None:
    """So many mails sent, opened and clicked, to people who are no contacts any more."""
    ((id,),) = await rows(ctx, "SELECT campaign_id FROM campaigns WHERE name = %s", said["name"])
    ((mail,),) = await rows(ctx, "SELECT email_id FROM campaign_emails WHERE campaign_id = %s LIMIT 1", id)
    people, at = [uuid4() for _ in range(said["sent"])], NOW - timedelta(days=said["days_ago"])
    hour = at + timedelta(hours=1)
    page = "https://harrow.example/shop"
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await bulk.insert(
            db, ctx.tenant.id, "deliveries",
            "campaign_id contact_id email_id variant address state attempts sent_at next_attempt_at created_at "
            "updated_at",
            ((id, person, mail, "a", "x@example.org", "sent", 1, at, at, at, at) for person in people),
        )  # fmt: skip
        answers: list[tuple[UUID, str, str, datetime, str | None]]
        answers = [(p, "open", "human", hour, None) for p in people[: said["opened"]]]
        answers += [(p, "click", "human", hour, page) for p in people[: said["clicked"]]]
        await bulk.insert(
            db, ctx.tenant.id, "events", "campaign_id event_id contact_id kind class at url details",
            ((id, uuid4(), *answer, "{}") for answer in answers),
        )  # fmt: skip
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await analytics.roll_up(db, ctx.tenant.id, id)


async def copy_of(stage: Stage, world: Context) -> Context:
    """A new tenant with the same rows."""
    ctx = await stage.tenant()
    await asyncio.to_thread(_copy, stage.url, world.tenant.id, ctx.tenant.id)
    return dataclasses.replace(ctx, writer=world.writer)


def _copy(url: str, old: UUID, new: UUID) -> None:
    with psycopg.connect(url) as connection:
        # As the owner of a throw-away database: row-level security would hide the other tenant's rows.
        for table in _TABLES:
            columns = sql.SQL(", ").join(sql.Identifier(name) for name in _columns(connection, table))
            connection.execute(
                sql.SQL("INSERT INTO {t} (tenant_id, {c}) SELECT %s, {c} FROM {t} WHERE tenant_id = %s").format(
                    t=sql.Identifier(table), c=columns
                ),
                (new, old),
            )


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public' "
        "AND is_generated = 'NEVER' AND column_name <> 'tenant_id'",
        (table,),
    )
    return [name for (name,) in found]
