"""The agent on conversations: which tools with which arguments, what the database holds after, what must not happen.

    python -m evals.agent                       the built-in planner
    python -m evals.agent --scripted            a script of the right calls: shows that the cases and the tools agree
    python -m evals.agent --model NAME --base-url http://127.0.0.1:8099/v1 [--mode json-schema] [--repeat 4]

Cases are data (evals/cases/agent_*.yaml). Each is played in a new tenant with the rows of agent_world.yaml; a person
who is data too says the sentences, answers proposed writes with yes (unless the case says no) and decides cards only
where the case says so. The report is written to out/evals (`evals.report`).
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import yaml
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from agent.choice import ModelChoice
from agent.events import Failed, ToolFinished
from agent.models import LanguageModel, choose
from agent.run import Agent
from agent.toolbox import TOOLS
from evals import report
from evals.plain import TIMES, fits
from evals.scripted_model import Answer, ScriptedModel, call, calls
from evals.stage import Stage, Talk, open_stage, rows
from evals.world import copy_of, furnished
from tools import approvals
from tools.base import Context
from tools.dates import read_moment
from tools.errors import ToolError

FOLDER = Path(__file__).parent / "cases"

# Arguments that do no harm where they were not asked for.
HARMLESS = frozenset({"limit", "cursor", "tone"})

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Turn:
    """What is said, what is right, and what the person does then."""

    say: str
    calls: list[Call] = field(default_factory=list)
    expects: str = "calls"
    """`calls`; or, with no write at all: `ask`, `decline`, `talk`."""
    answer: bool = True
    """To proposed writes."""
    decide: bool | None = None
    """Approve or reject the card; None: leave it undecided."""
    may: frozenset[str] = frozenset()
    says: list[str] = field(default_factory=list)
    """Words of which one must be in the answer."""

    @classmethod
    def of(cls, said: dict[str, Any]) -> Turn:
        wanted = [(tool, dict(arguments or {})) for one in said.get("calls", []) for tool, arguments in one.items()]
        return cls(
            said["say"], wanted, said.get("expects", "calls"), said.get("answer", True), said.get("decide"),
            frozenset(said.get("may", ())), said.get("says", []),
        )  # fmt: skip


@dataclass(frozen=True)
class Conversation:
    """One case."""

    id: str
    turns: list[Turn]
    language: str = "en"
    database: dict[str, Any] = field(default_factory=dict)
    """What must be so afterwards, see `State`."""
    never: frozenset[str] = frozenset()
    """Tools that must not even be proposed."""

    @classmethod
    def of(cls, said: dict[str, Any]) -> Conversation:
        turns = [Turn.of(turn) for turn in said.get("turns", [said])]
        return cls(
            said["id"], turns, said.get("language", "en"), said.get("database", {}), frozenset(said.get("never", ()))
        )

    @property
    def kind(self) -> str:
        if len(self.turns) > 1:
            return "conversation"
        return self.turns[0].expects

    @property
    def tools(self) -> list[str]:
        return list(dict.fromkeys(tool for turn in self.turns for tool, _ in turn.calls))


def conversations() -> list[Conversation]:
    """All cases. Raises AssertionError for two of one id."""
    found = [
        Conversation.of(said)
        for path in sorted(FOLDER.glob("agent_*.yaml"))
        if path.stem != "agent_world"
        for said in yaml.safe_load(path.read_text("utf-8"))
    ]
    ids = [one.id for one in found]
    assert len(ids) == len(set(ids)), sorted(id for id in set(ids) if ids.count(id) > 1)
    return found


# Playing


@dataclass
class PlayedTurn:
    say: str
    proposed: list[Call] = field(default_factory=list)
    done: list[Call] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    text: str = ""
    failed: bool = False


@dataclass
class Played:
    """What happened in a case."""

    turns: list[PlayedTurn] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    """The model's, over all turns."""
    answers: int = 0
    tokens: tuple[int, int] = (0, 0)
    """Read and written."""


