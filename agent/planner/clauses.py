"""A message cut into pieces: at sentence ends, and where a wish begins."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from agent.planner.patterns import ANY_SIGN, SIGNS, pattern, rule
from agent.planner.text import fold, lexicon


@dataclass(frozen=True)
class Clause:
    text: str  # without greetings, fillers and "could you", and with plain verbs
    said: str  # as it stood
    command: bool  # begins like a request
    more: str = ""  # sentences behind it that say more about it
    bare: str = ""  # without greetings, fillers and "could you": what is compared with the examples

    def with_more(self, said: str) -> Clause:
        return replace(self, more=f"{self.more} {said}.".strip())


@cache
def _opener() -> re.Pattern[str]:
    return pattern(r"(?:(?:{fillers}|{asking})[\s,]+)*(?:{openers})(?:l[aeo]s?|me|nos)?(?![\w'])(?!\s*$)")


# "Show me Lamp Week and its results": the second wish has no verb.
_ITS = rule("clauses_its")
# "She moved, could you change ...", "the hall is taken, so Lamp Week starts in May": a wish begins where
# somebody is asked, or a consequence drawn, whatever verb comes next.
_WISH = rule("clauses_wish")
_SO = rule("clauses_so")
# "... needs to be saved and then added to Lamp Week".
_DONE = rule("clauses_done")
# "Since she moved, her number is ...": at its comma the reason ends.
_REASON = rule("clauses_reason")
_SEES_TO_IT = rule("clauses_sees_to_it")
_JOINT = rule("clauses_joint")
_TALK = rule("clauses_talk")


@cache
def _question() -> re.Pattern[str]:
    return pattern(r"(?:(?:{fillers}|{asking})[\s,]+)*(?:{questions})(?!\w)")


def starts_request(text: str) -> bool:
    folded = fold(text.strip())
    return bool(_opener().match(folded) or _question().match(folded))


def cut(text: str) -> list[Clause]:
    """The pieces in order, without greetings; one that is no request by its form may still be one."""
    pieces: list[str] = []
    folded, start = fold(text), 0
    for joint in _JOINT.finditer(folded):
        rest = folded[joint.end() :].lstrip()
        if rest and joint.start() >= start and _cuts(joint, folded[start : joint.start()].strip(), rest):
            pieces.append(text[start : joint.start()])
            start = joint.end()
    pieces.append(text[start:])
    said = [piece.strip(" ,;:") for piece in pieces]
    return [
        clause
        for piece in said
        if piece and not (len(said) > 1 and _TALK.fullmatch(fold(piece) + " "))
        for clause in _each_its_day(_clause(piece))
    ]


def _cuts(joint: re.Match[str], before: str, rest: str) -> bool:
    if joint["stop"]:
        return True
    if joint["colon"]:
        return bool(_WISH.match(rest) or _opener().match(rest))
    if _opener().match(rest) or _ITS.match(rest):
        return True
    if _WISH.match(rest) or _SO.match(rest):
        return True
    if joint["only"]:
        # ", who collects ..." goes on about the person.
        return bool(_REASON.match(before) and "," not in before)
    # "and who likes tea?" is a new question.
    return bool(_DONE.match(rest) or (_question().match(rest) and _question().match(before)))


def _clause(said: str) -> Clause:
    folded = fold(said)
    command = (
        starts_request(said)
        or bool(_WISH.match(folded) or _DONE.match(folded))
        or (bool(_ITS.match(folded)) and len(folded.split()) <= 4)
        or bool(re.search(r"\?\s*$", said))
    )
    bare = strip_courtesy(said)
    return Clause(plain_verb(bare), said, command, bare=bare)


_ONLY_NAMES = re.compile(
    rf"(?:(?:about|for|on|the|a|our|this|that|as for|re|regarding|und|der|die|das|le|la|el|campaign)\W+)*{ANY_SIGN}\W*"
)
_TWO_DAYS = re.compile(
    rf"(?P<one>(?P<verb>[^{SIGNS['{C}'][1:-1]}]*?){SIGNS['{C}']}[^{SIGNS['{C}'][1:-1]}]*?{SIGNS['{D}']})"
    rf"\s*(?:,|,? and|,? und|,? et|,? y)\s+(?P<two>{SIGNS['{C}']}[^{SIGNS['{C}'][1:-1]}]*?{SIGNS['{D}']}.*)"
)


def _each_its_day(clause: Clause) -> list[Clause]:
    """ "Send A on Monday and B on Tuesday": the verb holds for both."""
    both = _TWO_DAYS.fullmatch(clause.said)
    if not both or not both["verb"].strip():
        return [clause]
    return [_clause(both["one"]), _clause(f"{both['verb']}{both['two']}")]


_AND = re.compile(r"\s+(?:and|plus|as well as|und|sowie|et|y)\s+|(?P<comma>,\s+|\s[-–—]+\s+)")


_MOST_HALVES = 6  # each costs a comparison with all examples


def halves(clause: Clause, *, comma: bool) -> list[tuple[Clause, Clause]]:
    """Both sides of each "and", or of each comma: where the cutting by words saw no wish begin."""
    joints = [joint for joint in _AND.finditer(fold(clause.said)) if bool(joint["comma"]) == comma][:_MOST_HALVES]
    pairs = [(clause.said[: joint.start()], clause.said[joint.end() :]) for joint in joints]
    return [(_clause(left), replace(_clause(right), command=True)) for left, right in pairs if left and right]


def whole(marked_text: str) -> Clause:
    """All of it as one clause again, for when the pieces make no sense by themselves."""
    return _clause(marked_text.strip(" ,;:"))


def is_reason(said: str) -> bool:
    return bool(_REASON.match(fold(said)))


def sees_to_it(said: str) -> bool:
    """ "..., please change both", "can you do it": a verb for what was said before."""
    return bool(_SEES_TO_IT.fullmatch(fold(said)))


def only_names(said: str) -> bool:
    """A thing and nothing that is wanted of it: "Lamp Week", "about Lamp Week"."""
    return bool(_ONLY_NAMES.fullmatch(fold(said)))


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
    head = rule("clauses_courtesy")
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
