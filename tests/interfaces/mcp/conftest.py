"""The running server of the REST tests, with its fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from interfaces import mcp_http, web
from tests.interfaces.api.conftest import house, other
from tests.mail.test_send import live

__all__ = ["house", "live", "other"]


@pytest.fixture(autouse=True, scope="package")
def unhurried() -> Iterator[None]:
    """Tests ask faster than anybody may; the limits have a test of their own."""
    lenient = partial(mcp_http.door, per_minute=100_000, wrong_per_minute=100_000)
    kept = web.DOORS
    web.DOORS = tuple(lenient if door is mcp_http.door else door for door in kept)
    yield
    web.DOORS = kept
