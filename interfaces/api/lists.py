"""Lists with cursors: contacts, campaigns, deliveries, the outbox. A page ends with the cursor of the next one.

Lists in an order of their own go on after the row that the page before ended with, so rows that are added meanwhile
shift nothing. What is ranked by nearness (`query`) has no such order: there a cursor counts rows.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from db.deliveries import State
from interfaces.api.callers import Caller, Described
from interfaces.api.problems import documented
from tools import deliveries, outbox
from tools.base import Text
from tools.campaigns import CampaignDetail, CampaignList, get_campaign, list_campaigns
from tools.contacts import Contact, ContactList, get_contact, search_contacts
from tools.deliveries import DeliveryList
from tools.outbox import Outbox

Limit = Annotated[int, Query(ge=1, le=100, description="Rows of a page.")]
Cursor = Annotated[Text | None, Query(max_length=500, description="next_cursor of the page before.")]
Words = Annotated[Text | None, Query(max_length=500, description="What or whom, in plain words.")]
Status = Annotated[Text | None, Query(max_length=20)]
Name = Annotated[Text | None, Query(min_length=1, max_length=255, description="Name or id of a campaign.")]


def router() -> APIRouter:
    """GET for each list, and for one row of it."""
    made = APIRouter(prefix="/api", tags=["lists"], dependencies=[Described], responses=documented(404))

    @made.get("/contacts", summary="List or search contacts")
    async def contacts(
        ctx: Caller, query: Words = None, status: Status = None, tag: Annotated[list[Text] | None, Query()] = None,
        campaign: Name = None, limit: Limit = 20, cursor: Cursor = None,
    ) -> ContactList:  # fmt: skip
        given = {"query": query, "status": status, "tags": tag, "campaign": campaign, "limit": limit, "cursor": cursor}
        return await search_contacts.call(_said(given), ctx)

    @made.get("/contacts/{id}", summary="Show a contact")
    async def contact(ctx: Caller, id: UUID) -> Contact:
        return await get_contact.call({"contact": str(id)}, ctx)

    @made.get("/campaigns", summary="List or search campaigns")
    async def campaigns(
        ctx: Caller, query: Words = None, status: Status = None, limit: Limit = 20, cursor: Cursor = None
    ) -> CampaignList:
        return await list_campaigns.call(
            _said({"query": query, "status": status, "limit": limit, "cursor": cursor}), ctx
        )

    @made.get("/campaigns/{id}", summary="Show a campaign")
    async def campaign(ctx: Caller, id: UUID) -> CampaignDetail:
        return await get_campaign.call({"campaign": str(id)}, ctx)

    @made.get("/deliveries", summary="List mails and what became of them")
    async def ledger(
        ctx: Caller, campaign: Name = None, state: State | None = None, limit: Limit = 20, cursor: Cursor = None
    ) -> DeliveryList:
        return await deliveries.listed(ctx, campaign=campaign, state=state, limit=limit, cursor=cursor)

    @made.get("/outbox", summary="List mails that were kept because no mail server is set")
    async def captured(ctx: Caller, limit: Limit = 20, cursor: Cursor = None) -> Outbox:
        return await outbox.listed(ctx, limit=limit, cursor=cursor)

    @made.get(
        "/outbox/{id}", summary="A kept mail as it would have left", response_class=Response,
        responses={200: {"content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}}},
    )  # fmt: skip
    async def mail(ctx: Caller, id: UUID) -> Response:
        # To be saved, never shown: a mail's HTML must not run under this address.
        kept = {"Content-Disposition": f'attachment; filename="{id}.eml"'}
        return Response(await outbox.message(ctx, id), 200, kept, "message/rfc822")

    return made


def _said(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
