"""Pause, resume, halt, and what becomes of mails that were in flight."""

from __future__ import annotations

import asyncio

from interfaces.cli.running import DONE, Stop, program, settings_for
from interfaces.cli.typeset import show_markdown


async def halt(tenant: str | None) -> int:
    """Stop all sending, of one tenant or all, as the owner."""
    from db import tenants
    from interfaces.wiring import find_tenant, open_database

    async with open_database(settings_for()) as url:
        only = (await asyncio.to_thread(find_tenant, url, tenant)).id if tenant else None
        await asyncio.to_thread(tenants.halt, url, only)
    whom = tenant or "all tenants"
    show_markdown(
        f"Sending is halted for {whom}. Mails that were in flight at this moment end; nothing else leaves. "
        "Lift it with: smartcampaign resume-sending"
    )
    return DONE


async def lift_halt(tenant: str | None) -> int:
    """Let halted tenants send again."""
    from db import tenants
    from interfaces.wiring import find_tenant, open_database

    async with open_database(settings_for()) as url:
        only = (await asyncio.to_thread(find_tenant, url, tenant)).id if tenant else None
        lifted = await asyncio.to_thread(tenants.lift_halt, url, only)
    show_markdown("The halt is lifted: what was under way goes on." if lifted else "Nothing was halted.")
    return DONE


async def pause(campaign: str, tenant: str | None) -> int:
    """Stop sending a campaign for now."""
    async with program(tenant) as opened:
        from tools import deliveries

        show_markdown((await deliveries.pause(campaign, opened.context())).text())
    return DONE


async def resume(campaign: str, tenant: str | None) -> int:
    """Go on with a paused campaign."""
    async with program(tenant) as opened:
        from tools import deliveries

        show_markdown((await deliveries.resume(campaign, opened.context())).text())
    return DONE


async def unknown(campaign: str, tenant: str | None, *, resend: bool, settle: bool) -> int:
    """Say how many mails are in doubt, or settle them."""
    if resend and settle:
        raise Stop("Choose one: --resend sends them again, --settle takes them as sent.")
    async with program(tenant) as opened:
        from tools import deliveries

        ctx = opened.context()
        if not (resend or settle):
            show_markdown((await deliveries.in_doubt(campaign, ctx)).text())
        else:
            show_markdown((await deliveries.settle(campaign, ctx, resend=resend)).text())
    return DONE


async def on_crash(campaign: str, choice: str, tenant: str | None) -> int:
    """Choose what becomes of mails in flight when a worker dies."""
    if choice not in ("park", "resend"):
        raise Stop("Choose park (a person decides) or resend (they are sent again, so some people may get two).")
    async with program(tenant) as opened:
        from tools import deliveries

        done = await deliveries.choose_on_crash(campaign, "resend" if choice == "resend" else "park", opened.context())
        show_markdown(done.text())
    return DONE
