"""The example sentences of examples.yaml, as they are compared with what somebody says."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from agent.planner.entities import MASKS
from agent.planner.patterns import LETTERS, SIGNS
from agent.planner.text import data, fold


@dataclass(frozen=True)
class Example:
    wants: str  # a tool, or "talk", "help", "decline"
    plain: str  # for the encoder: a word in the place of each thing
    signed: str  # for the words: a sign in the place of each thing


@cache
def examples() -> tuple[Example, ...]:
    return tuple(_example(wants, str(text)) for wants, texts in data("examples.yaml").items() for text in texts)


def readings(those: Sequence[Example]) -> tuple[str, ...]:
    """What the columns of the weights stand for: tools, and "talk", "help", "decline"."""
    return tuple(dict.fromkeys(example.wants for example in those))


def _example(wants: str, text: str) -> Example:
    plain = signed = text
    for place, kind in LETTERS.items():
        plain = plain.replace(place, f" {MASKS[kind]} ")
        signed = signed.replace(place, SIGNS[place][1])
    return Example(wants, tidy(plain), fold(signed))


def tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" .!,")[:400] or "?"


_TOKEN = re.compile("[^\\W_]+|[\ue000-\ue5ff]|\\?")


def words(signed: str) -> set[str]:
    """Words, neighbours, and the first and the last word by place; a thing counts by its kind."""
    found = [f"<{ord(t) >> 8}>" if "\ue000" <= t <= "\ue5ff" else t for t in _TOKEN.findall(signed)[:40]]
    pairs = {f"{a} {b}" for a, b in itertools.pairwise(found)}
    return set(found) | pairs | {f"^{word}" for word in found[:1]} | {f"{word}$" for word in found[-1:]}
