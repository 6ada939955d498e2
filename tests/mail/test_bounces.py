"""Returned mails and complaints, by mail and by webhook: whose they are, what follows, and what is not believed."""

from __future__ import annotations

import base64
import hmac
import json
import mailbox
import socketserver
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import NameOID

from mail import bounces, mailboxes
from mail.bounces import reports_in
from mail.links import Links, LinkSettings, Recipient, Signer
from tests.conftest import NOW
from tests.interfaces.test_tracking import Site, site_of
from tools.base import Context


@pytest.fixture
async def site(ctx: Context) -> AsyncIterator[Site]:
    async with site_of(ctx) as site:
        yield site


def sent_mail(to: Recipient, subject: str = "Lamp Week") -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@shop.example", "ada@example.org", subject
    mail["Message-ID"] = to.message_id("shop.example")
    for name, value in to.headers.items():
        mail[name] = value
    mail.set_content("Lamps!")
    return mail.as_bytes()


def dsn(
    original: bytes, status: str = "5.1.1", diagnostic: str = "smtp; 550 5.1.1 <ada@example.org>: User unknown",
    action: str = "failed", to: str = "bounces@shop.example", headers_only: bool = False,
) -> bytes:  # fmt: skip
    """As Postfix writes it (RFC 3464)."""
    returned = original.partition(b"\n\n")[0] + b"\n" if headers_only else original
    kind = "text/rfc822-headers" if headers_only else "message/rfc822"
    return (
        (
            f"Return-Path: <>\nDelivered-To: {to}\nFrom: MAILER-DAEMON@mx.example (Mail Delivery System)\nTo: {to}\n"
            "Subject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\nAuto-Submitted: auto-replied\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="B"\n\n'
            "--B\nContent-Type: text/plain\n\nI'm sorry to have to inform you ..\n\n"
            f"--B\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            f"Final-Recipient: rfc822; ada@example.org\nAction: {action}\nStatus: {status}\n"
            f"Diagnostic-Code: {diagnostic}\n\n"
            f"--B\nContent-Type: {kind}\n\n"
        ).encode()
        + returned
        + b"\n--B--\n"
    )


def arf(original: bytes, kind: str = "abuse") -> bytes:
    """As a mailbox provider's feedback loop writes it (RFC 5965)."""
    return (
        (
            "From: <abusedesk@mailbox.example>\nTo: <bounces@shop.example>\nSubject: FW: Lamp Week\nMIME-Version: 1.0\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="B"\n\n'
            "--B\nContent-Type: text/plain\n\nThis is an email abuse report.\n\n"
            f"--B\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\n"
            "User-Agent: SomeGenerator/1.0\nVersion: 1\n\n"
            "--B\nContent-Type: message/rfc822\n\n"
        ).encode()
        + original
        + b"\n--B--\n"
    )


async def told(site: Site, message: bytes) -> int:
    """Read one mail as the mailbox's reader does; how many new reports it brought."""
    ctx = site.ctx
    async with ctx.database.transaction(ctx.tenant.id) as db:
        found = [await bounces.match(db, ctx.tenant.id, site.links.keys, report) for report in reports_in(message)]
        ours = [one for one in found if one is not None]
        return await bounces.apply(db, ctx.tenant.id, ours, source="mailbox", at=NOW)


async def status(site: Site, place: int = 0) -> str:
    rows = await site.rows("SELECT status FROM contacts WHERE contact_id = %s", site.campaign.people[place])
    return str(rows[0][0])


@pytest.mark.parametrize("headers_only", [False, True])
async def test_a_hard_bounce_ends_all_mail_to_the_address(site: Site, headers_only: bool) -> None:
    message = dsn(sent_mail(site.to()), headers_only=headers_only)
    assert await told(site, message) == 1
    assert await status(site) == "bounced"
    assert {row[0] for row in await site.rows("SELECT reason FROM suppressions")} == {"bounced"}
    assert await site.rows("SELECT kind, class, reason FROM events") == [("bounce", "machine", "hard")]
    assert await told(site, message) == 0, "told twice, counted once"
    assert await site.rows("SELECT sum(bounce_count) FROM campaign_analytics") == [(1,)]
    assert await site.is_counted_right()


