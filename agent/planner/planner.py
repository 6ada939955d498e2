"""The built-in planner: from a sentence to calls of the tools, without a language model.

It never guesses quietly: a write needs a request for it and a clear lead over the other
readings, or the planner asks; what is small talk or out of scope is never a call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from agent.planner import acts, corrections, replies, together
from agent.planner.clauses import Clause, cut, whole
from agent.planner.contract import (
    ARGUMENTS,
    READS,
    Call,
    Kind,
    KnownCampaign,
    Memory,
    Situation,
    Understanding,
    remember,
)
from agent.planner.entities import Marked, mark
from agent.planner.intents import Encode, Guess, Intents
from agent.planner.patterns import ANY_SIGN, SIGNS, pattern, rule
from agent.planner.repairs import mend
from agent.planner.slots import Request, common, fill
from agent.planner.text import Language, clean, fold, is_foreign, language_of, shorten, split_paste
from agent.planner.wishes import CLEAR, Wish, Wishes

# Found on our own examples, one left out at a time: a reading with less than this lead over the next tool is right
# every other time; with less than that over the words, a third of the sentences wanted nothing.
_SURE = {"read": 0.25, "write": 0.28}
_OVER_TOOLS = {"read": 0.02, "write": 0.06}
_OVER_WORDS = {"read": 0.02, "write": 0.15}
_MOST_CLAUSES = 8


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
                return together.with_paste(paste)
            kind: Kind = "help" if sentence.strip(" ¿") in ("?", "??", "???") else "talk"
            return Understanding(kind, (), replies.say("help" if kind == "help" else "empty", language), 1.0)
        situation = _with_last(situation, memory, sentence)
        marked = mark(sentence, situation, memory)
        mend(marked)
        if is_foreign(marked.text):
            return Understanding("ask", (), replies.say("foreign", language), 1.0)
        return _Turn(self._intents, marked, situation, memory, paste, language).answer()


def _with_last(situation: Situation, memory: Memory, sentence: str) -> Situation:
    """A campaign that was just spoken of has a name that can be said again, whether it waits or is made."""
    known = {campaign.name for campaign in situation.campaigns}
    if memory.campaign is None or memory.campaign in known or not _telling(memory.campaign) & _telling(sentence):
        return situation
    return replace(situation, campaigns=(*situation.campaigns, KnownCampaign(memory.campaign, "draft")))


def _telling(text: str) -> set[str]:
    """Words that tell one name from another: not "week", not "sale"."""
    return {word for word in re.findall(r"[^\W_]{4,}", fold(text)) if word not in common.ORDINARY}


@dataclass
class _Turn:
    """One message being read."""

    intents: Intents
    marked: Marked
    situation: Situation
    memory: Memory
    paste: str
    language: Language
    guesses: dict[str, Guess] = field(default_factory=dict)

    def answer(self) -> Understanding:
        pieces = cut(self.marked.text)
        if not pieces:
            return Understanding("talk", (), replies.say("talk_thanks", self.language), 1.0)
        quick = self._quick()
        if quick:
            return quick
        if fixed := self._corrected(pieces[0]):
            return fixed
        # "Wrong campaign, it was to be Harvest Fair": nothing is asked for anew.
        told = self.memory.undone and not any(piece.command for piece in pieces)
        if told and (late := self._corrected(whole(self.marked.text), late=True)):
            return late
        apart = self._in_turn(Wishes(self._guess).of(pieces[:_MOST_CLAUSES]))
        if apart.kind != "calls" and (late := self._corrected(whole(self.marked.text), late=True)):
            return late
        if len(pieces) > 1 and apart.kind != "calls":
            # The pieces leave something open: perhaps they were one request ("..., update it please").
            message = whole(self.marked.text)
            joined = self._read(message, self.memory)
            tools = {call.tool for call in apart.calls}
            clear = self._guess(message).score >= CLEAR
            if joined.kind == "calls" and clear and (not tools or {c.tool for c in joined.calls} == tools):
                said = " ".join(str(v) for call in joined.calls for v in call.arguments.values())
                # Not when a piece only vanished into a description.
                if not any(self.marked.say(piece.said) in said for piece in pieces[1:]):
                    return joined
        return apart

    def _corrected(self, piece: Clause, *, late: bool = False) -> Understanding | None:
        """The last calls with another value. `late`: nothing else came of the message."""
        calls = corrections.corrected(self._request(piece, self.memory), self._guess(piece), late=late)
        if not calls:
            return None
        tidied = tuple(map(together.tidy, calls))
        if lacks := together.lacking(tidied):
            return Understanding("ask", tidied, replies.missing(lacks, self.language, self.situation), 0.8)
        return Understanding("calls", tidied, "", 0.8)

    def _request(self, clause: Clause, memory: Memory) -> Request:
        return Request(clause, self.marked, self.situation, memory, self.paste)

    def _guess(self, clause: Clause) -> Guess:
        if clause.bare not in self.guesses:
            self.guesses[clause.bare] = self.intents.guess(self.marked, clause.bare, self.situation.tags)
        return self.guesses[clause.bare]

    def _in_turn(self, wishes: list[Wish]) -> Understanding:
        readings: list[tuple[Clause, Understanding]] = []
        now = self.memory
        for wish in wishes:
            if not wish.wanted:
                now = self._spoken_of(wish.clause, now)
                continue
            reading = self._again(wish.clause, now) or self._read(corrections.as_request(wish.clause), now)
            readings.append((wish.clause, reading))
            now = remember(now, reading) if reading.calls else self._spoken_of(wish.clause, now)
            if any(call.tool == "import_contacts" for call in reading.calls):
                self.paste = ""  # a table is imported once
        return together.together(readings)

    def _again(self, clause: Clause, memory: Memory) -> Understanding | None:
        """ "How did A do, and how about B?": the same of another."""
        if not memory.calls or not _HOW_ABOUT.fullmatch(fold(clause.said)):
            return None
        calls = corrections.corrected(self._request(clause, memory), self._guess(clause))
        return Understanding("calls", tuple(map(together.tidy, calls)), "", 0.8) if calls else None

    def _spoken_of(self, clause: Clause, memory: Memory) -> Memory:
        """ "Lamp Week went off with a dead link, halt it": what a remark names, "it" may mean."""
        request = self._request(clause, memory)
        campaigns = {thing.value for thing in request.all("campaign")}
        people = {thing.value for thing in request.all("email")} or corrections.people(request)
        return replace(
            memory,
            campaign=campaigns.pop() if len(campaigns) == 1 else memory.campaign,
            contact=people.pop() if len(people) == 1 else memory.contact,
        )

    def _read(self, clause: Clause, memory: Memory) -> Understanding:
        request = self._request(clause, memory)
        guess = self._guess(clause)
        sure = round(min(1.0, max(0.0, guess.score)), 2)
        if self.paste and guess.of("import_contacts") > 0.1:
            return self._filled("import_contacts", request, sure)
        if guess.best not in ARGUMENTS:
            return self._words(guess, request, sure)
        tool = guess.best
        side = "read" if tool in READS else "write"
        if side == "write" and acts.is_remark(clause.said):
            return Understanding("talk", (), replies.say("talk", self.language), sure)
        unsure = (
            guess.score < _SURE[side]
            or guess.lead(words=False) < _OVER_TOOLS[side]
            or guess.lead(words=True) < _OVER_WORDS[side]
        )
        if tool == "delete_contact" and _EVERYBODY.search(request.folded) and not request.all("email"):
            return Understanding("decline", (), replies.say("decline_everybody", self.language), sure)
        if unsure or (side == "write" and acts.is_conditional(clause.said)):
            return self._ask(guess) if _is_about_us(request) else self._words(guess, request, sure)
        return self._filled(tool, request, sure)

    def _filled(self, tool: str, request: Request, sure: float) -> Understanding:
        filled = fill(tool, request)
        campaigns = [thing.value for thing in request.all("campaign", request.text)]
        addresses = [thing.value for thing in request.all("email", request.text)]
        calls = tuple(
            together.tidy(one)
            for call in filled.calls
            for each in together.each_campaign(call, campaigns)
            for one in together.each_address(each, addresses)
        )
        if request.marked.impossible and tool in _DATED:
            reply = replies.say("no_such_date", self.language, date=request.marked.impossible)
            return Understanding("ask", calls, reply, sure)
        if address := together.broken_address(calls):
            return Understanding("ask", calls, replies.say("no_address", self.language, address=address), sure)
        if wrong := self._doubtful(tool, calls, request):
            return Understanding("ask", (), replies.missing(wrong, self.language, request.situation), sure)
        if filled.missing:
            return Understanding("ask", calls, replies.missing(filled.missing, self.language, request.situation), sure)
        return Understanding("calls", calls, "", sure)

    def _doubtful(self, tool: str, calls: tuple[Call, ...], request: Request) -> str:
        """What has to be asked although the slots are filled; "" for nothing."""
        if tool not in READS and _EITHER.search(request.folded):
            return "campaign"
        fields = {name for call in calls for name in call.arguments}
        if tool == "update_contact" and fields <= {"contact", "description"} and _NEW_FIELD.search(request.folded):
            return "change"
        return together.no_name(calls, request.situation, request.say(request.text))

    def _quick(self) -> Understanding | None:
        marked, memory, language = self.marked, self.memory, self.language
        laughing = _LAUGHING.match(fold(marked.text)) and not pattern("{C}|{E}|{P}").search(marked.text)
        if laughing or acts.is_hypothetical(marked.text):
            return Understanding("talk", (), replies.say("talk", language), 1.0)
        if memory.undone and memory.calls and corrections.is_yes(marked.text):
            return Understanding("calls", memory.calls, "", 1.0)
        if corrections.is_no(marked.text) and not re.search(ANY_SIGN, marked.text):
            return Understanding("talk", (), replies.say("left", language), 1.0)
        if corrections.is_yes(marked.text):
            return Understanding("talk", (), replies.say("talk", language), 1.0)
        return None

    def _words(self, guess: Guess, request: Request, sure: float) -> Understanding:
        return replies.in_words(guess.best, request, self.language, sure)

    def _ask(self, guess: Guess) -> Understanding:
        """A question with the two or three nearest readings; none near at all: what it can do."""
        near = [name for name, score in guess.ranked[:4] if name in ARGUMENTS and score > 0.15][:3]
        return Understanding("ask", (), replies.unclear(near, self.language), round(max(0.0, guess.score), 2))


# "Send A or B": choosing is not for us.
_EITHER = pattern(r"{C},? (?:or|oder|ou|o) {C}")
# "She has a new number": and which?
_NEW_FIELD = rule("planner_new_field")
_DATED = ("send_campaign", "create_campaign", "update_campaign", "summarize_performance")
_HOW_ABOUT = rule("planner_how_about")
_EVERYBODY = rule("planner_everybody")
_OURS = rule("planner_ours")
_LAUGHING = re.compile(r"(?:ha(?:ha)+|lol|rofl|ugh|omg|phew|jaja|hehe|mdr)\b")


def _is_about_us(request: Request) -> bool:
    """Worth a question: begins like a request, or names a thing of ours. All else is a remark."""
    return bool(
        request.clause.command
        or re.search(f"(?!{SIGNS['{D}']}){ANY_SIGN}", request.text)
        or _OURS.search(request.folded)
    )
