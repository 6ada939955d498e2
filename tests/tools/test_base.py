"""`Tool.call`, the only way in: validation, permission, audit, and nothing half-written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tools import ALL_TOOLS, BY_NAME
from tools.base import (
    PERSONAL,
    Actor,
    Arguments,
    Context,
    Result,
    Role,
    Tenant,
    Tool,
    _holds_personal,
    tool,
)
from tools.errors import InvalidArguments, NotAllowed, ToolError

ADA = "ada@example.org"

# The contract of the design: names, effects, arguments.
CONTRACT = {
    "create_contact": ("write", "email first_name last_name phone_number description tags"),
    "update_contact": ("write", "contact email first_name last_name phone_number description tags"),
    "delete_contact": ("erase", "contact"),
    "unsubscribe_contact": ("write", "contact reason"),
    "search_contacts": ("read", "query limit cursor status tags campaign"),
    "import_contacts": ("write", "csv dry_run"),
    "create_campaign": ("write", "name description start_date audience"),
    "update_campaign": ("write", "campaign name description start_date"),
    "list_campaigns": ("read", "query status limit cursor"),
    "get_campaign": ("read", "campaign"),
    "add_contacts_to_campaign": ("write", "campaign query emails limit"),
    "remove_contacts_from_campaign": ("write", "campaign query emails"),
    "draft_email": ("write", "campaign instructions tone contact per_contact"),
    "add_variant": ("write", "campaign subject body"),
    "set_variant_test": ("write", "campaign share wait_hours by unclear"),
    "preview_email": ("read", "campaign contact"),
    "search_emails": ("read", "query limit"),
    "send_test_email": ("send", "campaign to"),
    "send_campaign": ("send", "campaign send_at"),
    "cancel_campaign": ("write", "campaign"),
    "summarize_performance": ("read", "campaign since"),
    "compare_campaigns": ("read", "campaigns"),
    "suggest_improvements": ("read", "campaign"),
    "suggest_campaigns": ("read", "goal"),
}


async def audit(ctx: Context) -> list[tuple[Any, ...]]:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        cursor = await db.execute("SELECT tool, outcome, arguments, subjects FROM audit_log ORDER BY at, audit_id")
        return await cursor.fetchall()


async def rows(ctx: Context) -> dict[str, int]:
    """How many rows the tenant has in each table that tools write."""
    counts = {}
    async with ctx.database.transaction(ctx.tenant.id) as db:
        for table in ("contacts", "campaigns", "campaign_contacts", "campaign_emails", "approvals", "suppressions"):
            cursor = await db.execute(f"SELECT count(*) FROM {table}".encode())
            counts[table] = (await cursor.fetchall())[0][0]
    return counts


def test_the_tools_are_those_of_the_contract() -> None:
    found = {tool.name: (tool.effect, " ".join(tool.input.model_fields)) for tool in ALL_TOOLS}
    assert found == CONTRACT


@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
def test_every_tool_and_argument_can_be_described(tool: Tool[Any, Any]) -> None:
    assert len(tool.description) > 20
    assert tool.input.model_json_schema()["additionalProperties"] is False
    assert tool.output.model_json_schema()["properties"]


async def test_a_write_and_its_line_in_the_log_are_both_there(ctx: Context) -> None:
    saved = await BY_NAME["create_contact"].call({"email": ADA, "first_name": "Ada", "tags": ["vip"]}, ctx)
    logged = [
        ("create_contact", "done", {"email": "…", "first_name": "…", "tags": ["vip"]}, [saved.contact.contact_id])
    ]
    assert await audit(ctx) == logged


async def test_a_refusal_is_logged_and_changes_nothing(ctx: Context) -> None:
    with pytest.raises(InvalidArguments):
        await BY_NAME["create_contact"].call({"email": "nobody"}, ctx)
    assert await audit(ctx) == [("create_contact", "refused: invalid_arguments", {}, [])]
    assert sum((await rows(ctx)).values()) == 0


async def test_a_tool_that_says_it_reads_cannot_write(ctx: Context) -> None:
    @tool(effect="read")
    async def sly(args: Arguments, ctx: Context) -> Result:
        """Say that it reads, and write."""
        async with ctx.transaction() as db:
            await db.execute("INSERT INTO contacts (tenant_id, email) VALUES (%s, %s)", (ctx.tenant.id, ADA))
        return Result()

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await sly.call({}, ctx)


async def test_a_write_that_is_not_logged_is_a_bug(ctx: Context) -> None:
    @tool(effect="write")
    async def silent(args: Arguments, ctx: Context) -> Result:
        """Say that it writes, and go past the log."""
        return Result()

    with pytest.raises(AssertionError, match="nothing was audited"):
        await silent.call({}, ctx)


async def test_if_the_log_cannot_be_written_nothing_is(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("the disk is full")

    monkeypatch.setattr("db.audit.add", broken)
    with pytest.raises(psycopg.OperationalError):
        await BY_NAME["create_contact"].call({"email": ADA}, ctx)
    assert (await rows(ctx))["contacts"] == 0


@pytest.mark.parametrize(("role", "allowed"), [
    ("viewer", {"read"}), ("editor", {"read", "write"}), ("sender", {"read", "write", "send"}),
    ("owner", {"read", "write", "send", "erase"}),
])  # fmt: skip
@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
async def test_a_role_may_do_what_its_effects_allow(
    ctx: Context, tool: Tool[Any, Any], role: Role, allowed: set[str]
) -> None:
    limited = dataclasses.replace(ctx, actor=Actor("Robin", role))
    try:
        tool.check({}, limited)
    except NotAllowed:
        assert tool.effect not in allowed
    except InvalidArguments:
        assert tool.effect in allowed
    else:
        assert tool.effect in allowed


@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
def test_what_may_hold_personal_data_is_marked(tool: Tool[Any, Any]) -> None:
    personal = {
        "email",
        "emails",
        "first_name",
        "last_name",
        "phone_number",
        "contact",
        "query",
        "to",
        "csv",
        "audience",
    }
    for name, field in tool.input.model_fields.items():
        if name in personal and not (tool.name in ("list_campaigns", "search_emails") and name == "query"):
            if name == "description" and "campaign" in tool.name:
                continue
            assert PERSONAL in field.metadata or _holds_personal(field.annotation), f"{tool.name}.{name}"


BAD: dict[str, dict[str, Any]] = {
    "an unknown argument": {"nonsense": 1},
    "100 kB": dict.fromkeys(
        ("email", "name", "campaign", "contact", "query", "csv_", "instructions", "goal"), "x" * 100_000
    ),
    "NUL": dict.fromkeys(("email", "name", "campaign", "contact"), "\x00"),
    "a number": dict.fromkeys(("email", "name", "campaign", "contact", "query", "goal", "to"), 7),
    "a list": {name: [[]] for name in ("email", "name", "campaign", "contact", "query")},
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
async def test_bad_arguments_get_a_sentence_and_change_nothing(ctx: Context, tool: Tool[Any, Any], what: str) -> None:
    given = {name: value for name, value in BAD[what].items() if name in tool.input.model_fields or name == "nonsense"}
    if not given:
        return
    with pytest.raises(ToolError) as refused:
        await tool.call(given, ctx)
    assert len(str(refused.value)) < 600
    assert str(refused.value).endswith((".", "?"))
    assert sum((await rows(ctx)).values()) == 0


def test_lists_may_come_as_text() -> None:
    class Tagged(Arguments):
        tags: list[str]

    assert Tagged.model_validate({"tags": '["vip", "trade"]'}).tags == ["vip", "trade"]
    assert Tagged.model_validate({"tags": "vip"}).tags == ["vip"]


# Arguments that name something of the other tenant, for every tool that can.
THEIRS: dict[str, list[dict[str, Any]]] = {
    "update_contact": [{"contact": "{contact}", "first_name": "X"}, {"contact": "{email}", "first_name": "X"}],
    "delete_contact": [{"contact": "{contact}"}, {"contact": "{email}"}],
    "unsubscribe_contact": [{"contact": "{contact}"}],
    "search_contacts": [{"campaign": "{campaign}"}],
    "update_campaign": [{"campaign": "{campaign}", "description": "X"}],
    "get_campaign": [{"campaign": "{campaign}"}, {"campaign": "Theirs"}],
    "add_contacts_to_campaign": [
        {"campaign": "{campaign}", "query": "everyone"},
        {"campaign": "Ours", "emails": ["{email}"]},
    ],
    "remove_contacts_from_campaign": [{"campaign": "{campaign}", "query": "everyone"}],
    "draft_email": [{"campaign": "{campaign}"}, {"campaign": "Ours", "contact": "{contact}"}],
    "add_variant": [{"campaign": "{campaign}", "subject": "X"}],
    "set_variant_test": [{"campaign": "{campaign}"}],
    "preview_email": [{"campaign": "{campaign}"}, {"campaign": "Ours", "contact": "{contact}"}],
    "send_test_email": [{"campaign": "{campaign}", "to": "a@example.org"}],
    "send_campaign": [{"campaign": "{campaign}"}],
    "cancel_campaign": [{"campaign": "{campaign}"}],
    "summarize_performance": [{"campaign": "{campaign}"}],
    "compare_campaigns": [{"campaigns": ["{campaign}", "Ours"]}],
    "suggest_improvements": [{"campaign": "{campaign}"}],
}


@pytest.mark.parametrize(("name", "arguments"), [(name, each) for name, all_of in THEIRS.items() for each in all_of])
async def test_another_tenants_ids_are_as_good_as_none(
    ctx: Context, new_tenant: Callable[..., Tenant], name: str, arguments: dict[str, Any]
) -> None:
    """Nothing is found, nothing is changed, and the answer is the one for an id that does not exist."""
    other = dataclasses.replace(ctx, tenant=new_tenant("Theirs Ltd"))
    contact = await BY_NAME["create_contact"].call({"email": "grace@example.net", "description": "clocks"}, other)
    campaign = await BY_NAME["create_campaign"].call({"name": "Theirs", "audience": "everyone"}, other)
    await BY_NAME["create_campaign"].call({"name": "Ours"}, ctx)
    real = {"{contact}": str(contact.contact.contact_id), "{email}": "grace@example.net",
            "{campaign}": str(campaign.campaign.campaign_id)}  # fmt: skip
    nowhere = {"{contact}": "7b6f1c7e-7b2a-4c6e-9d4e-0a4b1c2d3e4f", "{email}": "grace@example.com",
               "{campaign}": "9c0de5a1-11f2-4b7b-8a53-6f0f8c1d2b3a"}  # fmt: skip
    before = await rows(other)
    answers = []
    for ids in (real, nowhere):
        with pytest.raises(ToolError) as refused:
            await BY_NAME[name].call(_filled(arguments, ids), ctx)
        answers.append(_without(str(refused.value), ids))
    assert answers[0] == answers[1]
    assert await rows(other) == before


@pytest.mark.parametrize("name", ["search_contacts", "list_campaigns", "search_emails", "suggest_campaigns",
                                  "summarize_performance", "suggest_improvements"])  # fmt: skip
async def test_lists_show_nothing_of_another_tenant(ctx: Context, new_tenant: Callable[..., Tenant], name: str) -> None:
    other = dataclasses.replace(ctx, tenant=new_tenant("Theirs Ltd"))
    await BY_NAME["create_contact"].call({"email": "grace@example.net", "description": "old clocks"}, other)
    await BY_NAME["create_campaign"].call(
        {"name": "Theirs", "description": "old clocks", "audience": "everyone"}, other
    )
    words = {"query": "old clocks"} if "query" in BY_NAME[name].input.model_fields else {}
    try:
        answer = (await BY_NAME[name].call(words, ctx)).model_dump_json()
    except ToolError as refused:
        answer = str(refused)
    assert "grace" not in answer
    assert "Theirs" not in answer


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, ids) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, ids) for each in value]
    return ids.get(value, value)


def _without(text: str, ids: dict[str, str]) -> str:
    for placeholder, id in ids.items():
        text = text.replace(id, placeholder)
    return text