@pytest.mark.parametrize(("code", "diagnostic"), [
    ("4.2.2", "smtp; 452 4.2.2 Mailbox full"), ("5.2.2", "smtp; 552 5.2.2 Mailbox full"),
    ("5.7.1", "smtp; 550 5.7.1 Message rejected as spam"), ("5.7.26", "smtp; 550 5.7.26 DMARC policy"),
    ("5.0.0", "smtp; 554 blocked by our blocklist"), ("5.4.7", "smtp; delivery time expired"),
])  # fmt: skip
async def test_a_soft_one_is_only_noted(site: Site, code: str, diagnostic: str) -> None:
    assert await told(site, dsn(sent_mail(site.to()), code, diagnostic)) == 1
    assert await status(site) == "subscribed"
    assert await site.rows("SELECT 1 FROM suppressions") == []
    assert await site.rows("SELECT kind, reason FROM events") == [("bounce", "soft")]
    assert await site.is_counted_right()


@pytest.mark.parametrize(("code", "diagnostic", "is_hard"), [
    ("5.1.1", "", True), ("5.1.10", "smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound", True),
    ("5.0.0", "smtp; 550 No such user here", True), ("5.1.2", "dns; host not found", True),
    ("5.0.0", "", False),
    ("5.1.8", "smtp; 550 sender rejected", False),
])  # fmt: skip
def test_what_is_hard_is_told_by_status_and_words(code: str, diagnostic: str, is_hard: bool) -> None:
    (report,) = reports_in(dsn(b"From: a\n\nx", code, diagnostic))
    assert (report.told == "hard") == is_hard


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered", "expanded"])
def test_only_failures_are_reports(action: str) -> None:
    assert reports_in(dsn(b"From: a\n\nx", action=action)) == []


async def test_a_complaint_ends_all_mail_and_weighs_more_than_leaving(site: Site) -> None:
    await site.post(site.to().unsubscribe_url, "List-Unsubscribe=One-Click")
    assert await told(site, arf(sent_mail(site.to()))) == 1
    assert await status(site) == "complained"
    assert await told(site, dsn(sent_mail(site.to()))) == 1
    assert await status(site) == "complained", "a lighter one does not take its place"
    assert await site.is_counted_right()


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "dmarc", "opt-out"])
async def test_other_feedback_is_no_complaint(site: Site, kind: str) -> None:
    assert await told(site, arf(sent_mail(site.to()), kind)) == 0
    assert await status(site) == "subscribed"


async def test_the_return_path_alone_says_whose_bounce_it_is(site: Site) -> None:
    path = site.to(2).return_path("bounces@shop.example")
    qmail = (
        f"Return-Path: <>\nDelivered-To: {path.upper()}\nFrom: MAILER-DAEMON@mx.example\nTo: {path}\n"
        "Subject: failure notice\n\nHi. This is the qmail-send program.\n\n<ada@example.org>:\n"
        "192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 User unknown\n"
    ).encode()
    assert await told(site, qmail) == 1
    assert await status(site, 2) == "bounced"


def signed_elsewhere(site: Site, tenant: UUID) -> Recipient:
    """The links of a mail that really was sent, signed with a key that is not this tenant's."""
    keys = replace(site.links.keys, tenant=tenant, by_version={1: Signer(b"k" * 32)})
    return Links(LinkSettings("http://x"), keys).to(site.campaign.id, site.campaign.people[0])


