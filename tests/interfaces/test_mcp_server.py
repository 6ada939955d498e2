"""The MCP door, through the official client: over real standard input and output, and where that proves no more, in
this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import mcp_types as types
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, MCPError, StdioServerParameters

from interfaces import mcp_server
from interfaces.mcp_server import make_server
from interfaces.settings import BadSettings
from tools import ALL_TOOLS, approvals
from tools.base import Context

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-c", "from interfaces import mcp_server, settings; mcp_server.serve_stdio(settings.read())"]
ERAS = ("legacy", "2026-07-28")


class Connected:
    """A client of a server of its own, usable from plain tests, with a person who answers as the test says."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self.portal = portal
        self.client = client
        self.asked: list[str] = []
        self.answer = types.ElicitResult(action="cancel")

    def call(self, tool: str, /, **arguments: Any) -> types.CallToolResult:
        result: types.CallToolResult = self.portal.call(self.client.call_tool, tool, arguments)
        return result

    def say(self, tool: str, /, **arguments: Any) -> str:
        """The text of a call's result."""
        return text_of(self.call(tool, **arguments))

    def refusal(self, tool: str, /, **arguments: Any) -> str:
        result = self.call(tool, **arguments)
        assert result.is_error, text_of(result)
        return text_of(result)


def text_of(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


@contextmanager
def connected(environment: dict[str, str], *, mode: str = "legacy", asks: bool = False) -> Iterator[Connected]:
    async def ask(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestFormParams)
        session.asked.append(params.message)
        return session.answer

    server = StdioServerParameters(command=SERVE[0], args=SERVE[1:], env=environment, cwd=ROOT)
    client = Client(server, mode=mode, elicitation_callback=ask if asks else None)
    with start_blocking_portal() as portal:
        session = Connected(portal, client)
        with portal.wrap_async_context_manager(client):
            yield session


@pytest.fixture(scope="module")
def environment(database_url: str) -> dict[str, str]:
    """A tenant of this file's own in the tests' database, as a server's environment says it."""
    from db import tenants

    id = tenants.add(database_url, name=f"Bramble {uuid4().hex[:8]}", time_zone="Europe/London", country="GB")
    return {"DATABASE_URL": database_url, "SMARTCAMPAIGN_TENANT": str(id)}


@pytest.fixture(scope="module")
def plain(environment: dict[str, str]) -> Iterator[Connected]:
    """A client that can't ask its person, like Claude Desktop."""
    with connected(environment) as session:
        yield session


@pytest.fixture(scope="module", params=ERAS)
def asking(environment: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Connected]:
    """A client that asks its person, in either era of the protocol."""
    with connected(environment, mode=request.param, asks=True) as session:
        yield session


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A data folder with an embedded Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="sc-mcp-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def postgres_is_gone(home: Path, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while (home / "postgres" / "data" / "postmaster.pid").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# What it serves


def test_every_tool_is_listed_with_its_schemas_and_hints(plain: Connected) -> None:
    listed = {tool.name: tool for tool in plain.portal.call(plain.client.list_tools).tools}

    assert list(listed) == [tool.name for tool in ALL_TOOLS]
    for ours in ALL_TOOLS:
        theirs = listed[ours.name]
        assert theirs.description == ours.description
        assert without_titles(theirs.input_schema) == without_titles(ours.input.model_json_schema())
        assert theirs.output_schema is not None
        assert theirs.output_schema["type"] == "object"
        assert theirs.title
        hints = theirs.annotations
        assert hints is not None
        assert hints.read_only_hint == (ours.effect == "read")
        assert hints.destructive_hint == (ours.effect in ("send", "erase"))
        assert hints.open_world_hint == (ours.effect == "send")


def without_titles(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: without_titles(v) for k, v in schema.items() if k != "title" or not isinstance(v, str)}
    return [without_titles(part) for part in schema] if isinstance(schema, list) else schema


def test_the_list_of_tools_stays_lean() -> None:
    listed = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in mcp_server.described()]
    shown_to_models = [{k: v for k, v in tool.items() if k != "outputSchema"} for tool in listed]

    assert len(json.dumps(shown_to_models)) < 1_000 * len(ALL_TOOLS)
    assert len(json.dumps(listed)) < 2_500 * len(ALL_TOOLS)


def test_it_introduces_itself(plain: Connected) -> None:
    assert plain.client.server_info is not None
    assert plain.client.server_info.name == "smartcampaign"
    assert plain.client.instructions is not None
    assert "wait for a person" in plain.client.instructions


