"""What Slack tells, as slack-bolt brings it: which messages count, who speaks, and what happens then.

Everything is claimed in the database before Slack gets its answer, and done after it: so it is acknowledged within
three seconds however slow a model is, and a message that is repeated is answered once.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from db.heard import Heard
from interfaces.access import Access
from interfaces.slack.cards import APPROVE, NO, REJECT, YES, BadButton, Seal, decided, verdict
from interfaces.slack.mrkdwn import escape, plain
from interfaces.slack.posting import Place, Speech
from interfaces.slack.texts import GREETING, NO_FILES, PROMPTS
from interfaces.slack.turns import Turns
from tools import approvals, workspaces
from tools.base import Context
from tools.errors import ApprovalOver, NotLinked, ToolError
from tools.workspaces import Speaker

log = logging.getLogger("smartcampaign.slack")

Body = dict[str, Any]

# Messages that a person wrote; all other subtypes are edits, joins, bots' posts and the like.
SAID = (None, "thread_broadcast", "file_share")


@dataclass(frozen=True)
class Said:
    """One thing that somebody did in Slack."""

    id: str
    """Slack's own name of it: the same when it is repeated."""
    place: Place
    own_team: bool
    """Whether they belong to the workspace, and not to another one that shares a channel."""


class SlackApp:
    """The listeners of one program."""

    def __init__(self, access: Access, client: AsyncWebClient, api_url: str, turns: Turns, seal: Seal) -> None:
        self._access, self._client, self._api_url = access, client, api_url
        self._turns, self._seal = turns, seal
        self._tenants: dict[str, UUID] = {}

    def listen_on(self, bolt: AsyncApp) -> None:
        """Register with slack-bolt."""
        bolt.middleware(self._heard_once)
        bolt.event("app_mention")(self._on_message)
        bolt.event("message")(self._on_message)
        bolt.event("assistant_thread_started")(self._on_assistant)
        bolt.command(re.compile(".*"))(self._on_command)
        bolt.action(re.compile(f"^({APPROVE}|{REJECT}|{YES}|{NO})$"))(self._on_button)

    async def tenant_of(self, team: str) -> UUID:
        """The tenant of a workspace. Raises `NotLinked`."""
        if team not in self._tenants:
            self._tenants[team] = await workspaces.find_team(self._access.database, team)
        return self._tenants[team]

    async def _heard_once(
        self, body: Body, req: AsyncBoltRequest, next: Callable[[], Awaitable[None]]
    ) -> BoltResponse | None:
        """Let through what a person of the linked workspace says for the first time."""
        home = req.context.authorize_result.team_id if req.context.authorize_result else None
        said = said_in(body)
        if said is None:
            return _nothing()
        if said.place.team != home or not said.own_team:
            log.warning("a message of another workspace than the bot's was not answered")
            return _nothing()
        try:
            speaker = await self._speaker(said.place)
        except NotLinked as error:
            if "x-slack-retry-num" not in req.headers:
                await self._speech(said.place).tell(escape(str(error)))
            return _nothing()
        message = Heard(speaker.tenant.id, home, hashlib.sha256(said.id.encode()).digest())
        channel, thread = said.place.channel, said.place.thread
        if said.place.response_url:  # nobody else sees what comes of it, so neither does the channel
            channel, thread = said.place.user, None
        if not await self._turns.claim(message, channel=channel, thread=thread):
            return _nothing()
        req.context["message"], req.context["speaker"], req.context["place"] = message, speaker, said.place
        await next()
        return None

    async def _speaker(self, place: Place) -> Speaker:
        """Who that is. What is remembered is only where to look; every message looks anew. Raises `NotLinked`."""
        for _ in range(2):
            tenant = await self.tenant_of(place.team)
            found = await workspaces.speaker(self._access.database, tenant, place.team, place.user)
            if found is not None:
                return found
            del self._tenants[place.team]
        raise NotLinked(id=place.team, group="slack")

    async def _on_message(self, event: Body, context: dict[str, Any]) -> None:
        said = plain(str(event.get("text") or ""), context.get("bot_user_id"))
        if not said and event.get("files"):
            self._do(context, lambda speech, ctx: speech.tell(NO_FILES))
            return
        self._do(context, lambda speech, ctx: self._say(said, context, speech, ctx))

    async def _on_command(self, ack: Callable[..., Awaitable[None]], command: Body, context: dict[str, Any]) -> None:
        said = plain(str(command.get("text") or ""))
        await ack(f"› {escape(said or 'help')}")
        self._do(context, lambda speech, ctx: self._say(said or "help", context, speech, ctx))

    async def _on_assistant(self, event: Body, context: dict[str, Any]) -> None:
        self._do(context, lambda speech, ctx: self._greet(speech))

    async def _on_button(
        self, ack: Callable[[], Awaitable[None]], action: Body, body: Body, context: dict[str, Any]
    ) -> None:
        await ack()
        ts = (body.get("container") or {}).get("message_ts")
        self._do(context, lambda speech, ctx: self._press(action, ts, context, speech, ctx))

    def _do(self, context: dict[str, Any], work: Callable[[Speech, Context], Awaitable[None]]) -> None:
        """Do it in a task of its own, as the one who asked; a refusal is told to them alone."""
        speaker: Speaker = context["speaker"]
        speech = self._speech(context["place"])

        async def done() -> None:
            try:
                actor = speaker.actor("slack")
                ctx = self._access.program.context(actor=actor, tenant=speaker.tenant)
                await work(speech, replace(ctx, now=self._access.now))
            except ToolError as error:
                await speech.tell(escape(str(error)))

        self._turns.begin(context["message"], done)

    async def _say(self, said: str, context: dict[str, Any], speech: Speech, ctx: Context) -> None:
        if said.lower().strip(" /.!?") == "approvals":
            await self._turns.show_waiting(speech, ctx)
            return
        await self._think(speech, said)
        await self._turns.say(said, context["message"], speech, ctx)

    async def _think(self, speech: Speech, said: str) -> None:
        """In the assistant's own panel: say that it is at work, and what the thread is about."""
        place = speech.place
        if not (place.is_direct and place.thread):
            return
        try:
            await self._client.assistant_threads_setStatus(
                channel_id=place.channel, thread_ts=place.thread, status="is thinking…"
            )
            await self._client.assistant_threads_setTitle(
                channel_id=place.channel, thread_ts=place.thread, title=said[:80] or "New"
            )
        except SlackApiError as error:
            log.info("no assistant thread: %s", error.response.get("error"))

    async def _greet(self, speech: Speech) -> None:
        await speech.say(GREETING)
        await self._client.assistant_threads_setSuggestedPrompts(
            channel_id=speech.place.channel, thread_ts=speech.place.thread,
            prompts=[{"title": title, "message": message} for title, message in PROMPTS],
        )  # fmt: skip

    async def _press(self, action: Body, ts: str | None, context: dict[str, Any], speech: Speech, ctx: Context) -> None:
        try:
            what = self._seal.read(str(action.get("value", "")), ctx.tenant.id, speech.place.channel)
        except BadButton:
            await speech.tell("This button is not one of mine, or an old one. Write “approvals” for what waits.")
            return
        pressed = action.get("action_id")
        if pressed in (YES, NO):
            await speech.replace(ts, f"_{'Yes' if pressed == YES else 'No'}, said {escape(ctx.actor.name)}._", None)
            if not await self._turns.answer(what, pressed == YES, context["message"], speech, ctx):
                await speech.tell("This question is over. Say again what you would like.")
            return
        await self._decide(what, pressed == APPROVE, ts, speech, ctx)

    async def _decide(self, id: str, approve: bool, ts: str | None, speech: Speech, ctx: Context) -> None:
        """Carry out the decision of who pressed. The card then says who decided, and has no buttons any more."""
        try:
            outcome = (await approvals.decide(id, approve=approve, ctx=ctx)).outcome
        except ApprovalOver as error:
            outcome = None
            await speech.tell(escape(str(error)))
        except ToolError as error:
            # Not allowed: the card stays for somebody who is. Changed meanwhile: it says so itself.
            await speech.tell(escape(str(error)))
            if error.code != "approval_outdated":
                return
            outcome = None
        request = await approvals.one(ctx, UUID(id))
        said = verdict(request, ctx.tenant)
        await speech.replace(ts, f"{escape(request.card.title)} {escape(said)}", decided(request, ctx.tenant))
        if outcome is not None:
            await speech.say(escape(outcome))
            verb = "approved" if approve else "rejected"
            await self._turns.note(f"A person {verb} “{request.card.title}”: {outcome}", speech, ctx)

    def _speech(self, place: Place) -> Speech:
        return Speech(self._client, self._api_url, place)


