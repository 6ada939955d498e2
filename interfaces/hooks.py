"""POST /hooks/chat: Mattermost, Rocket.Chat and plain JSON talk to the agent, and get their answer in their shape.

A hook's address names its tenant and itself; what opens it is a token, or a signature with a time. Without a hook an
API key opens it, for one's own programs. Who speaks is looked up by the chat's id of them, and "approve ID", "yes" and
"no" are read here, never by a model. docs/hooks.md, docs/decisions/0031-hooks.md
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.events import ApprovalAsked, ConfirmationAsked, Event, Failed, Notice, Text
from db import heard, tenants, workspaces
from db.heard import Heard
from db.workspaces import WorkspaceRow
from interfaces.access import Access
from interfaces.api.callers import WRONG_PER_MINUTE, Limiter
from interfaces.api.problems import TooFast
from interfaces.cli.talk import NO, YES
from interfaces.doors import Door
from interfaces.settings import Settings
from tools import approvals
from tools.approvals import Card
from tools.base import Context
from tools.errors import KeyNeeded, KeyOver, ToolError, UnknownKey
from tools.workspaces import opens, speaker

log = logging.getLogger("smartcampaign.hooks")

PATH = "/hooks/chat"

# A chat waits for so many seconds at most; with an address for late answers it is told at once that one will come.
SOON, PATIENCE = 2.5, 20.0

# A signature is good for so many seconds, before and after.
TOLERANCE = 300

# So long a message can't be said twice.
REPEATED = timedelta(days=2)

# Mattermost and Rocket.Chat cut or refuse longer messages; what follows goes into attachments.
LONGEST = 4_000
MOST_ATTACHMENTS = 20

_DECISION = re.compile(r"(approve|reject)\s+([0-9a-f-]{8,36})", re.IGNORECASE)

# A name with @ calls somebody; an e-mail address does not.
_CALLS = re.compile(r"(?<![\w.+-])@(?=\w)")


class Refused(Exception):
    """This call is not let in; the text says why to whoever set it up."""


@dataclass(frozen=True)
class Said:
    """What somebody said, whatever chat it came from."""

    text: str
    person: str
    channel: str = ""
    id: str = ""
    """The chat's own name of the message: the same when it is repeated."""
    token: str = ""
    response_url: str = ""
    alone: bool = False
    """A command, whose answer its caller alone sees."""
    by_bot: bool = False
    thread: str = ""


@dataclass
class Answer:
    """What is said back."""

    text: str
    alone: bool
    cards: list[Card] = field(default_factory=list)

    def shape(self) -> dict[str, Any]:
        """{text, response_type, attachments}, as Mattermost and Rocket.Chat read it. Nothing in it calls anybody."""
        first, *more = _pieces(calls_nobody(self.text))
        attachments: list[dict[str, Any]] = [{"text": piece} for piece in more[:MOST_ATTACHMENTS]]
        for card in self.cards:
            shown = calls_nobody(card.text())
            attachments.append(
                {"title": calls_nobody(card.title), "text": shown, "fallback": shown, "color": "#d55e00"}
            )
        shape: dict[str, Any] = {"text": first, "response_type": "ephemeral" if self.alone else "in_channel"}
        return shape | ({"attachments": attachments} if attachments else {})


def door(access: Access) -> Door:
    """The hooks of every tenant."""
    hooks = Hooks(access)
    routes = [
        Route(PATH, hooks.by_key, methods=["POST"]),
        Route(f"{PATH}/{{hook}}", hooks.by_hook, methods=["POST"]),
    ]
    return Door(routes=routes, running=hooks.running)


