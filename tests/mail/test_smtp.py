"""The SMTP client against servers that behave well and badly."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import mail.smtp
from mail.servers import BadServer, Server, read_url
from mail.smtp import Connection, Outcome, Unreachable, dotted, is_hard
from mail.wire import Reply
from tests.mail.smtp_server import FINE, Act, Misbehaving, certificate, serving

FROM, TO = "shop@shop.example", "ada@example.org"
MESSAGE = b"From: shop@shop.example\r\nSubject: hi\r\n\r\nhello\r\n"


def server(port: int, security: str = "none", **more: object) -> Server:
    return Server("127.0.0.1", port, security, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def answering(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server that does what `talk` does; its port."""
    writers = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await talk(reader, writer)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield listener.sockets[0].getsockname()[1]
    listener.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.02)


async def send(manners: Misbehaving, message: bytes = MESSAGE, to: str = TO) -> Outcome:
    async with serving(manners) as (_, port):
        connection = Connection(server(port))
        outcome = await connection.send(FROM, to, message)
        await connection.close()
        return outcome


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_a_message_arrives_as_it_is(extensions: tuple[str, ...]) -> None:
    manners = Misbehaving(extensions=extensions)
    text = b"Subject: dots\r\n\r\n.\r\n..\r\n. begins\r\nend."
    assert (await send(manners, text)).kind == "sent"
    assert [(taken.sender, taken.recipient, taken.message) for taken in manners.taken] == [(FROM, TO, text + b"\r\n")]


def test_dots_are_doubled_at_the_beginning_of_lines_only() -> None:
    assert dotted(b".a\r\nb.\r\n.\r\n") == b"..a\r\nb.\r\n..\r\n.\r\n"
    assert dotted(b"no end") == b"no end\r\n.\r\n"


async def test_one_connection_serves_many_and_commands_go_together() -> None:
    async with serving() as (manners, port):
        connection = Connection(server(port))
        for number in range(50):
            assert (await connection.send(FROM, f"n{number}@example.org", MESSAGE)).kind == "sent"
        await connection.close()
    assert manners.connections == 1
    assert len({taken.recipient for taken in manners.taken}) == 50
    assert manners.commands[-1] == "QUIT"


REFUSALS = [
    (Act(rcpt="550 5.1.1 unknown user"), Outcome("refused", 550, "550 5.1.1 unknown user", True)),
    (Act(rcpt="550 5.7.1 you are listed"), Outcome("refused", 550, "550 5.7.1 you are listed")),
    (Act(rcpt="550 no such user here"), Outcome("refused", 550, "550 no such user here", True)),
    (Act(rcpt="550 5.1.1 \x00 \x1b[31m"), Outcome("refused", 550, "550 5.1.1 ? ?[31m", True)),
    (Act(rcpt="451 4.7.1 greylisted"), Outcome("later", 451, "451 4.7.1 greylisted")),
    (Act(data="451 4.3.0 not now"), Outcome("later", 451, "451 4.3.0 not now")),
    (Act(dot="554 5.7.1 spam"), Outcome("refused", 554, "554 5.7.1 spam")),
    (Act(dot="550 we think it is spam"), Outcome("refused", 550, "550 we think it is spam")),
    (Act(dot="452 4.3.1 full"), Outcome("later", 452, "452 4.3.1 full")),
    (Act(dot="552 5.2.2 mailbox full"), Outcome("refused", 552, "552 5.2.2 mailbox full")),
]


@pytest.mark.parametrize(("act", "outcome"), REFUSALS)
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_what_a_server_says_and_the_connection_goes_on(
    act: Act, outcome: Outcome, extensions: tuple[str, ...]
) -> None:
    manners = Misbehaving(lambda recipient, _: act if recipient == TO else FINE, extensions=extensions)
    async with serving(manners) as (_, port):
        connection = Connection(server(port))
        assert await connection.send(FROM, TO, MESSAGE) == outcome
        assert (await connection.send(FROM, "grace@example.net", MESSAGE)).kind == "sent"
        await connection.close()
    assert manners.connections == 1


async def test_data_that_is_taken_for_a_refused_recipient_is_ended_with_nothing() -> None:
    """RFC 2920, 3.1: some servers say 354 although no recipient was accepted."""

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = [b"220 hi", b"250-x\r\n250 PIPELINING", b"250 ok", b"550 5.1.1 no", b"354 go on", b"554 5.5.1 nobody"]
        writer.write(answers[0] + b"\r\n")
        for answer in answers[1:]:
            seen.append(await reader.readline())
            writer.write(answer + b"\r\n")
        seen.append(await reader.readline())
        writer.write(b"250 ok\r\n")

    seen: list[bytes] = []
    async with answering(odd) as port:
        outcome = await Connection(server(port)).send(FROM, TO, MESSAGE)
    assert outcome.kind == "refused"
    assert outcome.is_hard
    assert seen[-2:] == [b".\r\n", b"RSET\r\n"]


