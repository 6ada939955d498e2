"""200 chats at once: how long until the first event of each, and does every one end well.

Ours: `POST /api/chat` as `smartcampaign serve` answers it, with keys, conversations and memory in Postgres, and a
scripted model over HTTP that begins to answer after a second. Limit: an SSE route that says the same words after the
same second and does nothing else. Server, model and clients are a process each; every stream is a connection and a
conversation of its own, all opened at the same moment.

The first event (`thread`) says that the message has arrived and where to come back; the first word comes from the
model.

    python -m bench.chat_streams [--streams 200] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from bench.measure import throw_away_server
from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from interfaces.access import CONNECTIONS, Access
from interfaces.api.callers import Callers
from interfaces.settings import Settings
from interfaces.tracking import Tracking
from interfaces.web import full_app
from interfaces.wiring import Program, as_tenant, local_actor
from mail.links import LinkSettings
from tools import keys

WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
DELAY = 1.0


@dataclass(frozen=True)
class Stream:
    """One chat, in seconds from its request on; `end` is its last event."""

    first: float
    word: float
    whole: float
    end: str


async def ours(url: str, endpoint: str, port: Callable[[int, str], None]) -> None:
    """The product's app, until the process is ended; `port` is told where it listens and which key opens it."""
    database = Database(url, max_size=CONNECTIONS)
    await database.open()
    tenant = as_tenant(tenants.all_of(url)[0])
    settings = Settings.model_validate(
        {"model": "scripted", "openai_base_url": endpoint, "model_mode": "native", "confirm_writes": "never"}
    )
    program = Program(settings, url, tenant, database, LocalEmbedder(), local_actor("rest"))
    access = Access(program, None)
    made = await keys.create(f"bench {datetime.now(UTC):%H%M%S%f}", "viewer", program.context())
    app = full_app(access, Tracking(database, LinkSettings("http://127.0.0.1:1")), callers=Callers(access, 1_000_000))
    await access.agent()
    await _serve(app, lambda number: port(number, made.text))


async def model(port: Callable[[int, str], None]) -> None:
    """An OpenAI-compatible endpoint that says the same words to everybody, after a second."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            await asyncio.sleep(DELAY)
            for word in WORDS.split():
                yield _chunk({"role": "assistant", "content": f"{word} "}, None)
            yield _chunk({}, "stop") + b"data: [DONE]\n\n"

        return StreamingResponse(chunks(), media_type="text/event-stream")

    await _serve(app, lambda number: port(number, "none"))


def _chunk(delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    return f"data: {json.dumps(head | {'choices': [choice]})}\n\n".encode()


async def limit(port: Callable[[int, str], None]) -> None:
    """The same events after the same time, and nothing behind them."""
    app = FastAPI()

    @app.post("/api/chat")
    async def chat() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            yield b'event: thread\ndata: {"event": "thread"}\n\n'
            await asyncio.sleep(DELAY)
            for word in WORDS.split():
                yield f'event: text\ndata: {{"event": "text", "text": "{word}"}}\n\n'.encode()
            yield b'event: done\ndata: {"event": "done"}\n\n'

        return StreamingResponse(events(), media_type="text/event-stream")

    await _serve(app, lambda number: port(number, "none"))


async def _serve(app: FastAPI, port: Callable[[int], None]) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    port(listening.getsockname()[1])
    await task


def _run(work: Callable[[Callable[[int, str], None]], Any], pipe: Connection) -> None:
    asyncio.run(work(lambda number, key: pipe.send((number, key))))


@contextlib.contextmanager
def _process(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """A process of its own; what it sends first."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(*arguments, there), daemon=True)
    process.start()
    try:
        if not here.poll(60):
            raise RuntimeError("a process did not start")
        yield here.recv()
    finally:
        process.kill()
        process.join()


async def measured(port: int, key: str, streams: int) -> list[Stream]:
    """Open so many chats at once, and read each to its end."""
    return list(await asyncio.gather(*(_one(port, key, number) for number in range(streams))))


async def _one(port: int, key: str, number: int) -> Stream:
    """Over a socket: an HTTP client in Python takes longer to open 200 connections than the server to answer them."""
    body = json.dumps({"message": f"Say something, number {number}"}).encode()
    head = (
        f"POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    began = time.perf_counter()
    first = word = 0.0
    end = "nothing"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body)
    async for line in reader:
        if not line.startswith(b"data: "):
            continue
        end = json.loads(line.removeprefix(b"data: "))["event"]
        first = first or time.perf_counter() - began
        if end == "text":
            word = word or time.perf_counter() - began
    writer.close()
    return Stream(first, word, time.perf_counter() - began, end)


async def main(streams: int, rounds: int) -> None:
    with throw_away_server() as url:
        tenants.add(url, name="Bench", time_zone="UTC", country="US")
        with (
            _process(_run, model) as (model_port, _),
            _process(_run, partial(ours, url, f"http://127.0.0.1:{model_port}/v1")) as of_ours,
            _process(_run, limit) as of_limit,
        ):
            found: dict[str, list[list[Stream]]] = {"ours": [], "the same events, nothing behind (limit)": []}
            for number in range(rounds + 1):
                for name, (port, key) in zip(found, (of_ours, of_limit), strict=True):
                    done = await measured(port, key, streams if number else 5)
                    if number:  # the first round warms
                        found[name].append(done)
    print(f"{streams} chats at once, median of {rounds} rounds; the model begins after {DELAY:.0f} s")
    for name, runs in found.items():
        print(_line(name, runs))


def _line(name: str, runs: list[list[Stream]]) -> str:
    def median_of(pick: Callable[[list[Stream]], float]) -> float:
        return statistics.median(pick(run) for run in runs)

    p50 = median_of(lambda run: statistics.median(each.first for each in run))
    p95 = median_of(lambda run: statistics.quantiles((each.first for each in run), n=20)[-1])
    word = median_of(lambda run: statistics.median(each.word for each in run))
    whole = median_of(lambda run: statistics.median(each.whole for each in run))
    wrong = sum(each.end != "done" for run in runs for each in run)
    return (
        f"{name:<42} first event p50 {p50:5.2f} s, p95 {p95:5.2f} s; first word p50 {word:5.2f} s; "
        f"whole {whole:5.2f} s; {wrong} ended badly"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    asyncio.run(main(given.streams, given.rounds))