def test_serving_does_not_import_the_agent() -> None:
    slow = "import sys, interfaces.mcp_server; print({'langgraph', 'langchain_core', 'agent.run'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", slow], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


# Calling tools


def test_a_call_answers_in_words_and_as_data(plain: Connected) -> None:
    made = plain.call("create_contact", email="ada@example.org", first_name="Ada", description="collects punched cards")
    found = plain.call("search_contacts", query="punched cards")

    assert not made.is_error
    assert "Added Ada (ada@example.org)" in text_of(made)
    assert made.structured_content is not None
    assert made.structured_content["contact"]["email"] == "ada@example.org"
    assert "ada@example.org" in text_of(found)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "email is missing."),
        ({"email": "no address"}, "is no e-mail address"),
        ({"email": "\x00"}, "is no e-mail address"),
        ({"email": "long@example.org", "description": "x" * 100_000}, "description"),
        ({"email": "x@example.org", "nick": "X"}, "There is no argument nick; there are: email"),
        ({"email": 5}, "email"),
        ({"email": "x@example.org", "tags": 7}, "tags"),
    ],
)
def test_bad_arguments_get_our_sentence(plain: Connected, arguments: dict[str, Any], expected: str) -> None:
    said = plain.refusal("create_contact", **arguments)

    assert expected in said
    assert "pydantic" not in said
    assert "Traceback" not in said
    assert "Error executing" not in said
    assert len(said) < 500


def test_an_unknown_name_is_refused_with_the_candidate(plain: Connected) -> None:
    plain.call("create_campaign", name="Lamp Week")

    assert "Did you mean 'Lamp Week'?" in plain.refusal("get_campaign", campaign="Lmap Week")
    assert "There is no tool 'send_everything'" in plain.refusal("send_everything")