@pytest.mark.parametrize("place", ["rcpt", "data", "text"])
async def test_a_line_lost_before_the_end_of_the_message_is_tried_later(place: str) -> None:
    manners = Misbehaving(lambda *_: Act(drop=place))
    outcome = await send(manners)
    # Within the text the whole message was written already, and we can't know how far it came.
    assert outcome.kind == ("unknown" if place == "text" else "later")
    assert manners.taken == []


async def test_a_line_lost_after_the_message_is_unknown() -> None:
    manners = Misbehaving(lambda *_: Act(drop="dot"))
    assert (await send(manners)).kind == "unknown"
    assert len(manners.taken) == 1


async def test_a_server_that_closed_an_idle_line_gets_the_mail_on_a_new_one() -> None:
    async with serving(Misbehaving(most=3)) as (manners, port):
        connection = Connection(server(port))
        kinds = [(await connection.send(FROM, f"n{number}@example.org", MESSAGE)).kind for number in range(9)]
        await connection.close()
    assert kinds.count("sent") == 9 - kinds.count("later")
    assert len(manners.taken) == kinds.count("sent")


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail.smtp, "DOT", 0.3)
    started = time.monotonic()
    outcome = await send(Misbehaving(lambda *_: Act(slow=5)))
    assert outcome.kind == "unknown"
    assert "in time" in outcome.text
    assert time.monotonic() - started < 3


BAD_GREETINGS = ["554 5.7.1 go away", "421 busy", "HTTP/1.1 400 Bad Request", "\x00\xff", "250-" + "x" * 100_000]


@pytest.mark.parametrize("greeting", BAD_GREETINGS)
async def test_what_is_no_welcome_is_unreachable(greeting: str) -> None:
    outcome = await send(Misbehaving(greeting=greeting))
    assert outcome.kind == "unreachable"
    assert len(outcome.text) <= 300


async def test_an_answer_without_end_is_cut_off() -> None:
    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        while not writer.transport.is_closing():
            writer.write(b"250-more and more\r\n" * 500)
            await asyncio.sleep(0)

    async with answering(endless) as port:
        outcome = await Connection(server(port)).send(FROM, TO, MESSAGE)
    assert outcome.kind == "unreachable"


async def test_no_server_at_all_is_unreachable() -> None:
    outcome = await Connection(server(1)).send(FROM, TO, MESSAGE)
    assert outcome.kind == "unreachable"
    assert "127.0.0.1:1 can't be reached" in outcome.text


async def test_a_sender_that_is_not_welcome_is_the_servers_trouble_not_the_recipients() -> None:
    manners = Misbehaving(login=("shop", "secret"))
    assert (await send(manners)).kind == "unreachable"


@pytest.mark.parametrize(
    "address", ["a@b.example>\r\nRCPT TO:<eve@x", "a b@c.example", "a@b\r\nDATA", "<a@b>", "x" * 300]
)
async def test_no_address_can_say_a_command(address: str) -> None:
    manners = Misbehaving()
    assert (await send(manners, to=address)).kind == "refused"
    assert not any(command.startswith("MAIL") for command in manners.commands)


async def test_letters_beyond_ascii_need_a_server_that_takes_them() -> None:
    assert (await send(Misbehaving(), to="jürgen@example.org")).kind == "sent"
    assert "SMTPUTF8" in (await send(Misbehaving(extensions=()), to="jürgen@example.org")).text


async def test_a_mail_that_is_too_large_is_not_even_begun() -> None:
    manners = Misbehaving(extensions=("SIZE 1000",))
    assert "at most 1,000" in (await send(manners, b"x" * 2000)).text
    assert manners.taken == []


async def test_what_is_late_does_not_leave() -> None:
    async with serving() as (manners, port):
        connection = Connection(server(port))
        assert (await connection.send(FROM, TO, MESSAGE, time.monotonic() - 0.1)).kind == "late"
        assert (await connection.send(FROM, TO, MESSAGE, time.monotonic() + 5)).kind == "sent"
        await connection.close()
    assert len(manners.taken) == 1


# TLS and logins


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for 127.0.0.1, and a client's that trusts it."""
    cert, key = certificate(tmp_path_factory.mktemp("tls"))
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(cert, key)
    return there, ssl.create_default_context(cafile=str(cert))


STARTTLS = (*("PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN"),)


