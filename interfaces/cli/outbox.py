"""`smartcampaign outbox`: the mails that were kept while no mail server is set."""

from __future__ import annotations

import re
import sys
from email import policy
from email.parser import BytesParser

from interfaces.cli.jobs import show_json
from interfaces.cli.running import DONE, Stop, program
from interfaces.cli.typeset import printable, show_markdown


async def show_newest(tenant: str | None, limit: int, *, as_json: bool) -> int:
    """List the newest ones."""
    async with program(tenant) as opened:
        from db import captures
        from tools.dates import in_words
        from tools.lists import cell

        ctx = opened.context()
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            rows = await captures.newest(db, ctx.tenant.id, limit)
        if as_json:
            show_json([
                {"id": row.captured_id, "to": row.recipient, "subject": row.subject, "at": row.at, "bytes": row.size}
                for row in rows
            ])  # fmt: skip
        elif not rows:
            show_markdown("The outbox is empty. Mail comes here while no mail server is set (SMTP_URL).")
        else:
            lines = [
                f"| {str(row.captured_id)[:8]} | {cell(row.recipient, 40)} | {cell(row.subject, 60)} | "
                f"{in_words(row.at, ctx.tenant.zone)} |"
                for row in rows
            ]
            table = "\n".join(["| id | to | subject | at |", "|---|---|---|---|", *lines])
            show_markdown(
                f"Kept here, not sent: no mail server is set.\n\n{table}\n\nShow one: smartcampaign outbox ID"
            )
    return DONE


async def show_mail(id: str, tenant: str | None) -> int:
    """Print one mail: its head and its text part; all of it where it goes into a file or a pipe."""
    beginning = id.strip().lower()
    async with program(tenant) as opened:
        from db import captures

        ctx = opened.context()
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            known = re.fullmatch(r"[0-9a-f-]{4,36}", beginning)
            rows = await captures.find(db, ctx.tenant.id, beginning) if known else []
    if len(rows) != 1:
        raise Stop(f"No mail in the outbox has the id {printable(id)[:40]}. List them with: smartcampaign outbox")
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(rows[0].message)
        return DONE
    mail = BytesParser(policy=policy.default).parsebytes(rows[0].message)
    head = "".join(f"{name}: {printable(str(value))}\n" for name, value in mail.items())
    body = mail.get_body(("plain", "html"))
    sys.stdout.write(f"{head}\n{body.get_content() if body else ''}\n")
    sys.stdout.write("All of it, HTML included: smartcampaign outbox ID > mail.eml\n")
    return DONE
