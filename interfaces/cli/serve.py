"""`smartcampaign serve`: the web doors, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from interfaces.cli.running import DONE, Stop, settings_for

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI


async def serve(host: str, port: int, tracking_address: str | None) -> int:
    """Answer on `host`:`port` (loopback only), and with a public URL the tracking endpoints on `tracking_address`.

    Ends when the task is cancelled: what is under way is answered, and the last hits are written. Raises `Stop`.
    """
    settings = settings_for()
    if not _is_loopback(host):
        raise Stop(f"{host} can be reached by others. Until there are API keys only this machine is served: 127.0.0.1.")
    if tracking_address and settings.public_url is None:
        raise Stop(
            "--tracking opens the tracking endpoints to others: set SMARTCAMPAIGN_PUBLIC_URL to their address first."
        )
    from db.pool import Database
    from interfaces.tracking import Tracking
    from interfaces.web import local_app, public_app
    from interfaces.wiring import open_database

    async with open_database(settings) as url:
        database = Database(url)
        await database.open()
        try:
            mailgun = settings.mailgun_key.get_secret_value() if settings.mailgun_key else None
            tracking = Tracking(database, settings.link_settings(), mailgun_key=mailgun)
            servers = [(_server(local_app(tracking)), _listen(host, port))]
            said = [f"This machine: http://{_shown(host)}:{port}"]
            if tracking_address:
                public_host, public_port = _address(tracking_address)
                servers.append((_server(public_app(tracking)), _listen(public_host, public_port)))
                said.append(f"Tracking: http://{_shown(public_host)}:{public_port} for {settings.public_url}")
            sys.stdout.write("\n".join([*said, "Ctrl-C stops it.\n"]))
            sys.stdout.flush()
            await _run(servers)
        finally:
            await database.close()
    return DONE


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


def _server(app: FastAPI) -> uvicorn.Server:
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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
