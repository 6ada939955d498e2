"""A write rests on what was said or shown, never on what the model brought in; and nothing is about everybody."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.messages.tool import tool_call

from agent.provenance import doubt, invented, names, said
from evals.scripted_model import ScriptedModel, call
from tests.agent.conftest import Talk
from tools import BY_NAME


def wants(tool: str, /, **arguments: Any) -> ToolCall:
    return tool_call(name=tool, args=arguments, id=f"{tool}-{sorted(arguments.items())}")


def doubtful(sentence: str | list[BaseMessage], *calls: ToolCall, strict: bool = False) -> str | None:
    """The first refusal among the calls."""
    messages = [HumanMessage(sentence)] if isinstance(sentence, str) else sentence
    found = (doubt(each, messages, calls, strict=strict) for each in calls)
    return next((each.refusal for each in found if each), None)


def did(tool: str, result: str, /, status: str = "success", **arguments: Any) -> list[BaseMessage]:
    """A call and its result as they stand in a conversation."""
    wanted = wants(tool, **arguments)
    return [
        AIMessage("", tool_calls=[wanted]),
        ToolMessage(result, tool_call_id=wanted["id"], name=tool, status=status),
    ]


@pytest.mark.parametrize(
    ("sentence", "write"),
    [
        ("add Ada", wants("create_contact", email="ada@example.com")),
        ("add ada@example.org.uk", wants("create_contact", email="ada@example.org")),
        ("add ada@example.org", wants("create_contact", email="da@example.org")),
        ("import my friends", wants("import_contacts", csv="email\nbob@example.org")),
        ("put ada@example.org in Lamp Week", wants("add_contacts_to_campaign", campaign="Lamp Week",
                                                   emails=["ada@example.org", "eve@example.org"])),
        ("test Lamp Week", wants("send_test_email", campaign="Lamp Week", to="me@example.org")),
        ("change Ada's number", wants("update_contact", contact="Ada", phone_number="+44 20 7946 0999")),
        ("change Ada's number", wants("update_contact", contact="Ada", phone_number="phone number")),
    ],
)  # fmt: skip
def test_addresses_and_numbers_must_have_been_said(sentence: str, write: ToolCall) -> None:
    assert str(doubtful(sentence, write)).startswith("Nobody gave the ")


@pytest.mark.parametrize(
    ("sentence", "write"),
    [
        ("Add Ada (ADA@Example.org).", wants("create_contact", email="ada@example.org")),
        ("Write to ada@example.org.", wants("create_contact", email="ada@example.org")),
        ("call 020 7946 0999", wants("update_contact", contact="Ada", phone_number="+44 20 7946 0999")),
        ("import\nname;mail\nAda;ada@example.org", wants("import_contacts", csv="name;mail\nAda;ada@example.org")),
        ("cancel lmap week", wants("cancel_campaign", campaign="Lamp Week")),
    ],
)
def test_what_was_said_may_be_written(sentence: str, write: ToolCall) -> None:
    assert doubtful(sentence, write) is None


def test_a_campaign_that_nobody_spoke_of() -> None:
    assert "Nobody spoke of the campaign Lamp Week" in str(
        doubtful("send it", wants("send_campaign", campaign="Lamp Week"))
    )


def test_a_campaign_of_the_same_answer_may_be_used() -> None:
    new = wants("create_campaign", name="Harvest Fair")
    assert doubtful("a campaign for the harvest", new, wants("draft_email", campaign="Harvest Fair")) is None


def test_a_campaign_that_the_model_named_and_created_may_be_used_later() -> None:
    before = [
        HumanMessage("a campaign for clock lovers"),
        *did("create_campaign", "Created the campaign Tick Tock.", name="Tick Tock"),
    ]
    assert doubtful([*before, HumanMessage("draft it")], wants("draft_email", campaign="Tick Tock")) is None


def test_a_refusal_does_not_make_its_value_known() -> None:
    wrong = wants("cancel_campaign", campaign="Lamp Week")
    refused = did("cancel_campaign", "Nobody spoke of the campaign Lamp Week.", status="error", campaign="Lamp Week")
    assert doubtful([HumanMessage("cancel it"), *refused], wrong)


def test_a_search_does_not_make_its_words_known() -> None:
    searched = did("search_contacts", "Nobody found for “eve@made.example”.", query="eve@made.example")
    assert doubtful([HumanMessage("add Eve"), *searched], wants("create_contact", email="eve@made.example"))


def test_what_a_search_found_is_known() -> None:
    searched = did("search_contacts", "1 contact for “Eve”:\n| Eve | eve@real.example |", query="Eve")
    assert not doubtful([HumanMessage("tag Eve"), *searched], wants("update_contact", contact="eve@real.example"))


def test_a_small_model_may_not_pick_from_a_list_it_has_just_called_for() -> None:
    listed = [HumanMessage("cancel the campaign"), *did("list_campaigns", "| Lamp Week |\n| Oak Days |")]
    pick = wants("cancel_campaign", campaign="Lamp Week")
    assert doubtful(listed, pick, strict=True)
    assert not doubtful(listed, pick)
    later = [*listed, AIMessage("Which one?"), HumanMessage("the first one")]
    assert not doubtful(later, pick, strict=True)


@pytest.mark.parametrize(
    "sentence",
    [
        "delete everybody",
        "Erase all contacts",
        "please remove every contact we have",
        "wipe our whole customer list",
        "lösche alle Kontakte",
        "efface tous les contacts",
        "borra todos los contactos",
    ],
)
@pytest.mark.parametrize(
    "contact", ["ada@example.org", "all contacts", "everybody", "all", "*", "every contact we have"]
)
def test_nobody_is_erased_when_everybody_is_meant(sentence: str, contact: str) -> None:
    shown = did("search_contacts", "| Ada | ada@example.org |")
    assert doubtful([HumanMessage(sentence), *shown], wants("delete_contact", contact=contact))


@pytest.mark.parametrize("contact", ["Hugo Lamm", "him", "019a2b3c-0000-7000-8000-000000000000"])
def test_nobody_is_erased_whom_nobody_spoke_of(contact: str) -> None:
    assert str(doubtful("delete him", wants("delete_contact", contact=contact))).startswith(
        "Nobody spoke of the contact"
    )


def test_a_small_model_changes_nobody_whom_nobody_spoke_of() -> None:
    write = wants("update_contact", contact="Hugo Lamm", tags=["vip"])
    assert doubtful("make her a vip", write, strict=True)
    assert not doubtful("make Hugo a vip", write, strict=True)


def test_a_small_model_names_no_campaign_by_itself() -> None:
    write = wants("create_campaign", name="Book a Flight")
    assert doubtful("Book me a flight to Lisbon", write, strict=True)
    assert not doubtful("a campaign called book a flight", write, strict=True)
    assert not doubtful("a campaign about flights", write)


def test_a_post_is_no_send() -> None:
    write = wants("send_campaign", campaign="Lamp Week")
    assert doubtful("post Lamp Week on our wall", write, strict=True)
    assert not doubtful("Lamp Week should go out on Monday", write, strict=True)


def test_several_are_not_erased_unless_each_is_named() -> None:
    shown = did("search_contacts", "| Ada | ada@example.org |\n| Bo | bo@example.org |", query="clocks")
    both = (wants("delete_contact", contact="ada@example.org"), wants("delete_contact", contact="bo@example.org"))
    assert doubtful([HumanMessage("erase the clock people"), *shown], *both)
    assert not doubtful([HumanMessage("erase ada@example.org and bo@example.org"), *shown], *both)
    one_after_another = [
        HumanMessage("erase the clock people"),
        *shown,
        *did("delete_contact", "Asked.", contact="ada@example.org"),
    ]
    assert doubtful(one_after_another, wants("delete_contact", contact="bo@example.org"))


@pytest.mark.parametrize("sentence", ["erase Ada Byron", "Remove all data of ada@example.org", "delete him"])
def test_one_contact_may_be_erased(sentence: str) -> None:
    shown = did("search_contacts", "| Ada Byron | ada@example.org |", query="Ada Byron")
    contact = "Ada Byron" if "Byron" in sentence else "ada@example.org"
    assert not doubtful([*shown, HumanMessage(sentence)], wants("delete_contact", contact=contact))


@pytest.mark.parametrize("sentence", ["send Lamp Week to everybody", "mail Lamp Week to all our customers now"])
def test_nothing_is_sent_to_everybody(sentence: str) -> None:
    assert "own recipients" in str(doubtful(sentence, wants("send_campaign", campaign="Lamp Week")))


@pytest.mark.parametrize(
    "sentence",
    [
        "send Lamp Week",
        "send Lamp Week to everyone in it",
        "send Lamp Week to all contacts with the tag vip",
        "everybody waits for it: send Lamp Week",
    ],
)
def test_a_campaign_may_be_sent_to_its_own(sentence: str) -> None:
    assert doubtful(sentence, wants("send_campaign", campaign="Lamp Week")) is None


def test_everybody_may_be_added_and_then_sent_to() -> None:
    add = wants("add_contacts_to_campaign", campaign="Lamp Week", query="everybody")
    assert not doubtful(
        "send Lamp Week to everybody, add them first", add, wants("send_campaign", campaign="Lamp Week")
    )


def test_what_is_said_is_whole_words() -> None:
    assert names("ada@example.org", "mail ada@example.org.")
    assert not names("lamp", "lampshade")
    assert said([HumanMessage("Hello"), AIMessage("secret")]) == "hello"


def test_the_graph_asks_about_the_call() -> None:
    write = wants("delete_contact", contact="everyone")
    assert invented(write, [HumanMessage("delete everyone")], [write])


async def test_a_model_that_insists_on_its_guess_writes_nothing(model: ScriptedModel, talk: Talk) -> None:
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, talk.ctx)
    guess = call("cancel_campaign", campaign="Lamp Week")
    model.script(guess, guess, "Which campaign?")
    await talk.say("cancel the campaign")
    assert [event.ok for event in talk.finished] == [False, False]
    assert talk.text == "Which campaign?"


async def test_a_model_that_erases_all_it_finds_erases_nobody(model: ScriptedModel, talk: Talk) -> None:
    for address in ("ada@example.org", "bo@example.org"):
        await BY_NAME["create_contact"].call({"email": address}, talk.ctx)
    model.script(call("search_contacts"), call("delete_contact", contact="ada@example.org"), "I can't erase everybody.")
    await talk.say("delete everybody")
    assert [event.ok for event in talk.finished] == [True, False]
