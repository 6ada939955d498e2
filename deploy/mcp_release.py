"""Builds the bundle for Claude Desktop and tries the MCP door with the official tools. Run by make:

    python deploy/mcp_release.py bundle         dist/smartcampaign-VERSION.mcpb, by the official packer
    python deploy/mcp_release.py conformance    the conformance suite and the inspector against `smartcampaign serve`

The official tools come from npm, in exact versions, into .mcp-tools; they need Node 22, which comes along with them.
Where there is no npm, the bundle is zipped without them, which is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
TOOLS = ROOT / ".mcp-tools"
BASELINE = Path(__file__).with_name("mcp_conformance.yaml")

PACKAGES = ("agent", "db", "interfaces", "mail", "prompts", "samples", "tools")

NPM = {
    "@anthropic-ai/mcpb": "2.1.2",
    "@modelcontextprotocol/conformance": "0.1.16",
    "@modelcontextprotocol/inspector": "2.12.0",
}
NODE = "22.23.3"

PROGRAM = [str(Path(sys.executable).with_name("smartcampaign"))]

# What the bundle's settings page asks for, and the variable each becomes.
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "home": (
        "SMARTCAMPAIGN_HOME",
        {
            "type": "string", "title": "Data folder", "default": "", "required": False,
            "description": "Where your data is kept. Empty: the same folder as in the terminal.",
        },
    ),
    "tenant": (
        "SMARTCAMPAIGN_TENANT",
        {
            "type": "string", "title": "Tenant", "default": "", "required": False,
            "description": "Whose data to work on, by name. Empty: the only tenant there is.",
        },
    ),
    "database_url": (
        "DATABASE_URL",
        {
            "type": "string", "title": "Postgres", "default": "", "required": False, "sensitive": True,
            "description": "Your own Postgres: postgresql://user:password@host/name. Empty: the one that comes along.",
        },
    ),
}  # fmt: skip

# A client may leave the placeholder of a setting that was not filled in: that is not a value.
ENTRY = """\
import os
import sys

for name, value in list(os.environ.items()):
    if value.startswith("${user_config."):
        del os.environ[name]

from interfaces.cli import main  # noqa: E402

sys.argv = ["smartcampaign", "mcp"]
main()
"""


class Failed(Exception):
    """The text says what."""


def main(wanted: str) -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if wanted == "bundle":
        bundle()
    elif wanted == "conformance":
        conformance()
    else:
        raise Failed("Say `bundle` or `conformance`.")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


# The bundle


def bundle() -> Path:
    """The .mcpb, and server.json for the registry with its hash where MCPB_URL says where it will be downloaded."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    DIST.mkdir(exist_ok=True)
    packed = DIST / f"smartcampaign-{project['version']}.mcpb"
    packed.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder) / "smartcampaign"
        stage(staged, project)
        tools = npm_tools()
        if tools is None:
            say("WARNING: there is no npm here, so the bundle was NOT checked by the official packer.")
            _zip(staged, packed)
        else:
            run([*tools.bin("mcpb"), "validate", str(staged / "manifest.json")])
            run([*tools.bin("mcpb"), "pack", str(staged), str(packed)], quiet=True)
    say(f"{packed.relative_to(ROOT)}: {packed.stat().st_size / 1e6:.1f} MB")
    write_server_json(project, packed)
    return packed


def stage(folder: Path, project: dict[str, Any]) -> None:
    """Lay out what is in the bundle: the program, what it needs in exact versions, and the manifest."""
    folder.mkdir(parents=True)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in ("LICENSE", "README.md"):
        shutil.copy(ROOT / name, folder)
    (folder / "pyproject.toml").write_text(pyproject(project))
    (folder / "server.py").write_text(ENTRY)
    (folder / "manifest.json").write_text(json.dumps(manifest(project), indent=2) + "\n")


