"""The README is true: its transcript is played again on the sample, and its table of tools is the code's.

README_UPDATE=1 pytest tests/test_readme.py      writes both anew
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from agent.choice import ModelChoice
from agent.events import ApprovalAsked, ConfirmationAsked
from agent.models import choose
from agent.run import Agent
from db import tenants
from samples.load import load
from tests.agent.conftest import Talk
from tests.conftest import NOW
from tools import ALL_TOOLS
from tools.base import Context, Tenant

README = Path(__file__).parent.parent / "README.md"

REQUESTS = [
    "find 4 people who care about old clocks",
    "create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail",
    "Add Ada Lovelace (ada@example.org), she collects punched cards",
    "how did Lamp Week do?",
    "send it next Monday at 9am",
    "send Harvest Fair next Monday at 9am",
]


def replaced(text: str, what: str, content: str) -> str:
    """`text` with what stands between the marks of `what` replaced; the marks must be there."""
    pattern = rf"(<!-- {what}: begin -->\n).*?(<!-- {what}: end -->)"
    assert len(re.findall(pattern, text, re.DOTALL)) == 1
    return re.sub(pattern, lambda marks: f"{marks[1]}{content}\n{marks[2]}", text, flags=re.DOTALL)


def compare(what: str, content: str) -> None:
    text = README.read_text(encoding="utf-8")
    if os.environ.get("README_UPDATE"):
        README.write_text(replaced(text, what, content), encoding="utf-8")
        return
    assert text == replaced(text, what, content), "the README is outdated: README_UPDATE=1 pytest tests/test_readme.py"


def test_the_table_of_tools_is_the_codes() -> None:
    rows = ["| tool | effect | what it does |", "|---|---|---|"]
    for tool in ALL_TOOLS:
        first = tool.description.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        arguments = ", ".join(tool.input.model_fields)
        rows.append(f"| `{tool.name}({arguments})` | {tool.effect} | {first} |")
    compare("tools", "\n".join(rows))


async def test_the_transcript_is_what_the_program_says(ctx: Context, database_url: str) -> None:
    id = tenants.add(database_url, name="Harrow & Finch", time_zone="Europe/London", country="GB")
    assert id is not None
    await load(ctx.database, id, ctx.embedder, NOW)
    ours = dataclasses.replace(ctx, tenant=Tenant(id, "Harrow & Finch", "Europe/London", "GB"))
    agent = Agent(choose(ModelChoice(), ctx.embedder), ctx.database)
    talk = Talk(agent, dataclasses.replace(ours, conversation=await agent.open_conversation(ours)))
    lines: list[str] = []
    for request in REQUESTS:
        await talk.say(request)
        lines.append(f"› {request}")
        if isinstance(talk.end, ConfirmationAsked):
            lines.append("This would be done:")
            lines += [f"  {number}. {call.text}" for number, call in enumerate(talk.end.calls, 1)]
            lines.append("Do it? y")
            await talk.answer(True)
        lines += [talk.text.strip(), ""]
        if any(isinstance(event, ApprovalAsked) for event in talk.events):
            lines[-1:] = ["Approve? [y/N]", ""]
    # The id of a request is the only thing that differs from run to run.
    text = re.sub(r"approve [0-9a-f]{8}", "approve 1f0c5a7e", "\n".join(lines).strip())
    compare("transcript", f"```text\n{text}\n```")
