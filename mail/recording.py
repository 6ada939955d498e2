"""Writing down what came back: events, their classes and the roll-up in one transaction.

All of a person's opens and clicks in a campaign are judged together whenever one more comes in, so the order in which
they arrive does not matter; what the judgement changed is taken out of the roll-up and added anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

from db import analytics, events
from db.events import AnswerRow, Judged, NewEvent
from db.pool import Connection
from mail.classify import JUDGED, Seen, Verdict, classify
from mail.counting import Counted, Difference

LONGEST_USER_AGENT = 400

# The same as in db/sql/queries/erasure.sql: so an erasure finds nothing here to cut, and the counts stay.
_ADDRESS = re.compile("[^/?&=#@](@|%40)", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Hit:
    """Something that came back for one mail. `verdict` is None for opens and clicks: they are judged."""

    id: UUID = field(default_factory=uuid4)
    """A hit that is written twice, because nobody knows whether the first time was committed, counts once."""
    campaign: UUID
    contact: UUID
    kind: str
    at: datetime
    url: str | None = None
    user_agent: str = ""
    request: str = ""
    value: Decimal | None = None
    key: str | None = None
    verdict: Verdict | None = None
    details: dict[str, Any] | None = None


@dataclass(slots=True)
class _Person:
    """One contact in one campaign: what was known, and what is new."""

    campaign: UUID
    state: str
    sent_at: datetime | None
    known: list[AnswerRow] = field(default_factory=list)
    new: list[Hit] = field(default_factory=list)

    @property
    def began(self) -> datetime | None:
        """When a server took the mail; just now when its answer is not written down yet. None: not known."""
        if self.state == "sending" and self.new:
            return max(hit.at for hit in self.new)
        return self.sent_at


async def record(db: Connection, tenant: UUID, hits: Sequence[Hit]) -> int:
    """Write down hits with their classes, and count them; return how many were new.

    Left out are those of people who were erased, of mails that were never addressed, and keys that are known.
    """
    await analytics.lock_for_events(db, tenant, list({hit.campaign for hit in hits}))
    people = await _people(db, tenant, await _unknown(db, tenant, hits))
    new: list[NewEvent] = []
    changed: list[Judged] = []
    difference = Difference()
    for person in people:
        _judge(person, new, changed, difference)
    await events.add(db, tenant, new)
    await events.judge(db, tenant, changed)
    await _count(db, tenant, difference)
    return len(new)


async def reclassify(db: Connection, tenant: UUID, campaign: UUID, contacts: Sequence[UUID]) -> int:
    """Judge everything these people opened and clicked again, by today's rules; return how many verdicts changed."""
    await analytics.lock_for_events(db, tenant, [campaign])
    changed: list[Judged] = []
    difference = Difference()
    for person in await _load(db, tenant, [(campaign, contact) for contact in contacts]):
        if person is not None:
            _judge(person, [], changed, difference)
    await events.judge(db, tenant, changed)
    await _count(db, tenant, difference)
    return len(changed)


@lru_cache(maxsize=4096)
def plain_user_agent(text: str) -> str:
    """A User-Agent as it is kept: no control characters, at most 400 characters."""
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)[:LONGEST_USER_AGENT].strip()


@lru_cache(maxsize=4096)
def counted_url(url: str) -> str:
    """The address that a click is counted under: where it holds somebody's e-mail address, only the page or the site.

    `/@name` is no address, but how some sites write who wrote a page.
    """
    page = re.split("[?#]", url, maxsplit=1)[0]
    if _ADDRESS.search(page):
        return "/".join(page.split("/")[:3])
    return page if _ADDRESS.search(url[len(page) :]) else url


async def _unknown(db: Connection, tenant: UUID, hits: Sequence[Hit]) -> list[Hit]:
    """The hits whose key there is not yet, each key once."""
    keyed = [hit for hit in hits if hit.key is not None]
    if not keyed:
        return list(hits)
    campaigns, keys = list({hit.campaign for hit in keyed}), [hit.key for hit in keyed if hit.key is not None]
    known: set[tuple[UUID, str | None]] = set(await events.known_keys(db, tenant, campaigns, keys))
    fresh = []
    for hit in hits:
        if hit.key is None or (hit.campaign, hit.key) not in known:
            fresh.append(hit)
            known.add((hit.campaign, hit.key))
    return fresh


async def _people(db: Connection, tenant: UUID, hits: Sequence[Hit]) -> list[_Person]:
    # By their numbers: an UUID's own hash and comparison are slow.
    asked = {(hit.campaign.int, hit.contact.int): (hit.campaign, hit.contact) for hit in hits}
    found = dict(zip(asked, await _load(db, tenant, list(asked.values())), strict=True))
    for hit in hits:
        person = found[hit.campaign.int, hit.contact.int]
        if person is not None and all(row.event_id != hit.id for row in person.known):
            person.new.append(hit)
    bounced = [asked[key] for key, person in found.items() if person is not None and _has_bounced(person)]
    if bounced:
        for (campaign, contact), state in (await events.states(db, tenant, bounced)).items():
            person = found[campaign.int, contact.int]
            assert person is not None
            person.state = state
    return [person for person in found.values() if person is not None]


async def _load(db: Connection, tenant: UUID, pairs: Sequence[tuple[UUID, UUID]]) -> list[_Person | None]:
    people: list[_Person | None] = [None] * len(pairs)
    for row in await events.of_people(db, tenant, pairs):
        person = people[row.place]
        if person is None:
            person = people[row.place] = _Person(pairs[row.place][0], row.state, row.sent_at)
        if row.event_id is not None:
            person.known.append(row)
    return people


def _has_bounced(person: _Person) -> bool:
    return any(row.kind == "bounce" for row in person.known) or any(hit.kind == "bounce" for hit in person.new)


def _judge(person: _Person, new: list[NewEvent], changed: list[Judged], difference: Difference) -> None:
    """Work out what is to be written about one person."""
    if person.known:
        before = [Counted(row.kind, row.at, row.who, row.url, row.value) for row in person.known]
        difference.add(person.campaign, person.state, before, -1)
    seen = [Seen(r.kind, r.at, r.url, r.user_agent, r.request) for r in person.known if r.kind in JUDGED]
    seen += [Seen(h.kind, h.at, h.url, h.user_agent, h.request) for h in person.new if h.verdict is None]
    verdicts = iter(classify(person.began, seen))
    after: list[Counted] = []
    for row in person.known:
        who = row.who
        if row.kind in JUDGED:
            who, reason = next(verdicts)
            if (who, reason) != (row.who, row.reason):
                assert row.event_id is not None
                changed.append(Judged(person.campaign, row.event_id, who, reason))
        after.append(Counted(row.kind, row.at, who, row.url, row.value))
    for hit in person.new:
        who, reason = hit.verdict or next(verdicts)
        after.append(Counted(hit.kind, hit.at, who, hit.url, hit.value))
        new.append(
            NewEvent(
                event_id=hit.id, campaign_id=hit.campaign, contact_id=hit.contact, kind=hit.kind, at=hit.at, who=who,
                reason=reason, url=hit.url, value=hit.value, user_agent=hit.user_agent or None, key=hit.key,
                details={"request": hit.request} if hit.request else hit.details,
            )
        )  # fmt: skip
    difference.add(person.campaign, person.state, after)


async def _count(db: Connection, tenant: UUID, difference: Difference) -> None:
    await analytics.add_up_links(db, tenant, difference.links())
    await analytics.add_up(db, tenant, difference.hours())
