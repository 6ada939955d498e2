"""Sentences and the calls they mean; at least one for every tool."""

from __future__ import annotations

from typing import Any

import pytest

from agent.planner import ARGUMENTS
from tests.agent.planner.conftest import Say

ONE: list[tuple[str, str, dict[str, Any]]] = [
    (
        "Add Ada Lovelace (ada@example.org), she collects punched cards",
        "create_contact",
        {
            "email": "ada@example.org",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "description": "collects punched cards",
        },
    ),
    (
        "add ada lovelace ada@example.org 0664 1234567",
        "create_contact",
        {
            "email": "ada@example.org",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "phone_number": "+436641234567",
        },
    ),
    (
        "new subscriber: Tomás O'Brien <tomas@brien.example>",
        "create_contact",
        {"email": "tomas@brien.example", "first_name": "Tomás", "last_name": "O'Brien"},
    ),
    (
        "put jean-luc picard on our contacts: jlp@ship.example, collects flutes",
        "create_contact",
        {
            "email": "jlp@ship.example",
            "first_name": "Jean-Luc",
            "last_name": "Picard",
            "description": "collects flutes",
        },
    ),
    (
        "Lege einen Kontakt für Uwe Seeler an: uwe@ball.example, er repariert Möbel",
        "create_contact",
        {
            "email": "uwe@ball.example",
            "first_name": "Uwe",
            "last_name": "Seeler",
            "description": "repariert Möbel",
        },
    ),
    (
        "change ada@example.org's last name to King",
        "update_contact",
        {"contact": "ada@example.org", "last_name": "King"},
    ),
    (
        "Ada Lovelace moved to ada@king.example",
        "update_contact",
        {"contact": "Ada Lovelace", "email": "ada@king.example"},
    ),
    (
        "tag ada@example.org vip and trade",
        "update_contact",
        {"contact": "ada@example.org", "tags": ["vip", "trade"]},
    ),
    ("please forget Ola Lund completely", "delete_contact", {"contact": "Ola Lund"}),
    ("remove uwe@ball.example from the contacts", "delete_contact", {"contact": "uwe@ball.example"}),
    ("who cares about old clocks?", "search_contacts", {"query": "old clocks"}),
    ("show me 5 vips who like brass", "search_contacts", {"query": "brass", "limit": 5, "tags": ["vip"]}),
    ("who's in Lamp Week and likes tea", "search_contacts", {"query": "tea", "campaign": "Lamp Week"}),
    ("list contacts that bounced", "search_contacts", {"status": "bounced"}),
    ("qui s'intéresse aux horloges ?", "search_contacts", {"query": "horloges"}),
    ("import these\n\nemail,name\na@b.org,Ada", "import_contacts", {"csv": "email,name\na@b.org,Ada"}),
    (
        "just check this first, don't save anything\nemail;name\na@b.org;Ada",
        "import_contacts",
        {"csv": "email;name\na@b.org;Ada", "dry_run": True},
    ),
    (
        "create a campaign called Tile Time about hand-painted tiles, starting next Monday",
        "create_campaign",
        {"name": "Tile Time", "description": "hand-painted tiles", "start_date": "2026-11-23"},
    ),
    (
        'new campaign "Brass & Co" for people who polish brass, begins 3 Jan',
        "create_campaign",
        {"name": "Brass & Co", "audience": "polish brass", "start_date": "2027-01-03"},
    ),
    (
        "crée une campagne Noël Doré sur les bougies",
        "create_campaign",
        {"name": "Noël Doré", "description": "les bougies"},
    ),
    (
        "rename Lamp Week to Lantern Week",
        "update_campaign",
        {"campaign": "Lamp Week", "name": "Lantern Week"},
    ),
    (
        "push Harvest Fair to next Friday",
        "update_campaign",
        {"campaign": "Harvest Fair", "start_date": "2026-11-20"},
    ),
    ("which campaigns are scheduled?", "list_campaigns", {"status": "scheduled"}),
    ("any campaign on clocks?", "list_campaigns", {"query": "clocks"}),
    ("montre-moi les campagnes envoyées", "list_campaigns", {"status": "sent"}),
    ("show Harvest Fair", "get_campaign", {"campaign": "Harvest Fair"}),
    ("when does lamp week start", "get_campaign", {"campaign": "Lamp Week"}),
    (
        "the clock people should all get Harvest Fair",
        "add_contacts_to_campaign",
        {"campaign": "Harvest Fair", "query": "clock"},
    ),
    (
        "put 30 people who weave into Harvest Fair",
        "add_contacts_to_campaign",
        {"campaign": "Harvest Fair", "query": "weave", "limit": 30},
    ),
    (
        "chuck ada@example.org and bob@example.org in harvest fair",
        "add_contacts_to_campaign",
        {"campaign": "Harvest Fair", "emails": ["ada@example.org", "bob@example.org"]},
    ),
    (
        "füge alle, die gern kochen, zu Harvest Fair hinzu",
        "add_contacts_to_campaign",
        {"campaign": "Harvest Fair", "query": "kochen"},
    ),
    (
        "nobody in Leeds should get Lamp Week",
        "remove_contacts_from_campaign",
        {"campaign": "Lamp Week", "query": "Leeds"},
    ),
    (
        "remove ada@example.org from Harvest Fair",
        "remove_contacts_from_campaign",
        {"campaign": "Harvest Fair", "emails": ["ada@example.org"]},
    ),
    (
        "write a warm mail for Harvest Fair saying the cider is free",
        "draft_email",
        {"campaign": "Harvest Fair", "tone": "warm", "instructions": "the cider is free"},
    ),
    (
        "draft a personal mail for each contact in Harvest Fair",
        "draft_email",
        {"campaign": "Harvest Fair", "per_contact": True},
    ),
    (
        "preview harvest fair for ada@example.org",
        "preview_email",
        {"campaign": "Harvest Fair", "contact": "ada@example.org"},
    ),
    ("find emails about free delivery", "search_emails", {"query": "free delivery"}),
    (
        "send a test of Lamp Week to me@example.org",
        "send_test_email",
        {"campaign": "Lamp Week", "to": "me@example.org"},
    ),
    (
        "send Lamp Week tomorrow at 9am Europe/Berlin",
        "send_campaign",
        {"campaign": "Lamp Week", "send_at": "2026-11-19T09:00:00+01:00"},
    ),
    (
        "send Lamp Week on Black Friday",
        "send_campaign",
        {"campaign": "Lamp Week", "send_at": "2026-11-27T09:00:00+01:00"},
    ),
    ("dont send lamp week", "cancel_campaign", {"campaign": "Lamp Week"}),
    ("opens 4 lamp weak??", "summarize_performance", {"campaign": "Lamp Week"}),
    ("how did Black Friday go", "summarize_performance", {"campaign": "Black Friday"}),
    ("wie lief Lamp Week?", "summarize_performance", {"campaign": "Lamp Week"}),
    ("how have we done this month", "summarize_performance", {"since": "2026-11-01"}),
    (
        "lamp week vs harvest fair",
        "compare_campaigns",
        {"campaigns": ["Lamp Week", "Harvest Fair"]},
    ),
    ("how can i get more clicks on lamp week", "suggest_improvements", {"campaign": "Lamp Week"}),
    ("ideas to win back lapsed customers", "suggest_campaigns", {"goal": "win back lapsed customers"}),
]


