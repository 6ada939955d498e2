"""`smartcampaign mcp install`: other programs' settings files are changed with care."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from interfaces.cli.mcp_install import Installed, InstallError, clients, install

PROGRAM = Path("/opt/smart campaign/bin/smartcampaign")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def run(client: str, home: Path, environment: dict[str, str] | None = None, **more: Any) -> Installed:
    options: dict[str, Any] = {"platform": "linux", "executable": PROGRAM} | more
    return install(client, environment=environment or {}, home=home, **options)


def content(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("client", "platform", "environment", "expected"),
    [
        ("claude-desktop", "darwin", {}, "Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", {}, "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", {}, ".config/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", {"XDG_CONFIG_HOME": "HOME/settings"}, "settings/Claude/claude_desktop_config.json"),
        ("claude-code", "darwin", {}, ".claude.json"),
        ("claude-code", "linux", {"CLAUDE_CONFIG_DIR": "HOME/work"}, "work/.claude.json"),
        ("cursor", "win32", {}, ".cursor/mcp.json"),
        ("vscode", "darwin", {}, "Library/Application Support/Code/User/mcp.json"),
        ("vscode", "win32", {"APPDATA": "HOME/Roaming"}, "Roaming/Code/User/mcp.json"),
        ("vscode", "linux", {}, ".config/Code/User/mcp.json"),
    ],
)
def test_each_client_has_its_place(
    home: Path, client: str, platform: str, environment: dict[str, str], expected: str
) -> None:
    environment = {name: value.replace("HOME", str(home)) for name, value in environment.items()}

    done = run(client, home, environment, platform=platform)

    assert done.path == home / expected
    assert done.changed
    assert str(done.path) in done.text
    entry = content(done.path)["servers" if client == "vscode" else "mcpServers"]["smartcampaign"]
    assert entry.pop("type", None) == ("stdio" if client in ("vscode", "claude-code") else None)
    assert entry == {"command": str(PROGRAM), "args": ["mcp"]}


def test_on_windows_a_packaged_claude_desktop_is_found(home: Path) -> None:
    packaged = home / "Local" / "Packages" / "Claude_x1y2" / "LocalCache" / "Roaming" / "Claude"
    packaged.mkdir(parents=True)

    done = run("claude-desktop", home, {"LOCALAPPDATA": str(home / "Local")}, platform="win32")

    assert done.path == packaged / "claude_desktop_config.json"


def test_what_else_is_in_the_file_stays_and_a_copy_is_kept(home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(parents=True)
    before = '{\n\t"größe": 1.5,\n\t"mcpServers": {"other": {"command": "x"}, "smartcampaign": {"command": "old"}}\n}\n'
    path.write_text(before, "utf-8")
    path.chmod(0o644)

    done = run("cursor", home)

    assert done.backup is not None
    assert done.backup.read_text("utf-8") == before
    assert content(path)["größe"] == 1.5
    assert content(path)["mcpServers"]["other"] == {"command": "x"}
    assert content(path)["mcpServers"]["smartcampaign"]["command"] == str(PROGRAM)
    assert '\n\t"größe"' in path.read_text("utf-8")  # indented and spelt as it was
    assert path.stat().st_mode & 0o777 == 0o644
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, done.backup.name])


def test_doing_it_again_changes_nothing(home: Path) -> None:
    path = run("cursor", home).path
    before = path.stat()

    again = run("cursor", home)

    assert not again.changed
    assert "already" in again.text
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_it_can_be_removed_again(home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"mcpServers": {"other": {}}, "a": 1}')
    run("cursor", home)

    removed = run("cursor", home, remove=True)
    again = run("cursor", home, remove=True)

    assert removed.changed
    assert content(path) == {"mcpServers": {"other": {}}, "a": 1}
    assert not again.changed
    assert "is not in" in again.text


def test_removing_what_never_was_makes_no_file(home: Path) -> None:
    assert not run("cursor", home, remove=True).changed
    assert not home.exists()


def test_show_writes_nothing(home: Path) -> None:
    shown = run("vscode", home, show=True)

    assert not shown.changed
    assert json.loads(shown.entry)["servers"]["smartcampaign"]["type"] == "stdio"
    assert shown.entry in shown.text
    assert not home.exists()


@pytest.mark.parametrize(
    "text",
    ['{"mcpServers": {', '// a comment\n{"mcpServers": {}}', "[1]", '{"mcpServers": []}', "\udcff"],
    ids=["broken", "comments", "a list", "servers in a list", "no text"],
)
def test_a_file_that_cannot_be_read_is_not_touched(home: Path, text: str) -> None:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(parents=True)
    before = text.encode("utf-8", "surrogateescape")
    path.write_bytes(before)

    with pytest.raises(InstallError, match=r"(?i)nothing was changed"):
        run("cursor", home)

    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert run("cursor", home, show=True).entry  # by hand it still goes


@pytest.mark.parametrize("text", ["", "\n", "\ufeff{}"], ids=["empty", "blank", "byte order mark"])
def test_an_empty_file_is_filled(home: Path, text: str) -> None:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")

    run("cursor", home)

    assert list(content(path)) == ["mcpServers"]


def test_the_settings_of_this_terminal_go_along(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "SMARTCAMPAIGN_HOME": "data", "SMARTCAMPAIGN_TENANT": "Bramble", "SMARTCAMPAIGN_EMBEDDING_MODEL": "e5",
        "SMARTCAMPAIGN_MODEL": "", "PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "no business of ours",
    }  # fmt: skip

    entry = content(run("cursor", home, environment).path)["mcpServers"]["smartcampaign"]

    assert entry["env"] == {
        "SMARTCAMPAIGN_HOME": str(tmp_path / "data"),
        "SMARTCAMPAIGN_TENANT": "Bramble",
        "SMARTCAMPAIGN_EMBEDDING_MODEL": "e5",
    }


def test_a_tenant_can_be_chosen(home: Path) -> None:
    done = run("cursor", home, {"SMARTCAMPAIGN_TENANT": "Bramble"}, tenant="Harrow & Finch")

    assert content(done.path)["mcpServers"]["smartcampaign"]["env"] == {"SMARTCAMPAIGN_TENANT": "Harrow & Finch"}


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_a_file_that_holds_secrets_is_readable_by_its_owner_only(home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    path.chmod(0o644)

    done = run("cursor", home, {"DATABASE_URL": "postgresql://ada:hunter2@db.example.org/x", "OPENAI_API_KEY": "sk-1"})

    assert path.stat().st_mode & 0o777 == 0o600
    assert "DATABASE_URL, OPENAI_API_KEY" in done.text
    assert "hunter2" not in done.text


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(home: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}")
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(parents=True)
    path.symlink_to(real)

    run("cursor", home)

    assert path.is_symlink()
    assert "smartcampaign" in content(real)["mcpServers"]


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(home: Path) -> None:
    home.mkdir()
    (home / ".cursor").write_text("a file where the folder should be")

    with pytest.raises(InstallError, match="Nothing was changed"):
        run("cursor", home)


def test_an_unknown_client_is_refused_with_the_known_ones(home: Path) -> None:
    with pytest.raises(InstallError, match="claude-desktop, claude-code, cursor, vscode"):
        run("emacs", home)
    assert clients() == ("claude-desktop", "claude-code", "cursor", "vscode")


def test_the_command_is_our_own_program_with_its_whole_path(home: Path) -> None:
    command = json.loads(run("cursor", home, show=True, executable=None).entry)["mcpServers"]["smartcampaign"][
        "command"
    ]

    assert os.path.isabs(command)
    assert os.access(command, os.X_OK)


# A server elsewhere

AT = "https://app.example.com/mcp"
KEY = {"SMARTCAMPAIGN_KEY": "sck_abc", "SMARTCAMPAIGN_TENANT": "Bramble", "DATABASE_URL": "postgresql://x"}


@pytest.mark.parametrize(
    ("client", "key", "expected"),
    [
        ("claude-code", "mcpServers", {"type": "http", "url": AT, "headers": {"Authorization": "Bearer sck_abc"}}),
        ("cursor", "mcpServers", {"url": AT, "headers": {"Authorization": "Bearer sck_abc"}}),
        ("vscode", "servers", {"type": "http", "url": AT, "headers": {"Authorization": "Bearer sck_abc"}}),
    ],
)
def test_a_server_elsewhere_is_entered_with_its_key_and_nothing_of_this_terminal(
    home: Path, client: str, key: str, expected: dict[str, Any]
) -> None:
    run(client, home).path.chmod(0o644)

    done = run(client, home, KEY, url=AT)

    assert content(done.path)[key]["smartcampaign"] == expected
    assert "sck_abc" not in done.text
    assert "secrets (SMARTCAMPAIGN_KEY)" in done.text
    if sys.platform != "win32":
        assert done.path.stat().st_mode & 0o777 == 0o600


def test_without_a_key_the_client_signs_in(home: Path) -> None:
    done = run("cursor", home, url=AT)

    assert content(done.path)["mcpServers"]["smartcampaign"] == {"url": AT}
    assert "secrets" not in done.text


def test_claude_desktop_is_sent_to_its_settings(home: Path) -> None:
    with pytest.raises(InstallError, match="Connectors"):
        run("claude-desktop", home, url=AT)
    assert not home.exists()


@pytest.mark.parametrize("url", ["app.example.com/mcp", "ftp://app.example.com", "http://app.example.com/mcp", ""])
def test_an_address_that_will_not_do_is_refused(home: Path, url: str) -> None:
    with pytest.raises(InstallError, match=r"no address|in the clear"):
        run("cursor", home, KEY, url=url)
    assert not home.exists()
    assert run("vscode", home, KEY, url="http://127.0.0.1:8000/mcp").changed
