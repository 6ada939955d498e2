"""What outlives a program: answers that were cut short are spoken of, charts, the manifest, the link."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from db import heard
from db.heard import Heard
from evals.scripted_model import Answer, ScriptedModel, call
from interfaces.settings import BadSettings, Settings
from interfaces.slack import door, turns
from interfaces.slack.door import SlackDoor
from interfaces.slack.manifest import manifest
from tests.interfaces.slack.conftest import Office, opened, slack_settings
from tests.interfaces.slack.fake_slack import ADA, CHANNEL, TOKEN, FakeSlack
from tests.tools.histories import people, sent
from tools import workspaces
from tools.base import Actor, Context
from tools.errors import AlreadyLinked, InvalidArguments, NameTaken, NoSuchPerson, NotAllowed


async def test_what_a_dead_program_was_answering_is_said_once_by_the_next(
    ctx: Context, slack: FakeSlack, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn has done something when its program dies (the lease of its message runs out)."""
    monkeypatch.setattr(turns, "LEASE", 1.0)
    monkeypatch.setattr(turns, "RENEWAL", 60.0)
    monkeypatch.setattr(turns, "LOOK_AGAIN", 0.3)
    event = slack.mention("create Harvest Fair and think")
    async with opened(ctx, slack, slack_settings(slack, model)) as office:
        model.script(call("create_campaign", name="Harvest Fair"), Answer(text="Too late.", delay=4))
        await slack.event(event)
        told = await slack.said("stopped in the middle of this answer")
        assert "Done so far: create campaign." in told.text
        assert (told.said["channel"], told.said["thread_ts"]) == (CHANNEL, event["ts"])
        await asyncio.sleep(1)
        assert len([each for each in slack.calls if "stopped in the middle" in each.everything]) == 1
        assert office.ctx is ctx


async def test_an_answer_under_way_is_not_taken_for_dead(
    office: Office, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.script(Answer(text="Here.", delay=1))
    await office.slack.event(office.slack.mention("think"))
    settings = office.house.access.program.settings.slack()
    assert settings is not None
    await SlackDoor(office.house.access, settings).say_what_was_left()
    await office.slack.said("Here.")
    assert not [each for each in office.slack.calls if "stopped in the middle" in each.everything]
    for _ in range(50):
        if await office.rows("SELECT answering_until FROM heard_messages") == [(None,)]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it was answered, and nothing is left over")


async def test_a_program_that_is_stopped_says_so_in_the_thread(
    ctx: Context, slack: FakeSlack, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LAST_SECONDS", 0.2)
    model.script(Answer(text="Too late.", delay=3), "And on.")
    event = slack.mention("think")
    async with opened(ctx, slack, slack_settings(slack, model)):
        await slack.event(event)
        await slack.said("Thinking")
    assert "The program is stopping" in slack.shown()[-1]["text"]
    async with opened(ctx, slack, slack_settings(slack, model), linked=False):
        await slack.event(slack.mention("go on", thread_ts=event["ts"]))
        after = await slack.said("And on.")
        assert "was stopped before its end" in after.text


async def test_what_was_heard_is_forgotten_after_days(office: Office) -> None:
    message = Heard(office.ctx.tenant.id, office.slack.team, b"x" * 32)
    at = office.ctx.now()
    async with office.ctx.database.transaction(message.tenant) as db:
        assert await heard.claim(db, message, at=at, expires_at=at + timedelta(days=2), seconds=1)
        assert not await heard.claim(db, message, at=at, expires_at=at, seconds=1)
        await heard.finish(db, message)
        await heard.expire(db, message.tenant, at + timedelta(days=1))
        assert not await heard.claim(db, message, at=at, expires_at=at, seconds=1)
        await heard.expire(db, message.tenant, at + timedelta(days=3))
        assert await heard.claim(db, message, at=at, expires_at=at, seconds=1)


async def test_a_chart_comes_beside_the_figures(office: Office, model: ScriptedModel) -> None:
    await sent(office.ctx, "Lamp Week", await people(office.ctx, 30), office.ctx.now() - timedelta(days=9))
    model.script(call("summarize_performance", campaign="Lamp Week"), "See above.")
    event = office.slack.mention("how did Lamp Week do?")
    await office.slack.event(event)
    await office.slack.until(lambda: office.slack.of("files.completeUploadExternal"))
    (upload,) = office.slack.of("files.completeUploadExternal")
    assert (upload.said["channel_id"], upload.said["thread_ts"]) == (CHANNEL, event["ts"])
    assert b"PNG" in office.slack.files["F1"][:400]


def test_the_manifest_asks_for_what_is_used_and_no_more() -> None:
    called, socket = manifest("https://app.example.com/"), manifest(None)
    assert called["settings"]["event_subscriptions"]["request_url"] == "https://app.example.com/slack/events"
    assert called["features"]["slash_commands"][0]["url"] == "https://app.example.com/slack/events"
    assert called["settings"]["socket_mode_enabled"] is False
    assert socket["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in json.dumps(socket)
    assert "channels:history" not in json.dumps(called), "it reads no channel"
    assert len(called["features"]["assistant_view"]["suggested_prompts"]) <= 4


async def test_a_workspace_belongs_to_one_tenant(office: Office, other: Context) -> None:
    with pytest.raises(AlreadyLinked, match="another tenant"):
        await workspaces.link_slack(other, office.slack.team)
    assert not await workspaces.every(other)
    with pytest.raises(AlreadyLinked):
        await workspaces.link_slack(office.ctx, "T0SECOND")
    with pytest.raises(InvalidArguments):
        await workspaces.link_slack(other, "'; --")


async def test_only_an_owner_links_and_lets_in(office: Office) -> None:
    for role in ("viewer", "editor", "sender"):
        ctx = replace(office.ctx, actor=Actor("Sam", role))
        for work in (
            workspaces.allow(ctx, None, "U0SAM", "owner"), workspaces.disallow(ctx, None, ADA),
            workspaces.remove(ctx, None), workspaces.link_slack(ctx, office.slack.team, members="editor"),
            workspaces.every(ctx),
        ):  # fmt: skip
            with pytest.raises(NotAllowed):
                await work
    with pytest.raises(NameTaken):
        await workspaces.allow(office.ctx, None, "U0OTHER", "owner", "ada")
    with pytest.raises(NoSuchPerson):
        await workspaces.disallow(office.ctx, None, "U0NOBODY")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SLACK_BOT_TOKEN": "wrong", "SLACK_SIGNING_SECRET": "x"}, "SLACK_BOT_TOKEN"),
        ({"SLACK_BOT_TOKEN": TOKEN}, "SLACK_SIGNING_SECRET"),
        ({"SLACK_BOT_TOKEN": TOKEN, "SLACK_APP_TOKEN": "xoxb-1"}, "SLACK_APP_TOKEN"),
        ({"SLACK_BOT_TOKEN": TOKEN, "SLACK_SIGNING_SECRET": "x", "SLACK_API_URL": "slack"}, "SLACK_API_URL"),
        ({"SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": "x"}, "SLACK_BOT_TOKEN"),
    ],
)
def test_half_a_setting_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(BadSettings, match=named):
        Settings.model_validate(given).slack()


async def test_without_a_token_there_is_no_slack(ctx: Context, slack: FakeSlack) -> None:
    async with opened(ctx, slack, Settings.model_construct()) as office:
        assert (await slack.event(slack.mention("hello"))).status_code == 404
        assert not door.door(office.house.access).routes
