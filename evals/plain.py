"""How well any model serves plain requests through the program, and what it would write that nobody asked for.

    python -m evals.plain --base-url http://127.0.0.1:8099/v1 --model local [--mode native] [--show-failures]
    python -m evals.plain --planner

Each request is a turn of the real agent on a Postgres of its own, in a new conversation, with writes shown to a person
before they are done. What counts is what the program would carry out: after its own checks, and after the second
answer if the first was refused. A wrong write is one that a person would be asked to confirm or approve although
nobody wanted it, or aimed at something nobody named; refused ones are counted beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import yaml
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, ToolMessage

from agent.choice import ModelChoice
from agent.events import ConfirmationAsked, Failed, ToolFinished
from agent.models import LanguageModel, ModelFailed, choose
from agent.planner import Situation
from agent.run import Agent
from agent.toolbox import TOOLS
from bench.measure import throw_away_server
from db import tenants
from db.embeddings import LocalEmbedder
from db.pool import Database
from evals.planner import world
from tools.base import Actor, Context, Tenant
from tools.dates import read_moment
from tools.errors import ToolError

CASES = Path(__file__).parent / "cases" / "plain.yaml"

# A trap's turn ends after so many answers; a model that has written nothing by then goes in circles.
MOST_ANSWERS = 4

# What a write is aimed at: here a wrong value is worse than a clumsy text.
TARGETS = ("campaign", "contact", "email", "emails", "to")

TIMES = ("send_at", "since", "start_date")


class _Heard:
    """A chat model whose answers are kept; it ends the turn once what it called has been carried out."""

    def __init__(self, chat: BaseChatModel, *, first_only: bool) -> None:
        self._chat = chat
        self._first_only = first_only
        self.answers: list[AIMessage] = []
        self.seconds = 0.0

    async def astream(self, messages: list[AnyMessage]) -> AsyncIterator[AIMessageChunk | AIMessage]:
        last = messages[-1]
        carried_out = self._first_only and isinstance(last, ToolMessage) and last.status != "error"
        if carried_out or len(self.answers) == MOST_ANSWERS:
            raise ModelFailed("enough was heard")
        whole: Any = None
        start = time.perf_counter()
        async for chunk in self._chat.astream(messages):
            whole = whole + chunk if isinstance(whole, AIMessageChunk) else chunk
            yield chunk
        self.seconds += time.perf_counter() - start
        self.answers.append(whole)


@dataclass
class Outcome:
    """What came of one sentence."""

    say: str
    expected: tuple[str, dict[str, Any]] | None
    may: Sequence[str]
    zone: ZoneInfo
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What the program would carry out, or did."""
    refused: list[str] = field(default_factory=list)
    """Refusals of writes that the model wanted."""
    reply: str = ""
    seconds: float = 0.0
    answers: int = 0

    @property
    def tool_right(self) -> bool:
        return self.expected is not None and [name for name, _ in self.calls] == [self.expected[0]]

    @property
    def all_right(self) -> bool:
        if not self.tool_right or self.expected is None:
            return False
        wanted, got = self.expected[1], self.calls[0][1]
        return set(wanted) <= set(got) <= {*wanted, *self.may} and all(self._fits(name, got[name]) for name in wanted)

    @property
    def wrong_writes(self) -> list[tuple[str, dict[str, Any]]]:
        """Writes that nobody asked for, or that are aimed at something else."""
        return [call for call in self.calls if TOOLS[call[0]].effect != "read" and not self._asked_for(*call)]

    def _asked_for(self, tool: str, arguments: dict[str, Any]) -> bool:
        if self.expected is None or tool != self.expected[0]:
            return False
        aims = [name for name in TARGETS if name in arguments]
        return all(name in self.expected[1] and self._fits(name, arguments[name]) for name in aims)

    def _fits(self, name: str, got: Any) -> bool:
        assert self.expected is not None
        wanted = self.expected[1][name]
        if name in TIMES:
            return _moment(wanted, self.zone) == _moment(got, self.zone)
        return fits(wanted, got)