def pyproject(project: dict[str, Any]) -> str:
    """With every dependency in the version of requirements-run.lock, so that each installation is the same."""
    pins = re.findall(r"^([A-Za-z0-9._-]+(?:\[[a-z0-9,_-]+\])?==\S+(?: *;[^\\\n]+)?)", _lock(), re.MULTILINE)
    lines = "".join(f"  {json.dumps(pin.strip())},\n" for pin in pins)
    return (
        f'[project]\nname = "{project["name"]}"\nversion = "{project["version"]}"\n'
        f'requires-python = "{project["requires-python"]}"\ndependencies = [\n{lines}]\n\n'
        '[project.scripts]\nsmartcampaign = "interfaces.cli:main"\n\n'
        '[build-system]\nrequires = ["hatchling>=1.27"]\nbuild-backend = "hatchling.build"\n\n'
        f"[tool.hatch.build.targets.wheel]\npackages = {json.dumps(list(PACKAGES))}\n"
    )


def _lock() -> str:
    return (ROOT / "requirements-run.lock").read_text()


def manifest(project: dict[str, Any]) -> dict[str, Any]:
    """Manifest 0.4 of type uv: the client installs Python and the dependencies by itself."""
    from interfaces.mcp_server import PROMPTS
    from tools import ALL_TOOLS

    return {
        "manifest_version": "0.4",
        "name": project["name"],
        "display_name": "SmartCampaign AI",
        "version": project["version"],
        "description": project["description"],
        "long_description": (
            "Contacts, campaigns, drafts, sends and their figures, in your own database. Nothing is sent or erased "
            "before you approve it."
        ),
        "author": {"name": "SmartCampaign AI"},
        "license": project["license"],
        "keywords": ["e-mail", "marketing", "campaigns", "newsletter"],
        "server": {
            "type": "uv",
            "entry_point": "server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "server.py"],
                "env": {variable: f"${{user_config.{name}}}" for name, (variable, _) in ASKED.items()},
            },
        },
        "tools": [{"name": tool.name, "description": tool.description.split("\n")[0]} for tool in ALL_TOOLS],
        "prompts": [
            {
                "name": name, "description": prompt.description, "arguments": list(prompt.arguments),
                "text": re.sub(r"\{(\w+)\}", r"${arguments.\1}", prompt.text),
            }
            for name, prompt in PROMPTS.items()
        ],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"], "runtimes": {"python": project["requires-python"]},
        },
        "user_config": {name: option for name, (_, option) in ASKED.items()},
    }  # fmt: skip


def _zip(folder: Path, to: Path) -> None:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, path.relative_to(folder))


def write_server_json(project: dict[str, Any], packed: Path) -> None:
    said = json.loads((ROOT / "deploy" / "server.json").read_text())
    if said["version"] != project["version"]:
        raise Failed(f"deploy/server.json is of version {said['version']}, the program of {project['version']}.")
    url = os.environ.get("MCPB_URL")
    if url:
        said["packages"] = [
            {
                "registryType": "mcpb", "identifier": url, "version": project["version"],
                "fileSha256": hashlib.sha256(packed.read_bytes()).hexdigest(), "transport": {"type": "stdio"},
            }
        ]  # fmt: skip
    (DIST / "server.json").write_text(json.dumps(said, indent=2) + "\n")
    say(
        "dist/server.json"
        + ("" if url else ": without the bundle; MCPB_URL=https://.. says where it can be downloaded")
    )


# The official tools


class NpmTools:
    """Programs of npm, run by the Node that came with them."""

    def __init__(self, node: Path) -> None:
        self._node = node

    def bin(self, name: str) -> list[str]:
        script = (TOOLS / "node_modules" / ".bin" / name).resolve()
        return [str(self._node), str(script)]


