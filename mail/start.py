"""From an approved campaign to one that is being sent, and from there to its end.

An approval has written the ledger: who gets the mail and who is left out. At the due time the people and the content
must still be what the person saw; else nothing leaves and the campaign is a draft again, with the reason.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from db import audit, campaigns, deliveries, emails, tenants, variants
from db.pool import Connection, Database
from db.tenants import TenantRow
from db.variants import VariantTestRow

# What comes back later than this is little; the campaign counts as completed then.
COMPLETED_AFTER = timedelta(days=7)

# Who the audit log says has done it.
WORKER = "worker"


def content_fingerprint(content_hash: str, tenant: TenantRow, test: VariantTestRow | None) -> str:
    """SHA-256 over every mail of a campaign (`emails.content`), its sender, and how variants are tried."""
    whole: list[Any] = [content_hash, tenant.sender_name, tenant.sender_email]
    if test is not None:
        whole.append(test.rule)
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


async def content_of(db: Connection, tenant: UUID, campaign_id: UUID) -> str:
    """The fingerprint of the campaign's content as it is now."""
    row = await tenants.find(db, tenant)
    assert row is not None, "the transaction's tenant is there"
    content = await emails.content(db, tenant, campaign_id)
    return content_fingerprint(content.hash, row, await variants.find(db, tenant, campaign_id))


async def start(database: Database, tenant: UUID, campaign_id: UUID) -> bool:
    """Begin to send a campaign that is due; say whether it began. It is a draft again when it is not what was approved.

    One transaction, with its line in the audit log; of two workers one starts it.
    """
    async with database.transaction(tenant) as db:
        await db.execute("SELECT set_config('statement_timeout', '10min', true)")
        row = await campaigns.find_for_change(db, tenant, campaign_id)
        if row is None or row.status != "scheduled":
            return False
        now = datetime.now(UTC)
        difference = await difference_to_approved(db, tenant, campaign_id)
        if difference:
            await campaigns.move(db, tenant, campaign_id, "draft", at=now)
            await campaigns.explain(
                db, tenant, campaign_id,
                f"It was not sent, because it was changed after it was approved: {difference}. Ask to send it again.",
            )  # fmt: skip
        else:
            await campaigns.move(db, tenant, campaign_id, "sending", at=now)
            await campaigns.explain(db, tenant, campaign_id, None)
            await emails.mark_sent(db, tenant, campaign_id, now)
        await record(db, tenant, campaign_id, "start", "refused: changed" if difference else "done", now)
        return not difference


async def finish(database: Database, tenant: UUID, campaign_id: UUID) -> bool:
    """End a campaign of which nothing waits and nothing is in flight; say whether that was so."""
    async with database.transaction(tenant) as db:
        row = await campaigns.find_for_change(db, tenant, campaign_id)
        if row is None or row.status != "sending" or await deliveries.is_under_way(db, tenant, campaign_id):
            return False
        now = datetime.now(UTC)
        await campaigns.finish(db, tenant, campaign_id, at=now)
        unknown = await deliveries.count_unknown(db, tenant, campaign_id)
        await campaigns.explain(db, tenant, campaign_id, about_unknown(unknown, row.name) if unknown else None)
        await record(db, tenant, campaign_id, "finish", "done", now)
        return True


async def stop(database: Database, tenant: UUID, campaign_id: UUID, why: str) -> None:
    """Pause a campaign that can't go on, with the reason."""
    async with database.transaction(tenant) as db:
        now = datetime.now(UTC)
        if await campaigns.move(db, tenant, campaign_id, "paused", at=now):
            await campaigns.explain(db, tenant, campaign_id, why)
            await record(db, tenant, campaign_id, "pause", "done", now)


async def complete(database: Database, tenant: UUID, after: timedelta = COMPLETED_AFTER) -> None:
    """Call campaigns completed whose last mail left longer than `after` ago."""
    async with database.transaction(tenant) as db:
        for campaign_id in await campaigns.settled(db, tenant, after):
            now = datetime.now(UTC)
            await campaigns.move(db, tenant, campaign_id, "completed", at=now)
            await record(db, tenant, campaign_id, "complete", "done", now)


async def record(db: Connection, tenant: UUID, campaign_id: UUID, what: str, outcome: str, at: datetime) -> None:
    """A line in the audit log about what a worker did by itself."""
    await audit.add(
        db, tenant, at=at, actor=WORKER, role="owner", door=WORKER, tool=what, effect="send", outcome=outcome,
        arguments={}, subjects=[campaign_id], conversation_id=None,
    )  # fmt: skip


async def difference_to_approved(db: Connection, tenant: UUID, campaign_id: UUID) -> str:
    """What of the campaign is not as it was approved, in words; empty when all of it is."""
    said = []
    facts = await campaigns.sending_facts(db, tenant, campaign_id)
    if facts is None or await content_of(db, tenant, campaign_id) != facts.content_fingerprint:
        tests = facts is not None and facts.tests_variants
        said.append("the text, the sender or the test of variants" if tests else "the text or the sender")
    drift = await deliveries.drift(db, tenant, campaign_id)
    if drift.added:
        said.append(f"{drift.added:,} more {_people(drift.added)}")
    if drift.removed:
        said.append(f"{drift.removed:,} {_people(drift.removed)} taken out")
    if drift.readdressed:
        said.append(f"{drift.readdressed:,} with another address")
    return ", ".join(said)


def _people(count: int) -> str:
    return "person" if count == 1 else "people"


def about_unknown(count: int, name: str) -> str:
    """What a person can do about mails that were in flight."""
    mails = "mail was" if count == 1 else "mails were"
    return (
        f"{count:,} {mails} in flight when a worker stopped, so nobody knows whether they arrived. Decide with: "
        f"smartcampaign campaigns unknown '{name}' --resend, or --settle to count them as sent."
    )
