"""How the invented recipients behave: who opens, clicks, buys and leaves, and which machines meddle."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from samples.entities import (
    DeliveryState,
    EventClass,
    EventKind,
    SampleContact,
    SampleDelivery,
    SampleEmail,
    SampleEvent,
    sample_id,
)
from samples.plans import Plan, Year

# Any seed gives such a year; with this one even the smallest audiences show rates that could be real.
SEED = "harrow-and-finch-257"

APPLE_PROXY = "Mozilla/5.0"
GMAIL_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
SCANNER = "Mozilla/5.0 (compatible; LinkGuard/3.2; +https://linkguard.example/about)"
READERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
)


def seeded(*parts: str) -> Random:
    """Return the dice for one purpose: the same parts, the same throws."""
    return Random("/".join((SEED, *parts)))  # noqa: S311 - chance, not secrecy


@dataclass(frozen=True, slots=True)
class Habits:
    """What stays the same about a reader from mail to mail."""

    keenness: float
    client: str  # "apple" fetches pictures unasked, "gmail" through a proxy, "plain" when a person looks
    scanned: bool
    user_agent: str


def habits(contact: SampleContact) -> Habits:
    """Return the contact's habits, always the same for the same address."""
    rng = seeded("habits", contact.email)
    keenness = rng.lognormvariate(-0.06, 0.35)
    if "vip" in contact.tags:
        keenness *= 1.3
    if "lapsed" in contact.tags:
        keenness *= 0.85
    return Habits(
        keenness=keenness,
        client=rng.choices(("apple", "gmail", "plain"), (26, 30, 44))[0],
        # Firms put a scanner before their mailboxes, few households do.
        scanned=rng.random() < (0.6 if {"trade", "wholesale"} & set(contact.tags) else 0.05),
        user_agent=rng.choice(READERS),
    )


