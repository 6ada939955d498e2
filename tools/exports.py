"""Files for people and other programs: contacts, and what became of campaigns.

No tool: what fits into a conversation is a page of `search_contacts`, a file does not. Exports are for doors, take the
role of an editor at least, and leave a line in the audit log, which says that and what, and names nobody.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from db import analytics, audit
from db import contacts as contact_rows
from db import exports as rows
from db.analytics import TotalsRow
from db.contacts import Filter
from db.exports import ExportedContact, RecipientResult
from db.pool import Connection
from tools import audience
from tools.analytics import Figures, Rate
from tools.base import Context, Effect, allowed
from tools.campaigns import find_campaign
from tools.contacts import search_contacts
from tools.errors import NobodyMatches, ToolError
from tools.fields import checked_status, tidy_tags
from tools.spreadsheet import MARK, guarded

Format = Literal["csv", "json", "jsonl"]
FORMATS: tuple[Format, ...] = ("csv", "json", "jsonl")

Progress = Callable[[int, int | None], None]
"""Hears how many rows are written, and of how many if that is known."""

Value = str | int | Decimal | float | datetime | list[str] | dict[str, Any] | None
Line = dict[str, Value]

# Rows of one piece of text; a piece is what the caller holds in memory.
AT_ONCE = 1_000

# Campaigns whose figures are counted in one statement.
COUNTED_AT_ONCE = 10

CONTACT_COLUMNS = (
    "email", "first_name", "last_name", "phone_number", "description", "status", "tags", "time_zone", "attributes",
    "suppression_reason", "created_at_utc", "updated_at_utc", MARK,
)  # fmt: skip
RECIPIENT_COLUMNS = (
    "address", "first_name", "last_name", "contact_id", "variant", "state", "reason", "sent_at_utc",
    "first_open_at_utc", "opens", "machine_opens", "first_click_at_utc", "clicks", "machine_clicks", "conversions",
    "conversion_value", "bounced_at_utc", "unsubscribed_at_utc", "complained_at_utc",
)  # fmt: skip
CAMPAIGN_COLUMNS = (
    "campaign", "campaign_id", "status", "first_sent_at_utc", "last_sent_at_utc", "sent", "delivered", "waiting",
    "failed", "skipped", "unclear", "bounced", "opened", "machine_opens", "clicked", "total_clicks", "machine_clicks",
    "converted", "conversions", "conversion_value", "unsubscribed", "complained",
    *(f"{rate}{end}" for rate in ("open_rate", "click_rate", "click_to_open_rate", "conversion_rate")
      for end in ("", "_low", "_high")),
)  # fmt: skip


async def contacts(
    ctx: Context, *, query: str | None = None, status: str | None = None, tags: Sequence[str] = (),
    campaign: str | None = None, form: Format = "csv", mark_for_excel: bool = False, progress: Progress | None = None,
) -> AsyncGenerator[str]:  # fmt: skip
    """The contacts as a file's text, piece by piece; the arguments choose as in search_contacts.

    Read in one transaction, so it shows one moment. Raises a `ToolError` before the first piece.
    """
    async with recorded(ctx, "export contacts", "write") as line:
        which, ids = await _chosen(ctx, query, checked_status(status), tags, campaign)
        line.subjects = [which.campaign] if which.campaign else []
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            total = len(ids) if ids is not None else await contact_rows.count(db, ctx.tenant.id, which)
        line.arguments = {
            "format": form, "rows": total, **({"status": which.status} if which.status else {}),
            **({"query": "…"} if query else {}), **({"tags": "…"} if tags else {}),
        }  # fmt: skip
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        found = rows.contacts(db, ctx.tenant.id, which, ids)
        lines = (_contact(row) async for row in found)
        async with aclosing(found), aclosing(lines):
            async for piece in _written(lines, CONTACT_COLUMNS, form, mark_for_excel, progress, total):
                yield piece


async def recipients(
    ctx: Context, campaign: str, *, form: Format = "csv", mark_for_excel: bool = False,
    progress: Progress | None = None,
) -> AsyncGenerator[str]:  # fmt: skip
    """One row a person of this campaign, with what they did, as a file's text. Raises as `contacts` does."""
    async with recorded(ctx, "export results", "write") as line:
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            row = await find_campaign(db, ctx, campaign)
        line.subjects, line.arguments = [row.campaign_id], {"format": form}
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        found = rows.recipients(db, ctx.tenant.id, row.campaign_id)
        lines = (_recipient(each) async for each in found)
        async with aclosing(found), aclosing(lines):
            async for piece in _written(lines, RECIPIENT_COLUMNS, form, mark_for_excel, progress, None):
                yield piece


