"""The REST door as a part of the app: its routes, its problems, and its OpenAPI description."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from interfaces.access import Access
from interfaces.api import approvals, chat, completions, figures, files, lists, tools
from interfaces.api.callers import Callers
from interfaces.api.figures import Figures
from interfaces.api.guard import Guard
from interfaces.api.problems import FieldProblem, Problem, add_handlers
from interfaces.api.turns import Turns
from mail.hits import HitQueue

OPENAPI_URL = "/api/openapi.json"

DESCRIPTION = """\
Every tool of the agent, lists, decisions, and the agent itself over HTTP. Errors are problem+json (RFC 9457); writes \
take an `Idempotency-Key`. Sending and erasing only write a request, which a person decides.
"""


def add_to(app: FastAPI, access: Access, callers: Callers, turns: Turns, hits: HitQueue) -> None:
    """Serve REST, chat, the OpenAI-compatible endpoint, health and figures."""
    counted = Figures(turns, hits)
    app.state.callers = callers
    for router in (
        figures.router(access, callers, counted, hits), tools.router(), lists.router(), approvals.router(access),
        files.router(),
        chat.router(access, turns), completions.router(access, turns),
    ):  # fmt: skip
        # Flat, not `include_router`: a 405 looks through all routes for the methods of its address.
        app.router.routes.extend(router.routes)
    add_handlers(app)
    app.add_middleware(Guard, figures=counted)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        found = get_openapi(
            title="SmartCampaign AI", version=version("smartcampaign"), description=DESCRIPTION, routes=app.routes
        )
        components = found.setdefault("components", {}).setdefault("schemas", {})
        for model in (Problem, FieldProblem, chat.WholeTurn):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            components[model.__name__] = schema
        app.openapi_schema = found
    return app.openapi_schema
