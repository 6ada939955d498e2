"""DKIM (RFC 6376, RFC 8463): signs mails with the key of their sender's domain, so that receivers believe the head.

Our own on `cryptography`, because a signature is made for every mail (docs/decisions/0023-dkim.md). What is signed
can't be changed or added to on the way: every field is named once more often than it is there.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

Algorithm = Literal["rsa", "ed25519"]

# RFC 8058 asks for the two of List-Unsubscribe, RFC 6376 5.4.1 recommends the others.
SIGNED = (
    b"from", b"to", b"cc", b"reply-to", b"subject", b"date", b"message-id", b"list-id", b"list-unsubscribe",
    b"list-unsubscribe-post", b"mime-version", b"content-type",
)  # fmt: skip

# RFC 8301: signers use 2048 bits at least; verifiers need not take more than 4096, and they don't fit most DNS pages.
LEAST_BITS, MOST_BITS = 2048, 4096

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_BLANKS = re.compile(rb"[ \t]+")
_LINE = 72


class BadKey(ValueError):
    """A key can't be used; the text is a sentence that says which and why."""


@dataclass(frozen=True)
class KeyPlace:
    """Where a key lies and what it signs for: `selector:domain:/path/of/the/key.pem`."""

    selector: str
    domain: str
    path: Path

    @classmethod
    def read(cls, text: str) -> KeyPlace:
        """Raises `BadKey`."""
        selector, _, rest = text.partition(":")
        domain, _, path = rest.partition(":")
        if not path:
            raise BadKey(f"{text[:60]!r} must be like mail:example.com:/path/of/the/key.pem")
        return cls(checked_selector(selector), checked_domain(domain), Path(path).expanduser())

    @property
    def record_name(self) -> str:
        """The name of its DNS record."""
        return f"{self.selector}._domainkey.{self.domain}"


def read_places(text: str) -> list[KeyPlace]:
    """The keys of a setting, with spaces between. Raises `BadKey`."""
    # A path may have blanks in it: a new key begins where a selector and a domain do.
    places = [KeyPlace.read(part) for part in re.split(r"\s+(?=[\w.-]+:[\w.-]+:)", text.strip())]
    names = [place.record_name for place in places]
    for name in names:
        if names.count(name) > 1:
            raise BadKey(f"There are two keys for {name}; each key needs a selector of its own")
    return places


def checked_selector(text: str) -> str:
    """Raises `BadKey`."""
    if len(text) > 60 or not _SELECTOR.fullmatch(text):
        raise BadKey(f"{text[:60]!r} is no selector: it takes letters, digits and hyphens, like mail or s2026")
    return text.lower()


def checked_domain(text: str) -> str:
    """Raises `BadKey`."""
    if len(text) > 200 or not _DOMAIN.fullmatch(text):
        raise BadKey(f"{text[:60]!r} is no domain: write it like example.com")
    return text.lower()


