"""Sending: a campaign, a test mail, and taking a campaign back. Nothing here mails: it asks a person, and what the
person allows is written down as rows that a worker sends (mail/send.py)."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field

from db import approvals as approval_rows
from db import campaigns, deliveries, emails, tenants, test_mails, variants
from db.approvals import ApprovalRow
from db.campaigns import CampaignRow, RecipientsRow
from db.emails import ContentRow, EmailRow
from db.pool import Connection
from db.variants import VariantTestRow
from mail.significance import CONFIDENCE
from mail.start import content_fingerprint, content_of
from mail.variants import ENOUGH
from tools import approvals
from tools.approvals import Answered, ApprovalAsked, Card
from tools.base import Arguments, Context, Result, Text, tool
from tools.campaigns import find_campaign
from tools.dates import in_words, read_moment
from tools.errors import (
    CampaignClosed,
    NoEmail,
    NoRecipients,
    OneMailOnly,
    PastTime,
    SendingHalted,
    TestsAndZones,
    TooManyRecipients,
    UnreadableMail,
)
from tools.fields import CampaignName, Email, checked_email
from tools.mail_checks import MOST_WARNINGS, checked, review

SENDABLE = frozenset({"draft", "scheduled", "paused", "failed"})

# How much of a mail the card shows; a person who wants all asks for a preview.
CARD_PREVIEW = 1_200

# Of what stops a mail: more than a few are not read.
SHOWN_STOPS = 3


_PICTURE = re.compile(r"!\[|<\w[^>]*\b(?:src|background)\w*\s*=|url\(", re.IGNORECASE)
_HOST = re.compile(r"(?:https?:)?//(?:[^\s/@]*@)?([\w.-]+)", re.IGNORECASE)

SEND_AT = "Time like 2026-12-05T09:00+01:00; or 2026-12-05T09:00 local, for each recipient's own time zone."

# A program that only asks and approves does not send; the one that does is named.
WHO_SENDS = "The chat and `smartcampaign worker` send while they run."


class SendCampaign(Arguments):
    campaign: CampaignName
    send_at: Annotated[Text, Field(max_length=60, description=SEND_AT)] | None = None


@tool(effect="send")
async def send_campaign(args: SendCampaign, ctx: Context) -> ApprovalAsked:
    """Ask to send a campaign, now or at `send_at`. A person must approve it: this only writes the request."""
    when = _When.read(args.send_at, ctx)
    if when.at is not None and when.at <= ctx.now():
        raise PastTime(time=in_words(when.at, ctx.tenant.zone))
    async with ctx.transaction() as db:
        row = await find_campaign(db, ctx, args.campaign)
        ctx.about(row.campaign_id)
        plan = await _plan(db, ctx, row, when)
        plan.check()
        mails = await checked(db, ctx, plan.tenant, row)
        _refuse_unreadable(row, mails.stops)
        return await approvals.ask(
            db, ctx, action="send_campaign", fingerprint=plan.fingerprint(), card=plan.card(ctx, mails.warnings),
            campaign_id=row.campaign_id, recipient_count=plan.going, arguments=when.as_arguments(),
        )  # fmt: skip


class SendTestEmail(Arguments):
    campaign: CampaignName
    to: Email


@tool(effect="send")
async def send_test_email(args: SendTestEmail, ctx: Context) -> Answered:
    """Send the campaign's mail to one address as a test, marked [TEST]. To others than the sender a person approves."""
    to, hint = checked_email(args.to)
    async with ctx.transaction() as db:
        row = await find_campaign(db, ctx, args.campaign)
        ctx.about(row.campaign_id)
        templates = await emails.templates(db, ctx.tenant.id, row.campaign_id)
        if not templates:
            raise NoEmail(name=row.name)
        tenant = await tenants.find(db, ctx.tenant.id)
        assert tenant is not None, "the transaction's tenant is there"
        mail = await review(db, ctx, tenant, row, templates[0])
        _refuse_unreadable(row, mail.stops)
        card = Card(
            title=f"Send a test of {row.name} to {to}?",
            facts={"Subject": f"[TEST] {templates[0].subject}"},
            warnings=[*([hint] if hint else []), *mail.doubts[:MOST_WARNINGS]],
            preview=templates[0].body[:CARD_PREVIEW],
        )
        asked = await approvals.ask(
            db, ctx, action="send_test_email", fingerprint=_test_fingerprint(to, templates), card=card,
            campaign_id=row.campaign_id, recipient_count=1, arguments={"to": to},
        )  # fmt: skip
        if tenant.halted_at is not None:
            raise SendingHalted(since=in_words(tenant.halted_at, ctx.tenant.zone))
        if _is_own(to, tenant) and not _shows_to_others(templates, tenant):
            return await approvals.allow_by_rule(db, ctx, asked, "own address")
        return asked


