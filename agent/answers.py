"""A language model's words are compared with what is known before anybody sees them (docs/decisions/0032).

A number, percentage, date, name, code or link in an answer must have been said by a person or shown by a tool in this
conversation. What was not is asked for once more; then the tools' own words are the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agent.planner import Situation
from tools.base import Context
from tools.grounding import Facts, unknown_claims

# Words that an answer may have without anybody having said them.
_OURS = "SmartCampaign can read CSV files and speaks to Claude, Slack, Postgres, OpenAI and MCP. Markdown, HTML, SMTP."

NOT_SHOWN = (
    "I don't show what the language model answered: it claimed something that nothing here backs. "
    "Ask for a list, a campaign or its figures, and I show them as they are."
)
INSTEAD = "The language model's words claimed something that nothing here backs, so here is what was found:"


def unbacked(text: str, messages: Sequence[AnyMessage], situation: Situation, ctx: Context) -> list[str]:
    """What an answer claims that nobody said and no tool showed."""
    said = [message.text for message in messages if isinstance(message, HumanMessage | ToolMessage)]
    known = [*(campaign.name for campaign in situation.campaigns), *situation.tags, ctx.tenant.name]
    statuses = ", ".join(campaign.status for campaign in situation.campaigns)
    facts = Facts((*said, *known, statuses, _OURS, ctx.tenant.time_zone), today=ctx.local(ctx.now()).date())
    return unknown_claims(text, facts)


def asked_again(answer: AIMessage, claims: Sequence[str]) -> list[AnyMessage]:
    """What the model is told of its answer, once."""
    return [
        AIMessage(answer.text),
        HumanMessage(
            f"Your answer says {'; '.join(claims)}. Nobody said that here and no tool showed it. Answer again with "
            "only what the tools' results and the person say, or say that you don't know."
        ),
    ]


def in_written_form(messages: Sequence[AnyMessage]) -> str:
    """The answer without the model's words: what this turn's tools say."""
    shown: list[str] = []
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            break
        if isinstance(message, ToolMessage):
            shown.append(message.text)
    return "\n\n".join([INSTEAD, *reversed(shown)]) if shown else NOT_SHOWN
