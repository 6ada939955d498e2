"""Did the person say that? A model's write may not rest on what it made up.

Small models invent an address for a name, or pick a campaign nobody spoke of. What a write names must occur in what
was said or shown before: addresses and phone numbers to the letter, campaign names nearly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, ToolCall, ToolMessage
from rapidfuzz import fuzz

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+[^\s<>()\[\],;:\"'.!?]")


def invented(arguments: dict[str, Any], messages: Sequence[AnyMessage], calls: Sequence[ToolCall]) -> str | None:
    """A sentence that says what nobody said, or None. `calls` are all of the answer: a later one may use an earlier."""
    said = "\n".join(message.text for message in messages if isinstance(message, HumanMessage | ToolMessage)).lower()
    for address in _addresses(arguments):
        if address.lower() not in said:
            return f"Nobody gave the address {address}. Ask the person for it; never make one up."
    phone = arguments.get("phone_number")
    if isinstance(phone, str) and phone and _digits(phone)[-6:] not in _digits(said):
        return f"Nobody gave the number {phone}. Leave it out, or ask for it."
    campaign = arguments.get("campaign")
    if isinstance(campaign, str) and campaign:
        created = {str(call["args"].get("name", "")).lower() for call in calls if call["name"] == "create_campaign"}
        if campaign.lower() not in created and not _spoken_of(campaign.lower(), said):
            return f"Nobody spoke of the campaign {campaign}. Ask the person which campaign they mean."
    return None


def _addresses(arguments: dict[str, Any]) -> list[str]:
    given: list[str] = []
    for name in ("email", "emails", "contact", "to"):
        value = arguments.get(name)
        given += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    return [address for text in given for address in _ADDRESS.findall(text)]


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _spoken_of(campaign: str, said: str) -> bool:
    """The name is there, perhaps misspelt ("lmap week" for "lamp week")."""
    return campaign in said or fuzz.partial_ratio(campaign, said) >= 80
