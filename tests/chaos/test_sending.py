"""Faults F1 to F7 and F9 to F12: what happens to a campaign when something dies, stalls, refuses or changes its mind.

Each test names the most that may go wrong, and counts it where it can't be argued with: in the mail server's log.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from db import tenants
from db.embedded import BINARIES, EmbeddedServer, _as_server_user
from db.migrate import migrate
from mail import leaving
from tests.chaos.conftest import Field, own_server, pick, tell, wait_until
from tests.mail.test_send import most_in_a_second, now
from tools import BY_NAME, deliveries
from tools.base import Context

pytestmark = pytest.mark.slow


def everybody(count: int, name: str = "harvest-fair") -> set[str]:
    return {f"{name}{number}@example.org" for number in range(count)}


@pytest.mark.parametrize("on_crash", ["resend", "park"])
def test_f1_f2_kills_lose_nobody(chaos: Field, on_crash: str) -> None:
    """F1: sent again, at most one duplicate a kill and connection. F2: none at all, the missing are known."""
    people, kills = pick(10_000, 400), pick(20, 4)
    chaos.campaign(people, on_crash=on_crash)  # type: ignore[arg-type]
    chaos.serve_mail("--slow", "0.005")
    chance = random.Random(11)
    for kill in range(kills):
        worker = chaos.worker()
        goal = (kill + 1) * people // (kills + 1)
        wait_until(lambda goal=goal: len(chaos.log()) >= goal, f"{goal} are sent")  # type: ignore[misc]
        time.sleep(chance.random() * 0.05)
        chaos.kill(worker)
    chaos.finish()
    taken = {line.recipient for line in chaos.taken()}
    missing = len(everybody(people) - taken)
    tell(
        "F1" if on_crash == "resend" else "F2",
        f"{people:,} people, {kills} kills x {chaos.connections} connections: {missing} not there, "
        f"{chaos.twice()} twice, rows {chaos.states()}",
    )
    if on_crash == "resend":
        assert taken == everybody(people)
        assert chaos.twice() <= kills * chaos.connections
        assert chaos.states() == {"sent": people}
        return
    assert chaos.twice() == 0
    unknown = {row[0] for row in chaos.rows("SELECT address FROM deliveries WHERE state = 'unknown'")}
    assert everybody(people) - taken <= unknown
    assert len(unknown) <= kills * chaos.connections
    assert chaos.states() == {"sent": people - len(unknown), "unknown": len(unknown)}


def test_f3_restarts_of_the_database_lose_nobody(new_field: Callable[..., Field]) -> None:
    people, restarts = pick(10_000, 400), pick(5, 2)
    with own_server() as server:
        chaos = new_field(server.url())
        chaos.campaign(people, on_crash="resend")
        chaos.serve_mail("--slow", "0.01")
        worker = chaos.worker(lease=5)
        slowest = 0.0
        for restart in range(restarts):
            goal = (restart + 1) * people // (restarts + 1)
            wait_until(lambda goal=goal: len(chaos.log()) >= goal, f"{goal} are sent")  # type: ignore[misc]
            _restart_at_once(server)
            back, before = time.monotonic(), len(chaos.log())
            wait_until(lambda before=before: len(chaos.log()) > before + chaos.connections, "it goes on")  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - back)
        wait_until(lambda: chaos.waits() == 0, "everything is settled")
        chaos.stop(worker)
        lost = len(everybody(people) - {line.recipient for line in chaos.taken()})
        tell("F3", f"{people:,} people, {restarts} restarts: {lost} lost, {chaos.twice()} twice, "
                   f"going again after {slowest:.1f} s")  # fmt: skip
        assert {line.recipient for line in chaos.taken()} == everybody(people)
        assert chaos.twice() <= restarts * chaos.connections
        assert slowest < 10
        assert chaos.states() == {"sent": people}


def _restart_at_once(server: EmbeddedServer) -> None:
    """As after a power cut: nothing is written that was not."""
    pg_ctl = [str(BINARIES / "pg_ctl"), "-D", str(server.data)]
    subprocess.run(
        [*pg_ctl, "stop", "-m", "immediate", "-w"], check=True, capture_output=True, cwd=server.folder,
        **_as_server_user(),
    )  # fmt: skip
    server._start_when_needed(time.monotonic() + 60)


def test_f4_lost_lines_lose_nobody(chaos: Field) -> None:
    people = pick(10_000, 300)
    chaos.campaign(people, on_crash="resend")
    chaos.serve_mail("--drop-after", "0.05", "--drop-before", "0.1")
    chaos.finish()
    verdicts = Counter(line.verdict for line in chaos.log())
    lost = len(everybody(people) - {line.recipient for line in chaos.taken()})
    tell("F4", f"{people:,} people, sent again: {lost} lost, {verdicts['dropped']} dropped after DATA, "
               f"{verdicts['lost']} before it, {chaos.twice()} twice")  # fmt: skip
    assert {line.recipient for line in chaos.taken()} == everybody(people)
    assert chaos.twice() <= verdicts["dropped"]
    assert verdicts["dropped"] > people * 0.02
    assert verdicts["lost"] > people * 0.05


def test_f4_lost_lines_are_left_to_a_person_where_nothing_is_sent_again(chaos: Field) -> None:
    people = pick(2_000, 200)
    chaos.campaign(people)
    chaos.serve_mail("--drop-after", "0.05", "--drop-before", "0.1")
    chaos.finish()
    assert chaos.twice() == 0
    unknown = {row[0] for row in chaos.rows("SELECT address FROM deliveries WHERE state = 'unknown'")}
    missing = everybody(people) - {line.recipient for line in chaos.taken()}
    tell(
        "F4", f"{people:,} people, parked: {len(missing - unknown)} lost, {len(unknown)} unknown, {chaos.twice()} twice"
    )
    assert missing <= unknown


def test_f5_refusals_are_tried_again_or_never(chaos: Field) -> None:
    """The waits themselves (a minute and more, up to three days) are tests/mail/test_send.py's."""
    people = pick(5_000, 300)
    chaos.campaign(people)
    chaos.serve_mail("--later", "0.1", "--refuse", "0.02")
    chaos.finish()
    after_refusal: Counter[str] = Counter()
    refused: set[str] = set()
    for line in chaos.log():
        after_refusal[line.recipient] += line.recipient in refused
        if line.verdict == "refused":
            refused.add(line.recipient)
    assert sum(after_refusal.values()) == 0, "a 5xx is not tried again"
    assert refused
    assert {line.recipient for line in chaos.taken()} == everybody(people) - refused
    assert chaos.twice() == 0
    assert chaos.states() == {"sent": people - len(refused), "failed": len(refused)}
    verdicts = Counter(line.verdict for line in chaos.log())
    tell("F5", f"{people:,} people: {verdicts['later']} times 4xx, {len(refused)} refused for good, "
               f"{sum(after_refusal.values())} of these tried again, {chaos.twice()} twice")  # fmt: skip
    hard = chaos.rows("SELECT address FROM deliveries WHERE smtp_answer LIKE '550 5.1.1%%' AND state = 'failed'")
    closed = chaos.rows("SELECT email FROM contacts WHERE status = 'bounced'")
    assert sorted(hard) == sorted(closed)
    assert chaos.rows("SELECT count(*) FROM suppressions") == [(len(hard),)]


