"""The mailbox of returned mails, read beside the sending: once, by one program, whatever the mailbox does."""

from __future__ import annotations

import asyncio
import dataclasses
import mailbox
import socket
import socketserver
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from db.pool import Database
from interfaces.settings import Settings
from interfaces.worker import make_reader, make_sender, send_and_read
from mail import bounces, outlets
from mail.mailboxes import MailboxError
from mail.returns import MailboxReader, Read
from mail.send import Sender
from tests.interfaces.test_tracking import Site, site_of
from tests.mail.test_bounces import arf, dsn, sent_mail
from tests.mail.test_send import LINKS, QUICK, approve, live, make_campaign, states
from tools.base import Context, Tenant

__all__ = ["live"]  # a fixture


@pytest.fixture
async def site(ctx: Context) -> AsyncIterator[Site]:
    async with site_of(ctx) as site:
        yield site


@pytest.fixture
def box(tmp_path: Path) -> mailbox.Maildir:
    return mailbox.Maildir(tmp_path / "box")


def address(box: mailbox.Maildir) -> str:
    return f"maildir:{box._path}"


def unread(box: mailbox.Maildir) -> int:
    return sum("S" not in box.get_message(key).get_flags() for key in box.keys())  # noqa: SIM118 - no dict


def reader(
    ctx: Context, where: str, *, tenants: Sequence[UUID] = (), keep_others: bool = False, every: float = 0.05,
    told: list[str] | None = None, database: Database | None = None,
) -> MailboxReader:  # fmt: skip
    async def ask() -> Sequence[UUID]:
        return tenants or [ctx.tenant.id]

    return MailboxReader(
        database or ctx.database, ask, [], where, keep_others=keep_others, every=every,
        told=None if told is None else told.append,
    )  # fmt: skip


@asynccontextmanager
async def running(one: MailboxReader) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(one.run(stopping))
    try:
        yield
        assert not task.done()
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)


async def until(what: object, seconds: float = 20) -> None:
    """Wait until it returns something true; a coroutine function or a plain one."""
    assert callable(what)
    async with asyncio.timeout(seconds):
        while True:
            found = what()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


async def status(site: Site, place: int = 0) -> str:
    rows = await site.rows("SELECT status FROM contacts WHERE contact_id = %s", site.campaign.people[place])
    return str(rows[0][0])


async def test_reports_in_a_maildir_are_written_down_and_marked_as_read(site: Site, box: mailbox.Maildir) -> None:
    box.add(dsn(sent_mail(site.to(0))))
    box.add(arf(sent_mail(site.to(1))))
    box.add(b"From: ada@example.org\n\nThank you for your mail!\n")

    assert await reader(site.ctx, address(box)).read() == Read(mails=3, new=2)
    assert (await status(site, 0), await status(site, 1)) == ("bounced", "complained")
    assert unread(box) == 0
    assert len(box) == 3, "nothing is deleted"
    assert await reader(site.ctx, address(box)).read() == Read(mails=0, new=0)
    assert await site.is_counted_right()


async def test_it_looks_again_by_itself(site: Site, box: mailbox.Maildir) -> None:
    told: list[str] = []
    async with running(reader(site.ctx, address(box), told=told)):
        await asyncio.sleep(0.2)
        box.add(dsn(sent_mail(site.to())))
        await until(lambda: unread(box) == 0)

    assert await status(site) == "bounced"
    assert told == ["1 new report about returned mails."]


