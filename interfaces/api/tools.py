"""Every tool as `POST /api/tools/{name}`: its arguments as the body, its result as data and in words."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, create_model
from starlette.responses import JSONResponse, Response

from interfaces.api.callers import Caller, Described
from interfaces.api.once import HEADER, once
from interfaces.api.problems import documented
from tools import ALL_TOOLS
from tools.approvals import Answered, ApprovalAsked, Decided
from tools.base import Context, Result, Tool
from tools.errors import InvalidArguments


class ToolDescription(BaseModel):
    """A tool as the list shows it."""

    name: str
    description: str
    effect: str
    input: dict[str, Any] = Field(description="JSON schema of the body.")


class ToolList(BaseModel):
    tools: list[ToolDescription]


def router() -> APIRouter:
    """The list of tools, and one route a tool."""
    made = APIRouter(prefix="/api/tools", tags=["tools"], dependencies=[Described])

    @made.get("", responses=documented(), summary="List the tools")
    async def list_tools(ctx: Caller) -> ToolList:
        return ToolList(
            tools=[
                ToolDescription(name=tool.name, description=tool.description, effect=tool.effect, input=schema(tool))
                for tool in ALL_TOOLS
            ]
        )

    for tool in ALL_TOOLS:
        made.add_api_route(
            f"/{tool.name}", _route(tool), methods=["POST"], name=tool.name, operation_id=tool.name,
            summary=tool.name.replace("_", " ").capitalize(), description=tool.description,
            response_model=None, responses=_answers(tool), openapi_extra=_body(tool),
        )  # fmt: skip
    return made


def _route(tool: Tool[Any, Any]) -> Callable[..., Awaitable[Response]]:
    async def call(request: Request, ctx: Caller) -> Response:
        arguments = await given(request)
        tool.exactly(arguments)
        if tool.effect == "read":
            return await _called(tool, arguments, ctx)
        return await once(request, ctx, partial(_called, tool, arguments))

    return call


async def _called(tool: Tool[Any, Any], arguments: dict[str, Any], ctx: Context) -> Response:
    return answer(await tool.call(arguments, ctx))


def answer(result: Result) -> Response:
    """A result as data and in words; 202 for a request that waits for a person, since nothing has happened yet."""
    body = {"result": result.model_dump(mode="json"), "text": result.text()}
    return JSONResponse(body, 202 if isinstance(result, ApprovalAsked) else 200)


async def given(request: Request) -> dict[str, Any]:
    """The body's JSON object; nothing at all is an empty one. Raises `InvalidArguments`."""
    body = await request.body()
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise InvalidArguments(problems="Send the arguments as JSON, with Content-Type: application/json.")
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidArguments(problems="The body is no JSON.") from None
    if not isinstance(found, dict):
        raise InvalidArguments(problems="The body is a JSON object with the tool's arguments.")
    return found


def _no_number(text: str) -> None:
    raise ValueError(text)


def schema(tool: Tool[Any, Any]) -> dict[str, Any]:
    """The arguments' JSON schema, flat: no tool's arguments refer to another model."""
    found: dict[str, Any] = copy.deepcopy(tool.input.model_json_schema())
    assert "$defs" not in found, "a nested argument needs a component of its own"
    return found


def _body(tool: Tool[Any, Any]) -> dict[str, Any]:
    described = schema(tool)
    body = {"required": bool(described.get("required")), "content": {"application/json": {"schema": described}}}
    parameters = {} if tool.effect == "read" else {"parameters": [HEADER]}
    return {"requestBody": body, "x-effect": tool.effect, **parameters}


def _answers(tool: Tool[Any, Any]) -> dict[int | str, dict[str, Any]]:
    found = documented(404, 409)
    if issubclass(tool.output, Answered):
        found[202] = {"model": _answered(tool, ApprovalAsked), "description": "A person must approve it first."}
        found[200] = {"model": _answered(tool, Decided), "description": "Done: no person is needed for this."}
    else:
        found[200] = {"model": _answered(tool, tool.output)}
    return found


def _answered(tool: Tool[Any, Any], result: type[Result]) -> type[BaseModel]:
    name = "".join(word.capitalize() for word in tool.name.split("_")) + result.__name__ + "Answer"
    words = Field(description="The result in words (Markdown).")
    return create_model(name, result=(result, ...), text=(str, words))
