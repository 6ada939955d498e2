"""References to earlier turns, corrections, and answers to a question."""

from __future__ import annotations

from typing import Any

import pytest

from agent.planner import Call, Memory, Planner, Situation, Understanding, remember
from tests.agent.planner.conftest import Say

REFERENCES: list[tuple[tuple[str, ...], str, dict[str, Any]]] = [
    (
        ("create Mirror Week about mirrors", "add everyone who frames pictures to it"),
        "add_contacts_to_campaign",
        {"campaign": "Mirror Week", "query": "frames pictures"},
    ),
    (
        ("show Harvest Fair", "draft a friendly mail for it"),
        "draft_email",
        {"campaign": "Harvest Fair", "tone": "friendly"},
    ),
    (
        ("who likes tea", "add them to Harvest Fair"),
        "add_contacts_to_campaign",
        {"campaign": "Harvest Fair", "query": "tea"},
    ),
    (
        ("add Nia Price nia@birch.example", "tag her vip"),
        "update_contact",
        {"contact": "nia@birch.example", "tags": ["vip"]},
    ),
    (("look up Nia Price", "delete her"), "delete_contact", {"contact": "Nia Price"}),
    (("how did Lamp Week do", "and Harvest Fair?"), "summarize_performance", {"campaign": "Harvest Fair"}),
    (
        ("zeig Lamp Week", "sende sie morgen um 9 Uhr"),
        "send_campaign",
        {"campaign": "Lamp Week", "send_at": "2026-11-19T09:00:00+01:00"},
    ),
]


@pytest.mark.parametrize(("turns", "tool", "arguments"), REFERENCES)
def test_reference(say: Say, turns: tuple[str, ...], tool: str, arguments: dict[str, Any]) -> None:
    assert [(call.tool, call.arguments) for call in say(*turns).calls] == [(tool, arguments)]


CORRECTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (
        ("send Lamp Week on Friday at 11am", "no, Thursday"),
        {"campaign": "Lamp Week", "send_at": "2026-11-19T11:00:00+01:00"},
    ),
    (
        ("send Lamp Week on Friday", "actually make it 10am"),
        {"campaign": "Lamp Week", "send_at": "2026-11-20T10:00:00+01:00"},
    ),
    (
        ("send Harvest Fair tomorrow", "I meant Lamp Week"),
        {"campaign": "Lamp Week", "send_at": "2026-11-19T09:00:00+01:00"},
    ),
    (("draft a funny mail for Harvest Fair", "no, serious"), {"campaign": "Harvest Fair", "tone": "serious"}),
    (
        ("send a test of Lamp Week to a@x.example", "no, to b@x.example"),
        {"campaign": "Lamp Week", "to": "b@x.example"},
    ),
    (
        ("create contact bob@x.example, Bob Hill", "sorry, Bob Hall"),
        {"email": "bob@x.example", "first_name": "Bob", "last_name": "Hall"},
    ),
]


@pytest.mark.parametrize(("turns", "arguments"), CORRECTIONS)
def test_correction_of_what_still_waits(say: Say, turns: tuple[str, ...], arguments: dict[str, Any]) -> None:
    first, answer = say(turns[0]), say(*turns, undone=True)
    assert [(call.tool, call.arguments) for call in answer.calls] == [(first.calls[0].tool, arguments)]


def test_correction_of_what_is_done_repairs_it(say: Say) -> None:
    (call,) = say("create contact bob@x.example, Bob Hill", "sorry, Bob Hall").calls
    assert call == Call("update_contact", {"contact": "bob@x.example", "first_name": "Bob", "last_name": "Hall"})


def test_a_request_that_begins_with_no_is_a_request(say: Say) -> None:
    (call,) = say("send Lamp Week on Friday", "no, cancel Harvest Fair", undone=True).calls
    assert call == Call("cancel_campaign", {"campaign": "Harvest Fair"})


def test_yes_carries_out_what_waits_and_only_that(planner: Planner, situation: Situation) -> None:
    waiting = (Call("cancel_campaign", {"campaign": "Lamp Week"}),)
    assert planner.understand("yes please", situation, Memory(calls=waiting, undone=True)).calls == waiting
    assert planner.understand("yes please", situation, Memory(calls=waiting)).kind == "talk"


