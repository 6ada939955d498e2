"""What is searched for: the phrase behind the word that asks for it ("... people who ...", "mails about ...").

A long sentence has a frame that no list of words exhausts ("the board keeps asking me who ...").
So the phrase is found by its anchor first (topics.yaml), and only what is left is peeled.
"""

from __future__ import annotations

import re
from functools import cache

from agent.planner.names import everyday
from agent.planner.patterns import ANY_SIGN, pattern
from agent.planner.phrases import has_words, peel
from agent.planner.text import data, fold


def topic(text: str, kind: str) -> str:
    """The phrase, "" for none. `kind`: people, mails, campaigns or goal."""
    text = without_asides(text)
    found = _anchored(text, kind) or _in_front(text, kind)
    rules = data("topics.yaml")[kind]
    if found or rules.get("only_anchored"):
        return found
    return _best_piece(text, kind) if rules.get("in_pieces") else _peeled(text, kind)


def _anchored(text: str, kind: str) -> str:
    for anchor in _patterns(kind, "anchors"):
        for match in anchor.finditer(fold(text)):
            found = _peeled(_up_to_stop(text[match.end() :], kind), kind)
            if _says_something(found, kind):
                modifier = _modifier(text[: match.start()], kind)
                said = text[match.start() : match.end()].strip()
                return f"{modifier} {said} {found}" if modifier else found
    return ""


def _in_front(text: str, kind: str) -> str:
    """ "Raffle mails", "garden campaigns"."""
    matches = (shape.search(fold(text)) for shape in _patterns(kind, "before"))
    phrases = (_peeled(text[match.start("it") : match.end("it")], kind) for match in matches if match)
    return next((phrase for phrase in phrases if has_words(phrase)), "")


def _up_to_stop(text: str, kind: str) -> str:
    ends = [match.start() for stop in _patterns(kind, "stops") if (match := stop.search(fold(text)))]
    return text[: min(ends, default=len(text))]


def _best_piece(text: str, kind: str) -> str:
    """Of several sentences the one with most to say; what only asks ("any ideas?") is peeled to nothing."""
    told: list[str] = []
    pieces = re.split(r"[,;.?!–—]+(?=\s|$)", text)
    asked = any(_is(piece, kind, "asks") for piece in pieces)
    for piece in pieces:
        # Beside a question for ideas, a remark counts only when it says what is wanted.
        counts = not asked or _is(piece, kind, "asks") or _is(piece, kind, "wants")
        if counts and _says_something(left := _peeled(piece, kind), kind):
            told.append(left)
    return max(told, key=_content, default="")


def _content(piece: str) -> int:
    return len([word for word in fold(piece).split() if word not in everyday()])


def _is(piece: str, kind: str, how: str) -> bool:
    return any(shape.search(fold(piece)) for shape in _patterns(kind, how))


def _says_something(phrase: str, kind: str) -> bool:
    """Words that are not all everyday ones; for a goal a date is enough ("something for January")."""
    if kind != "goal":
        return has_words(phrase)
    frame = _patterns(kind, "frame")
    words = [word for word in re.findall(r"[^\W_]+", fold(phrase)) if word not in everyday()]
    strange = [word for word in words if not any(shape.fullmatch(word) for shape in frame)]
    return bool(re.search(ANY_SIGN, phrase)) or bool(strange) or _is(phrase, kind, "moves")


def _peeled(text: str, kind: str) -> str:
    for head in _patterns(kind, "heads"):
        match = head.match(fold(text))
        text = text[match.end() :] if match else text
    for tail in _patterns(kind, "tails"):
        match = tail.search(fold(text))
        text = text[: match.start()] if match else text
    return peel(text, str(data("topics.yaml")[kind]["peel"]))


def _modifier(before: str, kind: str) -> str:
    """ "Leeds people who like clay": a word or two that belong to the people."""
    left = _peeled(before, kind)
    words = fold(left).split()
    fits = 0 < len(words) <= 2 and has_words(left) and not re.search(ANY_SIGN, left)
    return left if fits and not any(word in everyday() for word in words) else ""


def without_asides(text: str) -> str:
    """Without reasons and politeness behind the request, and without "for the raffle, ..." before it."""
    for aside in _patterns("asides", "tails"):
        match = aside.search(fold(text))
        if match and match.start() > 0:
            text = text[: match.start()]
    for aside in _patterns("asides", "heads"):
        match = aside.match(fold(text))
        if match and has_words(text[match.end() :]):
            text = text[match.end() :]
    return text.strip()


@cache
def _patterns(kind: str, part: str) -> list[re.Pattern[str]]:
    return [pattern(str(line)) for line in data("topics.yaml")[kind].get(part, [])]