def _refuse_unreadable(row: CampaignRow, stops: Sequence[str]) -> None:
    """Nobody is asked about a mail that would leave nobody, or leave with a tag that means nothing."""
    if stops:
        more = f" (and {len(stops) - SHOWN_STOPS} more.)" if len(stops) > SHOWN_STOPS else ""
        raise UnreadableMail(name=row.name, problems=" ".join(stops[:SHOWN_STOPS]) + more)


def _is_own(address: str, tenant: tenants.TenantRow) -> bool:
    """Whether it is the sender's address, or one that the owner has named.

    No domain counts: anybody can have an address at a provider's, and a text that talks the model into a test must not
    reach them.
    """
    own = [tenant.sender_email or "", *tenant.own_addresses]
    return address.lower() in (each.lower() for each in own if each)


def _shows_to_others(templates: Sequence[EmailRow], tenant: tenants.TenantRow) -> bool:
    """Whether a mail has pictures and names other sites than the sender's own.

    A picture is loaded as soon as the mail is opened, and its address can carry whatever a model was talked into
    writing there: such a test is looked at by a person first.
    """
    own = (tenant.sender_email or "").rpartition("@")[2].lower()
    for mail in templates:
        hosts = {host.lower() for host in _HOST.findall(mail.body)}
        if _PICTURE.search(mail.body) and any(host != own and not host.endswith(f".{own}") for host in hosts):
            return True
    return False


class CancelCampaign(Arguments):
    campaign: CampaignName


class Cancelled(Result):
    campaign: str
    campaign_id: UUID
    was: str
    withdrawn: int
    """How many open approval requests were withdrawn with it."""

    def text(self) -> str:
        requests = f" {self.withdrawn} open approval request withdrawn." if self.withdrawn else ""
        return f"Cancelled {self.campaign} (it was {self.was}). Nobody will be mailed.{requests}"


@tool(effect="write")
async def cancel_campaign(args: CancelCampaign, ctx: Context) -> Cancelled:
    """Cancel a campaign that has not been sent: it is never mailed, and open approval requests are withdrawn."""
    async with ctx.transaction() as db:
        found = await find_campaign(db, ctx, args.campaign)
        row = await campaigns.find_for_change(db, ctx.tenant.id, found.campaign_id)
        assert row is not None, "it was found in this transaction"
        ctx.about(row.campaign_id)
        if not await campaigns.move(db, ctx.tenant.id, row.campaign_id, "cancelled", at=ctx.now()):
            raise CampaignClosed(name=row.name, status=row.status, hint="There is nothing left to cancel.")
        await deliveries.skip_rest(db, ctx.tenant.id, row.campaign_id, reason="cancelled", at=ctx.now())
        withdrawn = await approval_rows.withdraw_of_campaign(db, ctx.tenant.id, row.campaign_id, ctx.now())
    return Cancelled(campaign=row.name, campaign_id=row.campaign_id, was=row.status, withdrawn=withdrawn)


@dataclass(frozen=True)
class _When:
    """When a campaign is to leave."""

    at: datetime | None = None
    """None: as soon as it is approved."""
    zoned: bool = False
    """At this wall time in each recipient's own zone."""

    @classmethod
    def read(cls, text: str | None, ctx: Context) -> _When:
        """`2026-12-05T09:00`, with a zone or without; with ` local` behind it: in each recipient's zone."""
        if not text:
            return cls()
        words, _, last = text.strip().rpartition(" ")
        if last.lower() == "local" and words:
            return cls(read_moment(words, ctx.tenant.zone), zoned=True)
        return cls(read_moment(text, ctx.tenant.zone))

    @classmethod
    def asked(cls, request: ApprovalRow) -> _When:
        text = request.arguments.get("send_at")
        return cls(datetime.fromisoformat(text) if text else None, bool(request.arguments.get("zoned")))

    def as_arguments(self) -> dict[str, Any]:
        return {"send_at": self.at.isoformat() if self.at else None, "zoned": self.zoned}

    def text(self, zone: ZoneInfo) -> str:
        if self.at is None:
            return "as soon as it is approved"
        where = ", by the clock of each recipient's own time zone" if self.zoned else ""
        return in_words(self.at, zone) + where


