"""Chat over SSE: the order of events, connections that are lost, two windows, and a program that stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from evals.scripted_model import Answer, ScriptedModel, call
from interfaces.api import chat
from tests.interfaces.api.conftest import House, scripted_settings, served
from tests.interfaces.api.sse import events_of, say
from tools import BY_NAME
from tools.base import Context


async def test_a_turns_events_come_in_order_and_begin_with_the_conversation(
    scripted: House, model: ScriptedModel
) -> None:
    model.script(call("create_contact", email="ada@example.org"), "Added Ada.")
    sent = await say(scripted.as_role("editor"), "add ada@example.org")
    assert [each.event for each in sent if each.event != "text"] == ["thread", "tool_started", "tool_finished", "done"]
    assert "".join(each.data["text"] for each in sent if each.event == "text") == "Added Ada."
    turn = sent[0].data["turn"]
    assert [each.id for each in sent[1:]] == [f"{turn}.{number}" for number in range(len(sent) - 1)]
    assert all(each.data["event"] == each.event for each in sent)


async def test_the_first_event_does_not_wait_for_the_model(scripted: House, model: ScriptedModel) -> None:
    model.script(Answer(text="Hello.", delay=3))
    client = scripted.as_role("viewer")
    async with asyncio.timeout(2), client.stream("POST", "/api/chat", json={"message": "hello"}) as answer:
        events = events_of(answer)
        assert (await anext(events)).event == "thread"
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"


async def test_a_conversation_goes_on_where_it_was(scripted: House, model: ScriptedModel) -> None:
    model.script("Hello Robin.", "You are Robin.")
    client = scripted.as_role("viewer")
    thread = (await say(client, "I am Robin"))[0].data["thread"]
    again = await say(client, "who am I?", thread=thread)
    assert again[0].data["thread"] == thread
    said = [message["content"] for message in model.requests[-1]["messages"]]
    assert "I am Robin" in said
    assert "Hello Robin." in said


async def test_a_lost_connection_loses_nothing(scripted: House, model: ScriptedModel) -> None:
    """Cut after the first event: the turn ends, its work and its words are stored, and all can be read again."""
    model.script(Answer(calls=call("create_contact", email="ada@example.org").calls, delay=0.5), "Added Ada to all.")
    client = scripted.as_role("editor")
    async with client.stream("POST", "/api/chat", json={"message": "add ada@example.org"}) as answer:
        thread = (await anext(events_of(answer))).data["thread"]
    async with client.stream("GET", f"/api/threads/{thread}/events") as answer:
        seen = [event async for event in events_of(answer)]
    assert [each.event for each in seen if each.event != "text"] == ["thread", "tool_started", "tool_finished", "done"]
    assert await scripted.rows("SELECT email FROM contacts") == [("ada@example.org",)]
    messages = (await client.get(f"/api/threads/{thread}/messages")).json()["messages"]
    assert [(each["role"], each["text"]) for each in messages] == [
        ("person", "add ada@example.org"), ("agent", "Added Ada to all."),
    ]  # fmt: skip
    # From the middle on, as a browser that comes back asks.
    async with client.stream(
        "GET", f"/api/threads/{thread}/events", headers={"Last-Event-ID": str(seen[2].id)}
    ) as answer:
        assert [event async for event in events_of(answer)] == seen[3:]
    for strange in ("x", "x.1", f"{seen[0].data['turn']}.-1", f"{seen[0].data['turn']}.99999999999999999"):
        async with client.stream("GET", f"/api/threads/{thread}/events", headers={"Last-Event-ID": strange}) as answer:
            assert [event async for event in events_of(answer)] == seen


async def test_nothing_to_follow_is_said_so(house: House) -> None:
    agent = await house.access.agent()
    client = house.as_role("viewer")
    thread = (await say(client, "hello"))[0].data["thread"]
    assert (await client.get(f"/api/threads/{thread}/events")).status_code == 200
    other = await agent.open_conversation(await house.access.by_key(house.keys["viewer"], "rest"))
    assert (await client.get(f"/api/threads/{other}/events")).status_code == 204


async def test_a_second_message_at_the_same_time_gets_a_clear_answer(scripted: House, model: ScriptedModel) -> None:
    model.script(Answer(text="Slow.", delay=1), "Quick.")
    client = scripted.as_role("viewer")
    async with client.stream("POST", "/api/chat", json={"message": "one"}) as first:
        events = events_of(first)
        thread = (await anext(events)).data["thread"]
        second = await client.post("/api/chat", json={"message": "two", "thread": thread})
        assert (second.status_code, second.json()["code"]) == (409, "busy")
        assert second.headers["retry-after"]
        assert (await client.delete(f"/api/threads/{thread}")).status_code == 409
        # Another window sees the same turn.
        async with client.stream("GET", f"/api/threads/{thread}/events") as window:
            both = await asyncio.gather(_rest(events), _rest(events_of(window)))
    assert both[0] == both[1][1:]
    messages = (await client.get(f"/api/threads/{thread}/messages")).json()["messages"]
    assert [each["text"] for each in messages] == ["one", "Slow."]
    assert (await say(client, "two", thread=thread))[-1].event == "done"


async def _rest(events: AsyncIterator[object]) -> list[object]:
    return [event async for event in events]


async def test_two_programs_at_one_conversation_answer_one_after_the_other(ctx: Context, model: ScriptedModel) -> None:
    settings = scripted_settings(model)
    model.script(Answer(text="First.", delay=1), "Second.")
    async with served(ctx, settings=settings) as one, served(ctx, settings=settings, roles=()) as two:
        key = one.keys["viewer"]
        client, elsewhere = one.client(key), two.client(key)
        async with client.stream("POST", "/api/chat", json={"message": "one"}) as first:
            events = events_of(first)
            thread = (await anext(events)).data["thread"]
            waiting = asyncio.create_task(say(elsewhere, "two", thread=thread))
            await _rest(events)
        assert (await waiting)[-1].event == "done"
        messages = (await client.get(f"/api/threads/{thread}/messages")).json()["messages"]
        assert [each["text"] for each in messages] == ["one", "First.", "two", "Second."]


async def test_a_question_before_a_write_is_answered_once(ctx: Context, model: ScriptedModel) -> None:
    async with served(ctx, settings=scripted_settings(model, "always")) as house:
        client = house.as_role("editor")
        model.script(call("create_contact", email="ada@example.org"), "Added.")
        sent = await say(client, "add ada@example.org")
        assert sent[-1].event == "confirmation_asked"
        (proposed,) = sent[-1].data["calls"]
        assert await house.rows("SELECT 1 FROM contacts") == []
        thread = sent[0].data["thread"]
        edits = {proposed["id"]: proposed["arguments"] | {"first_name": "Ada"}}
        answer = await client.post(f"/api/threads/{thread}/answer", json={"yes": True, "edits": edits, "stream": False})
        assert answer.json()["status"] == "done"
        assert await house.rows("SELECT email, first_name FROM contacts") == [("ada@example.org", "Ada")]
        again = await client.post(f"/api/threads/{thread}/answer", json={"yes": True, "stream": False})
        assert again.json()["status"] == "failed"
        assert len(await house.rows("SELECT 1 FROM contacts")) == 1


async def test_a_role_holds_in_a_conversation_too(scripted: House, model: ScriptedModel) -> None:
    model.script(call("create_contact", email="ada@example.org"), "I may not.")
    sent = await say(scripted.as_role("viewer"), "add ada@example.org")
    finished = [each.data for each in sent if each.event == "tool_finished"]
    assert [(each["ok"], "editor" in each["text"]) for each in finished] == [(False, True)]
    assert await scripted.rows("SELECT 1 FROM contacts") == []


async def test_a_request_that_waits_is_decided_and_the_conversation_knows(
    scripted: House, model: ScriptedModel, ctx: Context
) -> None:
    await BY_NAME["create_contact"].call({"email": "ada@example.org"}, ctx)
    model.script(call("delete_contact", contact="ada@example.org"), "It waits.", "She is gone.")
    client = scripted.as_role("owner")
    sent = await say(client, "erase ada@example.org")
    (asked,) = [each.data for each in sent if each.event == "approval_asked"]
    thread = sent[0].data["thread"]
    decided = await client.post(f"/api/approvals/{asked['id']}/decision", json={"approve": True, "thread": thread})
    assert decided.status_code == 200
    assert await scripted.rows("SELECT 1 FROM contacts") == []
    messages = (await client.get(f"/api/threads/{thread}/messages")).json()["messages"]
    assert messages[-1]["role"] == "note"


async def test_the_model_fails_and_the_turn_ends_in_a_sentence(scripted: House, model: ScriptedModel) -> None:
    model.script(Answer(status=401, error="bad key"))
    sent = await say(scripted.as_role("viewer"), "hello")
    assert (sent[-1].event, sent[-1].data["code"]) == ("failed", "model")


async def test_a_program_that_stops_lets_its_turns_end(ctx: Context, model: ScriptedModel) -> None:
    model.script(Answer(text="All the same.", delay=1))
    async with served(ctx, settings=scripted_settings(model)) as house:
        client = house.as_role("viewer")
        async with client.stream("POST", "/api/chat", json={"message": "hello"}) as answer:
            await anext(events_of(answer))
    async with ctx.database.transaction(ctx.tenant.id) as db:
        said = await (await db.execute("SELECT role, text FROM messages ORDER BY turn, place")).fetchall()
    assert said == [("person", "hello"), ("agent", "All the same.")]


async def test_something_is_heard_while_nothing_happens(
    scripted: House, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "KEEP_ALIVE", 0.1)
    model.script(Answer(text="Hello.", delay=1))
    answer = await scripted.as_role("viewer").post("/api/chat", json={"message": "hello"})
    assert answer.text.count(": ping\n\n") >= 3
    assert "event: done" in answer.text


@pytest.mark.parametrize("body", [
    {}, {"message": ""}, {"message": 7}, {"message": "x" * 20_001}, {"message": "x", "thread": "x"},
    {"message": "x", "more": 1}, {"message": "x", "context": "x" * 60_001}, {"message": "x", "confirm": "yes"},
])  # fmt: skip
async def test_a_message_that_cannot_be_read_is_refused(house: House, body: dict[str, object]) -> None:
    answer = await house.as_role("viewer").post("/api/chat", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert await house.rows("SELECT 1 FROM conversations") == []


async def test_twenty_streams_at_once_all_end_well(scripted: House, model: ScriptedModel) -> None:
    """The short form of bench/chat_streams.py."""
    model.always(lambda body: Answer(text="Hello to everybody.", delay=0.2))
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {scripted.keys['viewer']}"}
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(base_url=scripted.url, headers=headers, limits=limits, timeout=60) as client:

        async def one(number: int) -> tuple[float, str]:
            began = loop.time()
            async with client.stream("POST", "/api/chat", json={"message": f"hello {number}"}) as answer:
                events = events_of(answer)
                await anext(events)
                first = loop.time() - began
                return first, [event.event async for event in events][-1]

        ended = await asyncio.gather(*(one(number) for number in range(20)))
    assert {end for _, end in ended} == {"done"}
    assert sorted(first for first, _ in ended)[10] < 1.0
