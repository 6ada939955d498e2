"""What went wrong, as problem+json (RFC 9457): the same form for a refusal, a bad request, and a route that is not.

A refusal's sentence is the `detail`; its `code` is what a program branches on. Tools know nothing of HTTP: which status
a refusal is stands here.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from db.embeddings import EmbeddingError
from tools.base import WriterUnavailable
from tools.errors import KeyNeeded, ToolError

log = logging.getLogger("smartcampaign.web")

MEDIA_TYPE = "application/problem+json"

# What a refusal's code is in HTTP: 404 for what is not there, 422 for what can't be meant. All others are 409: they do
# not fit how things stand now.
STATUS = {
    "invalid_arguments": 422, "not_allowed": 403, "key_needed": 401, "bad_key": 401, "not_found": 404, "unclear": 422,
    "nothing_to_change": 422, "nobody_matches": 422, "past_time": 422, "future_since": 422, "too_few": 422,
    "too_many": 422, "bad_cursor": 422, "bad_date": 422, "bad_csv": 422, "bad_file": 422, "unavailable": 503,
    "key_reused": 422, "too_fast": 429, "too_large": 413,
}  # fmt: skip

TITLES = {
    400: "This can't be read", 401: "An API key is needed", 403: "Your role does not allow this", 404: "Not found",
    405: "Not this method", 406: "Not in this form", 409: "Not as things stand", 413: "Too large",
    415: "Not this kind of content", 422: "This can't be meant", 429: "Too many requests", 500: "A bug",
    503: "Not just now",
}  # fmt: skip


class FieldProblem(BaseModel):
    """What is wrong with one part of the request."""

    pointer: str = Field(description="Where, like `/body/limit` or `/query/cursor`.")
    detail: str


class Problem(BaseModel):
    """RFC 9457. `detail` is a sentence for people, `code` a word for programs."""

    type: str = Field(examples=["urn:smartcampaign:problem:not_found"])
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None
    error: dict[str, str] | None = Field(None, description="Under /v1 only: the same as OpenAI's clients read it.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses for a route's OpenAPI description, beside those that every route has."""
    return {
        status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
        for status in (400, 401, 403, 413, 422, 429, 503, *statuses)
    }


_REFERENCE = {"$ref": "#/components/schemas/Problem"}


def problem(
    request: Request, status: int, detail: str, code: str, *, errors: list[FieldProblem] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    """The answer for something that went wrong."""
    is_openai = request.url.path.startswith("/v1/")
    body = Problem(
        type=f"urn:smartcampaign:problem:{code}", title=TITLES.get(status, "Not done"), status=status, detail=detail,
        code=code, errors=errors, error={"message": detail, "type": code, "code": code} if is_openai else None,
    )  # fmt: skip
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def of_refusal(request: Request, error: ToolError) -> Response:
    """A refusal of a tool or a door."""
    status = STATUS.get(error.code, 409)
    headers: dict[str, str] = {}
    if status == 401:
        # RFC 6750: no word about an error where no key came.
        headers["WWW-Authenticate"] = "Bearer" if isinstance(error, KeyNeeded) else 'Bearer error="invalid_token"'
    if error.code in ("too_fast", "in_progress", "busy", "unavailable"):
        headers["Retry-After"] = str(error.details.get("seconds", 2))
    return problem(request, status, str(error), error.code, headers=headers)


class TooFast(ToolError):
    """That was more than {limit} requests in {window}. Try again in {seconds} s."""

    code = "too_fast"


class TooLarge(ToolError):
    """The request is longer than {most:,} bytes."""

    code = "too_large"


def add_handlers(app: FastAPI) -> None:
    """Have the app answer everything that goes wrong in this form."""
    app.add_exception_handler(ToolError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for away in (psycopg.OperationalError, PoolTimeout, ConnectionError):
        app.add_exception_handler(away, _away)
    for failed in (EmbeddingError, WriterUnavailable):
        app.add_exception_handler(failed, _unavailable)
    app.add_exception_handler(Exception, _bug)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ToolError)
    return of_refusal(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        FieldProblem(pointer="/" + "/".join(str(part) for part in each["loc"]), detail=f"{each['msg']}.")
        for each in error.errors()[:20]
    ]
    unreadable = any(each["type"] == "json_invalid" for each in error.errors())
    status: Literal[400, 422] = 400 if unreadable else 422
    said = "The body is no JSON." if unreadable else " ".join(f"{each.pointer}: {each.detail}" for each in found[:5])
    return problem(request, status, said, "invalid_request", errors=found)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(
            request, 404, "There is nothing at this address. /api/openapi.json says what there is.", "no_route"
        )
    if error.status_code == 405:
        possible = ", ".join(_methods(request))
        said = f"{request.method} is not possible here; {possible} is."
        return problem(request, 405, said, "wrong_method", headers={"Allow": possible})
    return problem(request, error.status_code, str(error.detail), "refused", headers=dict(error.headers or {}))


def _methods(request: Request) -> list[str]:
    """Every method of this address: Starlette tells those of the first route alone."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


async def _away(request: Request, error: Exception) -> Response:
    log.warning("the database failed in a request: %s", type(error).__name__)
    return problem(
        request,
        503,
        "The database can't be reached just now. Try again in a moment.",
        "away",
        headers={"Retry-After": "5"},
    )


async def _unavailable(request: Request, error: Exception) -> Response:
    return problem(request, 503, str(error), "unavailable", headers={"Retry-After": "5"})


async def _bug(request: Request, error: Exception) -> Response:
    # The server logs the trace; a stranger learns nothing from it.
    return problem(request, 500, "Something went wrong inside. That is a bug; the server's log has the details.", "bug")
