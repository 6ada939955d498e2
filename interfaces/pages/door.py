"""The pages as a door of `smartcampaign serve`, and who comes in by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from interfaces.access import Access
from interfaces.doors import Door
from interfaces.pages import approvals, assets, campaigns, chat, contacts, imports, outbox, settings
from interfaces.pages.approvals import local
from interfaces.pages.sessions import Session, Sessions
from interfaces.pages.site import Guest, Person, Site, Visit, guest, post
from interfaces.pages.turns import Turns
from tools.base import Context

DOOR = "web"


def door(access: Access) -> Door:
    """Every page of this program. While it runs, turns that were begun go on whoever looks."""
    site = Site(access, person(access), Sessions(access.program.settings.home), Turns(), imports.Jobs())

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await site.turns.stop_all()
            site.jobs.close()

    return Door(routes(site), running)


def routes(site: Site) -> list[BaseRoute]:
    """The pages' addresses."""
    return [
        *chat.routes(site),
        *approvals.routes(site),
        *campaigns.routes(site),
        *contacts.routes(site),
        *outbox.routes(site),
        *imports.routes(site),
        *settings.routes(site),
        guest(site, "/sign-in", _sign_in(site)),
        post(site, "/sign-out", _sign_out),
        Route("/static/{version}/{name}", assets.serve),
    ]


def person(access: Access) -> Person:
    """Who asks: the key of who signed in, or this machine's owner until there are keys.

    Passwords, invitations and OpenID Connect will join here: every page takes what this returns.
    """

    async def found(request: Request, session: Session) -> Context:
        if session.key is not None:
            return await access.by_key(session.key, DOOR)
        return await access.by_request(request, DOOR)

    return found


def _sign_in(site: Site) -> Guest:
    async def sign_in(request: Request, session: Session, form: FormData) -> Response:
        """Take an API key into the session, if it opens anything. Raises `UnknownKey` or `KeyOver`."""
        key = str(form.get("key", "")).strip()
        await site.access.by_key(key, DOOR)
        response = RedirectResponse(local(str(form.get("back", ""))) or "/", 303)
        # Another id: who knew the one before signing in knows nothing of the session.
        site.sessions.put(replace(session, id=Sessions.new_id(), key=key), request, response)
        return response

    return sign_in


async def _sign_out(visit: Visit) -> Response:
    """End the session here."""
    response = RedirectResponse("/", 303)
    visit.site.sessions.end(response)
    return response
