"""`smartcampaign chat`: a conversation at the terminal, or line by line from a pipe."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from interfaces.cli.render import Screen, stdout_screen
from interfaces.cli.running import DONE, program
from interfaces.cli.talk import Asker, Stopped, Talk, as_event, stoppable
from interfaces.cli.terminal import Lines, Terminal, at_terminal, ctrl_c_ignored
from interfaces.cli.typeset import printable
from tools import BY_NAME, approvals
from tools.errors import ToolError

if TYPE_CHECKING:
    from interfaces.wiring import Program

COMMANDS = {
    "/help": "what you can say, and these commands",
    "/new": "start a new conversation",
    "/history": "what was said in this conversation",
    "/approvals": "what waits for a person's decision",
    "/approve": "decide on a request: /approve ID",
    "/reject": "reject a request: /reject ID",
    "/quit": "leave (so does Ctrl-D)",
}

HELP = """\
Say what you want in plain words; several things in one sentence are fine. For example:

- who cares about old clocks?
- add Ada Lovelace (ada@example.org), she collects punched cards
- create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail
- preview Harvest Fair
- how did Lamp Week do? compare it with Spring Sale
- how could I improve it? what should I send next?
- send Harvest Fair on Friday at 9

Nothing is sent or erased before you have seen a card and approved it here. To import a list:
`smartcampaign contacts import FILE`.
"""


class Reader(Protocol):
    """Where the person's sentences come from."""

    async def line(self) -> str | None:
        """The next one; None when the person leaves."""


async def chat(*, tenant: str | None, thread: str | None) -> int:
    """Talk until the person leaves. Returns the exit code."""
    async with program(tenant, stays_open=True) as opened:
        await talk_in(opened, thread)
    return DONE


async def talk_in(opened: Program, thread: str | None, *, serves: bool = False) -> None:
    """Greet, and talk until the person leaves; with `serves` the web doors are open meanwhile."""
    from interfaces.cli.beside import served_beside
    from interfaces.worker import in_background

    ready = asyncio.create_task(asyncio.to_thread(_warm_up, opened))
    screen = stdout_screen()
    screen.say(await greeting(opened))
    news = News(screen)
    with (
        served_beside(opened) if serves else contextlib.nullcontext() as address,
        in_background(opened.settings, opened.url, opened.link_settings, opened.tenant.id, told=news.told),
    ):
        if address is not None:
            screen.say(
                f"The web page, as long as this is open: {address} (for programs: {address}/api, {address}/mcp)."
            )
        await _talk(opened, ready, screen, thread, news)


async def _talk(opened: Program, ready: asyncio.Task[None], screen: Screen, thread: str | None, news: News) -> None:
    if at_terminal():
        from interfaces.cli.keyboard import Keyboard

        keyboard = Keyboard(opened.settings.home, COMMANDS)
        news.arrived = lambda: keyboard.above(news.show)
        with ctrl_c_ignored():
            await _converse(opened, ready, keyboard, Terminal(), screen, thread, news)
    else:
        lines = Lines()
        await _converse(opened, ready, lines, lines, screen, thread, news)


