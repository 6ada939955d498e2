"""What a clause wants: example sentences in four languages, and cue words.

A ridge regression over sentence vectors and words learns the frames from examples.yaml once per
process (some 600 rows, one solve). cues.yaml adds what an example cannot teach: a write needs a
word that asks for it. Nothing here looks at names, dates or addresses: they are signs by now.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.planner.entities import MASKS, Marked
from agent.planner.patterns import SIGNS, ThingKind, pattern, rule
from agent.planner.text import data, fold

Encode = Callable[[list[str]], NDArray[np.float32]]

# Found by leaving out one example at a time: words weigh half of meaning, and near examples count
# for more than far ones (the cube).
_WORD_WEIGHT = 0.5
_RIDGE = 0.5
_MARKS: dict[str, ThingKind] = {
    "{C}": "campaign",
    "{E}": "email",
    "{P}": "phone",
    "{D}": "date",
    "{Q}": "quote",
    "{T}": "tag",
}


@dataclass(frozen=True)
class Guess:
    """Tools by score, best first; `near` is the likeness of the nearest example."""

    ranked: tuple[tuple[str, float], ...]
    near: float

    @property
    def best(self) -> str:
        return self.ranked[0][0]

    @property
    def score(self) -> float:
        return self.ranked[0][1]

    @property
    def margin(self) -> float:
        return self.ranked[0][1] - self.ranked[1][1]

    def of(self, name: str) -> float:
        return dict(self.ranked)[name]


class Intents:
    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        examples = [(name, str(text)) for name, texts in data("examples.yaml").items() for text in texts]
        self.names = tuple(data("examples.yaml"))
        shown = [_example(text) for _, text in examples]
        self._vectors = np.asarray(encode([plain for plain, _ in shown]), dtype=np.float32)
        self._columns: dict[str, int] = {}
        for _, signed in shown:
            for word in _words(signed):
                self._columns.setdefault(word, len(self._columns))
        self._words = np.stack([self._word_row(signed) for _, signed in shown], axis=1)
        self._labels = np.array([self.names.index(name) for name, _ in examples])
        self._targets = np.eye(len(self.names), dtype=np.float32)[self._labels]
        self._gram = self._likeness(self._vectors @ self._vectors.T, self._words.T @ self._words) + _RIDGE * np.eye(
            len(shown), dtype=np.float32
        )
        self._weights = np.linalg.solve(self._gram, self._targets)

    def _word_row(self, signed: str) -> NDArray[np.float32]:
        row = np.zeros(len(self._columns), dtype=np.float32)
        known = [self._columns[word] for word in _words(signed) if word in self._columns]
        row[known] = 1.0
        return row / (float(np.linalg.norm(row)) or 1.0)

    @staticmethod
    def _likeness(meaning: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.float32]:
        """The kernel: how like each sentence is to each example."""
        weight = _WORD_WEIGHT**2
        near = (meaning + weight * words + 0.09) / (1 + weight)
        return (near + near**3).astype(np.float32)

    def guess(self, marked: Marked, clause: str) -> Guess:
        plain, signed = _plain(marked.masked(clause)), fold(clause)
        vector = np.asarray(self._encode([plain]), dtype=np.float32)[0]
        meaning = self._vectors @ vector
        row = self._word_row(signed)
        said = np.flatnonzero(row)  # a sentence has a dozen words of the thousands
        scores = self._likeness(meaning, row[said] @ self._words[said]) @ self._weights
        near = float(np.max(meaning))
        ranked = [
            (name, float(score) + cue_score(name, signed)) for name, score in zip(self.names, scores, strict=True)
        ]
        return Guess(tuple(sorted(ranked, key=lambda r: -r[1])), near)

    def left_out(self) -> float:
        """Share of the examples that the others alone would get right (for the tests)."""
        hat = np.linalg.inv(self._gram)
        predicted = self._targets - (hat @ self._targets) / np.diag(hat)[:, None]
        return float(np.mean(np.argmax(predicted, axis=1) == self._labels))


def _example(text: str) -> tuple[str, str]:
    """An example as the encoder sees it, and as the words and cues see it."""
    plain = signed = text
    for place, kind in _MARKS.items():
        plain = plain.replace(place, f" {MASKS[kind]} ")
        signed = signed.replace(place, SIGNS[place][1])
    return _plain(plain), fold(signed)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" .!,")[:400] or "?"


_TOKEN = re.compile("[^\\W_]+|[\ue000-\ue5ff]|\\?")


def _words(signed: str) -> set[str]:
    """Words, neighbours, and the first two words by place; a thing counts by its kind."""
    words = [f"<{ord(t) >> 8}>" if "\ue000" <= t <= "\ue5ff" else t for t in _TOKEN.findall(signed)[:40]]
    pairs = {f"{a} {b}" for a, b in itertools.pairwise(words)}
    return set(words) | pairs | {f"^{word}" for word in words[:1]} | {f"{word}$" for word in words[-1:]}


@cache
def _cues() -> dict[str, list[tuple[re.Pattern[str], float]]]:
    cues: dict[str, Any] = data("cues.yaml")
    return {
        name: [(pattern(str(cue)), float(weight)) for weight, lines in groups.items() for cue in lines]
        for name, groups in cues["cues"].items()
    }


def cue_score(name: str, signed: str) -> float:
    """The strongest cue for and the strongest against; cues do not add up."""
    weights = [weight for cue, weight in _cues().get(name, []) if cue.search(signed)]
    if name in _needs() and _HOW.match(signed):
        weights.append(-0.6)
    return max([0.0, *weights]) + min([0.0, *weights])


# "How do I import a list?" asks for an explanation, not for the import.
_HOW = rule("intents_how")


@cache
def _needs() -> dict[str, list[re.Pattern[str]]]:
    return {name: [pattern(str(cue)) for cue in lines] for name, lines in data("cues.yaml")["needs"].items()}


def is_asked(name: str, signed: str) -> bool:
    """Whether a word of the clause asks for this write. Reads need none."""
    return name not in _needs() or any(cue.search(signed) for cue in _needs()[name])
