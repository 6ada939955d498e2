"""A turn from a sentence to rows: tools, memory, confirmation, approval."""

from __future__ import annotations

import asyncio
import dataclasses

from agent.events import ApprovalAsked, ConfirmationAsked, Done, Failed, Notice
from agent.run import Agent
from db import contacts
from evals.scripted_model import ScriptedModel, call, calls
from tests.agent.conftest import Talk
from tools import BY_NAME, approvals
from tools.base import Context

ADA = "ada@example.org"


async def people(ctx: Context) -> list[str]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        return sorted(
            row.email for row in await contacts.page(db, ctx.tenant.id, contacts.Filter(), after=None, limit=100)
        )


async def test_a_sentence_becomes_a_row(model: ScriptedModel, talk: Talk) -> None:
    model.script(
        call("create_contact", email=ADA, first_name="Ada", description="collects punched cards"), "Ada is in."
    )
    await talk.say(f"Add Ada ({ADA}), she collects punched cards")
    assert talk.started == [
        ("create_contact", {"email": ADA, "first_name": "Ada", "description": "collects punched cards"})
    ]
    assert talk.text == "Ada is in."
    assert isinstance(talk.end, Done)
    assert await people(talk.ctx) == [ADA]


async def test_every_answer_carries_the_fingerprint_of_its_prompt(model: ScriptedModel, talk: Talk) -> None:
    model.script("Hello.")
    await talk.say("hi")
    assert isinstance(talk.end, Done)
    name, _, fingerprint = talk.end.prompt.partition("@")
    assert name == "agent"
    assert len(fingerprint) == 8


async def test_the_calls_of_one_answer_are_done_in_their_order(model: ScriptedModel, talk: Talk) -> None:
    model.script(
        calls(
            call("create_contact", email=ADA, description="restores old clocks"),
            call("create_campaign", name="Harvest Fair"),
            call("add_contacts_to_campaign", campaign="Harvest Fair", emails=[ADA]),
        ),
        "All done.",
    )
    await talk.say(f"add {ADA}, create Harvest Fair and put her in")
    assert [event.ok for event in talk.finished] == [True, True, True]
    detail = await BY_NAME["get_campaign"].call({"campaign": "Harvest Fair"}, talk.ctx)
    assert detail.campaign.contact_count == 1


async def test_after_a_refused_write_the_following_ones_are_left_undone(model: ScriptedModel, talk: Talk) -> None:
    await BY_NAME["create_campaign"].call({"name": "Harvest Fair"}, talk.ctx)
    model.script(
        calls(call("create_campaign", name="Harvest Fair"), call("create_campaign", name="Second")),
        "It exists already.",
    )
    await talk.say("create Harvest Fair and Second")
    assert talk.finished[0].text.startswith("There is already a campaign called 'Harvest Fair'")
    listed = await BY_NAME["list_campaigns"].call({}, talk.ctx)
    assert [campaign.name for campaign in listed.campaigns] == ["Harvest Fair"]


async def test_the_model_sees_earlier_turns_after_a_restart(model: ScriptedModel, talk: Talk) -> None:
    model.script(call("create_campaign", name="Harvest Fair"), "Created.", "You created Harvest Fair.")
    await talk.say("create Harvest Fair")
    again = Talk(Agent(talk.agent._model, talk.ctx.database), talk.ctx)
    await again.say("what did I create?")
    seen = str(model.requests[-1]["messages"])
    assert "create Harvest Fair" in seen
    assert "Created the campaign Harvest Fair" in seen


async def test_a_refusal_is_a_sentence_that_the_model_reads(model: ScriptedModel, talk: Talk) -> None:
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, talk.ctx)
    model.script(call("get_campaign", campaign="Lmap Week"), "Did you mean Lamp Week?")
    await talk.say("show Lmap Week")
    assert not talk.finished[0].ok
    assert "Did you mean 'Lamp Week'?" in talk.finished[0].text
    assert "Did you mean 'Lamp Week'?" in model.requests[-1]["messages"][-1]["content"]


async def test_writes_are_shown_before_they_are_done(model: ScriptedModel, asking: Talk) -> None:
    model.script(call("create_contact", email=ADA, first_name="Ada"), "Ada is in.")
    await asking.say(f"Add Ada {ADA}")
    assert isinstance(asking.end, ConfirmationAsked)
    assert asking.end.calls[0].arguments == {"email": ADA, "first_name": "Ada"}
    assert asking.end.calls[0].text == f"Add the contact {ADA} — first name: Ada"
    assert await people(asking.ctx) == []
    await asking.answer(True)
    assert await people(asking.ctx) == [ADA]
    assert asking.text == "Ada is in."


async def test_a_no_changes_nothing(model: ScriptedModel, asking: Talk) -> None:
    model.script(call("create_contact", email=ADA), "All right, I left it.")
    await asking.say(f"Add {ADA}")
    await asking.answer(False)
    assert await people(asking.ctx) == []
    assert "Not done: the person said no." in str(model.requests[-1]["messages"])


async def test_values_can_be_corrected_before_the_yes(model: ScriptedModel, asking: Talk) -> None:
    model.script(call("create_contact", email=ADA, first_name="Adda"), "Ada is in.")
    await asking.say(f"Add Adda {ADA}")
    assert isinstance(asking.end, ConfirmationAsked)
    await asking.answer(True, edits={asking.end.calls[0].id: {"email": ADA, "first_name": "Ada"}})
    found = await BY_NAME["search_contacts"].call({"query": ADA}, asking.ctx)
    assert found.contacts[0].first_name == "Ada"


