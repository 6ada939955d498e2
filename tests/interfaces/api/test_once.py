"""Writes that are done once: repeats, races, other bodies, crashes, and what becomes of stored answers."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db import idempotency
from interfaces.api import once
from tests.conftest import NOW
from tests.interfaces.api.conftest import House, served
from tools import BY_NAME, approvals
from tools.base import Context

ADA = {"email": "ada@example.org"}
CREATE = "/api/tools/create_contact"


async def contacts(house: House) -> int:
    return len(await house.rows("SELECT 1 FROM contacts"))


async def test_asked_again_the_first_answer_comes_back_and_nothing_is_done(house: House) -> None:
    client = house.as_role("editor", Idempotency_Key="a")
    first, second = await client.post(CREATE, json=ADA), await client.post(CREATE, json=ADA)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    # Without the key it is a second contact with the same address.
    assert (await house.as_role("editor").post(CREATE, json=ADA)).status_code == 409
    assert len(await house.rows("SELECT 1 FROM audit_log WHERE tool = 'create_contact' AND outcome = 'done'")) == 1


async def test_the_key_with_another_request_is_refused(house: House) -> None:
    client = house.as_role("editor", Idempotency_Key="a")
    await client.post(CREATE, json=ADA)
    for answer in (
        await client.post(CREATE, json={"email": "grace@example.org"}),
        await client.post("/api/tools/create_campaign", json={"name": "Lamp Week"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert await contacts(house) == 1
    assert await house.rows("SELECT 1 FROM campaigns") == []


async def test_two_at_once_are_done_once_and_answered_alike(house: House) -> None:
    client = house.as_role("editor", Idempotency_Key="a")
    answers = await asyncio.gather(*(client.post(CREATE, json=ADA) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await contacts(house) == 1


async def test_a_request_that_was_sent_and_decided_twice_is_one(house: House, ctx: Context) -> None:
    await BY_NAME["create_contact"].call(ADA, ctx)
    client = house.as_role("owner")
    erase, once_only = {"contact": ADA["email"]}, {"Idempotency-Key": "a"}
    asked = [await client.post("/api/tools/delete_contact", json=erase, headers=once_only) for _ in range(2)]
    assert [answer.status_code for answer in asked] == [202, 202]
    assert len(await approvals.waiting(ctx)) == 1
    id = asked[1].json()["result"]["approval_id"]
    decided = [
        await client.post(f"/api/approvals/{id}/decision", json={"approve": True}, headers={"Idempotency-Key": "b"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in decided] == [200, 200]
    assert decided[0].json() == decided[1].json()


async def test_what_was_refused_did_nothing_and_frees_its_key(house: House, ctx: Context) -> None:
    client = house.as_role("editor", Idempotency_Key="a")
    assert (await client.post(CREATE, json={"email": "nobody"})).status_code == 422
    assert (await client.post(CREATE, json=ADA)).status_code == 200
    assert await contacts(house) == 1


async def test_keys_are_each_callers_own(house: House, other: Context) -> None:
    theirs = await house.new_key("the editor", tenant=other.tenant)
    for client in (house.as_role("editor"), house.as_role("sender"), house.client(theirs)):
        answer = await client.post(CREATE, json={"email": f"{uuid4()}@example.org"}, headers={"Idempotency-Key": "a"})
        assert answer.status_code == 200
        assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "tab\there"])
async def test_a_key_that_cannot_be_one_is_refused(house: House, key: str) -> None:
    answer = await house.as_role("editor").post(CREATE, json=ADA, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert await contacts(house) == 0


async def test_a_crash_before_the_write_leaves_the_key_to_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program dies with the key taken and nothing written: after the lease the same request is done."""
    monkeypatch.setattr(once, "PATIENCE", 0.3)
    client = house.as_role("editor", Idempotency_Key="a")
    await _crashed(house, "a", acted=False)
    answer = await client.post(CREATE, json=ADA)
    assert (answer.status_code, answer.json()["code"]) == (409, "in_progress")
    assert answer.headers["retry-after"]
    await house.rows("UPDATE idempotency_keys SET running_until = now() - interval '1 second' RETURNING 1")
    assert (await client.post(CREATE, json=ADA)).status_code == 200
    assert await contacts(house) == 1


