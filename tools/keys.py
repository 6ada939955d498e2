"""API keys: made by an owner, shown once, recognised by their hash.

    sck_<tenant, key and secret in base64url>

The text names its tenant and its key, so that it is looked up under row-level security like any other row; what it
proves is in the 32 random bytes behind. Only SHA-256 of the text is stored: a hash that is slow on purpose guards
passwords, which can be guessed, and 256 random bits can't be. Compared in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from db import keys
from db.keys import KeyRow
from db.pool import Database
from tools.base import Actor, Context, Role, Tenant, at_least, recorded_as
from tools.dates import in_words
from tools.errors import InvalidArguments, KeyExists, KeyOver, NoSuchKey, UnknownKey

PREFIX = "sck_"

SECRET_BYTES = 32

# Compared with when there is no such key, so that looking takes as long as for one that there is.
_NOBODYS = hashlib.sha256(secrets.token_bytes(SECRET_BYTES)).digest()

_SHAPE = re.compile(r"sck_[A-Za-z0-9_-]{86}")


@dataclass(frozen=True)
class NewKey:
    """A key as it is made. `text` is the only copy there will ever be."""

    row: KeyRow
    text: str = field(repr=False)


@dataclass(frozen=True)
class Recognised:
    """Whose key that is."""

    tenant: Tenant
    key: KeyRow

    def actor(self, door: str) -> Actor:
        """Who acts with this key. Named apart from people: a key called like a colleague is not that colleague."""
        return Actor(f"{self.key.name} (key)", self.key.role, door)


async def create(name: str, role: Role, ctx: Context, *, days: int | None = None) -> NewKey:
    """Make a key that is good for `days`, or until it is revoked.

    Raises `NotAllowed` for less than an owner, `KeyExists`, or `InvalidArguments` for a name that can't be used.
    """
    at_least("owner", ctx.actor.role, "to create a key")
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidArguments(problems="A key's name has 1 to 100 characters.")
    id, at = uuid4(), ctx.now()
    text = PREFIX + base64.urlsafe_b64encode(
        ctx.tenant.id.bytes + id.bytes + secrets.token_bytes(SECRET_BYTES)
    ).decode().rstrip("=")  # fmt: skip
    expires_at = at + timedelta(days=days) if days is not None else None
    recorded = recorded_as("create_key", "write", ctx)
    async with recorded.transaction() as db:
        made = await keys.add(
            db, ctx.tenant.id, id, name=name, role=role, key_hash=_hash(text), created_by=ctx.actor.name, at=at,
            expires_at=expires_at,
        )  # fmt: skip
        if not made:
            raise KeyExists(name=name)
        recorded.about(id)
        row = await keys.find(db, ctx.tenant.id, id)
        assert row is not None, "it was made in this transaction"
    return NewKey(row, text)


async def every(ctx: Context) -> list[KeyRow]:
    """Every key of the tenant, oldest first, also those that are over. Raises `NotAllowed` for less than an owner."""
    at_least("owner", ctx.actor.role, "to list the keys")
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        return await keys.every(db, ctx.tenant.id)


async def revoke(which: str, ctx: Context) -> KeyRow:
    """End a key, by its name, its id or the beginning of its id: it opens nothing from the commit on.

    Raises `NotAllowed` for less than an owner, or `NoSuchKey`.
    """
    at_least("owner", ctx.actor.role, "to revoke a key")
    recorded = recorded_as("revoke_key", "write", ctx)
    async with recorded.transaction() as db:
        living = [row for row in await keys.every(db, ctx.tenant.id) if row.revoked_at is None]
        said = which.strip().lower()
        found = [row for row in living if row.name.lower() == said] or [
            row for row in living if len(said) >= 4 and str(row.key_id).startswith(said)
        ]
        if len(found) != 1 or not await keys.revoke(db, ctx.tenant.id, found[0].key_id, ctx.now()):
            raise NoSuchKey(name=which[:60])
        recorded.about(found[0].key_id)
        return found[0]


async def recognise(text: str, database: Database, now: datetime) -> Recognised:
    """Whose key this text is. Raises `UnknownKey`, or `KeyOver` for a genuine one that was revoked or has expired.

    One answer for everything that is not genuine: another tenant's, an invented one, one letter changed.
    """
    ids = _ids(text)
    if ids is None:
        raise UnknownKey
    tenant, id = ids
    async with database.transaction(tenant, read_only=True) as db:
        row = await keys.find_with_tenant(db, tenant, id)
    genuine = hmac.compare_digest(row.key_hash if row else _NOBODYS, _hash(text))
    if row is None or not genuine:
        raise UnknownKey
    owner = Tenant(tenant, row.tenant_name, row.time_zone, row.country)
    if row.revoked_at is not None:
        raise KeyOver(name=row.name, state=f"was revoked on {in_words(row.revoked_at, owner.zone)}")
    if row.expires_at is not None and row.expires_at <= now:
        raise KeyOver(name=row.name, state=f"expired on {in_words(row.expires_at, owner.zone)}")
    return Recognised(owner, row)


async def note_use(found: Recognised, database: Database, now: datetime) -> None:
    """Note that the key was used at this minute."""
    async with database.transaction(found.tenant.id) as db:
        await keys.note_use(db, found.tenant.id, found.key.key_id, now)


def _ids(text: str) -> tuple[UUID, UUID] | None:
    if not _SHAPE.fullmatch(text):
        return None
    try:
        data = base64.urlsafe_b64decode(text.removeprefix(PREFIX) + "==")
    except (binascii.Error, ValueError):
        return None
    return UUID(bytes=data[:16]), UUID(bytes=data[16:32])


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