async def test_a_bug_tells_the_client_nothing_of_the_data(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> Context:
        raise KeyError("ada@example.org")

    async with Client(make_server(broken, nothing), mode="2026-07-28") as client:
        result = await client.call_tool("list_campaigns", {})
        with pytest.raises(MCPError, match="bug"):
            await client.list_resources()

    assert result.is_error
    assert "That is a bug" in text_of(result)
    assert "KeyError in list_campaigns: broken:" in caplog.text
    assert "ada@example.org" not in text_of(result) + caplog.text


async def test_a_program_that_cannot_open_says_what_to_do() -> None:
    async def unset() -> Context:
        raise BadSettings("There is no tenant 'x' (SMARTCAMPAIGN_TENANT).")

    async with Client(make_server(unset, nothing), mode="legacy") as client:
        assert text_of(await client.call_tool("list_campaigns", {})) == "There is no tenant 'x' (SMARTCAMPAIGN_TENANT)."


async def test_an_answer_that_is_too_long_is_not_shown(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_server, "LONGEST_RESULT", 10)

    async with Client(make_server(giving(ctx), nothing), mode="legacy") as client:
        read = await client.call_tool("list_campaigns", {})
        written = await client.call_tool("create_campaign", {"name": "Lamp Week"})

    assert text_of(read) == "The answer of list_campaigns is too long to show. Ask for less, page by page."
    assert text_of(written).startswith("That is done. ")


def giving(ctx: Context) -> Callable[[], Any]:
    async def context() -> Context:
        return ctx

    return context


async def nothing() -> None:
    pass


# Sends and erasures wait for a person


def added(session: Connected) -> str:
    address = f"{uuid4().hex[:10]}@example.org"
    session.call("create_contact", email=address)
    return address


def is_there(session: Connected, address: str) -> bool:
    return not session.call("update_contact", contact=address, first_name="Ada").is_error


def test_a_person_who_approves_at_the_client_has_it_done(asking: Connected) -> None:
    address = added(asking)
    asking.asked.clear()
    asking.answer = types.ElicitResult(action="accept", content={"decision": "approve"})

    result = asking.call("delete_contact", contact=address)

    assert result.structured_content is not None
    assert result.structured_content["decision"] == "approved"
    assert "is erased" in text_of(result)
    assert not is_there(asking, address)
    assert len(asking.asked) == 1
    assert f"Erase {address}?" in asking.asked[0]


def test_a_person_who_rejects_has_it_rejected(asking: Connected) -> None:
    address = added(asking)
    asking.answer = types.ElicitResult(action="accept", content={"decision": "reject"})

    assert asking.say("delete_contact", contact=address) == "Rejected. Nothing was done."
    assert is_there(asking, address)


def test_a_client_that_cannot_ask_is_told_the_command(plain: Connected) -> None:
    address = added(plain)

    result = plain.call("delete_contact", contact=address)

    assert result.structured_content is not None
    assert result.structured_content["status"] == "waiting for a person"
    assert f"`smartcampaign approve {result.structured_content['approval_id'][:8]}`" in text_of(result)
    assert is_there(plain, address)


async def test_an_answer_counts_only_for_the_call_it_was_asked_for(ctx: Context) -> None:
    """The request's id comes back sealed: a client can neither make one up nor use it for another call."""
    yes: types.InputResponses = {"decision": types.ElicitResult(action="accept", content={"decision": "approve"})}
    server = make_server(giving(ctx), nothing)
    able = types.ElicitResult(action="cancel")

    async def ask(context: object, params: object) -> types.ElicitResult:
        return able

    async with Client(server, mode="2026-07-28", elicitation_callback=ask) as client:
        for address in ("ada@example.org", "bob@example.org"):
            await client.call_tool("create_contact", {"email": address})
        call = client.session.call_tool
        first = await call("delete_contact", {"contact": "ada@example.org"}, allow_input_required=True)
        assert isinstance(first, types.InputRequiredResult)
        (open_request,) = await approvals.waiting(ctx)
        for state, address in (
            (first.request_state, "bob@example.org"),
            (str(open_request.approval_id), "ada@example.org"),
        ):
            with pytest.raises(MCPError, match="Nothing was decided"):
                await call(
                    "delete_contact", {"contact": address}, input_responses=yes, request_state=state,
                    allow_input_required=True,
                )  # fmt: skip
        assert len(await approvals.waiting(ctx)) == 1
        done = [
            await call(
                "delete_contact", {"contact": "ada@example.org"}, input_responses=yes,
                request_state=first.request_state, allow_input_required=True,
            )
            for _ in range(2)
        ]  # fmt: skip

    once, again = done
    assert isinstance(once, types.CallToolResult)
    assert isinstance(again, types.CallToolResult)
    assert "is erased" in text_of(once)
    assert again.is_error
    assert "can't be decided any more" in text_of(again)


async def test_what_a_person_decided_elsewhere_meanwhile_stands(ctx: Context) -> None:
    async def ask(context: object, params: object) -> types.ElicitResult:
        (request,) = await approvals.waiting(ctx)
        await approvals.decide(str(request.approval_id), approve=False, ctx=ctx)
        return types.ElicitResult(action="accept", content={"decision": "approve"})

    async with Client(make_server(giving(ctx), nothing), mode="legacy", elicitation_callback=ask) as client:
        await client.call_tool("create_contact", {"email": "ada@example.org"})
        result = await client.call_tool("delete_contact", {"contact": "ada@example.org"})

    assert result.is_error
    assert "rejected" in text_of(result)


# Resources, prompts, completions


def test_campaigns_and_contacts_can_be_read_by_name_or_id(plain: Connected) -> None:
    made = plain.call("create_campaign", name="Fern & Frost 50%/50%", description="Winter plants")
    plain.call("create_contact", email="fern@example.org", first_name="Fern", last_name="Reed")
    assert made.structured_content is not None
    id = made.structured_content["campaign"]["campaign_id"]

    def read(uri: str) -> str:
        (content,) = plain.portal.call(plain.client.read_resource, uri).contents
        assert isinstance(content, types.TextResourceContents)
        return content.text

    listed = {r.uri: r.name for r in plain.portal.call(plain.client.list_resources).resources}
    templates = plain.portal.call(plain.client.list_resource_templates).resource_templates
    assert listed[f"campaign://{id}"] == "Fern & Frost 50%/50%"
    assert [t.uri_template for t in templates] == ["campaign://{campaign}", "contact://{contact}"]
    assert "Winter plants" in read(f"campaign://{id}")
    assert "Winter plants" in read("campaign://fern%20%26%20frost%2050%25%2F50%25")
    assert json.loads(read("contact://fern@example.org"))["first_name"] == "Fern"
    assert json.loads(read("contact://Fern%20Reed"))["email"] == "fern@example.org"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("campaign://Nowhere%20Week", "No campaign is called 'Nowhere Week'"),
        ("contact://nobody@example.org", "No contact is found"),
        ("contact://%00", "contact is empty"),
        ("mail://1", "There is no resource"),
    ],
)
def test_an_unknown_resource_is_a_clear_error(plain: Connected, uri: str, expected: str) -> None:
    with pytest.raises(MCPError, match=expected):
        plain.portal.call(plain.client.read_resource, uri)


