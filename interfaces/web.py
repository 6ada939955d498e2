"""The FastAPI app: what it mounts, and who may ask for what.

Two apps share one process. The public one has the tracking endpoints only. The other, with everything, answers this
machine alone: it listens on loopback and refuses a foreign Host, so neither a page in a browser that points its name
here nor a proxy that passes on strangers' requests gets anything from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from interfaces.tracking import Tracking, Unavailable

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def local_app(tracking: Tracking) -> FastAPI:
    """Everything, for this machine. Its life is the hits': they are written while it runs."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with tracking.running():
            yield

    app = _app(tracking, life)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK), www_redirect=False)
    return app


def public_app(tracking: Tracking) -> FastAPI:
    """The tracking endpoints, for everybody. The hits are written by whoever runs `tracking`."""
    return _app(tracking, None)


def _app(tracking: Tracking, life: Callable[[FastAPI], object] | None) -> FastAPI:
    app = FastAPI(
        title="SmartCampaign", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None,  # type: ignore[arg-type]
        redirect_slashes=False,
    )  # fmt: skip
    app.router.routes.extend(tracking.routes)
    app.add_exception_handler(Unavailable, _away)
    return app


async def _away(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": "30", "Cache-Control": "no-store"}
    return PlainTextResponse("This does not work just now. Please try again in a minute.\n", 503, headers)
