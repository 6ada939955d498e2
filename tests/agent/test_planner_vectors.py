"""The planner's example vectors are made once, and made anew when anything about them changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.planner_vectors import MANY, kept

TEXTS = [f"sentence {number}" for number in range(MANY)]


class Counting:
    def __init__(self) -> None:
        self.batches = 0

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        self.batches += 1
        return np.full((len(texts), 4), len(texts[0]), dtype=np.float32)


def test_a_second_start_reads_the_file(tmp_path: Path) -> None:
    encode = Counting()
    first = kept(encode, "model", tmp_path)(TEXTS)
    second = kept(encode, "model", tmp_path)(TEXTS)
    assert encode.batches == 1
    assert np.array_equal(first, second)


def test_another_model_or_other_sentences_are_made_anew_and_replace_the_old(tmp_path: Path) -> None:
    encode = Counting()
    kept(encode, "model", tmp_path)(TEXTS)
    kept(encode, "other", tmp_path)(TEXTS)
    kept(encode, "other", tmp_path)([*TEXTS, "one more"])
    assert encode.batches == 3
    assert len(list(tmp_path.iterdir())) == 1


def test_a_broken_file_is_made_anew(tmp_path: Path) -> None:
    encode = Counting()
    kept(encode, "model", tmp_path)(TEXTS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"\x93NUMPY broken")
    assert len(kept(encode, "model", tmp_path)(TEXTS)) == MANY
    assert encode.batches == 2


def test_a_sentence_is_not_kept(tmp_path: Path) -> None:
    kept(Counting(), "model", tmp_path)(["add ada@example.org"])
    assert list(tmp_path.iterdir()) == []


def test_without_a_writable_folder_it_only_takes_longer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(kept(Counting(), "model", tmp_path / "file")(TEXTS)) == MANY
