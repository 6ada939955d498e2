"""Bounces and complaints that providers tell over HTTP: SES (by SNS), Postmark, Mailgun, and a plain form of ours.

The address that a provider is given holds a signed token (`Kind.HOOK`), so it is a tenant's own and nobody can guess
it. Where a provider signs as well, that is checked too.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from db import events
from db.pool import Connection
from mail.bounces import Matched, Report, Told, match, told_of
from mail.links import Keys

PROVIDERS = ("generic", "ses", "postmark", "mailgun")

# Postmark's types (its API page "Bounce types"): these will not get better by waiting.
_POSTMARK_HARD = frozenset({"HardBounce", "BadEmailAddress"})
_POSTMARK_COMPLAINT = frozenset({"SpamComplaint"})
_POSTMARK_NOT = frozenset({"Subscribe", "AutoResponder", "AddressChange", "OpenRelayTest", "ChallengeVerification"})

STALE = timedelta(minutes=5)

# Amazon's own hosts; a signature by anybody else's certificate proves nothing.
_AMAZON = re.compile(r"sns\.[a-z0-9-]{3,30}\.amazonaws\.com(\.cn)?")

Fetch = Callable[[str], Awaitable[bytes]]


class Refused(ValueError):
    """The call is not from the provider, or can't be read; the text says what is wrong."""


@dataclass(frozen=True)
class Notice:
    """What a provider tells of one mail: the report, and whose address it was."""

    report: Report
    email: str


@dataclass(frozen=True)
class Call:
    """What a call was about: notices, or an address that the provider wants to be confirmed."""

    notices: Sequence[Notice] = ()
    confirm: str | None = None


