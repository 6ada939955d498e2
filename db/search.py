"""Contacts by words: ranked by meaning, rare words and names; exactly in small tenants, by indexes in large ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from pgvector import HalfVector
from psycopg.rows import class_row, dict_row

from db import indexes
from db.contacts import ContactRow, Filter
from db.pool import Connection
from db.queries import sql

# What a matched rare word adds to the cosine (docs/decisions/0005).
WORD_BONUS = 0.5

# How many of the nearest vectors of a large tenant are compared: one in so many contacts, within these bounds. The more
# there are, the more lie almost equally near (docs/decisions/0010).
BREADTH, WIDEST, ONE_IN = 200, 800, 1_500

# pgvector's largest hnsw.ef_search; beyond, the scan goes on by itself.
MOST_BREADTH = 1000

# `FoundRow.called` of a contact that was asked for by address, phone number or full name; and by a code, or by words
# that are all in the name.
EXACTLY, NAMED = 3.0, 2.0


@dataclass(frozen=True)
class Question:
    """What is looked for. `words` are its telling words, each with the stem whose forms count as well (or None)."""

    text: str
    vector: HalfVector
    model: str
    words: dict[str, str | None] = field(default_factory=dict)
    name_words: list[str] = field(default_factory=list)
    """All of its words, when it may be a name: of letters only, in small ones."""
    code: str | None = None
    phone: str | None = None
    alike: dict[UUID, float] = field(default_factory=dict)
    """Whose name is nearly the text, and how nearly: between 0 and 1."""


@dataclass(frozen=True)
class Nearness:
    """How near a contact must be: all three of a score, a share of the best score, and deviations above the mean.

    Tenants with fewer than thirty notes have a floor and a share of their own, and no deviations. `narrow`: when
    somebody is asked for by address, phone number or full name, nobody else is meant.
    """

    floor: float
    share: float
    deviations: float
    few_floor: float
    few_share: float
    narrow: bool = False


@dataclass(frozen=True, kw_only=True)
class FoundRow(ContactRow):
    """A contact that a search found: the words that matched, whether it was called by name, and its score.

    `called` is `EXACTLY`, `NAMED`, below 1 for a name that is nearly the one asked for, and 0 otherwise.
    """

    matched: list[str]
    called: float
    score: float


@dataclass(frozen=True)
class _Candidates:
    """Who of a large tenant is compared, how rare the words are, and the scale of a sample of its notes."""

    ids: list[UUID] | None = None
    rarities: list[float] | None = None
    mean: float | None = None
    deviation: float | None = None


@dataclass(frozen=True)
class Scope:
    """How a tenant is searched in this transaction: by its indexes, if it has them."""

    tenant: UUID
    size: int | None = None
    """About how many contacts the indexes hold; None: every contact is read."""

    @property
    def breadth(self) -> int:
        """How many of the nearest vectors are compared."""
        return min(WIDEST, max(BREADTH, (self.size or 0) // ONE_IN))


async def scope(db: Connection, tenant: UUID, model: str) -> Scope:
    """Look how the tenant is searched. For the rest of the transaction the planner is tuned for that."""
    scope = Scope(tenant, await indexes.size(db, tenant, model))
    if scope.size is not None:
        await db.execute(sql("search", "tuned"), {"tenant": tenant, "breadth": scope.breadth})
    return scope


async def everybody(db: Connection, tenant: UUID) -> Scope:
    """The tenant is searched by comparing every contact, however long that takes."""
    await db.execute(sql("search", "patient"), {"tenant": tenant})
    return Scope(tenant)


async def ranked(
    db: Connection, scope: Scope, which: Filter, question: Question, nearness: Nearness, *, offset: int = 0, limit: int
) -> list[FoundRow]:
    """Best first."""
    candidates = _Candidates()
    if scope.size is not None:
        candidates = await _near(db, scope, which, question, max(scope.breadth, 2 * (offset + limit)))
    parameters = _parameters(scope, which, question) | asdict(nearness) | asdict(candidates)
    parameters |= {
        "count": max(1, len(question.words)), "query": question.text, "named": _all_in_name(question.name_words),
        "bonus": WORD_BONUS, "like_ids": list(question.alike), "alike": list(question.alike.values()),
        "offset": offset, "limit": limit,
    }  # fmt: skip
    async with db.cursor(row_factory=class_row(FoundRow)) as cursor:
        # Never prepared, like the others here: a plan for any tenant could use no index of this one's own.
        await cursor.execute(sql("search", "ranked"), parameters, prepare=False)
        return await cursor.fetchall()


async def named_like(db: Connection, scope: Scope, name: str, words: list[str]) -> list[tuple[UUID, str, str, str]]:
    """(id, full name, last name, and `name` as it was compared) of who shares most with it; all without accents.

    Nobody, unless one of `words` is found nowhere.
    """
    parameters = {"tenant": scope.tenant, "name": name, "words": words}
    cursor = await db.execute(sql("search", "named_like"), parameters, prepare=False)
    return [(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()]


async def _near(db: Connection, scope: Scope, which: Filter, question: Question, breadth: int) -> _Candidates:
    pattern = ".*".join(rf"\y{word}\y" for word in question.name_words) or None
    parameters = _parameters(scope, which, question) | {
        "size": scope.size, "breadth": breadth, "name_pattern": pattern,
    }  # fmt: skip
    if breadth > scope.breadth:
        tuned = {"tenant": scope.tenant, "breadth": min(breadth, MOST_BREADTH)}
        await db.execute(sql("search", "tuned"), tuned)
    async with db.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql("search", "near"), parameters, prepare=False)
        row = await cursor.fetchone()
    assert row is not None
    ids = [*(row["ids"] or []), *question.alike]
    return _Candidates(ids=ids, rarities=row["rarities"] or [], mean=row["mean"], deviation=row["deviation"])


def _all_in_name(words: list[str]) -> str | None:
    """A tsquery: the words are all in the name, to the letter."""
    return " & ".join(f"'{word}':A" for word in words) or None


def _parameters(scope: Scope, which: Filter, question: Question) -> dict[str, Any]:
    return {
        "tenant": scope.tenant, "vector": question.vector, "model": question.model, "words": list(question.words),
        "stems": list(question.words.values()), "code": question.code, "phone": question.phone,
    } | which.parameters()  # fmt: skip
