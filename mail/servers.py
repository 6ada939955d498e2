"""The SMTP servers of the settings: what can be said about one, and what is safe where nothing is said."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

Security = Literal["implicit", "starttls", "auto", "none"]


class BadServer(ValueError):
    """A server's settings can't be used; the text is a sentence that says why."""


@dataclass(frozen=True)
class Server:
    """One SMTP server and how it is spoken to."""

    host: str
    port: int
    security: Security = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 16
    """How many at once, from one program: at a crash at most so many mails are in flight."""
    rate: float | None = None
    """Mails a second, from all programs together."""
    mails_a_connection: int = 1_000
    hello: str | None = None
    """What it is told at EHLO; unset: this machine's name, or its address."""

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is this very machine, where nobody listens in between."""
        if self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ip_address(self.host).is_loopback
        return False


def read_url(url: str) -> Server:
    """The server of `smtp://user:password@host:587?starttls=require` or `smtps://host:465`. Raises `BadServer`.

    Options: `starttls` (require, auto, none), `connections`, `rate` (mails a second), `hello`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        options = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    except ValueError:
        raise BadServer("It can't be read; write it like smtp://user:password@host:587") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise BadServer("It must be like smtp://user:password@host:587 or smtps://host:465")
    unknown = set(options) - {"starttls", "connections", "rate", "hello"}
    if unknown:
        raise BadServer(f"There is no option {min(unknown)[:40]!r}; there are: starttls, connections, rate, hello")
    chosen: dict[str, Security] = {"require": "starttls", "auto": "auto", "none": "none"}
    if options.get("starttls", "require") not in chosen:
        raise BadServer("starttls is require, auto or none")
    security: Security | None = "implicit" if parts.scheme == "smtps" else chosen.get(options.get("starttls", ""))
    return make_server(
        parts.hostname, port, security=security,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        connections=options.get("connections"), rate=options.get("rate"), hello=options.get("hello"),
    )  # fmt: skip


def make_server(
    host: str, port: int | None = None, *, security: Security | None = None, username: str | None = None,
    password: str | None = None, connections: str | None = None, rate: str | None = None, hello: str | None = None,
) -> Server:  # fmt: skip
    """A server from settings, with what is safe where they say nothing. Raises `BadServer`."""
    port = port or (465 if security == "implicit" else 587)
    here = Server(host, port).is_local
    if security is None:
        security = "implicit" if port == 465 else "auto" if here else "starttls"
    if username and security in ("auto", "none") and not here:
        raise BadServer("A password is only sent over TLS; leave out starttls=auto or none, or the user")
    if bool(username) != bool(password):
        raise BadServer("A user needs a password, and a password a user")
    if hello is not None and not re.fullmatch(r"[A-Za-z0-9.\[\]:-]{1,255}", hello):
        raise BadServer("hello is this machine's name, like mail.example.org")
    return Server(
        host, port, security, username, password, connections=int(_number(connections, "connections", 1, 1_000) or 16),
        rate=_number(rate, "rate", 0.01, 100_000), hello=hello,
    )  # fmt: skip


def _number(text: str | None, name: str, least: float, most: float) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not least <= value <= most:
        raise BadServer(f"{name} is a number from {least:,g} to {most:,g}")
    return value
