"""SMTP, as much of it as sending needs: one connection speaks it, one message at a time (RFC 5321).

Our own client, because every library at hand waits for each command's answer; this one writes MAIL, RCPT and DATA at
once where the server offers PIPELINING (RFC 2920), and nothing per message but bytes (docs/decisions/0012). What a
failure means is decided here, for the ledger: whether the server took the mail, may take it later, never will, or
whether nobody can know.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
import ssl
import time
from typing import Literal, NamedTuple

from mail.servers import Server
from mail.wire import LONGEST_ANSWER, Dropped, Reply, Told, Wire, said

# RFC 5321, 4.5.3.2: how long a client waits, in seconds.
GREETING, MAIL, RCPT, DATA, DOT = 300, 300, 300, 120, 600
# Where a person or a whole queue waits for it, a minute is enough to reach a server.
CONNECT = 30

# A server closes what idles; whoever comes back later begins anew.
LONGEST_IDLE = 60.0


class Unreachable(Exception):
    """The server can't be used at all right now: no connection, no greeting, no TLS, no login. Nothing was sent."""


class Outcome(NamedTuple):
    """What became of one message."""

    kind: Literal["sent", "later", "refused", "unknown", "unreachable", "late"]
    """`later`: a 4xx, or the line was lost before the end of the message. `refused`: a 5xx. `unknown`: the line was
    lost after the end of the message, so the server may have it or not. `unreachable`: the server takes nothing at
    all, and nothing was sent. `late`: its time was over before anything was sent."""
    code: int | None = None
    text: str = ""
    is_hard: bool = False
    """The address does not exist: never try it again."""


# RFC 3463 and RFC 7505: there is no such mailbox, no such system, a bad address, it has moved, it takes no mail.
HARD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
# Codes that say nothing: the words decide.
_VAGUE = frozenset({"5.0.0", "5.1.0", "5.3.0", "5.5.0", "5.5.1"})
_NOBODY = re.compile(
    r"(user|mailbox|recipient|account|address)\b.{0,40}\b(unknown|not (be )?found|does(n't| not) exist|no longer|"
    r"unavailable|invalid|rejected: (user|unknown))|(unknown|no such|invalid|non-?existent) (user|mailbox|recipient|"
    r"account|address|person)",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"spam|block|polic|reputation|black|deny|denied|relay|rate|limit|dmarc|spf|dkim|content|virus|listed|quota|full",
    re.IGNORECASE,
)
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


def is_hard(reply: Reply, *, to_recipient: bool) -> bool:
    """Whether a 5xx says that the address is of nobody; `to_recipient`: it answered RCPT, not the message."""
    enhanced = _ENHANCED.match(reply.lines[0] if reply.lines else "")
    if enhanced is not None and enhanced[1] not in _VAGUE:
        return enhanced[1] in HARD
    if _POLICY.search(reply.text):
        return False
    if _NOBODY.search(reply.text):
        return True
    return enhanced is None and to_recipient and reply.code in (550, 551, 553)


