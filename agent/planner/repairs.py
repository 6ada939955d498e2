"""What is taken back in the same breath: "send it on Friday, no, Saturday" is a Saturday.

The words that were taken back are cut out before anything is read, where what replaces them is
plain: a thing of the same kind, a phrase that begins alike, one name for another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from agent.planner.entities import Marked, Thing
from agent.planner.patterns import ANY_SIGN, BASES, rule
from agent.planner.text import fold

_BREAK = rule("repairs_break")
_TOO = rule("repairs_too")
_THING = re.compile(rf"(?P<lead>(?:[\w'-]+\s+){{0,4}}?)(?P<thing>{ANY_SIGN})")
_PREPOSITION = rule("repairs_preposition")
_PHRASE = re.compile(r"(?:[\w'-]+ ){1,3}")
_NAME = r"(?:[A-ZÀ-Þ0-9][\w'&-]*(?:\s+(?:(?:of|and|the|de|la|der|und)\s+)?[A-ZÀ-Þ0-9][\w'&-]*)*)"
_NEW_NAME = re.compile(_NAME)
_OLD_NAME = re.compile(rf"{_NAME}$")
_MOST = 3


def mend(marked: Marked) -> None:
    """Cut out of `marked.text` what its own words take back."""
    for _ in range(_MOST):
        for found in _BREAK.finditer(fold(marked.text)):
            mended = _mended(marked, marked.text[: found.start()].rstrip(), marked.text[found.end() :])
            if mended is not None:
                marked.text = mended
                break
        else:
            return


def _mended(marked: Marked, before: str, after: str) -> str | None:
    if not before or _TOO.search(fold(after)):
        return None
    ways: list[Callable[[], str | None]] = [
        lambda: _another_thing(marked, before, after),
        lambda: _same_words_again(before, after),
        lambda: _another_name(before, after),
        lambda: _another_word(before, after),
    ]
    return next((mended for way in ways if (mended := way()) is not None), None)


def _another_thing(marked: Marked, before: str, after: str) -> str | None:
    """ "On Friday, no, on Saturday", "how did A, no, how did B do"."""
    new = _THING.match(fold(after))
    if not new:
        return None
    kind = ord(new["thing"]) & 0xFF00
    places = [at for at, letter in enumerate(before) if ord(letter) & 0xFF00 == kind and letter in marked.things]
    if not places:
        return None
    at = places[-1]
    lead = new["lead"]
    start = _lead_start(fold(before[:at]), lead)
    if start is None:
        return None
    if kind == BASES["date"]:
        _keep_the_other_half(marked, before[at], new["thing"])
    return f"{before[:start]}{after[: new.end()]}{before[at + 1 :]}{after[new.end() :]}"


def _lead_start(before: str, lead: str) -> int | None:
    """Where the words before the old thing begin that the new lead replaces; None where it says something else."""
    if lead and before.endswith(lead):
        return len(before) - len(lead)
    if lead and not _PREPOSITION.fullmatch(lead):
        return None
    old = re.search(r"(?:^|(?<=\s))[\w']+\s+$", before)
    return old.start() if lead and old and _PREPOSITION.fullmatch(old.group(0)) else len(before)


def _keep_the_other_half(marked: Marked, old: str, new: str) -> None:
    """A new time keeps the day that was said, a new day the time."""
    before, thing = marked.things[old].when, marked.things[new]
    now = thing.when
    if before is None or now is None or before.moment or now.moment:
        return
    if now.clock and not now.day_said and before.day_said:
        now = replace(now, day=before.day, day_said=True)
    elif now.day_said and not now.clock and before.clock:
        now = replace(now, clock=before.clock)
    marked.things[new] = Thing("date", thing.raw, now.iso_day(), now)


def _same_words_again(before: str, after: str) -> str | None:
    """ "Called Picnic Week, no, called Picnic Month"."""
    again = _PHRASE.match(fold(after))
    words = again.group(0).split() if again else []
    for count in range(len(words), 0, -1):
        lead = " ".join(words[:count]) + " "
        at = fold(before).rfind(lead)
        whole = at == 0 or (at > 0 and before[at - 1] in " ,")
        if whole and not _SMALL.fullmatch(lead) and not re.search(ANY_SIGN, before[at:]):
            return before[:at] + after
    return None


# Words that begin many phrases, and so say not which is meant.
_SMALL = rule("repairs_small")


def _another_name(before: str, after: str) -> str | None:
    """ "Renamed Cheese Fair, scratch that, Chutney Fair", "the first 10, no, 20"."""
    old, new = _OLD_NAME.search(before), _NEW_NAME.match(after)
    if not old or not new or old.start() == 0 or old.group(0)[0].isdigit() != new.group(0)[0].isdigit():
        return None
    return before[: old.start()] + after


def _another_word(before: str, after: str) -> str | None:
    """ "A solemn, no wait, a jolly mail"."""
    old = _ARTICLE_AND_WORD.search(fold(before))
    return before[: old.start()] + after if old and _ARTICLE.match(fold(after)) else None


_ARTICLE = rule("repairs_article")
_ARTICLE_AND_WORD = re.compile(rf"\b(?:{_ARTICLE.pattern})[\w-]+$")
