"""An SMTP server that behaves as badly as a test wants: in the test's own loop, or as a program.

As a program it writes one line for each try (`time recipient verdict`: taken, dropped after it was taken, lost, later,
refused) and decides by chance, seeded:

    python -m tests.mail.smtp_server PORT [--log FILE] [--drop-before 0.1] [--drop-after 0.05] [--later 0.1]
                                     [--refuse 0.02] [--slow SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import random
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EXTENSIONS = ("PIPELINING", "SIZE 10000000", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")


@dataclass(frozen=True)
class Taken:
    """A message that the server has, whether or not it said so."""

    sender: str
    recipient: str
    message: bytes
    """As it was before dot-stuffing."""
    at: float
    """By the monotonic clock, which all processes of a machine share on Linux."""

    @property
    def message_id(self) -> str:
        found = re.search(rb"^Message-ID:\s*(<[^>]+>)", self.message, re.IGNORECASE | re.MULTILINE)
        return found[1].decode() if found else ""


@dataclass(frozen=True)
class Act:
    """What happens to one message. Texts are whole replies; None is the usual one."""

    mail: str | None = None
    rcpt: str | None = None
    data: str | None = None
    dot: str | None = None
    drop: str | None = None
    """Hang up: 'mail', 'rcpt', 'data' (instead of the reply), 'text' (within the message), 'dot' (having it all)."""
    slow: float = 0.0
    """Seconds before the answer to the message."""


FINE = Act()
Choose = Callable[[str, int], Act]


@dataclass
class Misbehaving:
    """The server's manners."""

    choose: Choose = lambda recipient, number: FINE
    """What happens to the n-th message (from 1 on), by its recipient."""
    greeting: str = "220 test.example ESMTP"
    extensions: tuple[str, ...] = EXTENSIONS
    ehlo: str | None = None
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    injected: bytes = b""
    """Said together with the answer to STARTTLS, before TLS: an attack."""
    login: tuple[str, str] | None = None
    most: int = 10**9
    """Messages a connection; then 421."""
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    dropped_after: int = 0
    log: IO[str] | None = None

    def take(self, message: Taken, verdict: str = "taken") -> None:
        if self.log is None:
            self.taken.append(message)
        self.note(message.recipient, verdict)

    def note(self, recipient: str, verdict: str) -> None:
        if self.log is not None:
            self.log.write(f"{time.monotonic():.6f} {recipient} {verdict}\n")
            self.log.flush()

    def note_reply(self, recipient: str, reply: str) -> None:
        self.note(recipient, "later" if reply.startswith("4") else "refused")


@asynccontextmanager
async def serving(manners: Misbehaving | None = None, port: int = 0) -> AsyncIterator[tuple[Misbehaving, int]]:
    """The server in this loop; its manners and its port."""
    manners = manners or Misbehaving()
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        manners.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await _Talk(manners, reader, writer).talk()
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(serve(reader, writer))
        talks.add(talk)
        talk.add_done_callback(talks.discard)

    server = await asyncio.start_server(
        accept, "127.0.0.1", port, ssl=manners.tls if manners.implicit else None, limit=2**24
    )
    try:
        yield manners, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.02)  # what was being accepted is there now
        for talk in set(talks):
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0.02)  # their transports are closed now


class _HangUp(Exception):
    pass


