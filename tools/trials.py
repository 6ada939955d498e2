"""What a test of variants says: the figures side by side, the evidence, and what was decided on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from db import emails, variants
from db.emails import EmailRow
from db.pool import Connection
from db.variants import ArmRow, Outcome, VariantTestRow
from mail.significance import CONFIDENCE, Difference, strength, two_proportions
from mail.variants import BY_FIGURES, BY_RULE, ENOUGH, Verdict, did, judge
from tools.base import Context
from tools.dates import in_words
from tools.lists import cell

By = Literal["clicks", "conversions"]


class VariantFigures(BaseModel):
    """One variant: people, each once; machines left out."""

    variant: str
    subject: str
    delivered: int
    opened: int
    clicked: int
    converted: int
    open_share: float | None = None
    click_share: float | None = None
    conversion_share: float | None = None
    """None with too few mails for a rate."""

    @classmethod
    def of(cls, mail: EmailRow, arm: ArmRow) -> VariantFigures:
        def share(count: int) -> float | None:
            return count / arm.delivered if arm.delivered >= ENOUGH else None

        return cls(
            variant=mail.variant, subject=mail.subject, delivered=arm.delivered, opened=arm.opened,
            clicked=arm.clicked, converted=arm.converted, open_share=share(arm.opened), click_share=share(arm.clicked),
            conversion_share=share(arm.converted),
        )  # fmt: skip


class Trial(BaseModel):
    """Variants side by side, and what that says. Times are UTC."""

    variants: list[VariantFigures]
    """Of those who were in the test; without one, of all."""
    by: By = "clicks"
    share: int | None = None
    wait_hours: int | None = None
    decide_at: datetime | None = None
    """When the figures decide; None: not yet known, or there is nothing to decide."""
    waiting_for_a_person: bool = False
    decided_at: datetime | None = None
    decided_by: str | None = None
    chosen: str | None = None
    """What the others got."""
    verdict: Literal["winner", "no clear difference", "not enough data", "too early"]
    best: str | None = None
    p: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    """Of the best less the first of the others, in shares, with its 95 % interval."""
    confidence: int = round(CONFIDENCE * 100)
    enough: int = ENOUGH

    def text(self, zone: ZoneInfo) -> str:
        rows = ["| variant | subject | delivered | opened | clicked | converted |", "|---|---|---:|---:|---:|---:|"]
        rows += [
            f"| {one.variant} | {cell(one.subject, 60)} | {one.delivered:,} | {_of(one.opened, one.open_share)} | "
            f"{_of(one.clicked, one.click_share)} | {_of(one.converted, one.conversion_share)} |"
            for one in self.variants
        ]
        return "\n".join([*rows, "", " ".join(self._said(zone))])

    def _said(self, zone: ZoneInfo) -> list[str]:
        said = [self._evidence()]
        if self.chosen is not None and self.decided_by == BY_FIGURES:
            said.append(f"So the others got {self.chosen}.")
        elif self.chosen is not None and self.decided_by == BY_RULE:
            said.append(f"So the others got {self.chosen}, the first, as was approved.")
        elif self.chosen is not None:
            said.append(f"{self.decided_by} chose {self.chosen} for the others.")
        elif self.waiting_for_a_person:
            said.append("The others wait for a person: smartcampaign campaigns variants choose.")
        elif self.decide_at is not None:
            said.append(f"It is decided on {in_words(self.decide_at, zone)}.")
        return said

    def _evidence(self) -> str:
        what = self.by
        match self.verdict:
            case "winner":
                return f"{self.best} is clearly better by {what}: {self._difference()}."
            case "no clear difference" if self.best is None:
                return f"No clear difference by {what}: the shares are the same."
            case "no clear difference":
                return f"No clear difference by {what}: {self.best} is ahead by {self._difference()}."
            case "not enough data":
                return f"Not enough data to compare them: each needs {self.enough} delivered mails."
            case _:
                return "It is too early to compare them."

    def _difference(self) -> str:
        assert self.difference is not None
        assert self.p is not None
        sure = f", {strength(self.p)}" if self.verdict == "winner" else ""
        return (
            f"{100 * self.difference:+.1f} points ({100 * (self.low or 0):+.1f} to {100 * (self.high or 0):+.1f} at "
            f"{self.confidence} %{sure})"
        )


async def tried(db: Connection, ctx: Context, campaign_id: UUID) -> Trial | None:
    """The campaign's variants side by side; None where nobody got any but one and no test is set."""
    test = await variants.find(db, ctx.tenant.id, campaign_id)
    mails = await emails.templates(db, ctx.tenant.id, campaign_id)
    if len(mails) < 2:
        return None
    arms = await variants.arms(db, ctx.tenant.id, campaign_id, only_tested=test is not None)
    if test is None and len(arms) < 2:
        return None
    sides = _by_mail(mails, arms)
    verdict = await _verdict(db, ctx, campaign_id, test, mails, sides)
    return _trial(test, mails, sides, verdict)


