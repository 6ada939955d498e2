"""Access tokens of somebody else's authorization server: this program as an OAuth resource server.

The server that signs people in is named by SMARTCAMPAIGN_OAUTH_ISSUER. A client finds it through our metadata (RFC
9728), brings its token (a JWT, RFC 9068), and the token's claims say whose data it opens and in which role. Signing
in, consent and ending a session are that server's.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import jwt

from db import tenants
from db.pool import Database
from interfaces.settings import OAuthSettings
from interfaces.wiring import as_tenant
from tools.base import ROLES, Actor, Role, Tenant

# Only keys that the issuer alone holds: with a shared secret (HS256) whoever can check could also sign, and `none` is
# no signature (RFC 8725, 3.1).
ALGORITHMS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP",
}  # fmt: skip

# Where an issuer says where its keys are (RFC 8414; OpenID Connect Discovery).
_DESCRIBED_AT = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")

# Clocks differ.
_LEEWAY = 30

# Seconds for which the issuer's keys are believed, and at least between two looks for one that is not there: an
# invented key id must not make us ask the issuer each time.
_KEPT = 600
_BETWEEN_LOOKS = 30

# The types of an access token (RFC 9068, 2.1); many issuers still say only JWT, or nothing.
_TYPES = ("at+jwt", "application/at+jwt", "jwt", None)


_clock = time.monotonic


class TokenRefused(Exception):
    """The token opens nothing; the text says why, without anything of the token."""


class NotEnough(Exception):
    """The token is genuine, but says no role or tenant that is known here; the text says which."""


class IssuerUnreachable(Exception):
    """The issuer's keys can't be read just now, so no token can be checked."""

    def __init__(self, issuer: str) -> None:
        super().__init__(f"The keys of {issuer} can't be read just now, so no token can be checked. Try again later.")


@dataclass(frozen=True)
class Recognised:
    """Whose token that is."""

    tenant: Tenant
    actor: Actor
    subject: str
    """The issuer's own name for them: never given to somebody else."""


class Tokens:
    """Checks the tokens of one issuer."""

    def __init__(self, settings: OAuthSettings, database: Database, url: str, local: Tenant | None) -> None:
        self._settings, self._database, self._url, self._local = settings, database, url, local
        self._keys: dict[str | None, dict[str, Any]] = {}
        self._read_at = self._looked_at = float("-inf")
        self._reading = asyncio.Lock()

    @property
    def issuer(self) -> str:
        return self._settings.issuer

    async def recognise(self, token: str, door: str) -> Recognised:
        """Raises `TokenRefused`, `NotEnough` or `IssuerUnreachable`."""
        claims = await self._checked(token)
        tenant = await self._tenant(claims)
        subject = str(claims["sub"])
        name = claims.get(self._settings.name_claim)
        shown = name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 100 else subject[:100]
        # Named apart from people and keys: what an issuer calls somebody is not who is called so here.
        return Recognised(tenant, Actor(f"{shown} (token)", self._role(claims), door), subject)

    async def _checked(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise TokenRefused("This is no access token, and no API key.") from None
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS or str(header.get("typ", "jwt")).lower() not in _TYPES:
            raise TokenRefused("The token is of a kind or signed in a way that is not accepted here.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, await self._key(header.get("kid"), algorithm), algorithms=[algorithm],
                audience=self._settings.audience, issuer=self._settings.issuer, leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise TokenRefused("The token has expired.") from None
        except jwt.InvalidAudienceError:
            raise TokenRefused("The token was issued for something else.") from None
        except jwt.PyJWTError:
            raise TokenRefused("The token is not one that this issuer signed for here, or is not complete.") from None
        if not claims["sub"]:
            raise TokenRefused("The token does not say whose it is.")
        return claims

    async def _key(self, id: str | None, algorithm: str) -> jwt.PyJWK:
        """The issuer's public key. Raises `TokenRefused` or `IssuerUnreachable`."""
        if _clock() - self._read_at > _KEPT or id not in self._keys:
            await self._read()
        found = self._keys.get(id)
        if found is None or found.get("kty") != ALGORITHMS[algorithm] or found.get("alg", algorithm) != algorithm:
            raise TokenRefused("The token is not signed with a key of this issuer.")
        try:
            return jwt.PyJWK(found, algorithm)
        except jwt.PyJWTError:
            raise TokenRefused("The token is not signed with a key of this issuer.") from None

    async def _read(self) -> None:
        async with self._reading:
            if _clock() - self._looked_at < _BETWEEN_LOOKS:
                if self._read_at == float("-inf"):
                    raise IssuerUnreachable(self._settings.issuer)
                return
            self._looked_at = _clock()
            try:
                found = await self._published()
            except (httpx.HTTPError, ValueError, TypeError, KeyError):
                # Keys that were good stay good while the issuer is away for a moment.
                if _clock() - self._read_at > 2 * _KEPT:
                    raise IssuerUnreachable(self._settings.issuer) from None
                return
            self._keys = {key.get("kid"): key for key in found if key.get("use", "sig") == "sig"}
            self._read_at = self._looked_at

    async def _published(self) -> list[dict[str, Any]]:
        """The issuer's keys. Raises `httpx.HTTPError`, or `ValueError` where what it says is not as it should be."""
        async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
            for path in _DESCRIBED_AT:
                answer = await client.get(_well_known(self._settings.issuer, path))
                if answer.status_code == httpx.codes.OK:
                    break
            answer.raise_for_status()
            described = answer.json()
            # RFC 8414, 3.3: another server's description must not be believed.
            if described["issuer"] != self._settings.issuer:
                raise ValueError(described["issuer"])
            keys = (await client.get(described["jwks_uri"])).raise_for_status().json()["keys"]
        if not isinstance(keys, list):
            raise TypeError
        return [key for key in keys if isinstance(key, dict)]

    async def _tenant(self, claims: dict[str, Any]) -> Tenant:
        claim = self._settings.tenant_claim
        named = claims.get(claim)
        if named is None:
            if self._local is None:
                raise NotEnough(f"The token has no claim {claim!r} that says for which tenant it is.")
            id = self._local.id
        else:
            rows = await asyncio.to_thread(tenants.all_of, self._url)
            found = [row.id for row in rows if str(named).lower() in (row.name.lower(), str(row.id))]
            if not isinstance(named, str) or not found:
                raise NotEnough(f"The token's claim {claim!r} names no tenant that there is here.")
            id = found[0]
        return await self._current(id)

    async def _current(self, id: UUID) -> Tenant:
        async with self._database.transaction(id, read_only=True) as db:
            row = await tenants.find(db, id)
        if row is None:
            raise NotEnough("The token's tenant is no longer there.")
        return as_tenant(row)

    def _role(self, claims: dict[str, Any]) -> Role:
        claim = self._settings.role_claim
        said = claims.get(claim)
        values = said if isinstance(said, list) else str(said).split() if isinstance(said, str) else []
        held = {
            self._settings.roles[value] for value in values if isinstance(value, str) and value in self._settings.roles
        }
        for role in reversed(list(ROLES)):
            if role in held:
                return role
        raise NotEnough(f"The token's claim {claim!r} says no role that is known here.")


def _well_known(issuer: str, path: str) -> str:
    """RFC 8414 puts its name before the issuer's path, OpenID Connect behind it."""
    parts = urlsplit(issuer)
    base, own = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return f"{base}{own}{path}" if path.endswith("openid-configuration") else f"{base}{path}{own}"
