"""What one person's events add to the roll-up: each person once, in the hour of the first open, click and so on.

The same as the query `recount` of db/sql/queries/analytics.sql, for one person; tests hold the two together. Whoever
changes a person's events takes away what they added before and adds what they add now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from db.analytics import HourRow, LinkCountRow


class Counted(NamedTuple):
    """An event as far as it counts."""

    kind: str
    at: datetime
    who: str
    url: str | None = None
    value: Decimal | None = None


# What is counted once a person; opens, clicks and conversions of machines are nobody's.
_ONCE = {
    "open": "email_opened_count",
    "click": "link_clicked_count",
    "conversion": "conversions",
    "complaint": "complaint_count",
    "unsubscribe": "unsubscribe_count",
}

_PLACES = {field.name: place for place, field in enumerate(fields(HourRow)[1:])}
_NOTHING = [getattr(HourRow(datetime.min), name) for name in _PLACES]


class Difference:
    """What is to be added to the roll-up; grows person by person."""

    def __init__(self) -> None:
        self._hours: dict[tuple[UUID, datetime], list[int | Decimal | None]] = {}
        self._links: dict[tuple[UUID, str], list[int]] = {}

    def add(self, campaign: UUID, state: str, events: Iterable[Counted], sign: int = 1) -> None:
        """Add (sign 1) or take away (-1) what a person's events in one campaign count; `state` is the ledger's."""
        first: dict[str, datetime] = {}
        links: dict[str, int] = {}
        for kind, at, who, url, value in events:
            if who == "machine" and kind in ("open", "click", "conversion"):
                if kind != "conversion":
                    self._add(campaign, at, f"machine_{kind}_count", sign)
                if kind == "click" and url is not None:
                    self._link(campaign, url)[2] += sign
                continue
            if kind not in first or at < first[kind]:
                first[kind] = at
            if kind == "click":
                self._add(campaign, at, "total_click_count", sign)
                if url is not None:
                    links[url] = links.get(url, 0) + 1
            elif kind == "conversion":
                self._add(campaign, at, "total_conversion_count", sign)
                if value is not None:
                    self._add(campaign, at, "conversion_value", sign * value)
        for kind, at in first.items():
            if kind in _ONCE:
                self._add(campaign, at, _ONCE[kind], sign)
        for url, clicks in links.items():
            counts = self._link(campaign, url)
            counts[0] += sign
            counts[1] += sign * clicks
        opened, clicked, bounced = first.get("open"), first.get("click"), first.get("bounce")
        if opened is not None and clicked is not None:
            self._add(campaign, max(opened, clicked), "opened_and_clicked_count", sign)
        elif bounced is not None and opened is None and clicked is None and state == "sent":
            self._add(campaign, bounced, "bounce_count", sign)

    def hours(self) -> list[tuple[UUID, HourRow]]:
        """The campaigns' hours in which something is to be added."""
        rows = ((campaign, HourRow(hour, *counts)) for (campaign, hour), counts in sorted(self._hours.items()))  # type: ignore[arg-type]
        return [(campaign, row) for campaign, row in rows if not row.is_empty()]

    def links(self) -> list[tuple[UUID, LinkCountRow]]:
        """The campaigns' links to which something is to be added."""
        return [
            (campaign, LinkCountRow(url, *counts))
            for (campaign, url), counts in sorted(self._links.items())
            if any(counts)
        ]

    def _add(self, campaign: UUID, at: datetime, what: str, many: int | Decimal) -> None:
        key = campaign, at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        counts = self._hours.get(key)
        if counts is None:
            counts = self._hours[key] = list(_NOTHING)
        counts[_PLACES[what]] += many  # type: ignore[operator]

    def _link(self, campaign: UUID, url: str) -> list[int]:
        return self._links.setdefault((campaign, url), [0, 0, 0])
