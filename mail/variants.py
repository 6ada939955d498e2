"""The test of variants on its way: the wait, the decision, and the mail that the others get.

A variant wins when the figures of the test, looked at once, say so at 95 %: Fisher's exact test on people who clicked
(or bought) against those who got the mail, the best against every other, corrected for the pairs after Holm. So equal
variants are called a winner in one test of twenty at most. Where the figures say nothing, nothing is made up: a person
is asked, or the first one goes out, as was approved (docs/decisions/0018-variants.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, Literal
from uuid import UUID

from db import campaigns, emails, variants
from db.pool import Connection, Database
from db.variants import ArmRow, Outcome, VariantTestRow
from mail import start
from mail.significance import ALPHA, fisher, holm

# With fewer mails than this a variant's rate says next to nothing.
ENOUGH = 30

# Who has decided, where no person has.
BY_FIGURES, BY_RULE = "the figures", "the rule"


@dataclass(frozen=True)
class Verdict:
    """What the figures say of a test."""

    kind: Literal["winner", "no clear difference", "not enough data"]
    arms: tuple[ArmRow, ...]
    best: str | None = None
    """The one with the highest share, whether or not that is clear; None where it is shared or there is too little."""
    p: float | None = None
    """The chance of its least difference to another where there is none, corrected for the pairs."""

    def evidence(self) -> dict[str, Any]:
        """As it is kept with the decision."""
        arms = [{name: value for name, value in asdict(arm).items() if name != "last_sent_at"} for arm in self.arms]
        return {"kind": self.kind, "best": self.best, "p": self.p, "arms": arms}

    @classmethod
    def kept(cls, evidence: dict[str, Any]) -> Verdict:
        """What `evidence` gave."""
        arms = tuple(ArmRow(**arm) for arm in evidence["arms"])
        return cls(evidence["kind"], arms, evidence["best"], evidence["p"])


def judge(arms: Sequence[ArmRow], outcome: Outcome) -> Verdict:
    """Whether one variant is clearly better than every other."""
    all_arms = tuple(arms)
    if len(arms) < 2 or min(arm.delivered for arm in arms) < ENOUGH:
        return Verdict("not enough data", all_arms)
    counts = {arm.variant: min(did(arm, outcome), arm.delivered) for arm in arms}
    of = {arm.variant: arm.delivered for arm in arms}
    best, second = sorted(counts, key=lambda variant: (-counts[variant] / of[variant], variant))[:2]
    if counts[best] * of[second] == counts[second] * of[best]:
        return Verdict("no clear difference", all_arms, None, 1.0)
    pairs = list(combinations(counts, 2))
    corrected = holm([fisher(counts[one], of[one], counts[other], of[other]) for one, other in pairs])
    p = max(p for pair, p in zip(pairs, corrected, strict=True) if best in pair)
    return Verdict("winner" if p < ALPHA else "no clear difference", all_arms, best, p)


def did(arm: ArmRow, outcome: Outcome) -> int:
    """How many of an arm's readers did what decides."""
    return arm.clicked if outcome == "click" else arm.converted


async def advance(database: Database, tenant: UUID, campaign_id: UUID) -> str | None:
    """Bring a campaign's test forward, where nothing of it is due: begin the wait, or decide. Returns what happened, as
    the end of a sentence, or None.

    One transaction that holds the campaign: of two workers one decides, and after a crash in it nothing is decided yet.
    """
    async with database.transaction(tenant) as db:
        row = await campaigns.find_for_change(db, tenant, campaign_id)
        test = await variants.find(db, tenant, campaign_id)
        if row is None or row.status != "sending" or test is None or test.decided_at or test.asked_at:
            return None
        if not await variants.is_holding(db, tenant, campaign_id):
            return None
        if test.decide_at is None:
            if not await variants.is_out(db, tenant, campaign_id):
                return None
            await variants.wait(db, tenant, campaign_id)
            return f"the test is out; what comes back in {_hours(test.wait_hours)} decides"
        if not await variants.is_over(db, tenant, campaign_id):
            return None
        return await _decide(db, tenant, campaign_id, test)


async def _decide(db: Connection, tenant: UUID, campaign_id: UUID, test: VariantTestRow) -> str:
    verdict = judge(await variants.arms(db, tenant, campaign_id, only_tested=True), test.outcome)
    now = datetime.now(UTC)
    if verdict.kind != "winner" and test.unclear == "ask":
        await variants.ask(db, tenant, campaign_id, verdict.evidence())
        await start.record(db, tenant, campaign_id, "ask which variant", "done", now)
        return f"the test of variants ended with {verdict.kind}, and a person is asked"
    templates = {mail.variant: mail for mail in await emails.templates(db, tenant, campaign_id)}
    assert templates, "its texts can't be changed on its way"
    by = BY_FIGURES if verdict.kind == "winner" else BY_RULE
    letter = verdict.best if verdict.kind == "winner" and verdict.best else min(templates)
    people = await variants.decide(db, tenant, campaign_id, templates[letter], by=by, evidence=verdict.evidence())
    await start.record(db, tenant, campaign_id, "choose variant", "done", now)
    return f"variant {letter} goes to the other {people:,} ({verdict.kind})"


def _hours(count: int) -> str:
    return f"{count} hour{'' if count == 1 else 's'}"
