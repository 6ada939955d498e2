"""Advice: what was planted is found, what is not there is not claimed, and every number is a fact."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pgvector import HalfVector

from db.embeddings import EmbeddingError
from tests.conftest import NOW
from tests.tools.histories import Sent, people, sent, unbacked
from tools.base import Context, Tenant
from tools.errors import NoSuchCampaign
from tools.evidence import SAMPLE, _share_of_ids, describe, links_of
from tools.insights import CampaignSuggestions, Improvements, suggest_campaigns, suggest_improvements

SHORT = "Chairs are here"
LONG = "All the chairs that we have mended since last year are in the window now, come and see"


async def advice(ctx: Context, campaign: str | None = None) -> Improvements:
    found = await suggest_improvements.call({"campaign": campaign}, ctx)
    assert not unbacked(found), (unbacked(found), found.text())
    return found


async def ideas(ctx: Context, goal: str | None = None) -> CampaignSuggestions:
    found = await suggest_campaigns.call({"goal": goal}, ctx)
    assert not unbacked(found), (unbacked(found), found.text())
    return found


def some(chance: random.Random, crowd: Sequence[UUID], share: float) -> list[UUID]:
    """Each of them with that chance."""
    return [person for person in crowd if chance.random() < share]


async def a_year(ctx: Context, *, early: float, late: float, spread: float = 0.02) -> list[Sent]:
    """Sixteen campaigns, half of them in the morning; weekdays, subjects, links vary without effect."""
    chance = random.Random(11)
    crowd = await people(ctx, 300)
    campaigns = []
    for place in range(16):
        morning = place % 2 == 0
        share = (early if morning else late) + chance.uniform(-spread, spread)
        day = datetime(2026, 1, 5, 9 if morning else 18, tzinfo=UTC) + timedelta(days=20 * place + place // 4)
        opened = some(chance, crowd, share)
        campaigns.append(
            await sent(
                ctx, f"Mailing {'ABCDEFGHIJKLMNOP'[place]}", crowd, day, opened=opened,
                clicked=some(chance, opened, 0.15), subjects=[(SHORT, LONG)[place // 2 % 2]],
                links=(1, 4)[place // 4 % 2],
            )
        )  # fmt: skip
    return campaigns


async def test_a_planted_hour_is_found_with_its_effect(ctx: Context) -> None:
    await a_year(ctx, early=0.5, late=0.3)
    found = await advice(ctx)
    assert [one.do for one in found.advice if one.findings[0].trait == "morning"] == ["Send before noon."]
    finding = next(f for one in found.advice for f in one.findings if f.outcome == "open")
    assert (finding.trait, finding.helps, finding.how, finding.better.campaigns) == ("morning", True, "between", 8)
    assert finding.low < 0.2 < finding.high
    assert finding.verdict == "very strong evidence"
    assert {one.findings[0].trait for one in found.advice} == {"morning"}
    assert "Send before noon.** Expected: +" in found.text()
    assert (found.campaigns, found.mails) == (16, 16 * 300)


async def test_advice_for_a_campaign_says_what_it_lacks_and_keeps_what_it_has(ctx: Context) -> None:
    campaigns = await a_year(ctx, early=0.5, late=0.3)
    early, late = await advice(ctx, campaigns[14].name), await advice(ctx, campaigns[15].name)
    assert ([one.do for one in early.keep], early.advice) == (["Send before noon."], [])
    assert ([one.do for one in late.advice], late.keep) == (["Send before noon."], [])
    assert late.campaign is not None
    assert late.usual is not None
    assert "Mailing P" in late.text()


async def test_where_nothing_works_nothing_is_advised(ctx: Context) -> None:
    await a_year(ctx, early=0.4, late=0.4, spread=0.06)
    found = await advice(ctx)
    assert found.advice == []
    assert found.unsupported
    assert "hold up no advice yet" in found.text()


async def test_a_trial_of_two_subjects_is_the_surest_evidence(ctx: Context) -> None:
    crowd = await people(ctx, 600)
    first, second = crowd[::2], crowd[1::2]
    await sent(
        ctx, "Trial", crowd, NOW - timedelta(days=9), opened=[*first[:180], *second[:90]], subjects=[SHORT, LONG]
    )  # fmt: skip
    found = await advice(ctx, "Trial")
    (one,) = found.advice
    (finding,) = one.findings
    assert (finding.trait, finding.how, finding.helps) == ("short", "trial", True)
    assert (finding.better.share, finding.worse.share, finding.difference) == pytest.approx((0.6, 0.3, 0.3))
    assert one.do == "Keep the subject to at most 45 characters."
    assert "Trial" in [example.campaign for example in finding.better.examples]


async def test_people_who_were_mailed_lately_are_compared_within_the_same_campaign(ctx: Context) -> None:
    crowd = await people(ctx, 800)
    tired, rested = crowd[:400], crowd[400:]
    at = NOW - timedelta(days=40)
    await sent(ctx, "First", tired, at)
    await sent(ctx, "Second", crowd, at + timedelta(days=13), opened=[*tired[:100], *rested[:200]])
    found = await advice(ctx)
    finding = next(f for one in found.advice for f in one.findings)
    assert (finding.trait, finding.how, finding.better.mails, finding.worse.mails) == ("rested", "inside", 400, 400)
    assert finding.difference == pytest.approx(0.25)


async def test_mails_a_fortnight_apart_do_not_tire(ctx: Context) -> None:
    crowd = await people(ctx, 200)
    at = NOW - timedelta(days=40)
    await sent(ctx, "First", crowd[:100], at, opened=crowd[:60])
    await sent(ctx, "Second", crowd, at + timedelta(days=14, minutes=1), opened=crowd[100:])
    found = await advice(ctx)
    assert "rested" in {gap.trait for gap in found.untested}


async def test_those_whom_it_is_about_are_found_by_meaning(ctx: Context) -> None:
    keen = await people(ctx, 100, "Collects and repairs old clocks and watches")
    others = await people(ctx, 400, "Grows vegetables on an allotment")
    crowd = [*others, *keen]
    await sent(
        ctx, "Clock Clinic", crowd, NOW - timedelta(days=30), opened=[*keen[:80], *others[:120]],
        clicked=[*keen[:40], *others[:20]], description="Bring your broken clock or watch to our clockmaker",
    )  # fmt: skip
    found = await advice(ctx)
    assert {(f.trait, f.outcome) for one in found.advice for f in one.findings} == {("near", "click"), ("near", "open")}
    assert found.advice[0].findings[0].outcome == "click"


async def test_the_same_keen_people_in_many_campaigns_are_no_crowd_of_witnesses(ctx: Context) -> None:
    # Five people of fifty decide everything, again and again: 60 mails, but five witnesses.
    crowd = await people(ctx, 100)
    tired, rested = crowd[:50], crowd[50:]
    for place in range(12):
        at = datetime(2026, 1, 7, 9, tzinfo=UTC) + timedelta(days=25 * place)
        await sent(ctx, f"Before {place}", tired, at)
        opened = [*rested[:6], *tired[:2]]
        await sent(ctx, f"After {place}", crowd, at + timedelta(days=5), opened=opened)
    found = await advice(ctx)
    finding = next(f for f in found.unsupported if (f.trait, f.outcome) == ("rested", "open"))
    assert finding.difference == pytest.approx(0.08)
    assert finding.p > 0.05


async def test_without_a_past_there_is_no_advice(ctx: Context) -> None:
    await sent(ctx, "Lamp Week", await people(ctx, 20), NOW - timedelta(days=9))
    found = await advice(ctx)
    assert (found.campaigns, found.advice) == (0, [])
    assert "not enough data for advice" in found.text()
    assert "has been sent yet" in (await ideas(ctx)).text()
    assert "not enough data for advice" in (await advice(ctx, "Lamp Week")).text()


async def test_another_tenants_past_and_campaign_are_not_there(ctx: Context, new_tenant: Callable[..., Tenant]) -> None:
    other = dataclasses.replace(ctx, tenant=new_tenant("Other"))
    theirs = await sent(other, "Secret Sale", await people(other, 50), NOW - timedelta(days=9))
    with pytest.raises(NoSuchCampaign):
        await suggest_improvements.call({"campaign": str(theirs.id)}, ctx)
    assert (await advice(ctx)).campaigns == 0
    assert "Secret" not in (await ideas(ctx, "a secret sale")).text()


async def three_campaigns(ctx: Context) -> None:
    crowd = [*await people(ctx, 8, "Collects old clocks and watches"), *await people(ctx, 8, "Grows roses")]
    for note in (
        "Plays the accordion in a ska band",
        "Pays late, wants invoices by post",
        "Runs a small hotel in Wales",
    ):
        crowd += await people(ctx, 36, note)
    at = NOW - timedelta(days=90)
    await sent(
        ctx, "Clock Clinic", crowd, at, opened=crowd[:50], clicked=crowd[:12],
        description="A morning for clocks and watches that have stopped. Bring yours.",
    )  # fmt: skip
    await sent(
        ctx, "Rose Day", crowd, at + timedelta(days=30), opened=crowd[:40], clicked=crowd[:30],
        description="Roses and garden plants at half price. Come early.",
    )  # fmt: skip
    await sent(ctx, "Price List", crowd, at + timedelta(days=60), opened=crowd[:30], description="Prices for trade.")


async def test_a_goal_finds_the_past_campaign_that_is_near_to_it(ctx: Context) -> None:
    await three_campaigns(ctx)
    found = await ideas(ctx, "repair wristwatches")
    first = found.suggestions[0]
    assert (first.like, first.brief.name, first.brief.audience) == (
        "Clock Clinic", "Clock Clinic again", "repair wristwatches",
    )  # fmt: skip
    assert first.audience_count == 8
    assert first.click_rate is not None
    assert (first.click_rate.count, first.click_rate.of) == (12, 124)
    assert "8 subscribed contacts match" in found.text()


async def test_without_a_goal_the_best_by_clicks_come_first(ctx: Context) -> None:
    await three_campaigns(ctx)
    found = await ideas(ctx)
    assert [one.like for one in found.suggestions] == ["Rose Day", "Clock Clinic", "Price List"]
    assert found.suggestions[0].brief.audience == "Roses and garden plants at half price"
    assert found.suggestions[0].audience_count == 8
    assert "clearly more clicks than usual" in found.suggestions[0].reason


async def test_a_name_that_is_taken_is_not_proposed(ctx: Context) -> None:
    await three_campaigns(ctx)
    await sent(ctx, "Rose Day Again", [], NOW, status="draft")
    assert (await ideas(ctx)).suggestions[0].brief.name == "Rose Day again, once more"


async def test_a_goal_like_nothing_before_is_called_a_first(ctx: Context) -> None:
    await three_campaigns(ctx)
    (only,) = (await ideas(ctx, "xylophone lessons")).suggestions
    assert only.like is None
    assert (only.brief.name, only.audience_count) == ("Xylophone lessons", 0)
    assert "this would be a first" in only.reason


async def test_without_meaning_the_best_by_clicks_are_given_and_it_is_said(ctx: Context) -> None:
    await three_campaigns(ctx)
    found = await ideas(dataclasses.replace(ctx, embedder=_Down()), "repair wristwatches")
    assert found.suggestions[0].like == "Rose Day"
    assert found.suggestions[0].audience_count is None
    assert "Meaning can't be compared right now" in found.text()


def test_traits_are_read_from_the_mail_and_the_tenants_time(ctx: Context) -> None:
    zone = ctx.tenant.zone
    at = datetime(2026, 7, 1, 11, 30, tzinfo=UTC)  # a Wednesday, half past twelve in London
    assert describe(UUID(int=1), "A", at, [], zone).traits == {"morning": 0, "midweek": 1}
    assert links_of("[a](https://x.example/1) [b](https://x.example/1) [stop]({{ unsubscribe_url }})") == {
        "https://x.example/1"
    }


def test_of_a_large_ledger_a_share_of_the_people_is_looked_at() -> None:
    assert _share_of_ids(SAMPLE, SAMPLE).int == 2**128 - 1
    assert _share_of_ids(SAMPLE, SAMPLE * 4).int >> 124 == 3


class _Down:
    name = "down"

    async def embed(self, texts: Sequence[str]) -> list[HalfVector]:
        raise EmbeddingError("no answer")
