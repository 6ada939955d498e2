"""A message cut into requests: at sentence ends, and at connectives that a command follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from agent.planner.patterns import pattern, rule
from agent.planner.text import fold, lexicon


@dataclass(frozen=True)
class Clause:
    text: str  # without greetings, fillers and "could you"
    said: str  # as it stood
    command: bool  # begins like a request
    more: str = ""  # sentences behind it that say more about it


@cache
def _opener() -> re.Pattern[str]:
    return pattern(r"(?:(?:{fillers}|{asking})[\s,]+)*(?:{openers})(?![\w'])(?!\s*$)")


# "Show me Lamp Week and its results": the second wish has no verb.
_ITS = rule("clauses_its")


@cache
def _question() -> re.Pattern[str]:
    return pattern(r"(?:(?:{fillers}|{asking})[\s,]+)*(?:{questions})(?!\w)")


@cache
def _joint() -> re.Pattern[str]:
    return rule("clauses_joint")


@cache
def _talk() -> re.Pattern[str]:
    return rule("clauses_talk")


def starts_request(text: str) -> bool:
    folded = fold(text.strip())
    return bool(_opener().match(folded) or _question().match(folded))


def cut(text: str) -> list[Clause]:
    pieces: list[tuple[str, str]] = []  # (what stood before it, text)
    folded, start, before = fold(text), 0, "."
    for joint in _joint().finditer(folded):
        rest = folded[joint.end() :].lstrip()
        if not rest or joint.start() < start:
            continue
        stop = bool(joint["stop"])
        begins = _opener().match(rest) or _ITS.match(rest)
        # ", who collects ..." goes on about the person; "and who likes tea?" is a new question.
        asks = not (joint["only"] or joint["comma"]) and _question().match(rest)
        if not stop and not begins and not (asks and _question().match(folded[start:].lstrip())):
            continue
        pieces.append((before, text[start : joint.start()]))
        start, before = joint.end(), "." if stop else ","
    pieces.append((before, text[start:]))
    return _gather(pieces)


def _gather(pieces: list[tuple[str, str]]) -> list[Clause]:
    clauses: list[Clause] = []
    for _, piece in pieces:
        said = piece.strip(" ,;:")
        if not said:
            continue
        folded = fold(said)
        if len(pieces) > 1 and _talk().fullmatch(folded + " "):
            continue
        command = starts_request(said) or bool(_ITS.match(folded)) or bool(re.search(r"\?\s*$", said))
        if clauses and not command and (clauses[-1].command or len(clauses) == 1):
            last = clauses[-1]
            clauses[-1] = Clause(last.text, last.said, last.command, f"{last.more} {said}.".strip())
            continue
        clauses.append(Clause(plain_verb(strip_courtesy(said)), said, command))
    return clauses


def whole(marked_text: str) -> Clause:
    """All of it as one clause again, for when the pieces make no sense by themselves."""
    text = marked_text.strip(" ,;:")
    return Clause(plain_verb(strip_courtesy(text)), text, starts_request(text))


def plain_verb(text: str) -> str:
    """ "Chuck", "lob", "pop" someone into a campaign: add."""
    folded = fold(text)
    for shape, verb in _canonical():
        if match := shape.match(folded):
            return verb + text[match.end() :]
    return text


@cache
def _canonical() -> list[tuple[re.Pattern[str], str]]:
    return [(pattern(rf"(?:{rule['say']})"), str(rule["mean"])) for rule in lexicon()["canonical"]]


def strip_courtesy(text: str) -> str:
    """Without "hi", "please", "could you": they say nothing about what is wanted."""
    head = _courtesy()
    for _ in range(6):
        match = head.match(fold(text))
        if not match or match.end() == len(text):
            break
        text = text[match.end() :]
    tail = rule("clauses_strip_courtesy_tail")
    for _ in range(3):
        match = tail.search(fold(text))
        if not match or match.start() == 0:
            break
        text = text[: match.start()]
    return text.strip(" ,;:")


@cache
def _courtesy() -> re.Pattern[str]:
    return rule("clauses_courtesy")