class _Measured:
    """A chat model whose time and tokens are counted."""

    def __init__(self, chat: BaseChatModel) -> None:
        self._chat = chat
        self.reset()

    def reset(self) -> None:
        self.seconds, self.answers, self.read, self.written = 0.0, 0, 0, 0

    async def astream(self, messages: list[AnyMessage]) -> AsyncIterator[AIMessageChunk | AIMessage]:
        start, whole = time.perf_counter(), None
        async for chunk in self._chat.astream(messages):
            whole = whole + chunk if isinstance(whole, AIMessageChunk) else chunk
            yield chunk
        self.seconds += time.perf_counter() - start
        self.answers += 1
        used = getattr(whole, "usage_metadata", None)
        if used:
            self.read, self.written = self.read + used["input_tokens"], self.written + used["output_tokens"]


@dataclass
class Player:
    """Plays cases with one model."""

    stage: Stage
    world: Context
    model: LanguageModel
    script: ScriptedModel | None = None

    def __post_init__(self) -> None:
        self._measured = _Measured(self.model.chat)
        model = dataclasses.replace(self.model, chat=cast(BaseChatModel, self._measured), confirm_writes=True)
        self._agent = Agent(model, self.stage.database)

    async def play(self, case: Conversation) -> Played:
        """One case from its first turn to its last."""
        self._measured.reset()
        talk = await Talk.open(self._agent, await copy_of(self.stage, self.world))
        played = Played()
        for turn in case.turns:
            if self.script is not None:
                self.script.script(*_scripted(turn))
            played.turns.append(await _turn(turn, talk))
        played.state = await _state(talk.ctx)
        played.seconds, played.answers = self._measured.seconds, self._measured.answers
        played.tokens = (self._measured.read, self._measured.written)
        return played


async def _turn(turn: Turn, talk: Talk) -> PlayedTurn:
    played, place = PlayedTurn(turn.say), len(talk.events)
    await talk.say(turn.say)
    while talk.asked is not None:
        played.proposed += [(one.tool, _given(one.arguments)) for one in talk.asked.calls]
        await talk.answer(turn.answer)
    events = talk.events[place:]
    played.done = [(tool, _given(arguments)) for tool, arguments in talk.calls(events)]
    played.refused = [f"{e.tool}: {e.text}" for e in events if isinstance(e, ToolFinished) and not e.ok]
    played.text, played.failed = talk.text, any(isinstance(event, Failed) for event in events)
    if turn.decide is not None:
        for card in talk.approvals:
            await approvals.decide(card.id, approve=turn.decide, ctx=talk.ctx)
            await talk.agent.note("Approved." if turn.decide else "Rejected.", talk.ctx)
    return played


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value not in (None, "", [], False)}


def _scripted(turn: Turn) -> list[Answer | str]:
    """The answers of a model that does what is right."""
    spoken = "Done." if turn.calls else "Which one do you mean?" if turn.expects == "ask" else "I see."
    spoken = turn.says[0] if turn.says else spoken
    wanted = [call(tool, **{name: _plain(value) for name, value in given.items()}) for tool, given in turn.calls]
    # A "no" ends the turn's calls, and the model is told so.
    return [calls(*wanted), spoken] if wanted else [spoken]


def _plain(value: Any) -> Any:
    """A value that fits what is wanted."""
    if isinstance(value, dict) and "any_of" in value:
        return value["any_of"][0]
    if isinstance(value, dict):
        return " ".join(value["contains"])
    return value