class Connection:
    """One connection to a server, opened when first needed and again after it was lost. For one task at a time."""

    def __init__(self, server: Server, *, tls: ssl.SSLContext | None = None, told: Told | None = None) -> None:
        self.server = server
        self._tls = tls
        self._told = told
        self._wire: Wire | None = None
        self._extensions: dict[str, str] = {}
        self._mails = 0
        self._last_used = 0.0

    async def send(self, sender: str, recipient: str, message: bytes, until: float | None = None) -> Outcome:
        """Hand over one message (CRLF lines, its end may lack one). Never raises for what a server or a line does.

        `sender` and `recipient` are envelope addresses, without angle brackets. After `until`, by the monotonic clock,
        it is not begun any more. Cancelled in the middle, the connection is dropped, and whether the message was taken
        is unknown.
        """
        if not (_is_path(sender) and _is_path(recipient)):
            return Outcome("refused", None, "The address can't be written in SMTP.")
        used = self._is_fresh_enough()
        try:
            outcome = await self._send(sender, recipient, message, until)
            if outcome is None and used:
                # It closed while nobody looked: nothing of this message was taken.
                outcome = await self._send(sender, recipient, message, until)
            return outcome or Outcome("later", None, "The server closed the connection.")
        except Unreachable as error:
            await self.close()
            return Outcome("unreachable", None, str(error)[:LONGEST_ANSWER])
        except BaseException:
            self._drop()
            raise

    async def open(self) -> None:
        """Connect, and log in where a user is given. Raises `Unreachable`."""
        self._drop()
        try:
            async with asyncio.timeout(CONNECT):
                wire = await self._connect()
                greeting = await wire.reply(GREETING)
                if greeting.code != 220:
                    raise Unreachable(f"It does not greet us: {greeting.text}")
                await self._hello()
                await self._secure()
                if self.server.username:
                    await self._log_in(self.server.username, self.server.password or "")
        except TimeoutError:
            self._drop()
            raise Unreachable(f"{self.server.name} does not answer within {CONNECT} seconds.") from None
        except Dropped as error:
            self._drop()
            raise Unreachable(f"{self.server.name} closed the connection: {error}.") from None
        except BaseException:
            self._drop()
            raise
        self._mails = 0

    async def close(self) -> None:
        """Say goodbye, if the line is there."""
        wire = self._wire
        if wire is not None and not wire.is_lost:
            with contextlib.suppress(Dropped, TimeoutError):
                async with asyncio.timeout(2):
                    await self._command("QUIT", 2)
        self._drop()

    def _is_fresh_enough(self) -> bool:
        """Whether the line of the message before can be used."""
        wire = self._wire
        if wire is None:
            return False
        idle = time.monotonic() - self._last_used
        if wire.is_lost or idle > LONGEST_IDLE or self._mails >= self.server.mails_a_connection:
            self._drop()
            return False
        return True

    async def _send(self, sender: str, recipient: str, message: bytes, until: float | None) -> Outcome | None:
        """One try; None when the line was lost before the server had answered anything."""
        if self._wire is None:
            await self.open()
        wire = self._wire
        assert wire is not None, "it was opened"
        mail, problem = self._mail_command(sender, recipient, message)
        if problem:
            return Outcome("refused", None, problem)
        if until is not None and time.monotonic() > until:
            return Outcome("late")
        self._mails += 1
        ended = False
        answered = 0
        try:
            replies = []
            # One write where the server allows it, one a command where it does not.
            for part in self._groups(mail, recipient):
                wire.write(part)
                for _ in range(part.count(b"\r\n")):
                    replies.append(await wire.reply((MAIL, RCPT, DATA)[answered]))
                    answered += 1
                if not all(reply.code < 400 for reply in replies):
                    break
            if len(replies) < 3 or replies[2].code != 354 or not (replies[0].ok and replies[1].ok):
                return await self._was_refused(replies)
            ended = True  # from here on the server may have all of it before we know
            wire.write(dotted(message))
            reply = await wire.reply(DOT)
        except Dropped as error:
            self._drop()
            if ended:
                return Outcome("unknown", None, f"The line was lost before the server had answered: {error}.")
            return Outcome("later", None, f"The line was lost: {error}.") if answered else None
        self._last_used = time.monotonic()
        if reply.ok:
            return Outcome("sent", reply.code, reply.text)
        return self._verdict(reply, to_recipient=False)

    def _groups(self, mail: bytes, recipient: str) -> tuple[bytes, ...]:
        rcpt = f"RCPT TO:<{recipient}>\r\n".encode()
        if self._told:
            self._told("C", mail.decode().rstrip())
            self._told("C", rcpt.decode().rstrip())
            self._told("C", "DATA")
        if "PIPELINING" in self._extensions:
            return (b"%sDATA\r\n" % (mail + rcpt),)
        return (mail, rcpt, b"DATA\r\n")

    def _mail_command(self, sender: str, recipient: str, message: bytes) -> tuple[bytes, str]:
        """The MAIL command, or why this server can't have the message."""
        options = ""
        if "SIZE" in self._extensions:
            limit = self._extensions["SIZE"]
            if limit.isdecimal() and 0 < int(limit) < len(message):
                return b"", f"The mail has {len(message):,} bytes; the server takes at most {int(limit):,}."
            options = f" SIZE={len(message)}"
        if not (sender + recipient).isascii():
            if "SMTPUTF8" not in self._extensions:
                return b"", "The server takes no addresses with letters beyond ASCII (it does not offer SMTPUTF8)."
            options += " SMTPUTF8"
        if "8BITMIME" in self._extensions and not message.isascii():
            options += " BODY=8BITMIME"
        return f"MAIL FROM:<{sender}>{options}\r\n".encode(), ""

    async def _was_refused(self, replies: list[Reply]) -> Outcome:
        """What it means that one of MAIL, RCPT, DATA was not taken; the connection is made ready for the next."""
        wire = self._wire
        assert wire is not None
        place = next((at for at, reply in enumerate(replies) if not (reply.ok or reply.code == 354)), len(replies) - 1)
        refused = replies[place]
        with contextlib.suppress(Dropped):
            if len(replies) == 3 and replies[2].code == 354:
                # It waits for a message all the same (RFC 2920, 3.1): an empty one ends that.
                wire.write(b".\r\n")
                await wire.reply(DOT)
            if refused.code == 421:
                self._drop()
            else:
                await self._command("RSET", MAIL)
        self._last_used = time.monotonic()
        if place == 0 and refused.code >= 500:
            # The sender is not welcome, nor would anybody's mail be: that is no recipient's fault.
            raise Unreachable(f"{self.server.name} does not take mail from this sender: {refused.text}")
        return self._verdict(refused, to_recipient=place == 1)

    def _verdict(self, reply: Reply, *, to_recipient: bool) -> Outcome:
        if reply.code >= 500:
            return Outcome("refused", reply.code, reply.text, is_hard(reply, to_recipient=to_recipient))
        if reply.code == 421:
            self._drop()
        return Outcome("later", reply.code, reply.text)

    async def _connect(self) -> Wire:
        loop = asyncio.get_running_loop()
        wire = Wire(self._told)
        tls = self._context() if self.server.security == "implicit" else None
        try:
            await loop.create_connection(lambda: wire, self.server.host, self.server.port, ssl=tls)
        except ssl.SSLError as error:
            raise Unreachable(f"{self.server.name} and we don't agree on TLS: {said(error)}.") from None
        except OSError as error:
            raise Unreachable(f"{self.server.name} can't be reached: {said(error)}.") from None
        self._wire = wire
        return wire

    async def _hello(self) -> None:
        name = self.server.hello or _own_name(self._wire)
        reply = await self._command(f"EHLO {name}", MAIL)
        if not reply.ok:
            reply = await self._command(f"HELO {name}", MAIL)
            if not reply.ok:
                raise Unreachable(f"{self.server.name} does not let us in: {reply.text}")
            self._extensions = {}
            return
        self._extensions = {
            word.upper(): rest.strip() for line in reply.lines[1:] for word, _, rest in [line.partition(" ")]
        }

    async def _secure(self) -> None:
        """STARTTLS (RFC 3207), where it is asked for or offered."""
        if self.server.security in ("implicit", "none"):
            return
        if "STARTTLS" not in self._extensions:
            if self.server.security == "starttls":
                raise Unreachable(f"{self.server.name} offers no STARTTLS, and without TLS it is not used.")
            return
        reply = await self._command("STARTTLS", MAIL)
        if not reply.ok:
            raise Unreachable(f"{self.server.name} refuses STARTTLS: {reply.text}")
        assert self._wire is not None
        try:
            await self._wire.start_tls(self._context(), self.server.host)
        except (ssl.SSLError, OSError) as error:
            raise Unreachable(f"{self.server.name} and we don't agree on TLS: {said(error)}.") from None
        # What was said before it may have been said by anybody.
        await self._hello()

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            if self.server.security == "auto":
                # Only on this machine, or where nothing secret is said: better than no TLS at all.
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
        return self._tls

    async def _log_in(self, username: str, password: str) -> None:
        """AUTH PLAIN (RFC 4616), else LOGIN."""
        offered = self._extensions.get("AUTH", "").upper().split()
        if "PLAIN" in offered:
            secret = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
            reply = await self._command(f"AUTH PLAIN {secret}", MAIL, masked="AUTH PLAIN ****")
        elif "LOGIN" in offered:
            reply = await self._command("AUTH LOGIN", MAIL)
            for word in (username, password):
                if reply.code == 334:
                    secret = base64.b64encode(word.encode()).decode()
                    reply = await self._command(secret, MAIL, masked="****")
        else:
            raise Unreachable(f"{self.server.name} offers no login that we know (PLAIN or LOGIN).")
        if reply.code != 235:
            raise Unreachable(f"{self.server.name} does not accept the user and password: {reply.text}")

    async def _command(self, line: str, limit: float, masked: str | None = None) -> Reply:
        assert self._wire is not None
        if self._told:
            self._told("C", masked or line)
        self._wire.write(f"{line}\r\n".encode())
        return await self._wire.reply(limit)

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.abort()
        self._wire = None


def dotted(message: bytes) -> bytes:
    """The message as it follows DATA: lines that begin with a dot get another one, and a dot ends it (4.5.2)."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")


def _is_path(address: str) -> bool:
    """Whether it can stand between angle brackets without ending them; empty is the null sender."""
    return len(address) <= 254 and not re.search(r"[\x00-\x20\x7f<>]", address)


def _own_name(wire: Wire | None) -> str:
    """This machine's name, or its address as a literal (RFC 5321, 4.1.3)."""
    name = socket.gethostname()
    if "." in name and re.fullmatch(r"[A-Za-z0-9.-]{1,255}", name):
        return name
    assert wire is not None
    address = wire.own_address()
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
