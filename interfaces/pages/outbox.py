"""Mails that were kept because no mail server is set."""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from html import escape

from starlette.responses import Response
from starlette.routing import Route

from interfaces.pages.site import Site, Visit, framed, get
from tools import outbox

A_PAGE = 25

# Of a mail's head: what a person looks at.
SHOWN = ("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe")


def routes(site: Site) -> list[Route]:
    return [
        get(site, "/outbox", listed),
        get(site, "/outbox/{id}", show),
        get(site, "/outbox/{id}/mail", mail),
        get(site, "/outbox/{id}/file", file),
    ]


async def listed(visit: Visit) -> Response:
    """Newest first."""
    found = await outbox.listed(visit.ctx, cursor=visit.query("cursor") or None, limit=A_PAGE)
    servers = [server.name for server in visit.site.access.program.settings.mail_servers()]
    return await visit.page("outbox.html", found=found, servers=servers, first=not visit.query("cursor"))


async def show(visit: Visit) -> Response:
    """One mail: its head, its text, and a frame with its page."""
    message = await _message(visit)
    head = [(name, str(message[name])) for name in SHOWN if message[name]]
    return await visit.page("outbox_mail.html", id=visit.id(), head=head, text=_part(message, "plain"))


async def mail(visit: Visit) -> Response:
    """Its page, for a frame that can do nothing."""
    message = await _message(visit)
    return framed(_part(message, "html") or f"<pre>{escape(_part(message, 'plain'))}</pre>")


async def file(visit: Visit) -> Response:
    """All of it, as it would have left."""
    kept = {"Content-Disposition": f'attachment; filename="{visit.id()}.eml"'}
    return Response(await outbox.message(visit.ctx, visit.id()), media_type="message/rfc822", headers=kept)


async def _message(visit: Visit) -> EmailMessage:
    parsed = BytesParser(policy=policy.default).parsebytes(await outbox.message(visit.ctx, visit.id()))
    assert isinstance(parsed, EmailMessage)
    return parsed


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return re.sub(r"\r\n?", "\n", str(part.get_content())) if part is not None else ""
