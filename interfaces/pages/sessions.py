"""Who looks at the pages: a cookie that this program alone can read, and the token that its forms carry.

The cookie is encrypted (Fernet) with a key of this installation, so that a restart ends no session and no form. It
holds a random id and, for who signed in, their API key, which is looked up at every request: revoking it ends the
session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "smartcampaign"

_LONGEST_COOKIE = 2_000


@dataclass(frozen=True)
class Session:
    """What the cookie holds."""

    id: str
    key: str | None = None
    """The API key of who signed in; None for the person at this machine."""
    is_new: bool = False


class Sessions:
    """Reads and writes the cookie, and makes the tokens of its forms."""

    def __init__(self, home: Path) -> None:
        self._home = home

    @cached_property
    def _secret(self) -> bytes:
        return secret_of(self._home)

    @cached_property
    def _box(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"cookie" + self._secret).digest()))

    def of(self, request: Request) -> Session:
        """The session of this request: a new one where there is no cookie, or none of ours."""
        cookie = request.cookies.get(COOKIE, "")
        try:
            held = json.loads(self._box.decrypt(cookie[:_LONGEST_COOKIE].encode()))
            return Session(str(held["id"]), held.get("key"))
        except (InvalidToken, ValueError, KeyError, TypeError):
            return Session(self.new_id(), is_new=True)

    @staticmethod
    def new_id() -> str:
        return secrets.token_urlsafe(16)

    def put(self, session: Session, request: Request, response: Response) -> None:
        """Set the cookie: for this host and its own pages only, gone when the browser is closed."""
        held = self._box.encrypt(json.dumps({"id": session.id, "key": session.key}).encode()).decode()
        is_secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        response.set_cookie(COOKIE, held, path="/", httponly=True, samesite="strict", secure=is_secure)

    def end(self, response: Response) -> None:
        """Take the cookie back."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    def token(self, session: Session) -> str:
        """What every form of this session carries."""
        return hmac.new(self._secret, b"form" + session.id.encode(), hashlib.sha256).hexdigest()

    def is_genuine(self, session: Session, token: str) -> bool:
        return hmac.compare_digest(self.token(session).encode(), token.encode())


def is_from_own_page(request: Request) -> bool:
    """Whether a POST comes from a page of this very address, as browsers say it (Fetch Metadata, Origin)."""
    origin, own = request.headers.get("origin"), request.headers.get("host", "")
    # Not compared by scheme: a proxy ends TLS, and this program hears plain HTTP.
    is_own = origin is None or origin in (f"http://{own}", f"https://{own}")
    return is_own and request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def secret_of(home: Path) -> bytes:
    """The key of this installation's cookies, made at the first use. Only its owner may read the file."""
    path = home / "web.key"
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        found = path.read_bytes()
        if len(found) >= 32:
            return found
        file = os.open(path, os.O_WRONLY | os.O_TRUNC)  # it was cut off while it was written
    except OSError:
        return secrets.token_bytes(32)  # nothing can be written there: a session then ends with the program
    secret = secrets.token_bytes(32)
    with os.fdopen(file, "wb") as out:
        out.write(secret)
    return secret