class Key:
    """A private key with the selector and the domain it signs for. Raises `BadKey` where it is made."""

    def __init__(self, place: KeyPlace, pem: bytes) -> None:
        self.place = place
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except TypeError:
            raise BadKey(
                f"The key in {place.path} has a password. Use one without, readable by its user alone"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise BadKey(f"{place.path} holds no private key in PEM") from None
        if isinstance(private, RSAPrivateKey):
            if not LEAST_BITS <= private.key_size <= MOST_BITS:
                raise BadKey(
                    f"The key in {place.path} has {private.key_size:,} bits; {LEAST_BITS:,} to {MOST_BITS:,} are good"
                )
        elif not isinstance(private, Ed25519PrivateKey):
            raise BadKey(f"The key in {place.path} is of a kind that DKIM does not know; use RSA or Ed25519")
        self._private: RSAPrivateKey | Ed25519PrivateKey = private
        self.algorithm: Algorithm = "rsa" if isinstance(private, RSAPrivateKey) else "ed25519"
        self._start = (
            f"DKIM-Signature: v=1; a={self.algorithm}-sha256; c=relaxed/simple; d={place.domain};\r\n"
            f" s={place.selector}; t="
        ).encode("ascii")

    @classmethod
    def load(cls, place: KeyPlace) -> Key:
        """The key of a file. Raises `BadKey`."""
        try:
            return cls(place, place.path.read_bytes())
        except OSError as error:
            raise BadKey(f"The key {place.path} can't be read: {error.strerror}") from None

    @property
    def record(self) -> str:
        """What its DNS record (TXT) says."""
        public = self._private.public_key()
        if isinstance(self._private, RSAPrivateKey):
            data = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        else:
            data = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return f"v=DKIM1; k={self.algorithm}; p={base64.b64encode(data).decode('ascii')}"

    def field(self, names: bytes, canonical: bytes, body_hash: bytes, at: int) -> bytes:
        """The DKIM-Signature field over fields that are in canonical form already."""
        unsigned = b"%s%d;\r\n h=%s;\r\n bh=%s;\r\n b=" % (self._start, at, names, body_hash)
        digested = canonical + _relaxed(unsigned.replace(b"\r\n", b""))
        if isinstance(self._private, RSAPrivateKey):
            signature = self._private.sign(digested, padding.PKCS1v15(), SHA256())
        else:
            # RFC 8463: what Ed25519 signs is the hash.
            signature = self._private.sign(hashlib.sha256(digested).digest())
        code = base64.b64encode(signature)
        return unsigned + b"\r\n ".join(_cut(code)) + b"\r\n"


class Signer:
    """Puts signatures on mails, with the keys of their sender's domain."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)

    @classmethod
    def load(cls, places: Sequence[KeyPlace]) -> Signer:
        """A signer with the keys of these files. Raises `BadKey`."""
        return cls([Key.load(place) for place in places])

    def keys_for(self, domain: str) -> list[Key]:
        """The keys that mails from `domain` are signed with: its own, or else those of the nearest domain above it.

        Another domain's signature would not count for the sender (RFC 7489 3.1.1). A receiver that does not know
        Ed25519 yet takes the other signature, so a domain may have a key of each kind.
        """
        labels = domain.lower().split(".")
        for start in range(len(labels) - 1):
            found = [key for key in self.keys if key.place.domain == ".".join(labels[start:])]
            if found:
                return found
        return []

    def __call__(self, message: bytes, domain: str) -> bytes:
        """The mail (CRLF at every line's end) with a signature for each key on top; as it is where there is no key."""
        keys = self.keys_for(domain)
        if not keys:
            return message
        head, _, body = message.partition(b"\r\n\r\n")
        names, canonical = _chosen(head)
        # "simple": a body in quoted-printable or base64 has no blanks that a server would touch.
        body_hash = base64.b64encode(hashlib.sha256(body.rstrip(b"\r\n") + b"\r\n").digest())
        at = int(time.time())
        return b"".join([*(key.field(names, canonical, body_hash, at) for key in keys), message])


def _chosen(head: bytes) -> tuple[bytes, bytes]:
    """The names of the fields to sign, for `h=`, and these fields as they are hashed.

    From the last to the first, as a verifier looks for them (RFC 6376 5.4.2); then each name once more, so that a field
    that somebody adds breaks the signature (8.15).
    """
    names, fields = [], []
    for line in reversed(head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n")):
        name = line.partition(b":")[0].strip().lower()
        if name in SIGNED:
            names.append(name)
            fields.append(_relaxed(line) + b"\r\n")
    return b":\r\n ".join(_in_lines([*names, *SIGNED])), b"".join(fields)


def _relaxed(field: bytes) -> bytes:
    """A field in one line, in the "relaxed" form of RFC 6376 3.4.2, without its end."""
    name, _, value = field.partition(b":")
    if b"  " in value or b"\t" in value:
        value = _BLANKS.sub(b" ", value)
    return name.strip(b" \t").lower() + b":" + value.strip(b" \t")


def _in_lines(names: Sequence[bytes]) -> list[bytes]:
    lines: list[bytes] = []
    line = b""
    for name in names:
        if line and len(line) + len(name) + 1 > _LINE:
            lines.append(line)
            line = name
        else:
            line = line + b":" + name if line else name
    return [*lines, line]


def _cut(code: bytes) -> list[bytes]:
    return [code[start : start + _LINE] for start in range(0, len(code), _LINE)]


def make_key(path: Path, algorithm: Algorithm) -> None:
    """Write a new private key that its user alone can read. Raises `FileExistsError`: no key is ever replaced."""
    private: RSAPrivateKey | Ed25519PrivateKey
    private = generate_private_key(65537, LEAST_BITS) if algorithm == "rsa" else Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def in_strings(record: str) -> str:
    """A record as a zone file writes it: a TXT record's strings hold 255 octets at most (RFC 1035 3.3.14)."""
    return " ".join(f'"{record[start : start + 255]}"' for start in range(0, len(record), 255))
