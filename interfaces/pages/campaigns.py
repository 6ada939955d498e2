"""Campaigns: the list with its figures, and one campaign with everything that can be done to it."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from db import analytics, events, recipients
from db import approvals as approval_rows
from db.campaigns import TRANSITIONS
from interfaces.pages import charts
from interfaces.pages.downloads import download
from interfaces.pages.site import Site, Visit, framed, get, post
from tools import deliveries, exports
from tools.analytics import Figures
from tools.campaigns import (
    OPEN,
    add_contacts_to_campaign,
    create_campaign,
    get_campaign,
    list_campaigns,
    remove_contacts_from_campaign,
    update_campaign,
)
from tools.emails import Preview, PreviewEmail, draft_email, preview_with_page
from tools.errors import BadCursor, NoEmail, ToolError
from tools.lists import page_of
from tools.sending import SENDABLE, cancel_campaign, send_campaign, send_test_email

A_PAGE = 20
PEOPLE_A_PAGE = 20

# What recipients can be picked by: (kind of event, state of the ledger).
PICKS: dict[str, tuple[str | None, str | None]] = {
    "opened": ("open", None), "clicked": ("click", None), "converted": ("conversion", None),
    "bounced": ("bounce", None), "unsubscribed": ("unsubscribe", None), "waiting": (None, "ready"),
    "failed": (None, "failed"), "skipped": (None, "skipped"),
}  # fmt: skip


def routes(site: Site) -> list[Route]:
    return [
        get(site, "/campaigns", listed),
        get(site, "/campaigns/new", blank),
        post(site, "/campaigns/new", create),
        get(site, "/campaigns/figures", figures_file),
        get(site, "/campaigns/{id}", show),
        post(site, "/campaigns/{id}", change),
        get(site, "/campaigns/{id}/mail", mail),
        get(site, "/campaigns/{id}/results", results_file),
        post(site, "/campaigns/{id}/people", people),
        post(site, "/campaigns/{id}/draft", draft),
        post(site, "/campaigns/{id}/test", test),
        post(site, "/campaigns/{id}/send", send),
        post(site, "/campaigns/{id}/{step:str}", step),
    ]


async def listed(visit: Visit) -> Response:
    """Newest first, or those nearest to some words, each with what people did."""
    query, status = visit.query("query"), visit.query("status")
    given = {"query": query or None, "status": status or None, "limit": A_PAGE, "cursor": visit.query("cursor") or None}
    found = await list_campaigns.call(given, visit.ctx)
    ids = [campaign.campaign_id for campaign in found.campaigns]
    async with visit.ctx.database.transaction(visit.ctx.tenant.id, read_only=True) as db:
        totals = await analytics.totals(db, visit.ctx.tenant.id, ids) if ids else []
    figures = {row.campaign_id: Figures.of([row]) for row in totals}
    return await visit.page(
        "campaigns.html", campaigns=found.campaigns, figures=figures, query=query, status=status,
        statuses=list(TRANSITIONS), next_cursor=found.next_cursor, first=not visit.query("cursor"),
    )  # fmt: skip


async def blank(visit: Visit) -> Response:
    return await visit.page("campaign_new.html", values={}, problem=None)


async def create(visit: Visit) -> Response:
    """A new draft, with its people where they were described."""
    values = {name: visit.said(name) for name in ("name", "description", "start_date", "audience")}
    try:
        saved = await create_campaign.call(_given(values), visit.ctx)
    except ToolError as error:
        return await visit.page("campaign_new.html", 422, values=values, problem=str(error))
    return visit.to(f"/campaigns/{saved.campaign.campaign_id}", saved.text())


async def show(visit: Visit) -> Response:
    """One campaign: facts, figures, mail, people, and what can be done now."""
    ctx, id = visit.ctx, visit.id()
    detail = await get_campaign.call({"campaign": str(id)}, ctx)
    did, state = PICKS.get(visit.query("did"), (None, None))
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        totals = await analytics.totals(db, ctx.tenant.id, [id])
        hours = await analytics.hours(db, ctx.tenant.id, id)
        links = await analytics.links(db, ctx.tenant.id, [id])
        variants = await events.of_variants(db, ctx.tenant.id, id)
        rows = await recipients.page(
            db, ctx.tenant.id, id, did=did, state=state, after=_after(visit.query("after")), limit=PEOPLE_A_PAGE + 1
        )  # fmt: skip
        pending = await approval_rows.pending(db, ctx.tenant.id, ctx.now())
    shown, more = page_of(rows, PEOPLE_A_PAGE)
    figures = Figures.of(totals)
    status = detail.campaign.status
    return await visit.page(
        "campaign.html", detail=detail, campaign=detail.campaign, figures=figures, stages=charts.funnel(figures),
        timeline=charts.timeline(hours, ctx), links=links, variants=variants if len(variants) > 1 else [],
        people=shown, next_after=shown[-1].contact_id if more else None, did=visit.query("did"), picks=list(PICKS),
        is_first=not visit.query("after"),
        cards=[row for row in pending if row.campaign_id == id], preview=await _preview(visit, id),
        seen_as=visit.query("as"), is_open=status in OPEN, is_sendable=status in SENDABLE,
        can_pause=status in ("scheduled", "sending"), can_cancel="cancelled" in TRANSITIONS.get(status, ()),
        was_sent=bool(figures.sent or figures.waiting or figures.failed),
    )  # fmt: skip


async def change(visit: Visit) -> Response:
    """Name, description, start date."""
    fields = {name: visit.said(name) for name in ("description", "start_date")}
    given = {"campaign": str(visit.id()), "name": visit.said("name") or None, **fields}
    return await _done(visit, update_campaign.call(given, visit.ctx), "#about")


async def people(visit: Visit) -> Response:
    """Add people by words, or take one or many out."""
    given = {"campaign": str(visit.id()), "query": visit.said("query") or None}
    if visit.said("email"):
        given |= {"query": None, "emails": [visit.said("email")]}  # type: ignore[dict-item]
    tool = remove_contacts_from_campaign if visit.said("do") == "remove" else add_contacts_to_campaign
    return await _done(visit, tool.call(given, visit.ctx), "#people")


async def draft(visit: Visit) -> Response:
    """Write the mail, or write it anew."""
    given = {"campaign": str(visit.id()), "instructions": visit.said("instructions"), "tone": visit.said("tone")}
    try:
        saved = await draft_email.call(_given(given), visit.ctx)
    except ToolError as error:
        return visit.to(f"/campaigns/{visit.id()}#mail", problem=str(error))
    notes = " ".join(saved.notes)
    return visit.to(f"/campaigns/{visit.id()}#mail", f"Drafted: “{saved.drafts[0].subject}”. {notes}".strip())


async def test(visit: Visit) -> Response:
    """A test mail to one address."""
    given = {"campaign": str(visit.id()), "to": visit.said("to")}
    return await _asked(visit, send_test_email.call(given, visit.ctx))


async def send(visit: Visit) -> Response:
    """Ask to send it: the card appears on the campaign's page."""
    when = visit.said("send_at")
    if when and visit.said("local"):
        when += " local"
    return await _asked(visit, send_campaign.call({"campaign": str(visit.id()), "send_at": when or None}, visit.ctx))


