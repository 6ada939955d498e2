"""`smartcampaign serve`: the web doors, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from interfaces.cli.running import DONE, Stop, settings_for

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from interfaces.access import Access


async def serve(host: str, port: int, tracking_address: str | None, url: str | None, *, worker: bool) -> int:
    """Answer on `host`:`port`, and with a public URL the tracking endpoints on `tracking_address`.

    `url` is where a proxy on this machine lets others in. What others can reach is not served before there is a key.
    Ends when the task is cancelled: what is under way is answered, and the last hits are written. Raises `Stop`.
    """
    settings = settings_for()
    if tracking_address and settings.public_url is None:
        raise Stop(
            "--tracking opens the tracking endpoints to others: set SMARTCAMPAIGN_PUBLIC_URL to their address first."
        )
    name = _name_of(url) if url else None
    from interfaces.access import is_loopback, open_access
    from interfaces.tracking import Tracking
    from interfaces.web import LOOPBACK, full_app, public_app

    async with open_access(settings) as access:
        access.url = url
        is_open = not is_loopback(host)
        if is_open or name:
            await _refuse_without_keys(access, f"{_shown(host)}:{port}" if is_open else str(url))
        mailgun = settings.mailgun_key.get_secret_value() if settings.mailgun_key else None
        tracking = Tracking(access.database, settings.link_settings(), mailgun_key=mailgun)
        hosts = None if is_open else [*LOOPBACK, *([name] if name else [])]
        servers = [(make_server(full_app(access, tracking, hosts=hosts)), _listen(host, port))]
        said = [f"{'Others' if is_open else 'This machine'}: http://{_shown(host)}:{port}"]
        if tracking_address:
            public_host, public_port = _address(tracking_address)
            servers.append((make_server(public_app(tracking)), _listen(public_host, public_port)))
            said.append(f"Tracking: http://{_shown(public_host)}:{public_port} for {settings.public_url}")
        said += [await _who_may(access), "Ctrl-C stops it.\n"]
        with _sending(access) if worker else contextlib.nullcontext():
            sys.stdout.write("\n".join(said))
            sys.stdout.flush()
            await _run(servers)
    return DONE


async def _refuse_without_keys(access: Access, where: str) -> None:
    from db import tenants
    from interfaces.access import any_usable_key

    of = [row.id for row in await asyncio.to_thread(tenants.all_of, access.program.url)]
    if not await any_usable_key(access.database, of, access.now()):
        raise Stop(
            f"{where} can be reached by others, and there is no API key yet, so nobody could be told apart. Make one "
            "first: smartcampaign keys create NAME --role owner"
        )


async def _who_may(access: Access) -> str:
    if access.local is None:
        return "There are several tenants, so every request takes an API key: smartcampaign keys create NAME"
    if await access.is_locked(access.local):
        return "Every request takes an API key: smartcampaign keys list"
    return (
        f"You are let in without a key, as the owner of {access.local.name}, until you make one; do that before you "
        "put a proxy in front: smartcampaign keys create NAME"
    )


def _sending(access: Access) -> contextlib.AbstractContextManager[None]:
    """The worker for all tenants, in a thread of its own: a large send must not make others wait for an answer."""
    from interfaces.worker import in_background

    return in_background(access.program.settings, access.program.url, access.program.link_settings, None)


async def _run(servers: list[tuple[uvicorn.Server, socket.socket]]) -> None:
    """Until one of them stops, or this task is cancelled; then all finish what is under way."""
    tasks = [asyncio.create_task(server.serve(sockets=[listening])) for server, listening in servers]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for server, _ in servers:
            server.should_exit = True
        # The first one ends last: its app writes the hits.
        for task in reversed(tasks):
            await task


def make_server(app: FastAPI) -> uvicorn.Server:
    """A server that leaves signals to the command, and writes no address down: one may hold a token."""
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves the signals to the command (interfaces/cli/running.py), which cancels."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    # No access log: an address holds a token, which stands for a person.
    return Server(
        uvicorn.Config(
            app, access_log=False, log_config=None, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
    )  # fmt: skip


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise Stop(
            f"Nothing can listen on {_shown(host)}:{port}: {error.strerror}. Choose another with --port."
        ) from None


def _name_of(url: str) -> str:
    """The host of the address under which others come in. Raises `Stop`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Stop(f"{url!r} is no address. Write it like https://app.example.com.")
    return parts.hostname


def _address(text: str) -> tuple[str, int]:
    """`0.0.0.0:8001`, `[::]:8001` or a port alone, which is for a proxy on this machine."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise Stop(
            f"{text!r} is no address to listen on. Write it like 0.0.0.0:8001, or 8001 for this machine."
        ) from None
    if not 1 <= number <= 65_535:
        raise Stop(f"{number} is no port.")
    return host, number


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