class Hooks:
    """The hooks of one program."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._wrong = Limiter(WRONG_PER_MINUTE)
        self._tasks: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On leaving, answers under way get some seconds."""
        try:
            yield
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=8)
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def by_key(self, request: Request) -> Response:
        """A program with an API key: plain JSON, and the key's role."""
        address = request.client.host if request.client else ""
        try:
            ctx = await self._access.by_request(request, "hook")
        except (KeyNeeded, UnknownKey, KeyOver) as error:
            return self._slowed(address, JSONResponse({"text": str(error)}, 401, {"WWW-Authenticate": "Bearer"}))
        try:
            said = _plain_json(_fields(await request.body(), request.headers.get("content-type", "")))
        except Refused as error:
            return _problem(400, str(error))
        return await self._answered(said, ctx, "key", None)

    async def by_hook(self, request: Request) -> Response:
        """A chat, by the address of its hook."""
        address = request.client.host if request.client else ""
        body = await request.body()
        try:
            ids = _ids(request.path_params["hook"])
            fields = _fields(body, request.headers.get("content-type", ""))
            tenant, row = await self._find(ids)
            said = _read(row.kind, fields)
            key = self._check(row, tenant, body, request, said)
        except Refused as error:
            return self._slowed(address, _problem(401, str(error)))
        if said.by_bot or not said.person:
            return JSONResponse({})
        found = await speaker(self._access.database, tenant, row.workspace_id, said.person)
        if found is None or not await self._claim(Heard(tenant, row.workspace_id, key)):
            return JSONResponse({})  # heard before, and answered then
        try:
            ctx = self._access.program.context(actor=found.actor("hook"), tenant=found.tenant)
        except ToolError as error:
            return JSONResponse(Answer(str(error), True).shape())
        return await self._answered(said, replace(ctx, now=self._access.now), row.workspace_id, row.answers_to)

    def _slowed(self, address: str, refusal: Response) -> Response:
        """The refusal; after many from one address a refusal to look. Who has the right key is never held up."""
        try:
            self._wrong.take(address)
        except TooFast as error:
            return _problem(429, str(error))
        return refusal

    async def _find(self, ids: tuple[UUID, UUID] | None) -> tuple[UUID, WorkspaceRow]:
        if ids is not None:
            tenant, id = ids
            async with self._access.database.transaction(tenant, read_only=True) as db:
                row = await workspaces.find(db, tenant, str(id))
                if row is not None and row.kind != "slack" and await tenants.find(db, tenant) is not None:
                    return tenant, row
        raise Refused("There is no such hook, or its token is wrong.")

    def _check(self, row: WorkspaceRow, tenant: UUID, body: bytes, request: Request, said: Said) -> bytes:
        """What this call is known by, when it is repeated. Raises `Refused`."""
        if row.is_signed:
            at, signature = request.headers.get("x-timestamp", ""), request.headers.get("x-signature", "")
            if not self._is_signed(row, tenant, body, at, signature):
                raise Refused("There is no such hook, or its signature is wrong or too old.")
            return hashlib.sha256(b"signed " + signature.encode()).digest()
        given = said.token or _token_of(request)
        if not given or not opens(row, given):
            raise Refused("There is no such hook, or its token is wrong.")
        known = f"message {said.id}".encode() if said.id else b"at " + str(time.time_ns()).encode() + body
        return hashlib.sha256(known).digest()

    def _is_signed(self, row: WorkspaceRow, tenant: UUID, body: bytes, at: str, signature: str) -> bool:
        if not re.fullmatch(r"[0-9]{1,12}", at) or not re.fullmatch(r"v1=[0-9a-f]{64}", signature):
            return False
        if abs(time.time() - int(at)) > TOLERANCE:
            return False
        keys = signing_keys(self._access.program.settings, tenant, row.workspace_id)
        made = [hmac.new(key.encode(), f"v1:{at}:".encode() + body, hashlib.sha256).hexdigest() for key in keys]
        return sum(hmac.compare_digest(f"v1={each}", signature) for each in made) > 0

    async def _claim(self, message: Heard) -> bool:
        at = self._access.now()
        async with self._access.database.transaction(message.tenant) as db:
            taken = await heard.claim(db, message, at=at, expires_at=at + REPEATED, seconds=0)
            await heard.finish(db, message)
            await heard.expire(db, message.tenant, at)
        return taken

    async def _answered(self, said: Said, ctx: Context, hook: str, answers_to: str | None) -> Response:
        """The answer, if it is there soon; else that it follows, or what else to do."""
        task = asyncio.create_task(self._say(said, ctx, hook))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        late = _may_answer(said.response_url, answers_to)
        await asyncio.wait({task}, timeout=SOON if late else PATIENCE)
        if task.done():
            return JSONResponse(task.result().shape())
        if late:
            self._later(task, said.response_url)
            return JSONResponse(Answer("I am at it; the answer follows.", said.alone).shape())
        return JSONResponse(Answer("This takes longer. Say “answer” in a moment to read it.", said.alone).shape())

    def _later(self, task: asyncio.Task[Answer], url: str) -> None:
        async def post() -> None:
            shape = (await task).shape()
            try:
                # No redirects: only the address that an owner named is called.
                async with httpx.AsyncClient(follow_redirects=False, timeout=10, trust_env=False) as client:
                    await client.post(url, json=shape)
            except httpx.HTTPError as error:
                log.warning("a late answer could not be posted: %s", type(error).__name__)

        posting = asyncio.create_task(post())
        self._tasks.add(posting)
        posting.add_done_callback(self._tasks.discard)

    async def _say(self, said: Said, ctx: Context, hook: str) -> Answer:
        try:
            return await self._turn(said, ctx, hook)
        except ToolError as error:
            return Answer(str(error), said.alone)
        except Exception:
            log.exception("a message was not answered")
            return Answer("Something went wrong inside. What was done is kept.", said.alone)

    async def _turn(self, said: Said, ctx: Context, hook: str) -> Answer:
        agent = await self._access.agent()
        own = said.person if said.alone or not said.channel else ""
        where = hashlib.sha256(json.dumps([said.channel, own, said.thread]).encode()).hexdigest()[:32]
        name = f"hook {hook} {where}"
        ctx = replace(ctx, shared=None if own or hook == "key" else f"hook {hook}")
        ctx = replace(ctx, conversation=await agent.open_conversation(ctx, name))
        words = said.text.strip()
        decision = _DECISION.fullmatch(words)
        if decision is not None:
            return await self._decide(decision[2].lower(), decision[1].lower() == "approve", ctx, said)
        if words.lower() == "approvals":
            return await self._waiting(ctx, said)
        if words.lower() == "answer":
            history = [text for role, text in await agent.history(ctx) if role == "agent"]
            return Answer(history[-1] if history else "There is no answer yet.", said.alone)
        answer = words.lower().rstrip(".!")
        if answer in YES | NO and (await agent.remembered(ctx))[1] is not None:
            return await _whole(agent.answer(answer in YES, ctx), said.alone)
        return await _whole(agent.turn(words or "help", ctx), said.alone)

    async def _decide(self, id: str, approve: bool, ctx: Context, said: Said) -> Answer:
        found = await approvals.find(ctx, id)
        outcome = (await approvals.decide(id, approve=approve, ctx=ctx)).outcome
        verb = "approved" if approve else "rejected"
        await (await self._access.agent()).note(f"A person {verb} “{found.card.title}”: {outcome}", ctx)
        return Answer(outcome, said.alone)

    async def _waiting(self, ctx: Context, said: Said) -> Answer:
        asked = await approvals.waiting(ctx)
        lines = [f"- `{each.short_id}` {each.card.title}" for each in asked]
        return Answer("\n".join([*lines, "", _HOW]) if lines else "Nothing waits for a decision.", said.alone)