def test_prompts_have_descriptions_and_fill_in_what_is_given(plain: Connected) -> None:
    prompts = plain.portal.call(plain.client.list_prompts).prompts
    assert all(prompt.title and prompt.description for prompt in prompts)

    for prompt in prompts:
        given = {argument.name: "{Lamp} Week" for argument in prompt.arguments or []}
        got = plain.portal.call(plain.client.get_prompt, prompt.name, given)
        content = got.messages[0].content
        assert isinstance(content, types.TextContent)
        assert ("{Lamp} Week" in content.text) == bool(given)


def test_prompts_name_only_tools_that_there_are() -> None:
    known = {tool.name for tool in ALL_TOOLS} | {
        argument for p in mcp_server.PROMPTS.values() for argument in p.arguments
    }
    for prompt in mcp_server.PROMPTS.values():
        words = {word.strip("(),.;") for word in prompt.text.split()}
        assert {word for word in words if "_" in word} <= known


def test_a_prompt_without_its_argument_is_a_clear_error(plain: Connected) -> None:
    with pytest.raises(MCPError, match="The prompt review_campaign needs: campaign"):
        plain.portal.call(plain.client.get_prompt, "review_campaign", {})
    with pytest.raises(MCPError, match="There is no prompt 'x'"):
        plain.portal.call(plain.client.get_prompt, "x", {})


def test_names_of_campaigns_are_completed(plain: Connected) -> None:
    plain.call("create_campaign", name="Orchard Days")
    completed = plain.portal.call(
        plain.client.complete,
        types.PromptReference(name="review_campaign"),
        {"name": "campaign", "value": "orch"},
    )

    assert completed.completion.values == ["Orchard Days"]


# The process


def message(method: str, id: int | None = None, **params: Any) -> bytes:
    said: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(said if id is None else said | {"id": id}).encode() + b"\n"


HELLO = message(
    "initialize", 1, protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "1"}
) + message("notifications/initialized")
A_CALL = message("tools/call", 2, name="create_campaign", arguments={"name": "Lamp Week"})


def started(home: Path) -> subprocess.Popen[bytes]:
    """A server that has answered a call, so its database runs."""
    environment = os.environ | {"SMARTCAMPAIGN_HOME": str(home)}
    server = subprocess.Popen(
        SERVE, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert server.stdin is not None
    server.stdin.write(HELLO + A_CALL)
    server.stdin.flush()
    return server


def read_answer(server: subprocess.Popen[bytes], id: int) -> dict[str, Any]:
    assert server.stdout is not None
    for line in server.stdout:
        answer: dict[str, Any] = json.loads(line)  # nothing but protocol on stdout
        assert answer["jsonrpc"] == "2.0"
        if answer.get("id") == id:
            return answer
    raise AssertionError("the server ended without an answer")


def test_the_end_of_input_ends_it_cleanly(home: Path) -> None:
    server = started(home)
    read_answer(server, 2)
    assert server.stdin is not None
    server.stdin.write(b"this is no protocol\n")
    rest, said = server.communicate(timeout=20)  # closes its input

    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert b"Traceback" not in said
    assert server.returncode == 0
    assert postgres_is_gone(home)


def test_a_signal_ends_it_cleanly_while_the_client_is_silent(home: Path) -> None:
    server = started(home)
    read_answer(server, 2)
    server.send_signal(signal.SIGTERM)

    assert server.wait(timeout=20) == 0
    assert postgres_is_gone(home)
    server.communicate()


def test_a_killed_client_leaves_no_server_behind(home: Path) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", f"""
import subprocess, sys, time
server = subprocess.Popen({SERVE!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
server.stdin.write({HELLO + A_CALL!r}); server.stdin.flush()
[server.stdout.readline() for _ in range(2)]
print(server.pid, flush=True)
time.sleep(60)
"""],
        cwd=ROOT, env=os.environ | {"SMARTCAMPAIGN_HOME": str(home)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert client.stdout is not None
    server = int(client.stdout.readline())
    client.kill()
    client.communicate()

    assert postgres_is_gone(home)
    deadline = time.monotonic() + 5
    while _runs(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(server)


def _runs(pid: int) -> bool:
    """Whether the process is there and no zombie (nobody may collect an orphan's end in a container)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_two_servers_share_one_home(home: Path) -> None:
    environment = {"SMARTCAMPAIGN_HOME": str(home)}
    with connected(environment, mode="2026-07-28") as second:
        with connected(environment) as first:
            first.call("create_contact", email="shared@example.org")
            assert "shared@example.org" in second.say("search_contacts")
        assert "shared@example.org" in second.say("search_contacts")
    assert postgres_is_gone(home)