class _Imap(socketserver.StreamRequestHandler):
    """An IMAP server with these mails; what is stored as seen is seen by everybody."""

    mails: dict[bytes, bytes] = {}
    seen: set[bytes] = set()
    is_broken = False
    logins = 0

    def handle(self) -> None:
        kind = type(self)
        self.wfile.write(b"* OK ready\r\n")
        while line := self.rfile.readline():
            tag, _, command = line.strip().partition(b" ")
            word, _, rest = command.partition(b" ")
            if word == b"UID":
                word, _, rest = rest.partition(b" ")
            uid = rest.split(b" ")[0]
            if word == b"CAPABILITY":
                self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
            elif word == b"LOGIN":
                kind.logins += 1
                if kind.is_broken:
                    self.wfile.write(tag + b" NO not now\r\n")
                    continue
            elif word == b"SELECT":
                self.wfile.write(b"* %d EXISTS\r\n" % len(kind.mails))
            elif word == b"SEARCH":
                left = sorted(set(kind.mails) - kind.seen)
                self.wfile.write(b"* SEARCH " + b" ".join(left) + b"\r\n")
            elif word == b"FETCH":
                mail = kind.mails[uid]
                self.wfile.write(b"* %s FETCH (UID %s BODY[] {%d}\r\n" % (uid, uid, len(mail)) + mail + b")\r\n")
            elif word == b"STORE":
                kind.seen.add(uid)
            self.wfile.write(tag + b" OK done\r\n")
            if word == b"LOGOUT":
                return


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def imap() -> Iterator[tuple[type[_Imap], str]]:
    """A server of the test's own, and the mailbox's address."""

    class Own(_Imap):
        mails: dict[bytes, bytes] = {}
        seen: set[bytes] = set()

    with _Server(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Own, f"imap://bounces:hushhush@127.0.0.1:{server.server_address[1]}/INBOX"
        server.shutdown()
        thread.join()


async def test_reports_over_imap_are_written_down_and_marked_as_read(site: Site, imap: tuple[type[_Imap], str]) -> None:
    server, where = imap
    server.mails |= {
        b"7": dsn(sent_mail(site.to(0))),
        b"9": b"Subject: hello\r\n\r\nx",
        b"8": arf(sent_mail(site.to(1))),
    }

    assert await reader(site.ctx, where).read() == Read(mails=3, new=2)
    assert (await status(site, 0), await status(site, 1)) == ("bounced", "complained")
    assert server.seen == {b"7", b"8", b"9"}
    assert await reader(site.ctx, where).read() == Read(mails=0, new=0)


async def test_trouble_is_told_once_backs_off_and_ends(site: Site, imap: tuple[type[_Imap], str]) -> None:
    server, where = imap
    server.is_broken = True
    server.mails[b"7"] = dsn(sent_mail(site.to()))
    told: list[str] = []
    async with running(reader(site.ctx, where, told=told)):
        await until(lambda: server.logins >= 4)
        assert len(told) == 1
        server.is_broken = False
        await until(lambda: server.seen)
        await until(lambda: len(told) == 3)

    assert "can't be read" in told[0]
    assert "hushhush" not in "".join(told)
    assert told[1:] == ["The mailbox of returned mails is read again.", "1 new report about returned mails."]
    assert await status(site) == "bounced"


async def test_the_waits_grow_to_half_an_hour(site: Site) -> None:
    one = reader(site.ctx, "maildir:/nowhere/at/all", every=60)
    waits = [await one._look() for _ in range(8)]

    assert waits == [60, 120, 240, 480, 960, 1800, 1800, 1800]


async def test_two_programs_do_not_read_at_once(
    site: Site, tmp_path: Path, box: mailbox.Maildir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be on two machines: the lock is the database's."""
    another = mailbox.Maildir(tmp_path / "another")
    box.add(dsn(sent_mail(site.to())))
    inside, go_on = threading.Event(), threading.Event()
    plain = bounces.reports_in

    def slow(message: bytes) -> list[bounces.Report]:
        inside.set()
        go_on.wait(20)
        return plain(message)

    monkeypatch.setattr(bounces, "reports_in", slow)
    first = asyncio.create_task(reader(site.ctx, address(box)).read())
    await until(inside.is_set)

    assert await reader(site.ctx, address(box)).read() is None
    assert await reader(site.ctx, address(another)).read() == Read(0, 0), "another mailbox is another lock"
    go_on.set()
    assert await first == Read(mails=1, new=1)
    assert await reader(site.ctx, address(box)).read() == Read(0, 0), "the lock is free again"


async def test_a_reader_that_dies_leaves_the_lock(site: Site, box: mailbox.Maildir) -> None:
    dying = """
import asyncio, sys
from db.locks import alone
from mail.returns import lock_name

async def hold():
    async with alone(sys.argv[1], lock_name(sys.argv[2])) as is_ours:
        print(is_ours, flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", dying, site.ctx.database.url, address(box), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    assert await reader(site.ctx, address(box)).read() is None
    holder.kill()
    await holder.wait()

    async def is_free() -> bool:
        return await reader(site.ctx, address(box)).read() == Read(0, 0)

    await until(is_free)


async def test_reports_of_others_stay_for_them_where_that_is_asked(
    site: Site, box: mailbox.Maildir, new_tenant: Callable[[], Tenant]
) -> None:
    other = new_tenant()
    box.add(dsn(sent_mail(site.to())))
    theirs = dataclasses.replace(site.ctx, tenant=other)

    assert await reader(theirs, address(box), keep_others=True).read() == Read(mails=1, new=0)
    assert unread(box) == 1
    both = [other.id, site.ctx.tenant.id]
    assert await reader(theirs, address(box), tenants=both).read() == Read(mails=1, new=1)
    assert unread(box) == 0
    assert await status(site) == "bounced", "of two tenants each report finds its own"


async def test_what_is_nobodys_is_read_once(site: Site, box: mailbox.Maildir) -> None:
    """A report without a genuine token: forged, or of a mail that another program sent."""
    box.add(dsn(b"From: hello@shop.example\nMessage-ID: <1@shop.example>\n\nx\n"))

    assert await reader(site.ctx, address(box)).read() == Read(mails=1, new=0)
    assert unread(box) == 0
    assert await status(site) == "subscribed"


async def test_a_mail_that_nobody_foresaw_does_not_stop_the_others(
    site: Site, box: mailbox.Maildir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = bounces.reports_in

    def fragile(message: bytes) -> list[bounces.Report]:
        if b"strange" in message:
            raise ValueError("what is this?")
        return plain(message)

    monkeypatch.setattr(bounces, "reports_in", fragile)
    box.add(b"Subject: strange\n\nx\n")
    box.add(dsn(sent_mail(site.to())))

    assert await reader(site.ctx, address(box)).read() == Read(mails=2, new=1)
    assert unread(box) == 0
    assert "left aside" in caplog.text


async def test_octets_that_are_no_text_are_no_obstacle(site: Site, box: mailbox.Maildir) -> None:
    box.add(dsn(sent_mail(site.to())).replace(b"User unknown", b"User \x00 \xff\xfe unknown"))

    assert await reader(site.ctx, address(box)).read() == Read(mails=1, new=1)
    assert await status(site) == "bounced"


async def test_a_database_that_is_away_leaves_the_mail_unread(site: Site, box: mailbox.Maildir) -> None:
    box.add(dsn(sent_mail(site.to())))
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    told: list[str] = []
    one = reader(site.ctx, address(box), told=told, database=nowhere)
    await one.read_once()

    assert told == [
        "Returned mails can't be read while the database does not answer. It is tried again, less and less often; "
        "mails are sent all the same."
    ]
    assert unread(box) == 1
    with pytest.raises(psycopg.OperationalError):
        await one.read()


async def test_what_could_not_be_written_down_is_read_again(site: Site, box: mailbox.Maildir) -> None:
    """The database goes away between the fetching of a mail and its transaction."""
    box.add(dsn(sent_mail(site.to())))
    never_opened = Database(site.ctx.database.url)
    with pytest.raises(psycopg.OperationalError):
        await reader(site.ctx, address(box), database=never_opened).read()

    assert unread(box) == 1
    assert await reader(site.ctx, address(box)).read() == Read(mails=1, new=1)


# Beside the sending


async def test_a_worker_reads_the_mailbox_while_it_sends(
    live: Context, database_url: str, box: mailbox.Maildir
) -> None:
    """What is sent comes back, and whoever it came back from is not mailed again."""
    await make_campaign(live, 3)
    await approve(live)
    settings = Settings(bounces=address(box))
    said: list[str] = []
    sending = make_sender(
        settings, database_url, live.database, LINKS, only=live.tenant.id, pace=QUICK, told=said.append
    )
    reading = make_reader(settings, database_url, live.database, LINKS, told=said.append)
    assert reading is not None
    reading._every = 0.05
    stopping = asyncio.Event()
    working = asyncio.create_task(send_and_read(sending, reading, stopping))

    async def all_sent() -> bool:
        return (await states(live)).get("sent") == 3

    await until(all_sent)
    async with live.database.transaction(live.tenant.id) as db:
        ((message,),) = await (await db.execute("SELECT message FROM captured_mails LIMIT 1")).fetchall()
    box.add(dsn(bytes(message).replace(b"\r\n", b"\n")))
    await until(lambda: unread(box) == 0)
    stopping.set()
    await asyncio.wait_for(working, 20)

    async with live.database.transaction(live.tenant.id) as db:
        cursor = await db.execute("SELECT count(*) FROM contacts WHERE status = 'bounced'")
        assert await cursor.fetchone() == (1,)
    assert "1 new report about returned mails." in said


async def test_a_mailbox_that_never_answers_stops_neither_sending_nor_leaving(live: Context) -> None:
    await make_campaign(live, 20)
    await approve(live)

    async def mine() -> Sequence[UUID]:
        return [live.tenant.id]

    async def all_sent() -> bool:
        return (await states(live)).get("sent") == 20

    with socket.create_server(("127.0.0.1", 0)) as silent:
        reading = reader(live, f"imap://x:y@127.0.0.1:{silent.getsockname()[1]}/INBOX")
        sending = Sender(live.database, [outlets.capture()], mine, links=LINKS, pace=QUICK)
        stopping = asyncio.Event()
        working = asyncio.create_task(send_and_read(sending, reading, stopping))
        await until(all_sent)
        stopping.set()
        began = time.monotonic()
        await asyncio.wait_for(working, 10)
        assert time.monotonic() - began < 5


async def test_without_a_mailbox_nothing_is_read(live: Context, database_url: str) -> None:
    assert make_reader(Settings(), database_url, live.database, LINKS) is None


async def test_a_mailbox_that_is_none_is_one_sentence(site: Site) -> None:
    with pytest.raises(MailboxError):
        await reader(site.ctx, "maildir:/nowhere/at/all").read()
