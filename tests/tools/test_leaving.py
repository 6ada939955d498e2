"""Leaving and coming back by hand, and lists that would bring somebody back unasked."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from db import analytics
from tests.mail.test_send import approve, live, make_campaign, rows, sender, states
from tools import BY_NAME, leaving
from tools.base import Actor, Context
from tools.errors import CannotResubscribe, ConsentNeeded, NoSuchContact, NotAllowed
from tools.leaving import Unsubscribed

__all__ = ["live"]

ADA = "ada@example.org"


async def add(ctx: Context, email: str = ADA, **more: Any) -> None:
    await BY_NAME["create_contact"].call({"email": email} | more, ctx)


async def leave(ctx: Context, contact: str = ADA, **more: str) -> Unsubscribed:
    left = await BY_NAME["unsubscribe_contact"].call({"contact": contact} | more, ctx)
    assert isinstance(left, Unsubscribed)
    return left


async def status(ctx: Context, email: str = ADA) -> str:
    ((found,),) = await rows(ctx, "SELECT status FROM contacts WHERE lower(email) = lower(%s)", email)
    return str(found)


async def suppressed(ctx: Context) -> list[str]:
    return [reason for (reason,) in await rows(ctx, "SELECT reason FROM suppressions ORDER BY 1")]


async def suppress(ctx: Context, reason: str, email: str = ADA) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute(
            "INSERT INTO suppressions (tenant_id, address_hash, reason) VALUES (%s, suppression_hash(%s, %s), %s)",
            (ctx.tenant.id, ctx.tenant.id, email, reason),
        )


async def import_list(ctx: Context, csv: str) -> Any:
    return await BY_NAME["import_contacts"].call({"csv": csv}, ctx)


async def test_whoever_leaves_at_the_counter_gets_nothing_that_waits(live: Context) -> None:
    await make_campaign(live, 3)
    await approve(live)
    left = await leave(live, "Harvest-Fair0@example.org", reason="too many mails")
    assert (left.skipped, left.was, left.counted_in) == (1, "subscribed", None)
    assert "1 mail that waited for them does not leave." in left.text()
    await sender(live).run_once()
    assert await states(live) == {"skipped": 1, "sent": 2}
    assert await rows(live, "SELECT reason FROM deliveries WHERE state = 'skipped'") == [("suppressed (unsubscribed)",)]
    assert await suppressed(live) == ["unsubscribed"]
    assert await status(live, "harvest-fair0@example.org") == "unsubscribed"
    assert await rows(live, "SELECT attributes FROM contacts WHERE status = 'unsubscribed'") == [
        ({"unsubscribed because": "too many mails"},)
    ]
    # The words may name people: the log has none of them.
    ((logged,),) = await rows(live, "SELECT arguments::text FROM audit_log WHERE tool = 'unsubscribe_contact'")
    assert "too many" not in logged
    assert "harvest" not in logged.lower()


async def test_it_is_counted_once_with_the_last_mail_they_got(live: Context) -> None:
    campaign = await make_campaign(live, 2)
    await approve(live)
    await sender(live).run_once()
    for _ in range(2):
        left = await leave(live, "harvest-fair1@example.org")
    assert (left.counted_in, left.was) == ("Harvest Fair", "unsubscribed")
    assert await rows(live, "SELECT kind, class, reason FROM events") == [("unsubscribe", "human", "by_hand")]
    assert await rows(live, "SELECT sum(unsubscribe_count) FROM campaign_analytics") == [(1,)]
    async with live.database.transaction(live.tenant.id) as db:
        stored = await analytics.hours(db, live.tenant.id, campaign)
        assert stored == await analytics.recount(db, live.tenant.id, campaign)


async def test_a_month_later_it_is_no_mails_fault(live: Context) -> None:
    await make_campaign(live, 1)
    await approve(live)
    await sender(live).run_once()
    later = dataclasses.replace(live, now=lambda: live.now() + timedelta(days=31))
    assert (await leave(later, "harvest-fair0@example.org")).counted_in is None
    assert await rows(live, "SELECT count(*) FROM events") == [(0,)]
    assert await suppressed(live) == ["unsubscribed"]


async def test_an_address_that_is_nobodys_is_never_mailed_either(ctx: Context) -> None:
    assert (await leave(ctx, "stranger@example.org")).contact_id is None
    await import_list(ctx, "email\nStranger@example.org\n")
    assert await status(ctx, "stranger@example.org") == "unsubscribed"
    with pytest.raises(NoSuchContact):
        await leave(ctx, "Nobody Known")


async def test_a_complaint_stays_a_complaint(ctx: Context) -> None:
    await add(ctx)
    async with ctx.database.transaction(ctx.tenant.id) as db:
        await db.execute("UPDATE contacts SET status = 'complained'")
    assert "was complained already" in (await leave(ctx)).text()
    assert await status(ctx) == "complained"


# Coming back


async def test_nobody_comes_back_without_their_own_word(ctx: Context) -> None:
    await add(ctx)
    await leave(ctx)
    for consent in ("", "  ", "yes"):
        with pytest.raises(ConsentNeeded):
            await leaving.resubscribe(ADA, consent, ctx)
    assert await status(ctx) == "unsubscribed"
    assert await suppressed(ctx) == ["unsubscribed"]


async def test_with_it_they_are_mailed_again_and_it_is_kept(ctx: Context) -> None:
    await add(ctx)
    await leave(ctx)
    came = await leaving.resubscribe(ADA, "asked for it  at the counter", ctx)
    assert came.was == "unsubscribed"
    assert await status(ctx) == "subscribed"
    assert await suppressed(ctx) == []
    ((attributes,),) = await rows(ctx, "SELECT attributes FROM contacts")
    assert attributes["consent"] == "asked for it at the counter (2026-11-25, Robin)"
    ((tool, outcome, arguments),) = await rows(
        ctx, "SELECT tool, outcome, arguments FROM audit_log WHERE tool LIKE 'resub%%'"
    )
    assert (tool, outcome, arguments) == ("resubscribe_contact", "done", {})
    await import_list(ctx, f"email\n{ADA}\n")
    assert await status(ctx) == "subscribed"


@pytest.mark.parametrize("reason", ["complained", "bounced"])
async def test_spam_and_dead_addresses_do_not_come_back(ctx: Context, reason: str) -> None:
    await add(ctx)
    await suppress(ctx, reason)
    with pytest.raises(CannotResubscribe):
        await leaving.resubscribe(ADA, "asked for it at the counter", ctx)
    assert await suppressed(ctx) == [reason]
    # Nor would the database do it for whoever asks it directly.
    assert await rows(ctx, "SELECT lift_suppression(%s, %s)", ctx.tenant.id, ADA) == [(False,)]
    assert await suppressed(ctx) == [reason]


async def test_the_program_can_lift_one_wish_of_its_own_tenant_and_delete_nothing(
    ctx: Context, new_tenant: Any
) -> None:
    other = dataclasses.replace(ctx, tenant=new_tenant("Theirs Ltd"))
    await suppress(other, "unsubscribed")
    for tenant in (ctx.tenant.id, other.tenant.id):
        assert await rows(ctx, "SELECT lift_suppression(%s, %s)", tenant, ADA) == [(False,)]
    assert await suppressed(other) == ["unsubscribed"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await rows(other, "DELETE FROM suppressions WHERE tenant_id = %s RETURNING 1", other.tenant.id)


async def test_an_editor_can_take_people_off_but_not_put_them_back(ctx: Context) -> None:
    await add(ctx)
    editor = dataclasses.replace(ctx, actor=Actor("Eve", "editor"))
    await leave(editor)
    with pytest.raises(NotAllowed):
        await leaving.resubscribe(ADA, "asked for it at the counter", editor)


def test_no_tool_brings_anybody_back() -> None:
    assert not [name for name in BY_NAME if "resub" in name]


# Lists


KEPT = {"unsubscribed": "unsubscribed", "erased": "unsubscribed", "manual": "unsubscribed", "bounced": "bounced",
        "complained": "complained"}  # fmt: skip


@pytest.mark.parametrize("reason", KEPT)
async def test_a_list_cannot_bring_back_who_is_suppressed(ctx: Context, reason: str) -> None:
    await suppress(ctx, reason)
    imported = await import_list(ctx, "email,status\nADA@example.org,subscribed\nbo@example.org,\n")
    assert await status(ctx) == KEPT[reason]
    assert await status(ctx, "bo@example.org") == "subscribed"
    assert (imported.kept_out, imported.suppressed) == (1, 0)
    assert "1 had left, bounced or complained before and stays left out" in imported.text()
    assert await rows(ctx, "SELECT count(*) FROM suppressions") == [(1,)]
    # The same list again changes nothing, not even a date.
    before = await rows(ctx, "SELECT email, status, updated_at FROM contacts ORDER BY 1")
    later = dataclasses.replace(ctx, now=lambda: ctx.now() + timedelta(hours=1))
    again = await BY_NAME["import_contacts"].call({"csv": "email,status\nADA@example.org,\nbo@example.org,\n"}, later)
    assert (again.changed, again.kept_out) == (0, 1)
    assert await rows(ctx, "SELECT email, status, updated_at FROM contacts ORDER BY 1") == before


async def test_a_contact_that_was_left_as_a_subscriber_is_put_right(ctx: Context) -> None:
    await add(ctx)
    await suppress(ctx, "unsubscribed")
    await import_list(ctx, f"email\n{ADA}\n")
    assert await status(ctx) == "unsubscribed"


async def test_who_leaves_by_the_list_itself_is_not_counted_as_kept_out(ctx: Context) -> None:
    imported = await import_list(ctx, f"email,status\n{ADA},unsubscribed\n")
    assert (imported.suppressed, imported.kept_out) == (1, 0)


async def test_typing_the_address_again_does_not_bring_them_back_either(ctx: Context) -> None:
    await suppress(ctx, "unsubscribed")
    saved = await BY_NAME["create_contact"].call({"email": ADA}, ctx)
    assert saved.contact.status == "unsubscribed"
    assert "unsubscribed from before, so it gets no mail" in saved.text()
    await suppress(ctx, "bounced", "bo@example.org")
    await add(ctx, "kit@example.org")
    moved = await BY_NAME["update_contact"].call({"contact": "kit@example.org", "email": "bo@example.org"}, ctx)
    assert moved.contact.status == "bounced"
    assert "bounced from before" in moved.text()
