"""How well invented claims are told from true ones: sentences of answers and drafts against the facts of their world.

    python -m evals.grounding [--show-failures]

A false sentence counts as caught when the invented part itself is named; a true one as refused when anything is.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from evals import report
from tools.grounding import Facts, unknown_claims

CASES = Path(__file__).parent / "cases"
TODAY = date(2026, 11, 25)


@dataclass(frozen=True)
class Outcome:
    """One sentence: what was invented in it (nothing in a true one), and what the check named."""

    world: str
    sentence: str
    invented: tuple[str, ...]
    named: tuple[str, ...]

    @property
    def right(self) -> bool:
        if not self.invented:
            return not self.named
        named = " | ".join(self.named).casefold()
        # Of "buy two, get one free" a part is enough; of every invented part something must be named.
        return all(any(word in named for word in _words(part)) for part in self.invented)

    def __str__(self) -> str:
        kind = "missed" if self.invented else "refused"
        return f"{kind}: {self.sentence!r} ({self.world}): named {list(self.named)}, invented {list(self.invented)}"


def _words(text: str) -> list[str]:
    return re.findall(r"[\w%£€.,:'/@-]*\w", text.casefold())


@dataclass(frozen=True)
class Report:
    outcomes: list[Outcome]

    @property
    def true(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.invented]

    @property
    def false(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.invented]

    @property
    def caught(self) -> int:
        return sum(outcome.right for outcome in self.false)

    @property
    def refused(self) -> int:
        return sum(not outcome.right for outcome in self.true)

    def text(self) -> str:
        return (
            f"false claims caught   {self.caught} of {len(self.false)}\n"
            f"true claims refused   {self.refused} of {len(self.true)} ({self.refused / len(self.true):.1%})"
        )

    def section(self, name: str) -> report.Section:
        """The run as a section of the report."""
        figures: dict[str, float | int | str] = {
            "invented": len(self.false), "caught": self.caught, "true": len(self.true), "refused": self.refused,
        }  # fmt: skip
        worlds: dict[str, list[bool]] = {}
        for outcome in self.outcomes:
            worlds.setdefault(outcome.world, []).append(outcome.right)
        return report.Section(
            name, figures, {"world": {name: (sum(some), len(some)) for name, some in worlds.items()}},
            {outcome.sentence: outcome.right for outcome in self.outcomes},
            {outcome.sentence: [str(outcome)] for outcome in self.outcomes if not outcome.right},
        )  # fmt: skip

    def failures(self) -> str:
        return "\n".join(str(outcome) for outcome in self.outcomes if not outcome.right)


def measure(name: str = "grounding") -> Report:
    """Check every sentence of a set: `grounding`, or `grounding_second` on the same worlds."""
    facts = {
        world["world"]: Facts(tuple(world["facts"]), tuple(world.get("heard", ())), today=TODAY)
        for world in _worlds("grounding")
    }
    return Report(
        [
            _checked(world["world"], facts[world["world"]], text)
            for world in _worlds(name)
            for text in [*world["known"], *world["invented"]]
        ]
    )


def _checked(world: str, facts: Facts, sentence: str) -> Outcome:
    plain = sentence.replace("[[", "").replace("]]", "")
    invented = tuple(re.findall(r"\[\[(.+?)\]\]", sentence))
    return Outcome(world, plain, invented, tuple(unknown_claims(plain, facts)))


def _worlds(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8"))
    return loaded


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--show-failures", action="store_true")
    chosen = parser.parse_args(arguments)
    found, second = measure(), measure("grounding_second")
    print(f"{found.text()}\n\nsecond set\n{second.text()}")
    if chosen.show_failures:
        print(f"{found.failures()}\n{second.failures()}")
    report.write(found.section("grounding"))
    report.write(second.section("grounding, second set"))
    return int(found.caught < len(found.false) or found.refused > 0.02 * len(found.true))


if __name__ == "__main__":
    sys.exit(main())
