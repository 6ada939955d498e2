"""Contacts: found in words, one by one with what is known and what they got, new ones, and lists to take away."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from db import approvals as approval_rows
from db import contacts as rows
from db import exports as export_rows
from db.contacts import ContactRow
from interfaces.pages.campaigns import file_name
from interfaces.pages.downloads import download
from interfaces.pages.site import NotFound, Site, Visit, get, post
from tools import exports, leaving, personal_data
from tools.contacts import create_contact, delete_contact, search_contacts, update_contact
from tools.errors import ToolError
from tools.fields import STATUSES, tidy_tags

A_PAGE = 25

# What a person got and did, the last so many of each.
MOST_HISTORY = 50

FIELDS = ("email", "first_name", "last_name", "phone_number", "description")


def routes(site: Site) -> list[Route]:
    return [
        get(site, "/contacts", listed),
        get(site, "/contacts/new", blank),
        post(site, "/contacts/new", create),
        get(site, "/contacts/file", listed_file),
        get(site, "/contacts/{id}", show),
        post(site, "/contacts/{id}", change),
        get(site, "/contacts/{id}/file", person_file),
        post(site, "/contacts/{id}/leave", leave),
        post(site, "/contacts/{id}/return", come_back),
        post(site, "/contacts/{id}/erase", erase),
    ]


async def listed(visit: Visit) -> Response:
    """Newest first, or those nearest to some words, each with why."""
    chosen = {name: visit.query(name) for name in ("query", "status", "tag")}
    given: dict[str, Any] = {
        "query": chosen["query"] or None, "status": chosen["status"] or None, "limit": A_PAGE,
        "tags": [chosen["tag"]] if chosen["tag"] else None, "cursor": visit.query("cursor") or None,
    }  # fmt: skip
    found = await search_contacts.call(given, visit.ctx)
    async with visit.ctx.database.transaction(visit.ctx.tenant.id, read_only=True) as db:
        tags = await rows.all_tags(db, visit.ctx.tenant.id)
    return await visit.page(
        "contacts.html", found=found, statuses=STATUSES, tags=tags, first=not visit.query("cursor"),
        here=urlencode({name: value for name, value in chosen.items() if value}), **chosen,
    )  # fmt: skip


async def listed_file(visit: Visit) -> Response:
    """The same people as a file."""
    pieces = exports.contacts(
        visit.ctx, query=visit.query("query") or None, status=visit.query("status") or None,
        tags=[visit.query("tag")] if visit.query("tag") else [], mark_for_excel=True,
    )  # fmt: skip
    return await download(pieces, "contacts.csv")


async def blank(visit: Visit) -> Response:
    return await visit.page("contact_new.html", values={}, problem=None)


async def create(visit: Visit) -> Response:
    """One new contact."""
    values = {name: visit.said(name) for name in (*FIELDS, "tags")}
    given: dict[str, Any] = {name: value for name, value in values.items() if value} | {"tags": tags_of(values["tags"])}
    try:
        saved = await create_contact.call(given, visit.ctx)
    except ToolError as error:
        return await visit.page("contact_new.html", 422, values=values, problem=str(error))
    return visit.to(f"/contacts/{saved.contact.contact_id}", saved.text())


async def show(visit: Visit) -> Response:
    """What is known about one contact, what they got and what they did."""
    return await _show(visit, await _row(visit))


async def change(visit: Visit) -> Response:
    """Store the fields as they stand in the form."""
    row = await _row(visit)
    values = {name: visit.said(name) for name in FIELDS}
    changed: dict[str, Any] = {name: value for name, value in values.items() if value != (getattr(row, name) or "")}
    wanted = tags_of(visit.said("tags"))
    tags = [*(tag for tag in wanted if tag not in row.tags), *(f"-{tag}" for tag in row.tags if tag not in wanted)]
    if tags:
        changed["tags"] = tags
    if not changed:
        return visit.to(f"/contacts/{row.contact_id}", "Nothing was changed.")
    try:
        saved = await update_contact.call({"contact": str(row.contact_id), **changed}, visit.ctx)
    except ToolError as error:
        return await _show(visit, row, 422, values | {"tags": visit.said("tags")}, str(error))
    return visit.to(f"/contacts/{row.contact_id}", saved.text())


async def leave(visit: Visit) -> Response:
    """Take them off all mailings, as they asked."""
    given = {"contact": str(visit.id()), "reason": visit.said("reason")}
    return await _done(visit, leaving.unsubscribe_contact.call(given, visit.ctx))


async def come_back(visit: Visit) -> Response:
    """Let them be mailed again, with how they agreed."""
    return await _done(visit, leaving.resubscribe(str(visit.id()), visit.said("consent"), visit.ctx))


async def erase(visit: Visit) -> Response:
    """Ask to erase them: the card appears on their page."""
    address = f"/contacts/{visit.id()}"
    try:
        asked = await delete_contact.call({"contact": str(visit.id())}, visit.ctx)
    except ToolError as error:
        return visit.to(address, problem=str(error))
    return visit.to(f"{address}#card-{asked.approval_id}", "This waits for a decision: look at the card below.")


async def person_file(visit: Visit) -> Response:
    """Everything that is known about them, as JSON."""
    row = await _row(visit)
    found = await personal_data.everything_about(str(row.contact_id), visit.ctx)
    headers = {"Content-Disposition": f'attachment; filename="{file_name(row.full_name or "person")}.json"'}
    return Response(found.as_json(), media_type="application/json", headers=headers)


def tags_of(text: str) -> list[str]:
    """Tags as they are typed, with commas between."""
    return tidy_tags(text.split(","))


async def _row(visit: Visit) -> ContactRow:
    ctx = visit.ctx
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        row = await rows.find(db, ctx.tenant.id, visit.id())
    if row is None:
        raise NotFound
    return row


async def _show(
    visit: Visit, row: ContactRow, status: int = 200, values: dict[str, str] | None = None, problem: str | None = None
) -> Response:
    ctx = visit.ctx
    about = {"contact_id": row.contact_id, "email": row.email}
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        mails = await export_rows.about_person(db, ctx.tenant.id, "person_mails", **about)  # type: ignore[arg-type]
        did = await export_rows.about_person(db, ctx.tenant.id, "person_events", **about)  # type: ignore[arg-type]
        within = await export_rows.about_person(db, ctx.tenant.id, "person_campaigns", **about)  # type: ignore[arg-type]
        kept_out = await export_rows.about_person(db, ctx.tenant.id, "person_suppression", **about)  # type: ignore[arg-type]
        pending = await approval_rows.pending(db, ctx.tenant.id, ctx.now())
    shown = {name: getattr(row, name) or "" for name in FIELDS} | {"tags": ", ".join(row.tags)}
    return await visit.page(
        "contact.html", status, contact=row, values=shown | (values or {}), problem=problem,
        mails=mails[-MOST_HISTORY:][::-1], did=did[-MOST_HISTORY:][::-1], within=within,
        suppression=kept_out[0] if kept_out else None,
        cards=[card for card in pending if card.contact_id == row.contact_id],
    )  # fmt: skip


async def _done(visit: Visit, work: Any) -> Response:
    address = f"/contacts/{visit.id()}"
    try:
        result = await work
    except ToolError as error:
        return visit.to(address, problem=str(error))
    return visit.to(address, result.text())