async def results(
    ctx: Context, *, form: Format = "csv", mark_for_excel: bool = False, progress: Progress | None = None
) -> AsyncGenerator[str]:
    """One row a campaign with the figures of summarize_performance, as a file's text. Raises as `contacts` does."""
    async with recorded(ctx, "export results", "write") as line:
        line.arguments = {"format": form}
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        ids = await rows.campaign_ids(db, ctx.tenant.id)
        lines = _campaigns(db, ctx, ids)
        async with aclosing(lines):
            async for piece in _written(lines, CAMPAIGN_COLUMNS, form, mark_for_excel, progress, len(ids)):
                yield piece


async def _chosen(
    ctx: Context, query: str | None, status: str | None, tags: Sequence[str], campaign: str | None
) -> tuple[Filter, list[UUID] | None]:
    """Which contacts are meant: by a filter, and when words are compared by their ids too."""
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        id = (await find_campaign(db, ctx, campaign)).campaign_id if campaign else None
        asked = await audience.understand(db, ctx, query, Filter(status, tidy_tags(list(tags)) or None, id))
    if not asked.words:
        return asked.which, None
    # The tool itself, page by page: the file holds whom the search shows.
    given = {
        "query": query,
        "status": status,
        "tags": tidy_tags(list(tags)) or None,
        "campaign": str(id) if id else None,
    }
    ids: list[UUID] = []
    cursor: str | None = None
    while True:
        page = await search_contacts.call(given | {"limit": 100, "cursor": cursor}, ctx)
        ids += [match.contact_id for match in page.contacts]
        cursor = page.next_cursor
        if cursor is None:
            break
    if not ids:
        raise NobodyMatches(query=query)
    return asked.which, ids


@dataclass
class AuditLine:
    """What the audit log will say of an export beside its name. No personal data."""

    arguments: dict[str, Any] = field(default_factory=dict)
    subjects: list[UUID] = field(default_factory=list)


@asynccontextmanager
async def recorded(ctx: Context, name: str, needed: Effect) -> AsyncIterator[AuditLine]:
    """Check the role, and put the export into the audit log before a row of it is given out; a refusal as well."""
    line = AuditLine()
    try:
        allowed(ctx.actor.role, needed, name)
        yield line
    except ToolError as error:
        await _log(ctx, name, f"refused: {error.code}", AuditLine())
        raise
    await _log(ctx, name, "done", line)


async def _log(ctx: Context, name: str, outcome: str, line: AuditLine) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await audit.add(
            db, ctx.tenant.id, at=ctx.now(), actor=ctx.actor.name, role=ctx.actor.role, door=ctx.actor.door,
            tool=name, effect="read", outcome=outcome, arguments=line.arguments, subjects=line.subjects,
            conversation_id=ctx.conversation,
        )  # fmt: skip


async def _written(
    lines: AsyncGenerator[Line], columns: Sequence[str], form: Format, mark_for_excel: bool, progress: Progress | None,
    total: int | None,
) -> AsyncGenerator[str]:  # fmt: skip
    """The lines as text of this format, a thousand at a time."""
    write = _WRITERS[form]
    yield ("\ufeff" if mark_for_excel else "") + write.head(columns)
    done = 0
    batch: list[Line] = []
    async for line in lines:
        batch.append(line)
        if len(batch) == AT_ONCE:
            yield write.rows(batch, columns, first=done == 0)
            done += len(batch)
            batch = []
            if progress is not None:
                progress(done, total)
    yield write.rows(batch, columns, first=done == 0) + write.tail()
    if progress is not None:
        progress(done + len(batch), total)


