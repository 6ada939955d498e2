"""Schemathesis against the OpenAPI description: made-up requests, right and wrong, over real HTTP.

A short run is in the gate; `make fuzz` runs longer, with sequences of requests.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.interfaces.api.conftest import served
from tools import BY_NAME
from tools.base import Context

CONFIG = Path(__file__).with_name("schemathesis.toml")
SHORT = ("--phases", "fuzzing", "--max-examples", "6", "--seed", "1")
LONG = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "25")


@pytest.mark.slow
async def test_schemathesis_finds_nothing(ctx: Context) -> None:
    await BY_NAME["create_contact"].call({"email": "ada@example.org", "description": "clocks"}, ctx)
    await BY_NAME["create_campaign"].call({"name": "Lamp Week", "audience": "everyone"}, ctx)
    await BY_NAME["draft_email"].call({"campaign": "Lamp Week"}, ctx)
    async with served(ctx) as house:
        run = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"), "--config-file", str(CONFIG), "run",
            f"{house.url}/api/openapi.json", "-H", f"Authorization: Bearer {house.keys['owner']}", "--warnings", "off",
            "--request-timeout", "30", *(LONG if os.environ.get("FUZZ") == "long" else SHORT),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await run.communicate()
    assert run.returncode == 0, out.decode()[-20_000:]
