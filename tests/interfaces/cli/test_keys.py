"""Keys at the terminal, and what `serve` does before and after there is one."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

import httpx
import pytest

from tests.interfaces.cli.conftest import Home


@pytest.fixture
def tenant(home: Home) -> str:
    """A tenant of the test's own: others in this data folder have theirs."""
    name = f"Keys {uuid4().hex[:8]}"
    assert home.call("tenants", "add", name).code == 0
    return name


def test_a_key_is_shown_once_listed_and_revoked(home: Home, tenant: str) -> None:
    made = home.call("keys", "create", "Front", "--role", "viewer", "--days", "30", SMARTCAMPAIGN_TENANT=tenant)
    assert made.code == 0
    assert re.fullmatch(r"sck_[A-Za-z0-9_-]{86}\n", made.out)
    assert "viewer" in made.err
    listed = home.call("keys", "list", SMARTCAMPAIGN_TENANT=tenant)
    assert "Front" in listed.out
    assert made.out.strip() not in listed.out
    (row,) = [
        row
        for row in json.loads(home.call("keys", "list", "--json", SMARTCAMPAIGN_TENANT=tenant).out)
        if row["name"] == "Front"
    ]
    assert (row["role"], row["revoked_at"], row["last_used_at"]) == ("viewer", None, None)
    assert "hash" not in str(row)
    again = home.call("keys", "create", "front", SMARTCAMPAIGN_TENANT=tenant)
    assert (again.code, again.out) == (1, "")
    assert "already a key" in again.err
    assert home.call("keys", "revoke", row["id"][:8], SMARTCAMPAIGN_TENANT=tenant).code == 0
    assert "revoked" in home.call("keys", "list", SMARTCAMPAIGN_TENANT=tenant).out
    assert home.call("keys", "revoke", "Front", SMARTCAMPAIGN_TENANT=tenant).code == 1


def test_a_script_gets_the_key_alone(home: Home, tenant: str) -> None:
    made = home.call("keys", "create", "Script", "--json", SMARTCAMPAIGN_TENANT=tenant)
    assert json.loads(made.out)["key"].startswith("sck_")
    assert home.call("keys", "revoke", "Script", SMARTCAMPAIGN_TENANT=tenant).code == 0


@pytest.mark.parametrize("arguments", [
    ("--role", "admin"), ("--days", "0"), ("--days", "x"),
])  # fmt: skip
def test_what_cannot_be_a_key_is_refused(home: Home, tenant: str, arguments: tuple[str, ...]) -> None:
    assert home.call("keys", "create", "Bad", *arguments, SMARTCAMPAIGN_TENANT=tenant).code == 2
    assert "Bad" not in home.call("keys", "list", SMARTCAMPAIGN_TENANT=tenant).out


@pytest.mark.slow
def test_others_are_served_once_there_is_a_key(new_home: Callable[[], Home]) -> None:
    home = new_home()
    for arguments in (("--host", "0.0.0.0"), ("--url", "https://app.example.com")):
        refused = home.run("serve", "--port", str(free_port()), *arguments)
        assert refused.code == 1
        assert "smartcampaign keys create" in refused.err
    assert home.run("serve", "--url", "app.example.com").code == 1

    with home.started("serve", "--port", str(port := free_port())) as program:
        wait_until_ready(program, port)
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/api/contacts").status_code == 200
        key = home.run("keys", "create", "First", "--role", "viewer").out.strip()
        assert httpx.get(f"{url}/api/contacts").status_code == 401
        assert httpx.get(f"{url}/api/contacts", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert _ended(program) == 128 + signal.SIGTERM

    with home.started("serve", "--host", "0.0.0.0", "--port", str(port), "--no-worker") as program:
        wait_until_ready(program, port)
        headers = {"Host": "any.example.com", "Authorization": f"Bearer {key}"}
        assert httpx.get(f"{url}/api/contacts", headers=headers).status_code == 200
        assert httpx.get(f"{url}/api/contacts").status_code == 401
        assert _ended(program) == 128 + signal.SIGTERM
    log = home.path / "smartcampaign.log"
    assert key[10:] not in (log.read_text() if log.exists() else "")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


def wait_until_ready(program: subprocess.Popen[str], port: int) -> None:
    for _ in range(300):
        assert program.poll() is None, program.stderr and program.stderr.read()
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError


def _ended(program: subprocess.Popen[str]) -> int:
    program.send_signal(signal.SIGTERM)
    return program.wait(30)
