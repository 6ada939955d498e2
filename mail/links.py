"""The links in a mail: signed tokens for opens, clicks, unsubscribing, conversions and bounces.

A token names its kind, its key, its tenant, the campaign, the contact and, for a click, the address it leads to; an
HMAC-SHA256 over all of it, cut to 128 bits, stands at its end. So nothing need be looked up to redirect somebody, and
only addresses that we signed are redirected to (docs/decisions/0014-signed-links.md).
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

from db import links as link_rows
from db.links import KeyRow
from db.pool import Connection

# 128 bits (NIST SP 800-107 5.3.3 allows a cut HMAC; half of SHA-256 leaves no way to guess one).
MAC = 16
_BLOCK = 64
_HEAD = 2
_IDS = 48
_SHORTEST = _HEAD + _IDS + MAC

# An address of up to this length is tracked; a longer one would make a link that some programs cut.
LONGEST_TARGET = 2_000
LONGEST_TOKEN = 2_800

# A mailbox name has at most 64 octets and may lose its case on the way (RFC 5321 4.5.3.1.1, 2.4): 35 bytes in base32.
_LONGEST_MAILBOX = 64
_BOUNCE_MAC = 10
_BOUNCE_BYTES = 1 + 16 + 8 + _BOUNCE_MAC

NOBODY = UUID(int=0)
"""The campaign and contact of a test mail's links."""


class Kind(IntEnum):
    """What a token is good for. A number is never given to another kind: mails that were sent hold it."""

    OPEN = 1
    CLICK = 2
    UNSUBSCRIBE = 3
    CONVERSION = 4
    MESSAGE = 5
    BOUNCE = 6
    HOOK = 7


@dataclass(frozen=True)
class LinkSettings:
    """Where links lead, and the owner's secrets: the first signs, all verify."""

    base_url: str
    """Without a slash at its end."""
    secrets: tuple[str, ...] = ()
    is_public: bool = False
    """Whether anybody but this machine can reach `base_url`."""


@dataclass(slots=True)
class Token:
    """What a genuine token says."""

    kind: Kind
    tenant: UUID
    campaign: UUID
    contact: UUID
    target: str = ""

    @property
    def is_test(self) -> bool:
        return self.contact == NOBODY


@dataclass(frozen=True)
class BounceToken:
    """What a genuine return path says: the contact, and the beginning of the campaign's id."""

    contact: UUID
    campaign_begins: bytes

    def is_of(self, campaign: UUID) -> bool:
        return campaign.bytes.startswith(self.campaign_begins)


