"""The pages over real HTTP, on real Postgres, for the person at this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interfaces.settings import Settings
from interfaces.wiring import local_actor
from tests.interfaces.api.conftest import House, served
from tests.interfaces.pages.reader import Reader
from tools.base import Context, Tenant
from tools.campaigns import add_contacts_to_campaign, create_campaign
from tools.contacts import create_contact
from tools.emails import draft_email


@dataclass
class Shop:
    """A running program with pages, somebody who reads them, and the owner's context for looking behind them."""

    house: House
    reader: Reader
    ctx: Context

    async def campaign(self, name: str = "Harvest Fair", description: str = "10% off oak furniture") -> str:
        """A draft with two people and a mail; its id."""
        saved = await create_campaign.call({"name": name, "description": description}, self.ctx)
        for email in ("ken@example.org", "ursula@example.org"):
            if not await self.house.rows("SELECT 1 FROM contacts WHERE email = %s", email):
                await create_contact.call({"email": email, "description": "restores chairs"}, self.ctx)
        emails = ["ken@example.org", "ursula@example.org"]
        await add_contacts_to_campaign.call({"campaign": name, "emails": emails}, self.ctx)
        await draft_email.call({"campaign": name}, self.ctx)
        return str(saved.campaign.campaign_id)


@pytest.fixture
async def shop(ctx: Context, tmp_path: Path) -> AsyncIterator[Shop]:
    """Nobody has made a key: this machine's owner is served."""
    now = replace(ctx, now=lambda: datetime.now(UTC), actor=local_actor("web"))
    settings = Settings.model_construct(home=tmp_path)
    async with served(now, settings=settings, local=ctx.tenant, roles=()) as house:
        reader = Reader(house.url)
        yield Shop(house, reader, now)
        await reader.web.aclose()


@pytest.fixture
def other(shop: Shop, new_tenant: Callable[..., Tenant]) -> Context:
    """Somebody else's owner."""
    return replace(shop.ctx, tenant=new_tenant())
