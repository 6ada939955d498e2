"""`smartcampaign ask`: one request over the real program, its streams and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from evals.scripted_model import Answer, ScriptedModel, call
from tests.interfaces.cli.conftest import Home


@pytest.fixture(scope="module")
def tenant(home: Home) -> str:
    assert home.call("tenants", "add", "Ask").code == 0
    return "Ask"


@pytest.fixture
def shop(scripted: Home, tenant: str) -> Home:
    return replace(scripted, environment=scripted.environment | {"SMARTCAMPAIGN_TENANT": tenant})


def test_the_answer_is_on_stdout_and_the_steps_on_stderr(shop: Home, model: ScriptedModel) -> None:
    model.script(call("list_campaigns"), "There are **no** campaigns.")
    ended = shop.run("ask", "which campaigns are there?")
    assert (ended.code, ended.out) == (0, "There are **no** campaigns.\n")
    assert ended.err == "▸ list_campaigns ✓\n"


def test_json_is_one_event_a_line(shop: Home, model: ScriptedModel) -> None:
    model.script(call("create_contact", email="zoe@example.org", first_name="Zoë"), "Added.")
    ended = shop.run("ask", "--json", "--yes", "add Zoë, zoe@example.org")
    assert (ended.code, ended.err) == (0, "")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [event["event"] for event in events[:2]] == ["tool_started", "tool_finished"]
    assert events[0]["tool"] == "create_contact"
    assert events[0]["arguments"] == {"email": "zoe@example.org", "first_name": "Zoë"}
    assert events[1]["result"]["contact"]["first_name"] == "Zoë"
    assert events[-1]["event"] == "done"


def test_a_write_without_yes_is_3_and_not_done(shop: Home, model: ScriptedModel) -> None:
    model.script(call("create_contact", email="not@example.org"))
    ended = shop.call("ask", "add not@example.org")
    assert ended.code == 3
    assert "1. " in ended.err
    assert "not@example.org" in ended.err
    assert "--yes" in ended.err
    assert shop.call("contacts", "show", "not@example.org").code == 1


def test_yes_never_erases(shop: Home, model: ScriptedModel) -> None:
    assert shop.call("contacts", "add", "keep@example.org").code == 0
    model.script(call("delete_contact", contact="keep@example.org"), "I asked for it.")
    ended = shop.call("ask", "--yes", "delete keep@example.org")
    assert ended.code == 3
    assert "smartcampaign approve" in ended.out + ended.err
    assert shop.call("contacts", "show", "keep@example.org").code == 0


def test_what_is_piped_in_goes_along(shop: Home, model: ScriptedModel) -> None:
    model.script("It says hello.")
    assert shop.call("ask", "what does it say?", input="hello from the pipe").code == 0
    assert "hello from the pipe" in json.dumps(model.requests[0])


def test_a_thread_is_continued(shop: Home, model: ScriptedModel) -> None:
    model.script("Early.", "Late.", "Alone.")
    for text in ("first", "second"):
        assert shop.call("ask", "--thread", "t", text).code == 0
    assert shop.call("ask", "alone").code == 0
    assert "first" in json.dumps(model.requests[1])
    assert "first" not in json.dumps(model.requests[2]["messages"][1:])


def test_a_model_that_fails_is_1_and_a_sentence(shop: Home, model: ScriptedModel) -> None:
    model.always(lambda _: Answer(status=401, error="bad key"))
    ended = shop.call("ask", "hello")
    assert (ended.code, ended.out) == (1, "")
    assert "OPENAI_API_KEY" in ended.err
    assert "Traceback" not in ended.err


def test_a_refusal_is_1(shop: Home, model: ScriptedModel) -> None:
    model.script(call("get_campaign", campaign="Lmap Week"), "There is no such campaign.")
    assert shop.call("ask", "show Lmap Week").code == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [("", 0), ("   ", 0), ("x" * 100_000, 1), ("Ünïcödé 日本語 🕰", 0), ("\x1b[2J\x07", 0), ("\udcff\udcfe", 0)],
    ids=["empty", "blank", "100 kB", "alphabets", "escapes", "no UTF-8"],
)
def test_bad_sentences(shop: Home, model: ScriptedModel, text: str, code: int) -> None:
    model.always(lambda _: Answer(text="Fine."))
    ended = shop.call("ask", "--json", text)
    assert ended.code == code, ended.err
    assert [json.loads(line)["event"] for line in ended.out.splitlines()][-1] in ("done", "failed")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("data", [b"a\x00b", b"\xff\xfe\xfa", b"x" * 1_000_000], ids=["NUL", "no UTF-8", "1 MB"])
def test_bad_context(shop: Home, model: ScriptedModel, data: bytes) -> None:
    model.always(lambda _: Answer(text="Fine."))
    ended = shop.call("ask", "what is this?", input=data)
    assert ended.code == (1 if len(data) > 100_000 else 0)
    assert "Traceback" not in ended.err


def test_what_a_model_says_can_not_steer_the_terminal(shop: Home, model: ScriptedModel) -> None:
    model.script("\x1b]owned\x07\x1b[Jhello")
    assert shop.call("ask", "hi").out == "]owned[Jhello\n"


def test_the_planner_answers_without_a_model(home: Home, tenant: str) -> None:
    ended = home.run(
        "ask", "--tenant", tenant, "--yes", "Add Ada Lovelace (ada@example.org), she collects punched cards"
    )
    assert ended.code == 0, ended.err
    assert "Ada Lovelace" in ended.out
    assert "▸ create_contact" in ended.err
    assert "collects punched cards" in home.run("contacts", "show", "ada@example.org", "--tenant", tenant).out
