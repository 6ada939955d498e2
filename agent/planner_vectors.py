"""The vectors of the planner's example sentences, kept in a file: making them takes a second or more at every start."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[list[str]], NDArray[np.float32]]

# Fewer texts are a person's sentence, which is neither slow nor to be kept.
MANY = 50


def kept(encode: Encode, model: str, folder: Path | None) -> Encode:
    """`encode`, with the vectors of large batches kept in `folder` under the fingerprint of model and texts."""
    if folder is None:
        return encode

    def encoded(texts: list[str]) -> NDArray[np.float32]:
        if len(texts) < MANY:
            return encode(texts)
        fingerprint = hashlib.sha256("\0".join([model, *texts]).encode()).hexdigest()[:16]
        path = folder / f"planner-{fingerprint}.npy"
        with contextlib.suppress(OSError, ValueError, EOFError):
            found: NDArray[np.float32] = np.load(path, allow_pickle=False)
            if len(found) == len(texts):
                return found
        vectors = encode(texts)
        # A folder that can't be written costs time and nothing else.
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("planner-*.npy"):
                old.unlink()
            unfinished = folder / f"{os.getpid()}.unfinished"
            with unfinished.open("wb") as file:
                np.save(file, vectors)
            unfinished.replace(path)
        return vectors

    return encoded
