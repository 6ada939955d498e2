"""Spelling mistakes: campaigns nearly named, and our own words nearly written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

from agent.planner.text import data, fold, lexicon

_WORD = re.compile(r"[^\W_]+(?:[-&][^\W_]+)*")


def campaigns(text: str, names: Iterable[str]) -> list[tuple[int, int, str]]:
    """Where campaigns are named: exact first, then with spelling mistakes; longest first."""
    words = [(m.start(), m.end(), fold(m.group(0))) for m in _WORD.finditer(text)][:200]
    joined = {"and", "und", "et", "y", "n"}
    found: list[tuple[float, int, int, int, str]] = []
    for name in names:
        wanted = " ".join(w for m in _WORD.finditer(fold(name)) if (w := m.group(0)) not in joined)
        count = len(wanted.split()) or 1
        for size in {count, count + 1, max(1, count - 1)}:
            for at in range(len(words) - size + 1):
                window = words[at : at + size]
                if window[0][2] in joined or window[-1][2] in joined:
                    continue
                score = _likeness(" ".join(w for _, _, w in window if w not in joined), wanted)
                if score:
                    found.append((score, len(wanted), window[0][0], window[-1][1], name))
    found.sort(key=lambda f: (-f[0], -f[1]))
    kept: list[tuple[int, int, str]] = []
    for _, _, start, end, name in found:
        if all(end <= s or start >= e for s, e, _ in kept):
            kept.append((start, end, name))
    return sorted(kept)


def _likeness(said: str, wanted: str) -> float:
    """1 to 100, 0 for "something else". Digits must agree: Sale 2025 is not Sale 2026."""
    if said == wanted or said.replace(" ", "") == wanted.replace(" ", "").replace("-", ""):
        return 100
    if len(wanted) < 5 or abs(len(said) - len(wanted)) > 3:
        return 0
    if re.findall(r"\d+", said) != re.findall(r"\d+", wanted):
        return 0
    if said[:1] != wanted[:1] and len(wanted) < 8:
        return 0
    if " " in wanted and _sound(said) == _sound(wanted):
        return 95  # "lamp weak"
    if _only_known_words(said.split(), wanted.split()):
        return 0
    edits = min(
        DamerauLevenshtein.distance(said, wanted), DamerauLevenshtein.distance(_sound(said), _sound(wanted)) + 1
    )
    if len(wanted) >= 8 and " " in wanted and _bones(said) == _bones(wanted):
        return 90  # "winter lites", "harvst fare"
    allowed = 1 if len(wanted) < 8 else 2 if len(wanted) < 14 else 3
    if edits > allowed or (
        said.split()[:1] != wanted.split()[:1] and said.split()[-1:] != wanted.split()[-1:] and edits > 2
    ):
        return 0
    # Plural and singular of one ordinary word are two words: "welcome" is no "Welcomes".
    if " " not in wanted and len(wanted) < 7:
        return 0
    return max(1.0, min(99.0, fuzz.ratio(said, wanted)))


def _only_known_words(said: list[str], wanted: list[str]) -> bool:
    """ "Last week" is not a misspelt Lamp Week: what differs are words of their own."""
    odd = [word for word in said if word not in wanted]
    number = {word.rstrip("s") for word in wanted}  # "winter light" is Winter Lights
    return bool(odd) and all(word in vocabulary() and word.rstrip("s") not in number for word in odd)


@lru_cache(4096)
def _sound(text: str) -> str:
    """Roughly how it sounds: "wacks" is wax."""
    for written, heard in (
        ("x", "ks"),
        ("ck", "k"),
        ("ph", "f"),
        ("c", "k"),
        ("z", "s"),
        ("ee", "i"),
        ("ea", "i"),
        ("y", "i"),
    ):
        text = text.replace(written, heard)
    return re.sub(r"(.)\1", r"\1", text)


@lru_cache(4096)
def _bones(text: str) -> str:
    """The consonants that are heard: two names alike in these are one name, spelt by ear."""
    heard = re.sub(r"gh(?=t|s|$|\b)", "", text)
    return re.sub(r"(?<=\w)[aeiouyhw]", "", _sound(heard))


@cache
def vocabulary() -> frozenset[str]:
    """Words that the rules know: a known word is never "corrected" into another."""
    known = "".join(str(data(name)) for name in ("words.yaml", "examples.yaml", "date_words.yaml"))
    return frozenset(re.findall(r"[^\W\d_]+", fold(known)))


@cache
def corrected(word: str, first: bool) -> str | None:
    """The word of ours that was mistyped; a request's first word is most likely one."""
    if word in vocabulary() or len(word) < (3 if first else 5):
        return None
    allowed = 1 if len(word) < (7 if first else 8) else 2
    known = lexicon()["spelling"] + (lexicon()["verbs"] if first else [])
    best = min(known, key=lambda right: (DamerauLevenshtein.distance(word, right), right))
    if DamerauLevenshtein.distance(word, best) > allowed or (len(word) < 4 and len(best) != len(word) + 1):
        return None
    kin = len(word) >= len(best) and word.startswith(best[:-1])  # "sender", "listen"
    return best if word[0] == best[0] and not kin else None
