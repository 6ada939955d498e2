"""What became of campaigns: exact figures from a known history, and only real differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from tests.conftest import NOW
from tests.tools.histories import happened, people, rolled_up, sent, unbacked
from tools.analytics import CampaignComparison, PerformanceSummary, compare_campaigns, summarize_performance
from tools.base import Context, Tenant
from tools.errors import BadDate, FutureSince, InvalidArguments, NoSuchCampaign, TooFewToCompare

WEEK_AGO = NOW - timedelta(days=7)
HOUR = timedelta(hours=1)


async def summary(ctx: Context, **arguments: str) -> PerformanceSummary:
    found = await summarize_performance.call(arguments, ctx)
    assert not unbacked(found), found.text()
    return found


async def comparison(ctx: Context, *names: str) -> CampaignComparison:
    found = await compare_campaigns.call({"campaigns": list(names)}, ctx)
    assert not unbacked(found), found.text()
    return found


async def test_every_figure_is_counted_once_a_person_and_machines_are_apart(ctx: Context) -> None:
    crowd = await people(ctx, 100)
    campaign = await sent(ctx, "Lamp Week", crowd, WEEK_AGO, opened=crowd[:40], clicked=crowd[:10])
    at = WEEK_AGO + 2 * HOUR
    await happened(
        ctx,
        campaign,
        [
            (crowd[0], "open", "human", at, None, None),  # again
            (crowd[40], "open", "unknown", at, None, None),  # counts as a person
            (crowd[50], "open", "machine", at, None, None),
            (crowd[50], "click", "machine", at, "https://shop.example/0", None),
            (crowd[51], "click", "machine", at, "https://shop.example/1", None),
            (crowd[0], "click", "human", at, "https://shop.example/1", None),
            (crowd[41], "click", "human", at, "https://shop.example/1", None),  # with pictures off: no open
            (crowd[0], "conversion", "human", at, None, Decimal("12.50")),
            (crowd[0], "conversion", "human", at, None, Decimal("7.25")),
            (crowd[60], "bounce", "machine", at, None, None),
            (crowd[61], "bounce", "machine", at, None, None),
            (crowd[1], "bounce", "machine", at, None, None),  # some auto-reply: the mail was opened
            (crowd[62], "unsubscribe", "human", at, None, None),
            (crowd[62], "unsubscribe", "human", at, None, None),
            (crowd[63], "complaint", "machine", at, None, None),
        ],
    )
    found = await summary(ctx, campaign="lamp week")
    f = found.figures
    assert (f.sent, f.bounced, f.delivered, f.failed) == (100, 2, 98, 0)
    assert (f.opened, f.clicked, f.converted) == (41, 11, 1)
    assert (f.total_clicks, f.conversions, f.value) == (12, 2, Decimal("19.75"))
    assert (f.unsubscribed, f.complained, f.machine_opens, f.machine_clicks) == (1, 1, 1, 2)
    assert f.open_rate is not None
    assert (f.open_rate.count, f.open_rate.of) == (41, 98)
    assert f.click_to_open is not None
    assert (f.click_to_open.count, f.click_to_open.of) == (10, 41)
    assert [(link.url[-1], link.people, link.clicks) for link in found.links] == [("0", 10, 10), ("1", 2, 2)]
    assert "41.8 % (41 of 98; 32.6 % to 51.7 %)" in found.text()
    assert "worth 19.75" in found.text()
    assert "(Europe/London)" in found.text()


async def test_the_roll_up_sums_to_the_same_and_may_run_again(ctx: Context) -> None:
    crowd = await people(ctx, 60)
    campaign = await sent(ctx, "Lamp Week", crowd, WEEK_AGO, opened=crowd[:20], clicked=crowd[:5], roll_up=False)
    at = WEEK_AGO + 30 * HOUR
    await happened(
        ctx,
        campaign,
        [
            (crowd[0], "open", "human", at, None, None),
            (crowd[0], "click", "human", at, "https://shop.example/0", None),
            (crowd[1], "conversion", "human", at, None, Decimal("5.00")),
            (crowd[1], "conversion", "human", at + HOUR, None, Decimal("5.00")),
            (crowd[30], "open", "machine", at, None, None),
            (crowd[31], "click", "machine", at, None, None),
            (crowd[32], "bounce", "machine", at, None, None),
            (crowd[0], "bounce", "machine", at, None, None),
            (crowd[33], "unsubscribe", "human", at, None, None),
            (crowd[34], "complaint", "human", at, None, None),
            (None, "click", "human", at, None, None),
        ],
    )
    for _ in range(2):
        await rolled_up(ctx, campaign)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        # An hour that no event belongs to any more (it was classified again) goes away.
        await db.execute(
            "INSERT INTO campaign_analytics (tenant_id, campaign_id, hour, email_opened_count) VALUES (%s, %s, %s, 9)",
            (ctx.tenant.id, campaign.id, (WEEK_AGO - 90 * HOUR).replace(minute=0)),
        )
    await rolled_up(ctx, campaign)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        row = await (
            await db.execute(
                "SELECT sum(email_sent_count), sum(email_opened_count), sum(link_clicked_count), "
                "sum(total_click_count), sum(conversions), sum(machine_open_count), sum(machine_click_count), "
                "sum(bounce_count), sum(complaint_count), sum(unsubscribe_count), count(*) FROM campaign_analytics"
            )
        ).fetchone()
    f = (await summary(ctx, campaign="Lamp Week")).figures
    counted = (
        f.sent, f.opened, f.clicked, f.total_clicks, f.converted, f.machine_opens, f.machine_clicks, f.bounced,
        f.complained, f.unsubscribed,
    )  # fmt: skip
    assert row is not None
    assert row[:10] == counted == (60, 20, 5, 7, 1, 1, 1, 1, 1, 1)
    # Sent, the first answers, what came the day after, and the second conversion an hour later.
    assert row[10] == 4


async def test_since_leaves_out_what_was_before(ctx: Context) -> None:
    crowd = await people(ctx, 50)
    campaign = await sent(ctx, "Lamp Week", crowd, WEEK_AGO, opened=crowd[:20])
    await happened(ctx, campaign, [(crowd[30], "open", "human", NOW - timedelta(days=2), None, None)])
    found = await summary(ctx, campaign="Lamp Week", since="2026-11-22")
    assert (found.figures.sent, found.figures.opened) == (50, 1)
    assert "Sun 22 November 2026, 00:00 (Europe/London)" in found.text()
    exact = await summary(ctx, campaign="Lamp Week", since="2026-11-23T12:00+01:00")
    assert exact.figures.opened == 0


async def test_without_a_campaign_all_that_sent_mail_since_are_summed_up(ctx: Context) -> None:
    crowd = await people(ctx, 40)
    await sent(ctx, "Old One", crowd, NOW - timedelta(days=60), opened=crowd[:30])
    await sent(ctx, "Lamp Week", crowd, WEEK_AGO, opened=crowd[:20])
    await sent(ctx, "Clock Clinic", crowd, WEEK_AGO + 24 * HOUR, opened=crowd[:10])
    found = await summary(ctx, since="2026-11-01")
    assert [campaign.campaign for campaign in found.campaigns] == ["Lamp Week", "Clock Clinic"]
    assert (found.figures.sent, found.figures.opened) == (80, 30)
    assert (await summary(ctx)).figures.sent == 120
    assert "No mail was sent since" in (await summary(ctx, since="2026-11-24")).text()


async def test_a_campaign_is_put_beside_the_median_of_the_earlier_ones(ctx: Context) -> None:
    crowd = await people(ctx, 200)
    for place, opens in enumerate((30, 40, 50)):
        at = NOW - timedelta(days=100 - place)
        await sent(ctx, f"Earlier {place}", crowd, at, opened=crowd[:opens], clicked=crowd[:10])
    await sent(ctx, "Later", crowd, NOW - timedelta(days=1), opened=crowd[:150], clicked=crowd[:150])
    await sent(ctx, "Lamp Week", crowd, WEEK_AGO, opened=crowd[:80], clicked=crowd[:11])
    found = (await summary(ctx, campaign="Lamp Week")).usual
    assert found is not None
    assert (found.campaigns, found.open_share, found.click_share) == (3, 0.2, 0.05)
    assert (found.opens, found.clicks) == ("above the usual", "about as usual")
    assert (await summary(ctx, campaign="Earlier 1")).usual is None


async def test_too_few_mails_make_no_rate(ctx: Context) -> None:
    crowd = await people(ctx, 29)
    await sent(ctx, "Lamp Week", crowd, NOW - 3 * HOUR, opened=crowd[:10])
    found = await summary(ctx, campaign="Lamp Week")
    assert found.figures.open_rate is None
    assert "10 of 29" in found.text()
    assert "Not enough data" in found.text()
    assert "%" not in found.text()
    assert "more will come in" in found.text()


async def test_what_was_never_sent_has_no_zeros_but_a_next_step(ctx: Context) -> None:
    at = NOW + timedelta(days=1)
    await sent(ctx, "Lamp Week", [], at, status="draft")
    assert "has not been sent yet (status: draft)" in (await summary(ctx, campaign="Lamp Week")).text()
    assert "No campaign has been sent yet" in (await summary(ctx)).text()


async def test_an_unknown_campaign_is_refused_with_the_nearest(ctx: Context) -> None:
    await sent(ctx, "Lamp Week", [], WEEK_AGO)
    with pytest.raises(NoSuchCampaign, match="Did you mean 'Lamp Week'"):
        await summarize_performance.call({"campaign": "Lmap Week"}, ctx)
    with pytest.raises(NoSuchCampaign, match="Did you mean 'Lamp Week'"):
        await compare_campaigns.call({"campaigns": ["Lamp Week", "Lmap Week"]}, ctx)


async def test_another_tenants_campaign_is_unknown(ctx: Context, new_tenant: Callable[..., Tenant]) -> None:
    other = dataclasses.replace(ctx, tenant=new_tenant("Other"))
    crowd = await people(other, 40)
    theirs = await sent(other, "Secret Sale", crowd, WEEK_AGO, opened=crowd[:30])
    messages = []
    for id in (theirs.id, uuid4()):
        with pytest.raises(NoSuchCampaign) as refused:
            await summarize_performance.call({"campaign": str(id)}, ctx)
        messages.append(str(refused.value).replace(str(id), ""))
        with pytest.raises(NoSuchCampaign):
            await compare_campaigns.call({"campaigns": [str(id), "Lamp Week"]}, ctx)
    assert messages[0] == messages[1]
    assert (await summary(ctx)).campaigns == []


@pytest.mark.parametrize(
    ("since", "refusal"),
    [
        ("last spring", BadDate),
        ("2026-13-01", BadDate),
        ("2027-01-01", FutureSince),
        ("9999-12-31", FutureSince),
        ("0001-01-01", InvalidArguments),
        ("0001-01-01T00:00+14:00", BadDate),
    ],
)
async def test_a_bad_since_is_refused_in_words(ctx: Context, since: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        await summarize_performance.call({"since": since}, ctx)


async def test_a_real_difference_is_found_and_chance_is_called_so(ctx: Context) -> None:
    crowd = await people(ctx, 400)
    await sent(ctx, "Lamp Week", crowd, WEEK_AGO, opened=crowd[:200], clicked=crowd[:60])
    await sent(ctx, "Clock Clinic", crowd, WEEK_AGO + HOUR, opened=crowd[:195], clicked=crowd[:20])
    found = await comparison(ctx, "Lamp Week", "Clock Clinic")
    click, opens, conversion = found.differences
    assert (click.better, click.worse) == ("Lamp Week", "Clock Clinic")
    assert click.difference == pytest.approx(0.1)
    assert (click.low, click.high) == pytest.approx((0.0591, 0.1421), abs=1e-4)
    assert click.verdict == "very strong evidence"
    assert not opens.is_clear
    assert not conversion.is_clear
    assert "clicked: Lamp Week more than Clock Clinic: 15.0 % against 5.0 %" in found.text()
    assert "no clear difference: 50.0 % against 48.8 %" in found.text()


async def test_a_winner_of_many_by_luck_is_none(ctx: Context) -> None:
    # 20 against 36 clicks of 400 would pass alone; among ten campaigns somebody always looks like that.
    crowd = await people(ctx, 400)
    names = []
    for place in range(10):
        clicks = {0: 20, 9: 36}.get(place, 27)
        names.append(f"Campaign {'ABCDEFGHIJ'[place]}")
        await sent(ctx, names[-1], crowd, WEEK_AGO + place * HOUR, clicked=crowd[:clicks])
    two = await comparison(ctx, names[0], names[9])
    ten = await comparison(ctx, *names)
    assert two.differences[0].p < 0.05
    assert ten.comparisons == len(ten.differences) == 135
    assert not any(pair.is_clear for pair in ten.differences)
    assert "no clear difference between any two of the 45 pairs" in ten.text()


async def test_those_with_too_few_mails_are_not_compared(ctx: Context) -> None:
    crowd = await people(ctx, 100)
    await sent(ctx, "Lamp Week", crowd, WEEK_AGO, clicked=crowd[:60])
    await sent(ctx, "Clock Clinic", crowd[:20], WEEK_AGO, clicked=[])
    await sent(ctx, "Draft", [], WEEK_AGO, status="draft")
    found = await comparison(ctx, "Lamp Week", "Clock Clinic", "Draft")
    assert found.not_enough == ["Clock Clinic", "Draft"]
    assert found.differences == []
    assert "not enough data" in found.text()
    assert "not sent (draft)" in found.text()


async def test_one_campaign_twice_is_no_comparison(ctx: Context) -> None:
    campaign = await sent(ctx, "Lamp Week", [], WEEK_AGO)
    for names in (["Lamp Week", str(campaign.id)], ["lamp week"], []):
        with pytest.raises(TooFewToCompare):
            await compare_campaigns.call({"campaigns": names}, ctx)
    with pytest.raises(InvalidArguments):
        await compare_campaigns.call({"campaigns": ["x"] * 11}, ctx)
