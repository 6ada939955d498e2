"""What was learned from the examples, in learned.npz: made once, because every start would take it half a minute.

The encoder's 512 numbers are cut to the directions in which the examples differ most: a tenth of
the size, and one more example in a hundred wrong when it is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.planner import kernel
from agent.planner.examples import Example
from agent.planner.kernel import Numbers

PATH = Path(str(resources.files(__package__))) / "learned.npz"


class Outdated(RuntimeError):
    """examples.yaml has changed since learned.npz was made: run `python -m agent.planner.learn`."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


@dataclass(frozen=True)
class Learned:
    fingerprint: str
    directions: NDArray[np.float16]  # from the encoder's numbers to ours
    vectors: NDArray[np.int8]  # of the examples, a row each
    weights: NDArray[np.float16]  # of each example for each reading

    def shorten(self, vector: Numbers) -> Numbers:
        """A vector of the encoder, in the directions kept, of length one."""
        return of_length_one(vector @ self.directions.astype(np.float32))

    def rows(self) -> Numbers:
        """The examples' vectors, of length one."""
        return of_length_one(self.vectors.astype(np.float32))


def load(examples: Sequence[Example], path: Path = PATH) -> Learned:
    """Raises `Outdated` where the file belongs to other examples."""
    with np.load(path, allow_pickle=False) as kept:
        found = Learned(str(kept["fingerprint"]), kept["directions"], kept["vectors"], kept["weights"])
    if found.fingerprint != fingerprint(examples):
        raise Outdated
    return found


def save(learned: Learned, path: Path = PATH) -> None:
    np.savez_compressed(
        path,
        fingerprint=np.array(learned.fingerprint),
        directions=learned.directions,
        vectors=learned.vectors,
        weights=learned.weights,
    )


def fingerprint(examples: Sequence[Example]) -> str:
    """Of the examples, and of how they are compared."""
    how = (kernel.WORD_WEIGHT, kernel.BASE, tuple(examples))
    return hashlib.sha256(repr(how).encode()).hexdigest()[:16]


def of_length_one(vectors: Numbers) -> Numbers:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)
