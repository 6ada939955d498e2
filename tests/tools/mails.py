"""Rows as the tests of mails need them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from db.campaigns import CampaignRow
from db.contacts import ContactRow

THEN = datetime(2026, 11, 1, tzinfo=UTC)


def campaign_row(
    name: str = "Lamp Week", description: str | None = None, start_date: date | None = None
) -> CampaignRow:
    return CampaignRow(
        campaign_id=UUID(int=2), name=name, description=description, start_date=start_date, status="draft",
        send_at=None, created_at=THEN,
    )  # fmt: skip


def contact_row(first_name: str | None = "Ada", note: str | None = "collects punched cards") -> ContactRow:
    return ContactRow(
        contact_id=UUID(int=3), email="ada@example.org", first_name=first_name, last_name="Lovelace", phone_number=None,
        description=note, status="subscribed", tags=["vip"], time_zone=None, created_at=THEN,
    )  # fmt: skip
