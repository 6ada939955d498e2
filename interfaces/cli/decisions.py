"""What waits for a person, and their decision. The card is shown and the answer is read here, never by a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interfaces.cli.jobs import show_json
from interfaces.cli.running import DONE, UNDECIDED, program
from interfaces.cli.terminal import Terminal, someone_is_there
from interfaces.cli.typeset import show_markdown

if TYPE_CHECKING:
    from tools.approvals import ApprovalAsked
    from tools.base import Context


async def list_waiting(tenant: str | None, *, as_json: bool) -> int:
    """Print the open requests, oldest first."""
    async with program(tenant) as opened:
        from tools import approvals
        from tools.dates import in_words

        waiting = await approvals.waiting(opened.context())
        if as_json:
            show_json([asked.model_dump(mode="json") for asked in waiting])
        elif not waiting:
            show_markdown("Nothing waits for a decision.")
        else:
            zone = opened.tenant.zone
            rows = [f"| {a.short_id} | {a.card.title} | {in_words(a.expires_at, zone)} |" for a in waiting]
            table = "\n".join(["| id | what | until |", "|---|---|---|", *rows])
            show_markdown(f"{table}\n\nDecide with: smartcampaign approve ID, or smartcampaign reject ID")
    return DONE


async def approve(id: str, tenant: str | None, *, yes: bool) -> int:
    """Show a request, ask, and carry it out."""
    async with program(tenant) as opened:
        from tools import approvals

        ctx = opened.context()
        asked = await approvals.find(ctx, id)
        if not yes:
            return await offer(asked, ctx)
        show_markdown(asked.card.text())
        show_markdown((await approvals.decide(str(asked.approval_id), approve=True, ctx=ctx)).outcome)
    return DONE


async def reject(id: str, tenant: str | None) -> int:
    """Reject a request."""
    async with program(tenant) as opened:
        from tools import approvals

        show_markdown((await approvals.decide(id, approve=False, ctx=opened.context())).outcome)
    return DONE


async def offer(asked: ApprovalAsked, ctx: Context) -> int:
    """Show a card and let the person at the terminal decide; without one say how. Returns the exit code."""
    if not someone_is_there():
        show_markdown(asked.text())
        return UNDECIDED
    from interfaces.cli.talk import APPROVE
    from tools import approvals

    show_markdown(asked.card.text())
    answer = await Terminal().question(APPROVE)
    match (answer if answer is not None else "later").strip().lower():
        case "y" | "yes":
            decision = True
        case "" | "n" | "no":
            decision = False
        case _:
            show_markdown(f"Left open. Decide it later with: smartcampaign approve {asked.short_id}")
            return UNDECIDED
    show_markdown((await approvals.decide(str(asked.approval_id), approve=decision, ctx=ctx)).outcome)
    return DONE
