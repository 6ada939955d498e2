"""What waits for a person, and their decision. The caller's key says who decides; no tool does."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import JSONResponse, Response

from agent import threads
from interfaces.access import Access
from interfaces.api.callers import Caller, Described
from interfaces.api.lists import Cursor, Limit
from interfaces.api.once import HEADER, once
from interfaces.api.problems import documented
from tools import approvals
from tools.approvals import Decided, RequestList
from tools.approvals import Request as ApprovalRequest
from tools.base import Context

State = Literal["pending", "used", "rejected", "withdrawn", "expired"]


class Decision(BaseModel):
    """What a person says to a request, after they have seen its card."""

    model_config = ConfigDict(extra="forbid")

    approve: StrictBool
    thread: UUID | None = Field(None, description="The conversation that shall know of it.")


def router(access: Access) -> APIRouter:
    """The requests, and the decision on one."""
    made = APIRouter(prefix="/api/approvals", tags=["approvals"], dependencies=[Described])

    @made.get("", summary="List approval requests", responses=documented())
    async def requests(
        ctx: Caller, state: Annotated[State | None, Query()] = None, limit: Limit = 20, cursor: Cursor = None
    ) -> RequestList:
        return await approvals.listed(ctx, state=state, limit=limit, cursor=cursor)

    @made.get("/{id}", summary="Show an approval request", responses=documented(404))
    async def request_(ctx: Caller, id: UUID) -> ApprovalRequest:
        return await approvals.one(ctx, id)

    @made.post(
        "/{id}/decision", summary="Approve or reject a request", response_model=Decided,
        responses=documented(404, 409), openapi_extra={"parameters": [HEADER]},
    )  # fmt: skip
    async def decide(request: Request, ctx: Caller, id: UUID, said: Decision) -> Response:
        async def act(ctx: Context) -> Response:
            if said.thread is not None:
                await threads.find(ctx, said.thread)
            decided = await approvals.decide(str(id), approve=said.approve, ctx=ctx)
            if said.thread is not None:
                told = replace(ctx, conversation=said.thread)
                await (await access.agent()).note(f"A person {decided.decision} it: {decided.outcome}", told)
            return JSONResponse(decided.model_dump(mode="json"))

        return await once(request, ctx, act)

    return made