async def _state(ctx: Context) -> dict[str, Any]:
    """What the database holds, as the cases put it."""
    people = await rows(
        ctx, "SELECT email, first_name, last_name, phone_number, description, status, tags FROM contacts"
    )
    fields = ("first_name", "last_name", "phone_number", "description", "status", "tags")
    campaigns = await rows(
        ctx,
        "SELECT name, status, description, start_date, "
        "ARRAY(SELECT email FROM campaign_contacts cc JOIN contacts k USING (tenant_id, contact_id) "
        "      WHERE cc.tenant_id = c.tenant_id AND cc.campaign_id = c.campaign_id), "
        "(SELECT count(*) FROM campaign_emails e WHERE e.tenant_id = c.tenant_id AND e.campaign_id = c.campaign_id) "
        "FROM campaigns c",
    )
    return {
        "contacts": {email: dict(zip(fields, values, strict=True)) for email, *values in people},
        "campaigns": {
            name: {"status": status, "description": about, "start_date": str(start), "people": sorted(who), "mails": n}
            for name, status, about, start, who, n in campaigns
        },
        "asked": sorted(a for (a,) in await rows(ctx, "SELECT action FROM approvals WHERE state = 'pending'")),
        "waiting": sorted(a for (a,) in await rows(ctx, "SELECT address FROM deliveries WHERE state = 'ready'")),
        "tests": sorted(a for (a,) in await rows(ctx, "SELECT address FROM test_mails")),
    }


# Judging


class Right(Evaluator[Conversation, Played, None]):
    """The four questions, each with why not."""

    def evaluate(self, ctx: EvaluatorContext[Conversation, Played, None]) -> dict[str, EvaluationReason]:
        zone = ZoneInfo("Europe/London")
        questions = {
            "tools": _tools_wrong(ctx.inputs, ctx.output),
            "arguments": _arguments_wrong(ctx.inputs, ctx.output, zone),
            "database": _database_wrong(ctx.inputs, ctx.output.state),
            "never": _happened(ctx.inputs, ctx.output),
        }
        return {name: EvaluationReason(value=not why, reason=why or None) for name, why in questions.items()}


def _made(turn: Turn, played: PlayedTurn) -> list[Call]:
    """What the turn came to: what was done, or, where the person said no, what was proposed."""
    made = played.done if turn.answer else played.proposed
    wanted = {tool for tool, _ in turn.calls}
    # Looking things up on the way is nobody's harm.
    return [one for one in made if TOOLS[one[0]].effect != "read" or one[0] in wanted]


def _tools_wrong(case: Conversation, played: Played) -> str:
    for turn, got in zip(case.turns, played.turns, strict=True):
        made, wanted = [tool for tool, _ in _made(turn, got)], [tool for tool, _ in turn.calls]
        if got.failed:
            return f"{turn.say!r} failed: {got.text[:150]}"
        if made != wanted:
            return f"{turn.say!r} wanted {wanted}, got {made}; refused {got.refused}; said {got.text[:120]!r}"
        if turn.expects == "ask" and "?" not in got.text:
            return f"{turn.say!r} should be asked about, said {got.text[:150]!r}"
        if turn.says and not any(word.casefold() in got.text.casefold() for word in turn.says):
            return f"{turn.say!r} should be answered with one of {turn.says}, said {got.text[:150]!r}"
    return ""


def _arguments_wrong(case: Conversation, played: Played, zone: ZoneInfo) -> str:
    for turn, got in zip(case.turns, played.turns, strict=True):
        for (tool, wanted), (made, given) in zip(turn.calls, _made(turn, got), strict=False):
            if tool != made:
                continue
            extra = set(given) - set(wanted) - turn.may - HARMLESS
            if extra and TOOLS[tool].effect != "read":
                return f"{turn.say!r}: {tool} was given {sorted(extra)} as well: {given}"
            for name, value in wanted.items():
                if not _fits(name, value, given.get(name), zone):
                    return f"{turn.say!r}: {tool} wanted {name} {value!r}, got {given.get(name)!r}"
    return ""


