"""The roll-up always equals a recount, whatever comes, in whatever order, from however many programs at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import tools.erasure
from db import analytics, contacts, erasure, events
from mail import classify, recording
from mail.classify import Verdict
from mail.leaving import unsubscribe
from mail.recording import Hit, record
from tests.conftest import NOW
from tests.tools.histories import people, sent
from tools.base import Context

READERS = ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0", "Mozilla/5.0", "curl/8.4.0", "",
           "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0")  # fmt: skip
URLS = [f"https://shop.example/{page}" for page in range(4)]
AT = NOW - timedelta(days=3)


@dataclass
class World:
    """Two campaigns to the same people, and dice."""

    ctx: Context
    campaigns: list[UUID]
    people: list[UUID]
    dice: random.Random

    def moment(self) -> datetime:
        """Mostly in the first hours, some in the first seconds, some much later."""
        span = self.dice.choice([10, 3_600, 8 * 3_600, 60 * 3_600])
        return AT + timedelta(seconds=self.dice.uniform(-2, span))

    def hit(self, kind: str | None = None) -> Hit:
        kind = kind or self.dice.choice(["open"] * 6 + ["click"] * 5 + ["conversion"] * 2 + ["bounce", "complaint"])
        judged = kind in classify.JUDGED
        who = self.dice.choice(["human", "human", "machine"]) if kind == "conversion" else "human"
        return Hit(
            campaign=self.dice.choice(self.campaigns), contact=self.dice.choice(self.people), kind=kind,
            at=self.moment(),
            url=self.dice.choice(URLS) if kind == "click" else None, user_agent=self.dice.choice(READERS),
            request=self.dice.choice(["", "", "", "head", "prefetch"]) if judged else "",
            value=Decimal(self.dice.randint(0, 9_999)) / 100 if kind == "conversion" else None,
            key=f"order {self.dice.randint(0, 9)}" if kind == "conversion" else None,
            verdict=None if judged else Verdict(who, "test"),  # type: ignore[arg-type]
        )  # fmt: skip

    async def record(self) -> None:
        hits = [self.hit() for _ in range(self.dice.randint(1, 12))]
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            await record(db, self.ctx.tenant.id, hits)

    async def burst(self) -> None:
        """Links of one mail at once, some of them told late, in another transaction."""
        hit, at = self.hit("click"), self.moment()
        for url in self.dice.sample(URLS, 3):
            later = Hit(campaign=hit.campaign, contact=hit.contact, kind="click", at=at, url=url, user_agent=READERS[0])
            async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
                await record(db, self.ctx.tenant.id, [later])

    async def leave(self) -> None:
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            campaign, contact = self.dice.choice(self.campaigns), self.dice.choice(self.people)
            await unsubscribe(db, self.ctx.tenant.id, campaign, contact, how="page", at=self.moment())

    async def send(self) -> None:
        """Mails whose answer is written down now, as a worker does."""
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            cursor = await db.execute(
                "UPDATE deliveries SET state = 'sent', sent_at = %s WHERE state IN ('sending', 'unknown')"
                " AND contact_id = ANY (%s) RETURNING campaign_id, contact_id, sent_at",
                (self.moment(), self.dice.sample(self.people, 4)),
            )
            await analytics.count_sent(
                db, self.ctx.tenant.id, [(row[0], row[1], row[2]) for row in await cursor.fetchall()]
            )

    async def judge_again(self) -> None:
        campaign = self.dice.choice(self.campaigns)
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            await recording.reclassify(db, self.ctx.tenant.id, campaign, self.people)

    async def count_anew(self) -> None:
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            await analytics.roll_up(db, self.ctx.tenant.id, self.dice.choice(self.campaigns))

    async def erase(self) -> None:
        contact = self.dice.choice(self.people)
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            await erasure.forget_in_history(db, self.ctx.tenant.id, contact)
            await db.execute("DELETE FROM contacts WHERE contact_id = %s", (contact,))

    async def differences(self) -> list[str]:
        found = []
        async with self.ctx.database.transaction(self.ctx.tenant.id) as db:
            for campaign in self.campaigns:
                stored = {row.hour: row for row in await analytics.hours(db, self.ctx.tenant.id, campaign)}
                counted = {row.hour: row for row in await analytics.recount(db, self.ctx.tenant.id, campaign)}
                for hour in stored.keys() | counted.keys():
                    here, there = stored.get(hour), counted.get(hour)
                    if here != there and not (there is None and here is not None and here.is_empty()):
                        found.append(f"{hour}: {here} but {there}")
                links = await analytics.link_counts(db, self.ctx.tenant.id, campaign)
                links = [row for row in links if row.person_count or row.click_count or row.machine_count]
                if links != await analytics.recount_links(db, self.ctx.tenant.id, campaign):
                    found.append("links")
        return found


async def world(ctx: Context, seed: int) -> World:
    dice = random.Random(seed)
    crowd = await people(ctx, 12)
    campaigns = [(await sent(ctx, name, crowd, AT, roll_up=False)).id for name in ("One", "Two")]
    async with ctx.database.transaction(ctx.tenant.id) as db:
        for state, share in (("sending", crowd[:4]), ("unknown", crowd[4:5]), ("failed", crowd[5:6])):
            await db.execute(
                "UPDATE deliveries SET state = %s, sent_at = NULL WHERE contact_id = ANY (%s)", (state, share)
            )
        for campaign in campaigns:
            await analytics.roll_up(db, ctx.tenant.id, campaign)
    return World(ctx, campaigns, crowd, dice)


@pytest.fixture
def shifting_rules(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], Awaitable[None]]:
    """Judge with other rules from now on: what was written by the old ones stays until it is judged again."""

    async def shift(world: World) -> None:
        rules = classify._rules()
        early = {kind: (world.dice.uniform(0, 7_200), verdict) for kind, (_, verdict) in rules.early.items()}
        changed = classify._Rules(**{**rules.__dict__, "early": early})
        monkeypatch.setattr(classify, "_rules", lambda: changed)

    return shift


@pytest.mark.parametrize("seed", range(6))
async def test_the_roll_up_equals_a_recount_after_anything(
    ctx: Context, shifting_rules: Callable[[World], Awaitable[None]], seed: int
) -> None:
    here = await world(ctx, seed)
    steps: Sequence[tuple[int, Callable[[], Awaitable[Any]]]] = [
        (8, here.record), (2, here.burst), (2, here.leave), (2, here.send), (2, here.judge_again), (1, here.count_anew),
        (1, here.erase), (1, lambda: shifting_rules(here)),
    ]  # fmt: skip
    weighted = [step for weight, step in steps for _ in range(weight)]
    for number in range(40):
        step = here.dice.choice(weighted)
        await step()
        assert await here.differences() == [], (number, getattr(step, "__name__", "shift"))


@pytest.mark.parametrize("seed", range(3))
async def test_the_roll_up_equals_a_recount_after_many_at_once(ctx: Context, seed: int) -> None:
    here = await world(ctx, seed)
    steps = [
        here.record,
        here.record,
        here.record,
        here.burst,
        here.leave,
        here.send,
        here.judge_again,
        here.count_anew,
        here.erase,
    ]
    for _ in range(4):
        await asyncio.gather(*(here.dice.choice(steps)() for _ in range(12)))
        assert await here.differences() == []


async def test_a_bounce_told_before_the_servers_answer_is_written_counts_once(ctx: Context) -> None:
    here = await world(ctx, 1)
    bounced = Hit(
        campaign=here.campaigns[0], contact=here.people[0], kind="bounce", at=AT, verdict=Verdict("machine", "hard")
    )
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await record(db, ctx.tenant.id, [bounced])
    assert await here.differences() == []
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute(
            "UPDATE deliveries SET state = 'sent', sent_at = %s WHERE campaign_id = %s AND contact_id = %s",
            (AT, here.campaigns[0], here.people[0]),
        )
        await analytics.count_sent(db, ctx.tenant.id, [(here.campaigns[0], here.people[0], AT)])
    assert await here.differences() == []
    async with ctx.database.transaction(ctx.tenant.id) as db:
        (totals,) = await analytics.totals(db, ctx.tenant.id, [here.campaigns[0]])
    assert totals.bounced == 1


async def test_an_erasure_waits_for_what_is_being_written(ctx: Context) -> None:
    (person, *_) = crowd = await people(ctx, 2)
    campaign = await sent(ctx, "Lamp Week", crowd, AT)
    hit = Hit(campaign=campaign.id, contact=person, kind="open", at=NOW, user_agent=READERS[0])

    async def erase() -> None:
        async with ctx.database.transaction(ctx.tenant.id) as db:
            row = await contacts.find(db, ctx.tenant.id, person)
            assert row is not None
            await tools.erasure.erase(db, ctx, row)

    async with ctx.database.transaction(ctx.tenant.id) as db:
        await record(db, ctx.tenant.id, [hit])
        erasing = asyncio.create_task(erase())
        await asyncio.sleep(0.3)
        assert not erasing.done()
    await erasing
    async with ctx.database.transaction(ctx.tenant.id) as db:
        rows = await (await db.execute("SELECT user_agent, contact_id FROM events")).fetchall()
        assert len(rows) == 1
        assert rows[0][0] is None
        assert rows[0][1] != person
        later = Hit(campaign=campaign.id, contact=person, kind="open", at=NOW, user_agent=READERS[0])
        assert await record(db, ctx.tenant.id, [later]) == 0, "nothing is written about somebody who is gone"


async def test_hits_in_any_order_are_judged_the_same(ctx: Context) -> None:
    crowd = await people(ctx, 2)
    campaign = await sent(ctx, "Lamp Week", crowd, AT)
    later = AT + timedelta(hours=2)
    offsets = [(0.0, 0), (0.3, 1), (0.6, 2), (400.0, 0)]

    def hits(person: UUID) -> list[Hit]:
        return [
            Hit(campaign=campaign.id, contact=person, kind="click", at=later + timedelta(seconds=after), url=URLS[page],
                user_agent=READERS[0])
            for after, page in offsets
        ]  # fmt: skip

    for person, order in ((crowd[0], hits(crowd[0])), (crowd[1], hits(crowd[1])[::-1])):
        for hit in order:
            async with ctx.database.transaction(ctx.tenant.id) as db:
                await record(db, ctx.tenant.id, [hit])
        async with ctx.database.transaction(ctx.tenant.id) as db:
            rows = await events.of_people(db, ctx.tenant.id, [(campaign.id, person)])
        verdicts = [(row.who, row.reason) for row in sorted(rows, key=lambda row: row.at)]
        assert verdicts == [("machine", "burst")] * 3 + [("human", "browser")]


async def test_what_each_recipient_and_variant_did(ctx: Context) -> None:
    crowd = await people(ctx, 4)
    campaign = await sent(ctx, "Trial", crowd, AT, subjects=("a", "b"), opened=crowd[:3], clicked=crowd[:1])
    async with ctx.database.transaction(ctx.tenant.id) as db:
        variants = await events.of_variants(db, ctx.tenant.id, campaign.id)
        first = await events.of_recipients(db, ctx.tenant.id, campaign.id, limit=3)
        rest = await events.of_recipients(db, ctx.tenant.id, campaign.id, after=first[-1].contact_id)
    assert [(v.variant, v.sent, v.opened, v.clicked, v.clicks) for v in variants] == [
        ("a", 2, 2, 1, 1),
        ("b", 2, 1, 0, 0),
    ]
    assert len(rest) == 1
    did = {row.contact_id: (row.opens, row.clicks) for row in [*first, *rest]}
    assert did == {crowd[0]: (1, 1), crowd[1]: (1, 0), crowd[2]: (1, 0), crowd[3]: (0, 0)}


def test_an_address_in_a_query_is_no_part_of_what_is_counted() -> None:
    plain = recording.counted_url
    assert plain("https://a.example/x?email=ada@example.org#top") == "https://a.example/x"
    assert plain("https://a.example/x?e=ada%40example.org") == "https://a.example/x"
    assert plain("https://a.example/@ada/post?x=1") == "https://a.example/@ada/post?x=1"
    assert plain("https://a.example/x#ada@example.org") == "https://a.example/x"
    assert plain("https://a.example/for/ada@example.org/now?x=1") == "https://a.example"
    assert plain("https://a.example:8080/x?q=1&y=2#z") == "https://a.example:8080/x?q=1&y=2#z"


async def test_an_erasure_leaves_the_counts_of_links_as_they_are(ctx: Context) -> None:
    here = await world(ctx, 3)
    for url in (
        "https://a.example/@ada/post?x=1",
        "https://a.example/x?email=ada@example.org",
        "https://a.example/a@b.example",
    ):
        hit = Hit(
            campaign=here.campaigns[0], contact=here.people[7], kind="click", at=NOW, url=recording.counted_url(url)
        )
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await record(db, ctx.tenant.id, [hit])
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await erasure.forget_in_history(db, ctx.tenant.id, here.people[7])
    assert await here.differences() == []
