"""An OpenAI-compatible embedding endpoint, over real HTTP: what is asked, what is taken, and what trouble is called."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from db.embeddings import PLACES, EmbeddingError, RemoteEmbedder


class Endpoint:
    """Answers with vectors of `size` numbers, the last first; or as `answers` says, one after the other."""

    def __init__(self, size: int = 384) -> None:
        self.size, self.requests = size, list[dict[str, Any]]()
        self.keys: list[str | None] = []
        self.answers: list[tuple[int, Any]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append({"path": self.path, **asked})
                endpoint.keys.append(self.headers["Authorization"])
                status, body = endpoint.answers.pop(0) if endpoint.answers else (200, endpoint.answer(asked))
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        size = asked.get("dimensions", self.size)
        rows = [{"index": n, "embedding": [float(len(text))] * size} for n, text in enumerate(asked["input"])]
        return {"data": rows[::-1]}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


async def test_any_number_of_texts_in_their_order(endpoint: Endpoint) -> None:
    embedder = RemoteEmbedder(endpoint.url, "secret", "e5")
    texts = ["x" * (1 + n % 7) for n in range(300)] + ["", "y" * 5_000]
    vectors = await embedder.embed(texts)
    await embedder.close()
    assert [vector.to_list()[0] for vector in vectors] == [float(len(text[:2_000] or " ")) for text in texts]
    assert {len(vector.to_list()) for vector in vectors} == {PLACES}
    assert vectors[0].to_list()[384:] == [0.0] * (PLACES - 384)
    assert [len(request["input"]) for request in endpoint.requests] == [128, 128, 46]
    assert {(request["path"], request["model"]) for request in endpoint.requests} == {("/v1/embeddings", "e5")}
    assert set(endpoint.keys) == {"Bearer secret"}


async def test_openais_models_are_asked_for_what_fits(endpoint: Endpoint) -> None:
    endpoint.size = 1536
    embedder = RemoteEmbedder(endpoint.url, "secret", "text-embedding-3-small")
    assert len((await embedder.embed(["a"]))[0].to_list()) == PLACES
    await embedder.close()
    assert endpoint.requests[0]["dimensions"] == PLACES


async def test_what_passes_is_tried_again(endpoint: Endpoint) -> None:
    endpoint.answers = [(503, {}), (200, b"no json")]
    embedder = RemoteEmbedder(endpoint.url, "k", "e5")
    assert len(await embedder.embed(["a"])) == 1
    await embedder.close()
    assert len(endpoint.requests) == 3


TROUBLE = [
    (384, [(401, {})], "answered 401"),
    (384, [(200, {"data": []})], "answered 0 of 1 texts"),
    (1024, [], "at most 768 fit"),
    (384, [(500, {})] * 3, "answered 500"),
]  # fmt: skip


@pytest.mark.parametrize(("size", "answers", "words"), TROUBLE, ids=[words for _, _, words in TROUBLE])
async def test_trouble_is_a_sentence(endpoint: Endpoint, size: int, answers: list[Any], words: str) -> None:
    endpoint.size, endpoint.answers = size, list(answers)
    embedder = RemoteEmbedder(endpoint.url, "secret", "e5")
    with pytest.raises(EmbeddingError, match=words) as failed:
        await embedder.embed(["a"])
    await embedder.close()
    assert "secret" not in str(failed.value)