def test_the_answer_to_a_question_completes_the_call(say: Say) -> None:
    assert say("send a test of Lamp Week").kind == "ask"
    (call,) = say("send a test of Lamp Week", "to me@example.org").calls
    assert call == Call("send_test_email", {"campaign": "Lamp Week", "to": "me@example.org"})


def test_two_campaigns_leave_no_single_one_behind() -> None:
    two = tuple(Call("summarize_performance", {"campaign": name}) for name in ("Lamp Week", "Harvest Fair"))
    assert remember(Memory(campaign="Old"), Understanding("calls", two)).campaign is None


TAKEN_BACK = [
    ("send Harvest Fair on Friday at 9, no, Saturday", "2026-11-21T09:00:00+01:00"),
    ("send Lamp Week, I mean Harvest Fair, at 8, no, at 9 tomorrow", "2026-11-19T09:00:00+01:00"),
    ("verschicke Harvest Fair am Freitag, nein, am Sonntag um 11 Uhr", "2026-11-22T11:00:00+01:00"),
]


@pytest.mark.parametrize(("sentence", "moment"), TAKEN_BACK)
def test_what_is_taken_back_in_the_same_breath(say: Say, sentence: str, moment: str) -> None:
    (call,) = say(sentence).calls
    assert call == Call("send_campaign", {"campaign": "Harvest Fair", "send_at": moment})


def test_other_words_taken_back(say: Say) -> None:
    (renamed,) = say("rename Lamp Week to Cheese Fair, scratch that, Chutney Fair").calls
    assert renamed.arguments["name"] == "Chutney Fair"
    (drafted,) = say("draft a solemn, no wait, a jolly mail for Lamp Week").calls
    assert drafted.arguments == {"campaign": "Lamp Week", "tone": "jolly"}


def test_a_wait_that_takes_nothing_back(say: Say) -> None:
    understood = say("add ada@x.example, wait, and bob@x.example too")
    assert "ada@x.example" in repr(understood.calls)
    assert "bob@x.example" in repr(understood.calls)


WHOLE_SENTENCES = [
    (("send Harvest Fair on Friday at 10", "Sorry, I gave you the wrong day, it ought to be Saturday."), "send_at"),
    (("send a test of Harvest Fair to ana@x.example", "That has a typo, the right one is anna@x.example."), "to"),
    (("rename Harvest Fair to Apple Fair", "Hmm, Pear Fair sounds nicer."), "name"),
    (("rename Harvest Fair to Glow Season", "Glow Nights, not Glow Season"), "name"),
    (("find people who like tea", "only the first ten of them"), "limit"),
    (("move Harvest Fair to 3 March", "that clashes, the 10th is better"), "start_date"),
]
RIGHT = {
    "send_at": "2026-11-21T10:00:00+01:00",
    "to": "anna@x.example",
    "limit": 10,
    "start_date": "2027-03-10",
}


@pytest.mark.parametrize(("turns", "changed"), WHOLE_SENTENCES)
def test_a_correction_in_a_whole_sentence(say: Say, turns: tuple[str, str], changed: str) -> None:
    (before,), (after,) = say(turns[0]).calls, say(*turns, undone=True).calls
    assert after.tool == before.tool
    assert {name for name in after.arguments if after.arguments[name] != before.arguments.get(name)} == {changed}
    assert after.arguments[changed] == RIGHT.get(changed, after.arguments[changed])
    assert after.arguments[changed] not in ("Glow Season", "Apple Fair")


def test_a_correction_that_still_lacks_something_asks(say: Say) -> None:
    understood = say("send it on Friday", "no, Thursday", undone=True)
    assert understood.kind == "ask"


def test_a_hypothesis_is_no_request(say: Say) -> None:
    assert say("if we mailed everyone every day, would they cancel?").kind == "talk"
    assert say("Wenn wir jeden Tag schreiben würden, würden uns die Leute hassen?").kind == "talk"