def npm_tools() -> NpmTools | None:
    """Installed into .mcp-tools; None where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    system = {"linux": "linux", "darwin": "darwin", "win32": "win"}[sys.platform]
    machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    node = f"node-{system}-{machine}"
    wanted = {"private": True, "dependencies": NPM | {node: NODE}}
    stated = TOOLS / "package.json"
    program = TOOLS / "node_modules" / node / "bin" / ("node.exe" if system == "win" else "node")
    if not program.exists() or not stated.exists() or json.loads(stated.read_text()) != wanted:
        say(f"Installing {', '.join(NPM)} into {TOOLS.name} ..")
        shutil.rmtree(TOOLS, ignore_errors=True)
        TOOLS.mkdir()
        stated.write_text(json.dumps(wanted))
        # Node first: npm chooses versions by the Node it runs in.
        run([npm, "install", "--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error"], cwd=TOOLS, quiet=True)
    return NpmTools(program)


def run(
    command: list[str], environment: dict[str, str] | None = None, *, cwd: Path = ROOT, quiet: bool = False,
    check: bool = True,
) -> str:  # fmt: skip
    """Run it; return what it said. Raises `Failed` with that when it fails."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if check and done.returncode:
        raise Failed(f"{' '.join(Path(part).name for part in command[:4])} failed:\n{said[-3000:]}")
    if not quiet:
        say(said.strip())
    return said


# Conformance


def conformance() -> None:
    """Both official tools against the program as it is started by people, on a database of its own."""
    tools = npm_tools()
    if tools is None:
        raise Failed("npm is needed: https://nodejs.org")
    with served() as (url, environment):
        suite = [*tools.bin("conformance"), "server", "--url", url, "--suite", "all"]
        said = run(
            [*suite, "--expected-failures", str(BASELINE)], quiet=True, check=False, cwd=Path(tempfile.gettempdir())
        )
        say(said[said.find("=== SUMMARY ===") :].strip())
        if "Baseline check passed" not in said:
            raise Failed("The conformance suite found something that deploy/mcp_conformance.yaml does not excuse.")
        made = run([*PROGRAM, "keys", "create", "inspector", "--role", "viewer"], environment, quiet=True)
        key = re.search(r"sck_[\w-]+", made)
        if key is None:
            raise Failed(f"No key was made: {made}")
        inspect(tools, environment)
        inspect(tools, environment | {"SMARTCAMPAIGN_KEY": key[0]}, url)


def inspect(tools: NpmTools, environment: dict[str, str], url: str | None = None) -> None:
    """The inspector reads the entry that `mcp install` wrote, lists everything, checks the schemas and calls a tool."""
    at = ["--url", url] if url else []
    run([*PROGRAM, "mcp", "install", "claude-code", *at], environment, quiet=True)
    entry = str(Path(environment["HOME"]) / ".claude.json")
    program = [*tools.bin("mcp-inspector"), "--cli", "--config", entry, "--server", "smartcampaign"]
    way = "HTTP" if url else "stdio"
    for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
        strict = ["--strict"] if method == "tools/list" else []
        found = json.loads(_json_of(run([*program, "--method", method, *strict], environment, quiet=True)))
        (what,) = [name for name, value in found.items() if isinstance(value, list)]
        say(f"inspector over {way}, {method}: {len(found[what])} {what}")
    called = run([*program, "--method", "tools/call", "--tool-name", "list_campaigns"], environment, quiet=True)
    if json.loads(_json_of(called)).get("isError"):
        raise Failed(f"The inspector's call failed: {called}")
    say(f"inspector over {way}, tools/call list_campaigns: answered")


def _json_of(said: str) -> str:
    return said[said.index("{") : said.rindex("}") + 1]


@contextmanager
def served() -> Iterator[tuple[str, dict[str, str]]]:
    """`smartcampaign serve` on a database of its own, and the environment of that. The suite brings no key."""
    with tempfile.TemporaryDirectory(prefix="sc-conformance-", ignore_cleanup_errors=True) as home:
        os.chmod(home, 0o755)  # noqa: S103 - the embedded Postgres may run as another user
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = {"PATH": os.environ["PATH"], "HOME": home, "SMARTCAMPAIGN_HOME": home}
        server = subprocess.Popen([*PROGRAM, "serve", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL)
        try:
            _wait(f"http://127.0.0.1:{port}/healthz", server)
            yield f"http://127.0.0.1:{port}/mcp", environment
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise Failed("smartcampaign serve did not start.")
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own address
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise Failed("smartcampaign serve does not answer.")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "")
    except Failed as error:
        sys.exit(str(error))
