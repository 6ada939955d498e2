"""What a clause wants: learned from example sentences in four languages.

A kernel ridge regression over sentence vectors and words knows the frames of examples.yaml (learn.py
makes it). cues.yaml adds a little for small talk and for what is out of scope. Nothing here looks at
names, dates or addresses: they are signs by now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from agent.planner import learned
from agent.planner.entities import Marked, Thing
from agent.planner.examples import examples, readings, tidy
from agent.planner.kernel import Kernel
from agent.planner.patterns import BASES, pattern, rule
from agent.planner.text import data, fold

Encode = Callable[[list[str]], NDArray[np.float32]]

WORDS = ("talk", "help", "decline")


@dataclass(frozen=True)
class Guess:
    """Readings by score, best first: tools, and "talk", "help", "decline"."""

    ranked: tuple[tuple[str, float], ...]

    @property
    def best(self) -> str:
        return self.ranked[0][0]

    @property
    def score(self) -> float:
        return self.ranked[0][1]

    def lead(self, *, words: bool) -> float:
        """How far the best is before the best of the words (talk, help, decline), or of the other tools."""
        return self.score - max(score for name, score in self.ranked[1:] if (name in WORDS) == words)

    def of(self, name: str) -> float:
        return dict(self.ranked)[name]


class Intents:
    def __init__(self, encode: Encode) -> None:
        """`encode`: the model that learned.npz was made with, one row of numbers for each text."""
        self._encode = encode
        self._names = readings(examples())
        self._learned = learned.load(examples())
        self._kernel = Kernel(examples(), self._learned.rows())
        self._weights = self._learned.weights.astype(np.float32)

    def guess(self, marked: Marked, clause: str, tags: Sequence[str] = ()) -> Guess:
        """What a clause of the marked text wants; `tags`: the tenant's, which count as things here."""
        clause = _with_lead(marked, _with_tags(marked, clause, tags))
        plain, signed = tidy(marked.masked(clause)), fold(clause)
        vector = self._learned.shorten(np.asarray(self._encode([plain]), dtype=np.float32)[0])
        scores = self._kernel.to(vector, signed) @ self._weights
        ranked = [
            (name, float(score) + cue_score(name, signed)) for name, score in zip(self._names, scores, strict=True)
        ]
        return Guess(tuple(sorted(ranked, key=lambda r: -r[1])))


def _with_tags(marked: Marked, clause: str, tags: Sequence[str]) -> str:
    """Known tags as signs: "take trade off Lamp Week" is a sentence about a tag."""
    for at, tag in enumerate(tags[:_MOST_TAGS]):
        if _OURS.fullmatch(fold(tag)):
            continue  # "send the newsletter"
        shape = re.compile(rf"(?<![\w#-]){re.escape(fold(tag))}s?(?![\w-])")
        sign = chr(BASES["tag"] + 255 - at)
        for found in reversed(list(shape.finditer(fold(clause)))):
            marked.things.setdefault(sign, Thing("tag", tag, tag))
            clause = f"{clause[: found.start()]}{sign}{clause[found.end() :]}"
    return clause


# Signs of the tags that a sentence writes with # come from the other end.
_MOST_TAGS = 200
_OURS = pattern(r"{mail_nouns}|{campaign_nouns}|{people}")


def _with_lead(marked: Marked, clause: str) -> str:
    """The word that a date has swallowed: "since" looks back, "to" moves, "on" plans."""
    for sign in set(clause):
        thing = marked.things.get(sign)
        if thing and thing.when:
            back = _BACK.match(fold(thing.raw))
            clause = clause.replace(sign, f"{'since' if back else thing.when.lead} {sign}")
    return clause


_BACK = rule("intents_back")


@cache
def _cues() -> dict[str, list[re.Pattern[str]]]:
    return {name: [pattern(str(cue)) for cue in lines] for name, lines in data("cues.yaml").items()}


# More would shout down what was learned: on sentences by other hands strong cues did harm.
_CUE = 0.2


def cue_score(name: str, signed: str) -> float:
    return _CUE if any(cue.search(signed) for cue in _cues().get(name, [])) else 0.0
