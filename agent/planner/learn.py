"""`python -m agent.planner.learn`: learned.npz anew, after a change of examples.yaml.

A kernel ridge regression: weights of the examples, so that the likeness to them tells what is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.planner.examples import Example, examples, readings
from agent.planner.kernel import Kernel, Numbers
from agent.planner.learned import Learned, fingerprint, of_length_one, save
from db.embeddings import LocalEmbedder

Encode = Callable[[list[str]], NDArray[np.float32]]

_DIRECTIONS = 96
_RIDGE = 0.3


def learn(encode: Encode, those: Sequence[Example]) -> Learned:
    """Weights of the examples for each reading, and their vectors in fewer numbers."""
    vectors = of_length_one(np.asarray(encode([example.plain for example in those]), dtype=np.float32))
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    kept = directions[:_DIRECTIONS].T.astype(np.float16)
    short = of_length_one(vectors @ kept.astype(np.float32))
    coarse = np.round(short / np.abs(short).max(axis=1, keepdims=True) * 127).astype(np.int8)
    weights = _inverse(those, of_length_one(coarse.astype(np.float32))) @ _targets(those)
    return Learned(fingerprint(those), kept, coarse, weights.astype(np.float16))


def left_out(those: Sequence[Example], learned: Learned) -> float:
    """The share of the examples that the others alone would read right."""
    # Leaving one out of a ridge regression needs no new one: Rasmussen and Williams, section 5.4.2.
    inverse, targets = _inverse(those, learned.rows()), _targets(those)
    predicted = targets - (inverse @ targets) / np.diag(inverse)[:, None]
    return float(np.mean(predicted.argmax(axis=1) == targets.argmax(axis=1)))


def _inverse(those: Sequence[Example], rows: Numbers) -> Numbers:
    gram = Kernel(those, rows).gram()
    return np.asarray(np.linalg.inv(gram + _RIDGE * np.eye(len(those), dtype=np.float32)), dtype=np.float32)


def _targets(those: Sequence[Example]) -> Numbers:
    names = readings(those)
    return np.eye(len(names), dtype=np.float32)[[names.index(example.wants) for example in those]]


def main() -> None:
    learned = learn(LocalEmbedder().encode, examples())
    save(learned)
    right = 100 * left_out(examples(), learned)
    sys.stdout.write(f"{len(examples())} examples; left out, {right:.1f} % of them are read right\n")


if __name__ == "__main__":
    main()
