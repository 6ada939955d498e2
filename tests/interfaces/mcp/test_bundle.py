"""The bundle for Claude Desktop and the registry's description: complete, and what is in the bundle serves."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from mcp import Client, StdioServerParameters
from packaging.requirements import Requirement

from db import tenants
from interfaces.mcp_server import PROMPTS
from interfaces.settings import Settings
from tools import ALL_TOOLS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """deploy/mcp_release.py, which is run by make and no part of the program."""
    spec = importlib.util.spec_from_file_location("mcp_release", ROOT / "deploy" / "mcp_release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


@pytest.fixture(scope="module")
def staged(release: ModuleType, project: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "smartcampaign"
    release.stage(folder, project)
    return folder


def test_the_manifest_says_what_the_server_has(staged: Path) -> None:
    manifest = json.loads((staged / "manifest.json").read_text())

    assert manifest["manifest_version"] == "0.4"
    assert manifest["server"]["type"] == "uv"
    assert (staged / manifest["server"]["entry_point"]).exists()
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in ALL_TOOLS]
    assert [prompt["name"] for prompt in manifest["prompts"]] == list(PROMPTS)
    assert all(
        f"${{arguments.{name}}}" in prompt["text"] for prompt in manifest["prompts"] for name in prompt["arguments"]
    )


def test_every_setting_that_is_asked_for_is_one_and_is_handed_on(staged: Path) -> None:
    manifest = json.loads((staged / "manifest.json").read_text())
    handed = manifest["server"]["mcp_config"]["env"]

    assert {f"${{user_config.{name}}}" for name in manifest["user_config"]} == set(handed.values())
    known = {f"SMARTCAMPAIGN_{name.upper()}" for name in Settings.model_fields} | {"DATABASE_URL"}
    assert set(handed) <= known
    assert all(option["description"] and option["default"] == "" for option in manifest["user_config"].values())
    assert manifest["user_config"]["database_url"]["sensitive"], "it holds a password"


def test_it_needs_exactly_what_the_lock_has(staged: Path) -> None:
    pinned = tomllib.loads((staged / "pyproject.toml").read_text())["project"]
    wanted = {Requirement(each).name for each in pinned["dependencies"]}
    lock = (ROOT / "requirements-run.lock").read_text()

    assert len(wanted) > 50
    assert wanted == {
        Requirement(line.split(" \\")[0]).name for line in lock.splitlines() if line and line[0] not in " #"
    }
    assert all("==" in each for each in pinned["dependencies"])
    assert pinned["scripts"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def test_nothing_that_is_no_part_of_the_program_is_in_it(staged: Path) -> None:
    names = {path.relative_to(staged).parts[0] for path in staged.rglob("*")}
    packages = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    )

    assert names == packages | {"LICENSE", "README.md", "pyproject.toml", "server.py", "manifest.json"}
    assert not list(staged.rglob("*.pyc"))


async def test_what_is_in_it_serves(staged: Path, database_url: str) -> None:
    """From its own files, with a setting that the client left as a placeholder."""
    name = f"Bramble {uuid4().hex[:8]}"
    assert tenants.add(database_url, name=name, time_zone="Europe/London", country="GB")
    environment = {
        "DATABASE_URL": database_url, "SMARTCAMPAIGN_TENANT": name, "SMARTCAMPAIGN_HOME": "${user_config.home}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = StdioServerParameters(command=sys.executable, args=["server.py"], env=environment, cwd=staged)
    async with Client(command) as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool("list_campaigns", {})

    assert [tool.name for tool in tools] == [tool.name for tool in ALL_TOOLS]
    assert not result.is_error
    assert not placeholders(staged), "a placeholder is no folder"


def placeholders(folder: Path) -> list[Path]:
    return list(folder.glob("*user_config*"))


def test_the_official_packer_takes_it(release: ModuleType, staged: Path, tmp_path: Path) -> None:
    """With the packer that `make mcpb` installs; a test downloads nothing."""
    if not (release.TOOLS / "node_modules" / ".bin" / "mcpb").exists():
        pytest.skip("NOT CHECKED by the official packer: run `make mcpb` once, with npm installed")
    packer = release.npm_tools().bin("mcpb")
    for words in (["validate", str(staged / "manifest.json")], ["pack", str(staged), str(tmp_path / "a.mcpb")]):
        done = subprocess.run([*packer, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_registrys_description_fits_its_schema(
    release: ModuleType, project: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules of the registry's schema 2025-12-11 that concern us."""
    monkeypatch.setattr(release, "DIST", tmp_path)
    packed = tmp_path / "a.mcpb"
    packed.write_bytes(b"bundle")
    monkeypatch.setenv("MCPB_URL", "https://example.com/a.mcpb")
    release.write_server_json(project, packed)
    said = json.loads((tmp_path / "server.json").read_text())

    assert said["version"] == project["version"]
    assert said["name"].count("/") == 1
    assert 1 <= len(said["description"]) <= 100
    (package,) = said["packages"]
    assert package["fileSha256"] == hashlib.sha256(b"bundle").hexdigest()
    (remote,) = said["remotes"]
    assert remote["url"].endswith("/mcp")
    assert set(remote["variables"]) == {"host"}
    (header,) = remote["headers"]
    assert header["isSecret"]
    assert header["value"] == "Bearer {key}"

    with pytest.raises(release.Failed, match=r"server\.json"):
        release.write_server_json(project | {"version": "9.9.9"}, packed)
