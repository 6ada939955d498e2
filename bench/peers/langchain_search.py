"""The peer of benchmark 5, in an environment of its own (bench/peers.lock): langchain-postgres with a metadata filter.

Run by bench/contact_search.py: the database's URL and the table as arguments, then a line of JSON a request
({"tenant": .., "vector": [..]}) on stdin, and a line back ({"seconds": .., "ids": [..]}).
"""

from __future__ import annotations

import json
import sys
import time

from langchain_core.embeddings import Embeddings
from langchain_postgres import Column, PGEngine, PGVectorStore  # type: ignore[import-not-found]
from langchain_postgres.v2.indexes import HNSWIndex  # type: ignore[import-not-found]


class _Given(Embeddings):
    """Vectors come ready: the model is not what is measured."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError


def main(url: str, table: str) -> None:
    engine = PGEngine.from_connection_string(url)
    answer({"ready": True})
    request = json.loads(sys.stdin.readline())
    engine.init_vectorstore_table(table, request["places"], metadata_columns=[Column("tenant", "TEXT")])
    answer({"table": table})
    sys.stdin.readline()  # the rows are in
    store = PGVectorStore.create_sync(engine, _Given(), table, metadata_columns=["tenant"])
    store.apply_vector_index(HNSWIndex())
    answer({"indexed": True})
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        found = store.similarity_search_by_vector(request["vector"], k=10, filter={"tenant": request["tenant"]})
        seconds = time.perf_counter() - started
        answer({"seconds": seconds, "ids": [document.id for document in found]})


def answer(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
