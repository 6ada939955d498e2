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
