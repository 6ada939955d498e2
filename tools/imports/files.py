"""From a file to its tables: what it really is, whatever its name says, and what is inside a zip.

Nothing of a zip is unpacked to disk, so names inside it can't lead anywhere; what could fill the memory or never end is
refused from the zip's own directory, before a byte of it is unpacked (and zipfile stops where a member is longer than
the directory says).
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Literal

from tools.errors import BadFile

Kind = Literal["table", "vcard"]

# Lists of people are text: it packs to a fifth, rarely to a fiftieth.
HIGHEST_RATIO = 200
LARGEST_UNPACKED = 50_000_000_000
MOST_MEMBERS = 1_000

_SNIFFED = 4_096

_READ_MEMBERS = (".csv", ".tsv", ".txt", ".tab", ".vcf", ".vcard")

# What files begin with that are no lists, and what to do with them.
_OTHERS = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file. Save it as CSV there"),
    (b"\x1f\x8b", "packed with gzip. Unpack it first"),
    (b"7z\xbc\xaf", "packed with 7-Zip. Unpack it first"),
    (b"Rar!", "packed with RAR. Unpack it first"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One table or vCard file; `open` gives its bytes from the beginning, any number of times."""

    name: str
    kind: Kind
    size: int
    """In bytes, unpacked."""
    open: Callable[[], io.RawIOBase]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file. Raises `BadFile` when there is none, or it can't be read."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise BadFile(problem=f"There is no file {path}.") from None
    except IsADirectoryError:
        raise BadFile(problem=f"{path} is a folder. Give one file; a zip may hold several.") from None
    except PermissionError:
        if path.is_dir():  # as Windows says it
            raise BadFile(problem=f"{path} is a folder. Give one file; a zip may hold several.") from None
        raise BadFile(problem=f"{path} may not be read by you. Change its permissions.") from None
    except (OSError, ValueError) as error:
        raise BadFile(problem=f"{str(path)[:200]} can't be opened: {getattr(error, 'strerror', error)}.") from None
    with file:
        yield file


@contextmanager
def kept(stream: BinaryIO) -> Iterator[BinaryIO]:
    """A pipe's bytes in a temporary file: they are read more than once."""
    with tempfile.TemporaryFile(prefix="smartcampaign-") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
        yield file


def parts_of(file: BinaryIO, name: str) -> list[Part]:
    """The tables in a file: itself, or what a zip holds. Raises `BadFile` when it is something else."""
    size = file.seek(0, io.SEEK_END)
    if not size:
        raise BadFile(problem=f"{name} is empty.")
    file.seek(0)
    head = file.read(_SNIFFED)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(file, name)
    return [Part(name, _kind(head, name), size, lambda: _again(file))]


def _again(file: BinaryIO) -> io.RawIOBase:
    file.seek(0)
    return _Open(file)


class _Open(io.RawIOBase):
    """A file that stays open when its reader closes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _kind(head: bytes, name: str) -> Kind:
    """What the beginning of a file shows. Raises `BadFile` for what is no list."""
    for magic, what in _OTHERS:
        if head.startswith(magic) and not (magic == b"MZ" and head.isascii() and b"\0" not in head):
            raise BadFile(problem=f"{name} is {what}{'' if '. ' in what else ', no list of contacts'}.")
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    begin = text[:200].lower()
    if begin.startswith(b"begin:vcard"):
        return "vcard"
    if begin.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<table")):
        raise BadFile(problem=f"{name} is a web page. Download the list itself, as CSV.")
    if begin.startswith((b"<?xml", b"<!doctype")):
        raise BadFile(problem=f"{name} is XML. Save or export it as CSV.")
    if begin.startswith((b"{", b"[{", b'["', b"[\n", b"[\r", b"[ ", b"[[")):
        raise BadFile(problem=f"{name} is JSON. Export it as CSV.")
    if begin.startswith(b"{\\rtf"):
        raise BadFile(problem=f"{name} is a text document (RTF). Save the list as CSV.")
    return "table"


def _in_zip(file: BinaryIO, name: str) -> list[Part]:
    try:
        archive = zipfile.ZipFile(file)
        members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise BadFile(problem=f"{name} is a damaged zip ({_short(error)}). Download it again.") from None
    names = {member.filename for member in members}
    if "[Content_Types].xml" in names:
        raise BadFile(problem=f"{name} is an Excel or Word file. Save it as CSV there (File, Save As, CSV UTF-8).")
    if "mimetype" in names or any(path.endswith(".iwa") for path in names):
        raise BadFile(problem=f"{name} is a spreadsheet or document. Save it as CSV there.")
    if len(members) > MOST_MEMBERS:
        raise BadFile(problem=f"{name} holds {len(members):,} files; at most {MOST_MEMBERS:,} can be read.")
    wanted = [member for member in members if _is_wanted(member.filename)]
    if not wanted:
        inside = ", ".join(PurePosixPath(member.filename).name[:40] for member in members[:5]) or "nothing"
        raise BadFile(problem=f"{name} holds no CSV or vCard file, only: {inside}.")
    _check_sizes(wanted, name)
    return [_member(archive, member, name) for member in wanted]


def _is_wanted(path: str) -> bool:
    # macOS puts a shadow of each file into its zips.
    base = PurePosixPath(path.replace("\\", "/")).name
    return base.lower().endswith(_READ_MEMBERS) and not base.startswith(".") and "__MACOSX" not in path


def _check_sizes(members: list[zipfile.ZipInfo], name: str) -> None:
    if any(member.flag_bits & 1 for member in members):
        raise BadFile(problem=f"{name} is locked with a password. Unpack it first.")
    total = sum(member.file_size for member in members)
    if total > LARGEST_UNPACKED:
        raise BadFile(problem=f"{name} would unpack to {total // 1_000_000_000:,} GB. Import its files one by one.")
    for member in members:
        if member.file_size > 1_000_000 and member.file_size > HIGHEST_RATIO * max(1, member.compress_size):
            raise BadFile(
                problem=f"{name} would unpack to {member.file_size // max(1, member.compress_size):,} times its size, "
                "which no list of people does. Unpack it and look at it first."
            )


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Part:
    short = PurePosixPath(member.filename.replace("\\", "/")).name

    def unpacked() -> io.RawIOBase:
        try:
            return _Unpacked(archive.open(member), short)
        except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError, ValueError) as error:
            raise BadFile(problem=f"{short} in {name} can't be unpacked ({_short(error)}).") from None

    with unpacked() as inside:
        head = inside.read(_SNIFFED) or b""
    if head.startswith(b"PK\x03\x04"):
        raise BadFile(problem=f"{short} in {name} is itself a zip. Unpack it first.")

    return Part(short, _kind(head, short) if head else "table", member.file_size, unpacked)


class _Unpacked(io.RawIOBase):
    """A member of a zip; damage found on the way is a `BadFile`."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._file.read(len(buffer))
        except Exception as error:  # of zipfile, zlib, bz2 or lzma, which have no common class
            raise BadFile(problem=f"{self._name} in the zip is damaged ({_short(error)}). Download it again.") from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _short(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:100].rstrip(".") if str(error).strip() else type(error).__name__
