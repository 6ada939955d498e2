"""The built-in planner: from a sentence to calls of the tools, without a language model.

It never guesses quietly: a write needs a word that asks for it and a clear lead over the other
readings, or the planner asks; what is small talk or out of scope is never a call.
"""

from __future__ import annotations

import re
from dataclasses import replace

from agent.planner import corrections, replies
from agent.planner.clauses import Clause, cut, whole
from agent.planner.contract import ARGUMENTS, READS, Call, Kind, Memory, Situation, Understanding, remember
from agent.planner.entities import Marked, mark
from agent.planner.intents import Encode, Guess, Intents, is_asked
from agent.planner.patterns import ANY_SIGN, SIGNS, pattern, rule
from agent.planner.slots import Request, fill
from agent.planner.text import Language, clean, fold, language_of, shorten, split_paste

# Found on our own examples and the open sentences; the frozen ones were never looked at.
_SURE = {"read": 0.30, "write": 0.36}
_LEAD = {"read": 0.00, "write": 0.06}
_MOST_CLAUSES = 8

_NOT_NOW = rule("planner_not_now")


class Planner:
    def __init__(self, encode: Encode) -> None:
        self._intents = Intents(encode)

    def understand(self, text: str, situation: Situation, memory: Memory = Memory()) -> Understanding:  # noqa: B008 - frozen
        sentence, paste = split_paste(text[:200_000])
        # The paste stays as it came; only the sentence is read.
        paste = paste if len(text) <= 200_000 else paste + text[200_000:]
        sentence = shorten(clean(sentence[:20_000]))
        language = language_of(sentence)
        if not re.search(r"[^\W_]", sentence):
            if paste.strip("\x00 \n") and "@" in paste:
                return _with_paste(paste)
            kind: Kind = "help" if sentence.strip(" ¿") in ("?", "??", "???") else "talk"
            return Understanding(kind, (), replies.say("help" if kind == "help" else "empty", language), 1.0)
        marked = mark(sentence, situation, memory)
        return self._answer(cut(marked.text), marked, situation, memory, paste, language)

    def _answer(
        self,
        clauses: list[Clause],
        marked: Marked,
        situation: Situation,
        memory: Memory,
        paste: str,
        language: Language,
    ) -> Understanding:
        if not clauses:
            return Understanding("talk", (), replies.say("talk_thanks", language), 1.0)
        quick = _quick_answer(marked, memory, language)
        if quick:
            return quick
        first = Request(clauses[0], marked, situation, memory, paste)
        if fixed := corrections.corrected(first):
            return Understanding("calls", tuple(map(_tidy, fixed)), "", 0.8)
        readings: list[Understanding] = []
        now = memory
        for clause in clauses[:_MOST_CLAUSES]:
            reading = self._clause(corrections.as_request(clause), marked, situation, now, paste, language)
            readings.append(reading)
            now = remember(now, reading)
            if any(call.tool == "import_contacts" for call in reading.calls):
                paste = ""  # a table is imported once
        apart = _together(readings)
        if len(clauses) > 1 and apart.kind != "calls":
            # The pieces leave something open: perhaps they were one request ("..., update it please").
            joined = self._clause(whole(marked.text), marked, situation, memory, paste, language)
            tools = {call.tool for reading in readings for call in reading.calls}
            if joined.kind == "calls" and (not tools or {c.tool for c in joined.calls} == tools):
                said = " ".join(str(v) for call in joined.calls for v in call.arguments.values())
                # Not when a piece only vanished into a description.
                if not any(marked.say(clause.said) in said for clause in clauses[1:]):
                    return joined
        return apart

    def _clause(
        self, clause: Clause, marked: Marked, situation: Situation, memory: Memory, paste: str, language: Language
    ) -> Understanding:
        request = Request(clause, marked, situation, memory, paste)
        guess = self._intents.guess(marked, clause.text)
        sure = round(min(1.0, max(0.0, guess.score)), 2)
        if paste and guess.of("import_contacts") > 0.1:
            return self._filled("import_contacts", request, sure, language)
        if guess.best in ("talk", "help", "decline"):
            return _words(guess, request, language, sure)
        tool = guess.best
        side = "read" if tool in READS else "write"
        if side == "write" and (not is_asked(tool, request.folded) or _NOT_NOW.match(request.folded)):
            return _ask(guess, language) if _is_about_us(request) else _words(guess, request, language, sure)
        if guess.score < _SURE[side] or guess.margin < _LEAD[side]:
            return _ask(guess, language) if _is_about_us(request) else _words(guess, request, language, sure)
        if tool == "delete_contact" and _EVERYBODY.search(request.folded) and not request.all("email"):
            return Understanding("decline", (), replies.say("decline_everybody", language), sure)
        return self._filled(tool, request, sure, language)

    def _filled(self, tool: str, request: Request, sure: float, language: Language) -> Understanding:
        filled = fill(tool, request)
        if request.marked.impossible and tool in _DATED:
            reply = replies.say("no_such_date", language, date=request.marked.impossible)
            return Understanding("ask", tuple(map(_tidy, filled.calls)), reply, sure)
        calls = tuple(map(_tidy, filled.calls))
        if filled.missing:
            return Understanding("ask", calls, replies.missing(filled.missing, language, request.situation), sure)
        return Understanding("calls", calls, "", sure)


_DATED = ("send_campaign", "create_campaign", "update_campaign", "summarize_performance")
_EVERYBODY = rule("planner_everybody")


