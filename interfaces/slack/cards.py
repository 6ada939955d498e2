"""What a person decides, as Block Kit: buttons that are bound to one request in one place, and cards without any."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent.events import ProposedCall
from interfaces.slack.mrkdwn import LONGEST, escape, from_markdown, split
from tools.approvals import Card, Request
from tools.base import Tenant
from tools.dates import in_words

Block = dict[str, Any]

APPROVE, REJECT, YES, NO = "approve", "reject", "yes", "no"

# A message takes 50 blocks; what decides must never be what falls off.
MOST_SECTIONS = 40

# Values of a proposed write longer than this are cut on the card; the sentence above them is whole.
LONGEST_VALUE = 1_000


class BadButton(ValueError):
    """A button's value was not made here, for this place."""


@dataclass(frozen=True)
class Seal:
    """Binds a button to what it was made for: the tenant, the channel, and the request."""

    key: bytes

    @classmethod
    def of(cls, bot_token: str) -> Seal:
        return cls(hashlib.sha256(b"buttons of " + bot_token.encode()).digest())

    def value(self, what: str, tenant: UUID, channel: str) -> str:
        """The value of a button."""
        return f"{what}.{self._tag(what, tenant, channel)}"

    def read(self, value: str, tenant: UUID, channel: str) -> str:
        """What the button stands for. Raises `BadButton`."""
        what, _, tag = value.rpartition(".")
        if not what or not hmac.compare_digest(tag.encode(), self._tag(what, tenant, channel).encode()):
            raise BadButton
        return what

    def _tag(self, what: str, tenant: UUID, channel: str) -> str:
        return hmac.new(self.key, f"{tenant} {channel} {what}".encode(), hashlib.sha256).hexdigest()[:32]


def fingerprint(calls: list[ProposedCall]) -> str:
    """Which question that is: a button of an older one answers nothing."""
    said = json.dumps([[call.id, call.tool, call.arguments] for call in calls], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def approval(card: Card, value: str, until: str) -> list[Block]:
    """A request that waits, with its buttons."""
    approve = _button("Approve", APPROVE, value, style="danger")
    approve["confirm"] = {
        "title": {"type": "plain_text", "text": "Approve this?"},
        "text": {"type": "mrkdwn", "text": escape(card.title)[:290], "verbatim": True},
        "confirm": {"type": "plain_text", "text": "Approve"},
        "deny": {"type": "plain_text", "text": "Not yet"},
        "style": "danger",
    }
    buttons = {"type": "actions", "elements": [_button("Reject", REJECT, value), approve]}
    return [*_shown(card), _context(f"A person decides, until {until}."), buttons]


def decided(request: Request, tenant: Tenant) -> list[Block]:
    """The same request when it is over: no buttons, and who decided."""
    return [*_shown(request.card), _context(verdict(request, tenant))]


def verdict(request: Request, tenant: Tenant) -> str:
    """What became of a request, as a sentence."""
    if request.decided_by is None or request.decided_at is None:
        state = "expired" if request.state in ("pending", "expired") else request.state
        return f"Not done: this request is {state}."
    verb = {"used": "Approved", "rejected": "Rejected"}.get(request.state, request.state.capitalize())
    return f"{verb} by {request.decided_by}, {in_words(request.decided_at, tenant.zone)}."


def proposal(calls: list[ProposedCall], value: str) -> list[Block]:
    """Writes that wait for a yes, with the values that their sentences do not say."""
    buttons = {"type": "actions", "elements": [_button("Do it", YES, value, style="primary"), _button("No", NO, value)]}
    hint = "Or write what to change."
    return [*sections(proposal_text(calls)), _context(hint), buttons]


def proposal_text(calls: list[ProposedCall]) -> str:
    """The same in mrkdwn."""
    lines = ["This would be done:"]
    for number, call in enumerate(calls, 1):
        lines.append(f"{number}. {escape(call.text)}")
        lines += [f"    {escape(name)}: {escape(value)}" for name, value in _unsaid(call)]
    return "\n".join(lines)


def sections(text: str) -> list[Block]:
    """mrkdwn as blocks. `verbatim`: Slack looks for nothing in it that was not written as a link."""
    pieces = split(text, LONGEST)
    if len(pieces) > MOST_SECTIONS:
        pieces = [*pieces[:MOST_SECTIONS], "_It goes on; ask for less at once._"]
    return [{"type": "section", "text": {"type": "mrkdwn", "text": piece, "verbatim": True}} for piece in pieces]


def _shown(card: Card) -> list[Block]:
    lines = [f"*{escape(card.title).replace('*', '')}*", ""]
    lines += [f"• {escape(name)}: {escape(value)}" for name, value in card.facts.items()]
    lines += [f"• ⚠ {escape(warning)}" for warning in card.warnings]
    shown = sections("\n".join(lines))
    if card.preview:
        quoted = "\n".join(f"> {line}" for line in from_markdown(card.preview).split("\n"))
        shown += sections(quoted)
    return shown[:MOST_SECTIONS]


def _button(text: str, action: str, value: str, style: str | None = None) -> Block:
    button: Block = {
        "type": "button", "action_id": action, "value": value, "text": {"type": "plain_text", "text": text},
    }  # fmt: skip
    return button | ({"style": style} if style else {})


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": escape(text), "verbatim": True}]}


def _unsaid(call: ProposedCall) -> list[tuple[str, str]]:
    said = []
    for name, value in call.arguments.items():
        if value is None:
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if shown not in call.text:
            cut = len(shown) > LONGEST_VALUE
            said.append((name, f"{shown[:LONGEST_VALUE]}… ({len(shown):,} characters)" if cut else shown))
    return said
