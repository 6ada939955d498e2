"""The tool: contacts from the text of a CSV file, all at once, with what was left out named by its line."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Annotated

from pydantic import Field

from tools.base import PERSONAL, Arguments, Context, Text, tool
from tools.imports.reading import Options, read_text
from tools.imports.report import Imported
from tools.imports.writing import write_at_once
from tools.reembedding import embed_missing

# The text of a file in a tool call; larger files are for the command line.
LONGEST_CSV = 5_000_000

# How many notes are embedded before the call returns: about two seconds. The rest is for the background, or for
# `smartcampaign reembed`.
EMBEDDED_WITH_IT = 500


class ImportContacts(Arguments):
    csv: Annotated[Text, PERSONAL, Field(min_length=1, max_length=LONGEST_CSV, description="The text of a CSV file.")]
    dry_run: bool = False


@tool(effect="write")
async def import_contacts(args: ImportContacts, ctx: Context) -> Imported:
    """Import contacts from the text of a CSV file; with dry_run show what would happen and change nothing."""
    with ExitStack() as stack:
        options = Options(country=ctx.tenant.country)
        reading = await asyncio.to_thread(stack.enter_context, read_text(args.csv, options))
        result = Imported.of(reading, dry_run=args.dry_run)
        async with ctx.transaction() as db:
            if not args.dry_run:
                result.count(await write_at_once(db, ctx, reading))
    if not args.dry_run:
        embedded = await embed_missing(ctx, "contacts", only_new=True, at_most=EMBEDDED_WITH_IT, wait=False)
        result.without_meaning = embedded.left
        if result.without_meaning and ctx.embed_later is not None:
            ctx.embed_later()
            result.in_background = True
    return result
