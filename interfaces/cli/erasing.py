"""Erasing at the terminal: the card, and the address typed by the person who wants it."""

from __future__ import annotations

from interfaces.cli.running import DONE, UNDECIDED, program
from interfaces.cli.terminal import Terminal, someone_is_there
from interfaces.cli.typeset import show_markdown


async def erase(contact: str, tenant: str | None) -> int:
    """Ask for an erasure and carry it out once its address is typed. Returns the exit code; 3 without a person."""
    async with program(tenant) as opened:
        from tools import BY_NAME, approvals
        from tools.contacts import find_contact

        ctx = opened.context()
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            address = (await find_contact(db, ctx, contact)).email
        asked = await BY_NAME["delete_contact"].call({"contact": address}, ctx)
        if not someone_is_there():
            show_markdown(asked.text())
            return UNDECIDED
        show_markdown(asked.card.text())
        typed = await Terminal().question(f"To erase them, type the address ({address}): ")
        agreed = typed is not None and typed.strip().lower() == address.lower()
        decided = await approvals.decide(str(asked.approval_id), approve=agreed, ctx=ctx)
        show_markdown(decided.outcome if agreed else "That was not the address. Nothing was done.")
    return DONE
