"""Speech acts: whether a piece asks for something to be done now.

What was done already, what is not to be done, what might be done some day, what somebody said:
all of that speaks of our work in its own words and wants nothing. Reading may go on; a write
may not come of it.
"""

from __future__ import annotations

from agent.planner.patterns import rule
from agent.planner.text import fold

_REMARKS = [rule(f"acts_{name}") for name in ("past", "not", "maybe", "quoted")]
_CONDITION = rule("acts_condition")
_HYPOTHETICAL = rule("acts_hypothetical")


def is_remark(said: str) -> bool:
    """Told, denied, imagined or quoted; not wanted now."""
    folded = fold(said)
    return any(remark.search(folded) for remark in _REMARKS)


def is_conditional(said: str) -> bool:
    """ "If it rains, cancel it": nobody here waits for rain. "If possible" is only polite."""
    return bool(_CONDITION.match(fold(said)))


def is_hypothetical(said: str) -> bool:
    """ "If we wrote every day, would people mind?": thought, not wanted."""
    return bool(_HYPOTHETICAL.match(fold(said)))
