"""The person at the terminal: is one there, and what do they answer."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from interfaces.cli.typeset import is_smart

LONGEST_LINE = 10_000_000


def someone_is_there() -> bool:
    """Whether a person can be asked: what they type and what they see are both a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def at_terminal() -> bool:
    """Whether a conversation can be held on stdin and stdout: both a terminal that can move its cursor."""
    return is_smart(sys.stdin) and is_smart(sys.stdout)


def piped_text(limit: int = LONGEST_LINE) -> str | None:
    """What was piped into the program, if anything."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return None
    text = sys.stdin.read(limit)
    return text if text.strip() else None


class Terminal:
    """Asks on stderr, so that stdout stays the answer's."""

    is_person = True

    async def question(self, prompt: str) -> str | None:
        """One line, typed after the prompt was there; None for Ctrl-C and Ctrl-D.

        Blocks the loop: nothing goes on while a person thinks, and Ctrl-C can't get lost in a thread.
        """
        with ctrl_c_raises():
            try:
                _forget_what_was_typed()
                sys.stdout.flush()
                sys.stderr.write(prompt)
                sys.stderr.flush()
                line = _line()
            except KeyboardInterrupt:
                line = None
        if line is None:
            sys.stderr.write("\n")
        return line


class Lines:
    """Answers from a pipe or a file, one a line. No person: it may confirm a write, never approve a sending."""

    is_person = False

    def __init__(self) -> None:
        self._pipe: asyncio.StreamReader | None = None

    async def question(self, prompt: str) -> str | None:
        sys.stdout.write(prompt)
        line = await self.line()
        sys.stdout.write("\n")
        return line

    async def line(self) -> str | None:
        """The next line without its end; None when there are no more."""
        sys.stdout.flush()
        if self._pipe is None and _is_pipe(sys.stdin.fileno()):
            # Not in a thread: one that waits for a pipe keeps the program from leaving.
            self._pipe = asyncio.StreamReader(limit=LONGEST_LINE)
            protocol = asyncio.StreamReaderProtocol(self._pipe)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        if self._pipe is not None:
            try:
                line = (await self._pipe.readline()).decode(errors="replace")
            except ValueError:
                line = "\n"  # longer than any sentence: skipped
        else:
            with ctrl_c_raises():
                line = sys.stdin.readline()
        return line.rstrip("\r\n") if line else None


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


def _line() -> str | None:
    if sys.platform == "win32":
        return sys.stdin.readline().rstrip("\r\n") or None
    # From the terminal itself, a line at a time: a buffer of Python's could hold lines typed before the question.
    text = os.read(sys.stdin.fileno(), 65_536)
    return text.decode(errors="replace").rstrip("\n") if text else None


def _forget_what_was_typed() -> None:
    """A "y" typed ahead, or the rest of something pasted, is no answer to a card that nobody had seen."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
        return
    import termios

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


@contextmanager
def ctrl_c_raises() -> Iterator[None]:
    """While something blocks the loop: asyncio would only note Ctrl-C, and go on waiting."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """Between a turn and the next prompt: who meant to stop a turn that just ended must not end the program."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
