"""A conversation as a terminal leads it: turns, the questions that follow them, and what the person decides."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.events import ApprovalAsked
from interfaces.cli.render import Outcome, Screen, play
from tools import approvals
from tools.errors import ToolError

if TYPE_CHECKING:
    from agent.run import Agent
    from tools.base import Context

T = TypeVar("T")

YES = frozenset({"y", "yes", "yes please", "yep", "ok", "okay", "sure", "do it", "j", "ja", "oui", "si", "sí"})
NO = frozenset({"", "n", "no", "nope", "no thanks", "cancel", "stop", "nein", "non"})

DO_IT = "Do it? [y]es / [n]o / or say what to change: "
APPROVE = "Approve? [y/N/later]: "


class Stopped(Exception):
    """The person stopped the turn. What its tools had done stays done."""


class Asker(Protocol):
    """Reads the answer to a question of the door."""

    @property
    def is_person(self) -> bool:
        """Whether a person at a terminal answers: only then approvals are asked about."""

    async def question(self, prompt: str) -> str | None:
        """The answer, or None when the person left (Ctrl-C, Ctrl-D).

        Never something typed before the question was there.
        """


class Talk:
    """One conversation at one terminal. Without an `asker` nobody is there to be asked."""

    def __init__(self, agent: Agent, ctx: Context, screen: Screen, asker: Asker | None) -> None:
        self.agent, self.ctx, self.screen, self.asker = agent, ctx, screen, asker

    async def say(self, text: str, *, context_text: str | None = None, confirm: bool = True) -> Outcome:
        """One turn, with the confirmations and approvals that follow from it. Raises `Stopped` on Ctrl-C."""
        approvals_asked: list[ApprovalAsked] = []
        events = self.agent.turn(text, self.ctx, context_text=context_text, confirm=confirm)
        while True:
            outcome = await stoppable(play(events, self.screen))
            approvals_asked += outcome.approvals
            if outcome.confirmation is None or self.asker is None:
                break
            answer = await self.asker.question(DO_IT)
            said = (answer or "").strip()
            if said.lower().rstrip(".!") in YES:
                events = self.agent.answer(True, self.ctx)
            elif said.lower().rstrip(".!") in NO:
                events = self.agent.answer(False, self.ctx)
            else:
                events = self.agent.turn(said, self.ctx, confirm=confirm)
        for asked in approvals_asked:
            decided = await self.offer(asked)
            outcome.undecided = outcome.undecided or not decided
        return outcome

    async def offer(self, asked: ApprovalAsked) -> bool:
        """Show a request; let the person decide it now, if there is one. Returns whether they did.

        The door reads the answer, right after the card; no model does.
        """
        self.screen.card(asked)
        if self.asker is None or not self.asker.is_person:
            return False
        answer = await self.asker.question(APPROVE)
        match (answer if answer is not None else "later").strip().lower():
            case "y" | "yes":
                await self.decide(asked, approve=True)
            case "" | "n" | "no":
                await self.decide(asked, approve=False)
            case _:
                self.screen.say(f"Left open. Decide it later with `smartcampaign approve {asked.id[:8]}`.")
                return False
        return True

    async def decide(self, asked: ApprovalAsked, *, approve: bool) -> None:
        """Carry the decision out, show what it did, and let the conversation know."""
        try:
            outcome = (await approvals.decide(asked.id, approve=approve, ctx=self.ctx)).outcome
        except ToolError as error:
            outcome = str(error)
        self.screen.say(outcome)
        verb = "approved" if approve else "rejected"
        await self.agent.note(f"A person {verb} “{asked.card['title']}”: {outcome}", self.ctx)


def as_event(asked: approvals.ApprovalAsked) -> ApprovalAsked:
    """A request of the database in the form in which a turn brings it."""
    return ApprovalAsked(
        id=str(asked.approval_id), action=asked.action, card=asked.card.model_dump(mode="json"), text=asked.text(),
        expires_at=asked.expires_at.isoformat(),
    )  # fmt: skip


async def stoppable(work: Awaitable[T]) -> T:
    """Run a turn so that Ctrl-C ends it, and it alone. Raises `Stopped` then."""
    task = asyncio.ensure_future(work)
    with _ctrl_c_cancels(task):
        try:
            return await task
        except asyncio.CancelledError:
            around = asyncio.current_task()
            if around is not None and around.cancelling():
                raise  # the whole program was asked to leave
            raise Stopped from None


@contextmanager
def _ctrl_c_cancels(task: asyncio.Future[T]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def cancel(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
