"""The sending loop on the real ledger: what leaves, what does not, and what is written down of it."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email import policy
from email.headerregistry import Address
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from db import bulk, deliveries, statistics
from db import tenants as tenant_rows
from db.deliveries import Finished
from db.pool import Database
from db.queries import sql
from interfaces.settings import Settings
from interfaces.worker import make_sender
from mail import outlets, start
from mail.links import LinkSettings
from mail.outlets import Outlet
from mail.pace import Pace
from mail.send import Sender
from mail.servers import Server
from tests.mail.smtp_server import FINE, Act, Misbehaving, serving
from tools import BY_NAME, approvals
from tools import deliveries as to_deliveries
from tools.approvals import ApprovalAsked, Decided
from tools.base import Context, Tenant
from tools.errors import ChangedSinceApproval, SendingHalted

LINKS = LinkSettings("https://mail.shop.example", is_public=True)
QUICK = Pace(lease=5, first_wait=0.2, longest_wait=1, look=0.1, first_rest=0.2, longest_rest=0.5)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def live(ctx: Context, database_url: str) -> Context:
    """A tenant whose clock runs, with a sender."""
    with psycopg.connect(database_url) as owner:
        owner.execute(
            "UPDATE tenants SET sender_name = 'Harrow & Finch', sender_email = 'hello@shop.example' WHERE id = %s",
            (ctx.tenant.id,),
        )
    return dataclasses.replace(ctx, now=now)


async def make_campaign(ctx: Context, people: int, name: str = "Harvest Fair") -> UUID:
    """A drafted campaign with `people` new recipients."""
    tenant = ctx.tenant.id
    await BY_NAME["create_campaign"].call({"name": name}, ctx)
    await BY_NAME["draft_email"].call({"campaign": name, "instructions": "10% off oak"}, ctx)
    async with ctx.database.transaction(tenant) as db:
        cursor = await db.execute("SELECT campaign_id FROM campaigns WHERE name = %s", (name,))
        row = await cursor.fetchone()
        assert row is not None
        campaign: UUID = row[0]
        slug = name.lower().replace(" ", "-")
        await bulk.insert(
            db, tenant, "contacts", "email first_name", ((f"{slug}{n}@example.org", f"N{n}") for n in range(people))
        )
        await db.execute(
            "INSERT INTO campaign_contacts (tenant_id, campaign_id, contact_id)"
            " SELECT tenant_id, %s, contact_id FROM contacts WHERE email LIKE %s",
            (campaign, f"{slug}%"),
        )
    return campaign


async def approve(ctx: Context, name: str = "Harvest Fair", **more: str) -> str:
    asked = await BY_NAME["send_campaign"].call({"campaign": name, **more}, ctx)
    assert isinstance(asked, ApprovalAsked)
    return (await approvals.decide(asked.short_id, approve=True, ctx=ctx)).outcome


def sender(ctx: Context, *ways: Outlet, pace: Pace = QUICK, links: LinkSettings = LINKS) -> Sender:
    async def tenants() -> Sequence[UUID]:
        return [ctx.tenant.id]

    return Sender(ctx.database, ways or [outlets.capture()], tenants, links=links, pace=pace)


async def rows(ctx: Context, statement: str, *values: object) -> list[tuple[Any, ...]]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        return await (await db.execute(statement.encode(), values)).fetchall()


async def states(ctx: Context) -> dict[str, int]:
    return dict(await rows(ctx, "SELECT state, count(*) FROM deliveries GROUP BY 1"))


async def test_an_approved_campaign_goes_to_everybody_once_and_is_counted(live: Context) -> None:
    await make_campaign(live, 100)
    await approve(live)
    await asyncio.wait_for(sender(live).run_once(), 30)
    assert await states(live) == {"sent": 100}
    assert await rows(live, "SELECT count(*), count(DISTINCT recipient) FROM captured_mails") == [(100, 100)]
    assert await rows(live, "SELECT status, why FROM campaigns") == [("sent", None)]
    assert await rows(live, "SELECT sum(email_sent_count) FROM campaign_analytics") == [(100,)]


def smtp(port: int, connections: int = 4, **more: Any) -> Outlet:
    return outlets.smtp(Server("127.0.0.1", port, "none", connections=connections, **more))


async def go(sender: Sender, seconds: float = 30) -> None:
    """Send what is due; tries that wait are made too, for the pace of tests is quick."""
    async with asyncio.timeout(seconds):
        await sender.run_once()


async def until(done: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await done():  # noqa: ASYNC110 - what is awaited is in a database or a server
            await asyncio.sleep(0.03)


async def go_until(sender: Sender, done: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Run until `done`, and stop in order."""
    stopping = asyncio.Event()
    running = asyncio.create_task(sender.run(stopping))
    try:
        await until(done, seconds)
    finally:
        stopping.set()
        await running