_OURS = rule("planner_ours")


def _is_about_us(request: Request) -> bool:
    """Worth a question: begins like a request, or names a thing of ours. All else is a remark."""
    return bool(
        request.clause.command
        or re.search(f"(?!{SIGNS['{D}']}){ANY_SIGN}", request.text)
        or _OURS.search(request.folded)
    )


def _tidy(call: Call) -> Call:
    known = ARGUMENTS[call.tool]
    return Call(call.tool, {k: v for k, v in call.arguments.items() if k in known and v is not None})


def _with_paste(paste: str) -> Understanding:
    return Understanding("calls", (Call("import_contacts", {"csv": paste}),), "", 0.5)


_LAUGHING = re.compile(r"(?:ha(?:ha)+|lol|rofl|ugh|omg|phew|jaja|hehe|mdr)\b")


def _quick_answer(marked: Marked, memory: Memory, language: Language) -> Understanding | None:
    if _LAUGHING.match(fold(marked.text)) and not pattern("{C}|{E}|{P}").search(marked.text):
        return Understanding("talk", (), replies.say("talk", language), 1.0)
    if memory.undone and memory.calls and corrections.is_yes(marked.text):
        return Understanding("calls", memory.calls, "", 1.0)
    if corrections.is_no(marked.text) and not re.search(ANY_SIGN, marked.text):
        return Understanding("talk", (), replies.say("left", language), 1.0)
    if corrections.is_yes(marked.text):
        return Understanding("talk", (), replies.say("talk", language), 1.0)
    return None


def _words(guess: Guess, request: Request, language: Language, sure: float) -> Understanding:
    kind: Kind = "help" if guess.best == "help" else "decline" if guess.best == "decline" else "talk"
    folded = request.folded
    name: str = kind
    if kind == "decline" and re.search(r"^(?:delete|erase|remove|losche|supprime|elimina|borra)", folded):
        name = "decline_campaign" if request.all("campaign") or "ampa" in folded else "decline"
    if kind == "talk":
        thanked = pattern(r"\b{thanks}\b").search(fold(request.clause.said))
        greeted = pattern(r"^{greetings}\b").search(fold(request.clause.said))
        name = "talk_thanks" if thanked else "talk_hello" if greeted else "talk"
    return Understanding(kind, (), replies.say(name, language), sure)


def _ask(guess: Guess, language: Language) -> Understanding:
    """A question with the two or three nearest readings; none near at all: what it can do."""
    near = [name for name, score in guess.ranked[:4] if name in ARGUMENTS and score > 0.15][:3]
    return Understanding("ask", (), replies.unclear(near, language), round(max(0.0, guess.score), 2))


def _together(readings: list[Understanding]) -> Understanding:
    """Several clauses, one answer. An open question holds everything back: half a plan is not shown."""
    readings = _merged(_without_repeats(readings))
    if len(readings) == 1:
        return readings[0]
    for kind in ("ask", "decline"):
        for reading in readings:
            if reading.kind == kind:
                others = tuple(c for r in readings if r.kind in ("calls", "ask") for c in r.calls)
                return replace(reading, calls=others if kind == "ask" else ())
    calls = tuple(call for reading in readings for call in reading.calls)
    if calls:
        return Understanding("calls", calls, "", min(r.confidence for r in readings if r.calls))
    return readings[0]


def _without_repeats(readings: list[Understanding]) -> list[Understanding]:
    """ "Edna asked to be forgotten, erase her": said twice, meant once."""
    kept: list[Understanding] = []
    for reading in readings:
        if len(reading.calls) == 1:
            new = reading.calls[0]
            twin = next((k for k in kept if len(k.calls) == 1 and k.calls[0].tool == new.tool), None)
            if twin is not None and _within(new, twin.calls[0]):
                continue
            if twin is not None and _within(twin.calls[0], new):
                kept[kept.index(twin)] = reading
                continue
        kept.append(reading)
    return kept


def _merged(readings: list[Understanding]) -> list[Understanding]:
    """ "Add Ada ..., tag her vip" is one new contact; "rename it and move it to May" one change."""
    kept: list[Understanding] = []
    for reading in readings:
        before = kept[-1].calls[0] if kept and len(kept[-1].calls) == 1 and kept[-1].kind == "calls" else None
        new = reading.calls[0] if len(reading.calls) == 1 and reading.kind == "calls" else None
        if before and new and (fields := _same_target(before, new)):
            kept[-1] = replace(kept[-1], calls=(Call(before.tool, {**before.arguments, **fields}),))
        else:
            kept.append(reading)
    return kept


def _same_target(before: Call, new: Call) -> dict[str, object]:
    """What `new` adds to the very thing that `before` makes or changes."""
    key = {"update_contact": "contact", "update_campaign": "campaign"}.get(new.tool)
    if key is None:
        return {}
    mine = {"create_contact": ("email",), "update_contact": ("contact",), "update_campaign": ("campaign", "name")}
    fits = before.tool == new.tool or (before.tool, new.tool) == ("create_contact", "update_contact")
    targets = [before.arguments.get(name) for name in mine.get(before.tool, ())]
    fields = {name: value for name, value in new.arguments.items() if name != key}
    return fields if fits and new.arguments.get(key) in targets and not fields.keys() & before.arguments.keys() else {}


def _within(small: Call, large: Call) -> bool:
    return all(large.arguments.get(name) == value for name, value in small.arguments.items())
