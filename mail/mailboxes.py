"""The mailbox where reports arrive: a maildir on this machine, or IMAP. Blocking: call it from a thread."""

from __future__ import annotations

import contextlib
import imaplib
import mailbox
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mail.bounces import LARGEST

# So many at a time: a mailbox that nobody emptied for a year is read in portions.
MOST = 500
TIMEOUT = 30


class MailboxError(RuntimeError):
    """The mailbox can't be read; the text says which and why."""


@dataclass(frozen=True)
class Received:
    """A mail of the mailbox, and how to note that it is dealt with."""

    message: bytes
    done: Callable[[], None]


@contextmanager
def unread(address: str) -> Iterator[Iterator[Received]]:
    """The unread mails of `maildir:/path` or `imaps://user:password@host[:port]/FOLDER`, oldest first, at most 500.

    Raises `MailboxError`. A mail that is not marked as done stays unread, and comes again.
    """
    parts = urlsplit(address)
    if parts.scheme == "maildir":
        yield _maildir(Path(parts.path))
    elif parts.scheme in ("imap", "imaps") and parts.hostname:
        with _imap(address) as received:
            yield received
    else:
        raise MailboxError("A mailbox is written maildir:/path or imaps://user:password@host/INBOX.")


def _maildir(path: Path) -> Iterator[Received]:
    if not (path / "new").is_dir():
        raise MailboxError(f"{path} is no maildir: there is no folder 'new' in it.")
    box = mailbox.Maildir(path, create=False)
    keys = sorted(key for key in box.keys() if "S" not in box.get_message(key).get_flags())  # noqa: SIM118 - no dict
    for key in keys[:MOST]:
        with contextlib.suppress(KeyError, FileNotFoundError):  # another program has taken it
            yield Received(box.get_bytes(key)[: LARGEST + 1], lambda key=key: _seen(box, key))  # type: ignore[misc]


def _seen(box: mailbox.Maildir, key: str) -> None:
    with contextlib.suppress(KeyError, FileNotFoundError):
        message = box.get_message(key)
        message.set_subdir("cur")
        message.add_flag("S")
        box[key] = message


@contextmanager
def _imap(address: str) -> Iterator[Iterator[Received]]:
    parts = urlsplit(address)
    assert parts.hostname is not None
    folder = unquote(parts.path.strip("/")) or "INBOX"
    try:
        if parts.scheme == "imaps":
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                parts.hostname, parts.port or 993, ssl_context=ssl.create_default_context(), timeout=TIMEOUT
            )
        else:
            client = imaplib.IMAP4(parts.hostname, parts.port or 143, timeout=TIMEOUT)
        with client:
            if parts.username:
                client.login(unquote(parts.username), unquote(parts.password or ""))
            status, _ = client.select(f'"{folder}"')
            if status != "OK":
                raise MailboxError(f"{parts.hostname} has no folder {folder!r}.")
            yield _of_imap(client)
    except (OSError, imaplib.IMAP4.error) as error:
        # Not the address: it holds the password.
        raise MailboxError(f"The mailbox at {parts.hostname} can't be read: {str(error)[:200]}.") from None


def _of_imap(client: imaplib.IMAP4) -> Iterator[Received]:
    _, found = client.uid("SEARCH", "UNSEEN", "SMALLER", str(LARGEST))
    for uid in (found[0] or b"").split()[:MOST]:
        name = uid.decode()
        _, data = client.uid("FETCH", name, "(BODY.PEEK[])")
        for piece in data:
            if isinstance(piece, tuple):
                yield Received(
                    piece[1], lambda name=name: _none(client.uid("STORE", name, "+FLAGS", r"(\Seen)"))  # type: ignore[misc]
                )  # fmt: skip


def _none(value: object) -> None:
    """What a callback's value is dropped with."""
