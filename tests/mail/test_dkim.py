"""DKIM signatures, checked by a verifier that is not ours (dkimpy)."""

from __future__ import annotations

import email
import os
import re
import stat
from collections.abc import Callable
from email import policy
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from mail.dkim import (
    SIGNED,
    Algorithm,
    BadKey,
    Key,
    KeyPlace,
    Signer,
    in_strings,
    make_key,
    read_places,
)
from mail.message import Headers, build
from tests.mail.test_message import AT, OUT, TEMPLATES, data

NewKey = Callable[..., Key]


@pytest.fixture(scope="module")
def new_key(tmp_path_factory: pytest.TempPathFactory) -> NewKey:
    """Make a key; those of one kind and name are made once."""
    folder = tmp_path_factory.mktemp("keys")

    def make(algorithm: Algorithm = "ed25519", selector: str = "mail", domain: str = "shop.example") -> Key:
        path = folder / f"{selector}.{domain}.{algorithm}.pem"
        if not path.exists():
            make_key(path, algorithm)
        return Key.load(KeyPlace(selector, domain, path))

    return make


def written(name: str = "Ada", *, subject_of: str = "Markdown", to: str = "ada@example.org") -> bytes:
    headers = Headers(
        "Harrow & Finch, Clocks, Furniture and Everything Else that Was Ever Made of Oak", "hello@shop.example",
        "answers@shop.example", "news.shop.example", "Harrow",
    )  # fmt: skip
    return build(
        headers, TEMPLATES[subject_of].render(data(name)), to_email=to, to_name=name, message_id="<m.1@shop.example>",
        unsubscribe_url=OUT, date=AT,
    )  # fmt: skip


def verified(message: bytes, *keys: Key) -> list[bool]:
    """What dkimpy says of each signature on the mail, with these keys in DNS."""
    records = {f"{key.place.record_name}.".encode(): key.record.encode() for key in keys}
    checker = dkim.DKIM(message)
    count = sum(1 for name, _ in checker.headers if name.lower() == b"dkim-signature")
    answers = []
    for place in range(count):
        try:
            answers.append(checker.verify(place, dnsfunc=lambda name, **_: records.get(name)))
        except dkim.DKIMException:
            answers.append(False)
    return answers


def named(message: bytes) -> list[str]:
    """The fields that the first signature names."""
    field = email.message_from_bytes(message)["DKIM-Signature"]
    return re.sub(r"\s", "", re.search(r"h=([^;]*);", field)[1]).split(":")  # type: ignore[index]


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
@pytest.mark.parametrize("template", sorted(TEMPLATES))
@pytest.mark.parametrize("name", ["Ada", "健太 森脇", "Zoë " * 20, 'Dr. "Bo"  <x>', ""])
def test_another_verifier_believes_us(new_key: NewKey, algorithm: Algorithm, template: str, name: str) -> None:
    key = new_key(algorithm)
    message = Signer([key])(written(name, subject_of=template), "shop.example")

    assert verified(message, key) == [True]
    assert message.endswith(written(name, subject_of=template)), "the mail itself stays as it is"
    assert all(len(line) <= 78 for line in message.partition(b"\r\n\r\n")[0].split(b"\r\n") if b"http" not in line)
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert not email.message_from_bytes(message, policy=policy.default).defects


def test_a_domain_may_have_a_key_of_each_kind(new_key: NewKey) -> None:
    keys = [new_key("rsa", "mail"), new_key("ed25519", "ed")]
    message = Signer(keys)(written(), "shop.example")

    assert verified(message, *keys) == [True, True]
    assert verified(message, keys[0]) == [True, False], "a receiver that has only the older one's record"


def test_what_rfc_8058_and_rfc_6376_name_is_signed(new_key: NewKey) -> None:
    names = named(Signer([new_key()])(written(), "shop.example"))
    there = {"from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post",
             "mime-version", "content-type", "reply-to", "list-id"}  # fmt: skip

    assert there <= set(names)
    assert all(names.count(name) == 2 for name in there), "so that none can be added"
    assert names.count("cc") == 1


@pytest.mark.parametrize("name", [name.decode() for name in SIGNED])
def test_a_field_that_is_added_or_changed_breaks_the_signature(new_key: NewKey, name: str) -> None:
    key = new_key()
    message = Signer([key])(written(), "shop.example")
    head, _, body = message.partition(b"\r\n\r\n")
    added = b"%s\r\n%s: other\r\n\r\n%s" % (head, name.encode(), body)
    on_top = b"%s: other\r\n%s" % (name.encode(), message)
    changed = re.sub(rb"(?im)^(%s: .)" % name.encode(), rb"\1x", message)

    assert verified(added, key) == [False]
    assert verified(on_top, key) == [False]
    if name != "cc":
        assert changed != message
        assert verified(changed, key) == [False]


