"""From a clause and its tool to the call: one function a tool, in a file a noun."""

from agent.planner.slots.common import Filled, Request
from agent.planner.slots.fill import fill

__all__ = ["Filled", "Request", "fill"]
