"""Which function fills which tool."""

from __future__ import annotations

from collections.abc import Mapping

from agent.planner.slots import audience, campaigns, contacts, emails, insights, new_campaign, people
from agent.planner.slots.common import Filled, Request, Slots

_BY_TOOL: Mapping[str, Slots] = {
    "create_contact": contacts.create,
    "update_contact": contacts.update,
    "delete_contact": contacts.delete,
    "search_contacts": people.search,
    "import_contacts": contacts.imports,
    "create_campaign": new_campaign.create,
    "update_campaign": campaigns.update,
    "list_campaigns": campaigns.listing,
    "get_campaign": campaigns.get,
    "add_contacts_to_campaign": audience.add,
    "remove_contacts_from_campaign": audience.remove,
    "draft_email": emails.draft,
    "preview_email": emails.preview,
    "search_emails": emails.search,
    "send_test_email": emails.test,
    "send_campaign": emails.send,
    "cancel_campaign": campaigns.cancel,
    "summarize_performance": insights.summarize,
    "compare_campaigns": insights.compare,
    "suggest_improvements": insights.improve,
    "suggest_campaigns": insights.suggest,
}


def fill(tool: str, request: Request) -> Filled:
    return _BY_TOOL[tool](request)
