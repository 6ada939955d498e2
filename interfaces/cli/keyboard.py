"""The chat's input line: editing, history, completion of commands, pasted text of several lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

PROMPT = "› "

# Two Ctrl-C on an empty line within so many seconds leave, as in other programs.
AGAIN = 3.0


class Keyboard:
    """Reads sentences. Enter ends one, Alt-Enter makes a new line; Ctrl-C clears the line, twice leaves."""

    def __init__(self, home: Path, commands: Mapping[str, str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=_history(home / "chat_history"),
            completer=WordCompleter(list(commands), meta_dict=dict(commands), sentence=True),
            complete_while_typing=False,
            multiline=True,
            prompt_continuation="  ",
            key_bindings=_keys(),
        )
        self._showing: asyncio.Future[None] | None = None

    def above(self, show: Callable[[], None]) -> None:
        """Have something shown above the line that is being typed; nothing is shown while none is."""
        if self._session.app.is_running:
            self._showing = asyncio.ensure_future(run_in_terminal(show))

    async def line(self) -> str | None:
        last_ctrl_c = 0.0
        while True:
            try:
                return await self._session.prompt_async(PROMPT)
            except EOFError:
                return None
            except KeyboardInterrupt:
                if self._session.default_buffer.text:
                    continue
                if time.monotonic() - last_ctrl_c < AGAIN:
                    return None
                last_ctrl_c = time.monotonic()
                self._session.app.output.write("(Ctrl-C again, or Ctrl-D, to leave)\n")
                self._session.app.output.flush()


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _history(file: Path) -> History:
    """What was typed, over restarts; readable by its owner alone."""
    try:
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))
