"""Notes that were imported get their vectors in the background of a door that stays open (chat, MCP)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tools.base import Context
from tools.reembedding import embed_missing

# A door is to answer quickly first; what an earlier program left undone comes after.
FIRST_LOOK = 5.0

# Seconds between two looks for what other programs have imported.
LOOK_AGAIN = 300.0

# Seconds between two batches of notes: a question that is asked meanwhile comes first.
_PAUSE = 0.05

log = logging.getLogger("smartcampaign.embedding")


class BackgroundEmbedder:
    """Makes the missing vectors of one tenant's contacts, one program at a time. A trouble is logged, never raised."""

    def __init__(self, first_look: float = FIRST_LOOK) -> None:
        self._woken = asyncio.Event()
        self._first_look = first_look

    def wake(self) -> None:
        """Look now: notes were stored without their vectors."""
        self._woken.set()

    async def run(self, ctx: Context) -> None:
        """Until it is cancelled, which takes no longer than a batch of notes does."""
        await self._sleep(self._first_look)
        while True:
            self._woken.clear()
            try:
                await embed_missing(ctx, "contacts", only_new=True, pause=_PAUSE)
            except Exception as error:
                # The server may be gone for a moment, the endpoint for a day: what is missing stays missing till then.
                log.warning("notes could not be embedded: %s", type(error).__name__)
            await self._sleep(LOOK_AGAIN)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)


@asynccontextmanager
async def in_background(ctx: Context, embedder: BackgroundEmbedder) -> AsyncIterator[None]:
    """The embedder at work while the block runs."""
    task = asyncio.create_task(embedder.run(ctx))
    try:
        yield
    finally:
        task.cancel()
        # Not suppressing CancelledError: that would also swallow the one by which the program itself is asked to leave.
        await asyncio.wait([task])
