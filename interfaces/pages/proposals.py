"""What the agent would do, as values that a person can correct before they say yes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from starlette.datastructures import FormData

from agent.events import ConfirmationAsked, ProposedCall
from tools import BY_NAME

Kind = Literal["line", "text", "list", "number", "choice", "fixed"]

# A text longer than this gets more than one line.
_ONE_LINE = 60


@dataclass(frozen=True)
class Value:
    """One argument of a call."""

    field: str
    """Its name in the form."""
    name: str
    kind: Kind
    shown: str


@dataclass(frozen=True)
class Proposal:
    """One call that waits for a yes."""

    tool: str
    text: str
    values: list[Value]


def of(question: ConfirmationAsked) -> list[Proposal]:
    """The question as the page shows it."""
    return [
        Proposal(
            call.tool, call.text,
            [_value(call, name, value) for name, value in call.arguments.items() if value is not None],
        )
        for call in question.calls
    ]  # fmt: skip


def edits(question: ConfirmationAsked, form: FormData) -> dict[str, dict[str, Any]]:
    """The corrected arguments of the calls in which something was changed, by the calls' ids.

    A field that was emptied is an argument that is not said.
    """
    changed: dict[str, dict[str, Any]] = {}
    for call in question.calls:
        arguments = dict(call.arguments)
        for name, value in call.arguments.items():
            given = form.get(_field(call, name))
            if value is None or not isinstance(given, str):
                continue
            shown = _value(call, name, value)
            text = given.replace("\r\n", "\n").strip()
            if shown.kind != "fixed" and text != shown.shown.strip():
                arguments[name] = _read(text, shown.kind)
        if arguments != call.arguments:
            changed[call.id] = {name: value for name, value in arguments.items() if value is not None}
    return changed


def _value(call: ProposedCall, name: str, value: Any) -> Value:
    kind = _kind(call.tool, name, value)
    match value:
        case bool():
            shown = "yes" if value else "no"
        case list():
            # One a line where an entry holds a comma itself.
            shown = ("\n" if any("," in str(each) for each in value) else ", ").join(map(str, value))
        case _:
            shown = str(value)
    return Value(_field(call, name), name.replace("_", " "), kind, shown)


def _kind(tool: str, name: str, value: Any) -> Kind:
    match value:
        case bool():
            return "choice"
        case int():
            return "number"
        case list() if all(isinstance(each, str) for each in value):
            return "list"
        case str() if tool in BY_NAME and name in BY_NAME[tool].input.model_fields:
            return "text" if len(value) > _ONE_LINE or "\n" in value else "line"
    return "fixed"


def _read(text: str, kind: Kind) -> Any:
    if not text:
        return None
    match kind:
        case "choice":
            return text == "yes"
        case "number":
            # What is no number is refused by the tool, in its own words.
            return int(text) if text.lstrip("-").isdecimal() else text
        case "list":
            return [part.strip() for part in re.split(r"\n" if "\n" in text else ",", text) if part.strip()]
    return text


def _field(call: ProposedCall, name: str) -> str:
    return f"value {call.id} {name}"
