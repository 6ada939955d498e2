"""What MCP shows beside the text: progress, pictures, and pages for clients that have them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import timedelta

import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.dispatcher import ProgressFnT

from interfaces import mcp_apps
from tests.conftest import NOW
from tests.interfaces.api.conftest import House, served
from tests.interfaces.mcp.clients import ERAS, Plain, connected, messages, result_of, text_of
from tests.mail.test_send import make_campaign
from tests.tools.histories import people, sent
from tools import ALL_TOOLS, BY_NAME
from tools.base import Context

APPS = {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}}


def listening() -> tuple[ProgressFnT, list[tuple[float, float | None, str | None]]]:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    return hear, heard


@pytest.fixture
async def sending(live: Context) -> AsyncIterator[House]:
    async with served(live) as house:
        yield house


async def call(client: Client, tool: str, hear: ProgressFnT, **arguments: object) -> types.CallToolResult:
    return await client.call_tool(tool, arguments, progress_callback=hear)


# Progress


@pytest.mark.parametrize("era", ERAS)
async def test_drafts_for_each_contact_tell_how_far_they_are(sending: House, era: str) -> None:
    await make_campaign(sending.ctx, 8)
    hear, heard = listening()
    async with connected(sending, sending.keys["editor"], era) as client:
        result = await call(client, "draft_email", hear, campaign="Harvest Fair", per_contact=True)

    assert not result.is_error, text_of(result)
    assert heard, "at least the last is told"
    assert heard[-1] == (8, 8, "8 of 8 mails written")
    assert [done for done, _, _ in heard] == sorted({done for done, _, _ in heard}), "each more than the one before"


@pytest.mark.parametrize("era", ERAS)
async def test_an_import_tells_how_far_it_is(house: House, era: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.imports import writing

    monkeypatch.setattr(writing, "BATCH", 50)
    csv = "email\n" + "".join(f"c{n}@example.com\n" for n in range(200))
    hear, heard = listening()
    async with connected(house, house.keys["editor"], era) as client:
        result = await call(client, "import_contacts", hear, csv=csv)

    assert not result.is_error, text_of(result)
    assert heard[-1] == (200, 200, "200 of 200 contacts stored")
    assert await house.rows("SELECT count(*) FROM contacts") == [(200,)]


async def test_who_did_not_ask_for_progress_gets_none(house: House) -> None:
    plain = Plain(house, house.keys["editor"])
    await plain.begin()
    answer = await plain.call("import_contacts", csv="email\na@example.com\n")

    assert [message.get("method") for message in messages(answer)] == [None]


# Pictures


@pytest.mark.parametrize("era", ERAS)
async def test_figures_come_with_a_picture_beside_the_text(house: House, era: str) -> None:
    crowd = await people(house.ctx, 100)
    for place, name in enumerate(("Lamp Week", "Clock Clinic")):
        at = NOW - timedelta(days=9 - place)
        await sent(house.ctx, name, crowd, at, opened=crowd[: 40 + place], clicked=crowd[:9])
    async with connected(house, house.keys["viewer"], era) as client:
        results = [
            await client.call_tool("summarize_performance", {"campaign": "Lamp Week"}),
            await client.call_tool("summarize_performance", {}),
            await client.call_tool("compare_campaigns", {"campaigns": ["Lamp Week", "Clock Clinic"]}),
        ]
        plain = await client.call_tool("list_campaigns", {})

    for result in results:
        text, picture = result.content
        assert isinstance(text, types.TextContent)
        assert "opened" in text.text
        assert isinstance(picture, types.ImageContent)
        assert picture.mime_type == "image/png"
        assert base64.b64decode(picture.data).startswith(b"\x89PNG")
        assert len(picture.data) < 100_000
    assert len(plain.content) == 1


# Pages


async def test_tools_name_the_page_that_shows_their_results(house: House) -> None:
    async with connected(house, house.keys["viewer"]) as client:
        tools = (await client.list_tools()).tools
        pages = {tool.name: (tool.meta or {}).get("ui", {}).get("resourceUri") for tool in tools}
        read = {uri: (await client.read_resource(uri)).contents for uri in set(pages.values()) if uri}

    assert pages["preview_email"] == mcp_apps.PREVIEW
    assert {name for name, page in pages.items() if page == mcp_apps.REQUEST} == {
        tool.name for tool in ALL_TOOLS if tool.effect in ("send", "erase")
    }
    for (content,) in read.values():
        assert isinstance(content, types.TextResourceContents)
        assert content.mime_type == "text/html;profile=mcp-app"
        assert "ui/initialize" in content.text
        assert "tools/call" not in content.text, "a page decides nothing"
        assert not [word for word in ("http://", "https://", "innerHTML", "eval(") if word in content.text]


@pytest.mark.parametrize("capabilities", [APPS, {}], ids=["a client with pages", "a client without"])
async def test_a_preview_brings_the_whole_mail_to_a_client_that_shows_pages(
    sending: House, capabilities: dict[str, object]
) -> None:
    await make_campaign(sending.ctx, 2)
    plain = Plain(sending, sending.keys["viewer"])
    await plain.begin(capabilities)
    result = result_of(await plain.call("preview_email", campaign="Harvest Fair"))

    assert "10% off oak" in result["content"][0]["text"], "text always"
    page = result.get("_meta", {}).get(mcp_apps.PAGE, "")
    assert ("10% off oak" in page) == bool(capabilities)
    assert "smartcampaign/page" not in str(result["structuredContent"])


async def test_a_request_waits_on_a_page_as_it_does_in_text(sending: House) -> None:
    await make_campaign(sending.ctx, 2)
    plain = Plain(sending, sending.keys["sender"])
    await plain.begin(APPS)
    result = result_of(await plain.call("send_campaign", campaign="Harvest Fair"))

    assert result["structuredContent"]["card"]["title"] == "Send Harvest Fair to 2 people?"
    assert "`smartcampaign approve " in result["content"][0]["text"]
    assert await sending.rows("SELECT state FROM approvals") == [("pending",)]


def test_there_is_a_page_for_no_other_tool() -> None:
    assert mcp_apps.page_of("search_contacts") is None
    assert mcp_apps.read("ui://smartcampaign/other.html") is None
    assert BY_NAME["preview_email"].effect == "read"