_HOW = "Who may, writes: approve ID, or reject ID."


async def _whole(events: AsyncGenerator[Event], alone: bool) -> Answer:
    """A turn in one piece."""
    parts, cards, how = [], [], []
    text = ""
    async with aclosing(events):
        async for event in events:
            match event:
                case Text():
                    text += event.text
                case Notice():
                    parts.append(event.text)
                case ApprovalAsked():
                    text = text.replace(event.text, "")
                    cards.append(Card.model_validate(event.card))
                    how.append(f"Who may, writes: approve {event.id[:8]}, or reject {event.id[:8]}.")
                case ConfirmationAsked():
                    calls = [f"{number}. {call.text}" for number, call in enumerate(event.calls, 1)]
                    parts += ["\n".join(["This would be done:", *calls]), "Write yes or no, or what to change."]
                case Failed():
                    parts.append(f"⚠ {event.text}")
    return Answer("\n\n".join(part for part in (text.strip(), *parts, *how) if part) or "Done.", alone, cards)


def address(tenant: UUID, hook: str) -> str:
    """The path of a hook: it names the tenant and the hook, and opens nothing by itself."""
    named = base64.urlsafe_b64encode(tenant.bytes + UUID(hook).bytes).decode().rstrip("=")
    return f"{PATH}/{named}"


