"""The types of arguments that several tools share, and the checks behind them."""

from __future__ import annotations

import re
from typing import Annotated

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import Field
from rapidfuzz import fuzz, process

from tools.base import PERSONAL, Text
from tools.errors import InvalidArguments, quotable

Email = Annotated[Text, PERSONAL, Field(max_length=254, description="E-mail address, as the person said it.")]
Name = Annotated[Text, PERSONAL, Field(max_length=100)]
Phone = Annotated[Text, PERSONAL, Field(max_length=40, description="Phone number, national or international.")]
Note = Annotated[Text, PERSONAL, Field(max_length=10_000, description="What is known about the person, in words.")]
Tag = Annotated[Text, Field(min_length=1, max_length=50)]
Tags = Annotated[list[Tag], Field(max_length=50)]
Whom = Annotated[
    Text,
    PERSONAL,
    Field(min_length=1, max_length=254, description="E-mail address, full name or id of a contact."),
]
Words = Annotated[
    Text,
    PERSONAL,
    Field(max_length=500, description="Whom, in plain words: an interest, a note, a name, a tag."),
]
Emails = Annotated[list[Email], Field(max_length=1000)]
CampaignName = Annotated[Text, Field(min_length=1, max_length=255, description="Name or id of a campaign.")]
Cursor = Annotated[Text, Field(max_length=500, description="next_cursor of the page before.")]
PageSize = Annotated[int, Field(ge=1, le=100)]

STATUSES = ("subscribed", "unconfirmed", "unsubscribed", "bounced", "complained")

# Where most addresses are; a domain that is almost one of these is probably a slip of the finger.
_COMMON_DOMAINS = (
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com", "aol.com", "gmx.de",
    "gmx.net", "web.de", "live.com", "proton.me", "protonmail.com", "yahoo.co.uk", "hotmail.co.uk", "btinternet.com",
    "orange.fr", "free.fr", "laposte.net", "wanadoo.fr", "hotmail.fr", "t-online.de",
)  # fmt: skip


def checked_email(text: str) -> tuple[str, str | None]:
    """The address, its domain in lower case (RFC 5321 keeps the local part's case), and a hint if it looks mistyped.

    Raises `InvalidArguments`.
    """
    try:
        address = validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise InvalidArguments(problems=f"{quotable(text)!r} is no e-mail address: {str(error).rstrip('.')}.") from None
    local, _, domain = address.rpartition("@")
    if domain not in _COMMON_DOMAINS:
        near = process.extractOne(domain, _COMMON_DOMAINS, scorer=fuzz.ratio, score_cutoff=88)
        if near is not None:
            return address, f"Did you mean {local}@{near[0]}? Say so and I change it."
    return address, None


def checked_phone(text: str | None, country: str) -> str | None:
    """The number in E.164, national ones read as numbers of `country`. Raises `InvalidArguments`."""
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, country)
        possible = phonenumbers.is_possible_number(number)
    except phonenumbers.NumberParseException:
        possible = False
    if not possible:
        raise InvalidArguments(
            problems=f"{quotable(text)!r} is no phone number in {country}. "
            "Write it with its country code, like +44 113 496 0123."
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def checked_status(text: str | None) -> str | None:
    """One of `STATUSES`. Raises `InvalidArguments`."""
    if not text:
        return None
    if text.lower() not in STATUSES:
        raise InvalidArguments(problems=f"There is no status {quotable(text)!r}; there are: {', '.join(STATUSES)}.")
    return text.lower()


def tidy_tags(tags: list[str]) -> list[str]:
    """Tags in lower case, once each, in the order given. What separates tags in a list is in none of them."""
    parted = (part.strip().lower() for tag in tags for part in re.split("[,;|]", tag))
    return list(dict.fromkeys(part for part in parted if part))
