"""A scripted OpenAI-compatible endpoint over real HTTP: exact answers, and every way an endpoint can fail.

    with ScriptedModel() as model:
        model.script(call("create_contact", email="ada@example.org"), "Added.")
        ... OPENAI_BASE_URL=model.url

Answers are given in their order; each request that was made is in `model.requests`.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer: text, tool calls (name, arguments as JSON text), or a failure."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    status: int = 200
    error: str = ""
    delay: float = 0.0
    cut: bool = False
    """Close the connection in the middle of the answer."""
    headers: dict[str, str] = field(default_factory=dict)


def call(tool: str, /, **arguments: Any) -> Answer:
    """An answer with one tool call."""
    return Answer(calls=((tool, json.dumps(arguments)),))


def calls(*answers: Answer) -> Answer:
    """One answer with the calls of several."""
    return Answer(calls=tuple(each for answer in answers for each in answer.calls))


class ScriptedModel:
    """The server, on a port of its own on the loopback interface."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._came = threading.Condition()
        self._answers: deque[Answer] = deque()
        self._always: Callable[[dict[str, Any]], Answer] | None = None
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with model._came:
                    model.requests.append(body)
                    model._came.notify_all()
                with contextlib.suppress(ConnectionError):  # the client gave up waiting
                    model._give(self, body)

            def do_GET(self) -> None:
                _send(self, 200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})

            def end_headers(self) -> None:
                # A client that kept its connection would hold it beyond the loop of its test.
                self.send_header("Connection", "close")
                super().end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ScriptedModel:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def script(self, *answers: Answer | str) -> None:
        """Answer the next requests with these, in their order. Past their end: an error 500."""
        self._answers.extend(Answer(text=answer) if isinstance(answer, str) else answer for answer in answers)

    def always(self, answer: Callable[[dict[str, Any]], Answer]) -> None:
        """Answer every request by this function of its body."""
        self._always = answer

    def wait_for(self, requests: int, seconds: float = 10) -> None:
        """Block until so many requests have come. Raises TimeoutError."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.requests) >= requests, seconds):
                raise TimeoutError(f"only {len(self.requests)} of {requests} requests came")

    def _give(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        if self._always is not None:
            answer = self._always(body)
        elif self._answers:
            answer = self._answers.popleft()
        else:
            answer = Answer(status=500, error="the script is over")
        time.sleep(answer.delay)
        if answer.status != 200:
            _send(handler, answer.status, {"error": {"message": answer.error, "type": "error"}}, answer.headers)
        elif body.get("stream"):
            _stream(handler, answer)
        else:
            message = {"role": "assistant", "content": answer.text or None}
            if answer.calls:
                message["tool_calls"] = [_tool_call(n, *each) for n, each in enumerate(answer.calls)]  # type: ignore[assignment]
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            _send(handler, 200, {"id": "1", "object": "chat.completion", "created": 0, "model": "scripted",
                                 "choices": [choice], "usage": _USAGE})  # fmt: skip


_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _tool_call(place: int, name: str, arguments: str) -> dict[str, Any]:
    # Ids are unique over a conversation, as real endpoints' are.
    return {"index": place, "id": f"call_{time.monotonic_ns()}_{place}", "type": "function",
            "function": {"name": name, "arguments": arguments}}  # fmt: skip


def _send(
    handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    data = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def _stream(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> None:
        choices = [] if more else [{"index": 0, "delta": delta, "finish_reason": finish}]
        data = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "scripted", "choices": choices}
        handler.wfile.write(f"data: {json.dumps(data | more)}\n\n".encode())

    words = answer.text.split(" ")
    for place, word in enumerate(words):
        if answer.text:
            chunk({"role": "assistant", "content": word if place == len(words) - 1 else word + " "})
        if answer.cut and place >= len(words) // 2:
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.close()
            return
    for place, each in enumerate(answer.calls):
        chunk({"role": "assistant", "tool_calls": [_tool_call(place, *each)]})
    chunk({}, "tool_calls" if answer.calls else "stop")
    chunk({}, usage=_USAGE)
    handler.wfile.write(b"data: [DONE]\n\n")
    handler.close_connection = True