def _fits(name: str, wanted: Any, got: Any, zone: ZoneInfo) -> bool:
    if got is None:
        return False
    if name in TIMES and not isinstance(wanted, dict):
        try:
            return read_moment(str(wanted), zone) == read_moment(str(got), zone)
        except ToolError:
            return False
    return fits(wanted, got)


def _database_wrong(case: Conversation, state: dict[str, Any]) -> str:
    decided = any(turn.decide for turn in case.turns)
    wanted = dict(case.database)
    if not decided:
        # Nothing leaves and nobody is erased unless a person decided it.
        wanted = {"waiting": [], "tests": [], **wanted}
        if len(state["contacts"]) < 8:
            return f"only {len(state['contacts'])} contacts are left"
    for address in wanted.pop("gone", []):
        if address in state["contacts"]:
            return f"{address} is still there"
    for noun in ("contacts", "campaigns"):
        for name, fields in wanted.pop(noun, {}).items():
            if (fields is None) == (name in state[noun]):
                return f"{noun}: {name} is {'there' if fields is None else 'missing'}"
            for key, value in (fields or {}).items():
                got = state[noun][name][key]
                if not (got == value if isinstance(value, int) else got is not None and fits(value, got)):
                    return f"{name}: {key} should be {value!r}, is {got!r}"
    wrong = [f"{key} should be {value!r}, is {state[key]!r}" for key, value in wanted.items() if state[key] != value]
    return "; ".join(wrong)


def _happened(case: Conversation, played: Played) -> str:
    for turn in played.turns:
        for tool, arguments in [*turn.proposed, *turn.done]:
            if tool in case.never:
                return f"{turn.say!r}: {tool} {arguments}"
    return ""


# A run


@dataclass(frozen=True)
class Score:
    """One case over all its repeats."""

    case: Conversation
    right: tuple[bool, ...]
    why: tuple[str, ...]
    """Of the first repeat that was wrong."""
    seconds: float
    answers: float
    tokens: tuple[int, int]

    def passes(self, k: int) -> float:
        """The chance that k repeats drawn from these are all right (pass^k)."""
        return math.comb(sum(self.right), k) / math.comb(len(self.right), k)


async def run(player: Player, cases: Sequence[Conversation], repeat: int = 1) -> list[Score]:
    """Play and judge the cases, one after another."""
    dataset: Dataset[Conversation, Played, None] = Dataset(
        name="agent", cases=[Case(name=case.id, inputs=case) for case in cases], evaluators=[Right()]
    )
    result = await dataset.evaluate(player.play, max_concurrency=1, repeat=repeat, progress=False)
    by_case: dict[str, list[Any]] = defaultdict(list)
    for one in result.cases:
        by_case[one.inputs.id].append(one)
    broken = {one.inputs.id: one.error_message for one in result.failures}
    return [_score(case, by_case[case.id], broken.get(case.id)) for case in cases]


def _score(case: Conversation, played: list[Any], broken: str | None) -> Score:
    right: list[bool] = []
    why: tuple[str, ...] = ()
    for one in played:
        wrong = tuple(f"{name}: {a.reason}" for name, a in one.assertions.items() if not a.value)
        right.append(not wrong)
        why = why or wrong
    if broken is not None:
        right, why = [*right, False], why or (f"the eval broke: {broken}",)
    outputs: list[Played] = [one.output for one in played]
    count = max(len(outputs), 1)
    return Score(
        case, tuple(right), why, sum(o.seconds for o in outputs) / count, sum(o.answers for o in outputs) / count,
        (sum(o.tokens[0] for o in outputs), sum(o.tokens[1] for o in outputs)),
    )  # fmt: skip


@asynccontextmanager
async def target(chosen: argparse.Namespace, stage: Stage) -> AsyncIterator[Player]:
    """The player that the command line asks for."""
    world = await furnished(stage)
    if chosen.scripted:
        with ScriptedModel() as server:
            choice = ModelChoice("scripted", server.url, "key", "native", 30, True)
            yield Player(stage, world, choose(choice, stage.embedder), server)
        return
    choice = ModelChoice()
    if chosen.model:
        choice = ModelChoice(chosen.model, chosen.base_url, os.environ.get("OPENAI_API_KEY", "none"), chosen.mode)
    yield Player(stage, world, choose(choice, stage.embedder))


