"""Any text at all: a sentence or calls within the contract, quickly, never an exception."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.planner import ARGUMENTS, Call, Memory, Planner, Situation, Understanding
from agent.planner.intents import Intents

WORDS = st.sampled_from(
    [
        "add",
        "send",
        "delete",
        "create",
        "Lamp",
        "Week",
        "ada@example.org",
        "to",
        "from",
        "it",
        "her",
        "no,",
        "Thursday",
        "yes",
        "31.2.",
        "25:00",
        "+43",
        "#vip",
        '"x"',
        "'",
        ",",
        ".",
        "?",
        "and",
        "then",
        "campaign",
        "contacts",
        "who",
        "likes",
        "é",
        "ü",
        "\ue000",
        "\x00",
        "morgen",
        "demain",
        "lunes",
        "\n\n",
        "email,name",
        "a@b,c",
        "tag",
        "draft",
        "mail",
        "for",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=14).map(" ".join))
WAITING = Memory("Lamp Week", "ada@example.org", "tea", (Call("send_campaign", {"campaign": "Lamp Week"}),), True)


def check(understood: Understanding) -> None:
    for call in understood.calls:
        assert call.arguments.keys() <= ARGUMENTS[call.tool]
        assert "\ue000" not in str(call.arguments)
    assert understood.calls if understood.kind == "calls" else understood.reply


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, memory=st.sampled_from([Memory(), WAITING]))
def test_any_text(planner: Planner, situation: Situation, text: str, memory: Memory) -> None:
    check(planner.understand(text, situation, memory))


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\x00", "?!", "...", "🙂🙂", "---", '""', "''"])
def test_nothing_said_gets_a_kind_sentence(planner: Planner, situation: Situation, text: str) -> None:
    understood = planner.understand(text, situation)
    assert not understood.calls
    assert understood.reply


@pytest.mark.parametrize("text", ["灯を全部送って", "пришли мне все", "أرسل الحملة", "שלח את זה", "ส่งมันเลย"])
def test_other_alphabets(planner: Planner, situation: Situation, text: str) -> None:
    understood = planner.understand(text, situation)
    check(understood)
    assert understood.kind != "calls"


@pytest.mark.parametrize(
    "piece",
    ["a", "send Lamp Week ", "a@b.c ", "1234567 ", "and ", '"', "who who ", "x,y\n", "tag ", "(", "am 1.1. "],
)
def test_a_hundred_kilobytes_return_at_once(planner: Planner, situation: Situation, piece: str) -> None:
    text = piece * (100_000 // len(piece))
    planner.understand(text, situation)
    start = time.perf_counter()
    check(planner.understand(text, situation))
    # A tenth of a second on an idle machine; the test allows for a busy one.
    assert time.perf_counter() - start < 1.0


def test_the_examples_explain_each_other(planner: Planner) -> None:
    intents: Intents = planner._intents
    assert intents.left_out() > 0.8