def test_f6_a_worker_that_was_stopped_past_its_lease_sends_at_most_one_more_a_connection(chaos: Field) -> None:
    people = pick(3_000, 300)
    chaos.campaign(people, on_crash="resend")
    chaos.serve_mail("--slow", "0.05")
    stopped, other = chaos.worker(), chaos.worker()
    wait_until(lambda: len(chaos.log()) > people // 5, "some are sent")
    stopped.send_signal(signal.SIGSTOP)
    wait_until(lambda: len(chaos.log()) > people * 3 // 5, "the other one goes on")
    time.sleep(4)  # past its lease
    stopped.send_signal(signal.SIGCONT)
    wait_until(lambda: chaos.waits() == 0, "everything is settled")
    chaos.stop(stopped)
    chaos.stop(other)
    tell("F6", f"{people:,} people, {chaos.connections} connections stopped: {chaos.twice()} twice")
    assert {line.recipient for line in chaos.taken()} == everybody(people)
    assert chaos.twice() <= chaos.connections


@pytest.mark.parametrize("what", ["pause", "cancel", "halt"])
def test_f7_what_is_stopped_stops_at_once(chaos: Field, what: str) -> None:
    people = pick(3_000, 300)
    chaos.campaign(people)
    chaos.serve_mail("--slow", "0.01")
    worker = chaos.worker()
    wait_until(lambda: len(chaos.log()) > people // 5, "some are sent")

    async def stop(ctx: Context) -> None:
        if what == "pause":
            await deliveries.pause("Harvest Fair", ctx)
        elif what == "cancel":
            await BY_NAME["cancel_campaign"].call({"campaign": "Harvest Fair"}, ctx)

    if what == "halt":
        tenants.halt(chaos.url, chaos.tenant)
    else:
        chaos.do(stop)
    at_the_commit = time.monotonic()
    time.sleep(2)
    late = [line for line in chaos.taken() if line.at > at_the_commit]
    tell("F7", f"{what}: {len(late)} left after the commit, on {chaos.connections} connections")
    assert len(late) <= chaos.connections
    assert len(chaos.taken()) < people
    chaos.stop(worker)


def test_f9_a_kill_between_approval_and_sending_changes_nothing(chaos: Field) -> None:
    kills = pick(50, 5)
    chaos.serve_mail()
    chance = random.Random(3)
    for number in range(kills):
        name = f"Fair {number}"
        chaos.campaign(2, name, approved=False)
        # The approving program dies right after its COMMIT, without a word to anybody.
        approver = chaos.start("tests.chaos.approver", chaos.url, str(chaos.tenant), name)
        assert approver.wait(timeout=60) == -signal.SIGKILL
        if number % 2:
            worker = chaos.start("tests.chaos.worker", chaos.url, str(chaos.tenant), str(chaos.port))
            time.sleep(chance.random() * 1.5)
            chaos.kill(worker)
    chaos.finish()
    counts = Counter(line.recipient for line in chaos.taken())
    unknown = {row[0] for row in chaos.rows("SELECT address FROM deliveries WHERE state = 'unknown'")}
    expected = {address for number in range(kills) for address in everybody(2, f"fair-{number}")}
    tell("F9", f"{kills} kills, two mails each: {len(counts)} sent once, {len(unknown)} in flight when a worker was "
               f"killed too, {chaos.twice()} twice")  # fmt: skip
    assert set(counts) | unknown == expected
    assert set(counts.values()) == {1}


def test_f10_after_a_dump_and_restore_nobody_gets_it_again(new_field: Callable[..., Field]) -> None:
    people = pick(3_000, 300)
    with own_server() as server:
        chaos = new_field(server.url())
        chaos.campaign(people)
        chaos.serve_mail("--slow", "0.05")
        worker = chaos.worker()
        wait_until(lambda: len(chaos.log()) > people // 4, "some are sent")
        with _asking(chaos) as asked:
            # A migration that runs while mail is being sent: what is there already, and an index more.
            migrate(server.url())
            with psycopg.connect(server.url(), autocommit=True) as owner:
                owner.execute("CREATE INDEX CONCURRENTLY under_load ON deliveries (tenant_id, address)")
                owner.execute("ALTER TABLE deliveries ADD COLUMN under_load int")
            wait_until(lambda: asked["answered"] >= pick(40, 8), "requests are answered")
            wait_until(lambda: len(chaos.log()) > people // 2, "it went on")
        chaos.stop(worker)
        chaos.url = _dumped_and_restored(server)
        left = chaos.waits()
        chaos.finish()
        tell("F10", f"{people:,} people, restored with {left:,} to go: {chaos.twice()} twice, "
                    f"{len(everybody(people) - {line.recipient for line in chaos.taken()})} lost; "
                    f"{asked['answered']} requests during the migration, {asked['failed']} failed")  # fmt: skip
        assert Counter(line.recipient for line in chaos.taken()) == Counter(everybody(people))
        assert chaos.states() == {"sent": people}
        assert "does not answer" not in (chaos.folder / "errors").read_text()
        assert left
        assert asked["failed"] == 0


@contextmanager
def _asking(chaos: Field) -> Iterator[Counter[str]]:
    """Somebody who goes on working, with reads and writes, while the block runs; counts what was answered."""
    counted: Counter[str] = Counter()
    leaving = threading.Event()

    async def work(ctx: Context) -> None:
        await BY_NAME["create_campaign"].call({"name": "Another"}, ctx)
        while not leaving.is_set():
            try:
                await BY_NAME["update_campaign"].call({"campaign": "Another", "description": f"{counted}"}, ctx)
                await BY_NAME["get_campaign"].call({"campaign": "Harvest Fair"}, ctx)
                counted["answered"] += 2
            except Exception:
                counted["failed"] += 1

    person = threading.Thread(target=chaos.do, args=(work,))
    person.start()
    try:
        yield counted
    finally:
        leaving.set()
        person.join()


def _dumped_and_restored(server: EmbeddedServer) -> str:
    """The URL of a copy of the database, made by pg_dump and pg_restore."""
    file = server.folder / "dump"
    with psycopg.connect(server.url("postgres"), autocommit=True) as owner:
        owner.execute("CREATE DATABASE restored")
    # Output over pipes: the server's own user may not write here.
    dump = subprocess.run(
        [BINARIES / "pg_dump", "-Fc", "-d", server.url()], check=True, capture_output=True, cwd=server.folder
    )
    file.write_bytes(dump.stdout)
    subprocess.run(
        [BINARIES / "pg_restore", "-d", server.url("restored"), file], check=True, capture_output=True,
        cwd=server.folder,
    )  # fmt: skip
    return server.url("restored")


def test_f11_a_rate_holds_in_every_second(chaos: Field) -> None:
    people = pick(280, 50)
    tenants.update(chaos.url, chaos.tenant, rate=14)
    chaos.campaign(people)
    chaos.serve_mail()
    workers = [chaos.worker(), chaos.worker()]
    started = time.monotonic()
    wait_until(lambda: chaos.waits() == 0, "everything is sent")
    for worker in workers:
        chaos.stop(worker)
    moments = [line.at for line in chaos.taken()]
    tell("F11", f"{len(moments)} mails, two workers: at most {most_in_a_second(moments)} in a second, "
                f"{len(moments) / (time.monotonic() - started):.1f} a second on the whole")  # fmt: skip
    assert len(moments) == people
    assert most_in_a_second(moments) <= 14


def test_f12_who_unsubscribes_while_queued_gets_nothing(chaos: Field) -> None:
    people, leave = pick(3_000, 400), pick(1_000, 100)
    chaos.campaign(people)
    chaos.serve_mail("--slow", "0.2")
    worker = chaos.worker()
    wait_until(lambda: chaos.log(), "the first is sent")
    ((campaign,),) = chaos.rows("SELECT campaign_id FROM campaigns")
    gone: dict[str, float] = {}

    async def unsubscribe(ctx: Context) -> None:
        """The last ones first: some are queued, some in flight, some have it."""
        async with ctx.database.transaction(chaos.tenant) as db:
            cursor = await db.execute("SELECT contact_id, address FROM deliveries ORDER BY contact_id DESC")
            contacts = await cursor.fetchall()
        random.Random(5).shuffle(contacts)
        for contact, address in contacts[:leave]:
            async with ctx.database.transaction(chaos.tenant) as db:
                await leaving.unsubscribe(db, chaos.tenant, campaign, contact, how="one_click", at=now())
                cursor = await db.execute("SELECT state FROM deliveries WHERE contact_id = %s", (contact,))
                row = await cursor.fetchone()
                # At this commit a mail has begun before, or must never leave.
                if row is not None and row[0] == "skipped":
                    gone[address] = time.monotonic()

    chaos.do(unsubscribe)
    wait_until(lambda: chaos.waits() == 0, "everything is settled")
    chaos.stop(worker)
    sent_after = gone.keys() & {line.recipient for line in chaos.taken()}
    tell("F12", f"{leave:,} unsubscribed, {len(gone):,} of them while queued: {len(sent_after)} sent after the commit")
    assert len(gone) > leave // 10
    assert not sent_after
    assert chaos.twice() == 0


def test_memory_stays_flat(chaos: Field) -> None:
    """The claim for a million recipients is the full form's; the short one sees that nothing is kept per recipient."""
    people = pick(20_000, 1_500)
    chaos.campaign(people)
    chaos.serve_mail()
    worker = chaos.worker()
    wait_until(lambda: len(chaos.log()) > people // 5, "it is warm")
    early = _memory(worker.pid)
    wait_until(lambda: len(chaos.log()) > people * 9 // 10, "nearly all is sent")
    late = _memory(worker.pid)
    chaos.stop(worker)
    tell("memory", f"{people:,} people: {early:.0f} MB after a fifth, {late:.0f} MB after nine tenths")
    assert late < 150
    assert late - early < 10


def _memory(pid: int) -> float:
    """Resident memory in MB."""
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