async def test_a_crash_after_the_write_is_not_done_again(house: House) -> None:
    client = house.as_role("editor", Idempotency_Key="a")
    await _crashed(house, "a", acted=True)
    await house.rows("UPDATE idempotency_keys SET running_until = now() - interval '1 second' RETURNING 1")
    answer = await client.post(CREATE, json=ADA)
    assert (answer.status_code, answer.json()["code"]) == (409, "in_doubt")
    assert await contacts(house) == 0


async def _crashed(house: House, key: str, *, acted: bool) -> None:
    """A request that took its key and never came back, as a killed program leaves it."""
    ctx = house.ctx
    body = b'{"email":"ada@example.org"}'
    said = hashlib.sha256(f"POST {CREATE}?\n".encode() + body).digest()
    claim = idempotency.Claim(ctx.tenant.id, "the editor (key)", hashlib.sha256(key.encode()).digest(), uuid4())
    async with ctx.database.transaction(ctx.tenant.id) as db:
        assert await idempotency.begin(
            db, claim, request_hash=said, seconds=30, at=NOW, expires_at=NOW + timedelta(days=1)
        )
        if acted:
            assert await idempotency.note_acted(db, claim)


async def test_that_it_was_done_is_noted_in_the_writes_own_transaction(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer can't be stored: the write is there, and so is the note of it."""

    async def broken(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(idempotency, "finish", broken)
    client = house.as_role("editor", Idempotency_Key="a")
    assert (await client.post(CREATE, json=ADA)).status_code == 503
    assert await house.rows("SELECT acted, status FROM idempotency_keys") == [(True, None)]
    await house.rows("UPDATE idempotency_keys SET running_until = now() - interval '1 second' RETURNING 1")
    assert (await client.post(CREATE, json=ADA)).json()["code"] == "in_doubt"
    assert await contacts(house) == 1


async def test_a_request_that_lost_its_key_meanwhile_writes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held up past its lease, and another one with the key has begun: its write is rolled back."""
    from tools import contacts as tool

    vector = tool.note_vector

    async def slow(*arguments: Any) -> Any:
        await house.rows("UPDATE idempotency_keys SET owner = %s RETURNING 1", uuid4())
        return await vector(*arguments)

    monkeypatch.setattr(tool, "note_vector", slow)
    answer = await house.as_role("editor", Idempotency_Key="a").post(CREATE, json=ADA)
    assert (answer.status_code, answer.json()["code"]) == (409, "in_progress")
    assert await contacts(house) == 0


async def test_answers_are_forgotten_after_a_day(ctx: Context) -> None:
    clock = [NOW]
    async with served(dataclasses.replace(ctx, now=lambda: clock[0])) as house:
        client = house.as_role("editor")
        await client.post(CREATE, json=ADA, headers={"Idempotency-Key": "a"})
        clock[0] = NOW + timedelta(hours=23, minutes=59)
        assert (await client.post(CREATE, json=ADA, headers={"Idempotency-Key": "a"})).status_code == 200
        clock[0] = NOW + timedelta(hours=24)
        answer = await client.post(CREATE, json={"email": "b@example.org"}, headers={"Idempotency-Key": "b"})
        assert answer.status_code == 200
        assert len(await house.rows("SELECT 1 FROM idempotency_keys")) == 1
        assert (await client.post(CREATE, json=ADA, headers={"Idempotency-Key": "a"})).status_code == 409


async def test_an_erasure_removes_stored_answers_and_keeps_that_they_were_given(house: House, ctx: Context) -> None:
    client = house.as_role("owner", Idempotency_Key="a")
    await client.post(CREATE, json=ADA | {"description": "collects punched cards"})
    assert b"punched" in bytes((await house.rows("SELECT answer FROM idempotency_keys"))[0][0])
    asked = await BY_NAME["delete_contact"].call({"contact": ADA["email"]}, ctx)
    await approvals.decide(str(asked.approval_id), approve=True, ctx=ctx)
    assert await house.rows("SELECT answer, status FROM idempotency_keys") == [(None, 200)]
    answer = await client.post(CREATE, json=ADA | {"description": "collects punched cards"})
    assert (answer.status_code, answer.json()["code"]) == (409, "answer_gone")


async def test_a_database_dump_holds_no_idempotency_key(house: House) -> None:
    await house.as_role("editor").post(CREATE, json=ADA, headers={"Idempotency-Key": "add-ada@example.org"})
    ((row,),) = await house.rows("SELECT row_to_json(k)::text FROM idempotency_keys k")
    assert "add-ada" not in row