FORGED: dict[str, Callable[[Site], bytes]] = {
    "no token": lambda site: dsn(b"From: a@b.example\nMessage-ID: <1@shop.example>\n\nx"),
    "an invented token": lambda site: dsn(sent_mail(site.to()).replace(b"<m.", b"<m.AAAA")),
    "the address alone": lambda site: dsn(b"From: shop@shop.example\nTo: ada@example.org\n\nx"),
    "another tenant's key": lambda site: dsn(sent_mail(signed_elsewhere(site, uuid4()))),
    "another key": lambda site: dsn(sent_mail(signed_elsewhere(site, site.ctx.tenant.id))),
    "a test mail": lambda site: dsn(sent_mail(site.links.for_test())),
    "an open token": lambda site: dsn(f"Message-ID: <m.{site.to().pixel.rpartition('/')[2][:-4]}@x>\n\nx".encode()),
    "an out-of-office": lambda site: (
        b"From: Ada <ada@example.org>\nAuto-Submitted: auto-replied\nIn-Reply-To: "
        + site.to().message_id("shop.example").encode() + b"\nSubject: Away\n\n550 5.1.1 is my favourite number\n"
    ),
    "an answer": lambda site: (
        b"From: Ada <ada@example.org>\nIn-Reply-To: " + site.to().message_id("shop.example").encode()
        + b"\nSubject: Re: Lamps\n\nYour server said 550 5.1.1 to me\n"
    ),
    "too long": lambda site: dsn(sent_mail(site.to()) + b"x" * 2_000_000),
    "nothing": lambda site: b"",
    "rubbish": lambda site: bytes(range(256)) * 40,
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
async def test_what_brings_no_token_of_ours_changes_nothing(site: Site, name: str) -> None:
    assert await told(site, FORGED[name](site)) == 0
    assert await site.rows("SELECT DISTINCT status FROM contacts") == [("subscribed",)]
    assert await site.rows("SELECT 1 FROM suppressions") == []


def test_broken_reports_raise_nothing() -> None:
    whole = dsn(sent_mail_of_nobody())
    for cut in range(0, len(whole), 37):
        reports_in(whole[:cut])
        reports_in(whole[:cut] + b"\xff\x00" + whole[cut + 5 :])


def sent_mail_of_nobody() -> bytes:
    return b"From: a@b.example\nMessage-ID: <1@b.example>\n\nx"


# Mailboxes


def test_a_maildir_is_read_once(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "box")
    for number in range(3):
        box.add(f"Subject: {number}\n\nx".encode())
    with mailboxes.unread(f"maildir:{tmp_path}/box") as mails:
        for place, received in enumerate(mails):
            assert received.message.startswith(b"Subject:")
            if place < 2:
                received.done()
    with mailboxes.unread(f"maildir:{tmp_path}/box") as mails:
        assert len(list(mails)) == 1


@pytest.mark.parametrize("address", ["maildir:/nowhere/at/all", "imap://127.0.0.1:1/INBOX", "pop3://x", "x"])
def test_a_mailbox_that_cannot_be_read_is_one_sentence(address: str) -> None:
    with pytest.raises(mailboxes.MailboxError), mailboxes.unread(address) as mails:
        list(mails)


class _Imap(socketserver.StreamRequestHandler):
    """The few commands that the reader needs; two mails, the second already seen."""

    seen: set[bytes] = set()
    message = b"Subject: one\r\n\r\nx\r\n"

    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        while line := self.rfile.readline():
            tag, _, command = line.strip().partition(b" ")
            word = command.upper()
            if word.startswith(b"CAPABILITY"):
                self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
            elif word.startswith(b"SELECT"):
                self.wfile.write(b"* 2 EXISTS\r\n")
            elif word.startswith(b"UID SEARCH"):
                self.wfile.write(b"* SEARCH" + (b"" if b"7" in self.seen else b" 7") + b"\r\n")
            elif word.startswith(b"UID FETCH"):
                self.wfile.write(b"* 1 FETCH (UID 7 BODY[] {%d}\r\n" % len(self.message) + self.message + b")\r\n")
            elif word.startswith(b"UID STORE 7"):
                self.seen.add(b"7")
            elif word.startswith(b"LOGIN") and b"secret" not in command:
                self.wfile.write(tag + b" NO wrong\r\n")
                continue
            self.wfile.write(tag + b" OK done\r\n")
            if word.startswith(b"LOGOUT"):
                return


@pytest.fixture
def imap() -> Iterator[int]:
    _Imap.seen = set()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Imap) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_imap_mailbox_is_read_once(imap: int) -> None:
    address = f"imap://bounces:secret@127.0.0.1:{imap}/INBOX"
    for expected in ([b"Subject: one\r\n\r\nx\r\n"], []):
        with mailboxes.unread(address) as mails:
            found = []
            for received in mails:
                found.append(received.message)
                received.done()
        assert found == expected


def test_an_imap_password_is_not_told(imap: int) -> None:
    address = f"imap://bounces:hushhush@127.0.0.1:{imap}/INBOX"
    with pytest.raises(mailboxes.MailboxError) as refused, mailboxes.unread(address):
        pass
    assert "hushhush" not in str(refused.value)


# Webhooks


async def call(site: Site, provider: str, said: object, url: str | None = None) -> Any:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return await site.web.post(
        (url or site.links.hook_url(provider)).removeprefix("http://127.0.0.1:8000"), content=body
    )


