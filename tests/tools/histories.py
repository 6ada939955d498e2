"""Small histories with known figures, and the check that a text names no number that is no fact of its result."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from db import analytics, bulk
from tools.base import Context, Result


@dataclass
class Sent:
    """A campaign that was sent: to whom, and when."""

    id: UUID
    name: str
    people: list[UUID]
    at: datetime


async def people(ctx: Context, count: int, note: str = "", since: datetime | None = None) -> list[UUID]:
    """That many subscribed contacts, all with the same note."""
    ids = [uuid4() for _ in range(count)]
    (vector,) = await ctx.embedder.embed([note]) if note else (None,)
    at = since or ctx.now() - timedelta(days=900)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await bulk.insert(
            db, ctx.tenant.id, "contacts",
            "contact_id email description status tags attributes created_at updated_at vector_embedding "
            "embedding_model",
            (
                (id, f"{id.hex}@example.org", note or None, "subscribed", [], "{}", at, at, vector,
                 ctx.embedder.name if vector else None)
                for id in ids
            ),
        )  # fmt: skip
    return ids


async def sent(
    ctx: Context, name: str, to: Sequence[UUID], at: datetime, *, opened: Sequence[UUID] = (),
    clicked: Sequence[UUID] = (), subjects: Sequence[str] = ("A letter from the workshop",), links: int = 1,
    description: str = "", status: str = "completed", roll_up: bool = True,
) -> Sent:  # fmt: skip
    """A campaign sent to `to` at `at`; with two subjects people get them in turns. Events follow one hour later."""
    id, tenant = uuid4(), ctx.tenant.id
    (vector,) = await ctx.embedder.embed([f"{name}. {description}"])
    body = "\n".join(f"[page {place}](https://shop.example/{place})" for place in range(links))
    async with ctx.database.transaction(tenant) as db:
        await bulk.insert(
            db, tenant, "campaigns",
            "campaign_id name description status send_at created_at updated_at vector_embedding "
            "embedding_model",
            [(id, name, description or None, status, at, at, at, vector, ctx.embedder.name)],
        )  # fmt: skip
        await bulk.insert(
            db, tenant, "campaign_emails",
            "campaign_id email_id variant subject body written_by unknown_claims created_at updated_at",
            [(id, uuid4(), "ab"[place], subject, body, "person", [], at, at) for place, subject in enumerate(subjects)],
        )  # fmt: skip
        await bulk.insert(
            db, tenant, "deliveries",
            "campaign_id contact_id variant address state attempts sent_at next_attempt_at created_at "
            "updated_at",
            (
                (id, person, "ab"[place % len(subjects)], "x@example.org", "sent", 1, at, at, at, at)
                for place, person in enumerate(to)
            ),
        )  # fmt: skip
    campaign = Sent(id, name, list(to), at)
    hour = timedelta(hours=1)
    answers: list[tuple[UUID | None, str, str, datetime, str | None, Decimal | None]]
    answers = [(person, "open", "human", at + hour, None, None) for person in opened]
    answers += [(person, "click", "human", at + hour, "https://shop.example/0", None) for person in clicked]
    await happened(ctx, campaign, answers, roll_up=roll_up)
    return campaign


async def happened(
    ctx: Context, campaign: Sent, events: Sequence[tuple[UUID | None, str, str, datetime, str | None, Decimal | None]],
    *, roll_up: bool = True,
) -> None:  # fmt: skip
    """Add events: (person, kind, class, time, url, value)."""
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await bulk.insert(
            db, ctx.tenant.id, "events", "campaign_id event_id contact_id kind class at url value details",
            ((campaign.id, uuid4(), *event, "{}") for event in events),
        )  # fmt: skip
    if roll_up:
        await rolled_up(ctx, campaign)


async def rolled_up(ctx: Context, campaign: Sent) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await analytics.roll_up(db, ctx.tenant.id, campaign.id)


_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def unbacked(result: Result, zone: str = "Europe/London") -> set[str]:
    """The numbers in the result's text that none of its fields holds, as they are or as a percentage."""
    known: set[str] = set()
    for value in _values(result):
        match value:
            case bool() | None:
                continue
            case int():
                known.add(str(value))
            case float():
                known |= {f"{value * 100:.1f}", f"{abs(value) * 100:.1f}"}
            case Decimal():
                known.add(f"{value:.2f}")
            case datetime():
                local = value.astimezone(ZoneInfo(zone))
                known |= {str(local.day), str(local.year), f"{local:%H}", f"{local:%M}"}
            case _:
                known |= {number.replace(",", "") for number in _NUMBER.findall(str(value))}
    # Lists are numbered, and their length may be said.
    text = re.sub(r"^\d\. ", "", result.text(), flags=re.MULTILINE)
    return {number for number in _NUMBER.findall(text) if number.rstrip(",").replace(",", "") not in known}


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _values(getattr(value, name))
    elif isinstance(value, list):
        yield len(value)
        for item in value:
            yield from _values(item)
    else:
        yield value
