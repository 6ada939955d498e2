"""What the settings say of the language model. Apart from `agent.models`, which is slow to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["native", "json-schema"]


@dataclass(frozen=True)
class ModelChoice:
    """`name` None: the built-in planner."""

    name: str | None = None
    base_url: str | None = None
    api_key: str = "none"
    mode: Mode = "native"
    timeout: float = 120
    confirm_writes: bool = True