def _by_mail(mails: Sequence[EmailRow], arms: Sequence[ArmRow]) -> list[ArmRow]:
    known = {arm.variant: arm for arm in arms}
    return [known.get(mail.variant, ArmRow(mail.variant)) for mail in mails]


async def _verdict(
    db: Connection, ctx: Context, campaign_id: UUID, test: VariantTestRow | None, mails: Sequence[EmailRow],
    arms: Sequence[ArmRow],
) -> Verdict | None:  # fmt: skip
    """What the figures said when the test ended, whatever came in later; None while it goes on.

    Looked at again and again until something shows, figures would find a winner by luck.
    """
    if test is None:
        return judge(arms, "click")
    if test.evidence is not None:
        return Verdict.kept(test.evidence)
    # Where nobody waits for a decision, the wait counts from the last mail.
    last = max((arm.last_sent_at for arm in arms if arm.last_sent_at), default=None)
    end = test.decide_at or (last + timedelta(hours=test.wait_hours) if last else None)
    if end is None or end > ctx.now():
        return None
    then = await variants.arms(db, ctx.tenant.id, campaign_id, only_tested=True, until=end)
    return judge(_by_mail(mails, then), test.outcome)


def _trial(
    test: VariantTestRow | None, mails: Sequence[EmailRow], arms: Sequence[ArmRow], verdict: Verdict | None
) -> Trial:
    outcome: Outcome = test.outcome if test else "click"
    gap = _gap(verdict, outcome) if verdict else None
    return Trial(
        variants=[VariantFigures.of(mail, arm) for mail, arm in zip(mails, arms, strict=True)],
        by="clicks" if outcome == "click" else "conversions",
        share=test.share if test else None, wait_hours=test.wait_hours if test else None,
        decide_at=test.decide_at if test and verdict is None else None,
        waiting_for_a_person=bool(test and test.asked_at and not test.decided_at),
        decided_at=test.decided_at if test else None, decided_by=test.decided_by if test else None,
        chosen=test.winner if test else None,
        verdict=verdict.kind if verdict else "too early", best=verdict.best if verdict else None,
        p=verdict.p if verdict else None, difference=gap.value if gap else None, low=gap.low if gap else None,
        high=gap.high if gap else None,
    )  # fmt: skip


def _gap(verdict: Verdict, outcome: Outcome) -> Difference | None:
    """By how much the best is before the next one."""
    if verdict.best is None or verdict.p is None:
        return None
    best = next(arm for arm in verdict.arms if arm.variant == verdict.best)
    others = [arm for arm in verdict.arms if arm.variant != verdict.best]
    second = max(others, key=lambda arm: did(arm, outcome) / arm.delivered)
    counts = [min(did(arm, outcome), arm.delivered) for arm in (best, second)]
    return two_proportions(counts[0], best.delivered, counts[1], second.delivered)


def _of(count: int, share: float | None) -> str:
    return f"{count:,}" if share is None else f"{count:,} ({100 * share:.1f} %)"