def test_a_changed_body_breaks_the_signature_and_what_relays_do_does_not(new_key: NewKey) -> None:
    key = new_key()
    message = Signer([key])(written(), "shop.example")
    head, _, body = message.partition(b"\r\n\r\n")

    assert verified(message.replace(b"Hello", b"Hullo", 1), key) == [False]
    assert verified(message + b"P.S.\r\n", key) == [False]
    # Fields of their own, folds and blanks of others, lines at the end (RFC 6376 3.4).
    refolded = head.replace(b"Subject: ", b"SUBJECT:\r\n   ").replace(b"To: ", b"To:\t ")
    relayed = b"Received: by relay.example\r\nX-Spam: no\r\n" + refolded + b"\r\n\r\n" + body + b"\r\n\r\n"
    assert refolded != head
    assert verified(relayed, key) == [True]


def test_a_recipient_beyond_ascii_can_be_signed_for(new_key: NewKey) -> None:
    """RFC 6532: the To field is UTF-8 then."""
    key = new_key()
    message = Signer([key])(written("Zoë", to="zoë@example.org"), "shop.example")

    assert "zoë@example.org".encode() in message
    assert verified(message, key) == [True]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("shop.example", ["shop.example"]), ("SHOP.example", ["shop.example"]),
        ("news.shop.example", ["news.shop.example"]), ("a.b.shop.example", ["shop.example"]),
        ("myshop.example", []), ("example", []), ("other.example", []), ("sender.invalid", []),
    ],
)  # fmt: skip
def test_a_mail_is_signed_by_its_own_domain_or_one_above(new_key: NewKey, domain: str, expected: list[str]) -> None:
    signer = Signer([new_key(), new_key(domain="news.shop.example")])
    message = signer(written(), domain)

    assert [key.place.domain for key in signer.keys_for(domain)] == expected
    assert (message != written()) == bool(expected)


def test_the_record_fits_into_dns(new_key: NewKey) -> None:
    rsa, ed = new_key("rsa"), new_key("ed25519")

    assert rsa.record.startswith("v=DKIM1; k=rsa; p=MII")
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=", ed.record)
    assert rsa.place.record_name == "mail._domainkey.shop.example"
    strings = re.findall(r'"([^"]*)"', in_strings(rsa.record))
    assert "".join(strings) == rsa.record
    assert max(map(len, strings)) == 255
    assert len(strings) == 2


def test_a_new_key_is_its_owners_alone_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    before = os.umask(0)
    try:
        make_key(path, "ed25519")
    finally:
        os.umask(before)
    held = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_key(path, "rsa")
    assert path.read_bytes() == held


def test_keys_that_are_too_weak_or_no_keys_are_refused(tmp_path: Path) -> None:
    def refusal(pem: bytes) -> str:
        path = tmp_path / "key.pem"
        path.write_bytes(pem)
        with pytest.raises(BadKey) as refused:
            Key.load(KeyPlace("mail", "shop.example", path))
        return str(refused.value)

    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    weak = generate_private_key(65537, 1024)
    assert "1,024 bits" in refusal(weak.private_bytes(pem, pkcs8, plain))
    assert "RSA or Ed25519" in refusal(ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, pkcs8, plain))
    locked = weak.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"x"))
    assert "has a password" in refusal(locked)
    assert "no private key" in refusal(b"hello")
    public = weak.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert "no private key" in refusal(public)
    with pytest.raises(BadKey, match="can't be read: No such file"):
        Key.load(KeyPlace("mail", "shop.example", tmp_path / "nothing"))


def test_keys_of_the_older_form_are_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    private = generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    key = Key.load(KeyPlace("mail", "shop.example", path))

    assert verified(Signer([key])(written(), "shop.example"), key) == [True]


def test_the_setting_names_selector_domain_and_file() -> None:
    places = read_places("mail:Shop.example:/keys/My Keys/a.pem  S2026:news.shop.example:/keys/b.pem")

    assert places == [
        KeyPlace("mail", "shop.example", Path("/keys/My Keys/a.pem")),
        KeyPlace("s2026", "news.shop.example", Path("/keys/b.pem")),
    ]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("/keys/a.pem", "must be like mail:example.com:/path"), ("mail:shop.example", "must be like"),
        ("ma!l:shop.example:/a", "is no selector"), ("mail:shop:/a", "is no domain"),
        ("mail:shop.example\r\nX: y:/a", "is no domain"), ("a;b:shop.example:/a", "is no selector"),
        ("mail:shop.example:/a mail:shop.example:/b", "two keys for mail._domainkey.shop.example"),
    ],
)  # fmt: skip
def test_a_setting_that_is_wrong_says_how_it_must_be(setting: str, expected: str) -> None:
    with pytest.raises(BadKey, match=re.escape(expected)):
        read_places(setting)