class News:
    """What the sending in the background says: shown above the line that is typed, or else before the next one."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._loop = asyncio.get_running_loop()
        self._held: deque[str] = deque()
        self.arrived: Callable[[], None] = lambda: None
        """Called on the loop when there is something to show."""

    def told(self, sentence: str) -> None:
        """Keep a sentence; from any thread."""
        self._held.append(sentence)
        with contextlib.suppress(RuntimeError):  # the program is leaving
            self._loop.call_soon_threadsafe(self.arrived)

    def show(self) -> None:
        """Show what has come."""
        while self._held:
            self._screen.say(self._held.popleft())


async def greeting(opened: Program) -> str:
    """Who is here, what answers, what happens to mail, and what one could say."""
    ctx = opened.context()
    tenant = opened.tenant
    model = opened.settings.model or "the built-in planner (no language model)"
    lines = [
        f"**SmartCampaign AI {version('smartcampaign')}** · {tenant.name} ({tenant.time_zone}) · {model}",
        "",
        f"Nothing leaves without your approval. {_where_mail_goes(opened)}",
        "",
    ]
    people = await BY_NAME["search_contacts"].call({"limit": 1}, ctx)
    if people.total:
        past = await BY_NAME["list_campaigns"].call({"limit": 1, "status": "completed"}, ctx)
        name = past.campaigns[0].name if past.campaigns else None
        many = f"{people.total:,} {'contact' if people.total == 1 else 'contacts'}"
        lines += [f"{many}. Say what you want, for example:", ""]
        lines += [
            "- who cares about old clocks?",
            "- add Ada Lovelace (ada@example.org), she collects punched cards",
            "- create Harvest Fair about 10% off oak furniture, add everyone who restores things "
            "and draft a cheerful e-mail",
            f"- how did {name} do?" if name else "- list my campaigns",
            "- what should I send next?",
        ]
    else:
        lines += [
            "No contacts yet. Try the sample (`smartcampaign sample`), import a list "
            "(`smartcampaign contacts import FILE`), or say:",
            "",
            "- add Ada Lovelace (ada@example.org), she collects punched cards",
            "- help",
        ]
    waiting = len(await approvals.waiting(ctx))
    if waiting:
        lines += ["", f"{waiting} {'request waits' if waiting == 1 else 'requests wait'} for your decision: /approvals"]
    lines += ["", "/help for more. Ctrl-C stops an answer, Ctrl-D leaves."]
    return "\n".join(lines)


def _where_mail_goes(opened: Program) -> str:
    servers = ", ".join(server.name for server in opened.settings.mail_servers())
    if servers:
        return f"Mail leaves through {servers}."
    return "No mail server is set, so what you send stays here: `smartcampaign outbox` shows it."


async def _converse(
    opened: Program, ready: asyncio.Task[None], reader: Reader, asker: Asker, screen: Screen, thread: str | None,
    news: News,
) -> None:  # fmt: skip
    talk: Talk | None = None
    while True:
        if asker.is_person:
            news.show()
        line = await reader.line()
        if line is None:
            return
        text = line.strip()
        if not text:
            continue
        if not await _is_ready(ready, screen):
            continue
        if talk is None:
            talk = await _new_talk(opened, screen, asker, thread)
        command, _, rest = text.partition(" ")
        if command in ("/quit", "/exit", "/q"):
            return
        if command == "/new":
            talk = await _new_talk(opened, screen, asker, None)
            screen.say("A new conversation.")
        elif text.startswith("/") and "\n" not in text:
            await _command(command, rest.strip(), talk)
        else:
            await _turn(text, talk)


async def _is_ready(ready: asyncio.Task[None], screen: Screen) -> bool:
    """Wait for the agent and the embedder; False if the person stopped that."""
    if not ready.done():
        screen.begin()
        try:
            await stoppable(asyncio.shield(ready))
        except Stopped:
            return False
        finally:
            screen.end()
    ready.result()
    return True


async def _turn(text: str, talk: Talk) -> None:
    # Data may follow the sentence after an empty line, as when a list is pasted.
    sentence, _, data = text.partition("\n\n")
    try:
        await talk.say(sentence, context_text=data or None)
    except Stopped:
        talk.screen.say("Stopped. What was done is kept.")


async def _command(command: str, rest: str, talk: Talk) -> None:
    screen = talk.screen
    match command:
        case "/help":
            lines = [f"- `{name}`: {meaning}" for name, meaning in COMMANDS.items()]
            screen.say(HELP + "\n" + "\n".join(lines))
        case "/history":
            said = await talk.agent.history(talk.ctx)
            who = {"person": "You", "agent": "SmartCampaign", "note": "Decision"}
            screen.say(
                "\n\n".join(f"**{who.get(role, role)}:** {text}" for role, text in said) or "Nothing was said yet."
            )
        case "/approvals":
            waiting = await approvals.waiting(talk.ctx)
            lines = [f"- `{asked.short_id}` {asked.card.title}" for asked in waiting]
            screen.say("\n".join([*lines, "", "Decide with /approve ID or /reject ID."]) if lines else "Nothing waits.")
        case "/approve" | "/reject":
            try:
                asked = as_event(await approvals.find(talk.ctx, rest))
            except ToolError as error:
                screen.say(str(error))
                return
            if command == "/approve":
                await talk.offer(asked)
            else:
                await talk.decide(asked, approve=False)
        case _:
            screen.say(f"There is no command {printable(command)}. There are: {', '.join(COMMANDS)}.")


async def _new_talk(opened: Program, screen: Screen, asker: Asker, thread: str | None) -> Talk:
    ctx = opened.context()
    conversation = await opened.agent.open_conversation(ctx, thread)
    return Talk(opened.agent, replace(ctx, conversation=conversation), screen, asker)


def _warm_up(opened: Program) -> None:
    """Import the agent and load the embedder while the person reads the greeting."""
    _ = opened.agent
    warm_up = getattr(opened.embedder, "warm_up", None)
    if warm_up is not None:
        warm_up()
