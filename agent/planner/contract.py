"""What goes into the planner and what comes out: plain values, no model, no database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["calls", "ask", "decline", "talk", "help"]


@dataclass(frozen=True)
class KnownCampaign:
    name: str
    status: str


@dataclass(frozen=True)
class Situation:
    """What is known before the sentence."""

    now: datetime
    time_zone: str
    country: str
    campaigns: tuple[KnownCampaign, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    """What earlier turns of this conversation left behind."""

    campaign: str | None = None
    contact: str | None = None
    query: str | None = None
    calls: tuple[Call, ...] = ()
    undone: bool = False


@dataclass(frozen=True)
class Understanding:
    """`calls` is filled for kind "calls", and for "ask" where a call lacks one answer.

    A caller carries out the calls of kind "calls" only. Those of an "ask" belong into the
    next turn's Memory (`remember` does it), so that a bare answer can complete them.
    """

    kind: Kind
    calls: tuple[Call, ...] = ()
    reply: str = ""
    confidence: float = 0.0


# The contract of the tools, as far as a sentence can fill it: cursors never come from a sentence.
ARGUMENTS: Mapping[str, frozenset[str]] = {
    tool: frozenset(names.split())
    for tool, names in {
        "create_contact": "email first_name last_name phone_number description tags",
        "update_contact": "contact email first_name last_name phone_number description tags",
        "delete_contact": "contact",
        "search_contacts": "query limit status tags campaign",
        "import_contacts": "csv dry_run",
        "create_campaign": "name description start_date audience",
        "update_campaign": "campaign name description start_date",
        "list_campaigns": "query status limit",
        "get_campaign": "campaign",
        "add_contacts_to_campaign": "campaign query emails limit",
        "remove_contacts_from_campaign": "campaign query emails",
        "draft_email": "campaign instructions tone contact per_contact",
        "preview_email": "campaign contact",
        "search_emails": "query limit",
        "send_test_email": "campaign to",
        "send_campaign": "campaign send_at",
        "cancel_campaign": "campaign",
        "summarize_performance": "campaign since",
        "compare_campaigns": "campaigns",
        "suggest_improvements": "campaign",
        "suggest_campaigns": "goal",
    }.items()
}

READS = frozenset(
    [
        "search_contacts",
        "list_campaigns",
        "get_campaign",
        "preview_email",
        "search_emails",
        "summarize_performance",
        "compare_campaigns",
        "suggest_improvements",
        "suggest_campaigns",
    ]
)


def remember(before: Memory, understood: Understanding, *, undone: bool = False) -> Memory:
    """The memory after a turn. `undone`: its calls were shown, but not carried out."""
    if not understood.calls:
        # A remark in between must not make the planner forget what a correction would be about.
        return before
    campaign, contact, query = before.campaign, before.contact, before.query
    for call in understood.calls:
        said = call.arguments
        campaign = _renamed(call) or said.get("campaign") or campaign
        if call.tool == "create_campaign":
            campaign = said.get("name") or campaign
        elif call.tool == "compare_campaigns" and said.get("campaigns"):
            campaign = said["campaigns"][-1]
        emails = said.get("emails") or []
        one = emails[0] if len(emails) == 1 else None
        new_address = said.get("email") if call.tool in ("create_contact", "update_contact") else None
        contact = new_address or said.get("contact") or one or contact
        if call.tool in ("search_contacts", "search_emails", "add_contacts_to_campaign"):
            query = said.get("query") or query
        if call.tool == "search_contacts" and _is_one_person(query):
            contact = query
        if call.tool == "create_campaign":
            query = said.get("audience") or query
    people = {address for call in understood.calls for address in _people(call)}
    if len(people) > 1:
        contact = None  # "her" would be a guess, too
    asked_about = {c.arguments["campaign"] for c in understood.calls if "campaign" in c.arguments}
    if len(asked_about) > 1 and not any(c.tool in ("create_campaign", "update_campaign") for c in understood.calls):
        campaign = None  # two were spoken of: "that one" would be a guess
    return Memory(campaign, contact, query, understood.calls, undone or understood.kind == "ask")


def _people(call: Call) -> list[str]:
    """Whom a call finds, makes, changes or moves; one with a new address is still one."""
    said = call.arguments
    if call.tool == "search_contacts":
        return [str(said["query"])] if _is_one_person(said.get("query")) else []
    one = said.get("contact") or (said.get("email") if call.tool == "create_contact" else None)
    return [str(one)] if one else [str(address) for address in said.get("emails") or []]


def _is_one_person(query: str | None) -> bool:
    """Searched by address or full name."""
    return bool(query) and bool(re.fullmatch(r"\S+@\S+|[A-ZÀ-Þ][\w'-]+(?: [A-ZÀ-Þ][\w'-]+){1,2}", str(query)))


def _renamed(call: Call) -> str | None:
    return call.arguments.get("name") if call.tool == "update_campaign" else None
