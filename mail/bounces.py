"""Bounces and complaints that come as mail: delivery reports (RFC 3464) and feedback reports (RFC 5965).

Anybody can write to the address where reports arrive. So a report counts only for the mail whose own token it brings
back: in the return path it was sent to, in the Message-ID, or in the unsubscribe link of the mail it encloses.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.message import Message
from typing import Literal
from uuid import UUID

from db import events
from db.pool import Connection
from mail.classify import Verdict
from mail.headers import one_line
from mail.leaving import close
from mail.links import Keys, Kind, read, read_bounce
from mail.recording import Hit, record
from mail.smtp import is_hard
from mail.wire import Reply

# What is longer is no report but somebody's attachment.
LARGEST = 2_000_000
LONGEST_REASON = 300

_VERP = re.compile(r"[^\s<>\"',;:]+\+[a-z2-7]{56}@", re.IGNORECASE)

Told = Literal["hard", "soft", "complaint"]


@dataclass(frozen=True)
class Report:
    """What a report says, before it is known whose mail it is about."""

    told: Told
    reason: str
    """The status and the words of whoever reported; may name an address."""
    evidence: str
    """Everything in which a token may stand."""


@dataclass(frozen=True)
class Matched:
    """A report about one of our mails."""

    told: Told
    reason: str
    campaign: UUID
    contact: UUID


def reports_in(message: bytes) -> list[Report]:
    """The reports in a mail; none for anything else: an answer, an out-of-office, spam."""
    if len(message) > LARGEST:
        return []
    parsed: Message = email.message_from_bytes(message, policy=email.policy.compat32)
    evidence = _evidence(parsed, message)
    kind = str(parsed.get_param("report-type") or "").lower()
    if kind == "feedback-report":
        return [Report("complaint", text, evidence) for text in _complaints(parsed)]
    if kind == "delivery-status":
        return [Report(told, reason, evidence) for told, reason in _statuses(parsed)]
    if str(parsed.get("Auto-Submitted", "no")).lower().startswith("auto-replied") or not _is_from_a_mailer(parsed):
        return []
    return [Report(told, reason, evidence) for told, reason in _in_words(parsed)]


def is_about(report: Report, keys: Keys) -> bool:
    """Whether a report brings a genuine token of this tenant's. Asks no database."""
    if any(read_bounce(address, keys) is not None for address in _VERP.findall(report.evidence)):
        return True
    claims = (read(text, kind) for kind, text in _tokens(report.evidence))
    return any(claim is not None and claim.is_genuine(keys) for claim in claims)


async def match(db: Connection, tenant: UUID, keys: Keys, report: Report) -> Matched | None:
    """Whose mail of this tenant a report is about; None when it brings no genuine token of it."""
    for kind, text in _tokens(report.evidence):
        claim = read(text, kind)
        if claim is not None and claim.is_genuine(keys) and not claim.token.is_test:
            return Matched(report.told, report.reason, claim.token.campaign, claim.token.contact)
    for address in _VERP.findall(report.evidence):
        bounce = read_bounce(address, keys)
        if bounce is not None:
            for campaign in await events.delivered_to(db, tenant, bounce.contact):
                if bounce.is_of(campaign):
                    return Matched(report.told, report.reason, campaign, bounce.contact)
    return None


async def apply(db: Connection, tenant: UUID, found: Sequence[Matched], *, source: str, at: datetime) -> int:
    """Write down reports and what follows from them; return how many were new.

    A hard bounce and a complaint end all mail to the person; a soft bounce is only noted, once a reason and day.
    """
    # Whoever reports may write anything: octets that are no text, or that Postgres takes for none.
    found = [replace(one, reason=one_line(one.reason, LONGEST_REASON)) for one in found]
    hits = [
        Hit(
            campaign=one.campaign, contact=one.contact, kind="complaint" if one.told == "complaint" else "bounce",
            at=at, key=_key(one, at), verdict=_VERDICTS[one.told], details={"report": one.reason},
        )
        for one in found
    ]  # fmt: skip
    new = await record(db, tenant, hits)
    for told, why in (("hard", "bounced"), ("complaint", "complained")):
        pairs = [(one.campaign, one.contact) for one in found if one.told == told]
        if pairs:
            await close(db, tenant, pairs, why="bounced" if why == "bounced" else "complained", source=source, at=at)
    return new


_VERDICTS: dict[Told, Verdict] = {
    "hard": Verdict("machine", "hard"),
    "soft": Verdict("machine", "soft"),
    "complaint": Verdict("human", "complaint"),
}


