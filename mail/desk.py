"""What the sending loop knows of one tenant: campaigns under way, mails in flight, limits."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from db.deliveries import BEGINNING, BegunRow, Finished
from db.rates import Limit
from mail.letters import Letter, Letters
from mail.links import Links
from mail.outlets import Outlet
from mail.pace import Pace
from mail.smtp import Outcome


@dataclass(slots=True)
class Place:
    """Where one mail may leave, with the slots that it holds under rate limits."""

    outlet: Outlet
    slots: list[tuple[Limit, int]] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    """A row that has begun, on its way through a line."""

    desk: Desk
    place: Place
    row: BegunRow
    letters: Letters
    until: float
    """By the monotonic clock: later than this it must not leave."""
    renewed: float = field(default_factory=time.monotonic)
    letter: Letter | None = None
    finished: Finished | None = None
    """What the ledger is to be told, once it is known."""
    bounced: str | None = None
    """The answer that says that the address is nobody's."""

    @property
    def outlet(self) -> Outlet:
        return self.place.outlet

    @property
    def key(self) -> tuple[UUID, UUID]:
        return self.row.campaign_id, self.row.contact_id

    def end(self, outcome: Outcome, pace: Pace) -> None:
        """Work out what the ledger is to be told."""
        if outcome.kind == "refused" and outcome.is_hard:
            self.bounced = outcome.text
        match outcome.kind:
            case "sent":
                self.finished = self._is("sent", outcome)
            case "refused":
                self.finished = self._is("failed", outcome)
            case "later":
                self.finished = self._is("ready", outcome, pace.wait(self.row.attempts))
            case "unknown" if self._may_go_again():
                self.finished = self._is("ready", outcome, pace.wait(self.row.attempts))
            case "unknown":
                self.finished = self._is("unknown", outcome)
            case "unreachable" | "late":
                self.finished = self._is("ready", outcome, timedelta(0), returned=True)

    def _may_go_again(self) -> bool:
        trip = self.desk.trips.get(self.row.campaign_id)
        return trip is not None and trip.on_crash == "resend"

    def _is(
        self, state: Literal["sent", "failed", "ready", "unknown"], outcome: Outcome, wait: timedelta | None = None, *,
        returned: bool = False,
    ) -> Finished:  # fmt: skip
        row = self.row
        return Finished(
            row.campaign_id, row.contact_id, row.attempts, state,
            reason=None if state == "sent" else outcome.text, code=outcome.code,
            answer=outcome.text if outcome.code else None, wait=wait, returned=returned,
            message_id=self.letter.message_id if self.letter else None,
        )  # fmt: skip


@dataclass
class Trip:
    """How far this program has come in one campaign."""

    letters: Letters
    on_crash: str
    read_at: float
    after: tuple[datetime, UUID] = BEGINNING
    quiet_until: float = 0.0
    """Nothing was due; not looked at again before."""
    told: str | None = None
    """The reason that the campaign's row shows."""
    tests: bool = False
    """Whether it tries variants: where nothing is due, a wait may be over."""


class Desk:
    """One tenant's part of the loop."""

    def __init__(self, tenant: UUID) -> None:
        self.tenant = tenant
        self.trips: dict[UUID, Trip | None] = {}
        """The campaigns under way; None before their letters are read."""
        self.answered: list[Job] = []
        """Jobs that are over and not recorded yet."""
        self.held: dict[tuple[UUID, UUID], Job] = {}
        """Jobs that have begun and are not recorded yet, those above among them."""
        self.limit: Limit | None = None
        self.links: Links | None = None
        self.day: date | None = None
        self.left_of_day = 0
        self.portion_until = 0.0
        self.capped_until = 0.0
        self.next_look = 0.0
        self.rests_until = 0.0
        self.in_doubt = False
        """A COMMIT may or may not have happened: rows may be begun that we never heard of."""

    def rests(self, now: float) -> bool:
        """Whether it is left alone for a while, after an error that nobody foresaw."""
        return now < self.rests_until

    def next_campaign(self, now: float) -> UUID | None:
        """The next one in turn that may have something due."""
        for campaign_id, trip in self.trips.items():
            if trip is None or trip.quiet_until <= now:
                # To the end of the queue: campaigns share the lines.
                self.trips[campaign_id] = self.trips.pop(campaign_id)
                return campaign_id
        return None
