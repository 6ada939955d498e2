"""Interleaved runs of several contestants, and the table of their medians."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from db.embedded import EmbeddedServer
from db.migrate import migrate


@dataclass(frozen=True)
class Contestant:
    """One way to do the work; `run` returns the seconds of one round."""

    name: str
    run: Callable[[], Awaitable[float]]


async def interleaved(contestants: list[Contestant], rounds: int) -> dict[str, float]:
    """The median seconds of each, over rounds in which everybody runs once: the machine's moods hit all alike."""
    times: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for contestant in contestants:
        await contestant.run()  # warm: imports, plans, caches
    for number in range(rounds):
        # Every round begins with another one, so that nobody always follows the same neighbour.
        for contestant in contestants[number % len(contestants) :] + contestants[: number % len(contestants)]:
            times[contestant.name].append(await contestant.run())
    return {name: statistics.median(values) for name, values in times.items()}


@contextmanager
def throw_away_server() -> Iterator[str]:
    """The URL of a migrated, empty database on an embedded server of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="sc-bench-", ignore_cleanup_errors=True) as folder,
        EmbeddedServer(Path(folder) / "postgres") as server,
    ):
        migrate(server.url())
        yield server.url()


def line(name: str, seconds: float, steps: int, note: str = "") -> str:
    return f"{name:<44} {seconds * 1000:9.1f} ms {seconds * 1000 / steps:8.2f} ms a step  {note}".rstrip()