class Signer:
    """HMAC-SHA256 (RFC 2104) with its two hashes of the key made beforehand: a third of the time of `hmac.digest`."""

    __slots__ = ("_inner", "_outer", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        block = (key if len(key) <= _BLOCK else sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signer) and other.key == self.key

    __hash__ = None  # type: ignore[assignment]

    def sign(self, data: bytes) -> bytes:
        """The whole signature: 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


@dataclass(frozen=True)
class Keys:
    """A tenant's keys, ready for use."""

    tenant: UUID
    current: int
    by_version: Mapping[int, Signer]

    @classmethod
    async def load(cls, db: Connection, tenant: UUID, secrets: Sequence[str]) -> Self:
        """The tenant's keys; one is made where there is none for the first of `secrets` (writes)."""
        found = await cls.find(db, tenant, secrets)
        if found is not None:
            return found
        rows = await link_rows.keys(db, tenant)
        version = max((row.version for row in rows), default=0) + 1
        await link_rows.add_key(db, tenant, KeyRow(version, _random(32), _secret_id(secrets[0] if secrets else "")))
        found = await cls.find(db, tenant, secrets)
        if found is None:  # another program with another secret was quicker
            return await cls.load(db, tenant, secrets)
        return found

    @classmethod
    async def find(cls, db: Connection, tenant: UUID, secrets: Sequence[str], *, to_sign: bool = True) -> Self | None:
        """The tenant's keys, or None where there is none for the first of `secrets` (not `to_sign`: none at all)."""
        known = {_secret_id(secret): secret for secret in ("", *secrets)}
        wanted = _secret_id(secrets[0] if secrets else "")
        rows = [row for row in await link_rows.keys(db, tenant) if row.secret_id in known]
        current = max((row.version for row in rows if row.secret_id == wanted), default=None)
        if current is None and not to_sign:
            current = max((row.version for row in rows), default=None)
        if current is None:
            return None
        keys = {row.version: Signer(_effective(row, tenant, known[row.secret_id])) for row in rows}
        return cls(tenant, current, keys)

    def mac(self, version: int, signed: bytes, length: int = MAC) -> bytes | None:
        """The signature of `signed`; None when there is no such key."""
        signer = self.by_version.get(version)
        return None if signer is None else signer.sign(signed)[:length]


@dataclass(frozen=True)
class Links:
    """Makes the links of a tenant's mails. Pure once loaded: no I/O, any thread."""

    settings: LinkSettings
    keys: Keys

    @classmethod
    async def load(cls, db: Connection, tenant: UUID, settings: LinkSettings) -> Self:
        """With the tenant's keys, one made where there is none yet (writes)."""
        return cls(settings, await Keys.load(db, tenant, settings.secrets))

    @property
    def is_public(self) -> bool:
        """False: the links work on this machine only, so a mail with them must not go to other people."""
        return self.settings.is_public

    def to(self, campaign: UUID, contact: UUID) -> Recipient:
        """The links of one person's mail."""
        return Recipient(self, campaign, contact)

    def hook_url(self, provider: str) -> str:
        """Where a provider tells of bounces and complaints."""
        return f"{self.settings.base_url}/b/{self.to(NOBODY, NOBODY).token(Kind.HOOK, provider.encode())}"

    def for_test(self) -> Recipient:
        """The links of a test mail: nothing is counted, and nobody is unsubscribed."""
        return Recipient(self, NOBODY, NOBODY)


class Recipient:
    """The links of one person's mail."""

    __slots__ = ("_base", "_campaign", "_contact", "_ids", "_keys", "_signer")

    def __init__(self, links: Links, campaign: UUID, contact: UUID) -> None:
        self._base, self._keys = links.settings.base_url, links.keys
        self._signer = links.keys.by_version[links.keys.current]
        self._campaign, self._contact = campaign, contact
        self._ids = bytes((links.keys.current,)) + links.keys.tenant.bytes + campaign.bytes + contact.bytes

    def link(self, url: str) -> str:
        """The address that counts a click and leads on to `url`; `url` itself where it can't be tracked."""
        target = trackable(url)
        if self._contact == NOBODY or target is None or target.startswith(self._base + "/"):
            return url
        return f"{self._base}/c/{self.token(Kind.CLICK, target.encode())}"

    @property
    def pixel(self) -> str:
        """The address of a picture that counts an open; empty in a test mail."""
        return "" if self._contact == NOBODY else f"{self._base}/o/{self.token(Kind.OPEN)}.gif"

    @property
    def unsubscribe_url(self) -> str:
        """The page (GET) and the one-click address (POST, RFC 8058)."""
        return f"{self._base}/u/{self.token(Kind.UNSUBSCRIBE)}"

    @property
    def headers(self) -> dict[str, str]:
        """RFC 2369 and RFC 8058. Both must be in the DKIM signature (RFC 8058 4)."""
        return {
            "List-Unsubscribe": f"<{self.unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    @property
    def conversion_token(self) -> str:
        """What a shop gives back when this person bought something."""
        return self.token(Kind.CONVERSION)

    def message_id(self, domain: str) -> str:
        """The mail's Message-ID: the same whenever it is asked for, and read again in a bounce."""
        return f"<m.{self.token(Kind.MESSAGE)}@{domain}>"

    def return_path(self, address: str) -> str:
        """`bounces@x.example` with this mail's token in it (VERP); as it is when there is no room for one."""
        mailbox, _, domain = address.rpartition("@")
        body = self._ids[:1] + self._contact.bytes + self._campaign.bytes[:8]
        mac = self._signer.sign(bytes((Kind.BOUNCE,)) + self._keys.tenant.bytes + body)
        token = b32encode(body + mac[:_BOUNCE_MAC]).decode().lower()
        verp = f"{mailbox}+{token}"
        return f"{verp}@{domain}" if len(verp) <= _LONGEST_MAILBOX else address

    def token(self, kind: Kind, target: bytes = b"") -> str:
        """A token of this kind."""
        signed = bytes((kind,)) + self._ids + target
        return _encode(signed + self._signer.sign(signed)[:MAC])


@dataclass(slots=True)
class Claim:
    """A token as it came in: its signature is still to be checked, with its tenant's keys."""

    token: Token
    version: int
    signed: bytes
    mac: bytes

    def is_genuine(self, keys: Keys) -> bool:
        mac = keys.mac(self.version, self.signed) if keys.tenant == self.token.tenant else None
        return mac is not None and hmac.compare_digest(mac, self.mac)


def read(text: str, kind: Kind) -> Claim | None:
    """Take a token apart; None where it can't be one of this kind."""
    raw = _decode(text)
    if raw is None or len(raw) < _SHORTEST or raw[0] != kind:
        return None
    signed, mac = raw[:-MAC], raw[-MAC:]
    tenant, campaign = _uuid(signed[2:18]), _uuid(signed[18:34])
    contact = UUID(bytes=signed[34:50])
    try:
        target = signed[_HEAD + _IDS :].decode("ascii")
    except UnicodeDecodeError:
        return None
    if not _is_target(kind, target):
        return None
    return Claim(Token(kind, tenant, campaign, contact, target), signed[1], signed, mac)


def _is_target(kind: Kind, target: str) -> bool:
    if kind is Kind.CLICK:
        return bool(target) and trackable(target) == target
    return bool(target) == (kind is Kind.HOOK)


def read_bounce(address: str, keys: Keys) -> BounceToken | None:
    """Whom a return path was made for by one of the tenant's keys; None when by none of them."""
    verp = re.search(r"\+([a-z2-7]{56})@", address.lower())
    if verp is None:
        return None
    raw = b32decode(verp[1].upper())
    assert len(raw) == _BOUNCE_BYTES
    body, mac = raw[:-_BOUNCE_MAC], raw[-_BOUNCE_MAC:]
    expected = keys.mac(body[0], bytes((Kind.BOUNCE,)) + keys.tenant.bytes + body, _BOUNCE_MAC)
    if expected is None or not hmac.compare_digest(expected, mac):
        return None
    return BounceToken(UUID(bytes=body[1:17]), body[17:])


@lru_cache(maxsize=4096)
def trackable(url: str) -> str | None:
    """The address in ASCII when a click on it may be counted: http or https, a host, nothing that could mislead."""
    if re.search(r"[\x00-\x20\x7f-\xa0\\]", url) or len(url) > LONGEST_TARGET:
        return None
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    if url.isascii():
        return url if parts.netloc and url.lower().startswith(("http://", "https://")) else None
    try:
        netloc = parts.netloc.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    keep = "%/:=&?~#+!$,;'@()*[]"
    plain = urlunsplit((parts.scheme, netloc, *(quote(part, safe=keep) for part in parts[2:])))
    return plain if len(plain) <= LONGEST_TARGET else None


def with_parameter(url: str, name: str, value: str) -> str:
    """The address with one more parameter in its query, and its fragment where it was."""
    page, mark, fragment = url.partition("#")
    return f"{page}{'&' if '?' in page else '?'}{name}={value}{mark}{fragment}"


@lru_cache(maxsize=4096)
def _uuid(raw: bytes) -> UUID:
    """Tenants and campaigns come again and again."""
    return UUID(bytes=raw)


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    """The bytes of a token; None unless this is exactly how they are written."""
    if len(text) > LONGEST_TOKEN or not text.isascii():
        return None
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return None
    # Python skips foreign characters and spare bits; one token must have one spelling.
    return raw if _encode(raw) == text else None


def _effective(row: KeyRow, tenant: UUID, secret: str) -> bytes:
    """The key that signs: the tenant's own, with the owner's secret mixed in, which no backup of the database holds."""
    return hmac.digest(secret.encode(), b"smartcampaign links" + tenant.bytes + row.key, "sha256")


def _secret_id(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"smartcampaign secret's name", sha256)[:8] if secret else b""


def _random(length: int) -> bytes:
    return secrets.token_bytes(length)
