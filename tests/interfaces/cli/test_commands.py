"""The command line itself: help, usage, and what it does not load."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import typer
from typer.main import get_command

from interfaces.cli.commands import app
from tests.interfaces.cli.conftest import Home

HEAVY = ("langgraph", "langchain_core", "psycopg", "prompt_toolkit", "rich", "pydantic", "numpy", "mcp", "httpx")


def commands(group: typer.Typer = app, path: str = "") -> Iterator[tuple[str, Callable[..., object]]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{path}{command.name or command.callback.__name__}", command.callback
    for child in group.registered_groups:
        assert child.typer_instance is not None
        yield from commands(child.typer_instance, f"{path}{child.name} ")


def test_no_command_is_a_coroutine() -> None:
    # typer never awaits one: it would do nothing and exit with 0.
    assert not [path for path, callback in commands() if inspect.iscoroutinefunction(callback)]


@pytest.mark.parametrize(
    ("path", "callback"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_has_an_example(path: str, callback: Callable[..., object]) -> None:
    _, example = (inspect.getdoc(callback) or "").split("Example: ", 1)
    assert f"smartcampaign {path}" in example


def test_help_loads_nothing_heavy() -> None:
    code = "import json, sys; import interfaces.cli.commands; json.dump(sorted(sys.modules), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & set(HEAVY)


def test_help_names_every_command(home: Home) -> None:
    out = home.run("--help").out
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"  {name} " in out


def test_version(home: Home) -> None:
    assert home.run("--version").out == "smartcampaign 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    ["frobnicate", "ask", "ask a b", "ask --frob a", "contacts list --limit 0", "mcp frobnicate"],
)
def test_wrong_usage_is_2(home: Home, arguments: str) -> None:
    ended = home.run(*arguments.split())
    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_a_bad_setting_is_a_sentence(home: Home) -> None:
    ended = home.call("contacts", "list", SMARTCAMPAIGN_MODEL="gpt")
    assert ended.code == 1
    assert ended.err.startswith("SMARTCAMPAIGN_MODEL is set, but neither OPENAI_API_KEY nor OPENAI_BASE_URL.")


def test_a_folder_that_is_a_file(home: Home) -> None:
    file = home.path / "file"
    file.touch()
    ended = home.run("contacts", "list", SMARTCAMPAIGN_HOME=str(file))
    assert ended.code == 1
    assert "SMARTCAMPAIGN_HOME" in ended.err
    assert "Traceback" not in ended.err


def test_an_unreachable_database_is_a_sentence_without_the_password(home: Home) -> None:
    for url in (
        "postgresql://owner:hunter2@127.0.0.1:1/x",
        "postgres//owner:hunter2@somewhere",
        "host=127.0.0.1 port=1",
    ):
        ended = home.call("contacts", "list", DATABASE_URL=url)
        assert ended.code == 1
        assert "DATABASE_URL" in ended.err
        assert "hunter2" not in ended.err + ended.out
        assert len(ended.err.strip().splitlines()) == 1


def test_mcp_install_prints_its_entry(home: Home) -> None:
    ended = home.call("mcp", "install", "cursor", "--print")
    assert ended.code == 0
    assert '"args": [\n' in ended.out
    assert home.call("mcp", "install", "notepad").code == 1
