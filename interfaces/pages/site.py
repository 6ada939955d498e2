"""What the pages share: one visit from the request to the answer, with everything that must hold on every page.

A handler gets a `Visit` and returns a response. Before it: the session, the form's token, where a POST comes from, and
who it is. After it: the headers. A refusal of a tool becomes a page that says it.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from jinja2 import Environment, PackageLoader, StrictUndefined
from psycopg_pool import PoolTimeout
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from agent.toolbox import in_prose
from interfaces.pages import assets, prose
from interfaces.pages.sessions import Session, Sessions, is_from_own_page
from tools import approvals
from tools.base import Context
from tools.dates import day_in_words, in_words
from tools.errors import KeyNeeded, KeyOver, ToolError, UnknownKey

if TYPE_CHECKING:
    from interfaces.access import Access
    from interfaces.pages.imports import Jobs
    from interfaces.pages.turns import Turns

log = logging.getLogger(__name__)

# Nothing comes from elsewhere, nothing is inline, no other page may frame these, and forms go nowhere else.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'"
)
# A mail is shown in a frame that can do nothing. Mails bring styles of their own, inline; pictures from elsewhere would
# tell somebody that it was looked at.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

# What a form may hold beside a file: more fields than any of ours has.
MOST_FIELDS = 300
LONGEST_FIELD = 300_000

_STATUS = {"not_found": 404, "not_allowed": 403, "unavailable": 503}

_MOST_NOTES = 1_000

Person = Callable[[Request, Session], Awaitable[Context]]
"""Who asks: raises `KeyNeeded`, `UnknownKey` or `KeyOver`. The one place where signing in is decided."""


class NotFound(ToolError):
    """There is nothing here. It may have been erased, or the address is not quite right."""

    code = "not_found"


class OldForm(ToolError):
    """This form is no longer valid. Load the page again and send it once more; nothing was changed."""

    code = "not_allowed"


class ForeignForm(ToolError):
    """This came from another site, so nothing was done. Use the form on the page itself."""

    code = "not_allowed"


@dataclass
class Site:
    """What the pages need of the program."""

    access: Access
    person: Person
    sessions: Sessions
    turns: Turns
    jobs: Jobs
    _notes: OrderedDict[str, tuple[str, str, bool]] = field(default_factory=OrderedDict)

    def note(self, session: Session, text: str, *, is_problem: bool = False) -> str:
        """Keep a sentence for the next page of this session; returns the name by which that page asks for it."""
        name = secrets.token_urlsafe(6)
        self._notes[name] = (session.id, text, is_problem)
        while len(self._notes) > _MOST_NOTES:
            self._notes.popitem(last=False)
        return name

    def take_note(self, session: Session, name: str) -> tuple[str, bool] | None:
        found = self._notes.get(name)
        if found is None or found[0] != session.id:
            return None
        del self._notes[name]
        return found[1], found[2]


@dataclass
class Visit:
    """One request of a page."""

    site: Site
    request: Request
    session: Session
    ctx: Context
    form: FormData

    def id(self, name: str = "id") -> UUID:
        """An id of the address. Raises `NotFound`."""
        try:
            return UUID(self.request.path_params[name])
        except ValueError:
            raise NotFound from None

    def query(self, name: str) -> str:
        """What the address says, trimmed; empty when it says nothing."""
        return self.request.query_params.get(name, "").strip()

    def said(self, name: str) -> str:
        """A field of the form, trimmed; empty when it is not there."""
        value = self.form.get(name, "")
        return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""

    @property
    def has_script(self) -> bool:
        """Whether our own script asks, which swaps parts of the page."""
        return "sc-part" in self.request.headers

    async def page(self, template: str, status: int = 200, /, **values: object) -> Response:
        """A page from its template."""
        waiting = len(await approvals.waiting(self.ctx))
        note = self.site.take_note(self.session, self.query("note")) if self.query("note") else None
        html = render(template, self.shared() | {"waiting": waiting, "note": note} | values)
        return HTMLResponse(html, status)

    def shared(self) -> dict[str, object]:
        """What every template may use."""
        zone = self.ctx.tenant.zone
        return {
            "csrf": self.site.sessions.token(self.session), "tenant": self.ctx.tenant, "actor": self.ctx.actor,
            "static": assets.address(), "path": self.request.url.path, "signed_in": self.session.key is not None,
            "when": lambda moment: in_words(moment, zone), "short": lambda moment: short(moment, self.ctx),
        }  # fmt: skip

    def to(self, address: str, said: str | None = None, *, problem: str | None = None) -> Response:
        """On to another page, which says this sentence first."""
        text = problem or said
        if text:
            name = self.site.note(self.session, text, is_problem=problem is not None)
            address, _, anchor = address.partition("#")
            address += f"{'&' if '?' in address else '?'}note={name}" + (f"#{anchor}" if anchor else "")
        return RedirectResponse(address, 303)


Handler = Callable[[Visit], Awaitable[Response]]
Guest = Callable[[Request, Session, FormData], Awaitable[Response]]
"""What somebody may ask before it is known who they are."""


def get(site: Site, path: str, handler: Handler) -> Route:
    """A page."""
    return Route(path, _endpoint(site, _known(site, handler)), methods=["GET"])


def post(site: Site, path: str, handler: Handler, *, largest_file: int = 0) -> Route:
    """What a form does. With `largest_file` it may bring a file of so many bytes."""
    return Route(path, _endpoint(site, _known(site, handler), largest_file), methods=["POST"])


def guest(site: Site, path: str, handler: Guest) -> Route:
    """What a form does for somebody who is not known yet."""
    return Route(path, _endpoint(site, handler), methods=["POST"])


def _known(site: Site, handler: Handler) -> Guest:
    async def known(request: Request, session: Session, form: FormData) -> Response:
        return await handler(Visit(site, request, session, await site.person(request, session), form))

    return known


def _endpoint(site: Site, handler: Guest, largest_file: int = 0) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        session = site.sessions.of(request)
        response = await _guarded(site, request, session, handler, largest_file)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        if session.is_new and "set-cookie" not in response.headers:
            site.sessions.put(session, request, response)
        return response

    return endpoint


async def _guarded(
    site: Site, request: Request, session: Session, handler: Guest, largest_file: int
) -> Response:  # fmt: skip
    """The handler's answer, or a page that says why there is none."""
    try:
        form = await _form(site, request, session, largest_file)
        try:
            return await handler(request, session, form)
        finally:
            await form.close()
    except (KeyNeeded, UnknownKey, KeyOver) as error:
        return sign_in_page(site, request, session, error)
    except ToolError as error:
        return _problem_page(str(error), _STATUS.get(error.code, 409))
    except HTTPException as error:
        return _problem_page(str(error.detail), error.status_code)
    except (psycopg.OperationalError, PoolTimeout):
        return _problem_page("The database can't be reached just now. Try again in a moment.", 503)
    except ClientDisconnect:
        raise
    except Exception:
        reference = secrets.token_hex(4)
        log.exception("a page failed (reference %s)", reference)
        return _problem_page(f"This page failed by an error of the program (reference {reference}).", 500)


