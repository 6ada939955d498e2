"""Campaigns: one name, one campaign; who is in it; what may still change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from db import campaigns
from tools import BY_NAME
from tools.base import Context, Tenant
from tools.campaigns import CampaignDetail, RecipientsChanged
from tools.errors import (
    BadDate,
    CampaignClosed,
    CampaignExists,
    InvalidArguments,
    NobodyMatches,
    NoSuchCampaign,
    NoSuchContact,
    UnclearCampaign,
)

ADA, GRACE = "ada@example.org", "grace@example.net"


async def do(ctx: Context, tool: str, **arguments: Any) -> Any:
    return await BY_NAME[tool].call(arguments, ctx)


async def show(ctx: Context, name: str) -> CampaignDetail:
    detail = await do(ctx, "get_campaign", campaign=name)
    assert isinstance(detail, CampaignDetail)
    return detail


@pytest.fixture
async def shop(ctx: Context) -> Context:
    await do(ctx, "create_contact", email=ADA, first_name="Ada", description="restores old clocks")
    await do(ctx, "create_contact", email=GRACE, first_name="Grace", description="keeps bees", tags=["vip"])
    await do(ctx, "create_campaign", name="Lamp Week", description="lamps", start_date="2026-12-05")
    return ctx


async def test_a_name_is_one_campaign_in_any_case(shop: Context) -> None:
    with pytest.raises(CampaignExists, match=r"'LAMP week' \(draft\)"):
        await do(shop, "create_campaign", name="LAMP week")
    assert (await show(shop, "lamp WEEK")).campaign.name == "Lamp Week"


async def test_a_slip_in_the_name_is_refused_with_the_one_that_is_near(shop: Context) -> None:
    with pytest.raises(NoSuchCampaign) as refused:
        await show(shop, "Lmap Week")
    assert str(refused.value) == "No campaign is called 'Lmap Week'. Did you mean 'Lamp Week'?"


async def test_part_of_several_names_is_unclear(shop: Context) -> None:
    await do(shop, "create_campaign", name="Lamp Month")
    with pytest.raises(UnclearCampaign, match=r"Lamp Week, Lamp Month|Lamp Month, Lamp Week"):
        await show(shop, "Lamp")


async def test_a_campaign_made_for_people_has_them(shop: Context) -> None:
    created = await do(shop, "create_campaign", name="Tick Tock", audience="people who like clocks")
    assert (created.campaign.contact_count, created.added) == (1, ["Ada"])


async def test_an_audience_of_nobody_creates_nothing(shop: Context) -> None:
    with pytest.raises(NobodyMatches):
        await do(shop, "create_campaign", name="Rockets", audience="zzyzx-42")
    with pytest.raises(NoSuchCampaign):
        await show(shop, "Rockets")


@pytest.mark.parametrize("day", ["soon", "2026-13-01", "31.12.2026 at noon", "2026-02-30", "9" * 50])
async def test_a_date_that_is_none_changes_nothing(shop: Context, day: str) -> None:
    with pytest.raises(BadDate):
        await do(shop, "create_campaign", name="Rockets", start_date=day)
    with pytest.raises(BadDate):
        await do(shop, "update_campaign", campaign="Lamp Week", description="other", start_date=day)
    assert (await show(shop, "Lamp Week")).campaign.description == "lamps"


async def test_only_what_is_given_changes_and_an_empty_text_clears(shop: Context) -> None:
    await do(shop, "update_campaign", campaign="Lamp Week", name="Lamp Days", start_date="")
    campaign = (await show(shop, "Lamp Days")).campaign
    assert (campaign.description, campaign.start_date) == ("lamps", None)


async def add(ctx: Context, **arguments: Any) -> RecipientsChanged:
    changed = await do(ctx, "add_contacts_to_campaign", campaign="Lamp Week", **arguments)
    assert isinstance(changed, RecipientsChanged)
    return changed


async def test_people_are_added_by_words_by_tag_and_by_address_once_each(shop: Context) -> None:
    assert (await add(shop, query="restores clocks")).people == ["Ada"]
    assert (await add(shop, query="vips")).people == ["Grace"]
    again = await add(shop, emails=[ADA.upper(), GRACE])
    assert (again.added, again.already_there, again.total) == (0, 2, 2)


async def test_one_unknown_address_and_nobody_is_added(shop: Context) -> None:
    with pytest.raises(NoSuchContact, match=r"'eve@example\.org'"):
        await add(shop, emails=[ADA, "eve@example.org"])
    assert (await show(shop, "Lamp Week")).campaign.contact_count == 0


async def test_who_has_unsubscribed_is_no_audience_and_is_pointed_out_by_address(shop: Context) -> None:
    async with shop.database.transaction(shop.tenant.id) as db:
        await db.execute("UPDATE contacts SET status = 'unsubscribed' WHERE email = %s", (ADA,))
    with pytest.raises(NobodyMatches):
        await add(shop, query="restores clocks")
    assert (await add(shop, emails=[ADA])).note == f"Not subscribed, so they will get no mail: {ADA}."


async def test_words_or_addresses_but_not_both_nor_none(shop: Context) -> None:
    for arguments in ({}, {"query": "clocks", "emails": [ADA]}):
        with pytest.raises(InvalidArguments, match="one of the two"):
            await add(shop, **arguments)


async def test_people_are_taken_out_and_stay_contacts(shop: Context) -> None:
    await add(shop, query="everyone")
    removed = await do(shop, "remove_contacts_from_campaign", campaign="Lamp Week", query="keeps bees")
    assert (removed.removed, removed.total) == (1, 1)
    assert (await do(shop, "search_contacts")).total == 2


@pytest.mark.parametrize("status", ["sending", "sent", "completed", "cancelled"])
async def test_what_is_on_its_way_or_over_does_not_change(shop: Context, status: str) -> None:
    async with shop.database.transaction(shop.tenant.id) as db:
        await db.execute("UPDATE campaigns SET status = %s", (status,))
    for tool, more in (
        ("update_campaign", {"description": "x"}),
        ("add_contacts_to_campaign", {"query": "everyone"}),
        ("remove_contacts_from_campaign", {"query": "everyone"}),
        ("draft_email", {}),
    ):
        with pytest.raises(CampaignClosed, match=status):
            await do(shop, tool, campaign="Lamp Week", **more)


@pytest.mark.parametrize("start", campaigns.TRANSITIONS)
async def test_a_status_only_moves_along_its_life(shop: Context, start: str) -> None:
    async with shop.database.transaction(shop.tenant.id) as db:
        for end in campaigns.TRANSITIONS:
            await db.execute("UPDATE campaigns SET status = %s", (start,))
            (row,) = await campaigns.page(db, shop.tenant.id, status=None, after=None, limit=5)
            moved = await campaigns.move(db, shop.tenant.id, row.campaign_id, end, at=shop.now())
            assert moved == (end in campaigns.TRANSITIONS[start]), (start, end)


async def test_campaigns_are_listed_in_pages_and_found_by_what_they_are_about(shop: Context) -> None:
    await do(shop, "create_campaign", name="Honey Market", description="jars from the roof")
    assert {c.name for c in (await do(shop, "list_campaigns")).campaigns} == {"Honey Market", "Lamp Week"}
    assert [c.name for c in (await do(shop, "list_campaigns", query="bees")).campaigns][:1] == ["Honey Market"]
    first = await do(shop, "list_campaigns", limit=1)
    second = await do(shop, "list_campaigns", limit=1, cursor=first.next_cursor)
    assert {first.campaigns[0].name, second.campaigns[0].name} == {"Honey Market", "Lamp Week"}
    assert second.next_cursor is None
    with pytest.raises(InvalidArguments, match="There is no status 'gone'"):
        await do(shop, "list_campaigns", status="gone")


async def test_everybody_or_all_with_a_tag_has_no_limit(ctx: Context) -> None:
    rows = "\n".join(f"p{number}@example.org,{'trade' if number % 2 else 'home'}" for number in range(600))
    await BY_NAME["import_contacts"].call({"csv": f"email,tags\n{rows}"}, ctx)
    created = await BY_NAME["create_campaign"].call({"name": "Harvest Fair", "audience": "everyone"}, ctx)
    assert created.campaign.contact_count == 600
    await BY_NAME["create_campaign"].call({"name": "Trade Day"}, ctx)
    add = BY_NAME["add_contacts_to_campaign"]
    few = await add.call({"campaign": "Trade Day", "query": "all trade", "limit": 5}, ctx)
    assert (few.added, few.note) == (5, "More match; only the newest 5 were taken. Say a higher limit for more.")
    all_of_them = await add.call({"campaign": "Trade Day", "query": "all trade"}, ctx)
    assert (all_of_them.added, all_of_them.already_there, all_of_them.matched, all_of_them.note) == (295, 5, 300, None)
    await BY_NAME["import_contacts"].call({"csv": "email,status\np1@example.org,unsubscribed"}, ctx)
    remove = BY_NAME["remove_contacts_from_campaign"]
    taken = await remove.call({"campaign": "Harvest Fair", "query": "all trade"}, ctx)
    assert (taken.removed, taken.total) == (300, 300), "also who has unsubscribed since"


async def test_nobody_of_another_tenant_comes_with_everybody(ctx: Context, new_tenant: Callable[..., Tenant]) -> None:
    other = dataclasses.replace(ctx, tenant=new_tenant())
    await BY_NAME["import_contacts"].call({"csv": "email\nada@example.org\ngrace@example.org"}, other)
    await BY_NAME["import_contacts"].call({"csv": "email\nalan@example.org"}, ctx)
    created = await BY_NAME["create_campaign"].call({"name": "Harvest Fair", "audience": "everyone"}, ctx)
    assert created.campaign.contact_count == 1
