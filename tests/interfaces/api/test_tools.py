"""Every tool over HTTP: the same answers and refusals as anywhere, and every problem in the same form."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from interfaces.api import problems
from tests.interfaces.api.conftest import House
from tools import ALL_TOOLS, BY_NAME
from tools.base import Context
from tools.errors import ToolError

PROBLEM = "application/problem+json"


async def test_a_tool_answers_with_data_and_words_and_is_audited_as_the_key(house: House) -> None:
    answer = await house.as_role("editor").post(
        "/api/tools/create_contact", json={"email": "ada@example.org", "first_name": "Ada", "tags": ["vip"]}
    )
    assert answer.status_code == 200
    assert answer.json()["result"]["contact"]["email"] == "ada@example.org"
    assert answer.json()["text"] == "Added Ada (ada@example.org): tags: vip."
    assert await house.rows("SELECT actor, role, door, tool, outcome FROM audit_log WHERE tool <> 'create_key'") == [
        ("the editor (key)", "editor", "rest", "create_contact", "done")
    ]


async def test_the_list_of_tools_is_the_one_of_every_door(house: House) -> None:
    listed = (await house.as_role("viewer").get("/api/tools")).json()["tools"]
    assert [tool["name"] for tool in listed] == [tool.name for tool in ALL_TOOLS]
    described = (await house.client().get("/api/openapi.json")).json()
    assert {f"/api/tools/{tool.name}" for tool in ALL_TOOLS} <= set(described["paths"])


async def test_a_send_waits_for_a_person_and_is_decided_once(house: House, ctx: Context) -> None:
    await BY_NAME["create_contact"].call({"email": "ada@example.org"}, ctx)
    await BY_NAME["create_campaign"].call({"name": "Lamp Week", "audience": "everyone"}, ctx)
    await BY_NAME["draft_email"].call({"campaign": "Lamp Week"}, ctx)
    sender, editor = house.as_role("sender"), house.as_role("editor")
    asked = await sender.post("/api/tools/send_campaign", json={"campaign": "Lamp Week"})
    assert asked.status_code == 202
    assert asked.json()["result"]["status"] == "waiting for a person"
    id = asked.json()["result"]["approval_id"]
    waiting = (await sender.get("/api/approvals", params={"state": "pending"})).json()["requests"]
    assert [(each["approval_id"], each["requested_by"]) for each in waiting] == [(id, "the sender (key)")]
    refused = await editor.post(f"/api/approvals/{id}/decision", json={"approve": True})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    done = await sender.post(f"/api/approvals/{id}/decision", json={"approve": True})
    assert (done.status_code, done.json()["decision"]) == (200, "approved")
    again = await sender.post(f"/api/approvals/{id}/decision", json={"approve": True})
    assert (again.status_code, again.json()["code"]) == (409, "approval_over")
    found = (await sender.get(f"/api/approvals/{id}")).json()
    assert (found["state"], found["decided_by"], found["decided_via"]) == ("used", "the sender (key)", "rest")
    assert await house.rows("SELECT status FROM campaigns") == [("scheduled",)]


@pytest.mark.parametrize(("body", "code"), [
    ({}, 422), ({"email": 7}, 422), ({"email": None}, 422), ({"email": "nobody"}, 422), ({"email": ["a@b.cd"]}, 422),
    ({"email": "a@example.org", "tags": "vip"}, 422), ({"email": "a@example.org", "tags": '["vip"]'}, 422),
    ({"email": "a@example.org", "nonsense": 1}, 422), ([], 422), ("x", 422), (None, 422),
    ({"email": "a@example.org", "tags": ["x"] * 51}, 422), ({"email": "a" * 300 + "@example.org"}, 422),
])  # fmt: skip
async def test_arguments_are_taken_exactly_as_they_are_described(house: House, body: Any, code: int) -> None:
    answer = await house.as_role("editor").post("/api/tools/create_contact", json=body)
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["detail"].endswith((".", "?"))
    assert await house.rows("SELECT 1 FROM contacts") == []


@pytest.mark.parametrize(("content", "kind"), [
    (b"{", "application/json"), (b"\xff\xfe", "application/json"), (b'{"email": NaN}', "application/json"),
    (b"[" * 100_000, "application/json"), (b'{"email": "a@example.org"}', "text/plain"),
    (b"email=a@example.org", "application/x-www-form-urlencoded"), (b'{"email": "a@example.org"}', ""),
])  # fmt: skip
async def test_a_body_that_is_no_json_is_refused(house: House, content: bytes, kind: str) -> None:
    answer = await house.as_role("editor").post(
        "/api/tools/create_contact", content=content, headers={"Content-Type": kind} if kind else {}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert await house.rows("SELECT 1 FROM contacts") == []


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/nowhere", 404), ("GET", "/api", 404), ("GET", "/api/nowhere", 404), ("POST", "/api/tools/nothing", 404),
    ("GET", "/api/tools/create_contact", 405), ("DELETE", "/api/contacts", 405), ("PATCH", "/v1/models", 405),
    ("GET", "/api/contacts/not-an-id", 422), ("GET", "/api/contacts?limit=0", 422), ("GET", "/api/contacts/", 404),
    ("GET", "/api/contacts?limit=101", 422), ("GET", "/api/contacts?cursor=%00", 422),
    ("GET", "/api/contacts?cursor=WyJ4Il0", 422), ("GET", "/api/deliveries?cursor=WyJ4IiwieSJd", 422),
    ("GET", "/api/deliveries?state=nothing", 422), ("GET", "/api/approvals?cursor=eyJ4IjoxfQ", 422),
])  # fmt: skip
async def test_every_problem_has_the_same_form(house: House, method: str, path: str, status: int) -> None:
    answer = await house.as_role("owner").request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    body = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == status
    assert body["type"] == f"urn:smartcampaign:problem:{body['code']}"
    if status == 405:
        assert answer.headers["allow"]


async def test_405_names_every_method_of_the_address(house: House) -> None:
    answer = await house.as_role("owner").put(f"/api/threads/{uuid4()}")
    assert answer.headers["allow"] == "DELETE, GET"


async def test_a_body_has_an_end(house: House) -> None:
    client = house.as_role("owner")
    answer = await client.post("/api/tools/create_contact", json={"email": "x" * 1_100_000})
    assert (answer.status_code, answer.json()["code"], answer.headers["content-type"]) == (413, "too_large", PROBLEM)

    async def endless() -> Any:
        for _ in range(300):
            yield b" " * 10_000

    answer = await client.post("/api/tools/create_contact", content=endless(), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 413
    # The tool that takes a whole list has more room.
    csv = "email\n" + "\n".join(f"p{number}@example.org" for number in range(60_000))
    answer = await client.post("/api/tools/import_contacts", json={"csv": csv, "dry_run": True})
    assert answer.status_code == 200, answer.text


async def test_a_bug_is_told_as_one_and_tells_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("db.contacts.page", broken)
    answer = await house.as_role("viewer").get("/api/contacts")
    assert (answer.status_code, answer.json()["code"]) == (500, "bug")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_every_status_is_of_a_refusal_that_there_is() -> None:
    assert set(problems.STATUS) <= {each.code for each in _all_of(ToolError)}


def _all_of(kind: type[ToolError]) -> set[type[ToolError]]:
    return {kind} | {each for sub in kind.__subclasses__() for each in _all_of(sub)}


async def test_the_description_is_whole(house: House) -> None:
    text = (await house.client().get("/api/openapi.json")).text
    described = json.loads(text)
    assert described["openapi"].startswith("3.1")
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            if path.startswith(("/api", "/v1")):
                assert operation["security"], path
                assert {"401", "403", "422", "429", "503"} <= set(operation["responses"]), path
    for reference in set(_references(described)):
        assert reference.removeprefix("#/components/schemas/") in described["components"]["schemas"]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return ([value["$ref"]] if isinstance(value.get("$ref"), str) else []) + [
            reference for each in value.values() for reference in _references(each)
        ]
    return [reference for each in value for reference in _references(each)] if isinstance(value, list) else []