class _Plan:
    """Exactly what sending a campaign would do, worked out from the rows of one transaction."""

    def __init__(
        self, campaign: CampaignRow, templates: list[EmailRow], content: ContentRow, people: list[RecipientsRow],
        tenant: tenants.TenantRow, when: _When, test: VariantTestRow | None,
    ) -> None:  # fmt: skip
        self.campaign, self.templates, self.content, self.test = campaign, templates, content, test
        self.tenant, self.when = tenant, when
        self.going = next((row.people for row in people if row.left_out is None), 0)
        self._people_hash = next((row.hash for row in people if row.left_out is None), "")
        self.left_out = Counter({row.left_out: row.people for row in people if row.left_out is not None})

    def check(self) -> None:
        """Raise the `ToolError` that says why this can't be asked for."""
        if self.campaign.status not in SENDABLE:
            raise CampaignClosed(name=self.campaign.name, status=self.campaign.status, hint="It can't be sent again.")
        if self.tenant.halted_at is not None:
            raise SendingHalted(since=in_words(self.tenant.halted_at, ZoneInfo(self.tenant.time_zone)))
        if not self.templates:
            raise NoEmail(name=self.campaign.name)
        if self.test is not None and len(self.templates) == 1:
            raise OneMailOnly(name=self.campaign.name)
        if self.test is not None and self.when.zoned:
            raise TestsAndZones(name=self.campaign.name)
        if not self.going:
            why = f" ({_reasons(self.left_out)} left out)" if self.left_out else ""
            raise NoRecipients(name=self.campaign.name, why=why)
        if self.going > self.tenant.send_cap:
            raise TooManyRecipients(name=self.campaign.name, count=self.going, cap=self.tenant.send_cap)

    def fingerprint(self) -> str:
        """SHA-256 over recipients, every mail, sender and time: one byte more or less is another fingerprint."""
        whole: dict[str, Any] = {
            "campaign": str(self.campaign.campaign_id),
            "recipients": self._people_hash,
            "content": self.content_fingerprint,
            "send_at": self.when.at.timestamp() if self.when.at else None,
            "zoned": self.when.zoned,
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    @property
    def content_fingerprint(self) -> str:
        return content_fingerprint(self.content.hash, self.tenant, self.test)

    def card(self, ctx: Context, about_mails: Sequence[str]) -> Card:
        """What a person decides on; `about_mails` is what is to be said of the texts."""
        facts = self._subjects() | {"Recipients": f"{self.going:,}", "When": self.when.text(ctx.tenant.zone)}
        if self.test is not None:
            facts["Test"] = self._test_in_words(self.test)
        if self.left_out:
            facts["Left out"] = _reasons(self.left_out)
        if self.content.personal:
            facts["With a text of their own"] = f"{self.content.personal:,}"
        warnings = [f"Nothing known backs this up: {claim}" for claim in self.content.unknown_claims[:10]]
        warnings += [*self._about_test(), *about_mails]
        if self.going > self.tenant.daily_cap:
            warnings.append(f"The daily cap is {self.tenant.daily_cap:,} mails, so it takes more than a day.")
        return Card(
            title=f"Send {self.campaign.name} to {self.going:,} people?", facts=facts, warnings=warnings,
            preview=self._preview(),
        )  # fmt: skip

    def _subjects(self) -> dict[str, str]:
        if self.test is None:
            return {"Subject": self.templates[0].subject}
        return {f"Subject {mail.variant}": mail.subject for mail in self.templates}

    def _preview(self) -> str:
        """The beginning of the mail; of variants whose bodies differ, of each."""
        bodies = list(dict.fromkeys(mail.body for mail in self.templates))
        if self.test is None or len(bodies) == 1:
            return self.templates[0].body[:CARD_PREVIEW]
        each = CARD_PREVIEW // len(self.templates)
        return "\n\n".join(f"Variant {mail.variant}:\n\n{mail.body[:each]}" for mail in self.templates)

    def _test_in_words(self, test: VariantTestRow) -> str:
        """Exactly what the worker will do, as far as it is known: some may have drafts of their own."""
        others = self._alike - self._tested(test)
        each = f"{self._tested(test):,} people get the {len(self.templates)} variants in equal parts"
        if not others:
            return f"{each}; nobody waits for a winner"
        what = "clicks" if test.outcome == "click" else "conversions"
        unclear = "a person is asked" if test.unclear == "ask" else f"they get variant {self.templates[0].variant}"
        return (
            f"{each}. {test.wait_hours} h later the other {others:,} get the one with clearly more {what} "
            f"({CONFIDENCE:.0%} confidence); if none has, {unclear}"
        )

    def _about_test(self) -> list[str]:
        """What to warn of where there are variants."""
        if self.test is None:
            if len(self.templates) == 1:
                return []
            letters = ", ".join(mail.variant for mail in self.templates)
            return [
                f"It has variants {letters}, but no test of them is set: everybody gets {self.templates[0].variant}."
            ]
        each = self._tested(self.test) // len(self.templates)
        if each >= ENOUGH:
            return []
        return [f"Each variant goes to {each:,} people only; with fewer than {ENOUGH} no winner can be found."]

    @property
    def _alike(self) -> int:
        """How many get a variant: all but those with a draft of their own."""
        return max(0, self.going - self.content.personal)

    def _tested(self, test: VariantTestRow) -> int:
        return -(-self._alike * test.share // 100)


async def _plan(db: Connection, ctx: Context, row: CampaignRow, when: _When) -> _Plan:
    # A fingerprint of a million people takes longer than a query of a person may.
    await db.execute("SELECT set_config('statement_timeout', '10min', true)")
    tenant = await tenants.find(db, ctx.tenant.id)
    assert tenant is not None, "the transaction's tenant is there"
    templates = await emails.templates(db, ctx.tenant.id, row.campaign_id)
    content = await emails.content(db, ctx.tenant.id, row.campaign_id)
    people = await campaigns.recipients(db, ctx.tenant.id, row.campaign_id)
    test = await variants.find(db, ctx.tenant.id, row.campaign_id)
    return _Plan(row, templates, content, people, tenant, when, test)


async def _send_fingerprint(db: Connection, ctx: Context, request: ApprovalRow) -> str | None:
    row = await campaigns.find_for_change(db, ctx.tenant.id, request.campaign_id) if request.campaign_id else None
    if row is None:
        return None
    plan = await _plan(db, ctx, row, _When.asked(request))
    plan.check()
    return plan.fingerprint()


async def _schedule(db: Connection, ctx: Context, request: ApprovalRow) -> str:
    """Write down who gets it, as rows of the ledger, and schedule it: a worker sends it at its time."""
    assert request.campaign_id is not None
    when = _When.asked(request)
    send_at = max(when.at or ctx.now(), ctx.now())
    row = await campaigns.find(db, ctx.tenant.id, request.campaign_id)
    templates = await emails.templates(db, ctx.tenant.id, request.campaign_id)
    assert row is not None, "the fingerprint was compared in this transaction"
    assert templates, "so was its text"
    has_begun = await deliveries.has_begun(db, ctx.tenant.id, row.campaign_id)
    if not has_begun:
        await variants.forget_allotment(db, ctx.tenant.id, row.campaign_id)
    starts_at = await deliveries.fill(
        db, ctx.tenant.id, row.campaign_id, template_id=templates[0].email_id, send_at=send_at, zoned=when.zoned,
        zone=ctx.tenant.time_zone, at=ctx.now(),
    )  # fmt: skip
    test = await variants.find(db, ctx.tenant.id, row.campaign_id)
    if test is not None:
        await variants.allot(db, ctx.tenant.id, row.campaign_id, test, templates, again=has_begun)
    if row.status == "scheduled":
        # A new approval replaces the schedule of the one before.
        await campaigns.move(db, ctx.tenant.id, row.campaign_id, "draft", at=ctx.now())
    await campaigns.move(db, ctx.tenant.id, row.campaign_id, "scheduled", at=ctx.now(), send_at=send_at)
    content = await content_of(db, ctx.tenant.id, row.campaign_id)
    await campaigns.schedule(db, ctx.tenant.id, row.campaign_id, starts_at=starts_at or send_at, content=content)
    people = f"{request.recipient_count:,} {'recipient' if request.recipient_count == 1 else 'recipients'}"
    if when.at is None:
        return f"Approved: {row.name} goes to {people} as soon as a worker takes it. {WHO_SENDS}"
    return f"Approved: {row.name} is scheduled for {when.text(ctx.tenant.zone)}, {people}. {WHO_SENDS}"


def _test_fingerprint(to: str, templates: list[EmailRow]) -> str:
    whole = [to, *([mail.subject, mail.body] for mail in templates)]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


async def _test_send_fingerprint(db: Connection, ctx: Context, request: ApprovalRow) -> str | None:
    if request.campaign_id is None:
        return None
    templates = await emails.templates(db, ctx.tenant.id, request.campaign_id)
    return _test_fingerprint(request.arguments["to"], templates) if templates else None


async def _send_test(db: Connection, ctx: Context, request: ApprovalRow) -> str:
    assert request.campaign_id is not None
    to = request.arguments["to"]
    await test_mails.add(db, ctx.tenant.id, request.campaign_id, to, at=ctx.now())
    return f"Approved: the test goes to {to}. {WHO_SENDS}"


approvals.register("send_campaign", effect="send", fingerprint=_send_fingerprint, carry_out=_schedule)
approvals.register("send_test_email", effect="send", fingerprint=_test_send_fingerprint, carry_out=_send_test)


def _reasons(left_out: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
