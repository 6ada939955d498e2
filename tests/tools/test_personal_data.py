"""What somebody may ask for: everything about them, and nothing about others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from evals.scripted_model import ScriptedModel, call
from tests.agent.conftest import talk_with
from tests.tools.test_erasure import erase, find, mailed
from tools import BY_NAME, approvals
from tools.base import Actor, Context, Tenant
from tools.errors import NoSuchContact, NotAllowed
from tools.personal_data import OTHERS, everything_about

ADA = "ada@example.org"


async def about(ctx: Context, whom: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await everything_about(whom, ctx)).as_json())
    return found


@pytest.fixture
async def shop(ctx: Context) -> Context:
    """Ada in a campaign, with a draft of her own, mailed, spoken about, beside Bob, who knows her."""
    for given in (
        {"email": ADA, "first_name": "Ada", "last_name": "Lovelace", "phone_number": "0113 496 0123",
         "description": "collects punched cards", "tags": ["vip"]},
        {"email": "bob@example.org", "first_name": "Bob", "description": "friend of Ada Lovelace, plays the tuba"},
    ):  # fmt: skip
        await BY_NAME["create_contact"].call(given, ctx)
    campaign = await BY_NAME["create_campaign"].call({"name": "Lamp Week", "audience": "everyone"}, ctx)
    await BY_NAME["draft_email"].call({"campaign": "Lamp Week", "instructions": "lamps"}, ctx)
    await BY_NAME["draft_email"].call({"campaign": "Lamp Week", "contact": ADA, "instructions": "her lamp"}, ctx)
    await mailed(ctx, await find(ctx, ADA), campaign.campaign.campaign_id)
    await approvals.decide(
        (await BY_NAME["delete_contact"].call({"contact": ADA}, ctx)).short_id, approve=False, ctx=ctx
    )  # fmt: skip
    await BY_NAME["send_test_email"].call({"campaign": "Lamp Week", "to": ADA}, ctx)
    with ScriptedModel() as model:
        told = f"Ada Lovelace ({ADA}) likes cards.\nBob plays the tuba."
        model.script(call("search_contacts"), "There are two.", told, "Bob.")
        talk = await talk_with(model, ctx)
        for said in ("list my contacts", "what do we know about Ada Lovelace?", "who plays the tuba?"):
            await talk.say(said)
    return ctx


async def test_everything_about_a_contact(shop: Context) -> None:
    found = await about(shop, "Ada Lovelace")
    assert found["about"] == ADA
    assert found["contact"]["description"] == "collects punched cards"
    assert found["contact"]["phone_number"] == "+441134960123"
    assert found["contact"]["tags"] == ["vip"]
    assert found["contact"]["created_at"].endswith("Z")
    assert found["computed_from_the_note"]["model"] == shop.embedder.name
    assert any(found["computed_from_the_note"]["numbers"])
    assert [each["campaign"] for each in found["campaigns"]] == ["Lamp Week"]
    assert [each["campaign"] for each in found["drafts"]] == ["Lamp Week"]
    assert [each["address"] for each in found["mails"]] == [ADA]
    assert {each["kind"] for each in found["events"]} == {"click", "conversion"}
    assert next(each["value"] for each in found["events"] if each["kind"] == "conversion") == 12.5
    assert [each["recipient"] for each in found["captured_mails"]] == [ADA]
    assert {each["action"] for each in found["approval_requests"]} == {"delete_contact", "send_test_email"}
    assert "create_contact" in {each["tool"] for each in found["audit_log"]}
    assert found["suppression"] is None
    assert found["named_in_notes_about_others"] == 1
    (talk,) = found["conversations"]
    assert any("what do we know about Ada Lovelace?" in each["line"] for each in talk["said"])
    assert [each["line"] for each in talk["said"] if each["by"] == "agent"] == [f"Ada Lovelace ({ADA}) likes cards."]
    # What a tool had shown is in the agent's memory alone.
    assert any(line.startswith("| Ada Lovelace |") for line in talk["remembered"])


async def test_others_are_not_in_it(shop: Context) -> None:
    text = (await everything_about(ADA, shop)).as_json()
    assert "tuba" not in text
    assert "bob@example.org" not in text
    assert OTHERS in text
    # Nor are those who worked on it.
    assert "Robin" not in text


async def test_of_an_erased_person_a_hash_is_left(shop: Context) -> None:
    await erase(shop, ADA)
    found = await everything_about(ADA.upper(), shop)
    assert found.text() == "ADA@EXAMPLE.ORG is no contact; a hash keeps it from being mailed."
    left = json.loads(found.as_json())
    assert left["suppression"]["reason"] == "erased"
    assert left["contact"] is None
    lists = [name for name, value in left.items() if isinstance(value, list)]
    assert {name: left[name] for name in lists} == {name: [] for name in lists}


async def test_who_was_never_here(shop: Context) -> None:
    assert (await everything_about("eve@example.org", shop)).text().endswith("nothing keeps it from being mailed.")
    with pytest.raises(NoSuchContact):
        await everything_about("Eve Nobody", shop)


async def test_it_takes_an_owner_and_is_on_record(shop: Context) -> None:
    with pytest.raises(NotAllowed, match="owner"):
        await everything_about(ADA, dataclasses.replace(shop, actor=Actor("Sam", "sender")))
    await everything_about(ADA, shop)
    async with shop.database.transaction(shop.tenant.id) as db:
        cursor = await db.execute(
            "SELECT outcome, arguments, subjects FROM audit_log WHERE tool = 'export person' ORDER BY at, outcome DESC"
        )
        refused, done = await cursor.fetchall()
    assert refused == ("refused: not_allowed", {}, [])
    assert done == ("done", {}, [(await find(shop, ADA)).contact_id])


async def test_another_tenant_knows_nothing(shop: Context, new_tenant: Callable[..., Tenant]) -> None:
    other = dataclasses.replace(shop, tenant=new_tenant())
    found = await about(other, ADA)
    assert found["contact"] is None
    assert found["conversations"] == []
