"""What the product can do: typed tools, written once and served by every door."""

from __future__ import annotations

from typing import Any

from tools import analytics, campaigns, contacts, emails, imports, insights, leaving, sending, variants
from tools.base import Tool

ALL_TOOLS: tuple[Tool[Any, Any], ...] = (
    contacts.create_contact,
    contacts.update_contact,
    contacts.delete_contact,
    leaving.unsubscribe_contact,
    contacts.search_contacts,
    imports.import_contacts,
    campaigns.create_campaign,
    campaigns.update_campaign,
    campaigns.list_campaigns,
    campaigns.get_campaign,
    campaigns.add_contacts_to_campaign,
    campaigns.remove_contacts_from_campaign,
    emails.draft_email,
    variants.add_variant,
    variants.set_variant_test,
    emails.preview_email,
    emails.search_emails,
    sending.send_test_email,
    sending.send_campaign,
    sending.cancel_campaign,
    analytics.summarize_performance,
    analytics.compare_campaigns,
    insights.suggest_improvements,
    insights.suggest_campaigns,
)

BY_NAME = {tool.name: tool for tool in ALL_TOOLS}
