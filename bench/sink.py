"""Postfix's `smtp-sink`: an SMTP server that throws away what it takes, fast enough not to be what is measured.

It comes from Debian's postfix package, unpacked into a cache folder without being installed. Where that can't be had, a
sink of our own stands in, which is slower, and the benchmark says so.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smartcampaign-bench" / "postfix"


@dataclass
class Sink:
    """A sink that runs: where, and what it is."""

    port: int
    name: str
    is_fast: bool
    counter: Path

    def taken(self) -> int | None:
        """How many messages it has taken since it was started; None where it does not count."""
        if not self.is_fast:
            return None
        counts = re.findall(r"mesgs?=(\d+)", self.counter.read_text(errors="replace").replace("\r", "\n"))
        return int(counts[-1]) if counts else 0


def smtp_sink() -> Path | None:
    """The program, fetched when it is not there yet; None where it can't be had."""
    program = CACHE / "usr/sbin/smtp-sink"
    if program.exists():
        return program
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return None
    with tempfile.TemporaryDirectory() as folder:
        fetched = subprocess.run(
            ["apt-get", "download", "postfix"], cwd=folder, capture_output=True, timeout=120, check=False
        )
        packages = list(Path(folder).glob("postfix_*.deb"))
        if fetched.returncode or not packages:
            return None
        CACHE.mkdir(parents=True, exist_ok=True)
        unpacked = subprocess.run(["dpkg", "-x", packages[0], CACHE], capture_output=True, check=False)
    return program if unpacked.returncode == 0 and program.exists() else None


@contextmanager
def running() -> Iterator[Sink]:
    """A sink while the block runs."""
    port = _free_port()
    program = smtp_sink()
    with tempfile.TemporaryDirectory(prefix="sc-sink-") as folder:
        counter = Path(folder) / "counters"
        if program is not None:
            # As root it wants to become somebody else.
            user = ["-u", "nobody"] if os.geteuid() == 0 else []
            command = [str(program), *user, "-c", "-h", "sink.example", f"127.0.0.1:{port}", "1024"]
            libraries = os.environ | {"LD_LIBRARY_PATH": str(CACHE / "usr/lib/postfix")}
            name = "postfix's smtp-sink"
        else:
            command = [sys.executable, "-m", "tests.mail.smtp_server", str(port)]
            libraries = dict(os.environ)
            name = "our own sink, slower than smtp-sink: `apt-get download postfix` did not work"
        with counter.open("wb") as output:
            process = subprocess.Popen(command, env=libraries, stdout=output, stderr=subprocess.DEVNULL)
            try:
                _wait_for(port)
                yield Sink(port, name, program is not None, counter)
            finally:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    end = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