class Mailing:
    """One mail to one contact: what became of it, and what came back."""

    def __init__(self, tenant: UUID, year: Year, plan: Plan, email: SampleEmail, contact: SampleContact) -> None:
        self.tenant, self.year, self.plan, self.email, self.contact = tenant, year, plan, email, contact
        # Dice of its own for each mail: adding a contact does not reshuffle everybody else's year.
        self.rng = seeded(plan.name, contact.email)
        self.habits = habits(contact)
        self.events: list[SampleEvent] = []

    def happen(self, started_at: datetime) -> SampleDelivery:
        """Play the mail out from the moment it is handed over; `events` holds what came back."""
        leaves_here = self.contact.left_by == self.plan.name
        if leaves_here and self.contact.status == "bounced":
            return self.fail(started_at, "550 5.1.1 No such user here", "hard: no such user")
        if not leaves_here and self.rng.random() < 0.006:
            return self.fail(started_at, "452 4.2.2 Mailbox full", "soft: mailbox full")
        self.fetch_by_machines(started_at)
        if leaves_here:
            self.leave()
        elif self.rng.random() < self.chance("open") * self.habits.keenness:
            self.read(started_at)
        answer = f"250 2.0.0 Ok: queued as {self.rng.getrandbits(40):010X}"
        return self.delivery("sent", started_at, answer, "")

    def skip(self) -> SampleDelivery:
        """Leave out somebody who left after the audience was chosen."""
        return self.delivery("skipped", None, "", f"suppressed: {self.contact.status}")

    def fail(self, at: datetime, answer: str, reason: str) -> SampleDelivery:
        self.record("bounce", at, "machine", reason)
        return self.delivery("failed", at, answer, reason)

    def fetch_by_machines(self, sent_at: datetime) -> None:
        if self.habits.client == "apple" and self.rng.random() < 0.85:
            later = timedelta(seconds=self.rng.randint(40, 4 * 3600))
            self.record("open", sent_at + later, "machine", "apple_privacy", user_agent=APPLE_PROXY)
        if self.habits.client == "gmail" and self.rng.random() < 0.15:
            soon = timedelta(seconds=self.rng.randint(1, 8))
            self.record("open", sent_at + soon, "machine", "image_proxy", user_agent=GMAIL_PROXY)
        if self.habits.scanned:
            at = sent_at + timedelta(seconds=self.rng.randint(2, 20))
            self.record("open", at, "machine", "scanner", user_agent=SCANNER)
            for url in self.plan.links:
                at += timedelta(seconds=1)
                self.record("click", at, "machine", "scanner", url=url, user_agent=SCANNER)

    def read(self, sent_at: datetime) -> None:
        at = self.waking(sent_at + timedelta(hours=min(self.rng.lognormvariate(1.3, 1.2), 8 * 24)))
        clicks = self.rng.random() < self.chance("click")
        self.open(at, proven=clicks)
        if clicks:
            self.click(at + timedelta(seconds=self.rng.randint(8, 240)))
        while self.rng.random() < 0.22:
            at += timedelta(minutes=self.rng.randint(20, 900))
            self.open(at, proven=clicks)

    def open(self, at: datetime, proven: bool) -> None:
        # Apple's proxy asks for a person's picture as it does for nobody's: only a click tells them apart.
        if self.habits.client == "apple" and not proven:
            self.record("open", at, "unknown", "apple_privacy", user_agent=APPLE_PROXY)
        else:
            agent = GMAIL_PROXY if self.habits.client == "gmail" else self.habits.user_agent
            self.record("open", at, "human", "clicked" if proven else "reader", user_agent=agent)

    def click(self, at: datetime) -> None:
        links = list(self.plan.links)
        chosen: list[str] = []
        while links and (not chosen or self.rng.random() < 0.25):
            # Links further down are seen by fewer people.
            weights = [1 / place for place in range(1, len(links) + 1)]
            chosen.append(self.rng.choices(links, weights)[0])
            links.remove(chosen[-1])
        for url in chosen:
            self.record("click", at, "human", "reader", url=url, user_agent=self.habits.user_agent)
            at += timedelta(seconds=self.rng.randint(15, 400))
        if self.rng.random() < self.chance("convert"):
            value = Decimal(max(12, round(self.rng.lognormvariate(4.3, 0.7) * 2))) / 2
            at += timedelta(minutes=self.rng.randint(3, 50))
            self.record("conversion", at, "human", "order", value=value.quantize(Decimal("0.01")))

    def leave(self) -> None:
        assert self.contact.left_at is not None
        at = self.contact.left_at
        self.open(at - timedelta(seconds=self.rng.randint(15, 45)), proven=True)
        if self.contact.status == "complained":
            self.record("complaint", at, "human", "feedback_loop")
        else:
            way = self.rng.choice(("page", "one_click"))
            self.record("unsubscribe", at, "human", way, user_agent=self.habits.user_agent)

    def chance(self, outcome: str) -> float:
        return self.year.chance(outcome, self.plan, self.email.subject, self.contact)

    def waking(self, at: datetime) -> datetime:
        """Move a moment in the night to the morning after, where the contact lives."""
        hour = at.astimezone(ZoneInfo(self.contact.time_zone)).hour
        return at + timedelta(hours=7 - hour, minutes=self.rng.randint(0, 90)) if hour < 6 else at

    def delivery(self, state: DeliveryState, at: datetime | None, answer: str, reason: str) -> SampleDelivery:
        return SampleDelivery(
            self.contact.id, self.contact.email, self.email.id, self.email.variant, state, at, answer, reason
        )

    def record(
        self,
        kind: EventKind,
        at: datetime,
        class_: EventClass,
        reason: str,
        url: str | None = None,
        value: Decimal | None = None,
        user_agent: str = "",
    ) -> None:
        key = ("event", self.plan.name, self.contact.email.lower(), str(len(self.events)))
        self.events.append(
            SampleEvent(
                id=sample_id(self.tenant, *key),
                contact_id=self.contact.id,
                contact_email=self.contact.email,
                email_id=self.email.id,
                kind=kind,
                at=at,
                class_=class_,
                reason=reason,
                url=url,
                value=value,
                user_agent=user_agent,
            )
        )
