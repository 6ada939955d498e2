"""A campaign's mails through the eyes of its recipients: the typical one, the worst, and what the card warns of."""

from __future__ import annotations

import pytest

from db import campaigns, emails, tenants
from tests.conftest import NOW
from tools.base import Context
from tools.campaigns import add_contacts_to_campaign, create_campaign
from tools.contacts import create_contact
from tools.emails import preview_email
from tools.mail_checks import MOST_WARNINGS, Checked, checked

LEAVE = "\n\n[Unsubscribe]({{ unsubscribe_url }})"
PEOPLE = [
    ("ada@example.org", "Ada", "Lovelace"), ("kit@example.org", "Kit", None), ("zoe@example.org", "Zoë", "  "),
    ("bo@example.org", "Bo", None), ("info@example.org", None, None),
]  # fmt: skip


@pytest.fixture
async def fair(ctx: Context) -> Context:
    """Five recipients: one with both names, three without a last name, one without any."""
    for email, first, last in PEOPLE:
        await create_contact.call({"email": email, "first_name": first, "last_name": last}, ctx)
    await create_campaign.call({"name": "Harvest Fair"}, ctx)
    await add_contacts_to_campaign.call({"campaign": "Harvest Fair", "query": "everybody"}, ctx)
    return ctx


async def put(ctx: Context, body: str, *, subject: str = "Oak", variant: str = "a", reader: str | None = None) -> None:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        row = await campaigns.by_name(db, ctx.tenant.id, "Harvest Fair")
        assert row is not None
        readers = await emails.readers(db, ctx.tenant.id, row.campaign_id, 100)
        contact_id = next((each.contact_id for each in readers if each.email == reader), None)
        await emails.save(
            db, ctx.tenant.id, campaign_id=row.campaign_id, contact_id=contact_id, variant=variant, subject=subject,
            body=body, written_by="person", unknown_claims=[], vector=None, model=None, at=NOW,
        )  # fmt: skip


async def looked_at(ctx: Context) -> Checked:
    async with ctx.database.transaction(ctx.tenant.id) as db:
        row = await campaigns.by_name(db, ctx.tenant.id, "Harvest Fair")
        tenant = await tenants.find(db, ctx.tenant.id)
        assert row is not None
        assert tenant is not None
        return await checked(db, ctx, tenant, row)


async def warned(ctx: Context) -> list[str]:
    return (await looked_at(ctx)).warnings


async def test_without_a_contact_a_preview_is_a_typical_recipients(fair: Context) -> None:
    await put(fair, "Dear {{ contact.first_name }} {{ contact.last_name }}" + LEAVE)
    shown = await preview_email.call({"campaign": "Harvest Fair"}, fair)
    assert shown.contact is not None
    assert any(name in shown.contact for name in ("Kit", "Zoë", "Bo"))
    assert shown.chosen == "a typical recipient: as much is known of 3 of 5"
    assert f"as {shown.contact} would see it (a typical recipient" in shown.text()
    assert any("contact.last_name for 4 of 5 recipients" in warning for warning in shown.warnings)
    assert any("contact.first_name for 1 of 5 recipients" in warning for warning in shown.warnings)


async def test_the_worst_is_who_gets_most_holes(fair: Context) -> None:
    await put(fair, "Dear {{ contact.first_name }} {{ contact.last_name }}" + LEAVE)
    shown = await preview_email.call({"campaign": "Harvest Fair", "contact": "worst"}, fair)
    assert shown.contact == "info@example.org"
    assert shown.chosen == "with 2 holes, the most; 1 of 5 are like them"
    await put(fair, "Dear {{ contact.first_name | default: 'friend' }}" + LEAVE)
    shown = await preview_email.call({"campaign": "Harvest Fair", "contact": "Worst"}, fair)
    assert shown.chosen == "no recipient gets a hole"
    assert shown.warnings == []


async def test_only_who_would_get_it_stands_for_others(fair: Context) -> None:
    await put(fair, "Dear {{ contact.first_name }}" + LEAVE)
    async with fair.database.transaction(fair.tenant.id) as db:
        await db.execute(
            "UPDATE contacts SET status = 'unsubscribed' WHERE tenant_id = %s AND email = 'info@example.org'",
            (fair.tenant.id,),
        )
        await db.execute(
            "INSERT INTO suppressions (tenant_id, address_hash, reason)"
            " VALUES (%(t)s, suppression_hash(%(t)s, 'ada@example.org'), 'bounced')",
            {"t": fair.tenant.id},
        )
    await put(fair, "For Bo" + LEAVE, reader="bo@example.org")
    shown = await preview_email.call({"campaign": "Harvest Fair"}, fair)
    assert shown.chosen == "a typical recipient: as much is known of 2 of 2"
    assert shown.warnings == []


async def test_the_card_hears_of_every_variant_and_every_draft(fair: Context) -> None:
    await put(fair, "Hello" + LEAVE)
    assert await warned(fair) == []
    await put(fair, "Hello", variant="b", subject="")
    await put(fair, "Dear {{ contact.last_name }}" + LEAVE, reader="kit@example.org")
    await put(fair, "{% if %}", reader="bo@example.org")
    said = await warned(fair)
    assert said[0] == "Variant b: The subject is empty."
    assert said[1].startswith("Variant b: It has no way to unsubscribe of its own")
    assert (
        "The draft for Kit (kit@example.org): Nothing is known for contact.last_name, and it has no default: "
        "the mail has a hole there."
    ) in said
    assert len(said) == 3
    (stop,) = (await looked_at(fair)).stops
    assert stop.startswith("The draft for Bo (bo@example.org): The merge tags can't be read")


async def test_a_card_is_not_flooded(fair: Context) -> None:
    for email, *_ in PEOPLE:
        await put(fair, "Dear {{ contact.phone_number }}" + " [x](http://localhost) ![](https://a.example/x)" + LEAVE,
                  subject="BUY IT NOW!!", reader=email)  # fmt: skip
    said = await warned(fair)
    assert len(said) == MOST_WARNINGS + 1
    assert said[-1] == "There are 8 more warnings; previews show them."


async def test_links_are_compared_with_the_senders_domain(fair: Context, database_url: str) -> None:
    await put(fair, "[a](https://shop.example/x) [b](https://bit.ly/y)" + LEAVE)
    assert await warned(fair) == ["This link leads nowhere for its readers: https://shop.example/x"]
    tenants.update(database_url, fair.tenant.id, sender_email="hello@mail.shop.example")
    assert await warned(fair) == [
        "Links lead to other domains than yours (mail.shop.example): bit.ly.",
    ]
