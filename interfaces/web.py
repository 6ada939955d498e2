"""The FastAPI app: what it mounts, and who may ask for what.

Two apps share one process. The public one has the tracking endpoints only. The other, with everything, answers this
machine, and others when it has keys to know them by. On loopback it refuses a foreign Host, so neither a page in a
browser that points its name here nor a proxy that passes on strangers' requests gets anything from it; the name under
which a proxy may pass requests on is said with `serve --url`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from interfaces import hooks, mcp_http
from interfaces.access import Access
from interfaces.api import app as api
from interfaces.api.callers import Callers
from interfaces.api.turns import Turns
from interfaces.doors import Door
from interfaces.pages import door as pages
from interfaces.slack import door as slack
from interfaces.tracking import Tracking, Unavailable

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")

# The other doors of `smartcampaign serve`: each makes its routes from who may come in.
DOORS: Sequence[Callable[[Access], Door]] = (mcp_http.door, slack.door, hooks.door, pages.door)


def full_app(
    access: Access, tracking: Tracking, *, hosts: Sequence[str] | None = LOOPBACK, callers: Callers | None = None
) -> FastAPI:
    """Everything. `hosts` are the names it answers to; None: any, for an app that others reach, with keys."""
    turns = Turns()
    doors = [door(access) for door in DOORS]

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(tracking.running())
            await stack.enter_async_context(turns.running_to_their_end())
            for door in doors:
                if door.running is not None:
                    await stack.enter_async_context(door.running())
            # The first message must not wait for the agent to be imported.
            warming = asyncio.create_task(access.agent())
            yield
            warming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await warming

    app = _app(tracking, life, openapi_url=api.OPENAPI_URL)
    for door in doors:
        app.router.routes.extend(door.routes)
    api.add_to(app, access, callers or Callers(access, access.program.settings.rate_limit), turns, tracking.hits)
    _answer_to(app, hosts)
    return app


def public_app(tracking: Tracking) -> FastAPI:
    """The tracking endpoints, for everybody. The hits are written by whoever runs `tracking`."""
    return _app(tracking, None)


def _app(tracking: Tracking, life: Callable[[FastAPI], object] | None, openapi_url: str | None = None) -> FastAPI:
    app = FastAPI(
        title="SmartCampaign", lifespan=life, docs_url=None, redoc_url=None, openapi_url=openapi_url,  # type: ignore[arg-type]
        redirect_slashes=False,
    )  # fmt: skip
    app.router.routes.extend(tracking.routes)
    app.add_exception_handler(Unavailable, _away)
    return app


def _answer_to(app: FastAPI, hosts: Sequence[str] | None) -> None:
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)


async def _away(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": "30", "Cache-Control": "no-store"}
    return PlainTextResponse("This does not work just now. Please try again in a minute.\n", 503, headers)