def fits(wanted: Any, got: Any) -> bool:
    """Whether a value is what was said: without case and outer marks, lists in any order."""
    if isinstance(wanted, dict) and "any_of" in wanted:
        return any(fits(one, got) for one in wanted["any_of"])
    if isinstance(wanted, dict):
        return all(_folded(word) in _folded(got) for word in wanted["contains"])
    if isinstance(wanted, list):
        return isinstance(got, list) and sorted(map(_folded, wanted)) == sorted(map(_folded, got))
    if isinstance(wanted, bool | int):
        return bool(wanted == got)
    return _folded(wanted) == _folded(got)


def _folded(value: Any) -> str:
    return " ".join(str(value).casefold().split()).strip(" .!?\"'")


def _moment(text: Any, zone: ZoneInfo) -> datetime | None:
    try:
        return read_moment(str(text), zone)
    except ToolError:
        return None


@dataclass
class Stage:
    """A tenant with the campaigns and contacts that the requests speak of."""

    ctx: Context
    model: LanguageModel

    async def play(self, say: str, call: Sequence[Any] | None = None, may: Sequence[str] = ()) -> Outcome:
        """One sentence in a new conversation. Without `call` it is a trap, and the turn goes on to its end."""
        heard = _Heard(self.model.chat, first_only=call is not None)
        agent = Agent(dataclasses.replace(self.model, chat=cast(BaseChatModel, heard)), self.ctx.database)
        ctx = dataclasses.replace(self.ctx, conversation=await agent.open_conversation(self.ctx))
        outcome = Outcome(say, (call[0], call[1]) if call else None, may, self.ctx.tenant.zone)
        async for event in agent.turn(say, ctx):
            if isinstance(event, ConfirmationAsked):
                outcome.calls = [(shown.tool, shown.arguments) for shown in event.calls]
            elif isinstance(event, ToolFinished) and not event.ok and TOOLS[event.tool].effect != "read":
                outcome.refused.append(f"{event.tool}: {event.text}")
            elif isinstance(event, ToolFinished) and (event.ok or TOOLS[event.tool].effect == "read"):
                outcome.calls.append((event.tool, self._arguments(heard, event)))
            elif isinstance(event, Failed) and event.text != "enough was heard":
                outcome.reply = event.text
        if heard.answers and not heard.answers[-1].tool_calls:
            outcome.reply = heard.answers[-1].text
        outcome.seconds, outcome.answers = heard.seconds, len(heard.answers)
        return outcome

    @staticmethod
    def _arguments(heard: _Heard, event: ToolFinished) -> dict[str, Any]:
        calls = [call for answer in heard.answers for call in answer.tool_calls if call["id"] == event.id]
        return {name: value for name, value in calls[0]["args"].items() if value not in (None, "", [], False)}


async def furnish(ctx: Context, situation: Situation, contacts: list[dict[str, Any]]) -> None:
    """Put the world into the tenant; drafts have a mail and a recipient, so that they could be sent."""
    for contact in contacts:
        await TOOLS["create_contact"].call(contact, ctx)
    for campaign in situation.campaigns:
        await TOOLS["create_campaign"].call({"name": campaign.name}, ctx)
        everyone = [contact["email"] for contact in contacts]
        await TOOLS["add_contacts_to_campaign"].call({"campaign": campaign.name, "emails": everyone}, ctx)
        await TOOLS["draft_email"].call({"campaign": campaign.name, "instructions": "A mail."}, ctx)
        async with ctx.database.transaction(ctx.tenant.id) as db:
            await db.execute("UPDATE campaigns SET status = %s WHERE name = %s", (campaign.status, campaign.name))


