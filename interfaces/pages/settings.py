"""What this installation is set to, each with what to do; and who may use it through the network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from starlette.responses import Response
from starlette.routing import Route

from db import tenants
from db.pool import safe_url
from interfaces.pages.site import Site, Visit, get, post
from tools import keys
from tools.base import ROLES, Role
from tools.errors import InvalidArguments, NotAllowed, ToolError


@dataclass(frozen=True)
class Fact:
    """One setting as it is. `to_do` is Markdown; `is_open` where something is still to be done."""

    name: str
    value: str
    to_do: str
    is_open: bool = False


def routes(site: Site) -> list[Route]:
    return [
        get(site, "/settings", show),
        post(site, "/settings/keys", make_key),
        post(site, "/settings/keys/revoke", revoke_key),
    ]


async def show(visit: Visit) -> Response:
    return await _show(visit)


async def make_key(visit: Visit) -> Response:
    """A new key, shown on this page and never again."""
    role, days = visit.said("role"), visit.said("days")
    try:
        if role not in get_args(Role):
            raise InvalidArguments(problems=f"There is no role {role[:20]!r}; there are: {', '.join(ROLES)}.")
        if visit.session.key is None and role != "owner":
            raise FirstKeyIsAnOwners
        if days and not (days.isdecimal() and 1 <= int(days) <= 3_650):
            raise InvalidArguments(
                problems="A key is good for 1 to 3,650 days, or without a number until it is revoked."
            )
        made = await keys.create(visit.said("name"), role, visit.ctx, days=int(days) if days else None)  # type: ignore[arg-type]
    except ToolError as error:
        return await _show(visit, 422, problem=str(error))
    if visit.session.key is not None:
        return await _show(visit, made=made)
    # From now on nobody comes in without a key: whoever made the first one stays in with it.
    visit.session = replace(visit.session, key=made.text)
    response = await _show(visit, made=made)
    visit.site.sessions.put(visit.session, visit.request, response)
    return response


class FirstKeyIsAnOwners(InvalidArguments):
    """The first key must be an owner's: from then on these pages ask for a key, and somebody must be able to do
    everything."""

    def __init__(self) -> None:
        super().__init__(problems=" ".join((type(self).__doc__ or "").split()))


async def revoke_key(visit: Visit) -> Response:
    """End a key: it opens nothing from now on."""
    try:
        row = await keys.revoke(visit.said("key"), visit.ctx)
    except ToolError as error:
        return visit.to("/settings#keys", problem=str(error))
    return visit.to("/settings#keys", f"{row.name} is revoked and opens nothing any more.")


async def _show(
    visit: Visit, status: int = 200, *, problem: str | None = None, made: keys.NewKey | None = None
) -> Response:
    ctx = visit.ctx
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        tenant = await tenants.find(db, ctx.tenant.id)
    assert tenant is not None, "the session's tenant is there"
    try:
        all_keys = await keys.every(ctx)
    except NotAllowed:
        all_keys = None
    return await visit.page(
        "settings.html", status, facts=[*_of_tenant(tenant), *_of_program(visit)], keys=all_keys, problem=problem,
        made=made, roles=list(ROLES), now=ctx.now(),
    )  # fmt: skip


def _of_tenant(tenant: tenants.TenantRow) -> list[Fact]:
    sender = f"{tenant.sender_name or tenant.name} <{tenant.sender_email}>" if tenant.sender_email else "not set"
    rate = f"{tenant.rate_per_second:g} a second" if tenant.rate_per_second else "as fast as the server takes them"
    halted = "halted" if tenant.halted_at else "on"
    return [
        Fact("Sender", sender, "Whom mails come from: `smartcampaign tenants set --sender-email you@example.com`.",
             tenant.sender_email is None),
        Fact("Time zone", tenant.time_zone, "Times without a zone are read and shown in it."),
        Fact("Country", tenant.country, "National phone numbers are read as numbers of this country."),
        Fact("Limits", f"{tenant.send_cap:,} people in one send, {tenant.daily_cap:,} mails a day, {rate}",
             "A larger send is refused, a larger day takes longer."),
        Fact("Sending", halted, "`smartcampaign halt` stops all at once, `smartcampaign resume-sending` lifts it.",
             tenant.halted_at is not None),
    ]  # fmt: skip


def _of_program(visit: Visit) -> list[Fact]:
    settings = visit.site.access.program.settings
    servers = ", ".join(server.name for server in settings.mail_servers())
    database = (
        safe_url(settings.database_url.get_secret_value()) if settings.database_url else "the one that comes along"
    )
    model = f"{settings.model} at {settings.openai_base_url or 'OpenAI'}" if settings.model else "the built-in planner"
    return [
        Fact("Language model", model, "Set `SMARTCAMPAIGN_MODEL` with `OPENAI_API_KEY` or `OPENAI_BASE_URL`. Without "
             "one, plain requests are understood and drafts have a written form."),
        Fact("Meaning", settings.embedding_model or "the local multilingual model",
             "What finds people by meaning. After a change: `smartcampaign reembed`."),
        Fact("Mail server", servers or "none: mail stays in the outbox",
             "Set `SMTP_URL`, then try it: `smartcampaign smtp test`.", not servers),
        Fact("Public address", settings.public_url or "not set",
             "Where links in mails lead: set `SMARTCAMPAIGN_PUBLIC_URL` to where others reach the tracking endpoints. "
             "Without one no mail leaves, since nobody could unsubscribe.", settings.public_url is None),
        Fact("Returned mails", "a mailbox is read" if settings.bounces else "no mailbox is set",
             "Set `SMARTCAMPAIGN_BOUNCES`, so that what bounces is not mailed again.", settings.bounces is None),
        Fact("Database", database, "Any Postgres from 15 on with pgvector: `DATABASE_URL`."),
        Fact("Data folder", str(settings.home), "Everything that is written on this machine lies in it."),
    ]  # fmt: skip
