"""Benchmark 1: a campaign sent: rows taken from the ledger, mails written with signed links, SMTP, answers recorded.

Ours: `mail.send.Sender`, as `smartcampaign worker` runs it, with every mail rendered (Liquid, Markdown, HTML in the
layout, a text part), every link signed, and every row begun and recorded in Postgres with its commits. Peer: mailmerge,
which renders a Markdown template with Jinja2 and sends, and keeps no ledger; on fewer mails, for it is slower. Limit: a
raw pipelined SMTP client that throws one prebuilt mail of the same size at the sink, without database or rendering.

After each round the ledger must hold every row as sent, and the sink must have counted as many mails.

    python -m bench.sending [--mails 100000] [--rounds 5] [--connections 64] [--processes 2]
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from bench import sink as sinks
from bench.measure import Contestant, interleaved, throw_away_server
from db import bulk, campaigns, emails, tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from interfaces.settings import Settings
from interfaces.worker import make_sender
from mail.links import LinkSettings
from mail.smtp import dotted
from tools import approvals
from tools.approvals import ApprovalAsked
from tools.base import Actor, Context, Tenant
from tools.sending import send_campaign

OURS, PEER, LIMIT = "ours", "mailmerge", "raw pipelined client (limit)"
PEERS = Path(".venv-peers/bin")
LINKS = LinkSettings("https://mail.shop.example", is_public=True)

SUBJECT = "Harvest Fair: 10% off oak furniture"
BODY = """Hello {{ contact.first_name | default: "there" }},

