"""`smartcampaign mcp install`: the entry for our MCP server in a client's own settings file.

The file belongs to someone else: everything in it stays, a copy is kept beside it, it is replaced in one step, and
what can't be read is not touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import AliasChoices, SecretStr

from interfaces.settings import Settings

NAME = "smartcampaign"

# The API key for a server elsewhere. Not an option of the command: those end up in the shell's history.
KEY_VARIABLE = "SMARTCAMPAIGN_KEY"


class InstallError(RuntimeError):
    """Nothing was written; the text says why and what to do."""


@dataclass(frozen=True)
class Place:
    """Where a client keeps its MCP servers: the file, and the key in it."""

    title: str
    path: Path
    key: str = "mcpServers"
    typed: bool = False
    """Whether its entries say `"type": "stdio"` or `"http"`."""
    remote: bool = True
    """Whether it reads servers with an address from this file."""
    then: str = "Restart it to see the tools."


@dataclass(frozen=True)
class Installed:
    """What was done, or with `show` what belongs into the file."""

    client: str
    path: Path
    changed: bool
    text: str
    """For the person, with what to do next."""
    entry: str
    """The part of the file that is ours, as JSON."""
    backup: Path | None = None


def install(
    client: str,
    *,
    show: bool = False,
    remove: bool = False,
    tenant: str | None = None,
    url: str | None = None,
    environment: Mapping[str, str] = os.environ,
    home: Path | None = None,
    platform: str = sys.platform,
    executable: Path | None = None,
) -> Installed:
    """Write our entry into the settings of `client`, or `remove` it; with `show` only say what would be written.

    With `url` it is the entry for `smartcampaign serve` elsewhere, with the key of SMARTCAMPAIGN_KEY; without a key the
    client signs in (OAuth). Doing it again changes nothing. Raises `InstallError`.
    """
    place = _place(client, environment, home or Path.home(), platform)
    if url is None:
        entry = _entry(place, executable or _executable(), _settings(environment, tenant))
    else:
        entry = _remote_entry(place, url, environment.get(KEY_VARIABLE))
    shown = json.dumps({place.key: {NAME: entry}}, indent=2, ensure_ascii=False)

    def done(changed: bool, said: str, backup: Path | None = None) -> Installed:
        return Installed(client, place.path, changed, said, shown, backup)

    if show:
        # Without a look at the file: it helps those whose file we can't read.
        return done(False, f"{'Take this out of' if remove else 'This belongs into'} {place.path}:\n{shown}")
    old, text = _read(place.path)
    servers = old.get(place.key, {})
    if not isinstance(servers, dict):
        raise InstallError(f"{place.path} has a {place.key!r} that is no object. Mend it first; nothing was changed.")
    wanted = {name: value for name, value in servers.items() if name != NAME} if remove else servers | {NAME: entry}
    if wanted == servers:
        return done(False, f"SmartCampaign {'is not' if remove else 'is already'} in {place.path}; nothing to change.")
    held_by = entry.get("env", {}).keys() | ({KEY_VARIABLE} if "headers" in entry else set())
    secrets = [] if remove else sorted((_secret_names() | {KEY_VARIABLE}) & held_by)
    backup = _write(place.path, old | {place.key: wanted}, text, private=bool(secrets))
    held = f" It now holds secrets ({', '.join(secrets)}), so only you can read it." if secrets else ""
    kept = f" The file as it was: {backup}." if backup else ""
    verb = "removed from" if remove else "added to"
    return done(True, f"SmartCampaign was {verb} {place.title} ({place.path}).{held}{kept} {place.then}", backup)


def clients() -> tuple[str, ...]:
    """The clients whose settings are known."""
    return tuple(_places({}, Path(), "linux"))


def _place(client: str, environment: Mapping[str, str], home: Path, platform: str) -> Place:
    places = _places(environment, home, platform)
    if client not in places:
        raise InstallError(f"The client {client!r} is not known; there are: {', '.join(places)}.")
    return places[client]


def _places(environment: Mapping[str, str], home: Path, platform: str) -> dict[str, Place]:
    if platform == "darwin":
        apps = home / "Library" / "Application Support"
    elif platform == "win32":
        apps = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    else:
        apps = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    desktop = apps / "Claude"
    if platform == "win32":
        # Installed as a package (the usual way since 2026), Claude Desktop sees another folder in place of APPDATA.
        local = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
        packaged = sorted(local.glob("Packages/Claude_*/LocalCache/Roaming/Claude"))
        desktop = packaged[0] if packaged else desktop
    code = Path(environment.get("CLAUDE_CONFIG_DIR") or home) / ".claude.json"
    return {
        "claude-desktop": Place(
            "Claude Desktop",
            desktop / "claude_desktop_config.json",
            remote=False,
            then="Quit Claude Desktop and start it again to see the tools.",
        ),
        "claude-code": Place("Claude Code", code, typed=True, then="New sessions have it; /mcp shows it."),
        "cursor": Place("Cursor", home / ".cursor" / "mcp.json"),
        "vscode": Place(
            "VS Code",
            apps / "Code" / "User" / "mcp.json",
            key="servers",
            typed=True,
            then="“MCP: List Servers” shows it.",
        ),
    }


def _entry(place: Place, executable: Path, settings: dict[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "stdio"} if place.typed else {}
    entry |= {"command": str(executable), "args": ["mcp"]}
    return entry | {"env": settings} if settings else entry


def _remote_entry(place: Place, url: str, key: str | None) -> dict[str, Any]:
    if not place.remote:
        raise InstallError(
            f"{place.title} reads no addresses from its file. Add {url} in its settings under Connectors, or install "
            "without --url."
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InstallError(f"{url!r} is no address. Write it like https://app.example.com/mcp.")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise InstallError(f"{url} would send the key in the clear. Use https://, or an address of this machine.")
    entry: dict[str, Any] = {"type": "http"} if place.typed else {}
    entry["url"] = url
    return entry | ({"headers": {"Authorization": f"Bearer {key.strip()}"}} if key else {})


def _executable() -> Path:
    """Our own program, with its whole path: a client that was started from a desktop has another PATH."""
    program = f"{NAME}.exe" if sys.platform == "win32" else NAME
    found = Path(sys.executable).parent / program
    if found.exists():
        return found.absolute()
    elsewhere = shutil.which(program)
    if elsewhere is None:
        raise InstallError(f"The program {program} is not found beside {sys.executable}. Install SmartCampaign first.")
    return Path(elsewhere).absolute()


def _settings(environment: Mapping[str, str], tenant: str | None) -> dict[str, str]:
    """The settings that are set here: the server must see the same data, read in the same way, as this terminal."""
    names = _setting_names()
    found = {name: environment[name] for name in names if environment.get(name)}
    if home := found.get("SMARTCAMPAIGN_HOME"):
        found["SMARTCAMPAIGN_HOME"] = str(Path(home).expanduser().absolute())
    return found | ({"SMARTCAMPAIGN_TENANT": tenant} if tenant else {})


def _setting_names() -> dict[str, bool]:
    """The variables that `Settings` reads, and whether each is secret."""
    names: dict[str, bool] = {}
    for name, field in Settings.model_fields.items():
        secret = SecretStr in (field.annotation, *get_args(field.annotation))
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            names |= {str(choice): secret for choice in alias.choices}
        else:
            names[f"SMARTCAMPAIGN_{name.upper()}"] = secret
    return names


def _secret_names() -> set[str]:
    return {name for name, secret in _setting_names().items() if secret}


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """The settings in the file and its text; both empty when there is none."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return {}, ""
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"{path} can't be read ({error}). Nothing was changed.") from error
    if not text.strip():
        return {}, text
    by_hand = "Nothing was changed. Mend it, or add the entry by hand: --print shows it, docs/mcp.md says where."
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InstallError(f"{path} is no plain JSON ({error}); comments are not understood. {by_hand}") from error
    if not isinstance(found, dict):
        raise InstallError(f"{path} holds no JSON object. {by_hand}")
    return found, text


def _write(path: Path, content: dict[str, Any], old: str, *, private: bool) -> Path | None:
    """Replace the file in one step, indented as it was; return the copy of the old one."""
    path = path.resolve()  # settings are often links into a folder of dotfiles: the link stays
    indented = re.search(r"\n([ \t]+)\S", old)
    text = json.dumps(content, indent=indented[1] if indented else "  ", ensure_ascii=False) + "\n"
    backup = None
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            backup = path.with_name(f"{path.name}.{datetime.now():%Y%m%d-%H%M%S}.bak")
            shutil.copy2(path, backup)
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # readable by its owner only
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if backup and not private:
            shutil.copymode(path, unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        if unfinished:
            with suppress(OSError):
                os.unlink(unfinished)
        raise InstallError(f"{path} can't be written: {error.strerror}. Nothing was changed.") from error
    return backup
