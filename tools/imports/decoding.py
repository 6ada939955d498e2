"""From bytes to text: which encoding a file is in, found by looking at all of it once, in bounded memory."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from tools.errors import BadFile
from tools.imports.files import Part

_BLOCK = 1 << 20

# A line of ten thousand columns is shorter; a longer one is no line of a table.
LONGEST_LINE = 2_000_000

# How much text outside ASCII is looked at to tell the old encodings apart.
_SAMPLE = 32_000

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip

# What office programs have written, most frequent first. Latin-1 is read as Windows-1252, which contains it.
_OLD = ["cp1252", "mac_roman", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp850", "iso8859_2", "iso8859_15",
        "cp932", "euc_jp", "gb18030", "big5", "cp949"]  # fmt: skip

# Control characters are typing accidents in a list, save tab and line ends; Postgres text can't hold NUL.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")


@dataclass(frozen=True)
class Encoding:
    codec: str
    errors: str = "strict"

    @property
    def label(self) -> str:
        """Its name as people know it."""
        names = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252",
                 "mac_roman": "Mac Roman", "ascii": "UTF-8"}  # fmt: skip
        return names.get(self.codec, self.codec)


def encoding_of(part: Part, said: str | None = None) -> Encoding:
    """The encoding of a file: the one that was said, else by its mark, else UTF-8 where all of it is, else the old
    encoding that it looks most like. Raises `BadFile` for what is no text, and for an unknown name in `said`."""
    with part.open() as file:
        head = file.read(65_536) or b""
    marked = next((codec for mark, codec in _MARKS if head.startswith(mark)), None)
    if said is not None:
        try:
            codec = codecs.lookup(said).name
            "".encode(codec)
        except (LookupError, TypeError, ValueError):
            raise BadFile(problem=f"There is no encoding {said[:40]!r}. Say utf-8, cp1252 or the like.") from None
        return Encoding("utf-8-sig" if codec == "utf-8" else codec, "replace")
    if marked in ("utf-16", "utf-32"):
        return Encoding(marked, "replace")
    wide = _wide(head)
    if wide is not None:
        return Encoding(wide, "replace")
    _refuse_binary(head, part.name)
    return _looked_through(part)


def text_of(part: Part, encoding: Encoding, heard: Callable[[int], None] | None = None) -> io.TextIOWrapper:
    """The text of a file, all line ends as newlines. `heard` is told how many bytes were read."""
    raw = part.open()
    if heard is not None:
        raw = _Counted(raw, heard)
    buffered = io.BufferedReader(raw, _BLOCK // 4)
    return io.TextIOWrapper(buffered, encoding=encoding.codec, errors=encoding.errors, newline=None)


class _Counted(io.RawIOBase):
    def __init__(self, file: io.RawIOBase, heard: Callable[[int], None]) -> None:
        self._file, self._heard = file, heard

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer) or 0
        self._heard(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _wide(head: bytes) -> str | None:
    """UTF-16 without its mark: every other byte is nearly always zero."""
    if len(head) < 20 or head.count(0) < len(head) // 4:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > 0.7 * (len(head) // 2) and even < odd / 20:
        return "utf-16-le"
    if even > 0.7 * (len(head) // 2) and odd < even / 20:
        return "utf-16-be"
    return None


def _refuse_binary(head: bytes, name: str) -> None:
    strange = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\f\x1a\x1b")
    if strange > max(8, len(head) // 50):
        raise BadFile(problem=f"{name} is no text, so no list of contacts. Save the list as CSV.")


def _looked_through(part: Part) -> Encoding:
    """Look at every byte: all valid UTF-8, or which of the old encodings. Also finds a line without end early."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    sample = bytearray()
    valid, tail = True, 0
    with part.open() as file:
        while block := file.read(_BLOCK):
            tail = _line_so_far(tail, block, part.name)
            if valid:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    valid = False
            if len(sample) < _SAMPLE and not block.isascii():
                for line in block.splitlines(keepends=True):
                    if not line.isascii() and len(sample) < _SAMPLE:
                        sample += line[:1_000]
    if valid:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            valid = False
    if valid:
        return Encoding("utf-8-sig")
    if _mostly_utf8(bytes(sample)):
        return Encoding("utf-8-sig", "smartcampaign")
    return Encoding(_old_encoding(bytes(sample)), "replace")


def _line_so_far(tail: int, block: bytes, name: str) -> int:
    """How long the line at the end of the block is. Raises `BadFile` when it has no end."""
    last = max(block.rfind(b"\n"), block.rfind(b"\r"))
    tail = tail + len(block) if last < 0 else len(block) - last
    if tail > LONGEST_LINE * 4:
        raise endless(name)
    return tail


def endless(name: str) -> BadFile:
    return BadFile(problem=f"{name} has a line of more than {LONGEST_LINE:,} characters, so it is no list of contacts.")


def _mostly_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8 with some other bytes in it: lists that were put together from several."""
    good = len(re.findall(rb"[\xc3-\xf4][\x80-\xbf]+", sample))
    left = re.sub(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", b"", sample)
    bad = len(re.findall(rb"[\x80-\xff]", left))
    return good > 3 * bad


def _old_encoding(sample: bytes) -> str:
    """By where the letters lie; charset-normalizer decides what is not Western."""
    high = [byte for byte in sample if byte >= 0x80]
    letters = sum(byte >= 0xC0 for byte in high)
    # In Western lists few characters are outside ASCII. Windows has its letters from C0 on, the Mac below A0.
    if len(high) < 0.15 * len(sample):
        if letters > 0.8 * len(high) and not _is_eastern(sample):
            return "cp1252"
        if letters < 0.2 * len(high):
            return "mac_roman" if _reads_better(sample, "mac_roman", "cp850") else "cp850"
    # Japanese is told by its kana; statistics take it for Korean.
    text = sample.decode("cp932", "replace")
    if sum("\u3041" <= c <= "\u30fa" for c in text) > 0.1 * len(high):
        return "cp932"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_OLD, threshold=0.5).best()
    return best.encoding if best is not None else "cp1252"


# Lower-case letters of Western and Central European words.
_WESTERN = frozenset("äöüßéèêëàâáãåæçîïíìñôóòõøœùûúýÿ’“”–€£")


def _reads_better(sample: bytes, one: str, other: str) -> bool:
    """Whether more of the sample reads as letters of European words in one encoding than in the other."""
    scores = [sum(c.lower() in _WESTERN for c in sample.decode(codec, "replace")) for codec in (one, other)]
    return scores[0] >= scores[1]


def _is_eastern(sample: bytes) -> bool:
    """Whether it reads as Polish, Czech or Hungarian (Windows-1250) rather than as a Western language."""
    in_east = sum(c in "ąćęłńśźżěščřžýůďťňőű" for c in sample.decode("cp1250", "replace").lower())
    in_west = sum(c in _WESTERN for c in sample.decode("cp1252", "replace").lower())
    return in_east > in_west


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("smartcampaign", _as_windows)
