"""The whole app beside a fake Slack, over real HTTP with signatures: Ada is an owner, Bo a viewer, Cy an editor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from evals.scripted_model import ScriptedModel
from interfaces.settings import Settings
from tests.interfaces.api.conftest import House, model, other, served
from tests.interfaces.slack.fake_slack import ADA, BO, CY, SECRET, TOKEN, FakeSlack, fake_slack
from tools import workspaces
from tools.base import Context

__all__ = ["model", "other"]  # fixtures


@dataclass
class Office:
    """A workspace that is linked to the tenant of `ctx`."""

    slack: FakeSlack
    house: House
    ctx: Context

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return await self.house.rows(query, *values)


async def let_in(ctx: Context, team: str) -> None:
    """Link the workspace and let Ada, Bo and Cy in."""
    await workspaces.link_slack(ctx, team)
    await workspaces.allow(ctx, None, ADA, "owner", "Ada")
    await workspaces.allow(ctx, None, BO, "viewer", "Bo")
    await workspaces.allow(ctx, None, CY, "editor", "Cy")


def slack_settings(slack: FakeSlack, model: ScriptedModel | None = None, **more: str) -> Settings:
    """With a scripted model, whose writes are not asked about, or with the built-in planner."""
    given = {"SLACK_BOT_TOKEN": TOKEN, "SLACK_SIGNING_SECRET": SECRET, "SLACK_API_URL": slack.api} | more
    if model is not None:
        given |= {"model": "scripted", "OPENAI_BASE_URL": model.url, "model_mode": "native", "confirm_writes": "never"}
    return Settings.model_validate({name: value for name, value in given.items() if value})


@asynccontextmanager
async def opened(ctx: Context, slack: FakeSlack, settings: Settings, *, linked: bool = True) -> AsyncIterator[Office]:
    if linked:
        await let_in(ctx, slack.team)
    async with served(ctx, settings=settings, roles=()) as house:
        slack.app = house.client()
        yield Office(slack, house, ctx)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with fake_slack() as slack:
        yield slack


@pytest.fixture
async def office(ctx: Context, slack: FakeSlack, model: ScriptedModel) -> AsyncIterator[Office]:
    """With a scripted model."""
    async with opened(ctx, slack, slack_settings(slack, model)) as office:
        yield office


@pytest.fixture
async def planner(ctx: Context, slack: FakeSlack) -> AsyncIterator[Office]:
    """With the built-in planner."""
    async with opened(ctx, slack, slack_settings(slack)) as office:
        yield office
