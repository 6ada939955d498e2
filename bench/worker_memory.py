"""Memory of a worker while a large campaign goes out of the ledger.

One `smartcampaign worker --once`, as a user starts it, sends to the sink; its resident memory is read from the system
when a tenth, half and all of the mails are sent, and its peak. It must stay flat: nothing is kept for each recipient.

    python -m bench.worker_memory [--people 1000000] [--connections 16]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from bench import sink as sinks
from bench.measure import throw_away_server
from bench.sending import Shop

PROGRAM = Path(sys.executable).with_name("smartcampaign")
POINTS = (0.1, 0.5, 1.0)
MOST, MOST_GROWTH = 150, 10


def memory(pid: int) -> tuple[float, float]:
    """Resident now, and at most so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, peak = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[index]
    return now, peak


def watched(url: str, environment: dict[str, str], people: int) -> list[tuple[int, float, float]]:
    """Run the worker to its end; (mails sent, MB now, MB at most) when each point was reached."""
    found: list[tuple[int, float, float]] = []
    now = peak = 0.0
    with (
        psycopg.connect(url, autocommit=True) as owner,
        subprocess.Popen([PROGRAM, "worker", "--once"], env=environment, stdout=subprocess.DEVNULL) as worker,
    ):
        for point in POINTS:
            sent = 0
            while sent < people * point and worker.poll() is None:
                time.sleep(0.1)
                with contextlib.suppress(OSError, TypeError):  # it has just ended
                    now, peak = memory(worker.pid)
                row = owner.execute("SELECT coalesce(sum(email_sent_count), 0) FROM campaign_analytics").fetchone()
                sent = int(row[0]) if row else 0
            found.append((sent, now, peak))
        assert worker.wait() == 0
    return found


async def main(people: int, connections: int) -> None:
    with throw_away_server() as url, sinks.running() as sink, tempfile.TemporaryDirectory(prefix="sc-bench-") as home:
        print(f"The sink is {sink.name}.")
        shop = await Shop.open(url, people)
        await shop.approved()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SMARTCAMPAIGN_")} | {
            "SMARTCAMPAIGN_HOME": home, "DATABASE_URL": url, "SMARTCAMPAIGN_PUBLIC_URL": "https://mail.shop.example",
            "SMTP_URL": f"smtp://127.0.0.1:{sink.port}?starttls=none&connections={connections}",
        }  # fmt: skip
        started = time.perf_counter()
        found = await asyncio.to_thread(watched, url, environment, people)
        seconds = time.perf_counter() - started
        async with shop.ctx.database.transaction(shop.ctx.tenant.id) as db:
            cursor = await db.execute("SELECT count(*) FROM deliveries WHERE state = 'sent'")
            assert await cursor.fetchone() == (people,)
        await shop.ctx.database.close()
    print(f"\nA worker's memory: {people:,} recipients, {connections} connections, {people / seconds:,.0f} mails/s")
    for sent, now, peak in found:
        print(f"{sent:>10,} sent {now:8.1f} MB now {peak:8.1f} MB at most")
    most, growth = found[-1][2], found[-1][1] - found[0][1]
    print(
        f"at most {most:.0f} MB (target < {MOST}); {growth:+.1f} MB from the first to the last (target < {MOST_GROWTH})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.people, arguments.connections))
