"""The web doors beside a conversation: the same as `smartcampaign serve`, for this machine, while the chat is open."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn

    from interfaces.wiring import Program

log = logging.getLogger("smartcampaign.web")

# What is under way when the person leaves gets so many seconds.
PATIENCE = 15.0


@contextmanager
def served_beside(opened: Program) -> Iterator[str | None]:
    """Where the doors answer while the block runs; None where they can't.

    In a thread with a loop of its own: a prompt that waits for a person blocks the chat's.
    """
    from interfaces.settings import PORT

    listening = None
    for port in (PORT, 0):  # another program may have the usual one
        with suppress(OSError):
            listening = socket.create_server(("127.0.0.1", port), backlog=128)
            break
    if listening is None:
        yield None
        return
    beside = _Beside(opened, listening)
    beside.thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        beside.stop()


class _Beside:
    """A server with a loop of its own."""

    def __init__(self, opened: Program, listening: socket.socket) -> None:
        self._opened, self._listening = opened, listening
        self._server: uvicorn.Server | None = None
        self._asked = threading.Event()
        # A daemon: a program that must end does, whatever a client does.
        self.thread = threading.Thread(target=self._run, name="serving", daemon=True)

    def stop(self) -> None:
        self._asked.set()
        if self._server is not None:
            self._server.should_exit = True
        self.thread.join(PATIENCE)
        self._listening.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            log.exception("the web doors beside the chat have stopped")

    async def _serve(self) -> None:
        from db.pool import Database
        from interfaces.access import CONNECTIONS, Access
        from interfaces.cli.serve import make_server
        from interfaces.tracking import Tracking
        from interfaces.web import full_app
        from interfaces.wiring import Program, local_actor

        chat = self._opened
        database = Database(chat.url, max_size=CONNECTIONS)
        await database.open()
        try:
            program = Program(chat.settings, chat.url, chat.tenant, database, chat.embedder, local_actor("rest"))
            app = full_app(Access(program, chat.tenant), Tracking(database, chat.link_settings))
            self._server = make_server(app)
            if not self._asked.is_set():
                await self._server.serve(sockets=[self._listening])
        finally:
            await database.close()
