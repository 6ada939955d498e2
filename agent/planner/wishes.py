"""Which pieces of a message want something, and which only say more: by their form, and by what they are like."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.planner import acts
from agent.planner.clauses import Clause, halves, is_reason, only_names, sees_to_it, whole
from agent.planner.contract import ARGUMENTS, READS
from agent.planner.intents import Guess
from agent.planner.patterns import SIGNS, rule
from agent.planner.text import fold
from agent.planner.together import unlike

# A piece that has not the form of a request is one only when its words leave little doubt.
CLEAR = 0.45
# How much clearer half a piece must be than the whole.
_CLEARER = 0.1


@dataclass(frozen=True)
class Wish:
    clause: Clause
    wanted: bool  # or only told


@dataclass(frozen=True)
class Wishes:
    guess: Callable[[Clause], Guess]

    def of(self, pieces: list[Clause]) -> list[Wish]:
        """In order; what only goes on about a wish has joined it. At least one is wanted."""
        if len(pieces) == 1:
            return self._split(pieces[0])
        found: list[Wish] = []
        for piece in pieces:
            self._take(piece, found, last=piece is pieces[-1])
        if any(wish.wanted for wish in found):
            return found
        first = pieces[0]
        for piece in pieces[1:]:
            first = first.with_more(piece.said)
        return [Wish(first, True)]

    def _take(self, piece: Clause, found: list[Wish], *, last: bool) -> None:
        before = found[-1] if found else None
        wanted = piece.command or self._is_clear(piece)
        if not last and (is_reason(piece.said) or only_names(piece.said)):
            wanted = False
        if before and piece.command and _THINGS.fullmatch(before.clause.said):
            found[-1] = Wish(whole(f"{piece.said} {before.clause.said}"), True)  # "Lamp Week at noon, send it then"
        elif before and sees_to_it(piece.said):
            found[-1] = Wish(replace(before.clause, command=True), True)
        elif before and self._is_one(before.clause, piece):
            found[-1] = Wish(whole(f"{before.clause.said}, {piece.said}"), True)
        elif before and before.wanted and self._goes_on(before.clause, piece, wanted=wanted):
            found[-1] = Wish(before.clause.with_more(piece.said), True)
        else:
            if (
                before
                and wanted
                and piece.command
                and not before.clause.command
                and self._is_same(before.clause, piece)
            ):
                found[-1] = Wish(before.clause, False)  # "Lamp Week has no mail yet: please write one."
            found += self._split(piece) if wanted else [Wish(piece, False)]

    def _is_clear(self, piece: Clause) -> bool:
        guess = self.guess(piece)
        return guess.best in ARGUMENTS and guess.score >= CLEAR and not acts.is_remark(piece.said)

    def _is_same(self, before: Clause, piece: Clause) -> bool:
        return self.guess(before).best == self.guess(piece).best

    def _is_one(self, before: Clause, piece: Clause) -> bool:
        """ "The completed ones, list please", "can you put Ada in? ada@example.org": neither says it alone."""
        if re.fullmatch(r"\w+", piece.bare) and piece.command and not before.command:
            return True
        if _IS_WRONG.search(fold(before.said)) and _MAKE_IT.match(fold(piece.said)):
            return True  # "The start date of Lamp Week is wrong, make it Friday."
        weak = before.command and self.guess(before).score < CLEAR
        return weak and not piece.command and self.guess(piece).score >= CLEAR

    def _goes_on(self, before: Clause, piece: Clause, *, wanted: bool) -> bool:
        if {self.guess(before).best, self.guess(piece).best} == {"draft_email"}:
            # "Write a mail for Lamp Week, tell them the tea is free": what the mail shall say.
            return bool(_CAMPAIGN.search(before.said)) and not _CAMPAIGN.search(piece.said)
        # A sentence behind a wish is more about it, unless it clearly wants something else.
        other = wanted and unlike(self.guess(before).best, self.guess(piece).best)
        return not piece.command and not other

    def _split(self, piece: Clause) -> list[Wish]:
        """Where no word told that another wish begins, but the halves are clearer than the whole."""
        guess = self.guess(piece)
        if guess.best == "compare_campaigns":
            return [Wish(piece, True)]
        for left, right in halves(piece, comma=False):
            # "The drafts and a preview of Lamp Week": two questions with one verb.
            first, second = self.guess(left), self.guess(right)
            both, least = {first.best, second.best}, min(first.score, second.score)
            apart = len(both) == 2 and both <= READS and least >= min(CLEAR, guess.score + _CLEARER)
            if apart and not only_names(right.said):
                return [Wish(left, True), Wish(right, True)]
        for left, right in halves(piece, comma=True):
            # "The price is wrong, halt it at once."
            first, second = self.guess(left), self.guess(right)
            clear = second.best in ARGUMENTS and second.score >= max(CLEAR, guess.of(second.best) + _CLEARER)
            if clear and first.best not in ARGUMENTS and guess.score < CLEAR + _CLEARER:
                return [Wish(left, False), Wish(right, True)]
        return [Wish(piece, True)]


_IS_WRONG = rule("wishes_is_wrong")
_MAKE_IT = rule("wishes_make_it")
_THINGS = re.compile(rf"(?:(?:{SIGNS['{C}']}|{SIGNS['{E}']})\s+){SIGNS['{D}']}")
_CAMPAIGN = re.compile(SIGNS["{C}"])