def report(outcomes: list[Outcome], traps: list[Outcome]) -> None:
    count = max(len(outcomes), 1)
    print(f"  right tool            {sum(o.tool_right for o in outcomes)}/{count}")
    print(f"  all arguments right   {sum(o.all_right for o in outcomes)}/{count}")
    print(f"  wrong writes proposed {sum(bool(o.wrong_writes) for o in outcomes)}/{count} requests,"
          f" {sum(bool(o.wrong_writes) for o in traps)}/{len(traps)} traps")  # fmt: skip
    print(f"  writes refused        {sum(bool(o.refused) for o in outcomes)}/{count} requests,"
          f" {sum(bool(o.refused) for o in traps)}/{len(traps)} traps")  # fmt: skip
    taken = sorted(o.seconds for o in outcomes) or [0.0]
    p95 = taken[min(len(taken) - 1, round(0.95 * len(taken)))]
    print(f"  seconds to the call   median {statistics.median(taken):.2f}, p95 {p95:.2f}")


def show(outcome: Outcome) -> None:
    mark = "WRONG WRITE" if outcome.wrong_writes else "wrong tool" if not outcome.tool_right else "arguments"
    print(f"\n- {mark}: {outcome.say!r} ({outcome.seconds:.1f} s, {outcome.answers} answers)")
    if outcome.expected:
        print(f"  wanted {outcome.expected[0]} {outcome.expected[1]}")
    print(f"  got    {outcome.calls} {outcome.reply[:150]!r}")
    for refusal in outcome.refused:
        print(f"  refused {refusal[:150]}")


async def run(chosen: argparse.Namespace) -> None:
    cases, situation, embedder = yaml.safe_load(CASES.read_text("utf-8")), world(), LocalEmbedder()
    name = None if chosen.planner else chosen.model
    model = choose(ModelChoice(name, chosen.base_url, os.environ.get("OPENAI_API_KEY", "none"), chosen.mode), embedder)
    outcomes: list[Outcome] = []
    traps: list[Outcome] = []
    with throw_away_server() as url:
        id = tenants.add(url, name="Harrow & Finch", time_zone=situation.time_zone, country=situation.country)
        assert id is not None
        tenant = Tenant(id, "Harrow & Finch", situation.time_zone, situation.country)
        database = Database(url, max_size=2)
        await database.open()
        try:
            ctx = Context(tenant, Actor("Robin"), database, embedder, lambda: situation.now)
            await furnish(ctx, situation, cases["contacts"])
            stage = Stage(ctx, dataclasses.replace(model, confirm_writes=True))
            warm = await stage.play("hello")
            print(f"{model.label}: first answer (nothing cached) {warm.seconds:.1f} s", flush=True)
            for case in cases["requests"][:: chosen.every]:
                if chosen.only and not any(words in case["say"] for words in chosen.only):
                    continue
                outcomes.append(await stage.play(case["say"], case["call"], case.get("may", ())))
                if chosen.show_failures and not outcomes[-1].all_right:
                    show(outcomes[-1])
                sys.stdout.flush()
            for say in () if chosen.no_traps else cases["traps"]:
                traps.append(await stage.play(say))
                if chosen.show_failures and (traps[-1].wrong_writes or traps[-1].refused):
                    show(traps[-1])
                sys.stdout.flush()
        finally:
            report(outcomes, traps)  # also of a run that was broken off
            await database.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint, with /v1 at its end")
    parser.add_argument("--model", default="local", help="the model's name there")
    parser.add_argument("--mode", choices=["native", "json-schema"], default="json-schema")
    parser.add_argument("--planner", action="store_true", help="the built-in planner instead of a model")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth request")
    parser.add_argument("--only", action="append", metavar="WORDS", help="only requests with these words")
    parser.add_argument("--no-traps", action="store_true")
    parser.add_argument("--show-failures", action="store_true")
    chosen = parser.parse_args(arguments)
    if not chosen.planner and not chosen.base_url:
        parser.error("name an endpoint with --base-url, or use --planner")
    asyncio.run(run(chosen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