async def understood(
    provider: str, body: bytes, *, now: datetime, fetch: Fetch, mailgun_key: str | None = None
) -> Call:
    """Read a provider's call. Raises `Refused`. `fetch` gets Amazon's certificate."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("The body is no JSON.") from None
    if not isinstance(said, dict):
        raise Refused("The body is no JSON object.")
    try:
        match provider:
            case "ses":
                return await _ses(said, fetch)
            case "postmark":
                return Call(list(_postmark(said)))
            case "mailgun":
                return Call(list(_mailgun(said, mailgun_key, now)))
            case _:
                return Call(list(_generic(said)))
    except (KeyError, TypeError, AttributeError, IndexError):
        raise Refused("The body has another form than this provider's.") from None


async def matched(db: Connection, tenant: UUID, keys: Keys, notices: Sequence[Notice]) -> list[Matched]:
    """Whose mails the notices are about: by their token, else the last campaign that went to the address."""
    found = []
    for notice in notices:
        one = await match(db, tenant, keys, notice.report)
        if one is None and notice.email:
            last = await events.last_mailed(db, tenant, notice.email)
            if last is not None:
                one = Matched(notice.report.told, notice.report.reason, *last)
        if one is not None:
            found.append(one)
    return found


def _generic(said: Mapping[str, Any]) -> Iterator[Notice]:
    """`{"events": [{"type": "hard" | "soft" | "complaint", "email", "message_id", "reason"}]}`."""
    told: dict[str, Told] = {"hard": "hard", "soft": "soft", "complaint": "complaint"}
    for one in said["events"]:
        if one.get("type") not in told:
            raise Refused("type must be hard, soft or complaint.")
        yield _notice(told[one["type"]], one.get("reason", ""), one.get("message_id", ""), one.get("email", ""))


def _postmark(said: Mapping[str, Any]) -> Iterator[Notice]:
    kind, email = str(said.get("Type", "")), str(said["Email"])
    if said["RecordType"] == "SpamComplaint" or kind in _POSTMARK_COMPLAINT:
        yield _notice("complaint", "spam complaint", _metadata(said), email)
    elif said["RecordType"] == "Bounce" and kind not in _POSTMARK_NOT:
        reason = f"{kind}: {said.get('Description', '')} {said.get('Details', '')}"
        yield _notice("hard" if kind in _POSTMARK_HARD else "soft", reason, _metadata(said), email)


def _metadata(said: Mapping[str, Any]) -> str:
    """Postmark gives back what it was given with the mail, and its own MessageID, which says nothing to us."""
    return json.dumps(said.get("Metadata") or {})


def _mailgun(said: Mapping[str, Any], key: str | None, now: datetime) -> Iterator[Notice]:
    if key is not None:
        signature = said["signature"]
        stamp, token = str(signature["timestamp"]), str(signature["token"])
        expected = hmac.new(key.encode(), (stamp + token).encode(), "sha256").hexdigest()
        if not hmac.compare_digest(expected, str(signature["signature"])):
            raise Refused("The signature is not Mailgun's.")
        if not stamp.isdecimal() or abs(now.timestamp() - int(stamp)) > STALE.total_seconds():
            raise Refused("The call is older than five minutes.")
    event = said["event-data"]
    headers = (event.get("message") or {}).get("headers") or {}
    evidence, email = f"<{headers.get('message-id', '')}>", str(event.get("recipient", ""))
    if event["event"] == "complained":
        yield _notice("complaint", "spam complaint", evidence, email)
    elif event["event"] == "failed":
        status = event.get("delivery-status") or {}
        reason = (
            f"{status.get('code', '')} {status.get('message') or status.get('description') or event.get('reason', '')}"
        )
        hard = event.get("severity") == "permanent" and event.get("reason") not in ("suppress-bounce", "old")
        told: Told = told_of("", reason, _number(status.get("code"))) if hard else "soft"
        yield _notice(told, reason, evidence, email)


async def _ses(said: Mapping[str, Any], fetch: Fetch) -> Call:
    await _check_sns(said, fetch)
    if said["Type"] in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        url = str(said["SubscribeURL"])
        parts = urlsplit(url)
        if parts.scheme != "https" or not _AMAZON.fullmatch(parts.netloc):
            raise Refused("The address to confirm is not Amazon's.")
        return Call(confirm=url if said["Type"] == "SubscriptionConfirmation" else None)
    inner = json.loads(said["Message"]) if said.get("Message", "").lstrip().startswith("{") else {}
    kind = inner.get("notificationType") or inner.get("eventType")
    mail = inner.get("mail") or {}
    evidence = (
        " ".join(
            str(header.get("value", ""))
            for header in mail.get("headers") or []
            if str(header.get("name", "")).lower() in ("message-id", "list-unsubscribe")
        )
        + f" {mail.get('source', '')} {mail.get('sourceArn', '')}"
    )
    notices: list[Notice] = []
    if kind == "Complaint" and inner["complaint"].get("complaintFeedbackType") != "not-spam":
        told: Told = "complaint"
        people = inner["complaint"]["complainedRecipients"]
        notices += [_notice(told, "spam complaint", evidence, one["emailAddress"]) for one in people]
    elif kind == "Bounce":
        bounce = inner["bounce"]
        # "Undetermined" and "Transient" may get better; of permanent ones "Suppressed" is SES' own list.
        told = "hard" if bounce["bounceType"] == "Permanent" else "soft"
        for one in bounce["bouncedRecipients"]:
            reason = f"{one.get('status', '')} {one.get('diagnosticCode', bounce.get('bounceSubType', ''))}"
            notices.append(_notice(told, reason, evidence, one["emailAddress"]))
    return Call(notices)


# What of a message is signed, in this order (Amazon SNS, "Verifying the signatures of Amazon SNS messages").
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


async def _check_sns(said: Mapping[str, Any], fetch: Fetch) -> None:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    if said.get("Type") not in _SIGNED:
        raise Refused("This is no message of SNS.")
    url = urlsplit(str(said["SigningCertURL"]))
    if url.scheme != "https" or not _AMAZON.fullmatch(url.netloc) or not url.path.endswith(".pem"):
        raise Refused("The certificate is not Amazon's.")
    text = "".join(f"{name}\n{said[name]}\n" for name in _SIGNED[said["Type"]] if name in said)
    try:
        key = x509.load_pem_x509_certificate(await fetch(url.geturl())).public_key()
        signature = base64.b64decode(str(said["Signature"]), validate=True)
        if not isinstance(key, rsa.RSAPublicKey):
            raise Refused("The certificate is not Amazon's.")
        # Version 1 signs with SHA-1, which Amazon still sends unless the topic says otherwise.
        digest = SHA256() if said.get("SignatureVersion") == "2" else SHA1()  # noqa: S303
        key.verify(signature, text.encode(), padding.PKCS1v15(), digest)
    except (InvalidSignature, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused("The signature is not Amazon's.") from None


def _notice(told: Told, reason: object, evidence: object, email: object) -> Notice:
    return Notice(Report(told, " ".join(str(reason).split()), str(evidence)), str(email).strip())


def _number(value: object) -> int | None:
    return int(str(value)) if str(value).isdecimal() else None