def said_in(body: Body) -> Said | None:
    """What a person did, or None for everything else: bots' posts, edits, events that need no answer."""
    if "event" in body:
        return _said_in_event(body, body["event"])
    team = str((body.get("team") or {}).get("id") or body.get("team_id") or "")
    if "command" in body:
        place = Place(
            team, str(body.get("channel_id", "")), str(body.get("user_id", "")), None, str(body.get("response_url", ""))
        )
        return Said(f"command {body.get('trigger_id')}", place, True) if body.get("trigger_id") else None
    if body.get("type") == "block_actions" and body.get("trigger_id"):
        return _said_with_button(body, team)
    return None


def _said_in_event(body: Body, event: Body) -> Said | None:
    kind, team = event.get("type"), str(body.get("team_id", ""))
    if kind == "assistant_thread_started":
        thread = event.get("assistant_thread") or {}
        place = Place(team, str(thread.get("channel_id")), str(thread.get("user_id")), thread.get("thread_ts"))
        return Said(f"event {body.get('event_id')}", place, True)
    is_said = kind == "app_mention" or (kind == "message" and event.get("channel_type") == "im")
    if not is_said or event.get("bot_id") or event.get("subtype") not in SAID or not event.get("user"):
        return None
    channel, ts = str(event.get("channel")), str(event.get("ts"))
    thread = event.get("thread_ts") or (None if channel.startswith("D") else ts)
    theirs = {event.get("user_team"), event.get("team"), event.get("source_team")} - {None}
    # By its place, which Slack gives once: a mention in a direct message comes as two events.
    return Said(f"message {channel} {ts}", Place(team, channel, str(event["user"]), thread), theirs <= {team})


def _said_with_button(body: Body, team: str) -> Said:
    user, container = body.get("user") or {}, body.get("container") or {}
    channel = str((body.get("channel") or {}).get("id") or container.get("channel_id") or "")
    alone = bool(container.get("is_ephemeral"))
    thread = container.get("thread_ts") or (body.get("message") or {}).get("thread_ts")
    url = str(body.get("response_url", "")) if alone else None
    place = Place(team, channel, str(user.get("id", "")), None if alone else thread, url)
    return Said(f"button {body['trigger_id']}", place, user.get("team_id") in (None, team))


def _nothing() -> BoltResponse:
    return BoltResponse(status=200, body="")