async def _form(site: Site, request: Request, session: Session, largest_file: int) -> FormData:
    """The form of a POST, known to be of our own page. Raises `ForeignForm`, `OldForm` or `HTTPException`."""
    if request.method != "POST":
        return FormData()
    if not is_from_own_page(request):
        raise ForeignForm
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > LONGEST_FIELD + largest_file:
        raise HTTPException(413, "That is too large to be sent here.")
    form = await request.form(max_files=1 if largest_file else 0, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD)
    token = form.get("csrf", "")
    if not isinstance(token, str) or not site.sessions.is_genuine(session, token):
        await form.close()
        raise OldForm
    return form


def sign_in_page(site: Site, request: Request, session: Session, error: ToolError) -> Response:
    """Where an API key is asked for, with why."""
    cross = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    text = None if isinstance(error, KeyNeeded) else str(error)
    html = render("sign_in.html", {
        "static": assets.address(), "csrf": site.sessions.token(session), "problem": text,
        "path": request.url.path if request.method == "GET" else "/", "from_elsewhere": cross,
    })  # fmt: skip
    return HTMLResponse(html, 401)


def _problem_page(text: str, status: int) -> Response:
    html = render("problem.html", {"static": assets.address(), "text": text, "status": status})
    return HTMLResponse(html, status)


def framed(html: str) -> Response:
    """A mail for a sandboxed frame."""
    return HTMLResponse(html, headers={"Content-Security-Policy": FRAME_POLICY, "X-Frame-Options": "SAMEORIGIN"})


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("interfaces.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "prose": prose.as_html,
        "number": lambda number: f"{number:,}",
        "percent": lambda share: f"{share * 100:.1f} %",
        "people": lambda number: f"{number:,} {'person' if number == 1 else 'people'}",
        "day": day_in_words,
        "words": lambda name: name.replace("_", " "),
    }
    environment.globals["call_line"] = in_prose
    return environment


def render(template: str, values: Mapping[str, Any]) -> str:
    """A template with these values; every one of them is shown as text, unless it is `Markup`."""
    return _environment().get_template(template).render(values)


def short(moment: datetime | date, ctx: Context) -> str:
    """`22 Nov, 14:05`, with the year when it is another one; in the tenant's zone, which the page names."""
    if not isinstance(moment, datetime):
        return f"{moment.day} {moment:%b %Y}"
    local, now = ctx.local(moment), ctx.local(ctx.now())
    if local.year == now.year:
        return f"{local.day} {local:%b, %H:%M}"
    return f"{local.day} {local:%b %Y, %H:%M}"


def in_conversation(ctx: Context, id: UUID) -> Context:
    return replace(ctx, conversation=id)
