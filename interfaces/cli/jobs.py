"""One tool call a command: the same checks and refusals as in a conversation, without the conversation."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from interfaces.cli.running import DONE, UNDECIDED, Stop, program
from interfaces.cli.typeset import show_markdown

if TYPE_CHECKING:
    from tools.base import Result


async def show(tool: str, arguments: Mapping[str, Any], tenant: str | None, *, as_json: bool) -> int:
    """Call a tool and print its result. Raises what the tool refuses. Returns the exit code."""
    async with program(tenant) as opened:
        from tools import BY_NAME, approvals

        ctx = opened.context()
        result = await BY_NAME[tool].call(arguments, ctx)
        if isinstance(result, approvals.ApprovalAsked):
            from interfaces.cli.decisions import offer

            if not as_json:
                return await offer(result, ctx)
        show_result(result, as_json=as_json)
        return UNDECIDED if isinstance(result, approvals.ApprovalAsked) else DONE


async def show_contact(contact: str, tenant: str | None, *, as_json: bool) -> int:
    """Print one contact."""
    async with program(tenant) as opened:
        from tools.contacts import Contact, find_contact

        ctx = opened.context()
        async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
            result = Contact.of(await find_contact(db, ctx, contact))
        if as_json:
            show_result(result, as_json=True)
            return DONE
        fields = {
            "E-mail": result.email, "Status": result.status, "Phone": result.phone_number,
            "Tags": ", ".join(result.tags), "Note": result.description, "Id": result.contact_id,
        }  # fmt: skip
        lines = [f"- {name}: {value}" for name, value in fields.items() if value]
        show_markdown("\n".join([f"**{result.label}**", "", *lines]))
    return DONE


async def reembed_all(tenant: str | None) -> int:
    """Make every vector that is missing or of another model, with progress on stderr. Returns 1 if some are left."""
    async with program(tenant) as opened:
        from tools.reembedding import count_missing, index_when_large, reembed

        ctx = opened.context()
        total = await count_missing(ctx)
        if not total:
            await index_when_large(ctx, _say)
            sys.stdout.write("Everything is compared by meaning already.\n")
            return DONE

        def progress(done: int) -> None:
            sys.stderr.write(f"\r{done:,} of {total:,}")
            sys.stderr.flush()

        left = await reembed(ctx, progress)
        sys.stderr.write("\n")
        if left:
            raise Stop(f"The embedding model failed; {left:,} are left. What is done is kept: run this again to go on.")
        await index_when_large(ctx, _say)
        sys.stdout.write(f"{total:,} notes, campaigns and mails are compared by meaning now.\n")
    return DONE


def _say(step: str) -> None:
    sys.stderr.write(f"{step}\n")
    sys.stderr.flush()


def show_result(result: Result, *, as_json: bool) -> None:
    """A tool's result on stdout, as JSON or in words."""
    if as_json:
        show_json(result.model_dump(mode="json"))
    else:
        show_markdown(result.text())


def show_json(value: object) -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")
