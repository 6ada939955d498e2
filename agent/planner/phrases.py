"""Peeling a phrase: words that only frame it go, one by one, from both ends (phrases.yaml)."""

from __future__ import annotations

import re
from functools import cache

from agent.planner.patterns import ANY_SIGN, pattern, rule
from agent.planner.text import data, fold, lexicon


@cache
def _peels(name: str) -> list[re.Pattern[str]]:
    lines = data("phrases.yaml")[name]
    if name.endswith("_heads"):
        # A separator of its own needs no word end; a word does.
        return [pattern(line if line.startswith("[") else rf"(?:{line})(?![\w'])\s*") for line in lines]
    return [pattern(rf"(?:{line})$" if line.startswith("[") else rf"(?<![\w'])(?:{line})$") for line in lines]


def peel(text: str, name: str) -> str:
    """What is left when no head and no tail of that kind fits any more; "" when nothing is."""
    for _ in range(40):
        folded = fold(text)
        start = next((m.end() for p in _peels(f"{name}_heads") if (m := p.match(folded)) and m.end()), 0)
        text = text[start:]
        if start:
            continue
        tails = _peels(f"{name}_tails") if f"{name}_tails" in data("phrases.yaml") else []
        end = next((m.start() for p in tails if (m := p.search(folded)) and m.start() < len(text)), None)
        if end is None:
            break
        text = text[:end]
    return text.strip()


def without_signs(text: str, kinds: str) -> str:
    """Without the things of these kinds and the preposition before them."""
    shape = pattern(f"{rule('phrases_lead').pattern}{kinds}{rule('phrases_noun').pattern}")
    for match in reversed(list(shape.finditer(fold(text)))):
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return text.strip()


def tones(text: str) -> list[tuple[int, int, str]]:
    """The tones named in folded text, with their place."""
    return sorted(
        (match.start(), match.end(), tone) for tone, pattern_ in _tone_patterns() for match in pattern_.finditer(text)
    )


@cache
def _tone_patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [
        (tone, re.compile(rf"(?<![\w-])(?:{'|'.join(forms)})(?:ly)?(?![\w-])"))
        for tone, forms in lexicon()["tones"].items()
        if forms
    ]


def has_words(text: str) -> bool:
    return bool(re.search(r"[^\W_]", re.sub(ANY_SIGN, "", text)))
