"""How a campaign tries variants of its mail, who gets which, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.emails import EmailRow
from db.pool import Connection
from db.queries import sql

Outcome = Literal["click", "conversion"]
Unclear = Literal["ask", "first"]

# When mails that wait for the end of a test are due: a time that never comes, and that every zone can write.
HELD = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class VariantTestRow:
    """The rule of a test, and how far it is. Times are UTC."""

    share: int
    """Percent of the recipients who get the variants; the others wait."""
    wait_hours: int
    outcome: Outcome
    unclear: Unclear
    decide_at: datetime | None
    asked_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    winner: str | None
    evidence: dict[str, Any] | None

    @property
    def rule(self) -> list[Any]:
        """What a person approves of it."""
        return [self.share, self.wait_hours, self.outcome, self.unclear]


@dataclass(frozen=True)
class ArmRow:
    """One variant: mails that arrived, and how many of their readers did something at least once."""

    variant: str
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    converted: int = 0
    last_sent_at: datetime | None = None


async def find(db: Connection, tenant: UUID, campaign_id: UUID) -> VariantTestRow | None:
    async with db.cursor(row_factory=class_row(VariantTestRow)) as cursor:
        await cursor.execute(sql("variants", "find"), {"tenant": tenant, "campaign_id": campaign_id})
        return await cursor.fetchone()


async def set_rule(
    db: Connection, tenant: UUID, campaign_id: UUID, *, share: int, wait_hours: int, outcome: Outcome, unclear: Unclear
) -> None:
    """Set the rule, over the one that was there."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "share": share, "wait_hours": wait_hours,
                  "outcome": outcome, "unclear": unclear}  # fmt: skip
    await db.execute(sql("variants", "set"), parameters)


async def drop_rule(db: Connection, tenant: UUID, campaign_id: UUID) -> bool:
    """Try nothing; say whether there was a rule."""
    return (await db.execute(sql("variants", "drop"), {"tenant": tenant, "campaign_id": campaign_id})).rowcount == 1


async def forget_allotment(db: Connection, tenant: UUID, campaign_id: UUID) -> None:
    """Nobody is in a test any more: before a campaign of which nothing has left is allotted anew."""
    await db.execute(sql("variants", "forget_allotment"), {"tenant": tenant, "campaign_id": campaign_id})


async def allot(
    db: Connection, tenant: UUID, campaign_id: UUID, test: VariantTestRow, templates: Sequence[EmailRow], *, again: bool
) -> None:
    """Say of each row that `deliveries.fill` wrote which variant it gets, and which rows wait.

    `again`: some mails have left, so the test stays as it was.
    """
    parameters: dict[str, Any] = {"tenant": tenant, "campaign_id": campaign_id}
    parameters |= {"emails": [mail.email_id for mail in templates], "letters": [mail.variant for mail in templates],
                   "held": HELD}  # fmt: skip
    if again:
        await db.execute(sql("variants", "allot_again"), parameters | {"winner": test.winner})
    else:
        await db.execute(sql("variants", "allot"), parameters | {"share": test.share})


async def is_out(db: Connection, tenant: UUID, campaign_id: UUID) -> bool:
    """Whether everybody in the test had their turn."""
    return await _is(db, "is_out", {"tenant": tenant, "campaign_id": campaign_id, "held": HELD})


async def is_holding(db: Connection, tenant: UUID, campaign_id: UUID) -> bool:
    """Whether any mail waits for the end of the test."""
    return await _is(db, "is_holding", {"tenant": tenant, "campaign_id": campaign_id, "held": HELD})


async def wait(db: Connection, tenant: UUID, campaign_id: UUID) -> datetime | None:
    """Begin the wait, if it has not begun; return when it ends."""
    row = await (await db.execute(sql("variants", "wait"), {"tenant": tenant, "campaign_id": campaign_id})).fetchone()
    return row[0] if row else None


async def is_over(db: Connection, tenant: UUID, campaign_id: UUID) -> bool:
    """Whether the wait has ended."""
    return await _is(db, "is_over", {"tenant": tenant, "campaign_id": campaign_id})


async def arms(
    db: Connection, tenant: UUID, campaign_id: UUID, *, only_tested: bool, until: datetime | None = None
) -> list[ArmRow]:
    """The variants side by side, by their letters; `only_tested`: of the test alone. What came after `until` is left
    out."""
    async with db.cursor(row_factory=class_row(ArmRow)) as cursor:
        parameters = {"tenant": tenant, "campaign_id": campaign_id, "only_tested": only_tested, "until": until}
        await cursor.execute(sql("variants", "arms"), parameters)
        return await cursor.fetchall()


async def ask(db: Connection, tenant: UUID, campaign_id: UUID, evidence: dict[str, Any]) -> None:
    """Note that the figures decided nothing and that a person is waited for."""
    parameters = {"tenant": tenant, "campaign_id": campaign_id, "evidence": Jsonb(evidence)}
    await db.execute(sql("variants", "ask"), parameters)


async def decide(
    db: Connection, tenant: UUID, campaign_id: UUID, winner: EmailRow, *, by: str, evidence: dict[str, Any] | None
) -> int:
    """Keep the decision and give the chosen mail to everybody who waited; return how many. The second does nothing."""
    # A million rows take longer than a query of a person may.
    await db.execute("SELECT set_config('statement_timeout', '30min', true)")
    parameters = {
        "tenant": tenant, "campaign_id": campaign_id, "winner": winner.variant, "by": by,
        "evidence": Jsonb(evidence) if evidence is not None else None,
    }  # fmt: skip
    if (await db.execute(sql("variants", "decide"), parameters)).rowcount != 1:
        return 0
    given = {"tenant": tenant, "campaign_id": campaign_id, "email_id": winner.email_id, "variant": winner.variant,
             "held": HELD}  # fmt: skip
    return (await db.execute(sql("variants", "release"), given)).rowcount


async def _is(db: Connection, name: str, parameters: dict[str, Any]) -> bool:
    row = await (await db.execute(sql("variants", name), parameters)).fetchone()
    return bool(row and row[0])
