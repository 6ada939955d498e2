"""The web doors beside the chat: open while it is, on an address of their own, and gone with it."""

from __future__ import annotations

import socket

import httpx
import pytest

from interfaces.cli.beside import served_beside
from interfaces.settings import PORT, Settings
from interfaces.wiring import Program
from tools.base import Context


async def test_the_doors_are_open_as_long_as_the_chat(ctx: Context) -> None:
    program = Program(Settings.model_construct(), ctx.database.url, ctx.tenant, ctx.database, ctx.embedder, ctx.actor)
    # Another program has the usual port.
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", PORT))
        taken.listen()
    except OSError:
        pass  # then it is taken already
    with taken, served_beside(program) as url:
        assert url is not None
        assert not url.endswith(f":{PORT}")
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            assert (await client.get("/readyz")).status_code == 200
            made = await client.post("/api/tools/create_contact", json={"email": "ada@example.org"})
            assert made.status_code == 200
        # Blocking, as the chat's prompt blocks its loop: the doors answer all the same.
        assert httpx.get(f"{url}/healthz").status_code == 200  # noqa: ASYNC210
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")  # noqa: ASYNC210
