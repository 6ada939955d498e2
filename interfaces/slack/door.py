"""Slack's way in: /slack/events for what Slack calls, and Socket Mode for what we fetch ourselves.

Nothing is served without SLACK_BOT_TOKEN. Over HTTP every call carries Slack's signature of the last five minutes;
over Socket Mode the connection is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackClientError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from db import heard
from db.heard import Heard
from interfaces.access import Access
from interfaces.doors import Door
from interfaces.settings import SlackSettings
from interfaces.slack import turns as turning
from interfaces.slack.app import SlackApp
from interfaces.slack.cards import Seal
from interfaces.slack.posting import Place, Speech
from interfaces.slack.turns import Turns, what_was_done
from tools.errors import NotLinked

log = logging.getLogger("smartcampaign.slack")

PATH = "/slack/events"

# The forms in which a time and a signature can be genuine.
_TIME, _SIGNATURE = re.compile(r"[0-9]{1,12}"), re.compile(r"v0=[0-9a-f]{64}")


def door(access: Access) -> Door:
    """Slack, if it is set up. Raises `BadSettings`."""
    settings = access.program.settings.slack()
    if settings is None:
        return Door(routes=[])
    opened = SlackDoor(access, settings)
    routes = [Route(PATH, opened.events, methods=["POST"])] if settings.signing_secret else []
    return Door(routes=routes, running=opened.running)


@dataclass
class SlackDoor:
    """Slack in one program."""

    access: Access
    settings: SlackSettings

    def __post_init__(self) -> None:
        seal = Seal.of(self.settings.bot_token)
        limits = AsyncRateLimitErrorRetryHandler(max_retry_count=3)
        self.client = AsyncWebClient(
            token=self.settings.bot_token, base_url=self.settings.api_url, timeout=20, retry_handlers=[limits]
        )
        self.turns = Turns(self.access, seal)
        self.app = SlackApp(self.access, self.client, self.settings.api_url, self.turns, seal)
        # Signatures are looked at before (`events`): bolt would read the body first, and stumble over a stranger's.
        self.bolt = AsyncApp(
            client=self.client, name="smartcampaign",
            logger=logging.getLogger("smartcampaign.slack.bolt"), attaching_conversation_kwargs_enabled=False,
            request_verification_enabled=False, ssl_check_enabled=False,
        )  # fmt: skip
        self.app.listen_on(self.bolt)
        self._handler = AsyncSlackRequestHandler(self.bolt)

    async def events(self, request: Request) -> Response:
        """One call of Slack's. Whatever is not signed by Slack, or too old, is 401."""
        if not self._is_signed(await request.body(), request.headers):
            return PlainTextResponse("This is not signed by Slack.\n", 401)
        return await self._handler.handle(request)

    def _is_signed(self, body: bytes, headers: Headers) -> bool:
        """Whether Slack signed this within five minutes (docs.slack.dev/authentication/verifying-requests-from-slack).

        Only what has the form of a time and of a signature is compared, in constant time.
        """
        assert self.settings.signing_secret is not None, "without it there is no route"
        at, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
        if not _TIME.fullmatch(at) or not _SIGNATURE.fullmatch(signature) or not _is_text(body):
            return False
        return SignatureVerifier(self.settings.signing_secret).is_valid(body, at, signature)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the program runs: one session to Slack, Socket Mode where it is set up, and what was left over."""
        async with AsyncExitStack() as stack:
            self.client.session = await stack.enter_async_context(aiohttp.ClientSession())
            await stack.enter_async_context(self.turns.running_to_their_end())
            await stack.enter_async_context(_while(self._look_after()))
            if self.settings.app_token is not None:
                await stack.enter_async_context(_while(self._connect(self.settings.app_token)))
            yield

    async def _connect(self, app_token: str) -> None:
        """Stay connected by Socket Mode. What can't be reached now is tried again: Slack may be away, too."""
        socket = AsyncSocketModeHandler(self.bolt, app_token, web_client=self.client)
        try:
            while True:
                try:
                    await socket.connect_async()  # type: ignore[no-untyped-call]
                    break
                except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
                    log.warning("Slack's Socket Mode can't be reached: %s", error)
                    await asyncio.sleep(10)
            await asyncio.Event().wait()
        finally:
            await socket.close_async()  # type: ignore[no-untyped-call]

    async def _look_after(self) -> None:
        """Say what became of answers whose program died."""
        while True:
            try:
                await self.say_what_was_left()
            except Exception as error:
                # The database or Slack may be away for a while; what was left over stays left over.
                log.warning("what was left over could not be looked at: %s", type(error).__name__)
            await asyncio.sleep(turning.LOOK_AGAIN)

    async def say_what_was_left(self) -> None:
        """Look once: each message whose answer was never finished gets a sentence in its thread."""
        team = str((await self.client.auth_test())["team_id"])
        try:
            tenant = await self.app.tenant_of(team)
        except NotLinked:
            return
        async with self.access.database.transaction(tenant) as db:
            left = await heard.left_over(db, tenant, team, turning.LEASE)
        for row in left:
            said = await what_was_done(self.access, tenant, row.conversation_id)
            speech = Speech(self.client, self.settings.api_url, Place(team, row.channel or "", "", row.thread))
            if row.channel is not None:
                await speech.say(said)
            async with self.access.database.transaction(tenant) as db:
                await heard.finish(db, Heard(tenant, team, row.message_hash))


@asynccontextmanager
async def _while(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Something that goes on while the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