class _Csv:
    """RFC 4180, with a header line. Texts are guarded against formulas; our own numbers and times need no guard."""

    def head(self, columns: Sequence[str]) -> str:
        return ",".join(columns) + "\r\n"

    def rows(self, lines: Iterable[Line], columns: Sequence[str], *, first: bool) -> str:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([_cell(line[column]) for column in columns] for line in lines)
        return text.getvalue()

    def tail(self) -> str:
        return ""


class _JsonLines:
    """One object a line, every text as it is."""

    def head(self, columns: Sequence[str]) -> str:
        return ""

    def rows(self, lines: Iterable[Line], columns: Sequence[str], *, first: bool) -> str:
        return "".join(_json(line) + "\n" for line in lines)

    def tail(self) -> str:
        return ""


class _JsonList:
    """One list of objects, every text as it is."""

    def head(self, columns: Sequence[str]) -> str:
        return "["

    def rows(self, lines: Iterable[Line], columns: Sequence[str], *, first: bool) -> str:
        text = ",\n".join(_json(line) for line in lines)
        return text and ("\n" if first else ",\n") + text

    def tail(self) -> str:
        return "\n]\n"


_WRITERS: dict[Format, _Csv | _JsonList | _JsonLines] = {"csv": _Csv(), "json": _JsonList(), "jsonl": _JsonLines()}


def _cell(value: Value) -> str | int | float | Decimal | None:
    match value:
        case str():
            return guarded(value)
        case datetime():
            return in_utc(value)
        case list():
            return guarded("; ".join(value))
        case dict():
            return guarded(json.dumps(value, ensure_ascii=False)) if value else None
    return value


def _json(line: Line) -> str:
    return json.dumps(line, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return in_utc(value)
    return float(value) if isinstance(value, Decimal) else str(value)


def in_utc(at: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _contact(row: ExportedContact) -> Line:
    return {
        "email": row.email, "first_name": row.first_name, "last_name": row.last_name,
        "phone_number": row.phone_number, "description": row.description, "status": row.status, "tags": row.tags,
        "time_zone": row.time_zone, "attributes": row.attributes, "suppression_reason": row.suppressed,
        "created_at_utc": row.created_at, "updated_at_utc": row.updated_at, MARK: str(row.contact_id),
    }  # fmt: skip


def _recipient(row: RecipientResult) -> Line:
    values = {name: getattr(row, name.removesuffix("_utc")) for name in RECIPIENT_COLUMNS}
    return values | {"contact_id": str(row.contact_id)}


async def _campaigns(db: Connection, ctx: Context, ids: list[UUID]) -> AsyncGenerator[Line]:
    for start in range(0, len(ids), COUNTED_AT_ONCE):
        for row in await analytics.totals(db, ctx.tenant.id, ids[start : start + COUNTED_AT_ONCE]):
            yield _campaign(row)


def _campaign(row: TotalsRow) -> Line:
    figures = Figures.of([row])
    counts: Line = {name: getattr(figures, name) for name in CAMPAIGN_COLUMNS if name in _COUNTED}
    return {
        "campaign": row.name, "campaign_id": str(row.campaign_id), "status": row.status,
        "first_sent_at_utc": row.first_sent_at, "last_sent_at_utc": row.last_sent_at, **counts,
        "conversion_value": figures.value, **_rate("open_rate", figures.open_rate),
        **_rate("click_rate", figures.click_rate), **_rate("click_to_open_rate", figures.click_to_open),
        **_rate("conversion_rate", figures.conversion_rate),
    }  # fmt: skip


_COUNTED = {name for name, of in Figures.model_fields.items() if of.annotation is int}


def _rate(name: str, rate: Rate | None) -> Line:
    """A share and its 95 % interval; empty where there is too little data for one."""
    if rate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: round(rate.share, 4), f"{name}_low": round(rate.low, 4), f"{name}_high": round(rate.high, 4)}