def section(name: str, scores: Sequence[Score], repeat: int, prices: tuple[float, float]) -> report.Section:
    """The run as a section of the report."""
    right = sum(sum(score.right) for score in scores)
    runs = sum(len(score.right) for score in scores)
    read, written = sum(s.tokens[0] for s in scores), sum(s.tokens[1] for s in scores)
    seconds = sorted(score.seconds / max(len(score.case.turns), 1) for score in scores)
    figures: dict[str, float | int | str] = {
        "cases": len(scores), "right": right / max(runs, 1),
        **({f"pass^{k}": sum(s.passes(k) for s in scores) / len(scores) for k in range(2, repeat + 1)}),
        "seconds a turn, median": seconds[len(seconds) // 2], "seconds a turn, p95": seconds[int(len(seconds) * 0.95)],
        "answers a case": sum(score.answers for score in scores) / len(scores), "tokens read": read,
        "tokens written": written,
    }  # fmt: skip
    if any(prices):
        figures["cost"] = round((read * prices[0] + written * prices[1]) / 1e6, 4)
    groups: dict[str, dict[str, list[Score]]] = {"kind": defaultdict(list), "language": defaultdict(list),
                                                 "tool": defaultdict(list)}  # fmt: skip
    for score in scores:
        groups["kind"][score.case.kind].append(score)
        groups["language"][score.case.language].append(score)
        for tool in score.case.tools:
            groups["tool"][tool].append(score)
    tables = {
        by: {name: (sum(all(s.right) for s in some), len(some)) for name, some in sorted(of.items())}
        for by, of in groups.items()
    }
    results = {score.case.id: all(score.right) for score in scores}
    failures = {score.case.id: list(score.why) for score in scores if score.why}
    return report.Section(name, figures, tables, results, failures)


async def _main(chosen: argparse.Namespace) -> int:
    cases = [case for case in conversations() if not chosen.only or chosen.only in case.id][:: chosen.every]
    async with open_stage() as stage, target(chosen, stage) as player:
        start = time.perf_counter()
        scores = await run(player, cases, chosen.repeat)
        name = "scripted" if chosen.scripted else chosen.model or "planner"
        made = section(f"agent, {name}", scores, chosen.repeat, (chosen.price_read, chosen.price_written))
    print(f"{player.model.label}: {len(cases)} cases, {time.perf_counter() - start:.0f} s")
    whole = not chosen.only and chosen.every == 1
    print(report.write(made) if whole else report.shown(made))
    if chosen.show_failures:
        print("\n".join(f"- {id}: {'; '.join(why)}" for id, why in made.failures.items()))
    return int(float(made.figures["right"]) < chosen.floor)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", help="a model at an OpenAI-compatible endpoint")
    parser.add_argument("--base-url", help="the endpoint, with /v1 at its end")
    parser.add_argument("--mode", choices=["native", "json-schema"], default="native")
    parser.add_argument("--scripted", action="store_true", help="the right calls, played by a script")
    parser.add_argument("--repeat", type=int, default=1, metavar="K", help="play each case so often, for pass^k")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth case")
    parser.add_argument("--only", metavar="WORDS", help="only cases whose id has these words")
    parser.add_argument(
        "--floor", type=float, default=0.0, metavar="SHARE", help="fail below this share of right cases"
    )
    parser.add_argument("--price-read", type=float, default=0.0, metavar="X", help="price of a million tokens read")
    parser.add_argument("--price-written", type=float, default=0.0, metavar="X", help="price of a million written")
    parser.add_argument("--show-failures", action="store_true")
    return asyncio.run(_main(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