@pytest.mark.parametrize("security", ["starttls", "implicit"])
@pytest.mark.parametrize("methods", ["PLAIN", "LOGIN"])
async def test_tls_and_a_login(tls: tuple[ssl.SSLContext, ssl.SSLContext], security: str, methods: str) -> None:
    there, here = tls
    manners = Misbehaving(
        extensions=("PIPELINING", "STARTTLS", f"AUTH {methods}"), tls=there, implicit=security == "implicit",
        login=("shop", "päss word"),
    )  # fmt: skip
    talk: list[str] = []
    async with serving(manners) as (_, port):
        connection = Connection(
            server(port, security, username="shop", password="päss word"), tls=here,
            told=lambda who, line: talk.append(f"{who} {line}"),
        )  # fmt: skip
        assert (await connection.send(FROM, TO, MESSAGE)).kind == "sent"
        await connection.close()
    assert len(manners.taken) == 1
    # The transcript that a person sees holds neither the password nor its base64.
    assert not any(word in line for line in talk for word in ("päss", "c2hvcA", "cMOkc3M"))
    assert any("****" in line for line in talk)


async def test_a_certificate_that_nobody_vouches_for_is_refused(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    manners = Misbehaving(extensions=STARTTLS, tls=tls[0])
    async with serving(manners) as (_, port):
        outcome = await Connection(server(port, "starttls")).send(FROM, TO, MESSAGE)
    assert outcome.kind == "unreachable"
    assert "self-signed" in outcome.text


async def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(cert, key)
    here = ssl.create_default_context(cafile=str(cert))
    async with serving(Misbehaving(extensions=STARTTLS, tls=there)) as (_, port):
        other = Server("127.0.0.2", port, "starttls")
        outcome = await Connection(other, tls=here).send(FROM, TO, MESSAGE)
    assert outcome.kind == "unreachable"


async def test_without_starttls_nothing_is_said(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with serving() as (manners, port):
        outcome = await Connection(server(port, "starttls", username="shop", password="x"), tls=tls[1]).send(
            FROM, TO, MESSAGE
        )
    assert "STARTTLS" in outcome.text
    assert not any(command.startswith(("AUTH", "MAIL")) for command in manners.commands)


async def test_what_is_said_before_tls_is_an_attack(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    manners = Misbehaving(extensions=STARTTLS, tls=tls[0], injected=b"250 2.0.0 injected\r\n")
    async with serving(manners) as (_, port):
        outcome = await Connection(server(port, "starttls"), tls=tls[1]).send(FROM, TO, MESSAGE)
    assert outcome.kind == "unreachable"


async def test_a_wrong_password_is_told_and_not_repeated(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    manners = Misbehaving(extensions=STARTTLS, tls=tls[0], login=("shop", "right"))
    async with serving(manners) as (_, port):
        connection = Connection(server(port, "starttls", username="shop", password="wrong"), tls=tls[1])
        with pytest.raises(Unreachable, match="does not accept the user and password: 535"):
            await connection.open()


# Words


HARD = [
    ("550 5.1.1 x", True), ("551 5.1.6 moved", True), ("556 5.1.10 null MX", True), ("550 5.1.2 no host", True),
    ("550 5.2.1 disabled", False), ("550 5.7.26 DMARC", False), ("552 5.2.2 over quota", False),
    ("550 5.5.0 Requested action not taken: mailbox unavailable", True), ("550 5.1.0 Address rejected.", False),
    ("550 User unknown", True), ("553 x", True), ("550 blocked by policy", False), ("554 transaction failed", False),
    ("550 5.0.0 message content rejected", False),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "hard"), HARD)
def test_which_refusals_mean_that_nobody_is_there(reply: str, hard: bool) -> None:
    code, _, text = reply.partition(" ")
    assert is_hard(Reply(int(code), (text,)), to_recipient=True) is hard


def test_after_the_message_a_bare_refusal_says_nothing_about_the_address() -> None:
    assert not is_hard(Reply(550, ("rejected",)), to_recipient=False)


URLS = {
    "smtp://mail.example": Server("mail.example", 587, "starttls"),
    "smtps://u%40x:p%2Fw@mail.example": Server("mail.example", 465, "implicit", "u@x", "p/w"),
    "smtp://127.0.0.1:1025": Server("127.0.0.1", 1025, "auto"),
    "smtp://mail.example:25?starttls=auto&connections=4&rate=14": Server(
        "mail.example", 25, "auto", connections=4, rate=14.0
    ),
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_says_how_a_server_is_spoken_to(url: str) -> None:
    assert read_url(url) == URLS[url]


@pytest.mark.parametrize(
    "url",
    [
        "mail.example", "http://mail.example", "smtp://", "smtp://mail.example:99999", "smtp://u@mail.example",
        "smtp://u:p@mail.example?starttls=none", "smtp://mail.example?starttls=maybe", "smtp://mail.example?speed=9",
        "smtp://mail.example?rate=fast", "smtp://mail.example?connections=0", "smtp://mail.example?hello=a%0d%0ab",
    ],
)  # fmt: skip
def test_what_is_unsafe_or_unreadable_is_refused(url: str) -> None:
    with pytest.raises(BadServer) as refused:
        read_url(url)
    assert "p@" not in str(refused.value)
