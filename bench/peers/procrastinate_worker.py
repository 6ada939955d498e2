"""Benchmark 2's peer, run by .venv-peers: a procrastinate worker that does tasks which do nothing.

    .venv-peers/bin/python bench/peers/procrastinate_worker.py URL JOBS

Prints the seconds from the worker's start to the last task's end.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import procrastinate  # type: ignore[import-not-found]
import psycopg

logging.disable(logging.CRITICAL)


async def measure(url: str, jobs: int) -> float:
    """Defer `jobs` tasks, and have a worker do them."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("DROP SCHEMA IF EXISTS procrastinate CASCADE")
        owner.execute("CREATE SCHEMA procrastinate")
    connector = procrastinate.PsycopgConnector(
        conninfo=url, kwargs={"options": "-c search_path=procrastinate"}, max_size=20
    )
    app = procrastinate.App(connector=connector)
    left = jobs
    ended = asyncio.Event()

    @app.task(name="nothing")  # type: ignore[untyped-decorator]
    async def nothing(number: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            ended.set()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for begin in range(0, jobs, 1000):
            numbers = range(begin, min(jobs, begin + 1000))
            await nothing.batch_defer_async(*({"number": number} for number in numbers))
        started = time.perf_counter()
        worker = asyncio.create_task(
            app.run_worker_async(concurrency=16, install_signal_handlers=False, listen_notify=False, wait=False)
        )
        await ended.wait()
        seconds = time.perf_counter() - started
        await worker
    return seconds


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(measure(sys.argv[1], int(sys.argv[2])))}\n")
