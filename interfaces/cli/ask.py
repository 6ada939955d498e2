"""`smartcampaign ask "..."`: one request, one answer, an exit code."""

from __future__ import annotations

import sys

from agent.events import ApprovalAsked, Event
from interfaces.cli.render import Outcome, json_line, one_shot_screen
from interfaces.cli.running import DONE, FAILED, INTERRUPTED, UNDECIDED, Stop, program
from interfaces.cli.talk import Stopped, Talk
from interfaces.cli.terminal import Terminal, piped_text, someone_is_there
from interfaces.cli.typeset import printable

HOW_TO_CONFIRM = "Nothing was done yet. To do it, ask again with --yes."


class JsonLines:
    """Every event as one line of JSON on stdout."""

    def begin(self) -> None: ...

    def show(self, event: Event) -> None:
        sys.stdout.write(f"{json_line(event)}\n")
        sys.stdout.flush()

    def end(self) -> None: ...

    def card(self, asked: ApprovalAsked) -> None: ...

    def say(self, text: str) -> None:
        sys.stderr.write(f"{printable(text)}\n")


async def ask(text: str, *, thread: str | None, tenant: str | None, as_json: bool, yes: bool) -> int:
    """Answer one request. Returns the exit code."""
    context_text = piped_text()
    person = None if as_json or not someone_is_there() else Terminal()
    if as_json and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")  # JSON is UTF-8, whatever the terminal is
    async with program(tenant) as opened:
        agent = opened.agent
        ctx = opened.context()
        ctx = opened.context(conversation=await agent.open_conversation(ctx, thread))
        talk = Talk(agent, ctx, JsonLines() if as_json else one_shot_screen(), person)
        try:
            outcome = await talk.say(text, context_text=context_text, confirm=not yes)
        except Stopped:
            raise Stop("Stopped. What was done is kept.", INTERRUPTED) from None
        return _code(outcome, talk)


def _code(outcome: Outcome, talk: Talk) -> int:
    if outcome.confirmation is not None:
        talk.screen.say(HOW_TO_CONFIRM)
        return UNDECIDED
    if outcome.failed:
        return FAILED
    if outcome.undecided:
        return UNDECIDED
    return FAILED if outcome.refused else DONE
