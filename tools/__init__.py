"""What the product can do: typed tools, written once and served by every door."""

from __future__ import annotations

from typing import Any

from tools import campaigns, contacts, sending
from tools.base import Tool

ALL_TOOLS: tuple[Tool[Any, Any], ...] = (
    contacts.create_contact,
    contacts.update_contact,
    contacts.delete_contact,
    contacts.search_contacts,
    campaigns.create_campaign,
    campaigns.update_campaign,
    campaigns.list_campaigns,
    campaigns.get_campaign,
    campaigns.add_contacts_to_campaign,
    campaigns.remove_contacts_from_campaign,
    sending.send_test_email,
    sending.send_campaign,
    sending.cancel_campaign,
)

BY_NAME = {tool.name: tool for tool in ALL_TOOLS}