async def step(visit: Visit) -> Response:
    """Pause, resume or cancel."""
    id = str(visit.id())
    match visit.request.path_params["step"]:
        case "pause":
            return await _done(visit, deliveries.pause(id, visit.ctx))
        case "resume":
            return await _done(visit, deliveries.resume(id, visit.ctx))
        case "cancel":
            return await _done(visit, cancel_campaign.call({"campaign": id}, visit.ctx))
    return visit.to(f"/campaigns/{id}")


async def mail(visit: Visit) -> Response:
    """The mail as one recipient would see it, for a frame."""
    _, html = await preview_with_page(PreviewEmail(campaign=str(visit.id()), contact=visit.query("as") or None),
                                      visit.ctx)  # fmt: skip
    return framed(html)


async def results_file(visit: Visit) -> Response:
    """One row a recipient with what they did."""
    detail = await get_campaign.call({"campaign": str(visit.id())}, visit.ctx)
    rows = exports.recipients(visit.ctx, str(visit.id()), mark_for_excel=True)
    return await download(rows, f"{file_name(detail.campaign.name)}-results.csv")


async def figures_file(visit: Visit) -> StreamingResponse:
    """One row a campaign."""
    return await download(exports.results(visit.ctx, mark_for_excel=True), "campaigns.csv")


def file_name(name: str) -> str:
    """A campaign's name as part of a file's: letters, digits and dashes of ASCII."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:60] or "campaign"


async def _preview(visit: Visit, id: UUID) -> Preview | str | None:
    """The mail's head and warnings; a sentence when it can't be shown so, None when there is none."""
    try:
        preview, _ = await preview_with_page(
            PreviewEmail(campaign=str(id), contact=visit.query("as") or None), visit.ctx
        )  # fmt: skip
    except NoEmail:
        return None
    except ToolError as error:
        return str(error)
    return preview


async def _done(visit: Visit, work: Any, anchor: str = "") -> Response:
    """Do it, and say on the campaign's page what it came to."""
    address = f"/campaigns/{visit.id()}{anchor}"
    try:
        result = await work
    except ToolError as error:
        return visit.to(address, problem=str(error))
    return visit.to(address, result.text())


async def _asked(visit: Visit, work: Any) -> Response:
    """Ask for an approval; its card is on the campaign's page."""
    address = f"/campaigns/{visit.id()}"
    try:
        asked = await work
    except ToolError as error:
        return visit.to(f"{address}#send", problem=str(error))
    if asked.status == "done":
        return visit.to(f"{address}#send", asked.text())
    return visit.to(f"{address}#card-{asked.approval_id}", "This waits for a decision: look at the card below.")


def _given(values: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _after(text: str) -> UUID:
    try:
        return UUID(text) if text else recipients.FIRST
    except ValueError:
        raise BadCursor(cursor=text[:60]) from None
