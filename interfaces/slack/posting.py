"""Where an answer goes, and how it grows there: one message that is edited at most once a second, then what follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from interfaces.slack.cards import Block, sections
from interfaces.slack.mrkdwn import split

log = logging.getLogger("smartcampaign.slack")

# Slack takes about one edit a second of a message (tier 3 is 50 a minute, with room for bursts).
PAUSE = 1.1

# Slack posts answers only here; what a response_url says beyond is not believed.
ANSWER_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")

_TROUBLE = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)

# No looking for links, names or previews in what is shown.
_AS_IT_IS: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False, "link_names": False}


@dataclass(frozen=True)
class Place:
    """Where somebody spoke, and where they are answered."""

    team: str
    channel: str
    user: str
    thread: str | None = None
    """The thread's first message; None: the channel itself (a direct message)."""
    response_url: str | None = None
    """For what only this person sees: the answer to a slash command."""

    @property
    def is_direct(self) -> bool:
        return self.channel.startswith("D")

    @property
    def conversation(self) -> str:
        """The name of the conversation that is led here."""
        own = self.user if self.response_url else self.thread
        return " ".join(part for part in ("slack", self.team, self.channel, own) if part)


class Speech:
    """Says things at a place, by the Web API or, to one person alone, by the response_url."""

    def __init__(self, client: AsyncWebClient, api_url: str, place: Place) -> None:
        self.client, self.place = client, place
        self._hosts = (*ANSWER_HOSTS, urlsplit(api_url).netloc)

    async def say(self, text: str, blocks: list[Block] | None = None) -> str | None:
        """Post mrkdwn; return the message's `ts`, if it has one. Long texts become several messages."""
        if self.place.response_url:
            await self._respond(text, blocks or sections(text), replace=False)
            return None
        pieces = [text[:3_000]] if blocks else split(text)
        first: str | None = None
        for piece in pieces:
            posted = await self.client.chat_postMessage(
                channel=self.place.channel, thread_ts=self.place.thread, text=piece, blocks=blocks, **_AS_IT_IS
            )
            first = first or str(posted["ts"])
        return first

    async def change(self, ts: str, text: str, blocks: list[Block] | None = None) -> None:
        """Replace one message."""
        await self.client.chat_update(
            channel=self.place.channel, ts=ts, text=text, blocks=blocks or [], link_names=False
        )  # fmt: skip

    async def tell(self, text: str) -> None:
        """Say something to this person alone."""
        if self.place.response_url:
            await self._respond(text, None, replace=False)
        elif self.place.is_direct:
            await self.say(text)
        else:
            await self.client.chat_postEphemeral(
                channel=self.place.channel, user=self.place.user, thread_ts=self.place.thread, text=text,
                link_names=False,
            )  # fmt: skip

    async def replace(self, ts: str | None, text: str, blocks: list[Block] | None) -> None:
        """Replace the message in which a button was pressed."""
        if self.place.response_url:
            await self._respond(text, blocks, replace=True)
        elif ts is not None:
            await self.change(ts, text, blocks)

    async def _respond(self, text: str, blocks: list[Block] | None, *, replace: bool) -> None:
        url = self.place.response_url or ""
        parts = urlsplit(url)
        if parts.netloc not in self._hosts or (parts.scheme != "https" and parts.netloc in ANSWER_HOSTS):
            log.warning("a response_url of another host than Slack's was not answered")
            return
        await AsyncWebhookClient(url, timeout=10).send(
            text=text[:3_000], blocks=blocks, response_type="ephemeral", replace_original=replace
        )


class Growing:
    """The answer of a turn while it grows: a task of its own brings it to Slack, no faster than Slack takes it."""

    def __init__(self, speech: Speech, wanted: Callable[[], str], posted: Callable[[str], Awaitable[None]]) -> None:
        """`wanted` makes the mrkdwn that should stand there now; `posted` is told the message's `ts`."""
        self._speech, self._wanted, self._posted = speech, wanted, posted
        self._shown = ""
        self._ts: str | None = None
        self._news, self._over = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def growing(self) -> AsyncIterator[Growing]:
        """While the block runs what is shown follows what is wanted."""
        task = asyncio.create_task(self._follow())
        try:
            yield self
        finally:
            # Never cancelled: a message that is just being posted would stand there for ever.
            self._over.set()
            self._news.set()
            await asyncio.shield(task)

    def changed(self) -> None:
        """There is something new to show. Cheap: pieces of text come many times a second."""
        self._news.set()

    async def end(self, text: str) -> None:
        """What stands there for good, in as many messages as it takes. Call it after the block."""
        if self._speech.place.response_url:
            await self._speech.say(text)
            return
        first, *rest = split(text)
        for _ in range(2):
            try:
                await self._put(first)
                break
            except SlackApiError as error:
                log.warning("an answer could not be edited: %s", error.response.get("error"))
                self._ts = None
        for piece in rest:
            await self._speech.say(piece)

    async def _follow(self) -> None:
        while not self._over.is_set():
            await self._news.wait()
            self._news.clear()
            if self._over.is_set():
                return
            try:
                await self._put(_tail(self._wanted()))
            except _TROUBLE as error:
                log.warning("an answer under way could not be shown: %s", type(error).__name__)
            try:
                await asyncio.wait_for(self._over.wait(), PAUSE)
            except TimeoutError:
                continue

    async def _put(self, text: str) -> None:
        if self._speech.place.response_url:
            return  # it is good for five posts, so only the whole answer is posted
        if self._ts is None:
            self._ts = await self._speech.say(text)
            if self._ts is not None:
                await self._posted(self._ts)
        elif text != self._shown:
            await self._speech.change(self._ts, text)
        self._shown = text


def _tail(text: str) -> str:
    """Of a long text under way its end is news; the whole of it comes at the end."""
    pieces = split(text)
    return pieces[0] if len(pieces) == 1 else f"…\n{pieces[-1]}"