def postmark(email: str, kind: str = "HardBounce", record: str = "Bounce") -> dict[str, Any]:
    return {"RecordType": record, "Type": kind, "Email": email, "MessageID": "883953f4", "Description": "unknown user",
            "Details": "550 5.1.1", "Metadata": {}}  # fmt: skip


async def email_of(site: Site, place: int = 0) -> str:
    rows = await site.rows("SELECT email FROM contacts WHERE contact_id = %s", site.campaign.people[place])
    return str(rows[0][0])


async def test_postmark_tells_by_the_address(site: Site) -> None:
    assert (await call(site, "postmark", postmark(await email_of(site)))).json() == {"told": 1, "recorded": 1}
    assert await status(site) == "bounced"
    complaint = postmark((await email_of(site, 1)).upper(), "SpamComplaint", "SpamComplaint")
    assert (await call(site, "postmark", complaint)).json()["recorded"] == 1
    assert await status(site, 1) == "complained"
    assert (await call(site, "postmark", postmark(await email_of(site, 2), "SoftBounce"))).json()["recorded"] == 1
    assert await status(site, 2) == "subscribed"
    for said in (postmark("nobody@example.org"), postmark("x", "Subscribe"), postmark("x", record="Open")):
        assert (await call(site, "postmark", said)).json()["recorded"] == 0
    assert await site.is_counted_right()


def mailgun(
    site: Site, place: int = 0, event: str = "failed", key: str = "key-1", at: datetime = NOW, **more: Any
) -> dict[str, Any]:
    stamp, token = str(int(at.timestamp())), "t" * 50
    signature = hmac.new(key.encode(), (stamp + token).encode(), "sha256").hexdigest()
    message_id = site.to(place).message_id("shop.example").strip("<>")
    data = {"event": event, "severity": "permanent", "recipient": "other@example.org",
            "message": {"headers": {"message-id": message_id}},
            "delivery-status": {"code": 550, "message": "5.1.1 no such user"}}  # fmt: skip
    return {"signature": {"timestamp": stamp, "token": token, "signature": signature}, "event-data": data | more}


async def test_mailgun_tells_by_the_message_id(site: Site) -> None:
    assert (await call(site, "mailgun", mailgun(site))).json()["recorded"] == 1
    assert await status(site) == "bounced"
    assert (await call(site, "mailgun", mailgun(site, 1, "complained"))).json()["recorded"] == 1
    assert await status(site, 1) == "complained"
    assert (await call(site, "mailgun", mailgun(site, 2, severity="temporary"))).json()["recorded"] == 1
    assert await status(site, 2) == "subscribed"


async def test_mailguns_signature_is_checked_where_a_key_is_set(site: Site) -> None:
    site.tracking._mailgun_key = "key-1"
    for said in (
        mailgun(site, key="key-2"), mailgun(site, at=NOW - timedelta(minutes=6)),
        mailgun(site, at=NOW + timedelta(hours=1)), mailgun(site) | {"signature": {}},
        {"event-data": mailgun(site)["event-data"]},
    ):  # fmt: skip
        assert (await call(site, "mailgun", said)).status_code == 400
    assert await status(site) == "subscribed"
    assert (await call(site, "mailgun", mailgun(site))).json()["recorded"] == 1
    assert (await call(site, "mailgun", mailgun(site))).json()["recorded"] == 0, "a replay has no second effect"


async def test_the_plain_form(site: Site) -> None:
    said = {"events": [
        {"type": "hard", "email": await email_of(site)},
        {"type": "complaint", "message_id": site.to(1).message_id("x.example")},
        {"type": "soft", "email": "nobody@x.example"},
    ]}  # fmt: skip
    assert (await call(site, "generic", said)).json() == {"told": 3, "recorded": 2}
    assert [await status(site, place) for place in range(3)] == ["bounced", "complained", "subscribed"]


@pytest.mark.parametrize("said", [
    b"", b"x", b"[]", b"{}", b'{"events": 1}', b'{"events": [1]}', b'{"events": [{"type": "open"}]}', b"[" * 100_000,
    b'{"events": [{"type": {}}]}',
])  # fmt: skip
@pytest.mark.parametrize("provider", ["generic", "ses", "postmark", "mailgun"])
async def test_a_call_that_cannot_be_read_is_refused(site: Site, provider: str, said: bytes) -> None:
    assert (await call(site, provider, said)).status_code == 400


