"""`smartcampaign mcp`: the door for MCP clients, and its entry in their settings."""

from __future__ import annotations

import sys

from interfaces.cli.running import DONE, Stop, settings_for


def serve(tenant: str | None) -> int:
    """Serve over stdin and stdout until the client leaves."""
    settings = settings_for(tenant)
    if sys.stdin is not None and sys.stdin.isatty():
        sys.stderr.write(
            "This serves an MCP client over stdin and stdout; it is usually started by one. Ctrl-C stops it.\n"
            "To enter it into a client's settings: smartcampaign mcp install claude-desktop\n"
        )
    from interfaces.mcp_server import serve_stdio

    serve_stdio(settings)
    return DONE


def enter(
    client: str, *, tenant: str | None = None, url: str | None = None, remove: bool = False, show: bool = False
) -> int:
    """Write or remove the entry, and say what was done. Raises `Stop`."""
    from interfaces.cli.mcp_install import InstallError, install

    try:
        done = install(client, tenant=tenant, url=url, remove=remove, show=show)
    except InstallError as error:
        raise Stop(str(error)) from error
    sys.stdout.write(f"{done.text}\n")
    return DONE
