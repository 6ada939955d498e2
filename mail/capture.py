"""The capture: where mail goes while no server is set up. It takes everything and sends nothing.

The mail itself is written by the sending loop, in the transaction that records the row as sent: what the outbox shows
and what the ledger says are the same.
"""

from __future__ import annotations

import time

from mail.smtp import Outcome

TAKEN = Outcome("sent", 250, "250 2.0.0 kept in the outbox, not sent")


class CaptureLine:
    """Stands where an SMTP connection would."""

    async def send(self, sender: str, recipient: str, message: bytes, until: float | None = None) -> Outcome:
        """Take the mail, if it is in time."""
        return TAKEN if until is None or time.monotonic() <= until else Outcome("late")

    async def close(self) -> None:
        """Nothing is open."""