async def test_only_the_tenants_own_address_is_listened_to(site: Site) -> None:
    said = postmark(await email_of(site))
    foreign = Links(LinkSettings("http://127.0.0.1:8000"), replace(site.links.keys, tenant=uuid4()))
    good = site.links.hook_url("postmark")
    for url in (
        foreign.hook_url("postmark"),
        good[:-1],
        good + "A",
        "/b/",
        "/b/x",
        site.to().unsubscribe_url.replace("/u/", "/b/"),
    ):
        assert (await call(site, "postmark", said, url)).status_code in (404, 405)
    assert await status(site) == "subscribed"


# SES: signed by Amazon's certificate, here one of our own


@pytest.fixture(scope="module")
def amazon() -> tuple[rsa.RSAPrivateKey, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2030, 1, 1, tzinfo=UTC))
        .sign(key, SHA256())
    )  # fmt: skip
    return key, certificate.public_bytes(serialization.Encoding.PEM)


def sns(key: rsa.RSAPrivateKey, message: object, version: str = "2", **more: str) -> dict[str, str]:
    said = {
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:1:ses",
        "Message": json.dumps(message),
        "Timestamp": "2026-11-25T10:00:00.000Z", "SignatureVersion": version,
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
    } | more  # fmt: skip
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{said[name]}\n" for name in names if name in said)
    signature = key.sign(text.encode(), padding.PKCS1v15(), SHA256() if version == "2" else SHA1())
    return said | {"Signature": base64.b64encode(signature).decode()}


def ses(site: Site, place: int = 0, kind: str = "Permanent") -> dict[str, Any]:
    headers = [{"name": "Message-ID", "value": site.to(place).message_id("shop.example")}]
    if kind == "complaint":
        return {"notificationType": "Complaint", "mail": {"headers": headers},
                "complaint": {"complainedRecipients": [{"emailAddress": "a@b.example"}]}}  # fmt: skip
    recipients = [{"emailAddress": "a@b.example", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 unknown"}]
    return {"notificationType": "Bounce", "mail": {"headers": headers},
            "bounce": {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": recipients}}  # fmt: skip


@pytest.fixture
def fetched(site: Site, amazon: tuple[rsa.RSAPrivateKey, bytes]) -> list[str]:
    fetched: list[str] = []

    async def fetch(url: str) -> bytes:
        fetched.append(url)
        return amazon[1]

    site.tracking._fetch = fetch
    return fetched


async def test_ses_tells_over_sns(site: Site, amazon: tuple[rsa.RSAPrivateKey, bytes], fetched: list[str]) -> None:
    for place, (kind, version) in enumerate((("Permanent", "2"), ("complaint", "1"), ("Transient", "1"))):
        answer = await call(site, "ses", sns(amazon[0], ses(site, place, kind), version))
        assert answer.json() == {"told": 1, "recorded": 1}
    assert [await status(site, place) for place in range(3)] == ["bounced", "complained", "subscribed"]


@pytest.mark.parametrize("change", [
    {"Message": "{}"}, {"Timestamp": "2020-01-01T00:00:00.000Z"}, {"Signature": "AAAA"}, {"Signature": "é"},
    {"SigningCertURL": "https://evil.example/SimpleNotificationService-1.pem"},
    {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/x.pem"},
    {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"},
    {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem"},
    {"SigningCertURL": "https://bucket.s3.amazonaws.com/x.pem"}, {"SignatureVersion": "1"}, {"Type": "Other"},
])  # fmt: skip
async def test_a_message_that_amazon_did_not_sign_is_refused(
    site: Site, amazon: tuple[rsa.RSAPrivateKey, bytes], fetched: list[str], change: dict[str, str]
) -> None:
    answer = await call(site, "ses", sns(amazon[0], ses(site)) | change)
    assert answer.status_code == 400
    assert await status(site) == "subscribed"
    assert all(url.startswith("https://sns.eu-west-1.amazonaws.com/") for url in fetched)


async def test_a_subscription_is_confirmed_at_amazon_only(
    site: Site, amazon: tuple[rsa.RSAPrivateKey, bytes], fetched: list[str]
) -> None:
    good = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=1"
    for url, code in ((good, 200), ("https://evil.example/?x", 400), ("http://sns.eu-west-1.amazonaws.com/", 400)):
        said = sns(amazon[0], "Confirm", Type="SubscriptionConfirmation", SubscribeURL=url, Token="t")
        assert (await call(site, "ses", said)).status_code == code
    assert [url for url in fetched if not url.endswith(".pem")] == [good]
