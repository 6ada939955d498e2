"""The sending loop: rows of the ledger become mails, and answers become rows.

One task keeps the books. In each turn it records in one transaction what servers have answered since the last one and
begins as many rows as lines are free; after the COMMIT the lines get them. So no more rows are in flight than there are
lines: that is what a kill can leave in doubt. Any number of programs do this on the same ledger
(docs/decisions/0013-the-ledger.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal
from uuid import UUID, uuid4

import psycopg
from psycopg_pool import PoolTimeout

from db.deliveries import BEGINNING, BegunRow
from db.pool import Database
from db.rates import Limit
from db.test_mails import TestMailRow
from mail import start, variants
from mail.books import Books
from mail.desk import Desk, Job, Place, Trip
from mail.letters import CannotWrite, Reader, Sign
from mail.links import LinkSettings
from mail.outlets import Line, Outlet
from mail.pace import Pace, Rest
from mail.smtp import Outcome

log = logging.getLogger(__name__)

# What a database may do to anybody at any time, and what then is tried again.
TROUBLE = (psycopg.OperationalError, PoolTimeout)
TRY_AGAIN = 0.3

# Seconds between two looks for a free slot under a rate limit.
LOOK_FOR_SLOTS = 0.03

# Looks (of a second each) for which a tenant is left alone whose rows bring a bug to light.
REST_AFTER_ERROR = 60

Told = Callable[[str], None]
"""Called with a sentence when something worth telling happens: a campaign begins, ends, stops."""


class Sender:
    """Sends what is due, for all tenants it is given. One a program; `run` until told to stop."""

    def __init__(
        self,
        database: Database,
        outlets: Sequence[Outlet],
        tenants: Callable[[], Awaitable[Sequence[UUID]]],
        *,
        links: LinkSettings,
        pace: Pace | None = None,
        bounce_address: str | None = None,
        sign: Sign | None = None,
        told: Told | None = None,
    ) -> None:
        """`tenants` tells whose mail to send, and is asked again every so often."""
        self._pace = pace or Pace()
        self._outlets, self._tenants = list(outlets), tenants
        for outlet in self._outlets:
            outlet.rest = Rest(self._pace)
        self._told = told or (lambda _: None)
        self.owner = uuid4().hex
        self._books = Books(
            database, self.owner, self._pace, links, bounce_address=bounce_address, sign=sign,
            only_keeps=all(outlet.keeps for outlet in self._outlets),
        )  # fmt: skip
        self._desks: dict[UUID, Desk] = {}
        self._wake = asyncio.Event()
        self._next_tenants = 0.0
        self._stopping = False
        self._tests: set[asyncio.Task[None]] = set()

    @property
    def sent(self) -> int:
        """Mails that were taken, as far as this program has recorded them."""
        return self._books.sent

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until `stopping` is set, then let the mails in flight end (some seconds at most) and record them."""
        watch = asyncio.create_task(self._watch(stopping))
        async with self._lines():
            try:
                while not self._stopping:
                    await self._turn()
                await self._drain()
            finally:
                watch.cancel()

    async def run_once(self) -> None:
        """Send until nothing is due and nothing is in flight."""
        async with self._lines():
            while True:
                worked = await self._turn(wait=False)
                if any(desk.held and not desk.rests(time.monotonic()) for desk in self._desks.values()):
                    await self._rest(0.05)
                elif self._tests:
                    await asyncio.wait(self._tests)
                elif not worked and not any(self._may_go_on(desk) for desk in self._desks.values()):
                    return
                elif not worked:
                    await self._rest(self._until_next())

    def _may_go_on(self, desk: Desk) -> bool:
        """Whether something is due that can leave: the cap allows it, and a server is there."""
        now = time.monotonic()
        has_way = any(outlet.rest.why is None for outlet in self._outlets)
        return has_way and now >= desk.capped_until and not desk.rests(now) and desk.next_campaign(now) is not None

    @contextlib.asynccontextmanager
    async def _lines(self) -> AsyncIterator[None]:
        """Every outlet's lines, waiting for jobs."""
        lines = [asyncio.create_task(self._work(outlet)) for outlet in self._outlets for _ in range(outlet.lines)]
        try:
            yield
        finally:
            tasks = [*lines, *self._tests]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._stopping = True
        self._wake.set()

    # Turns

    async def _turn(self, *, wait: bool = True) -> bool:
        """Serve every desk once; say whether there was anything to do. Waits for the next thing to do otherwise."""
        self._wake.clear()
        try:
            await self._find_desks()
            worked = [await self._serve_by_itself(desk) for desk in list(self._desks.values())]
        except TROUBLE as error:
            log.warning("the database does not answer, trying again: %s", " ".join(str(error).split())[:200])
            for desk in self._desks.values():
                desk.in_doubt = True
            await asyncio.sleep(TRY_AGAIN)
            return True
        if not any(worked) and wait:
            await self._rest(self._until_next())
        return any(worked)

    async def _rest(self, seconds: float) -> None:
        """Wait until something is answered, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _until_next(self) -> float:
        """Seconds until something may be due without an answer coming in."""
        now = time.monotonic()
        moments = [self._next_tenants]
        for desk in self._desks.values():
            moments += [desk.next_look, desk.rests_until, *(trip.quiet_until for trip in desk.trips.values() if trip)]
            if desk.trips and self._is_limited(desk):
                moments.append(now + LOOK_FOR_SLOTS)
        return max(0.001, min((moment for moment in moments if moment > now), default=now) - now)

    async def _find_desks(self) -> None:
        now = time.monotonic()
        if now < self._next_tenants:
            return
        wanted = await self._tenants()
        self._next_tenants = now + 5 * self._pace.look
        for tenant in wanted:
            self._desks.setdefault(tenant, Desk(tenant))
        for tenant in set(self._desks) - set(wanted):
            if not self._desks[tenant].held:
                del self._desks[tenant]

    async def _serve_by_itself(self, desk: Desk) -> bool:
        """Serve a desk; what its rows bring to light and nobody foresaw stops this tenant's mail for a while, alone."""
        if desk.rests(time.monotonic()):
            return False
        try:
            return await self._serve(desk)
        except TROUBLE:
            raise
        except Exception:
            log.exception("the mail of tenant %s can't be worked on and rests", desk.tenant)
            if not desk.rests_until:  # said once; the log has every time
                self._told("The mail of one tenant rests for a minute: an error of this program; see its log.")
            desk.in_doubt = True
            desk.rests_until = time.monotonic() + REST_AFTER_ERROR * self._pace.look
            return False

    async def _serve(self, desk: Desk) -> bool:
        """Record, begin and look after one tenant's rows; say whether there was anything to do."""
        now = time.monotonic()
        if desk.in_doubt:
            await self._books.take_back(desk)
        if now >= desk.next_look and not self._stopping:
            await self._look(desk)
            desk.next_look = now + self._pace.look
        trip = None if self._stopping else await self._next_trip(desk, now)
        places = await self._places(desk) if trip else []
        if not desk.answered and not places:
            return False
        had_answers = bool(desk.answered)
        rows, places = await self._books.keep(desk, trip, places)
        if had_answers and not desk.held:
            # The last answer is in: whether a campaign is over is looked at now, not at the next quiet moment.
            for known in filter(None, desk.trips.values()):
                known.quiet_until = now
        if trip is not None and places:
            await self._hand_out(desk, trip, rows, places)
        return had_answers or bool(places)

    async def _next_trip(self, desk: Desk, now: float) -> Trip | None:
        campaign_id = desk.next_campaign(now)
        if campaign_id is None:
            return None
        is_new = desk.trips.get(campaign_id) is None
        trip, problem = await self._books.trip(desk, campaign_id)
        if problem:
            self._told(problem)
        elif trip is not None and is_new:
            self._told(f"{trip.letters.campaign.name} is being sent.")
        return trip

    def _is_limited(self, desk: Desk) -> bool:
        return desk.limit is not None or any(outlet.limit is not None for outlet in self._outlets)

    async def _places(self, desk: Desk) -> list[Place]:
        """A place in an outlet for each mail that this tenant may begin now."""
        if time.monotonic() < desk.capped_until:
            return []
        places: list[Place] = []
        for outlet in self._outlets:
            room = outlet.room(sum(1 for job in desk.answered if job.outlet is outlet))
            places += [Place(outlet) for _ in range(room)]
        # Tenants share the lines.
        sharing = sum(1 for other in self._desks.values() if other.trips)
        places = places[: -(-len(places) // max(1, sharing))]
        if places:
            allowed = await self._books.left_of_day(desk)
            if allowed == 0:
                desk.capped_until = time.monotonic() + 30 * self._pace.look
                await self._explain(desk, "The daily cap of mails is used up; it goes on at midnight.")
            places = places[:allowed]
        return places

    async def _hand_out(self, desk: Desk, trip: Trip, rows: Sequence[BegunRow], places: Sequence[Place]) -> None:
        """Give begun rows to the lines. None may be lost here: they count as in flight from now on."""
        going = [row for row in rows if row.state == "sending"]
        jobs = [self._job(desk, trip, row, place) for row, place in zip(going, places, strict=False)]
        desk.left_of_day -= len(jobs)
        try:
            await self._books.learn(desk, trip.letters, going)
        except BaseException:
            for job in jobs:
                self._end(job, Outcome("late"))
            raise
        for job in jobs:
            job.outlet.queue.put_nowait(job)
        if len(rows) == len(places):
            trip.after = max((row.next_attempt_at, row.contact_id) for row in rows)
            return
        # The end of what is due. The next look begins at the front: what was in other hands may have come back there.
        if not rows and trip.after == BEGINNING:
            trip.quiet_until = time.monotonic() + self._pace.look / 2
            await self._finish(desk, trip)
        trip.after = BEGINNING

    def _job(self, desk: Desk, trip: Trip, row: BegunRow, place: Place) -> Job:
        # A program that was stopped for half of its lease must not believe in it any more.
        job = Job(desk, place, row, trip.letters, until=time.monotonic() + self._pace.lease / 2)
        desk.held[job.key] = job
        place.outlet.busy += 1
        return job

    async def _finish(self, desk: Desk, trip: Trip) -> None:
        """Where nothing is due any more: is the campaign over?"""
        campaign = trip.letters.campaign
        if any(campaign_id == campaign.campaign_id for campaign_id, _ in desk.held):
            return
        if await start.finish(self._books.database, desk.tenant, campaign.campaign_id):
            desk.trips.pop(campaign.campaign_id, None)
            self._told(f"{campaign.name} is sent.")
        elif trip.tests:
            said = await variants.advance(self._books.database, desk.tenant, campaign.campaign_id)
            # A test lasts hours: less often than where mails wait for another try.
            trip.quiet_until = time.monotonic() + (0 if said else 5 * self._pace.look)
            if said:
                self._told(f"{campaign.name}: {said}.")

    # Looking around

    async def _look(self, desk: Desk) -> None:
        """What changes by itself: campaigns that are due, paused or over, rows whose worker died, test mails."""
        tenant, due, under_way, tests = await self._books.look(desk)
        for test in tests:
            # Not here: a slow server must not keep the books waiting.
            task = asyncio.create_task(self._send_test(desk, test))
            self._tests.add(task)
            task.add_done_callback(self._tests.discard)
        rate = tenant.rate_per_second if tenant else None
        desk.limit = Limit(f"tenant:{desk.tenant}", rate) if rate else None
        for campaign_id in due:
            await start.start(self._books.database, desk.tenant, campaign_id)
            under_way.append(campaign_id)  # by us or by another worker; if by nobody, its trip will tell
        desk.trips = {id: trip for id, trip in desk.trips.items() if id in under_way} | {
            id: None for id in under_way if id not in desk.trips
        }
        await self._tell_troubles(desk)
        if not desk.trips:
            await start.complete(self._books.database, desk.tenant)
            await self._books.give_back_portion(desk)

    async def _tell_troubles(self, desk: Desk) -> None:
        """Write down why nothing moves where no server can be reached, and take it back when one can."""
        down = [outlet.rest.why for outlet in self._outlets if outlet.rest.why]
        if len(down) == len(self._outlets):
            await self._explain(desk, f"It waits for the mail server. {down[0]}")
        elif time.monotonic() >= desk.capped_until:
            await self._explain(desk, None)

    async def _explain(self, desk: Desk, why: str | None) -> None:
        for name in await self._books.explain(desk, why):
            self._told(f"{name}: {why or 'it goes on.'}")

    # Lines

    async def _work(self, outlet: Outlet) -> None:
        """One line: takes jobs, one at a time, until it is cancelled."""
        line = outlet.line()
        try:
            while True:
                job = await outlet.queue.get()
                self._end(job, await self._send(job, line))
        finally:
            with contextlib.suppress(Exception):
                await line.close()

    async def _send(self, job: Job, line: Line) -> Outcome:
        row = job.row
        reader = Reader(row.contact_id, row.address, row.first_name, row.last_name, row.phone_number)
        try:
            job.letter = letter = job.letters.write(row.email_id, reader)
            return await line.send(letter.sender, letter.recipient, letter.message, job.until)
        except CannotWrite as error:
            return Outcome("refused", None, str(error))
        except Exception:
            # A bug that one mail brings to light must not stop the others; its row says so.
            log.exception("a mail could not be sent")
            return Outcome("refused", None, "An error of this program; see its log.")

    def _end(self, job: Job, outcome: Outcome) -> None:
        """Keep what became of a mail, for the next turn to record."""
        rest = job.outlet.rest
        if outcome.kind == "unreachable":
            rest.failed(outcome.text)
        elif outcome.kind != "late" and rest.why is not None:
            rest.succeeded()
        job.end(outcome, self._pace)
        job.desk.answered.append(job)
        self._wake.set()

    async def _send_test(self, desk: Desk, test: TestMailRow) -> None:
        """Send one test mail, through a line of its own."""
        outlet = next((outlet for outlet in self._outlets if outlet.rest.why is None), self._outlets[0])
        line = outlet.line()
        letter = None
        try:
            letter = await self._books.write_test(desk, test)
            async with asyncio.timeout(60):
                outcome = await line.send(letter.sender, letter.recipient, letter.message)
        except CannotWrite as error:
            outcome = Outcome("refused", None, str(error))
        except TimeoutError:
            outcome = Outcome("unknown", None, "The server did not answer within a minute.")
        finally:
            await line.close()
        states: dict[str, Literal["sent", "unknown"]] = {"sent": "sent", "unknown": "unknown"}
        await self._books.end_test(
            desk, test, states.get(outcome.kind, "failed"), outcome.text, letter if outlet.keeps else None
        )
        self._told(f"Test to {test.address}: {outcome.text}")

    # The end

    async def _drain(self) -> None:
        """Let the mails in flight end, and record them; what no line has begun goes back to the ledger."""
        end = time.monotonic() + self._pace.drain
        for outlet in self._outlets:
            while not outlet.queue.empty():
                self._end(outlet.queue.get_nowait(), Outcome("late"))
        while any(desk.held for desk in self._desks.values()) and time.monotonic() < end:
            await self._turn(wait=False)
            await self._rest(0.05)
        with contextlib.suppress(*TROUBLE):
            for desk in self._desks.values():
                await self._books.give_back_portion(desk)
