"""The built-in planner: classic language understanding, no language model."""

from agent.planner.contract import (
    ARGUMENTS,
    READS,
    Call,
    KnownCampaign,
    Memory,
    Situation,
    Understanding,
    remember,
)
from agent.planner.planner import Planner

__all__ = [
    "ARGUMENTS",
    "READS",
    "Call",
    "KnownCampaign",
    "Memory",
    "Planner",
    "Situation",
    "Understanding",
    "remember",
]
