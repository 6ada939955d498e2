"""A program at a pseudo-terminal: real keystrokes in, what the screen would show out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

CTRL_C, CTRL_D, ENTER, TAB = "\x03", "\x04", "\r", "\t"

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-Za-z]|[@-Z\\-_=>78])")


class Pty:
    """Starts a program on a terminal of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, columns: int = 100) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._fd = ours
        self.raw = ""
        self._seen = 0
        self.process = subprocess.Popen(
            command,
            stdin=theirs, stdout=theirs, stderr=theirs, env={"TERM": "xterm-256color", **environment},
            preexec_fn=_take_the_terminal, close_fds=True,
        )  # fmt: skip
        os.close(theirs)

    def wait_for(self, text: str, timeout: float = 60.0) -> str:
        """Read until `text` is on the screen after what was waited for before; return what came up to it."""
        deadline = time.monotonic() + timeout
        while True:
            new = plain(self.raw)[self._seen :]
            if text in new:
                end = new.index(text) + len(text)
                self._seen += end
                return new[:end]
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} did not appear; the screen shows:\n{new}")
            if not self.read(0.1) and self.process.poll() is not None:
                if text in plain(self.raw)[self._seen :]:
                    continue
                raise AssertionError(f"the program ended ({self.process.returncode}) before {text!r}:\n{new}")

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def exit_code(self, timeout: float = 30.0) -> int:
        """Wait for the program's end."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end; the screen shows:\n{plain(self.raw)[self._seen :]}")
            self.read(0.1)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._fd)

    def read(self, seconds: float) -> bool:
        """Take in what the program writes within some seconds; whether it wrote anything."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return False
        try:
            new = os.read(self._fd, 65_536).decode(errors="replace")
        except OSError:  # the other side is closed
            return False
        # prompt_toolkit asks where the cursor is, and waits for the answer.
        for _ in range(new.count("\x1b[6n")):
            os.write(self._fd, b"\x1b[40;1R")
        self.raw += new
        return bool(new)


def plain(text: str) -> str:
    """The text without what moves the cursor and colours."""
    return _ESCAPES.sub("", text).replace("\r", "")


def _take_the_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
