"""What came back, looked after: judged again by today's rules, and the roll-up compared with a recount."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import fields
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import SecretStr

from interfaces.cli.running import DONE, FAILED, Stop, program
from interfaces.cli.typeset import show_markdown

if TYPE_CHECKING:
    from db.analytics import HourRow, LinkCountRow
    from interfaces.wiring import Program

# People in one transaction: some thousand events, and the campaign is free for others in between.
BATCH = 500

MOST_SHOWN = 20


async def reclassify(tenant: str | None, *, campaign: str | None, since: str | None) -> int:
    """Judge opens and clicks again, in batches; each batch is whole, so it may be stopped anywhere."""
    async with program(tenant) as opened:
        from db import events
        from mail import recording
        from tools.analytics import read_since

        id = opened.tenant.id
        start = read_since(since, opened.context()) if since else None
        async with opened.database.transaction(id, read_only=True) as db:
            chosen = await _chosen(opened, campaign)
            campaigns = chosen or await events.judged_campaigns(db, id, start)
        people = changed = 0
        for campaign_id, _ in campaigns:
            after = events.NOBODY
            while True:
                async with opened.database.transaction(id) as db:
                    batch = await events.judged_people(db, id, campaign_id, since=start, after=after, limit=BATCH)
                    changed += await recording.reclassify(db, id, campaign_id, batch)
                people += len(batch)
                _progress(f"{people:,} people")
                if len(batch) < BATCH:
                    break
                after = batch[-1]
        _progress("")
    sys.stdout.write(
        f"Looked at what {people:,} people opened and clicked in {_many(len(campaigns), 'campaign')}: "
        f"{_many(changed, 'verdict')} changed.\n"
    )
    return DONE


async def verify(tenant: str | None, *, campaign: str | None, repair: bool) -> int:
    """Compare every hour and link with a recount; `repair` counts anew what differs. Returns 1 if some still does."""
    async with program(tenant) as opened:
        from db import analytics

        id = opened.tenant.id
        chosen = await _chosen(opened, campaign)
        if not chosen:
            async with opened.database.transaction(id, read_only=True) as db:
                chosen = await analytics.campaigns_with_figures(db, id)
        wrong: list[str] = []
        differ = 0
        for place, (campaign_id, name) in enumerate(chosen, 1):
            _progress(f"{place:,} of {len(chosen):,}")
            async with opened.database.transaction(id) as db:
                await analytics.lock_alone(db, id, campaign_id)
                found = _differences(
                    await analytics.hours(db, id, campaign_id), await analytics.recount(db, id, campaign_id)
                ) + _link_differences(
                    await analytics.link_counts(db, id, campaign_id), await analytics.recount_links(db, id, campaign_id)
                )
                if found and repair:
                    await analytics.roll_up(db, id, campaign_id)
            differ += bool(found)
            wrong += [f"{name}: {difference}" for difference in found]
        _progress("")
    if not wrong:
        sys.stdout.write(f"{_many(len(chosen), 'campaign')}: every figure equals the recount.\n")
        return DONE
    lines = [f"- {line}" for line in wrong[:MOST_SHOWN]]
    lines += [f"- and {len(wrong) - MOST_SHOWN:,} more"] if len(wrong) > MOST_SHOWN else []
    what = "counted anew" if repair else "Count them anew with: `smartcampaign events verify --repair`"
    show_markdown(
        "\n".join([f"{differ:,} of {_many(len(chosen), 'campaign')} differ from the recount.", "", *lines, "", what])
    )
    return DONE if repair else FAILED


async def read_bounces(tenant: str | None, *, mailbox: str | None) -> int:
    """Read the unread mails and mark them as read. For one tenant, reports that are others' stay unread."""
    from db.pool import Database
    from interfaces.cli.running import settings_for
    from interfaces.wiring import find_tenant, open_database
    from interfaces.worker import make_reader
    from mail.mailboxes import MailboxError

    settings = settings_for(tenant)
    if mailbox:
        settings.bounces = SecretStr(mailbox)
    async with open_database(settings) as url:
        only = (await asyncio.to_thread(find_tenant, url, settings.tenant)).id if settings.tenant else None
        database = Database(url, max_size=2)
        await database.open()
        try:
            reader = make_reader(settings, url, database, settings.link_settings(), only=only)
            if reader is None:
                raise Stop("Say which mailbox: --mailbox or SMARTCAMPAIGN_BOUNCES.")
            read = await reader.read()
        except MailboxError as error:
            raise Stop(str(error)) from None
        finally:
            await database.close()
    if read is None:
        sys.stdout.write("Another program is reading this mailbox just now.\n")
    else:
        sys.stdout.write(f"Read {_many(read.mails, 'mail')}: {_many(read.new, 'new report')}.\n")
    return DONE


async def show_hook(tenant: str | None, provider: str) -> int:
    """Print a provider's address for its calls."""
    async with program(tenant) as opened:
        from mail.links import Links
        from mail.webhooks import PROVIDERS

        if provider not in PROVIDERS:
            raise Stop(f"There is no provider {provider!r}. There are: {', '.join(PROVIDERS)}.")
        if opened.settings.public_url is None:
            raise Stop("Set SMARTCAMPAIGN_PUBLIC_URL first: a provider must be able to reach this program.")
        async with opened.database.transaction(opened.tenant.id) as db:
            links = await Links.load(db, opened.tenant.id, opened.link_settings)
    sys.stdout.write(f"{links.hook_url(provider)}\n")
    return DONE


async def conversion_hosts(tenant: str | None, hosts: list[str], *, none: bool) -> int:
    """Set the shop's hosts, or print them."""
    async with program(tenant) as opened:
        from db import links

        if hosts or none:
            named = [host.strip().lower().rstrip(".") for host in hosts]
            for host in named:
                if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", host) or "." not in host:
                    raise Stop(f"{host!r} is no host. Write it like shop.example.com, without https://.")
            await asyncio.to_thread(links.set_conversion_hosts, opened.url, opened.tenant.id, named)
        async with opened.database.transaction(opened.tenant.id, read_only=True) as db:
            known = sorted(await links.conversion_hosts(db, opened.tenant.id))
    sys.stdout.write(f"{', '.join(known) or 'No hosts: conversions can not be reported.'}\n")
    return DONE


async def _chosen(opened: Program, campaign: str | None) -> list[tuple[UUID, str]]:
    if campaign is None:
        return []
    from tools.campaigns import find_campaign

    ctx = opened.context()
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        row = await find_campaign(db, ctx, campaign)
    return [(row.campaign_id, row.name)]


def _differences(stored: list[HourRow], counted: list[HourRow]) -> list[str]:
    have, want = {row.hour: row for row in stored}, {row.hour: row for row in counted}
    found = []
    for hour in sorted(have.keys() | want.keys()):
        one, other = have.get(hour), want.get(hour)
        for name in [field.name for field in fields(one or other) if field.name != "hour"]:  # type: ignore[arg-type]
            here, there = (getattr(row, name) if row else None for row in (one, other))
            if (here or None) != (there or None):
                found.append(f"{hour:%Y-%m-%d %H:%M} UTC, {name}: {here or 0}, recounted {there or 0}")
    return found


def _link_differences(stored: list[LinkCountRow], counted: list[LinkCountRow]) -> list[str]:
    have = {row.url: row for row in stored if row.person_count or row.click_count or row.machine_count}
    want = {row.url: row for row in counted}
    return [f"clicks on {url[:80]}" for url in sorted(have.keys() | want.keys()) if have.get(url) != want.get(url)]


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
