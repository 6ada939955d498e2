"""The card that asks for a send: all a person needs to decide, and no card for a mail that can't be sent."""

from __future__ import annotations

import pytest

from db import tenants
from tests.tools.test_mail_checks import LEAVE, fair, put
from tools import BY_NAME, approvals
from tools.approvals import ApprovalAsked
from tools.base import Context
from tools.errors import UnreadableMail

__all__ = ["fair"]


async def ask(ctx: Context, tool: str = "send_campaign", **more: str) -> ApprovalAsked:
    asked = await BY_NAME[tool].call({"campaign": "Harvest Fair", **more}, ctx)
    assert isinstance(asked, ApprovalAsked)
    return asked


async def test_the_card_says_all_that_a_person_must_know(fair: Context, database_url: str) -> None:
    tenants.update(database_url, fair.tenant.id, sender_email="hello@oak.example")
    async with fair.database.transaction(fair.tenant.id) as db:
        await db.execute("UPDATE contacts SET status = 'unsubscribed' WHERE email = 'bo@example.org'")
    links = "[a](http://localhost/a) [b](https://bit.ly/b)"
    await put(fair, f"Dear {{{{ contact.first_name }}}} {links}\n\n{'word ' * 22_000}", subject="Oak for all")
    card = (await ask(fair)).card
    assert card.title == "Send Harvest Fair to 4 people?"
    assert card.facts["Subject"] == "Oak for all"
    assert card.facts["Recipients"] == "4"
    assert card.facts["Left out"] == "1 unsubscribed"
    assert card.preview is not None
    assert card.preview.startswith("Dear {{ contact.first_name }}")
    for part in (
        "contact.first_name for 1 of 4 recipients", "leads nowhere for its readers: http://localhost/a",
        "other domains than yours (oak.example): bit.ly", "no way to unsubscribe of its own",
        "Gmail cuts mails off after 102 kB",
    ):  # fmt: skip
        assert any(part in warning for warning in card.warnings), (part, card.warnings)
        assert part in card.text()
    # Whatever door shows it later reads the same row.
    (waiting,) = await approvals.waiting(fair)
    assert waiting.card == card


async def test_a_mail_without_faults_has_a_card_without_warnings(fair: Context) -> None:
    await put(fair, "Dear {{ contact.first_name | default: 'friend' }}" + LEAVE)
    assert (await ask(fair)).card.warnings == []


STOPPED = {
    "an unknown tag": ("Dear {{ contact.fist_name }}" + LEAVE, "Did you mean contact.first_name?"),
    "an unknown tag with a default": ("Dear {{ contact.nick | default: 'you' }}" + LEAVE, "'contact.nick'"),
    "a tag that is not closed": ("Dear {{ contact.first_name" + LEAVE, "can't be read"),
    "an unknown filter": ("Dear {{ contact.first_name | shout }}" + LEAVE, "can't be read"),
    "a loop without end": (
        "{% for i in (1..600) %}{{ contact.first_name }}{% endfor %}" + LEAVE, "loops may go round 500 times",
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", ["send_campaign", "send_test_email"])
@pytest.mark.parametrize("fault", STOPPED)
async def test_nobody_is_asked_about_a_mail_that_cannot_be_sent(fair: Context, fault: str, tool: str) -> None:
    body, says = STOPPED[fault]
    await put(fair, body)
    with pytest.raises(UnreadableMail) as refused:
        await ask(fair, tool, **({"to": "someone@example.com"} if tool == "send_test_email" else {}))
    said = str(refused.value)
    assert said.startswith("Harvest Fair can't be sent like this.")
    assert says in said
    assert said.endswith("Change the mail, then ask again.")
    assert await approvals.waiting(fair) == []


async def test_a_fault_in_the_subject_or_in_one_persons_draft_stops_it_too(fair: Context) -> None:
    await put(fair, "Hello" + LEAVE, subject="Hi {{ contact.nme }}")
    with pytest.raises(UnreadableMail, match=r"contact\.nme"):
        await ask(fair)
    await put(fair, "Hello" + LEAVE)
    await put(fair, "{% if %}", reader="kit@example.org")
    with pytest.raises(UnreadableMail, match=r"The draft for Kit \(kit@example\.org\)"):
        await ask(fair)


async def test_a_test_mails_card_warns_too(fair: Context) -> None:
    await put(fair, "Hello [a](http://localhost/a)" + LEAVE)
    card = (await ask(fair, "send_test_email", to="someone@example.com")).card
    assert any("leads nowhere" in warning for warning in card.warnings)
