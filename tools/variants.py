"""Variants of a campaign's mail, how they are tried, and a person's choice where the figures make none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import Field

from db import campaigns, deliveries, emails, tenants, variants
from db.campaigns import CampaignRow
from db.emails import EmailRow
from db.embeddings import EmbeddingError
from db.pool import Connection
from db.variants import Outcome, Unclear
from mail.render import one_line
from mail.significance import CONFIDENCE
from mail.variants import ENOUGH
from tools import grounding
from tools.base import Arguments, Context, Result, Text, allowed, recorded_as, tool
from tools.campaigns import find_campaign, find_open_campaign
from tools.emails import embedded_text
from tools.errors import (
    HasBegun,
    InvalidArguments,
    NoEmail,
    NoSuchVariant,
    NothingToChoose,
    OneMailOnly,
    TooManyVariants,
)
from tools.fields import CampaignName
from tools.grounding import Facts
from tools.trials import By, tried

# A test of more variants finds nothing: the people are divided, and every pair is one more chance of a mistake.
MOST_VARIANTS = 5

LONGEST_BODY = 20_000

_OUTCOMES: dict[By, Outcome] = {"clicks": "click", "conversions": "conversion"}


class VariantSaved(Result):
    campaign: str
    campaign_id: UUID
    variant: str
    subject: str
    variants: list[str]
    unknown_claims: list[str] = []
    """What in it no known fact backs: for a person to check."""
    tested: bool
    """Whether a test is set."""

    def text(self) -> str:
        said = [f"{self.campaign} has variants {', '.join(self.variants)} now; {self.variant}: “{self.subject}”."]
        if self.unknown_claims:
            shown = ", ".join(f"“{claim}”" for claim in self.unknown_claims[:10])
            said.append(f"Nothing known backs up: {shown}. Check before sending.")
        if not self.tested:
            said.append(
                "Say how to try them next: on what share of the people, for how long, by clicks or conversions."
            )
        return " ".join(said)


class AddVariant(Arguments):
    campaign: CampaignName
    subject: Annotated[Text, Field(max_length=255, description="The other subject; left out: as in the first.")] = ""
    body: Annotated[
        Text, Field(max_length=LONGEST_BODY, description="The other body, in Markdown; left out: as in the first.")
    ] = ""


@tool(effect="write")
async def add_variant(args: AddVariant, ctx: Context) -> VariantSaved:
    """Add a variant of a campaign's mail, with another subject or body, to be tried against the first one."""
    subject, body = one_line(args.subject), args.body.strip()
    if not subject and not body:
        raise InvalidArguments(problems="Say what is to be different: give a subject or a body.")
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        row = await find_campaign(db, ctx, args.campaign)
        first = (await _variants(db, ctx, row))[0]
        tenant = await tenants.find(db, ctx.tenant.id)
        assert tenant is not None, "the transaction's tenant is there"
    subject, body = subject or first.subject, f"{body}\n" if body else first.body
    said = (row.name, row.description, first.subject, first.body, tenant.name, tenant.sender_name, tenant.sender_email)
    facts = Facts(tuple(text for text in said if text), (), (row.start_date,) if row.start_date else ())
    claims = await asyncio.to_thread(grounding.unknown_claims, f"{subject}\n\n{body}", facts)
    claims = list(dict.fromkeys([*(claim for claim in first.unknown_claims if claim in f"{subject}\n{body}"), *claims]))
    try:
        (vector,) = await ctx.embedder.embed([await asyncio.to_thread(embedded_text, subject, body)])
        model: str | None = ctx.embedder.name
    except EmbeddingError:
        vector, model = None, None
    async with ctx.transaction() as db:
        row = await find_open_campaign(db, ctx, str(row.campaign_id))
        await _refuse_begun(db, ctx, row)
        letters = [mail.variant for mail in await _variants(db, ctx, row)]
        if len(letters) >= MOST_VARIANTS:
            raise TooManyVariants(name=row.name, count=len(letters))
        letter = next(each for each in "abcdefghij" if each not in letters)
        await emails.save(
            db, ctx.tenant.id, campaign_id=row.campaign_id, contact_id=None, variant=letter, subject=subject, body=body,
            written_by="person", unknown_claims=claims, vector=vector, model=model, at=ctx.now(),
        )  # fmt: skip
        test = await variants.find(db, ctx.tenant.id, row.campaign_id)
    return VariantSaved(
        campaign=row.name, campaign_id=row.campaign_id, variant=letter, subject=subject,
        variants=sorted([*letters, letter]), unknown_claims=claims, tested=test is not None,
    )  # fmt: skip


