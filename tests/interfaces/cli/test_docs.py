"""The pages about the terminal and the settings say what the code has, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import AliasChoices

from agent import events
from interfaces.cli.chat import COMMANDS
from interfaces.settings import Settings
from tests.interfaces.cli.test_commands import commands

ROOT = Path(__file__).parents[3]


def settings() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names.add(str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"SMARTCAMPAIGN_{name.upper()}")
    return names


def test_every_setting_is_described() -> None:
    table = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    assert table == settings() | {"SMARTCAMPAIGN_DEBUG", "NO_COLOR"}


def test_every_setting_is_in_the_example_and_none_is_set() -> None:
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^# ([A-Z_]+)=", text, re.MULTILINE)) == settings() | {"SMARTCAMPAIGN_DEBUG"}
    assert not re.findall(r"^[^#\n]", text, re.MULTILINE)


def test_every_command_is_described() -> None:
    page = (ROOT / "docs/cli.md").read_text()
    described = set()
    for cell in re.findall(r"^\| (`.*?) \|", page.partition("## Chat")[0], re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", cell)
        group = first.split()[0]
        described.add(first)
        described |= {word if word.split()[0] in (group, "reject") else f"{group} {word}" for word in more}
    described = {re.sub(r" (ID|\".*)$", "", words) for words in described}
    assert described == {path for path, _ in commands()} | {"mcp"}


def test_every_chat_command_is_described() -> None:
    page = (ROOT / "docs/cli.md").read_text()
    assert set(re.findall(r"`(/\w+)", page)) == set(COMMANDS)


def test_every_event_is_described() -> None:
    page = (ROOT / "docs/cli.md").read_text().partition("| event |")[2]
    described = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert described == {kind.event for kind in events.Event.__subclasses__()}