Harvest Fair begins on Saturday. For eight days everything made of oak costs **10% less**: the [farmhouse
tables](https://shop.example/oak/tables), the [chairs](https://shop.example/oak/chairs) that we restored this summer,
and the [dresser](https://shop.example/oak/dresser) in the window.

- Saturday, 10:00: the workshop is open, and there is cider
- Sunday: bring a chair that wobbles, and we will look at it
- all week: free delivery within twenty miles

See [what is left](https://shop.example/fair) before you come.

With best wishes,
Harrow & Finch

[Unsubscribe]({{ unsubscribe_url }})
"""


class Shop:
    """A tenant with contacts; each round sends a new campaign to all of them."""

    def __init__(self, url: str, ctx: Context, people: int) -> None:
        self.url, self.ctx, self.people = url, ctx, people
        self._campaigns = 0

    @classmethod
    async def open(cls, url: str, people: int) -> Shop:
        id = tenants.add(url, name="Bench", time_zone="UTC", country="GB")
        assert id is not None
        tenants.update(
            url, id, sender_name="Harrow & Finch", sender_email="hello@shop.example", send_cap=10**8, daily_cap=10**9
        )
        database = Database(url)
        await database.open()
        ctx = Context(
            tenant=Tenant(id, "Bench"), actor=Actor("bench"), database=database, embedder=LocalEmbedder(),
            now=lambda: datetime.now(UTC),
        )  # fmt: skip
        async with database.transaction(id) as db:
            rows = ((f"person{n}@example.org", f"First{n}", f"Last{n}") for n in range(people))
            await bulk.insert(db, id, "contacts", "email first_name last_name", rows)
        return cls(url, ctx, people)

    async def approved(self) -> UUID:
        """A new campaign to everybody, approved and due."""
        ctx, tenant = self.ctx, self.ctx.tenant.id
        self._campaigns += 1
        name = f"Campaign {self._campaigns}"
        async with ctx.database.transaction(tenant) as db:
            campaign = await campaigns.add(
                db, tenant, name=name, description=None, start_date=None, vector=None, model=None, at=ctx.now()
            )
            assert campaign is not None
            await emails.save(
                db, tenant, campaign_id=campaign, contact_id=None, subject=SUBJECT, body=BODY, written_by="person",
                unknown_claims=[], vector=None, model=None, at=ctx.now(),
            )  # fmt: skip
            await db.execute(
                "INSERT INTO campaign_contacts (tenant_id, campaign_id, contact_id)"
                " SELECT tenant_id, %s, contact_id FROM contacts",
                (campaign,),
            )
        asked = await send_campaign.call({"campaign": name}, ctx)
        assert isinstance(asked, ApprovalAsked)
        await approvals.decide(asked.short_id, approve=True, ctx=ctx)
        with psycopg.connect(self.url, autocommit=True) as owner:
            # What autovacuum does within a minute, in every round at the same place.
            owner.execute("VACUUM ANALYZE deliveries, campaign_contacts, contacts")
        return campaign


async def work(url: str, tenant: str, port: str, connections: str) -> None:
    """One process of ours: gets ready, waits for a line, sends what is due."""
    settings = Settings(smtp_url=f"smtp://127.0.0.1:{port}?starttls=none&connections={connections}")
    database = Database(url, max_size=4)
    await database.open()
    sender = make_sender(settings, url, database, LINKS, only=UUID(tenant))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    used = time.process_time()
    await sender.run_once()
    sys.stdout.write(f"{sender.sent} {time.process_time() - used}\n")
    await database.close()


async def ours(shop: Shop, sink: sinks.Sink, connections: int, processes: int) -> float:
    """Seconds for one campaign, with `connections` shared by `processes`."""
    campaign = await shop.approved()
    before = sink.taken()
    share = str(max(1, connections // processes))
    command = [
        "-m",
        "bench.sending",
        "--work",
        shop.url,
        str(shop.ctx.tenant.id),
        str(sink.port),
        share,
    ]
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
    started = time.perf_counter()
    ended = await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
    seconds = time.perf_counter() - started
    counted = [tuple(map(float, out.split())) for out, _ in ended]
    assert sum(sent for sent, _ in counted) == shop.people
    async with shop.ctx.database.transaction(shop.ctx.tenant.id) as db:
        cursor = await db.execute(
            "SELECT count(*) FILTER (WHERE state = 'sent'), count(*) FROM deliveries WHERE campaign_id = %s",
            (campaign,),
        )
        assert await cursor.fetchone() == (shop.people, shop.people)
    taken = await asyncio.to_thread(sink.taken)
    assert before is None or taken is None or taken - before == shop.people, "the sink counts what the ledger says"
    cpu = sum(cpu for _, cpu in counted) / shop.people * 1e6
    print(f"  ours: {shop.people / seconds:,.0f} mails/s, {cpu:.0f} µs of our processor time a mail", flush=True)
    return seconds


class _Raw(asyncio.Protocol):
    """Throws mails at the sink: one write for the commands, one for the mail, nothing else."""

    def __init__(self, mails: int, mail: bytes, done: asyncio.Future[None]) -> None:
        self.left, self.mail, self.done = mails, mail, done
        self.lines = 0
        self.head = b"MAIL FROM:<hello@shop.example>\r\nRCPT TO:<person@example.org>\r\nDATA\r\n"
        self.greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.greeted:
            if data.startswith(b"220"):
                self.transport.write(b"EHLO bench\r\n")
            elif b"250 " in data:
                self.greeted = True
                self.transport.write(self.head)
            return
        self.lines += data.count(b"\n")
        if self.lines == 3:
            self.transport.write(self.mail)
        elif self.lines == 4:
            self.lines = 0
            self.left -= 1
            if self.left > 0:
                self.transport.write(self.head)
            else:
                self.transport.abort()
                self.done.set_result(None)


async def raw(port: int, mails: int, size: int) -> float:
    """Seconds for `mails` of `size` bytes through eight connections."""
    mail = dotted(b"Subject: raw\r\n\r\n" + (b"x" * 76 + b"\r\n") * (size // 78))
    loop = asyncio.get_running_loop()
    done = [loop.create_future() for _ in range(8)]
    started = time.perf_counter()
    for each in done:
        await loop.create_connection(functools.partial(_Raw, mails // 8, mail, each), "127.0.0.1", port)
    await asyncio.gather(*done)
    return time.perf_counter() - started


def mailmerge(folder: Path, port: int, mails: int) -> float:
    """Seconds that mailmerge takes for `mails`."""
    (folder / "mailmerge_template.txt").write_text(
        "TO: {{email}}\nSUBJECT: " + SUBJECT + "\nFROM: Harrow & Finch <hello@shop.example>\n"
        "CONTENT-TYPE: text/markdown\n\nHello {{name}},\n" + BODY.partition("\n")[2].replace("{{ unsubscribe_url }}",
        "https://mail.shop.example/u/{{token}}")
    )  # fmt: skip
    (folder / "mailmerge_server.conf").write_text(f"[smtp_server]\nhost = 127.0.0.1\nport = {port}\n")
    with (folder / "mailmerge_database.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["email", "name", "token"])
        rows.writerows([f"person{n}@example.org", f"First{n}", f"{n:040x}"] for n in range(mails))
    started = time.perf_counter()
    done = subprocess.run(
        [(PEERS / "mailmerge").absolute(), "--no-dry-run", "--no-limit", "--output-format", "text"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return seconds


async def main(arguments: argparse.Namespace) -> None:
    with throw_away_server() as url, sinks.running() as sink, tempfile.TemporaryDirectory() as folder:
        print(f"The sink is {sink.name}.")
        shop = await Shop.open(url, arguments.mails)
        size = await _size_of_a_mail(shop)
        few = min(arguments.mails, arguments.peer_mails)

        async def peer() -> float:
            seconds: float = await asyncio.to_thread(mailmerge, Path(folder), sink.port, few)
            return seconds * float(arguments.mails / few)

        contestants = [
            Contestant(OURS, lambda: ours(shop, sink, arguments.connections, arguments.processes)),
            Contestant(LIMIT, lambda: raw(sink.port, arguments.mails, size)),
        ]
        if (PEERS / "mailmerge").exists():
            contestants.append(Contestant(PEER, peer))
        else:
            print("mailmerge is not there (make bench sets it up); without it only the limit is compared.")
        medians = await interleaved(contestants, arguments.rounds)
        await shop.ctx.database.close()
    print(f"\nBenchmark 1: {arguments.mails:,} mails of {size:,} bytes, {arguments.connections} connections, "
          f"{arguments.processes} processes of ours, medians of {arguments.rounds}")  # fmt: skip
    for name, seconds in medians.items():
        print(f"{name:<44} {arguments.mails / seconds:10,.0f} mails/s")
    print(f"ours / limit = {medians[LIMIT] / medians[OURS]:.2f} (target >= 0.30)")
    if PEER in medians:
        print(f"ours / peer = {medians[PEER] / medians[OURS]:.1f} (target >= 5)")


async def _size_of_a_mail(shop: Shop) -> int:
    """Bytes of one mail as ours writes it."""
    from mail.letters import Letters, Reader
    from mail.links import Links

    campaign = await shop.approved()
    tenant = shop.ctx.tenant.id
    async with shop.ctx.database.transaction(tenant) as db:
        row, sender = await campaigns.find(db, tenant, campaign), await tenants.find(db, tenant)
        assert row is not None
        assert sender is not None
        letters = Letters(sender, row, await Links.load(db, tenant, LINKS))
        templates = await emails.templates(db, tenant, campaign)
        letters.learn(templates)
        # Never sent: it only lends its text.
        await campaigns.move(db, tenant, campaign, "cancelled", at=shop.ctx.now())
    reader = Reader(campaign, "person1@example.org", "First1", "Last1", None)
    return len(letters.write(templates[0].email_id, reader).message)


def _arguments(words: Sequence[str] | None = None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--peer-mails", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", nargs=4, metavar=("URL", "TENANT", "PORT", "CONNECTIONS"))
    return parser.parse_args(words)


if __name__ == "__main__":
    given = _arguments()
    asyncio.run(work(*given.work) if given.work else main(given))