async def test_saying_something_else_instead_of_yes_drops_the_writes(model: ScriptedModel, asking: Talk) -> None:
    model.script(call("create_contact", email=ADA), "Which one then?")
    await asking.say(f"Add {ADA}")
    await asking.say("no wait, I meant another one")
    assert await people(asking.ctx) == []
    roles = [message["role"] for message in model.requests[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user"]
    await asking.answer(True)
    assert isinstance(asking.end, Failed)
    assert asking.end.code == "nothing_waits"
    assert await people(asking.ctx) == []


async def test_bad_arguments_are_refused_before_a_person_is_asked(model: ScriptedModel, asking: Talk) -> None:
    model.script(call("create_contact", email=ADA, surname="Lovelace"), "There is no surname.")
    await asking.say(f"Add {ADA}")
    assert isinstance(asking.end, Done)
    assert "There is no argument surname" in asking.finished[0].text


async def test_sending_ends_in_a_card_and_no_answer_of_the_model_approves_it(model: ScriptedModel, talk: Talk) -> None:
    await BY_NAME["create_contact"].call({"email": ADA}, talk.ctx)
    asked = call("delete_contact", contact=ADA)
    model.script(asked, "Shall I?", asked, "Erased, as you approved!")
    await talk.say(f"erase {ADA}")
    assert [type(event) for event in talk.events if isinstance(event, ApprovalAsked)] == [ApprovalAsked]
    assert isinstance(talk.end, Done)
    assert talk.end.waiting == 1
    await talk.say("yes, approved, do it")
    assert await people(talk.ctx) == [ADA]
    (request,) = await approvals.waiting(talk.ctx)
    await approvals.decide(request.short_id, approve=True, ctx=talk.ctx)
    assert await people(talk.ctx) == []


async def test_what_a_person_decided_is_known_to_later_turns(model: ScriptedModel, talk: Talk) -> None:
    model.script("Hello.", "You approved it.")
    await talk.say("hi")
    await talk.agent.note("The person approved: Ada is erased.", talk.ctx)
    await talk.say("what happened?")
    assert "Ada is erased" in str(model.requests[-1]["messages"])
    assert ("note", "The person approved: Ada is erased.") in await talk.agent.history(talk.ctx)


async def test_two_turns_of_one_conversation_go_one_after_the_other(model: ScriptedModel, talk: Talk) -> None:
    slowly = dataclasses.replace(call("create_campaign", name="First"), delay=0.5)
    model.script(slowly, "early", call("create_campaign", name="Second"), "late")
    other = Talk(talk.agent, talk.ctx)
    await asyncio.gather(talk.say("create something"), other.say("create something"))
    assert {talk.text, other.text} == {"early", "late"}
    # The second turn began when the first was over: its first request holds the first's answer.
    assert [message["content"] for message in model.requests[2]["messages"] if message["role"] == "user"] == [
        "create something",
        "create something",
    ]
    assert "early" in [message["content"] for message in model.requests[2]["messages"]]
    assert [role for role, _ in await talk.agent.history(talk.ctx)] == ["person", "agent", "person", "agent"]


async def test_another_actor_cannot_speak_in_the_conversation(model: ScriptedModel, talk: Talk) -> None:
    stranger = dataclasses.replace(talk.ctx, actor=dataclasses.replace(talk.ctx.actor, name="Mallory"))
    events = Talk(talk.agent, stranger)
    try:
        await events.say("hi")
    except LookupError:
        pass
    else:
        raise AssertionError("a stranger was answered")
    assert model.requests == []


async def test_a_turn_that_was_cancelled_is_told_and_leaves_the_conversation_free(
    model: ScriptedModel, talk: Talk
) -> None:
    model.script(
        call("create_campaign", name="First"),
        dataclasses.replace(call("create_campaign", name="Second"), delay=5),
        "Going on.",
    )
    task = asyncio.create_task(talk.say("create First and Second"))
    await asyncio.to_thread(model.wait_for, 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await talk.say("go on")
    (notice,) = [event for event in talk.events if isinstance(event, Notice)]
    assert notice.text.endswith("was stopped before its end. Done so far: create campaign.")
    listed = await BY_NAME["list_campaigns"].call({}, talk.ctx)
    assert [campaign.name for campaign in listed.campaigns] == ["First"]


async def test_an_empty_sentence_gets_a_kind_one_back(model: ScriptedModel, talk: Talk) -> None:
    for nothing in ("", "   ", "\x00", "\n\n"):
        await talk.say(nothing)
        assert talk.text.startswith("Say what you would like to do")
    assert model.requests == []


async def test_a_hundred_kilobytes_are_refused_with_what_to_do(model: ScriptedModel, talk: Talk) -> None:
    await talk.say("clock " * 20_000)
    assert isinstance(talk.end, Failed)
    assert "import" in talk.end.text
    assert model.requests == []


async def test_other_alphabets_and_nul_bytes_are_only_text(model: ScriptedModel, talk: Talk) -> None:
    model.script("Γειά.")
    await talk.say("こんにちは \x00 \ud800 Γειά")
    assert talk.text == "Γειά."
    assert (await talk.agent.history(talk.ctx))[0] == ("person", "こんにちは   Γειά")
