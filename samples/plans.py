"""Past campaigns as campaigns.yaml plans them, and the causes that make their figures differ."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from samples.entities import SampleContact

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
REST = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was sent to whom, and when. `subjects` has one entry, or two when two were tried."""

    name: str
    description: str
    sent_at: datetime
    local_hour: int
    weekday: str
    audience: str
    everyone: bool
    by_topic: bool
    tags: frozenset[str]
    topic: tuple[str, ...]
    subjects: tuple[str, ...]
    body: str

    @property
    def links(self) -> list[str]:
        """The pages that the mail links to, in its order, without the unsubscribe link."""
        return re.findall(r"]\((https://[^)]+)\)", self.body)

    def fits(self, contact: SampleContact) -> bool:
        """Say whether the subject of the mail is one that this contact's note or tags speak of."""
        text = " ".join((contact.description, *contact.tags)).lower()
        return not self.tags.isdisjoint(contact.tags) or any(word in text for word in self.topic)

    def addresses(self, contact: SampleContact) -> bool:
        """Say whether the contact is in the audience, leaving aside whether they have left since."""
        if contact.status == "unconfirmed" or contact.created_at > self.sent_at:
            return False
        chosen = self.fits(contact) if self.by_topic else not self.tags.isdisjoint(contact.tags)
        return self.everyone or chosen


def read_plan(entry: dict[str, Any], zone: ZoneInfo, now: datetime) -> Plan:
    """Turn one entry of campaigns.yaml into a plan whose time lies the given weeks before `now`."""
    monday = (now.astimezone(zone) - timedelta(days=now.astimezone(zone).weekday())).date()
    day = monday + timedelta(weeks=-entry["weeks_ago"], days=WEEKDAYS.index(entry["weekday"]))
    audience = entry["audience"]
    return Plan(
        name=entry["name"],
        description=entry["description"],
        sent_at=datetime.combine(day, time(entry["hour"]), zone).astimezone(UTC),
        local_hour=entry["hour"],
        weekday=entry["weekday"],
        audience=audience["words"],
        everyone=audience.get("everyone", False),
        by_topic=audience.get("topic", False),
        tags=frozenset(audience.get("tags", ())),
        topic=tuple(entry["topic"]),
        subjects=tuple(entry[key] for key in ("subject", "subject_b") if key in entry),
        body=entry["body"],
    )


@dataclass(frozen=True, slots=True)
class Year:
    """All campaigns of the year with the causes that move their figures."""

    plans: list[Plan]
    causes: dict[str, dict[str, Any]]  # as campaigns.yaml has them

    def chance(self, outcome: str, plan: Plan, subject: str, contact: SampleContact) -> float:
        """Return how likely `open`, `click` or `convert` is, or how strong the wish to `leave`."""
        chance = float(self.causes["base"][outcome])
        for cause, helps in self._causes_of(plan, subject, contact):
            helping, hurting = self.causes[cause].get(outcome, (1.0, 1.0))
            chance *= helping if helps else hurting
        return chance

    def _causes_of(self, plan: Plan, subject: str, contact: SampleContact) -> Iterator[tuple[str, bool]]:
        yield "morning", plan.local_hour < 12
        yield "midweek", plan.weekday in WEEKDAYS[1:4]
        # What people see is the rendered subject: a merge tag takes about the room of a name.
        yield "short", len(re.sub(r"{{.*?}}", "Margery", subject)) <= 45
        yield "personal", "contact." in subject + plan.body
        yield "focused", len(plan.links) <= 2
        yield "fitting", plan.fits(contact)
        yield "rested", self._is_rested(plan, contact)

    def _is_rested(self, plan: Plan, contact: SampleContact) -> bool:
        gaps = (plan.sent_at - other.sent_at for other in self.plans if other.addresses(contact))
        return not any(timedelta(0) < gap <= REST for gap in gaps)
