"""What happens in a turn, as typed events: the same stream for every door, which only renders it.

A turn ends with exactly one of `Done`, `ConfirmationAsked` or `Failed`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """One thing that happened. `as_dict` is its form as JSON."""

    event: ClassVar[str] = "event"

    def as_dict(self) -> dict[str, Any]:
        return {"event": self.event, **asdict(self)}


@dataclass(frozen=True)
class Text(Event):
    """A piece of the answer (Markdown); the pieces of a turn make the whole."""

    event = "text"
    text: str


@dataclass(frozen=True)
class Notice(Event):
    """Something to know about the turn that is no part of the answer, as a sentence."""

    event = "notice"
    text: str


@dataclass(frozen=True)
class ToolStarted(Event):
    event = "tool_started"
    id: str
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class ToolFinished(Event):
    """The end of the call with this id: its result as data and in words, or a refusal as a sentence."""

    event = "tool_finished"
    id: str
    tool: str
    ok: bool
    text: str
    result: dict[str, Any] | None = None


@dataclass(frozen=True)
class ApprovalAsked(Event):
    """A tool wrote an approval request: after the turn a person may decide on this card (`tools.approvals.decide`)."""

    event = "approval_asked"
    id: str
    action: str
    card: dict[str, Any]
    """`tools.approvals.Card` as data."""
    text: str
    expires_at: str


@dataclass(frozen=True)
class ProposedCall:
    """A write that is not done yet: the tool, its arguments as values that can be corrected, and what it would do."""

    id: str
    tool: str
    arguments: dict[str, Any]
    text: str


@dataclass(frozen=True)
class ConfirmationAsked(Event):
    """The turn waits for a yes or no to these writes: the door asks, and calls `Agent.answer`. Nothing is done yet."""

    event = "confirmation_asked"
    calls: list[ProposedCall]


@dataclass(frozen=True)
class Done(Event):
    """The turn is over. `waiting` counts the approval requests it wrote."""

    event = "done"
    waiting: int = 0
    model: str = ""
    prompt: str = ""
    usage: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed(Event):
    """The turn could not be finished; the text says why and what to do. What tools had done stays done."""

    event = "failed"
    text: str
    code: str = "failed"
