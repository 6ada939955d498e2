"""What a web door brings to the app: its routes, and what runs while the app does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from starlette.routing import BaseRoute


@dataclass(frozen=True)
class Door:
    """One door of `smartcampaign serve`. `running` is entered when the app starts and left when it stops."""

    routes: Sequence[BaseRoute]
    running: Callable[[], AbstractAsyncContextManager[None]] | None = None