async def change(ctx: Context, statement: str, *values: object) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute(statement.encode(), values)


def as_owner(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url) as owner:
        owner.execute(statement.encode(), values)


# What is sent


async def test_what_leaves_is_a_whole_mail(live: Context) -> None:
    await make_campaign(live, 1)
    await approve(live)
    async with serving() as (manners, port):
        await go(sender(live, smtp(port)))
    (taken,) = manners.taken
    mail = BytesParser(policy=policy.default).parsebytes(taken.message)
    assert not mail.defects
    assert taken.sender == "hello@shop.example"
    assert mail["From"].addresses == (Address("Harrow & Finch", "hello", "shop.example"),)
    assert mail["To"].addresses == (Address("N0", "harvest-fair0", "example.org"),)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"].startswith("<https://mail.shop.example/")
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "N0" in text.get_content()
    assert "https://mail.shop.example/" in html.get_content()
    assert await rows(live, "SELECT message_id, smtp_code FROM deliveries") == [(mail["Message-ID"], 250)]


async def test_a_text_of_ones_own_goes_to_its_reader_only(live: Context) -> None:
    await make_campaign(live, 3)
    await BY_NAME["draft_email"].call(
        {"campaign": "Harvest Fair", "instructions": "only for you", "contact": "harvest-fair1@example.org"}, live
    )
    await change(live, "UPDATE campaign_emails SET subject = 'for one' WHERE contact_id IS NOT NULL")
    await approve(live)
    await go(sender(live))
    subjects = await rows(live, "SELECT recipient FROM captured_mails WHERE subject = 'for one'")
    assert subjects == [("harvest-fair1@example.org",)]


async def test_two_senders_share_a_campaign_and_nobody_gets_it_twice(live: Context) -> None:
    await make_campaign(live, 300)
    await approve(live)
    async with serving() as (manners, port):
        first, second = sender(live, smtp(port)), sender(live, smtp(port))
        await asyncio.gather(go(first), go(second))
    assert sorted(Counter(taken.recipient for taken in manners.taken).values()) == [1] * 300
    assert min(first.sent, second.sent) > 0
    assert await states(live) == {"sent": 300}


async def test_two_campaigns_at_once_both_move(live: Context) -> None:
    for name in ("Harvest Fair", "Lamp Week"):
        await make_campaign(live, 60, name)
        await approve(live, name)
    async with serving() as (manners, port):
        await go(sender(live, smtp(port, 2)))
    firsts = [taken.recipient.startswith("lamp") for taken in manners.taken[:60]]
    assert 15 < sum(firsts) < 45


# What changed after the approval

