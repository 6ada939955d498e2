"""Coming back at the terminal: only with the person's own consent, in words that are kept."""

from __future__ import annotations

from interfaces.cli.running import DONE, program
from interfaces.cli.terminal import Terminal, someone_is_there
from interfaces.cli.typeset import show_markdown

ASK = (
    "Only who asked for it themselves may be mailed again. When and how did they agree? "
    "(nothing: leave it as it is) "
)  # fmt: skip


async def resubscribe(contact: str, consent: str | None, tenant: str | None) -> int:
    """Subscribe somebody again. Without `consent` a person at the terminal is asked for it."""
    async with program(tenant) as opened:
        from tools import leaving

        if consent is None and someone_is_there():
            consent = await Terminal().question(ASK)
        show_markdown((await leaving.resubscribe(contact, consent or "", opened.context())).text())
    return DONE
