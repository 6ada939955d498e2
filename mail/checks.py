"""What should be said about a mail before it is approved: sentences a person can act on.

They warn; only an unreadable template stops a mail. Limits are those of mail programs: Gmail cuts a mail off behind
102 kB, and phones show 40 to 78 characters of a subject.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from mail.template import Rendered

GMAIL_CLIPS_AT = 102_000
LONG_SUBJECT = 78
FEW_WORDS = 20
SHOWN = 3

# Names that lead nowhere (RFC 2606, 6761, 8375) outside the machine or house they were written in.
_NOWHERE = ("example", "invalid", "localhost", "test", "local", "internal", "home.arpa", "example.com", "example.net",
            "example.org")  # fmt: skip
# Second-level domains under which others register: `shop.co.uk` is one sender's, `co.uk` is not.
_SHARED = frozenset({"ac", "co", "com", "edu", "gov", "net", "ne", "or", "org"})
# Senders there have no web pages of their own to link to.
_MAIL_PROVIDERS = frozenset({
    "aol.com", "gmail.com", "gmx.de", "gmx.net", "googlemail.com", "hotmail.com", "icloud.com", "outlook.com",
    "proton.me", "web.de", "yahoo.com",
})  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One reader's mail that stands for `people` recipients of whom as much is known."""

    rendered: Rendered
    people: int


def check(samples: Sequence[Sample], *, sender_email: str, unknown_tags: Iterable[str] = ()) -> list[str]:
    """All that is to be said about one mail, seen through the eyes of its readers."""
    if not samples:
        return []
    unknown = set(unknown_tags)
    said = _on_blanks(samples, unknown)
    mails = [sample.rendered for sample in samples]
    said += _on_subject([mail.subject for mail in mails])
    said += _on_links(_all(link for mail in mails for link in mail.about.links), sender_email)
    said += _on_refused(_all(address for mail in mails for address in mail.about.refused))
    said += _on_images(max(mails, key=lambda mail: mail.about.images_without_words))
    if not all(mail.about.own_way_out for mail in mails):
        said.append(
            "It has no way to unsubscribe of its own, so a plain link is put below it. "
            "Put {{ unsubscribe_url }} in to word it yourself."
        )
    said += _on_size(max(len(mail.html.encode()) for mail in mails))
    return said


def _on_blanks(samples: Sequence[Sample], unknown: set[str]) -> list[str]:
    total = sum(sample.people for sample in samples)
    blanks = _all(blank for sample in samples for blank in sample.rendered.blanks if blank not in unknown)
    said = []
    for blank in blanks:
        people = sum(sample.people for sample in samples if blank in sample.rendered.blanks)
        whom = "" if total == 1 else f" for {people:,} of {total:,} recipients"
        holes = "the mail has a hole there" if people == 1 or total == 1 else "their mails have a hole there"
        said.append(f"Nothing is known for {blank}{whom}, and it has no default: {holes}.")
    return said


def _on_subject(subjects: Sequence[str]) -> list[str]:
    longest = max(subjects, key=len)
    said = []
    if not all(subject.strip() for subject in subjects):
        said.append("The subject is empty.")
    if len(longest) > LONG_SUBJECT:
        said.append(f"The subject is {len(longest)} characters long; inboxes show {LONG_SUBJECT} at most, phones 40.")
    letters = [letter for letter in longest if letter.isalpha() and letter.lower() != letter.upper()]
    capitals = sum(1 for letter in letters if letter.isupper())
    if len(letters) >= 10 and capitals > 0.7 * len(letters):
        said.append("The subject is in capitals; spam filters and readers take that for shouting.")
    if longest.count("!") + longest.count("！") > 1:
        said.append("The subject has several exclamation marks; one, or none, reads calmer.")
    return said


def _on_links(links: Sequence[str], sender_email: str) -> list[str]:
    domain = sender_email.rpartition("@")[2].lower().rstrip(".")
    dead = [link for link in links if leads_nowhere(link, domain)]
    alive = [link for link in links if link not in dead]
    plain = [link for link in alive if link.lower().startswith("http:")]
    foreign = _all(host_of(link) for link in alive if domain and is_foreign(link, domain))
    said = [f"This link leads nowhere for its readers: {_cut(link)}" for link in dead[:SHOWN]]
    more = len(dead) - SHOWN
    if more > 0:
        said.append(f"{more} more link{'s lead' if more > 1 else ' leads'} nowhere.")
    if plain:
        said.append(f"Not encrypted, so browsers warn of it (http, not https): {_some(plain)}.")
    if foreign:
        said.append(f"Links lead to other domains than yours ({domain}): {_some(foreign)}.")
    return said


def _on_refused(addresses: Sequence[str]) -> list[str]:
    said = [
        f"This address can't be followed from a mail and was left out: {_cut(address)}" for address in addresses[:SHOWN]
    ]
    more = len(addresses) - SHOWN
    return said + ([f"{more} more {'was' if more == 1 else 'were'} left out."] if more > 0 else [])


def _on_images(mail: Rendered) -> list[str]:
    about = mail.about
    said = []
    if about.images_without_words:
        which = f"{about.images_without_words} of {about.images} images have"
        said.append(f"{'Its image has' if about.images == 1 else which} no words (alt) for readers who see no images.")
    if about.images and len(mail.text.partition("\n--\n")[0].strip()) < FEW_WORDS:
        said.append("There is hardly any text beside the images; many programs show images only when asked.")
    return said


def _on_size(size: int) -> list[str]:
    if size <= GMAIL_CLIPS_AT:
        return []
    return [f"It is {size / 1000:,.0f} kB long; Gmail cuts mails off after 102 kB. Make it shorter."]


def leads_nowhere(link: str, sender_domain: str = "") -> bool:
    """Whether nobody outside can follow it: no host, a name or number of a private network, an example's name.

    The sender's own domain is never taken for an example's.
    """
    host = host_of(link)
    if not host or not re.fullmatch(r"[^\s{}]+", host):
        return True
    if sender_domain and _owned(host) == _owned(sender_domain):
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return "." not in host or any(_is_within(host, name) for name in _NOWHERE)


def is_foreign(link: str, sender_domain: str) -> bool:
    """Whether it leads to a domain of somebody else, as far as names tell."""
    if sender_domain in _MAIL_PROVIDERS:
        return False
    return _owned(host_of(link)) != _owned(sender_domain)


def host_of(link: str) -> str:
    """The host in lower case, or "" where there is none."""
    try:
        return (urlsplit(link).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _owned(host: str) -> str:
    labels = host.split(".")
    shared = len(labels) > 2 and labels[-2] in _SHARED and len(labels[-1]) == 2
    return ".".join(labels[-3 if shared else -2 :])


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


def _all(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(_cut(item) for item in items[:SHOWN]) + more


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else text[:99] + "…"