class VariantTestSet(Result):
    campaign: str
    campaign_id: UUID
    share: int
    wait_hours: int
    by: By
    unclear: Unclear
    variants: list[str]
    recipients: int

    def text(self) -> str:
        tested = -(-self.recipients * self.share // 100)
        said = [
            f"{self.share} % of {self.campaign}'s {self.recipients:,} recipients ({tested:,}) get variants "
            f"{', '.join(self.variants)} in equal parts."
        ]
        if tested < self.recipients:
            then = "a person is asked" if self.unclear == "ask" else f"they get variant {self.variants[0]}"
            said.append(
                f"After {self.wait_hours} h the others get the one with clearly more {self.by} "
                f"({CONFIDENCE:.0%} confidence); if none has, {then}."
            )
        each = tested // len(self.variants)
        if each < ENOUGH:
            said.append(f"That is {each:,} people each: with fewer than {ENOUGH} no winner can be found.")
        said.append("It is part of what is approved: ask to send it next.")
        return " ".join(said)


class SetVariantTest(Arguments):
    campaign: CampaignName
    share: Annotated[int, Field(ge=1, le=100, description="Percent of the recipients who get the variants.")] = 20
    wait_hours: Annotated[int, Field(ge=1, le=168, description="Hours until the others get the better one.")] = 4
    by: Annotated[By, Field(description="What decides: people's clicks, or conversions.")] = "clicks"
    unclear: Annotated[
        Unclear, Field(description="Without a clear winner: ask a person, or send the others the first variant.")
    ] = "ask"


@tool(effect="write")
async def set_variant_test(args: SetVariantTest, ctx: Context) -> VariantTestSet:
    """Say how a campaign's variants are tried: the share of people, the wait, what decides. Nothing is sent by it."""
    async with ctx.transaction() as db:
        row = await find_open_campaign(db, ctx, args.campaign)
        await _refuse_begun(db, ctx, row)
        letters = [mail.variant for mail in await _variants(db, ctx, row)]
        if len(letters) == 1:
            raise OneMailOnly(name=row.name)
        await variants.set_rule(
            db, ctx.tenant.id, row.campaign_id, share=args.share, wait_hours=args.wait_hours,
            outcome=_OUTCOMES[args.by], unclear=args.unclear,
        )  # fmt: skip
        people = await campaigns.recipients(db, ctx.tenant.id, row.campaign_id)
        going = next((each.people for each in people if each.left_out is None), 0)
    return VariantTestSet(
        campaign=row.name, campaign_id=row.campaign_id, share=args.share, wait_hours=args.wait_hours, by=args.by,
        unclear=args.unclear, variants=letters, recipients=going,
    )  # fmt: skip


# For doors, for a person. No model calls them.


class VariantsChanged(Result):
    """What was done, as a sentence."""

    campaign: str
    outcome: str

    def text(self) -> str:
        return self.outcome


async def remove(campaign: str, variant: str, ctx: Context) -> VariantsChanged:
    """Take a variant away again; with the last but one the test goes too."""
    allowed(ctx.actor.role, "write", "to remove a variant")
    ctx = recorded_as("remove_variant", "write", ctx)
    async with ctx.transaction() as db:
        row = await find_open_campaign(db, ctx, campaign)
        await _refuse_begun(db, ctx, row)
        mails = await _variants(db, ctx, row)
        gone = _named(row, mails, variant)
        if gone is mails[0]:
            raise InvalidArguments(problems="The first one stays: it is what a new draft replaces. Remove another.")
        await emails.remove(db, ctx.tenant.id, row.campaign_id, gone.email_id)
        if len(mails) == 2:
            await variants.drop_rule(db, ctx.tenant.id, row.campaign_id)
    return VariantsChanged(campaign=row.name, outcome=f"Variant {gone.variant} of {row.name} is gone.")


async def forget_test(campaign: str, ctx: Context) -> VariantsChanged:
    """Try nothing: everybody gets the first variant."""
    allowed(ctx.actor.role, "write", "to take a test back")
    ctx = recorded_as("forget_variant_test", "write", ctx)
    async with ctx.transaction() as db:
        row = await find_open_campaign(db, ctx, campaign)
        await _refuse_begun(db, ctx, row)
        first = (await _variants(db, ctx, row))[0].variant
        was = await variants.drop_rule(db, ctx.tenant.id, row.campaign_id)
    said = f"No test of {row.name} is set any more; everybody gets variant {first}."
    return VariantsChanged(campaign=row.name, outcome=said if was else f"No test of {row.name} was set.")


async def choose(campaign: str, variant: str, ctx: Context) -> VariantsChanged:
    """Give the people who wait this variant, whatever the figures say. Raises `NothingToChoose`, `NoSuchVariant`."""
    allowed(ctx.actor.role, "send", "to choose a variant")
    ctx = recorded_as("choose_variant", "send", ctx)
    async with ctx.transaction() as db:
        found = await find_campaign(db, ctx, campaign)
        row = await campaigns.find_for_change(db, ctx.tenant.id, found.campaign_id)
        assert row is not None, "it was found in this transaction"
        ctx.about(row.campaign_id)
        test = await variants.find(db, ctx.tenant.id, row.campaign_id)
        if test is None:
            raise NothingToChoose(name=row.name, why="tries no variants")
        if test.winner is not None:
            raise NothingToChoose(name=row.name, why=f"has its variant already ({test.winner})")
        if row.status not in ("sending", "paused"):
            raise NothingToChoose(name=row.name, why=f"is {row.status}")
        mail = _named(row, await _variants(db, ctx, row), variant)
        # Of a test that is cut short nothing is claimed: whoever looks often enough finds a winner by luck.
        people = await variants.decide(
            db, ctx.tenant.id, row.campaign_id, mail, by=ctx.actor.name, evidence=test.evidence
        )
    said = f"Variant {mail.variant} of {row.name} goes to the other {people:,}."
    return VariantsChanged(campaign=row.name, outcome=said)


async def show(campaign: str, ctx: Context) -> VariantsChanged:
    """The campaign's variants, how they are tried, and how that stands."""
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        row = await find_campaign(db, ctx, campaign)
        mails = await _variants(db, ctx, row)
        trial = await tried(db, ctx, row.campaign_id)
    lines = [f"- {mail.variant}: {mail.subject}" for mail in mails]
    state = f"\n\n{trial.text(ctx.tenant.zone)}" if trial else "\n\nNo test is set: everybody gets the first."
    return VariantsChanged(campaign=row.name, outcome="\n".join([f"**{row.name}**", "", *lines]) + state)


async def _variants(db: Connection, ctx: Context, row: CampaignRow) -> list[EmailRow]:
    """The campaign's mails for everybody. Raises `NoEmail`."""
    mails = await emails.templates(db, ctx.tenant.id, row.campaign_id)
    if not mails:
        raise NoEmail(name=row.name)
    return mails


def _named(row: CampaignRow, mails: Sequence[EmailRow], variant: str) -> EmailRow:
    found = next((mail for mail in mails if mail.variant == variant.strip().lower()), None)
    if found is None:
        raise NoSuchVariant(name=row.name, variant=variant[:20], variants=", ".join(mail.variant for mail in mails))
    return found


async def _refuse_begun(db: Connection, ctx: Context, row: CampaignRow) -> None:
    if await deliveries.has_begun(db, ctx.tenant.id, row.campaign_id):
        raise HasBegun(name=row.name)