CHANGES = {
    "text": "UPDATE campaign_emails SET body = body || '.'",
    "a recipient more": "INSERT INTO campaign_contacts (tenant_id, campaign_id, contact_id)"
    " SELECT c.tenant_id, k.campaign_id, c.contact_id FROM contacts c, campaigns k WHERE c.email = 'eve@example.org'",
    "a recipient less": "DELETE FROM campaign_contacts WHERE contact_id ="
    " (SELECT contact_id FROM contacts WHERE email = 'harvest-fair1@example.org')",
    "an address": "UPDATE contacts SET email = 'other@example.org' WHERE email = 'harvest-fair1@example.org'",
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_changed_between_approval_and_start_is_not_sent(live: Context, what: str) -> None:
    await BY_NAME["create_contact"].call({"email": "eve@example.org"}, live)
    await make_campaign(live, 3)
    await approve(live)
    await change(live, CHANGES[what])
    await go(sender(live))
    assert await rows(live, "SELECT count(*) FROM captured_mails") == [(0,)]
    ((status, why),) = await rows(live, "SELECT status, why FROM campaigns")
    assert status == "draft"
    assert "changed after it was approved" in why


async def test_another_sender_is_not_sent(live: Context, database_url: str) -> None:
    await make_campaign(live, 3)
    await approve(live)
    as_owner(database_url, "UPDATE tenants SET sender_email = 'eve@shop.example' WHERE id = %s", live.tenant.id)
    await go(sender(live))
    assert await rows(live, "SELECT status FROM campaigns") == [("draft",)]


async def test_who_leaves_after_the_approval_is_left_out_and_the_others_get_it(live: Context) -> None:
    await make_campaign(live, 5)
    await approve(live)
    await change(live, "UPDATE contacts SET status = 'unsubscribed' WHERE email = 'harvest-fair0@example.org'")
    async with live.database.transaction(live.tenant.id) as db:
        await deliveries.suppress(
            db, live.tenant.id, "Harvest-Fair1@example.org", reason="complained", source="test", at=now()
        )
    await change(live, "DELETE FROM contacts WHERE email = 'harvest-fair2@example.org'")
    await go(sender(live))
    assert await rows(live, "SELECT recipient FROM captured_mails ORDER BY 1") == [
        ("harvest-fair3@example.org",),
        ("harvest-fair4@example.org",),
    ]
    reasons = await rows(live, "SELECT reason FROM deliveries WHERE state = 'skipped' ORDER BY 1")
    assert reasons == [("erased",), ("suppressed (complained)",), ("unsubscribed",)]


async def test_who_comes_back_after_the_approval_stays_left_out_of_it(live: Context) -> None:
    await make_campaign(live, 3)
    await change(live, "UPDATE contacts SET status = 'unsubscribed' WHERE email = 'harvest-fair0@example.org'")
    await approve(live)
    await change(live, "UPDATE contacts SET status = 'subscribed'")
    await go(sender(live))
    assert await states(live) == {"sent": 2, "skipped": 1}


async def test_an_address_that_changes_while_it_is_sent_gets_nothing(live: Context) -> None:
    await make_campaign(live, 2)
    await approve(live)
    await start.start(live.database, live.tenant.id, (await rows(live, "SELECT campaign_id FROM campaigns"))[0][0])
    await change(live, "UPDATE contacts SET email = 'other@example.org' WHERE email = 'harvest-fair1@example.org'")
    await go(sender(live))
    assert await states(live) == {"sent": 1, "skipped": 1}


async def test_a_second_approval_sends_to_new_people_only(live: Context) -> None:
    await make_campaign(live, 5)
    await approve(live)
    async with serving(Misbehaving(lambda *_: Act(slow=0.05))) as (manners, port):

        async def some() -> bool:
            return len(manners.taken) >= 2

        await go_until(sender(live, smtp(port, 1)), some)
        await to_deliveries.pause("Harvest Fair", live)
        await BY_NAME["create_contact"].call({"email": "late@example.org"}, live)
        arguments = {"campaign": "Harvest Fair", "emails": ["late@example.org"]}
        await BY_NAME["add_contacts_to_campaign"].call(arguments, live)
        await approve(live)
        await go(sender(live, smtp(port)))
    assert sorted(Counter(taken.recipient for taken in manners.taken).values()) == [1] * 6


# Pause, cancel, halt, caps


async def test_a_pause_stops_at_once_and_resume_goes_on(live: Context) -> None:
    await make_campaign(live, 100)
    await approve(live)
    async with serving(Misbehaving(lambda *_: Act(slow=0.02))) as (manners, port):

        async def some() -> bool:
            return len(manners.taken) >= 10

        stopping = asyncio.Event()
        running = asyncio.create_task(sender(live, smtp(port)).run(stopping))
        await until(some)
        await to_deliveries.pause("Harvest Fair", live)
        at_the_commit = len(manners.taken)
        await asyncio.sleep(0.5)
        assert len(manners.taken) <= at_the_commit + 4
        assert (await rows(live, "SELECT status, why FROM campaigns"))[0] == ("paused", "Paused by Robin.")
        await to_deliveries.resume("Harvest Fair", live)

        async def all_of_it() -> bool:
            return len(manners.taken) == 100

        await until(all_of_it)
        stopping.set()
        await running
    assert await states(live) == {"sent": 100}


async def test_a_paused_campaign_that_was_changed_needs_a_new_approval(live: Context) -> None:
    await make_campaign(live, 3)
    await approve(live, send_at="2100-01-01T09:00")
    await to_deliveries.pause("Harvest Fair", live)
    await change(live, CHANGES["text"])
    with pytest.raises(ChangedSinceApproval, match="the text or the sender"):
        await to_deliveries.resume("Harvest Fair", live)
    assert await rows(live, "SELECT status FROM campaigns") == [("paused",)]


async def test_a_cancelled_campaign_stops_for_good(live: Context) -> None:
    await make_campaign(live, 50)
    await approve(live)
    async with serving(Misbehaving(lambda *_: Act(slow=0.05))) as (manners, port):

        async def some() -> bool:
            return len(manners.taken) >= 4

        await go_until(sender(live, smtp(port)), some)
        await BY_NAME["cancel_campaign"].call({"campaign": "Harvest Fair"}, live)
        many = len(manners.taken)
        await go(sender(live, smtp(port)))
        assert len(manners.taken) == many
    assert await states(live) == {"sent": many, "skipped": 50 - many}


async def test_the_kill_switch_stops_everything_until_it_is_lifted(live: Context, database_url: str) -> None:
    await make_campaign(live, 3)
    await approve(live)
    tenant_rows.halt(database_url, live.tenant.id)
    await go(sender(live))
    assert await states(live) == {"ready": 3}
    tenant_rows.lift_halt(database_url, live.tenant.id)
    await go(sender(live))
    assert await states(live) == {"sent": 3}


async def test_the_daily_cap_holds_for_all_programs_together(live: Context, database_url: str) -> None:
    await make_campaign(live, 30)
    as_owner(database_url, "UPDATE tenants SET daily_cap = 12 WHERE id = %s", live.tenant.id)
    await approve(live)
    await asyncio.gather(go(sender(live)), go(sender(live)))
    assert (await states(live))["sent"] == 12
    assert "daily cap" in (await rows(live, "SELECT why FROM campaigns"))[0][0]
    assert await rows(live, "SELECT begun FROM send_days") == [(12,)]


async def test_a_rate_is_never_exceeded_in_any_second(live: Context, database_url: str) -> None:
    as_owner(database_url, "UPDATE tenants SET rate_per_second = 14 WHERE id = %s", live.tenant.id)
    await make_campaign(live, 30)
    await approve(live)
    async with serving() as (manners, port):

        async def all_of_it() -> bool:
            return len(manners.taken) == 30

        one, other = sender(live, smtp(port)), sender(live, smtp(port))
        await asyncio.gather(go_until(one, all_of_it), go_until(other, all_of_it))
    assert most_in_a_second([taken.at for taken in manners.taken]) <= 14


def most_in_a_second(moments: list[float]) -> int:
    moments = sorted(moments)
    return max(sum(1 for other in moments if moment <= other < moment + 1) for moment in moments)


async def test_a_card_finds_each_recipient_by_their_whole_key(live: Context) -> None:
    """Also where a list came a moment ago: a comparison of all with all took minutes for 50,000 people."""
    campaign = await make_campaign(live, 5_000)
    async with live.database.transaction(live.tenant.id) as db:
        await statistics.refresh(db, live.tenant.id, "contacts", "campaign_contacts", written=10**6)
        cursor = await db.execute(
            b"EXPLAIN " + sql("emails", "stand_ins"), {"tenant": live.tenant.id, "campaign_id": campaign}
        )
        plan = [line for (line,) in await cursor.fetchall()]
    scans = [line for line in plan if re.search(r"Scan.* on contacts\b", line)]
    assert scans
    assert all("using contacts_pkey" in line for line in scans), "\n".join(plan)


# When


async def test_each_recipient_gets_it_at_their_own_nine_oclock(live: Context) -> None:
    await make_campaign(live, 3)
    for number, zone in enumerate(("Pacific/Auckland", "America/New_York", "no/zone")):
        await change(
            live, "UPDATE contacts SET time_zone = %s WHERE email = %s", zone, f"harvest-fair{number}@example.org"
        )
    outcome = await approve(live, send_at="2100-06-01T09:00 local")
    assert "own time zone" in outcome
    due = await rows(live, "SELECT address, next_attempt_at AT TIME ZONE 'UTC' FROM deliveries ORDER BY 1")
    assert [str(at) for _, at in due] == ["2100-05-31 21:00:00", "2100-06-01 13:00:00", "2100-06-01 08:00:00"]
    assert (await rows(live, "SELECT starts_at AT TIME ZONE 'UTC' FROM campaigns"))[0][0] == due[0][1]


async def test_where_it_is_not_nine_yet_the_mail_waits(live: Context) -> None:
    """One campaign over the whole earth: it goes on until the last zone has had it."""
    await make_campaign(live, 3)
    for number, zone in enumerate(("Pacific/Auckland", "Europe/London", "Pacific/Honolulu")):
        await change(
            live, "UPDATE contacts SET time_zone = %s WHERE email = %s", zone, f"harvest-fair{number}@example.org"
        )
    in_an_hour = (now().astimezone(ZoneInfo("Europe/London")) + timedelta(hours=1)).replace(tzinfo=None)
    await approve(live, send_at=f"{in_an_hour:%Y-%m-%dT%H:%M} local")
    await go(sender(live))
    assert await rows(live, "SELECT recipient FROM captured_mails") == [("harvest-fair0@example.org",)]
    assert await states(live) == {"sent": 1, "ready": 2}
    assert await rows(live, "SELECT status FROM campaigns") == [("sending",)]
    waits = "SELECT round(extract(epoch FROM next_attempt_at - now()) / 3600) FROM deliveries WHERE state = 'ready'"
    london, honolulu = sorted(int(hours) for (hours,) in await rows(live, waits))
    assert (london, honolulu - london in (10, 11)) == (1, True)
    await change(live, "UPDATE deliveries SET next_attempt_at = now() WHERE state = 'ready'")
    await go(sender(live))
    assert await states(live) == {"sent": 3}
    assert await rows(live, "SELECT status FROM campaigns") == [("sent",)]


async def test_nothing_leaves_before_its_time(live: Context) -> None:
    await make_campaign(live, 2)
    await approve(live, send_at="2100-01-01T09:00")
    await go(sender(live))
    assert await states(live) == {"ready": 2}
    assert await rows(live, "SELECT status FROM campaigns") == [("scheduled",)]


# Servers


async def test_real_mail_needs_a_sender_and_links_that_work(live: Context, database_url: str) -> None:
    await make_campaign(live, 1)
    await approve(live)
    async with serving() as (manners, port):
        local = LinkSettings("http://127.0.0.1:8000")
        await go(sender(live, smtp(port), links=local))
        assert "SMARTCAMPAIGN_PUBLIC_URL" in (await rows(live, "SELECT why FROM campaigns"))[0][0]
        assert manners.taken == []
    assert await rows(live, "SELECT status FROM campaigns") == [("paused",)]


async def test_a_server_that_is_down_burns_no_try_and_is_said(live: Context) -> None:
    await make_campaign(live, 20)
    await approve(live)

    async def said() -> bool:
        return "waits for the mail server" in ((await rows(live, "SELECT why FROM campaigns"))[0][0] or "")

    await go_until(sender(live, smtp(1)), said)
    assert await rows(live, "SELECT state, max(attempts) FROM deliveries GROUP BY 1") == [("ready", 0)]
    async with serving() as (manners, port):
        await go(sender(live, smtp(port)))
        assert len(manners.taken) == 20
    assert await rows(live, "SELECT why FROM campaigns") == [(None,)]


async def test_when_one_server_is_down_the_other_takes_over(live: Context) -> None:
    await make_campaign(live, 20)
    await approve(live)
    async with serving() as (manners, port):

        async def all_of_it() -> bool:
            return len(manners.taken) == 20

        await go_until(sender(live, smtp(1), smtp(port)), all_of_it)


async def test_what_is_refused_for_good_is_not_tried_again_and_a_dead_address_is_suppressed(live: Context) -> None:
    await make_campaign(live, 4)
    await approve(live)
    acts = {
        "harvest-fair0@example.org": Act(rcpt="550 5.1.1 unknown user"),
        "harvest-fair1@example.org": Act(rcpt="550 5.7.1 we don't like you"),
        "harvest-fair2@example.org": Act(rcpt="451 4.7.1 later"),
    }
    tried: list[str] = []

    def choose(recipient: str, _: int) -> Act:
        tried.append(recipient)
        return acts.get(recipient, FINE) if tried.count(recipient) == 1 else FINE

    async with serving(Misbehaving(choose)) as (manners, port):

        async def all_of_it() -> bool:
            return len(manners.taken) == 2

        await go_until(sender(live, smtp(port)), all_of_it)
    assert Counter(tried)["harvest-fair0@example.org"] == Counter(tried)["harvest-fair1@example.org"] == 1
    assert Counter(tried)["harvest-fair2@example.org"] == 2
    assert await rows(live, "SELECT email FROM contacts WHERE status = 'bounced'") == [("harvest-fair0@example.org",)]
    assert await rows(live, "SELECT reason FROM suppressions") == [("bounced",)]
    assert await rows(live, "SELECT kind FROM events") == [("bounce",)]
    answers = await rows(live, "SELECT smtp_code, smtp_answer FROM deliveries WHERE state = 'failed' ORDER BY 2")
    assert answers == [(550, "550 5.1.1 unknown user"), (550, "550 5.7.1 we don't like you")]


async def test_a_temporary_refusal_waits_at_least_a_minute_and_ends_after_three_days(live: Context) -> None:
    await make_campaign(live, 20)
    await approve(live)
    pace = Pace(look=0.1)
    async with serving(Misbehaving(lambda *_: Act(rcpt="451 4.7.1 later"))) as (_, port):
        await go(sender(live, smtp(port), pace=pace))
        waits = [
            row[0]
            for row in await rows(live, "SELECT extract(epoch FROM next_attempt_at - now())::float FROM deliveries")
        ]
        assert min(waits) > 55
        assert max(waits) <= 120
        assert len({round(wait) for wait in waits}) > 5, "without jitter all would come back at once"
        await change(
            live, "UPDATE deliveries SET next_attempt_at = now(), first_attempt_at = now() - interval '73 hours'"
        )
        await go(sender(live, smtp(port), pace=pace))
    assert await states(live) == {"failed": 20}


def test_waits_grow_and_end_somewhere() -> None:
    pace = Pace()
    longest = [max(pace.wait(attempt).total_seconds() for _ in range(200)) for attempt in range(1, 12)]
    assert longest == sorted(longest) or longest[7:] == longest[7:]
    assert all(pace.wait(attempt).total_seconds() >= 60 for attempt in range(1, 12))
    assert longest[-1] <= 60 + 4 * 3600


async def test_a_line_lost_after_the_message_is_left_to_a_person(live: Context) -> None:
    await make_campaign(live, 3)
    await approve(live)

    def choose(recipient: str, _: int) -> Act:
        return Act(drop="dot") if recipient == "harvest-fair1@example.org" and not lost else FINE

    lost: list[int] = []
    async with serving(Misbehaving(choose)) as (manners, port):
        await go(sender(live, smtp(port)))
        assert await states(live) == {"sent": 2, "unknown": 1}
        assert "smartcampaign campaigns unknown" in (await rows(live, "SELECT why FROM campaigns"))[0][0]
        lost.append(1)
        await to_deliveries.settle("Harvest Fair", live, resend=True)
        await go(sender(live, smtp(port)))
    assert await states(live) == {"sent": 3}
    assert Counter(taken.recipient for taken in manners.taken)["harvest-fair1@example.org"] == 2


async def test_what_is_settled_by_a_person_counts_as_sent(live: Context) -> None:
    await make_campaign(live, 2)
    await approve(live)
    async with serving(Misbehaving(lambda *_: Act(drop="dot"))) as (_, port):
        await go(sender(live, smtp(port)))
    assert await states(live) == {"unknown": 2}
    await to_deliveries.settle("Harvest Fair", live, resend=False)
    assert await states(live) == {"sent": 2}
    assert await rows(live, "SELECT sum(email_sent_count) FROM campaign_analytics") == [(2,)]


# Crashes


@pytest.mark.parametrize(("choice", "then"), [("park", {"unknown": 2, "ready": 1}), ("resend", {"ready": 3})])
async def test_rows_of_a_dead_worker_are_settled_as_the_campaign_says(
    live: Context, choice: str, then: dict[str, int]
) -> None:
    await make_campaign(live, 3)
    await approve(live)
    await to_deliveries.choose_on_crash("Harvest Fair", choice, live)  # type: ignore[arg-type]
    await change(
        live, "UPDATE deliveries SET state = 'sending', attempts = 1, lease_owner = 'dead', lease_until = now()"
        " WHERE address <> 'harvest-fair0@example.org'",
    )  # fmt: skip
    async with live.database.transaction(live.tenant.id) as db:
        await deliveries.expire(db, live.tenant.id)
    assert await states(live) == then


async def test_a_late_answer_is_recorded_unless_another_worker_has_begun_again(live: Context) -> None:
    campaign = await make_campaign(live, 2)
    await approve(live)
    await change(
        live, "UPDATE deliveries SET state = 'unknown', attempts = 1 WHERE address = 'harvest-fair0@example.org'"
    )
    await change(
        live, "UPDATE deliveries SET state = 'sending', attempts = 2, lease_owner = 'other'"
        " WHERE address = 'harvest-fair1@example.org'",
    )  # fmt: skip
    ids = await rows(live, "SELECT contact_id FROM deliveries ORDER BY address")
    late = [Finished(campaign, id, 1, "sent", code=250) for (id,) in ids]
    async with live.database.transaction(live.tenant.id) as db:
        cursor = await deliveries.finish(db, live.tenant.id, late, owner="late", give_up=timedelta(hours=1))
        assert [row.contact_id for row in await deliveries.settled(cursor)] == [ids[0][0]]
    assert await states(live) == {"sent": 1, "sending": 1}


async def test_rows_begun_in_a_commit_whose_answer_was_lost_go_back(
    live: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_campaign(live, 40)
    await approve(live)
    losses = iter([True, True, False, True])
    begun = deliveries.begun

    async def lost(cursor: Any) -> list[deliveries.BegunRow]:
        found = await begun(cursor)
        if found and any(itertools.islice(losses, 1)):
            raise psycopg.OperationalError("the line was cut after COMMIT")
        return found

    monkeypatch.setattr(deliveries, "begun", lost)
    async with serving() as (manners, port):
        await go(sender(live, smtp(port)))
    assert sorted(Counter(taken.recipient for taken in manners.taken).values()) == [1] * 40
    assert await rows(live, "SELECT state, max(attempts) FROM deliveries GROUP BY 1") == [("sent", 1)]


async def test_stopping_lets_mails_in_flight_end(live: Context) -> None:
    await make_campaign(live, 30)
    await approve(live)
    async with serving(Misbehaving(lambda *_: Act(slow=0.3))) as (manners, port):

        async def begun() -> bool:
            return (await states(live)).get("sending", 0) > 0

        await go_until(sender(live, smtp(port)), begun)
    after = await states(live)
    assert set(after) <= {"ready", "sent"}
    assert after["sent"] == len(manners.taken) > 0


async def test_an_error_in_one_tenants_mail_stops_nobody_elses(
    live: Context, new_tenant: Callable[[], Tenant], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One worker sends for all: a bug that one campaign brings to light must not be everybody's."""
    other = dataclasses.replace(live, tenant=new_tenant())
    await make_campaign(live, 3)
    await make_campaign(other, 3)
    await approve(live)
    await approve(other)
    plain, told = start.start, list[str]()

    async def fragile(database: Database, tenant: UUID, campaign: UUID) -> bool:
        if tenant == live.tenant.id:
            raise ZeroDivisionError
        return await plain(database, tenant, campaign)

    async def both() -> Sequence[UUID]:
        return [live.tenant.id, other.tenant.id]

    monkeypatch.setattr(start, "start", fragile)
    one = Sender(live.database, [outlets.capture()], both, links=LINKS, pace=QUICK, told=told.append)
    await go(one)
    assert (await states(live), await states(other)) == ({"ready": 3}, {"sent": 3})
    assert [sentence for sentence in told if "rests for a minute" in sentence] == told[:1]
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.setattr(start, "start", plain)

    async def mended() -> bool:
        return await states(live) == {"sent": 3}

    await go_until(one, mended)


# Test mails


async def test_a_test_goes_out_marked_and_counts_nowhere(live: Context) -> None:
    await make_campaign(live, 2)
    asked = await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "me@elsewhere.example"}, live)
    assert isinstance(asked, ApprovalAsked)
    await go(sender(live))
    assert await rows(live, "SELECT count(*) FROM captured_mails") == [(0,)], "nobody has approved it"
    await approvals.decide(asked.short_id, approve=True, ctx=live)
    async with serving() as (manners, port):
        await go(sender(live, smtp(port)))
    (taken,) = manners.taken
    mail = BytesParser(policy=policy.default).parsebytes(taken.message)
    assert mail["Subject"].startswith("[TEST] ")
    assert taken.recipient == "me@elsewhere.example"
    assert await states(live) == {}
    assert await rows(live, "SELECT count(*) FROM campaign_analytics") == [(0,)]
    assert await rows(live, "SELECT state FROM test_mails") == [("sent",)]


@pytest.mark.parametrize("own", ["hello@shop.example", "HELLO@shop.example", "boss@home.example"])
async def test_the_tenants_own_people_get_tests_unasked(live: Context, database_url: str, own: str) -> None:
    tenant_rows.update(database_url, live.tenant.id, own_addresses=["boss@home.example"])
    await make_campaign(live, 1)
    decided = await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": own}, live)
    assert isinstance(decided, Decided)
    await go(sender(live))
    assert len(await rows(live, "SELECT recipient FROM captured_mails")) == 1


async def test_a_colleague_at_the_same_provider_is_not_ones_own(live: Context) -> None:
    await make_campaign(live, 1)
    asked = await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "eve@shop.example"}, live)
    assert isinstance(asked, ApprovalAsked)


