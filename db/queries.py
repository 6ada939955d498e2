"""Named SQL: `db/sql/queries/<noun>.sql` holds statements under `-- name: <name>` lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Query:
    """One named statement and the names of its parameters."""

    noun: str
    name: str
    sql: str

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(_PARAMETER.findall(self.sql))

    def __str__(self) -> str:
        return f"{self.noun}.{self.name}"


@cache
def _of(noun: str) -> dict[str, Query]:
    text = files("db").joinpath("sql", "queries", f"{noun}.sql").read_text(encoding="utf-8")
    pieces = _NAME.split(text)[1:]
    return {name: Query(noun, name, body.strip()) for name, body in zip(pieces[::2], pieces[1::2], strict=True)}


@cache
def sql(noun: str, name: str) -> bytes:
    """The statement `name` of `noun`, as psycopg takes it. Raises KeyError when there is none."""
    return _of(noun)[name].sql.encode()


def all_queries() -> list[Query]:
    """Every named statement, for the test that has Postgres EXPLAIN them."""
    folder = files("db").joinpath("sql", "queries")
    nouns = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [query for noun in nouns for query in _of(noun).values()]
