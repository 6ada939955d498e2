"""Tags in a sentence: said to be tags ("tag her vip", "the leeds tag"), or standing for people ("the vips")."""

from __future__ import annotations

import re

from agent.planner.patterns import SIGNS, pattern, rule
from agent.planner.slots.common import Request
from agent.planner.text import fold

_TAGGED = rule("tags_tagged")
_NAMED = rule("tags_named")
_WORD = rule("tags_word")
_JOINT = rule("tags_joint")
_BETWEEN = pattern(r"\s*(?:,|\band\b|\bor\b|\bund\b|\bet\b|\by\b|&|\+)\s*")
# "Mark Tully" is a man: these verbs need "as", or a tag we know.
_UNSURE = pattern(r"(?:mark|flag|stamp)\w*\s+(?!.*\b(?:as|with|als)\b)")

Span = tuple[int, int]


def take(request: Request, text: str, person: str = "") -> tuple[list[str], str]:
    """The tags that are said to be tags, and the text without them. `person`: a name that is none."""
    # A name reads as a pronoun here: "tag Ola Lund vip" is "tag her vip".
    folded = fold(text.replace(person, "her".ljust(len(person))[: len(person)]) if len(person) > 2 else text)
    found = [(text.find(thing.raw), thing.value) for thing in request.all("tag", text)]
    spans: list[Span] = []
    for shape in (_TAGGED, _NAMED):
        for match in shape.finditer(folded):
            said = text[match.start("it") : match.end("it")]
            values = _values(request, said, sure=shape is _NAMED or not _UNSURE.match(match.group(0)))
            if values:
                found += [(match.start("it"), value) for value in values]
                spans.append(_with_joint(folded, *match.span()))
    if not found:
        found, spans = _alone(request, folded)
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]}, {text[end:]}"
    known = _known(request)
    unique = dict.fromkeys(known.get(fold(tag), tag) for _, tag in sorted(found, key=lambda one: one[0]))
    return list(unique), re.sub(SIGNS["{T}"], "", text)


def _known(request: Request) -> dict[str, str]:
    return {fold(tag): tag for tag in request.situation.tags}


def _values(request: Request, said: str, *, sure: bool) -> list[str]:
    """The names in a list of tags; none where the verb was unsure and the first is no tag of ours."""
    values = [request.say(word).strip(" .\"'") for word in _BETWEEN.split(said)]
    values = [value for value in values if value and len(value.split()) <= 2]
    return values if sure or (values and fold(values[0]) in _known(request)) else []


def _alone(request: Request, folded: str) -> tuple[list[tuple[int, str]], list[Span]]:
    """ "He is wholesale now, tag him": a tag of ours somewhere in a sentence that speaks of tagging."""
    if not _WORD.search(folded):
        return [], []
    tags = "|".join(map(re.escape, _known(request))) or "(?!)"
    said = re.search(rf"(?<![\w-])(?:{tags})(?![\w-])", folded)
    if not said:
        return [], []
    return [(said.start(), said.group(0))], [said.span(), *(match.span() for match in _WORD.finditer(folded))]


def _with_joint(folded: str, start: int, end: int) -> Span:
    joint = _JOINT.search(folded[:start])
    return (joint.start() if joint else start), end


_OF_PEOPLE = rule("tags_of_people").pattern
_BEFORE_PEOPLE = rule("tags_before_people")


def take_plain(request: Request, text: str) -> tuple[list[str], str]:
    """Known tags that stand for people ("the vips", "lapsed ones"), and the text without them."""
    found = []
    for tag in request.situation.tags:
        match = re.search(rf"(?<![\w-]){re.escape(fold(tag))}{_OF_PEOPLE}", fold(text))
        if match and _BEFORE_PEOPLE.search(fold(text[: match.start()])):
            found.append(tag)
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return found, text
