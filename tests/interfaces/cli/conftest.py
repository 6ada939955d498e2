"""The real program, started as a user starts it, in a data folder of its own; or called here, which is quicker."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from db.embedded import EmbeddedServer
from db.embeddings import LocalEmbedder
from evals.scripted_model import ScriptedModel
from interfaces import wiring
from interfaces.cli import running
from interfaces.cli.commands import app
from tests.interfaces.cli.terminal import Pty

PROGRAM = Path(sys.executable).with_name("smartcampaign")
EMBEDDER = LocalEmbedder()


@dataclass
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str


@dataclass
class Home:
    """A data folder, and ways to start the program in it."""

    path: Path
    url: str = ""
    """Of the server that a fixture holds, for `call`."""
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, input: str | bytes = "", timeout: float = 120, **environment: str) -> Ended:
        """Run the program without a terminal, to its end."""
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [PROGRAM, *arguments], input=data, env=self._environment(environment), capture_output=True,
            timeout=timeout, cwd=self.path,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def call(self, *arguments: str, input: str | bytes = "", **environment: str) -> Ended:
        """The same in this process: its loop, its exit code and its streams, without a start of Python."""
        data = input.encode() if isinstance(input, str) else input
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith(("SMARTCAMPAIGN_", "OPENAI_", "DATABASE_")):
                    patch.delenv(name)
            for name, value in (self._environment({"DATABASE_URL": self.url}) | environment).items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            # The log file would catch the warnings that must fail a test; the model is loaded once for all.
            patch.setattr(running, "start_log", lambda home: None)
            patch.setattr(wiring, "make_embedder", lambda settings: EMBEDDER)
            with pytest.raises(SystemExit) as ended:
                app(list(arguments))
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """The program running, with a pipe on each side; killed at the end if it still runs."""
        with subprocess.Popen(
            [PROGRAM, *arguments], env=self._environment(environment), cwd=self.path, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as program:  # fmt: skip
            try:
                yield program
            finally:
                program.kill()

    def terminal(self, *arguments: str, columns: int = 100, **environment: str) -> Pty:
        """Start the program at a terminal."""
        return Pty([str(PROGRAM), *arguments], self._environment(environment), columns=columns)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        # Nothing of the developer's own settings.
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8", "USER": "robin"}
        return plain | {"SMARTCAMPAIGN_HOME": str(self.path)} | self.environment | more


@pytest.fixture
def new_home() -> Iterator[Callable[[], Home]]:
    """Make empty data folders."""
    folders: list[tempfile.TemporaryDirectory[str]] = []

    def make() -> Home:
        folders.append(_folder())
        return Home(Path(folders[-1].name))

    yield make
    for folder in folders:
        folder.cleanup()


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    """One data folder for the tests that don't mind others' rows; its server stays up between the programs."""
    with _folder() as name:
        server = EmbeddedServer(Path(name) / "postgres")
        yield Home(Path(name), server.start())
        server.stop()


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def scripted(home: Home, model: ScriptedModel) -> Home:
    """The shared data folder, with a scripted model that calls tools and asks before writes."""
    return replace(home, environment=model_settings(model))


def model_settings(model: ScriptedModel) -> dict[str, str]:
    return {
        "SMARTCAMPAIGN_MODEL": "scripted", "OPENAI_BASE_URL": model.url, "SMARTCAMPAIGN_MODEL_MODE": "native",
        "SMARTCAMPAIGN_CONFIRM_WRITES": "always",
    }  # fmt: skip


def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="sc-cli-", ignore_cleanup_errors=True)
    os.chmod(folder.name, 0o755)  # as root the server runs as another user
    return folder