class _Talk:
    """One connection."""

    number = 0

    def __init__(self, manners: Misbehaving, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.manners, self.reader, self.writer = manners, reader, writer
        self.sender = self.recipient = ""
        self.act = FINE
        self.mails = 0
        self.is_in = manners.login is None

    async def talk(self) -> None:
        self.say(self.manners.greeting)
        with contextlib.suppress(_HangUp):
            while line := await self.reader.readline():
                words = line.decode(errors="replace").rstrip("\r\n")
                self.manners.commands.append(words)
                await self.obey(words)
                await self.writer.drain()

    def say(self, reply: str) -> None:
        self.writer.write(reply.encode() + b"\r\n")

    async def obey(self, words: str) -> None:
        verb = words.upper()
        match verb.split(" ")[0].split(":")[0]:
            case "EHLO" if self.manners.ehlo:
                self.say(self.manners.ehlo)
            case "EHLO":
                lines = ["test.example", *self.manners.extensions]
                self.say("\r\n".join(f"250{' ' if at == len(lines) - 1 else '-'}{x}" for at, x in enumerate(lines)))
            case "HELO" | "RSET" | "NOOP":
                self.say("250 2.0.0 fine")
            case "STARTTLS":
                assert self.manners.tls is not None
                self.writer.write(b"220 go ahead\r\n" + self.manners.injected)
                await self.writer.drain()
                await self.writer.start_tls(self.manners.tls)
            case "AUTH":
                await self.log_in(words)
            case "MAIL" if not self.is_in:
                self.say("530 5.7.0 log in first")
            case "MAIL" if self.mails >= self.manners.most:
                self.say("421 4.7.0 enough for one connection")
                raise _HangUp
            case "MAIL":
                self.sender = words[words.index("<") + 1 : words.index(">")]
                self.recipient = ""
                self.say("250 2.1.0 fine") if self.act.mail is None else self.say(self.act.mail)
            case "RCPT":
                address = words[words.index("<") + 1 : words.index(">")]
                _Talk.number += 1
                self.act = self.manners.choose(address, _Talk.number)
                self.recipient = address
                self.maybe_drop("mail", "rcpt")
                if self.act.rcpt:
                    self.recipient = ""
                    self.manners.note_reply(address, self.act.rcpt)
                self.say(self.act.rcpt or "250 2.1.5 fine")
            case "DATA":
                self.maybe_drop("data")
                if self.act.data or not self.recipient:
                    self.say(self.act.data or "554 5.5.1 nobody to send it to")
                else:
                    self.say("354 go on")
                    await self.writer.drain()
                    await self.message()
            case "QUIT":
                self.say("221 2.0.0 bye")
                raise _HangUp
            case _:
                self.say("502 5.5.2 what?")

    def maybe_drop(self, *places: str) -> None:
        if self.act.drop in places:
            self.manners.note(self.recipient, "lost")
            raise _HangUp

    async def message(self) -> None:
        if self.act.drop == "text":
            await self.reader.readline()
            self.manners.note(self.recipient, "lost")
            raise _HangUp
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise _HangUp
            lines.append(line[1:] if line.startswith(b".") else line)
        self.mails += 1
        taken = Taken(self.sender, self.recipient, b"".join(lines), time.monotonic())
        if self.act.slow:
            await asyncio.sleep(self.act.slow)
        if self.act.drop == "dot":
            self.manners.dropped_after += 1
            self.manners.take(taken, "dropped")
            raise _HangUp
        if self.act.dot is None or self.act.dot.startswith("2"):
            self.manners.take(taken)
        else:
            self.manners.note_reply(self.recipient, self.act.dot)
        self.say(self.act.dot or "250 2.0.0 taken")
        self.act = FINE

    async def log_in(self, words: str) -> None:
        _, method, *rest = words.split(" ")
        if method.upper() == "PLAIN":
            _, user, password = base64.b64decode(rest[0]).decode().split("\0")
        else:
            self.say("334 VXNlcm5hbWU6")
            await self.writer.drain()
            user = base64.b64decode(await self.reader.readline()).decode()
            self.say("334 UGFzc3dvcmQ6")
            await self.writer.drain()
            password = base64.b64decode(await self.reader.readline()).decode()
        self.is_in = (user, password) == self.manners.login
        self.say("235 2.7.0 welcome" if self.is_in else "535 5.7.8 no")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, secret


def by_chance(chances: dict[str, float], slow: float = 0.0, seed: int = 1) -> Choose:
    """Acts by chance: drop-before, drop-after, later (451), refuse (550, half of them hard)."""
    chance = random.Random(seed)
    acts = {
        "drop-before": lambda: Act(drop=chance.choice(("rcpt", "data", "text"))),
        "drop-after": lambda: Act(drop="dot"),
        "later": lambda: Act(rcpt="451 4.7.1 come back later") if chance.random() < 0.5 else Act(dot="452 4.2.2 later"),
        "refuse": lambda: Act(rcpt=chance.choice(("550 5.1.1 unknown user", "550 5.7.1 not from you"))),
    }

    def choose(recipient: str, number: int) -> Act:
        place = chance.random()
        for name, share in chances.items():
            if place < share:
                return acts[name]()
            place -= share
        return Act(slow=slow) if slow else FINE

    return choose


async def _main(arguments: argparse.Namespace) -> None:
    chances = {
        "drop-before": arguments.drop_before, "drop-after": arguments.drop_after, "later": arguments.later,
        "refuse": arguments.refuse,
    }  # fmt: skip
    manners = Misbehaving(by_chance(chances, arguments.slow))
    manners.commands = _Nothing()
    if arguments.log:
        manners.log = Path(arguments.log).open("a", encoding="utf-8")  # noqa: ASYNC230, SIM115
    async with serving(manners, arguments.port):
        await asyncio.Event().wait()


class _Nothing(list[str]):
    """Keeps nothing: a program that runs for a million messages."""

    def append(self, _: str) -> None:
        return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--log")
    for option in ("--drop-before", "--drop-after", "--later", "--refuse", "--slow"):
        parser.add_argument(option, type=float, default=0.0)
    asyncio.run(_main(parser.parse_args()))