@pytest.mark.parametrize(("sentence", "tool", "arguments"), ONE)
def test_one_request(say: Say, sentence: str, tool: str, arguments: dict[str, Any]) -> None:
    understood = say(sentence)
    assert [(call.tool, call.arguments) for call in understood.calls] == [(tool, arguments)]
    assert understood.kind == "calls"


def test_every_tool_has_a_sentence() -> None:
    assert {tool for _, tool, _ in ONE} == set(ARGUMENTS)


def test_an_unknown_campaign_is_passed_on_as_written(say: Say) -> None:
    (call,) = say("send Moon Picnic tomorrow").calls
    assert call.arguments["campaign"] == "Moon Picnic"


def test_a_new_campaign_keeps_its_name_though_another_is_spelt_nearly_so(say: Say) -> None:
    (call,) = say("create a campaign called Camp Week about tents").calls
    assert call.arguments["name"] == "Camp Week"


MANY = {
    "create Harvest Moon about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail": [
        ("create_campaign", {"name": "Harvest Moon", "description": "10% off oak furniture"}),
        ("add_contacts_to_campaign", {"campaign": "Harvest Moon", "query": "restores things"}),
        ("draft_email", {"campaign": "Harvest Moon", "tone": "cheerful"}),
    ],
    "find everyone who weaves and add them to Lamp Week": [
        ("search_contacts", {"query": "weaves"}),
        ("add_contacts_to_campaign", {"campaign": "Lamp Week", "query": "weaves"}),
    ],
    "how did Lamp Week do and how can we improve it?": [
        ("summarize_performance", {"campaign": "Lamp Week"}),
        ("suggest_improvements", {"campaign": "Lamp Week"}),
    ],
    "delete nia@birch.example and add ola@birch.example, Ola Lund": [
        ("delete_contact", {"contact": "nia@birch.example"}),
        ("create_contact", {"email": "ola@birch.example", "first_name": "Ola", "last_name": "Lund"}),
    ],
    "show me lamp week and its stats": [
        ("get_campaign", {"campaign": "Lamp Week"}),
        ("summarize_performance", {"campaign": "Lamp Week"}),
    ],
}


@pytest.mark.parametrize(("sentence", "calls"), MANY.items())
def test_several_requests(say: Say, sentence: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert [(call.tool, call.arguments) for call in say(sentence).calls] == calls


def test_what_is_said_twice_is_meant_once(say: Say) -> None:
    (call,) = say("Ada Lovelace asked to be forgotten, erase her please").calls
    assert (call.tool, call.arguments) == ("delete_contact", {"contact": "Ada Lovelace"})
