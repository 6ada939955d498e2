"""Fault F8: a language model that is slow, over its limit, or writes nonsense. Over real HTTP, on the real ledger.

A turn must end in an answer or a sentence that says what is wrong, and nothing may be written that nobody asked for.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from agent.choice import Mode
from agent.events import Done, Failed
from evals.scripted_model import Answer, ScriptedModel, call
from tests.agent.conftest import Talk, model, talk_with
from tests.chaos.conftest import FULL, pick, tell
from tools import ALL_TOOLS, BY_NAME
from tools.base import Context

__all__ = ["model"]  # a fixture

pytestmark = pytest.mark.slow

TABLES = ("contacts", "campaigns", "campaign_contacts", "campaign_emails", "approvals", "deliveries", "test_mails",
          "suppressions")  # fmt: skip


async def written(ctx: Context) -> dict[str, tuple[int, str | None]]:
    """How many rows each table of the tenant has, and what is in them."""
    found = {}
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        for table in TABLES:
            cursor = await db.execute(
                f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t".encode()
            )
            row = await cursor.fetchone()
            assert row is not None
            found[table] = (row[0], row[1])
    return found


def nonsense(chance: random.Random, mode: Mode = "native") -> Iterator[Answer]:
    """Tool calls that no schema allows, without end: each kind in turn, with another tool each time.

    In json-schema mode arguments that a tool does not have are a slip that is put right, so they are left out there.
    """
    good: dict[str, dict[str, Any]] = {
        "create_contact": {"email": "ada@example.org", "first_name": "Ada"},
        "create_campaign": {"name": "Harvest Fair"},
        "add_contacts_to_campaign": {"campaign": "Standing", "emails": ["ada@example.org"]},
        "send_campaign": {"campaign": "Standing"},
        "send_test_email": {"campaign": "Standing", "to": "ada@example.org"},
        "delete_contact": {"contact": "kit@example.org"},
        "update_contact": {"contact": "kit@example.org", "first_name": "K"},
        "cancel_campaign": {"campaign": "Standing"},
        "draft_email": {"campaign": "Standing", "instructions": "10% off"},
    }

    def cut(name: str) -> str:
        text = json.dumps(good[name])
        return text[: chance.randrange(1, len(text))]

    kinds: list[Callable[[str], tuple[str, str]]] = [
        lambda name: (name, cut(name)),
        lambda name: (name, json.dumps(good[name]).replace('"', "'")),
        lambda name: (name, json.dumps(good[name]) + "}"),
        lambda name: (name, "Sure! " + json.dumps(good[name])),
        lambda name: (name, json.dumps([good[name]])),
        lambda name: (name, json.dumps(list(good[name].items()))),
        lambda name: (name, json.dumps(json.dumps(good[name]))),
        lambda name: (name, chance.choice(["null", "7", "true", '"yes"', "NaN"])),
        lambda name: (name, json.dumps(dict.fromkeys(good[name], 7))),
        lambda name: (name, json.dumps(dict.fromkeys(good[name], None))),
        lambda name: (name, json.dumps({key: {"is": value} for key, value in good[name].items()})),
        lambda name: (name, json.dumps(dict.fromkeys(good[name], ""))),
        lambda name: (name, json.dumps(dict.fromkeys(good[name], "\x00"))),
        lambda name: (name, json.dumps(dict.fromkeys(good[name], "x" * 200_000))),
        lambda name: (name, json.dumps({f"{key}s": value for key, value in good[name].items()})),
        lambda name: (name, "[" * 5_000),
        lambda name: (name, '{"a":' * 2_000),
        lambda name: (name, "\x1b[2J\ufffd"),
        lambda name: (name.upper(), json.dumps(good[name])),
        lambda name: (f"{name}; drop table contacts", json.dumps(good[name])),
        lambda name: ("approve", json.dumps({"id": "all"})),
        lambda name: ("", json.dumps(good[name])),
    ]  # fmt: skip
    if mode == "native":
        kinds.append(lambda name: (name, json.dumps(good[name] | {"approve": True, "force": "yes"})))
    while True:
        for kind in chance.sample(kinds, len(kinds)):
            yield Answer(calls=(kind(chance.choice(sorted(good))),))


def in_words(talk: Talk) -> str:
    """The end of the turn; it must be one."""
    end = talk.end
    assert isinstance(end, Done | Failed), talk.events
    text = end.text if isinstance(end, Failed) else talk.text
    assert text.strip(), "no turn ends without a word"
    assert "Traceback" not in text
    return text


async def standing(ctx: Context) -> None:
    """What is there to be spoilt."""
    await BY_NAME["create_contact"].call({"email": "kit@example.org", "first_name": "Kit"}, ctx)
    await BY_NAME["create_campaign"].call({"name": "Standing"}, ctx)


@pytest.mark.parametrize("mode", ["native", "json-schema"])
async def test_f8_malformed_calls_write_nothing_wrong(ctx: Context, model: ScriptedModel, mode: Mode) -> None:
    wanted = pick(500, 60)
    await standing(ctx)
    before = await written(ctx)
    chance = random.Random(8)
    bad = nonsense(chance, mode)
    given = 0
    left = 0

    def answer(body: dict[str, object]) -> Answer:
        nonlocal given, left
        if left == 0:
            return Answer(text="I can't do that." if mode == "native" else json.dumps({"reply": "I can't do that."}))
        left -= 1
        given += 1
        one = next(bad)
        if mode == "native":
            return one
        ((name, arguments),) = one.calls
        return Answer(text=f'{{"calls": [{{"tool": {json.dumps(name)}, "args": {arguments}}}]}}')

    model.always(answer)
    ends: Counter[str] = Counter()
    turns = 0
    while given < wanted:
        if turns % 5 == 0:
            talk = await talk_with(model, ctx, mode=mode)
        left = chance.randrange(1, 6)
        await talk.say("do what you think is best with kit@example.org, ada@example.org and Standing, Harvest Fair")
        ends[type(talk.end).__name__] += 1
        in_words(talk)
        left = 0
        turns += 1
    after = await written(ctx)
    wrong = [table for table in TABLES if before[table] != after[table]]
    tell("F8", f"{mode}: {given} malformed calls in {turns} turns: {len(wrong)} tables changed, {ends['Done']} turns "
               f"ended in an answer, {ends['Failed']} in an error that says what is wrong")  # fmt: skip
    assert wrong == []
    assert ends["Done"] + ends["Failed"] == turns


async def test_f8_a_right_call_among_wrong_ones_is_done_once(ctx: Context, model: ScriptedModel) -> None:
    """A model that gets it right in the end must find nothing of its errors in the way."""
    bad = nonsense(random.Random(5))
    rounds = pick(50, 8)
    for number in range(rounds):
        talk = await talk_with(model, ctx)
        model.script(next(bad), call("create_campaign", name=f"Fair {number}"), "Created.")
        await talk.say(f"create Fair {number}")
        in_words(talk)
        model._answers.clear()
    after = await written(ctx)
    tell("F8", f"{rounds} right calls, each after a malformed one: {after['campaigns'][0]} written")
    assert after["campaigns"][0] == rounds
    assert after["contacts"][0] == 0


async def test_f8_a_list_is_not_read_as_arguments(ctx: Context, model: ScriptedModel) -> None:
    talk = await talk_with(model, ctx, mode="json-schema")
    pairs = {"calls": [{"tool": "create_campaign", "args": [["name", "Harvest Fair"]]}]}
    model.script(json.dumps(pairs), json.dumps({"reply": "I did not."}))
    await talk.say("create Harvest Fair")
    assert in_words(talk) == "I did not."
    assert (await written(ctx))["campaigns"][0] == 0


@pytest.mark.parametrize("is_patient", [True, False], ids=["waited for", "given up"])
async def test_f8_a_slow_model_is_waited_for_or_given_up(ctx: Context, model: ScriptedModel, is_patient: bool) -> None:
    slow = 120 if FULL else 1.5
    patience = slow * 1.5 if is_patient else slow / 5
    talk = await talk_with(model, ctx, patience=patience)
    right = call("create_campaign", name="Harvest Fair")
    model.script(*(Answer(calls=right.calls, delay=slow) for _ in range(1 if is_patient else 6)))
    if is_patient:
        model.script("Created.")
    began = time.monotonic()
    await talk.say("create Harvest Fair")
    took = time.monotonic() - began
    said = in_words(talk)
    campaigns, _ = (await written(ctx))["campaigns"]
    tell(
        "F8",
        f"an answer after {slow:g} s, patience for {patience:g} s: {campaigns} written, ended after {took:.0f} s with "
        f"“{said[:60]}”",
    )
    if is_patient:
        assert (said, campaigns) == ("Created.", 1)
        return
    assert "did not answer in time" in said
    assert took < patience * 4 + 10
    await asyncio.sleep(0 if FULL else slow)
    assert (await written(ctx))["campaigns"][0] == 0, "an answer that comes later is nobody's"


@pytest.mark.parametrize("refusals", [2, 1_000], ids=["for a moment", "for good"])
async def test_f8_a_model_over_its_limit(ctx: Context, model: ScriptedModel, refusals: int) -> None:
    turns = pick(20, 4)
    counted = 0

    def answer(body: dict[str, object]) -> Answer:
        nonlocal counted
        counted += 1
        if counted % (refusals + 1):
            return Answer(status=429, error="slow down", headers={"retry-after-ms": "5"})
        return Answer(text="Here I am.")

    model.always(answer)
    ends: Counter[str] = Counter()
    for _ in range(turns):
        talk = await talk_with(model, ctx)
        await talk.say("hello")
        ends[in_words(talk)] += 1
    tell("F8", f"429 {'twice before each answer' if refusals == 2 else 'for good'}: {turns} turns, {dict(ends)}")
    if refusals == 2:
        assert ends == {"Here I am.": turns}
    else:
        assert all("over its limit (429)" in end for end in ends)
    assert len(model.requests) <= turns * 4, "no storm of tries"


def test_f8_the_nonsense_covers_what_can_be_called() -> None:
    """A kind of effect that is never called wrongly would not be tested."""
    names = {each.calls[0][0] for each in islice(nonsense(random.Random(1)), 2_000)}
    assert {tool.effect for tool in ALL_TOOLS if tool.name in names} == {"write", "send", "erase"}
