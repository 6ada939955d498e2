"""The doctor: in words, in time, and without secrets."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

import fasteners
import pytest
from pydantic import SecretStr

from evals.scripted_model import ScriptedModel
from interfaces.cli import doctor
from interfaces.cli.doctor import TooSlow, language_model, locks, within
from interfaces.settings import Settings
from tests.interfaces.cli.conftest import Home, model_settings


def test_all_is_well(home: Home, model: ScriptedModel) -> None:
    assert home.run("migrate").code == 0
    ended = replace(home, environment=model_settings(model)).run("doctor")
    assert ended.code == 0, ended.out
    for words in ("Python 3.", "Data folder", "free on its disk", "No stale locks", "Embedded Postgres answers",
                  "pgvector 0.", "Schema up to date", "role smartcampaign_app", "Row security is forced", "Tenants: ",
                  "Embeddings: ", "Language model: scripted", "what is sent stays here", "Log file: "):  # fmt: skip
        assert words in ended.out
    assert ended.out.endswith("All is well.\n")


def test_a_database_url_is_looked_at(home: Home) -> None:
    ended = home.call("doctor", DATABASE_URL=home.url)
    assert ended.code == 0, ended.out
    assert "Database 'smartcampaign' at " in ended.out


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://owner:hunter2@127.0.0.1:1/x",
        "postgres//owner:hunter2@x",
        "postgresql://a:hunter2@nowhere.invalid/x",
    ],
    ids=["refused", "garbage", "unknown host"],
)
def test_a_broken_database_url_is_a_problem_without_the_password(home: Home, url: str) -> None:
    ended = home.call("doctor", DATABASE_URL=url)
    assert ended.code == 1
    assert "✗ problem  The database can't be used." in ended.out
    assert "DATABASE_URL" in ended.out
    assert "hunter2" not in ended.out + ended.err


def test_a_database_that_never_answers_does_not_hang_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ANSWER_TIME", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ended = home.call("doctor", DATABASE_URL=f"postgresql://a@127.0.0.1:{mute.getsockname()[1]}/x")
    assert ended.code == 1
    assert "takes too long" in ended.out


def test_bad_settings_are_a_problem(home: Home) -> None:
    ended = home.call("doctor", OPENAI_BASE_URL="localhost:8080")
    assert ended.code == 1
    assert "OPENAI_BASE_URL must begin with http" in ended.out


def test_a_folder_that_can_not_be_written(home: Home) -> None:
    file = home.path / "no-folder"
    file.touch()
    ended = home.call("doctor", SMARTCAMPAIGN_HOME=str(file / "home"))
    assert ended.code == 1
    assert "can't be written" in ended.out
    assert "SMARTCAMPAIGN_HOME" in ended.out


def test_a_lock_that_is_held_is_named(home: Home) -> None:
    folder = home.path / "elsewhere"
    folder.mkdir()
    holder = fasteners.InterProcessLock(folder / "start.lock")
    assert locks(folder).level == "ok"
    with holder:
        (folder / "data").mkdir()
        (folder / "data" / "postmaster.pid").write_text("2147483000\n")
    assert "killed" in locks(folder).what


def settings(base: str, name: str = "scripted") -> Settings:
    return Settings(model=name, openai_base_url=base, openai_api_key=SecretStr("sk-secret"))


def test_the_model_endpoint(model: ScriptedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert language_model(settings(model.url)).level == "ok"
    unknown = language_model(settings(model.url, "gpt-x"))
    assert (unknown.level, "scripted" in unknown.what) == ("warning", True)
    down = language_model(settings("http://127.0.0.1:1/v1"))
    assert down.level == "problem"
    assert "sk-secret" not in down.what + down.to_do
    monkeypatch.setattr(doctor, "MODEL_TIME", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert "does not answer" in language_model(settings(f"http://127.0.0.1:{mute.getsockname()[1]}/v1")).what


def test_within_gives_up() -> None:
    began = time.monotonic()
    with pytest.raises(TooSlow):
        within(0.1, lambda: time.sleep(2))
    assert time.monotonic() - began < 1
    with pytest.raises(ZeroDivisionError):
        within(1, lambda: 1 // 0)