async def test_a_halt_and_a_suppression_stop_tests_too(live: Context, database_url: str) -> None:
    await make_campaign(live, 1)
    await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "hello@shop.example"}, live)
    tenant_rows.halt(database_url, live.tenant.id)
    await go(sender(live))
    assert await rows(live, "SELECT state FROM test_mails") == [("ready",)]
    with pytest.raises(SendingHalted):
        await BY_NAME["send_test_email"].call({"campaign": "Harvest Fair", "to": "hello@shop.example"}, live)
    tenant_rows.lift_halt(database_url, live.tenant.id)
    async with live.database.transaction(live.tenant.id) as db:
        await deliveries.suppress(db, live.tenant.id, "hello@shop.example", reason="manual", source="test", at=now())
    await go(sender(live))
    assert await rows(live, "SELECT state, reason FROM test_mails") == [("failed", "the address is suppressed")]


# Programs with and without a mail server


async def test_a_program_without_a_server_leaves_a_live_tenants_mail_alone(
    live: Context, database_url: str, tmp_path: Path
) -> None:
    await make_campaign(live, 2)
    await approve(live)
    tenant_rows.set_live(database_url, live.tenant.id, True)
    said: list[str] = []
    settings = Settings(home=tmp_path)
    capturing = make_sender(
        settings, database_url, live.database, LINKS, only=live.tenant.id, pace=QUICK, told=said.append
    )
    await go(capturing)
    assert await states(live) == {"ready": 2}
    assert "its mail is left to others" in said[0]
    tenant_rows.set_live(database_url, live.tenant.id, False)
    await go(make_sender(settings, database_url, live.database, LINKS, only=live.tenant.id, pace=QUICK))
    assert await states(live) == {"sent": 2}
