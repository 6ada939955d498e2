"""The events of a turn on a terminal: rich where there is one, plain lines where there is none."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from agent.events import (
    ApprovalAsked,
    ConfirmationAsked,
    Done,
    Event,
    Failed,
    Notice,
    ProposedCall,
    Text,
    ToolFinished,
    ToolStarted,
)
from interfaces.cli.typeset import is_smart, markdown, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

LONGEST_VALUE = 60


@dataclass
class Outcome:
    """What a turn came to, for the door to go on with."""

    confirmation: ConfirmationAsked | None = None
    approvals: list[ApprovalAsked] = field(default_factory=list)
    undecided: bool = False
    """Whether one of the approvals still waits for a person."""
    failed: bool = False
    refused: bool = False
    """Whether the last tool call was refused."""


class Screen(Protocol):
    """Shows what happens in a turn."""

    def begin(self) -> None:
        """A turn is under way; its first event may take a while."""

    def show(self, event: Event) -> None:
        """One event, as it comes."""

    def end(self) -> None:
        """The turn is over, or was stopped: leave nothing half-shown."""

    def card(self, asked: ApprovalAsked) -> None:
        """What a person is to decide."""

    def say(self, text: str) -> None:
        """A sentence of the door's own (Markdown)."""


async def play(events: AsyncGenerator[Event], screen: Screen) -> Outcome:
    """Show a turn to its end."""
    outcome = Outcome()
    screen.begin()
    try:
        async with aclosing(events):
            async for event in events:
                match event:
                    case ConfirmationAsked():
                        outcome.confirmation = event
                    case ApprovalAsked():
                        outcome.approvals.append(event)
                    case Failed():
                        outcome.failed = True
                    case ToolFinished():
                        outcome.refused = not event.ok
                screen.show(event)
    finally:
        screen.end()
    return outcome


class PlainScreen:
    """Lines: the answer on `out` as it comes, everything about it on `about` (which may be the same)."""

    def __init__(self, out: TextIO, about: TextIO) -> None:
        self.out, self.about = out, about
        self._started: dict[str, ToolStarted] = {}
        self._open_line = False
        self._said = ""

    def begin(self) -> None:
        self._said = ""

    def show(self, event: Event) -> None:
        match event:
            case Text():
                text = printable(event.text)
                self._said += event.text
                self.out.write(text)
                self.out.flush()
                self._open_line = not text.endswith("\n") if text else self._open_line
            case ToolStarted():
                self._started[event.id] = event
            case ToolFinished():
                self._about(f"▸ {call_line(self._started.pop(event.id, event))} {'✓' if event.ok else '✗'}")
            case Notice() | Failed():
                self._about(printable(event.text))
            case ConfirmationAsked():
                self._about(proposal(event.calls))

    def end(self) -> None:
        self._close_line()
        self._started.clear()

    def card(self, asked: ApprovalAsked) -> None:
        # The built-in planner's answer is the card already; a model speaks of it in its own words.
        if asked.text not in self._said:
            self._about(f"\n{printable(asked.text)}\n")

    def say(self, text: str) -> None:
        self._about(printable(text))

    def _about(self, text: str) -> None:
        if self._open_line and self.about is self.out:
            self._close_line()
        self.about.write(f"{text}\n")
        self.about.flush()

    def _close_line(self) -> None:
        if self._open_line:
            self.out.write("\n")
            self.out.flush()
            self._open_line = False


