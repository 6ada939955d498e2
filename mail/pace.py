"""How long to wait: leases, tries after a refusal, a server that is down."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Pace:
    """The times of the sending loop, in seconds. Tests make them short."""

    lease: float = 60
    """How long a begun row is nobody else's; renewed while it is held."""
    first_wait: float = 60
    """The least wait after a temporary refusal; doubled with each one (RFC 5321 4.5.4.1 asks for half an hour on the
    whole; greylisting servers want some minutes)."""
    longest_wait: float = 4 * 3600
    give_up: float = 72 * 3600
    """After the first try (RFC 5321 4.5.4.1: four to five days; a campaign is no letter)."""
    look: float = 1
    """Between two looks for campaigns that are due, and rows whose worker died."""
    first_rest: float = 5
    """The least rest of a server that can't be reached; doubled with each failure."""
    longest_rest: float = 300
    drain: float = 20
    """How long answers are waited for when the program is to stop."""

    def wait(self, attempts: int) -> timedelta:
        """How long until the next try, after `attempts` of them: at least `first_wait`, with full jitter above it."""
        spread = min(self.longest_wait, self.first_wait * 2 ** min(attempts - 1, 30))
        return timedelta(seconds=self.first_wait + random.random() * spread)  # noqa: S311 - no secret


class Rest:
    """Whether a server is worth a try: after failures it rests, longer each time, and then one mail tries it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0
        self._until = 0.0
        self.why: str | None = None

    def room(self, connections: int) -> int:
        """How many mails may go there now."""
        if self._failures == 0:
            return connections
        return 1 if time.monotonic() >= self._until else 0

    def succeeded(self) -> None:
        self._failures, self.why = 0, None

    def failed(self, why: str) -> None:
        """It took nothing. What fails while it rests already is the same failure."""
        self.why = why
        if time.monotonic() < self._until:
            return
        rest = min(self._pace.longest_rest, self._pace.first_rest * 2 ** min(self._failures, 30))
        self._failures += 1
        self._until = time.monotonic() + rest * (0.8 + 0.4 * random.random())  # noqa: S311 - no secret
