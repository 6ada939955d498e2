"""Variants from the idea to the winner: what is approved, who gets which, who waits, and who decides."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from db import analytics, bulk
from db import variants as variant_rows
from mail import start
from mail import variants as mail_variants
from mail.send import Sender
from tests.mail.test_send import approve, live, make_campaign, now, rows, sender, states
from tests.tools.histories import unbacked
from tools import BY_NAME, approvals, variants
from tools import deliveries as to_deliveries
from tools.analytics import PerformanceSummary
from tools.approvals import ApprovalAsked
from tools.base import Actor, Context
from tools.errors import (
    ApprovalOutdated,
    CampaignClosed,
    HasBegun,
    InvalidArguments,
    NoSuchVariant,
    NotAllowed,
    NothingToChoose,
    OneMailOnly,
    TestsAndZones,
    TooManyVariants,
)

__all__ = ["live"]

FAIR = {"campaign": "Harvest Fair"}


async def with_variants(ctx: Context, people: int, *subjects: str, **rule: Any) -> UUID:
    """A campaign with a variant for each further subject, and with a test of them."""
    campaign = await make_campaign(ctx, people)
    for subject in subjects or ("Oak, cheaper",):
        await BY_NAME["add_variant"].call(FAIR | {"subject": subject}, ctx)
    await BY_NAME["set_variant_test"].call(FAIR | rule, ctx)
    return campaign


async def send(ctx: Context, *workers: Sender) -> None:
    """Send what is due, until nothing is."""
    async with asyncio.timeout(60):
        await asyncio.gather(*(worker.run_once() for worker in workers or (sender(ctx),)))


async def over(ctx: Context) -> None:
    """The wait has passed."""
    await rows(ctx, "UPDATE variant_tests SET decide_at = now() - interval '1 minute' WHERE decide_at IS NOT NULL"
                    " RETURNING 1")  # fmt: skip


async def sent_by_variant(ctx: Context, only: str = "true") -> dict[str, int]:
    return dict(await rows(
        ctx, f"SELECT variant, count(*) FROM deliveries WHERE state = 'sent' AND {only} GROUP BY 1 ORDER BY 1"
    ))  # fmt: skip


async def answered(
    ctx: Context, campaign: UUID, kind: str = "click", when: timedelta = -timedelta(minutes=2), **how_many: int
) -> None:
    """So many people who got each variant in the test do it, as people."""
    for variant, count in how_many.items():
        people = await rows(
            ctx, "SELECT contact_id FROM deliveries WHERE tested AND variant = %s ORDER BY 1 LIMIT %s", variant, count
        )
        assert len(people) == count
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await bulk.insert(
                db, ctx.tenant.id, "events", "campaign_id event_id contact_id kind class at details",
                ((campaign, uuid4(), person, kind, "human", now() + when, "{}") for (person,) in people),
            )  # fmt: skip
            await analytics.roll_up(db, ctx.tenant.id, campaign)


async def summary(ctx: Context) -> PerformanceSummary:
    result = await BY_NAME["summarize_performance"].call(FAIR, ctx)
    assert isinstance(result, PerformanceSummary)
    return result


# Writing them


async def test_a_variant_differs_in_what_was_said_and_is_the_first_one_else(live: Context) -> None:
    await make_campaign(live, 3)
    saved = await BY_NAME["add_variant"].call(FAIR | {"subject": "Oak  for\nless"}, live)
    assert (saved.variant, saved.subject, saved.variants) == ("b", "Oak for less", ["a", "b"])
    await BY_NAME["add_variant"].call(FAIR | {"body": "Come! {{ unsubscribe_url }}"}, live)
    (a, b, c) = await rows(live, "SELECT variant, subject, body FROM campaign_emails ORDER BY variant")
    assert b == ("b", "Oak for less", a[2])
    assert c == ("c", a[1], "Come! {{ unsubscribe_url }}\n")
    with pytest.raises(InvalidArguments, match="subject or a body"):
        await BY_NAME["add_variant"].call(FAIR, live)


async def test_what_a_variant_claims_must_be_known_too(live: Context) -> None:
    await make_campaign(live, 3)
    saved = await BY_NAME["add_variant"].call(FAIR | {"subject": "Now 70% off and free delivery"}, live)
    assert any("70" in claim for claim in saved.unknown_claims)
    await BY_NAME["set_variant_test"].call(FAIR | {"share": 100}, live)
    asked = await BY_NAME["send_campaign"].call(FAIR, live)
    assert any("70" in warning for warning in asked.card.warnings)


async def test_five_are_enough(live: Context) -> None:
    await make_campaign(live, 3)
    for number in range(4):
        await BY_NAME["add_variant"].call(FAIR | {"subject": f"Oak, take {number}"}, live)
    with pytest.raises(TooManyVariants):
        await BY_NAME["add_variant"].call(FAIR | {"subject": "One more"}, live)
    await variants.remove("Harvest Fair", "C", live)
    saved = await BY_NAME["add_variant"].call(FAIR | {"subject": "In its place"}, live)
    assert saved.variant == "c"


async def test_without_a_second_one_there_is_nothing_to_try(live: Context) -> None:
    await make_campaign(live, 3)
    with pytest.raises(OneMailOnly):
        await BY_NAME["set_variant_test"].call(FAIR, live)
    await BY_NAME["add_variant"].call(FAIR | {"subject": "B"}, live)
    await BY_NAME["set_variant_test"].call(FAIR, live)
    with pytest.raises(InvalidArguments, match="The first one stays"):
        await variants.remove("Harvest Fair", "a", live)
    with pytest.raises(NoSuchVariant, match="there are: a, b"):
        await variants.remove("Harvest Fair", "x", live)
    await variants.remove("Harvest Fair", "b", live)
    assert await rows(live, "SELECT count(*) FROM variant_tests") == [(0,)]


# Approving them


async def test_the_card_says_what_will_happen(live: Context) -> None:
    await with_variants(live, 1_000, "Oak for less", share=20, wait_hours=6, by="conversions", unclear="first")
    asked = await BY_NAME["send_campaign"].call(FAIR, live)
    assert isinstance(asked, ApprovalAsked)
    assert asked.card.title == "Send Harvest Fair to 1,000 people?"
    assert asked.card.facts["Subject b"] == "Oak for less"
    assert asked.card.facts["Test"] == (
        "200 people get the 2 variants in equal parts. 6 h later the other 800 get the one with clearly more "
        "conversions (95% confidence); if none has, they get variant a"
    )
    assert not [warning for warning in asked.card.warnings if "winner" in warning]


async def test_a_test_too_small_to_find_anything_is_warned_of(live: Context) -> None:
    await with_variants(live, 100, share=20)
    asked = await BY_NAME["send_campaign"].call(FAIR, live)
    assert "Each variant goes to 10 people only; with fewer than 30 no winner can be found." in asked.card.warnings


async def test_variants_without_a_test_are_warned_of_and_the_first_goes_to_all(live: Context) -> None:
    await make_campaign(live, 4)
    await BY_NAME["add_variant"].call(FAIR | {"subject": "B"}, live)
    asked = await BY_NAME["send_campaign"].call(FAIR, live)
    assert "It has variants a, b, but no test of them is set: everybody gets a." in asked.card.warnings
    await approve(live)
    await send(live)
    assert await sent_by_variant(live) == {"a": 4}


async def test_bodies_that_differ_are_both_on_the_card(live: Context) -> None:
    await make_campaign(live, 4)
    await BY_NAME["add_variant"].call(FAIR | {"body": "Something else"}, live)
    await BY_NAME["set_variant_test"].call(FAIR, live)
    preview = (await BY_NAME["send_campaign"].call(FAIR, live)).card.preview
    assert "Variant a:" in preview
    assert "Variant b:\n\nSomething else" in preview


CHANGES: dict[str, str] = {
    "another share": "UPDATE variant_tests SET share = 21 RETURNING 1",
    "another wait": "UPDATE variant_tests SET wait_hours = 5 RETURNING 1",
    "another outcome": "UPDATE variant_tests SET outcome = 'conversion' RETURNING 1",
    "another rule without a winner": "UPDATE variant_tests SET unclear = 'first' RETURNING 1",
    "no test": "DELETE FROM variant_tests RETURNING 1",
    "one byte of the second variant": "UPDATE campaign_emails SET subject = subject || '!' WHERE variant = 'b'"
    " RETURNING 1",
    "one variant less": "DELETE FROM campaign_emails WHERE variant = 'c' RETURNING 1",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_the_approval_is_for_these_variants_and_this_rule(live: Context, change: str) -> None:
    await with_variants(live, 10, "B", "C")
    asked = await BY_NAME["send_campaign"].call(FAIR, live)
    await rows(live, CHANGES[change])
    with pytest.raises(ApprovalOutdated):
        await approvals.decide(asked.short_id, approve=True, ctx=live)


@pytest.mark.parametrize("change", CHANGES)
async def test_nor_does_it_leave_when_that_changes_after_it(live: Context, change: str) -> None:
    await with_variants(live, 10, "B", "C")
    await approve(live)
    await rows(live, CHANGES[change])
    await send(live)
    assert await rows(live, "SELECT count(*) FROM captured_mails") == [(0,)]
    assert await rows(live, "SELECT status FROM campaigns") == [("draft",)]


async def test_a_test_and_an_hour_in_each_zone_do_not_go_together(live: Context) -> None:
    await with_variants(live, 4)
    with pytest.raises(TestsAndZones):
        await BY_NAME["send_campaign"].call(FAIR | {"send_at": "2030-12-05T09:00 local"}, live)


# Sending them


async def test_the_share_gets_them_in_equal_parts_and_the_others_wait(live: Context) -> None:
    campaign = await with_variants(live, 100, "B", "C", share=30, unclear="first")
    await approve(live)
    await send(live)
    assert await sent_by_variant(live) == {"a": 10, "b": 10, "c": 10}
    assert await states(live) == {"ready": 70, "sent": 30}
    assert await rows(live, "SELECT status FROM campaigns") == [("sending",)]
    subjects = dict(await rows(live, "SELECT subject, count(*) FROM captured_mails GROUP BY 1"))
    assert (subjects["B"], subjects["C"], len(subjects)) == (10, 10, 3)
    # The wait is over only when it is.
    await send(live)
    assert await mail_variants.advance(live.database, live.tenant.id, campaign) is None
    assert (await states(live))["sent"] == 30


async def test_who_gets_what_is_chance_and_the_same_every_time(live: Context) -> None:
    await with_variants(live, 60, share=50)
    await approve(live)
    first = await rows(live, "SELECT contact_id, variant, tested FROM deliveries ORDER BY 1")
    await approve(live)
    assert await rows(live, "SELECT contact_id, variant, tested FROM deliveries ORDER BY 1") == first
    letters = "".join(variant for _, variant, tested in first if tested)
    assert letters not in ("ab" * 15, "ba" * 15, "a" * 15 + "b" * 15)


async def test_the_clearly_better_one_goes_to_the_others(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    await answered(live, campaign, a=2, b=20)
    assert "too early" in (await summary(live)).text()
    await over(live)
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"b": 100}
    assert await states(live) == {"sent": 200}
    assert await rows(live, "SELECT status FROM campaigns") == [("sent",)]
    ((by, winner),) = await rows(live, "SELECT decided_by, winner FROM variant_tests")
    assert (by, winner) == ("the figures", "b")
    result = await summary(live)
    assert result.trial is not None
    assert (result.trial.verdict, result.trial.chosen) == ("winner", "b")
    assert result.trial.p is not None
    assert result.trial.p < 0.001
    # 20 of 50 against 2 of 50: Newcombe's interval.
    assert (
        "b is clearly better by clicks: +36.0 points (+20.4 to +50.1 at 95 %, very strong evidence)." in result.text()
    )
    assert "So the others got b." in result.text()
    assert "| b | Oak, cheaper | 50 | 0 (0.0 %) | 20 (40.0 %) | 0 (0.0 %) |" in result.text()
    assert not unbacked(result)
    # Every variant's mails and clicks together are the campaign's.
    async with live.database.transaction(live.tenant.id) as db:
        arms = await variant_rows.arms(db, live.tenant.id, campaign, only_tested=False)
    assert sum(arm.delivered for arm in arms) == result.figures.delivered == 200
    assert sum(arm.clicked for arm in arms) == result.figures.clicked == 22


async def test_without_a_clear_winner_a_person_is_asked_and_nobody_mailed(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    await answered(live, campaign, a=5, b=9)
    await over(live)
    await send(live)
    await send(live)
    assert await states(live) == {"ready": 100, "sent": 100}
    text = (await summary(live)).text()
    assert "No clear difference by clicks: b is ahead by +8.0 points" in text
    assert "The others wait for a person" in text
    chosen = await variants.choose("Harvest Fair", "B", live)
    assert chosen.outcome == "Variant b of Harvest Fair goes to the other 100."
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"b": 100}
    text = (await summary(live)).text()
    assert "Robin chose b for the others." in text
    assert "No clear difference" in text


async def test_or_the_first_goes_out_where_that_was_approved(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50, unclear="first")
    await approve(live)
    await send(live)
    await answered(live, campaign, a=5, b=9)
    await over(live)
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"a": 100}
    assert "So the others got a, the first, as was approved." in (await summary(live)).text()


async def test_too_few_people_decide_nothing(live: Context) -> None:
    campaign = await with_variants(live, 20, share=50)
    await approve(live)
    await send(live)
    await answered(live, campaign, b=5)
    await over(live)
    await send(live)
    assert await states(live) == {"ready": 10, "sent": 10}
    assert "Not enough data to compare them" in (await summary(live)).text()


async def test_machines_have_no_say(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    await answered(live, campaign, b=30)
    await rows(live, "UPDATE events SET class = 'machine' RETURNING 1")
    await over(live)
    await send(live)
    assert await rows(live, "SELECT decided_at, evidence ->> 'kind' FROM variant_tests") == [
        (None, "no clear difference")
    ]


async def test_conversions_decide_where_that_was_said(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50, by="conversions")
    await approve(live)
    await send(live)
    await answered(live, campaign, b=30)
    await answered(live, campaign, "conversion", a=20)
    await over(live)
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"a": 100}


async def test_all_may_get_them_and_the_figures_are_read_once_the_wait_is_over(live: Context) -> None:
    campaign = await with_variants(live, 100, share=100, wait_hours=2)
    await approve(live)
    await send(live)
    assert await sent_by_variant(live) == {"a": 50, "b": 50}
    assert await rows(live, "SELECT status FROM campaigns") == [("sent",)]
    assert "It is too early to compare them." in (await summary(live)).text()
    await answered(live, campaign, a=3, b=5)
    # What comes later is shown and does not change what the test has said: looking often finds winners by luck.
    await answered(live, campaign, when=timedelta(minutes=150), b=40)
    later = dataclasses.replace(live, now=lambda: now() + timedelta(hours=3))
    result = await summary(later)
    assert result.trial is not None
    assert result.trial.variants[1].clicked == 40
    assert (result.trial.verdict, result.trial.best) == ("no clear difference", "b")
    assert "b is ahead by +4.0 points" in result.text()


async def test_all_may_get_them_and_a_winner_is_told(live: Context) -> None:
    campaign = await with_variants(live, 100, share=100, wait_hours=2)
    await approve(live)
    await send(live)
    await answered(live, campaign, b=20)
    later = dataclasses.replace(live, now=lambda: now() + timedelta(hours=3))
    assert "b is clearly better" in (await summary(later)).text()


async def test_who_has_a_draft_of_their_own_gets_that_and_is_in_no_test(live: Context) -> None:
    await with_variants(live, 41, share=50)
    await BY_NAME["draft_email"].call(
        FAIR | {"contact": "harvest-fair0@example.org", "instructions": "Only for you"}, live
    )
    await approve(live)
    await send(live)
    assert await sent_by_variant(live, "tested") == {"a": 10, "b": 10}
    assert await rows(live, "SELECT tested, state FROM deliveries WHERE address = 'harvest-fair0@example.org'") == [
        (False, "sent")
    ]
    assert await states(live) == {"ready": 20, "sent": 21}


async def test_who_leaves_while_they_wait_gets_nothing(live: Context) -> None:
    await with_variants(live, 40, share=50)
    await approve(live)
    await send(live)
    ((address,),) = await rows(live, "SELECT address FROM deliveries WHERE state = 'ready' ORDER BY 1 LIMIT 1")
    left = await BY_NAME["unsubscribe_contact"].call({"contact": address}, live)
    assert left.skipped == 1
    await variants.choose("Harvest Fair", "a", live)
    await send(live)
    assert await states(live) == {"sent": 39, "skipped": 1}


# Faults


async def test_of_two_workers_one_decides(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    await answered(live, campaign, a=2, b=20)
    await over(live)
    await send(live, *(sender(live) for _ in range(3)))
    assert await states(live) == {"sent": 200}
    assert await rows(live, "SELECT count(*) FROM audit_log WHERE tool = 'choose variant'") == [(1,)]
    assert await rows(live, "SELECT count(*), count(DISTINCT recipient) FROM captured_mails") == [(200, 200)]


async def test_a_crash_in_the_decision_leaves_all_of_it_or_nothing(
    live: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    await answered(live, campaign, a=2, b=20)
    await over(live)

    async def cut(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("the line is cut")

    monkeypatch.setattr(start, "record", cut)
    with pytest.raises(psycopg.OperationalError):
        await mail_variants.advance(live.database, live.tenant.id, campaign)
    monkeypatch.undo()
    assert await rows(live, "SELECT decided_at, winner FROM variant_tests") == [(None, None)]
    assert await states(live) == {"ready": 100, "sent": 100}
    assert await mail_variants.advance(live.database, live.tenant.id, campaign) == (
        "variant b goes to the other 100 (winner)"
    )
    # Decided once: what comes in later changes nothing.
    await answered(live, campaign, a=40)
    assert await mail_variants.advance(live.database, live.tenant.id, campaign) is None
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"b": 100}


async def test_a_paused_campaign_decides_nothing_and_goes_on_where_it_was(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    await to_deliveries.pause("Harvest Fair", live)
    await answered(live, campaign, a=2, b=20)
    await over(live)
    await send(live)
    assert await mail_variants.advance(live.database, live.tenant.id, campaign) is None
    assert await states(live) == {"ready": 100, "sent": 100}
    await to_deliveries.resume("Harvest Fair", live)
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"b": 100}


async def test_a_cancelled_one_mails_nobody_who_waits(live: Context) -> None:
    await with_variants(live, 40, share=50)
    await approve(live)
    await send(live)
    await BY_NAME["cancel_campaign"].call(FAIR, live)
    await over(live)
    await send(live)
    assert await states(live) == {"sent": 20, "skipped": 20}


async def test_approved_again_on_its_way_the_test_stays_as_it_was(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    before = await rows(live, "SELECT contact_id, variant FROM deliveries WHERE tested ORDER BY 1")
    await to_deliveries.pause("Harvest Fair", live)
    await rows(live, "UPDATE campaign_emails SET body = body || ' ' WHERE variant = 'a' RETURNING 1")
    await approve(live)
    await send(live)
    assert await states(live) == {"ready": 100, "sent": 100}
    assert await rows(live, "SELECT contact_id, variant FROM deliveries WHERE tested ORDER BY 1") == before
    await answered(live, campaign, a=2, b=20)
    await over(live)
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"b": 100}


# People


async def test_a_person_may_cut_it_short_and_then_nothing_is_claimed(live: Context) -> None:
    campaign = await with_variants(live, 200, share=50)
    await approve(live)
    await send(live)
    await answered(live, campaign, a=2, b=20)
    await variants.choose("Harvest Fair", "a", live)
    await send(live)
    assert await sent_by_variant(live, "NOT tested") == {"a": 100}
    text = (await summary(live)).text()
    assert "It is too early to compare them. Robin chose a for the others." in text
    with pytest.raises(NothingToChoose, match=r"has its variant already \(a\)"):
        await variants.choose("Harvest Fair", "b", live)


async def test_only_who_may_send_may_choose(live: Context) -> None:
    await with_variants(live, 40, share=50)
    with pytest.raises(NothingToChoose, match="is draft"):
        await variants.choose("Harvest Fair", "b", live)
    await approve(live)
    await send(live)
    with pytest.raises(NotAllowed):
        await variants.choose("Harvest Fair", "b", dataclasses.replace(live, actor=Actor("Eve", "editor")))
    with pytest.raises(NoSuchVariant):
        await variants.choose("Harvest Fair", "z", live)
    assert (await states(live))["ready"] == 20


async def test_once_mails_have_left_nothing_of_it_changes(live: Context) -> None:
    await with_variants(live, 40, share=50)
    await approve(live)
    await send(live)
    for tool, more in (("add_variant", {"subject": "C"}), ("set_variant_test", {"share": 10})):
        with pytest.raises(CampaignClosed):
            await BY_NAME[tool].call(FAIR | more, live)
    await to_deliveries.pause("Harvest Fair", live)
    for tool, more in (("add_variant", {"subject": "C"}), ("set_variant_test", {"share": 10})):
        with pytest.raises(HasBegun):
            await BY_NAME[tool].call(FAIR | more, live)
    with pytest.raises(HasBegun):
        await variants.remove("Harvest Fair", "b", live)
    with pytest.raises(HasBegun):
        await variants.forget_test("Harvest Fair", live)


async def test_a_test_that_is_taken_back_sends_the_first_to_all(live: Context) -> None:
    await with_variants(live, 40, share=50)
    await approve(live)
    assert "everybody gets variant a" in (await variants.forget_test("Harvest Fair", live)).outcome
    await approve(live)
    await send(live)
    assert await sent_by_variant(live) == {"a": 40}
    assert await rows(live, "SELECT count(*) FROM deliveries WHERE tested") == [(0,)]


async def test_what_is_shown_says_how_it_stands(live: Context) -> None:
    await with_variants(live, 40, share=50)
    shown = (await variants.show("Harvest Fair", live)).text()
    assert "- b: Oak, cheaper" in shown
    assert "It is too early to compare them." in shown
    await variants.forget_test("Harvest Fair", live)
    assert "No test is set: everybody gets the first." in (await variants.show("Harvest Fair", live)).text()


def test_no_tool_chooses() -> None:
    assert not [name for name in BY_NAME if "choose" in name]