def told_of(status: str, text: str, code: int | None = None) -> Told:
    """Whether a status (RFC 3463), an SMTP code and some words mean that there is nobody at that address."""
    if status.startswith("4") or (not status and code is not None and code < 500):
        return "soft"
    found = re.search(r"\b([245]\d\d)[ -]", text)
    number = code or (int(found[1]) if found else 550)
    words = text[found.end() :] if found else text
    # The words may begin with a status of their own, which is the same or says more.
    line = words if re.match(r"\s*[245]\.\d", words) else f"{status} {words}".strip()
    return "hard" if is_hard(Reply(number, (line,)), to_recipient=True) else "soft"


def _key(one: Matched, at: datetime) -> str:
    if one.told != "soft":
        return f"{one.told} {one.contact}"
    return f"soft {one.contact} {at.date()} {hashlib.sha256(one.reason.encode()).hexdigest()[:16]}"


def _statuses(parsed: Message) -> Iterator[tuple[Told, str]]:
    """RFC 3464: one block a recipient, after the one about the message."""
    for part in parsed.walk():
        if part.get_content_type() not in ("message/delivery-status", "message/global-delivery-status"):
            continue
        payload = part.get_payload()
        for block in payload if isinstance(payload, list) else []:
            if not isinstance(block, Message) or str(block.get("Action", "")).strip().lower() != "failed":
                continue  # delayed, relayed, delivered: nothing has failed
            status = _first(r"[245]\.\d{1,3}\.\d{1,3}", str(block.get("Status", "")))
            words = " ".join(str(block.get("Diagnostic-Code", "")).partition(";")[2].split())
            yield told_of(status, words), f"{status} {words}".strip()


def _complaints(parsed: Message) -> Iterator[str]:
    """RFC 5965: what counts is that somebody called it spam; `not-spam` and reports about DMARC are something else."""
    for part in parsed.walk():
        if part.get_content_type() != "message/feedback-report":
            continue
        payload = part.get_payload()
        text = str(payload[0]) if isinstance(payload, list) and payload else str(payload)
        kind = _first(r"(?im)^Feedback-Type:\s*([\w-]+)", text, 1).lower()
        if kind in ("abuse", "fraud", "virus", "other"):
            yield kind


def _in_words(parsed: Message) -> Iterator[tuple[Told, str]]:
    """Bounces without a form (qmail and older ones): the first line with a status or a code of failure."""
    for part in parsed.walk():
        if part.get_content_type() == "text/plain":
            text = _text(part)
            line = _first(r"(?m)^.*(?:\b5\.\d{1,3}\.\d{1,3}\b|\b5[05]\d[ -]).*$", text)
            if line:
                line = " ".join(line.split())
                yield told_of(_first(r"\b5\.\d{1,3}\.\d{1,3}\b", line), line), line
                return


def _is_from_a_mailer(parsed: Message) -> bool:
    sender = f"{parsed.get('Return-Path', '')} {parsed.get('From', '')}".lower()
    return bool(re.search(r"mailer-daemon|postmaster|mail delivery|<>", sender))


def _evidence(parsed: Message, message: bytes) -> str:
    """The addresses it came to, and the headers of the mail it encloses."""
    names = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "In-Reply-To", "References")
    pieces = [str(value) for name in names for value in parsed.get_all(name, [])]
    for part in parsed.walk():
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers", "message/global"):
            payload = part.get_payload()
            inner = payload[0] if isinstance(payload, list) and payload else email.message_from_string(_text(part))
            if isinstance(inner, Message):
                pieces += [str(inner.get(name, "")) for name in ("Message-ID", "List-Unsubscribe", "Return-Path")]
    evidence = "\n".join(" ".join(piece.split()) for piece in pieces)
    if not _VERP.search(evidence) and not list(_tokens(evidence)):
        # Bounces without a form copy the mail's headers somewhere into their text.
        evidence += "\n" + message.decode("ascii", "replace")
    return evidence


def _tokens(evidence: str) -> Iterator[tuple[Kind, str]]:
    for text in re.findall(r"\bm\.([\w-]{80,100})@", evidence):
        yield Kind.MESSAGE, text
    for text in re.findall(r"/u/([\w-]{80,100})", evidence):
        yield Kind.UNSUBSCRIBE, text


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _first(pattern: str, text: str, group: int = 0) -> str:
    found = re.search(pattern, text)
    return str(found[group]) if found else ""
