"""How like a sentence is to each example: by its meaning, and by its words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.planner.examples import Example, words

Numbers = NDArray[np.float32]

# Found by leaving out one example at a time, and on sentences by other hands: words weigh as much
# as meaning, and near examples count for more than far ones (the cube).
WORD_WEIGHT = 1.0
BASE = 0.09


class Kernel:
    def __init__(self, examples: Sequence[Example], vectors: Numbers) -> None:
        """`vectors`: a row of length one for each example."""
        self._vectors = vectors
        said = [words(example.signed) for example in examples]
        rows: dict[str, list[int]] = defaultdict(list)
        for at, those in enumerate(said):
            for word in those:
                rows[word].append(at)
        # Which examples hold a word: a sentence has a dozen of the many thousand words.
        self._holders = {word: np.array(at) for word, at in rows.items()}
        counts = np.array([len(those) or 1 for those in said])
        self._scale = np.asarray(1 / np.sqrt(counts), dtype=np.float32)

    def to(self, vector: Numbers, signed: str) -> Numbers:
        """The likeness of one sentence to each example."""
        known = [self._holders[word] for word in sorted(words(signed)) if word in self._holders]
        shared = np.zeros(len(self._scale), dtype=np.float32)
        for rows in known:
            shared[rows] += 1
        return _likeness(self._vectors @ vector, shared * self._scale / np.float32(np.sqrt(len(known) or 1)))

    def gram(self) -> Numbers:
        """The likeness of each example to each."""
        shared = np.zeros((len(self._scale), len(self._scale)), dtype=np.float32)
        for rows in self._holders.values():
            shared[np.ix_(rows, rows)] += 1
        return _likeness(self._vectors @ self._vectors.T, shared * self._scale[:, None] * self._scale)


def _likeness(meaning: Numbers, shared: Numbers) -> Numbers:
    near = (meaning + WORD_WEIGHT * shared + BASE) / (1 + WORD_WEIGHT)
    return np.asarray(near + near**3, dtype=np.float32)
