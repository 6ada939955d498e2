"""What a sentence says about a person: the pieces that are neither command nor name nor number."""

from __future__ import annotations

import re

from agent.planner.clauses import starts_request
from agent.planner.patterns import rule
from agent.planner.phrases import has_words
from agent.planner.text import fold

# Stands for what was taken out of the text: a name, an address, a phone, tags.
TAKEN = "|"
_BREAK = rule("notes_break")
_SUBJECT = rule("notes_subject")
_DETAIL = rule("notes_detail")
_FRAME = rule("notes_frame")
_LABEL = rule("contacts_label")
_REASON = rule("notes_reason")
_ABOUT = rule("notes_about")


def of_person(text: str) -> str:
    """The description in what is left of a sentence that brings a new contact; TAKEN marks the gaps."""
    kept: list[str] = []
    known = False  # what stands before the person is the command
    spoken = bool(rule("notes_met").search(fold(text)))
    for gap, piece in _pieces(text):
        known = known or gap
        # "Met Ngozi at the fair": where, not who.
        where = spoken and gap and re.match(r"\s*(?:at|in|on|during|by|from|auf|bei|a|en|au|dans)\b", fold(piece))
        said = "" if where else _said(piece, known)
        if said:
            kept.append(said)
    return ", ".join(kept)


def _pieces(text: str) -> list[tuple[bool, str]]:
    """Pieces between the breaks, each with whether something was taken out right before it."""
    pieces: list[tuple[bool, str]] = []
    start, gap = 0, False
    for match in _BREAK.finditer(fold(text)):
        pieces.append((gap, text[start : match.start()]))
        start, gap = match.end(), TAKEN in match.group(0)
    return [*pieces, (gap, text[start:])]


def _said(piece: str, known: bool) -> str:
    piece = without_label(piece).strip(" ,.;:()-–—/?!\"'")
    folded = fold(piece)
    if not has_words(piece) or _REASON.match(folded) or _DETAIL.search(folded):
        return ""
    subject = _SUBJECT.match(folded)
    bare = piece[subject.end() :].strip(" ,.;:") if subject else piece
    if subject and (known or re.match(r"(?:and )?(?:who|she|he|they|er|sie|elle|il|ella|el)\b", folded)):
        return bare if has_words(bare) and not _FRAME.fullmatch(fold(bare) + " ") else ""
    relative = re.search(r"\b(?:who|that|die|der|qui|que)\s+(?=\w)", folded)
    if not known:
        return piece[relative.end() :] if relative and not _ABOUT.search(folded) else ""
    frame = _ABOUT.search(folded) or _FRAME.fullmatch(folded + " ") or _is_command(piece)
    return "" if frame else bare


def _is_command(piece: str) -> bool:
    """ "Put her on the list", not "makes screens", "does letterpress": those are about somebody."""
    return starts_request(piece) and not re.match(r"\w+s\b", fold(piece.strip()))


def without_label(piece: str) -> str:
    """Without "her phone is" at its end: the number itself was taken."""
    label = _LABEL.search(fold(piece))
    return piece[: label.start()] if label else piece


def told(text: str) -> str:
    """What follows "note that", "for her notes:", "on file that": said to be written down; "" for nothing."""
    match = rule("notes_told").search(fold(text))
    if not match:
        return ""
    said = text[match.end() :]
    stop = rule("notes_told_end").search(fold(said))
    said = said[: stop.start()] if stop else said
    subject = _SUBJECT.match(fold(said))
    return (said[subject.end() :] if subject else said).strip(" ,.;:-?!'\"")