def signing_key(settings: Settings, tenant: UUID, hook: str) -> str | None:
    """The key that a hook's calls are signed with; None without SMARTCAMPAIGN_SECRET."""
    keys = signing_keys(settings, tenant, hook)
    return keys[0] if keys else None


def signing_keys(settings: Settings, tenant: UUID, hook: str) -> list[str]:
    """One for each secret: the first is given out, all verify."""
    secrets = settings.secret.get_secret_value().split() if settings.secret else []
    return [hmac.new(each.encode(), f"hook {tenant} {hook}".encode(), hashlib.sha256).hexdigest() for each in secrets]


def calls_nobody(text: str) -> str:
    """The text with its @names apart from their @: a contact's note must not call a channel."""
    return _CALLS.sub("@\u200b", text)


def _ids(named: str) -> tuple[UUID, UUID] | None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", named):
        return None
    try:
        data = base64.urlsafe_b64decode(named + "=")
    except (binascii.Error, ValueError):
        return None
    return UUID(bytes=data[:16]), UUID(bytes=data[16:])


def _fields(body: bytes, kind: str) -> dict[str, Any]:
    """The fields of a form or of a JSON object. Raises `Refused`."""
    try:
        if kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            return {name: values[0] for name, values in parse_qs(body.decode(), max_num_fields=100).items()}
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("The body is neither a form nor JSON.") from None
    if not isinstance(found, dict):
        raise Refused("The body is no JSON object.")
    return found


def _read(kind: str, fields: dict[str, Any]) -> Said:
    """What a chat says. Mattermost: commands and outgoing webhooks; Rocket.Chat: outgoing webhooks."""
    if kind == "json":
        return _plain_json(fields)

    def text(name: str) -> str:
        value = fields.get(name)
        return value if isinstance(value, str) else ""

    said = text("text")
    trigger = text("trigger_word")
    if trigger and said.startswith(trigger):
        said = said[len(trigger) :]
    is_bot = bool(fields.get("bot")) or bool(fields.get("bot_id")) or text("user_name") == "webhook"
    is_command = kind == "mattermost" and bool(text("command"))
    return Said(
        text=said.strip(" :,"), person=text("user_id"), channel=text("channel_id"), token=text("token"),
        id=text("trigger_id") if is_command else text("post_id") or text("message_id"),
        response_url=text("response_url"), alone=is_command, by_bot=is_bot or bool(fields.get("isEdited")),
    )  # fmt: skip


def _plain_json(fields: dict[str, Any]) -> Said:
    """{text, user, thread, id, token, response_url}. Raises `Refused`."""
    values = {name: fields.get(name, "") for name in ("text", "user", "thread", "id", "token", "response_url")}
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong or not values["text"].strip():
        raise Refused('Send {"text": "..", "user": ".."}; optional: thread, id, response_url. All are texts.')
    return Said(
        text=values["text"], person=values["user"] or "program", thread=values["thread"], id=values["id"],
        token=values["token"], response_url=values["response_url"], alone=True,
    )  # fmt: skip


def _token_of(request: Request) -> str:
    """`Authorization: Token ..`, as Mattermost sends it, or a bearer token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("token", "bearer") else ""


def _may_answer(url: str, answers_to: str | None) -> bool:
    """Whether a late answer may go there: the one origin that an owner named, and no other (SSRF)."""
    if not url or answers_to is None:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    return plain and f"{parts.scheme}://{parts.netloc.lower()}" == answers_to


def _pieces(text: str) -> list[str]:
    pieces = [""]
    for line in text.split("\n"):
        for start in range(0, max(len(line), 1), LONGEST):
            part = line[start : start + LONGEST]
            if pieces[-1] and len(pieces[-1]) + len(part) + 1 > LONGEST:
                pieces.append("")
            pieces[-1] += f"\n{part}" if pieces[-1] else part
    return pieces


def _problem(status: int, text: str) -> Response:
    return JSONResponse({"text": text}, status)
