"""The books: what the sending loop reads from the ledger and writes into it.

Whatever goes wrong with the database goes through to the loop, which tries again: recording is idempotent, and rows
that were begun in a COMMIT whose answer was lost are taken back.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from db import analytics, campaigns, captures, deliveries, emails, rates, tenants, test_mails
from db.captures import Captured
from db.deliveries import BegunRow, SettledRow
from db.pool import Connection, Database
from db.rates import Limit
from db.tenants import TenantRow
from db.test_mails import TestMailRow
from mail import start
from mail.desk import Desk, Job, Place, Trip
from mail.letters import CannotWrite, Letter, Letters, Reader, Sign
from mail.links import NOBODY, Links, LinkSettings
from mail.pace import Pace

# Of a tenant's daily cap: what one program takes at a time, and for how many seconds.
PORTION, PORTION_SECONDS = 500, 60.0

NO_SENDER = "No sender is set. Set one with: smartcampaign tenants change NAME --sender-email ADDRESS"
NOT_PUBLIC = (
    "Nobody could unsubscribe: links lead to this machine only. Set SMARTCAMPAIGN_PUBLIC_URL to the address under "
    "which others reach `smartcampaign serve`."
)

# How long a campaign's letters are used before its row is read again. Their content can't change meanwhile.
LETTERS_SECONDS = 300.0


class Books:
    """The ledger as one program sees it, under the name `owner`."""

    def __init__(
        self, database: Database, owner: str, pace: Pace, links: LinkSettings, *, bounce_address: str | None,
        sign: Sign | None, only_keeps: bool,
    ) -> None:  # fmt: skip
        """`only_keeps`: mails end in the outbox, so that they need neither a sender nor links that work elsewhere."""
        self.database, self.owner, self.pace = database, owner, pace
        self._links, self._bounce_address, self._sign = links, bounce_address, sign
        self._only_keeps = only_keeps
        self._lease = timedelta(seconds=pace.lease)
        self.sent = 0
        """Mails that servers took, as far as this program has recorded them."""

    async def keep(
        self, desk: Desk, trip: Trip | None, places: list[Place]
    ) -> tuple[list[BegunRow], list[Place]]:  # fmt: skip
        """Record what was answered, and begin rows of a campaign for `places`, in one transaction.

        Returns the rows, of which those that are `sending` may leave now, and the places that rate limits left over.
        """
        answered, desk.answered = desk.answered, []
        finished = [job.finished for job in answered if job.finished is not None]
        cursor, settled, rows = None, list[SettledRow](), list[BegunRow]()
        try:
            # Two round trips in all: the answers to both statements come together, then the figures and the COMMIT go.
            async with self.database.transaction(desk.tenant, pipelined=True) as db:
                done = None
                if finished:
                    done = await deliveries.finish(
                        db, desk.tenant, finished, owner=self.owner, give_up=timedelta(seconds=self.pace.give_up)
                    )
                await self._free(db, [job.place for job in answered], used=True)
                if trip is not None and places:
                    places = await self._within_limits(db, desk, places)
                if trip is not None and places:
                    cursor = await deliveries.begin(
                        db, desk.tenant, trip.letters.campaign.campaign_id, owner=self.owner, lease=self._lease,
                        most=len(places), after=trip.after,
                    )  # fmt: skip
                    if any(place.slots for place in places):
                        rows = await deliveries.begun(cursor)
                        going = sum(1 for row in rows if row.state == "sending")
                        await self._free(db, places[going:], used=False)
                if done is not None:
                    settled = await deliveries.settled(done)
                    await self._follow_up(db, desk, answered, settled)
        except BaseException:
            desk.answered = answered + desk.answered
            raise
        self.sent += sum(1 for row in settled if row.state == "sent")
        for job in answered:
            job.outlet.busy -= 1
            desk.held.pop(job.key, None)
        if cursor is not None and not rows:
            rows = await deliveries.begun(cursor)
        return rows, places

    async def _within_limits(self, db: Connection, desk: Desk, places: list[Place]) -> list[Place]:
        """As many of `places` as rate limits have free slots for, with their slots."""
        left = await self._with_slots(db, desk.limit, places)
        for outlet in {place.outlet for place in left}:
            there = [place for place in left if place.outlet is outlet]
            kept = await self._with_slots(db, outlet.limit, there)
            await self._free(db, there[len(kept) :], used=False)
            left = [place for place in left if place.outlet is not outlet] + kept
        return left

    async def _with_slots(self, db: Connection, limit: Limit | None, places: list[Place]) -> list[Place]:
        if limit is None or not places:
            return places
        slots = await rates.take(db, limit, len(places), owner=self.owner, lease=self._lease)
        for place, slot in zip(places, slots, strict=False):
            place.slots.append((limit, slot))
        return places[: len(slots)]

    async def _free(self, db: Connection, places: Sequence[Place], *, used: bool) -> None:
        by_limit: dict[Limit, list[int]] = {}
        for place in places:
            for limit, slot in place.slots:
                by_limit.setdefault(limit, []).append(slot)
        for limit, slots in by_limit.items():
            await rates.free(db, limit, slots, owner=self.owner, used=used)

    async def _follow_up(
        self, db: Connection, desk: Desk, answered: Sequence[Job], settled: Sequence[SettledRow]
    ) -> None:
        """What follows from rows that were settled just now, in the same transaction: bounces, the outbox, figures."""
        states = {(row.campaign_id, row.contact_id): row.state for row in settled}
        kept = []
        for job in answered:
            state = states.get(job.key)
            if state == "failed" and job.bounced is not None:
                await deliveries.bounced(
                    db, desk.tenant, *job.key, job.row.address, answer=job.bounced, at=datetime.now(UTC)
                )
            elif state == "sent" and job.outlet.keeps and job.letter is not None:
                kept.append(captured(*job.key, job.letter))
        if kept:
            await captures.add(db, desk.tenant, kept)
        # Last: what it adds to is locked until the COMMIT.
        sent = [
            (row.campaign_id, row.contact_id, row.sent_at) for row in settled if row.state == "sent" and row.sent_at
        ]
        await analytics.count_sent(db, desk.tenant, sent)

    async def learn(self, desk: Desk, letters: Letters, rows: Sequence[BegunRow]) -> None:
        """Read and compile the texts of these rows that are not known yet."""
        new = list({row.email_id for row in rows if row.email_id and not letters.knows(row.email_id)})
        if new:
            async with self.database.transaction(desk.tenant, read_only=True) as db:
                letters.learn(await emails.of_ids(db, desk.tenant, letters.campaign.campaign_id, new))

    async def look(self, desk: Desk) -> tuple[TenantRow | None, list[UUID], list[UUID], list[TestMailRow]]:
        """Settle rows whose worker died, hold on to our own, and look what is to be done.

        Returns the tenant, the campaigns that are due, those under way, and test mails that are ours to send now.
        """
        now = time.monotonic()
        async with self.database.transaction(desk.tenant) as db:
            old = [job for job in desk.held.values() if not job.finished and now - job.renewed > self.pace.lease / 3]
            if old:
                await deliveries.renew(db, desk.tenant, [job.row for job in old], owner=self.owner, lease=self._lease)
            await deliveries.expire(db, desk.tenant)
            await test_mails.expire(db, desk.tenant)
            due = await campaigns.due(db, desk.tenant)
            under_way = await campaigns.under_way(db, desk.tenant)
            row = await tenants.find(db, desk.tenant)
            tests = await test_mails.begin(db, desk.tenant, owner=self.owner, lease=self._lease)
        for job in old:
            job.renewed = now
        return row, due, under_way, [test for test in tests if test.state == "sending"]

    async def take_back(self, desk: Desk) -> None:
        """After trouble with the database: rows that were begun without our hearing of it wait again."""
        async with self.database.transaction(desk.tenant) as db:
            await deliveries.take_back(db, desk.tenant, [job.row for job in desk.held.values()], owner=self.owner)
        desk.in_doubt = False

    async def explain(self, desk: Desk, why: str | None) -> list[str]:
        """Write down what the campaigns under way wait for; return the names of those for which that is new."""
        new = [trip for trip in desk.trips.values() if trip is not None and trip.told != why]
        if new:
            async with self.database.transaction(desk.tenant) as db:
                for trip in new:
                    await campaigns.explain(db, desk.tenant, trip.letters.campaign.campaign_id, why)
            for trip in new:
                trip.told = why
        return [trip.letters.campaign.name for trip in new]

    async def left_of_day(self, desk: Desk) -> int:
        """How many mails the tenant's daily cap still allows this program; a portion is taken when none are left."""
        now = time.monotonic()
        if desk.left_of_day <= 0 or now >= desk.portion_until:
            await self.give_back_portion(desk)
            async with self.database.transaction(desk.tenant) as db:
                desk.day, desk.left_of_day = await deliveries.take_from_day(db, desk.tenant, PORTION)
            desk.portion_until = now + PORTION_SECONDS
        return desk.left_of_day

    async def give_back_portion(self, desk: Desk) -> None:
        """Give back what is left of the portion, so that other programs can use it."""
        if desk.day is not None and desk.left_of_day > 0:
            async with self.database.transaction(desk.tenant) as db:
                await deliveries.give_back_to_day(db, desk.tenant, desk.day, desk.left_of_day)
        desk.left_of_day = 0

    async def trip(self, desk: Desk, campaign_id: UUID) -> tuple[Trip | None, str]:
        """The campaign's letters and place, read when needed, or None with why it can't be sent (it is paused then).

        An empty reason: it is not under way any more.
        """
        trip = desk.trips.get(campaign_id)
        now = time.monotonic()
        if trip is not None and now - trip.read_at < LETTERS_SECONDS:
            return trip, ""
        async with self.database.transaction(desk.tenant) as db:
            row = await campaigns.find(db, desk.tenant, campaign_id)
            facts = await campaigns.sending_facts(db, desk.tenant, campaign_id)
            tenant = await tenants.find(db, desk.tenant)
            if row is None or facts is None or tenant is None or row.status != "sending":
                desk.trips.pop(campaign_id, None)
                return None, ""
            links = await self._links_of(db, desk)
            changed = await start.content_of(db, desk.tenant, campaign_id) != facts.content_fingerprint
        problem = self._unfit(tenant, links)
        if changed:
            problem = "Its text or its sender was changed after it was approved. Ask to send it again."
        if not problem:
            try:
                letters = Letters(tenant, row, links, bounce_address=self._bounce_address, sign=self._sign)
                after = trip.after if trip else deliveries.BEGINNING
                desk.trips[campaign_id] = trip = Trip(
                    letters, facts.on_crash, now, after, told=facts.why, tests=facts.tests_variants
                )
                return trip, ""
            except CannotWrite as error:
                problem = str(error)
        await start.stop(self.database, desk.tenant, campaign_id, problem)
        desk.trips.pop(campaign_id, None)
        return None, f"{row.name} is paused. {problem}"

    async def write_test(self, desk: Desk, test: TestMailRow) -> Letter:
        """A test mail, through the eyes of the campaign's first recipient. Raises `CannotWrite`."""
        async with self.database.transaction(desk.tenant) as db:
            campaign = await campaigns.find(db, desk.tenant, test.campaign_id)
            tenant = await tenants.find(db, desk.tenant)
            reader = await emails.reader(db, desk.tenant, test.campaign_id, test.contact_id)
            links = await self._links_of(db, desk)
        if campaign is None or tenant is None:
            raise CannotWrite("The campaign is gone.")
        if not (tenant.sender_email or self._only_keeps):
            raise CannotWrite(NO_SENDER)
        who = Reader(NOBODY, test.address, None, None, None)
        if reader is not None:
            who = Reader(reader.contact_id, reader.email, reader.first_name, reader.last_name, reader.phone_number)
        return Letters(tenant, campaign, links, sign=self._sign).write_test(
            test.subject, test.body, who, test.address
        )  # fmt: skip

    async def end_test(
        self, desk: Desk, test: TestMailRow, state: Literal["sent", "failed", "unknown"], reason: str,
        kept: Letter | None = None,
    ) -> None:  # fmt: skip
        """Record what became of a test mail, in the outbox too where it was `kept`."""
        async with self.database.transaction(desk.tenant) as db:
            await test_mails.finish(db, desk.tenant, test.test_id, state, owner=self.owner, reason=reason)
            if kept is not None:
                await captures.add(db, desk.tenant, [captured(test.campaign_id, test.contact_id, kept)])

    async def _links_of(self, db: Connection, desk: Desk) -> Links:
        if desk.links is None:
            desk.links = await Links.load(db, desk.tenant, self._links)
        return desk.links

    def _unfit(self, tenant: TenantRow, links: Links) -> str:
        """Why mails of this tenant can't go out to people; empty when they can."""
        if self._only_keeps:
            return ""
        if not tenant.sender_email:
            return NO_SENDER
        return "" if links.is_public else NOT_PUBLIC


def captured(campaign_id: UUID, contact_id: UUID | None, letter: Letter) -> Captured:
    """A letter as the outbox keeps it."""
    return Captured(campaign_id, contact_id, letter.sender, letter.recipient, letter.subject, letter.message)