class RichScreen:
    """A terminal: Markdown block by block, with what is under way shown live below and gone when it is done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._unfinished = ""
        self._paragraphs = False
        self._cards: list[str] = []
        self._started: dict[str, ToolStarted] = {}
        self._last_shown = 0.0

    def begin(self) -> None:
        self._cards = []
        self._refresh(now=True)

    def show(self, event: Event) -> None:
        match event:
            case Text():
                text = event.text
                for card in self._cards:
                    text = text.replace(card, "")  # it is shown as a card after the turn
                self._take(printable(text))
            case ToolStarted():
                self._finish_text()
                self._started[event.id] = event
            case ToolFinished():
                line = call_line(self._started.pop(event.id, event))
                self._refresh(now=True)
                mark, style = ("✓", "green") if event.ok else ("✗", "red")
                self._line(_styled((f"▸ {line} ", "dim"), (mark, style)))
            case Notice():
                self._line(_styled((printable(event.text), "yellow")))
            case Failed():
                self._line(_styled((printable(event.text), "red")))
            case ConfirmationAsked():
                self._line(_proposal(event.calls))
            case ApprovalAsked():
                self._cards.append(event.text)
            case Done():
                self._finish_text()
        self._refresh(now=not isinstance(event, Text))

    def end(self) -> None:
        self._finish_text()
        self._paragraphs = False
        self._started.clear()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def card(self, asked: ApprovalAsked) -> None:
        from rich.panel import Panel

        self.console.print(Panel(markdown(card_text(asked)), border_style="yellow", title="A person decides"))

    def say(self, text: str) -> None:
        self.console.print(markdown(text))

    def _take(self, text: str) -> None:
        """Print every block (paragraph, table, list) that is complete; keep the one that still grows."""
        self._unfinished += text
        done, self._unfinished = split_blocks(self._unfinished)
        if done.strip():
            self._block(done)

    def _finish_text(self) -> None:
        if self._unfinished.strip():
            self._block(self._unfinished)
        self._unfinished = ""

    def _block(self, text: str) -> None:
        if self._paragraphs:
            self.console.print()
        self.console.print(markdown(text))
        self._paragraphs = True

    def _line(self, line: RenderableType) -> None:
        self._finish_text()
        self.console.print(line)
        self._paragraphs = False

    def _refresh(self, *, now: bool) -> None:
        from rich.live import Live

        if self._live is None:
            # Ten times a second is smooth; redrawing for every piece of text would flicker.
            self._live = Live(console=self.console, transient=True, refresh_per_second=10, vertical_overflow="crop")
            self._live.start()
        if now or time.monotonic() - self._last_shown > 0.08:
            self._last_shown = time.monotonic()
            self._live.update(self._under_way(), refresh=now)

    def _under_way(self) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner

        parts: list[RenderableType] = []
        if self._unfinished.strip():
            # The end of the block as plain text: half a table is no Markdown yet.
            lines = self._unfinished.strip().splitlines()[-max(3, self.console.height - 6) :]
            parts.append(_styled(("\n".join(lines), "")))
        calls = [f"▸ {call_line(call)} …" for call in self._started.values()]
        parts.append(Spinner("dots", _styled(("\n".join(calls), "dim"))))
        return Group(*parts)


def stdout_screen() -> Screen:
    """The screen of a program that is talked to: answer and steps together on stdout."""
    if is_smart(sys.stdout):
        from rich.console import Console

        return RichScreen(Console(highlight=False))
    return PlainScreen(sys.stdout, sys.stdout)


def one_shot_screen() -> Screen:
    """The screen of one question: the answer alone on stdout, so that it can be piped; steps on stderr."""
    if is_smart(sys.stdout) and is_smart(sys.stderr):
        from rich.console import Console

        return RichScreen(Console(highlight=False))
    return PlainScreen(sys.stdout, sys.stderr)


def split_blocks(text: str) -> tuple[str, str]:
    """What ends with an empty line outside of a code fence, and the rest that may still grow."""
    end, fenced, at = 0, False, 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not line.strip() and line.endswith("\n") and not fenced:
            end = at
    return text[:end], text[end:]


def call_line(call: ToolStarted | ToolFinished) -> str:
    """A tool call on one line: its name and what it was given."""
    arguments = call.arguments if isinstance(call, ToolStarted) else {}
    return " ".join([call.tool, *(f"{name}={_short(value)}" for name, value in arguments.items() if value is not None)])


def proposal(calls: list[ProposedCall]) -> str:
    """Writes that wait for a yes, numbered, with their values one a line."""
    lines = ["This would be done:"]
    for number, call in enumerate(calls, 1):
        lines.append(f"{number:>3}. {printable(call.text)}")
        lines += [f"       {name}: {value}" for name, value in _unsaid(call)]
    return "\n".join(lines)


def card_text(asked: ApprovalAsked) -> str:
    """The card alone, in Markdown."""
    from tools.approvals import Card

    return Card.model_validate(asked.card).text()


def json_line(event: Event) -> str:
    return json.dumps(event.as_dict(), ensure_ascii=False, default=str)


def _proposal(calls: list[ProposedCall]) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table

    parts: list[RenderableType] = [_styled(("This would be done:", "bold"))]
    for number, call in enumerate(calls, 1):
        parts.append(Padding(_styled((f"{number}. {printable(call.text)}", "")), (0, 0, 0, 2)))
        values = Table.grid(padding=(0, 2))
        values.add_column(style="dim", no_wrap=True)
        values.add_column(overflow="fold")
        for name, value in _unsaid(call):
            values.add_row(_styled((name, "")), _styled((value, "")))
        if values.row_count:
            parts.append(Padding(values, (0, 0, 0, 5)))
    return Group(*parts)


def _unsaid(call: ProposedCall) -> list[tuple[str, str]]:
    """The values of a call that its sentence does not already say."""
    # A list stands in the line as its entries.
    values = [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else _whole(value))
        for name, value in call.arguments.items()
        if value is not None
    ]
    return [(name, value) for name, value in values if value not in call.text]


def _styled(*parts: tuple[str, str]) -> RenderableType:
    # Never as rich's own markup: a contact's note may hold [brackets].
    from rich.text import Text as Styled

    return Styled.assemble(*parts)


def _short(value: Any) -> str:
    text = " ".join(_as_json(value).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _whole(value: Any) -> str:
    """A value as a person checks it before a write: not cut, save what nobody reads to the end."""
    text = printable(value if isinstance(value, str) else _as_json(value))
    return text if len(text) <= 2_000 else f"{text[:2_000]}… ({len(text):,} characters)"


def _as_json(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False, default=str))
