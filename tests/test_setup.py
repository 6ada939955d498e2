"""What sets the program up: the locks, the image's list of files, the services' commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-run.lock", "bench/peers.lock")


def pinned(name: str) -> dict[str, str]:
    """The lock's packages with all that is said of them."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    return {entry.split("==")[0]: entry for entry in entries}


def test_what_runs_the_program_is_part_of_what_tests_it() -> None:
    program, everything = pinned("requirements-run.lock"), pinned("requirements.lock")
    assert len(program) > 50
    assert {name: everything[name] for name in program} == program
    assert not {"pytest", "mypy", "ruff", "playwright"} & set(program)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_a_hash_for_everything_and_names_no_registry(name: str) -> None:
    assert all("--hash=sha256:" in entry for entry in pinned(name).values())
    assert "://" not in (ROOT / name).read_text()


def test_the_image_gets_every_package_that_is_installed() -> None:
    packages = set(re.findall(r'"(\w+)"', re.findall(r"^packages = (\[.*?\])$", (ROOT / "pyproject.toml").read_text(),
                                                      re.MULTILINE)[0]))  # fmt: skip
    wanted = packages | {"pyproject.toml", "requirements-run.lock", "README.md", "LICENSE"}
    assert set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)) == wanted


def test_services_start_commands_that_there_are() -> None:
    from tests.interfaces.cli.test_commands import commands

    known = {path for path, _ in commands()}
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    units = [path.read_text() for path in (ROOT / "deploy").glob("*.service")]
    started = [services[name]["command"][0] for name in ("serve", "worker")]
    started += re.findall(r"^ExecStart=\S+/smartcampaign (\w+)", "\n".join(units), re.MULTILINE)
    assert set(started) == {"serve", "worker"}
    assert set(started) <= known
