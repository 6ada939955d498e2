"""What is no list of people gets one sentence, soon, and in little memory."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.imports.conftest import Read
from tools.errors import BadCsv, BadFile, ToolError
from tools.imports import files
from tools.imports.reading import Options, Stopped, read_file

PEOPLE = "email,first name\nada@example.org,Ada\n"


def refusal(read: Read, content: bytes | str, name: str = "people.csv") -> str:
    with pytest.raises((BadFile, BadCsv)) as refused:
        read(content, name)
    assert str(refused.value).endswith("Nothing was imported.")
    return str(refused.value)


def zipped(*members: tuple[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return data.getvalue()


WORDS = [
    (b"", "people.csv is empty"),
    (b"\n\n  \n", "is empty"),
    (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10, "a picture"),
    (b"\xff\xd8\xff\xe0" + bytes(range(256)), "a picture"),
    (b"%PDF-1.7 ..", "a PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Save it as CSV"),
    (b"SQLite format 3\0" + bytes(100), "a database"),
    (bytes(range(256)) * 40, "is no text"),
    (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    (b"\xef\xbb\xbf<html>", "a web page"),
    (b"<?xml version='1.0'?><contacts/>", "XML"),
    (b'[{"email": "ada@example.org"}]', "JSON"),
    (b'{"contacts": []}', "JSON"),
    (b"\x1f\x8b\x08" + bytes(50), "Unpack it first"),
    (b"email,first name\n", "no rows below it"),
    (b"email,first name\n\n,\n", "no rows below it"),
    (b"first name,phone\nAda,1\n", "No column for the e-mail address"),
    (b"Ada,Lovelace,ada@example.org\nGrace,Hopper,g@example.net\n", "begins with a person"),
    (b"email," + b",".join(b"c%d" % n for n in range(10_000)) + b"\nada@example.org\n", "10,001 columns"),
    (b'email,note\nada@example.org,"collects\nbob@example.org,clocks\n', "line 2: a quote is opened"),
    (b'email\n"' + b"x" * 200_000, "a cell of more than 131,072 characters"),
    (b'email,note\nada@example.org,"' + b"collects cards\n" * 20_000, "line 2: a cell of more than"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), WORDS, ids=[words for _, words in WORDS])
def test_each_gets_its_sentence(read: Read, content: bytes, words: str) -> None:
    assert words in refusal(read, content)


def test_what_is_not_there_or_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(path: Path) -> str:
        with pytest.raises(BadFile) as refused, read_file(path, Options()):
            pass
        return str(refused.value)

    assert "There is no file" in said(tmp_path / "missing.csv")
    assert "is a folder" in said(tmp_path)
    assert "can't be opened" in said(Path("a\0b"))
    locked = tmp_path / "locked.csv"
    locked.write_text(PEOPLE)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root, as in a container, may read everything.
    if os.geteuid() == 0:
        monkeypatch.setattr(Path, "open", refused)
    else:
        locked.chmod(0)
    assert "may not be read by you" in said(locked)


def test_a_workbook_is_to_be_saved_as_csv(read: Read) -> None:
    book = zipped(("[Content_Types].xml", "<Types/>"), ("xl/workbook.xml", "<workbook/>"))
    assert "Save it as CSV" in refusal(read, book, "people.xlsx")
    assert "Save it as CSV" in refusal(read, book, "people.csv")
    assert "spreadsheet" in refusal(read, zipped(("mimetype", "application/vnd.oasis"), ("content.xml", "x")))


def test_files_are_known_by_what_they_are_and_not_by_their_names(read: Read) -> None:
    assert read(zipped(("a.csv", PEOPLE)), "people.csv").rows == 1
    assert read("BEGIN:VCARD\nVERSION:3.0\nFN:Ada\nEMAIL:ada@example.org\nEND:VCARD\n", "people.csv").rows == 1
    assert read(PEOPLE, "people.vcf").rows == 1
    assert read(PEOPLE, "people.xlsx").rows == 1
    assert read("email,name\nMZ@example.org,x\n").rows == 1
    assert read("MZ;email\nx;ada@example.org\n").rows == 1


def test_a_zip_that_would_fill_the_memory_is_refused_unopened(read: Read) -> None:
    tracemalloc.start()
    started = time.monotonic()
    bomb = zipped(("people.csv", b"email\n" + b"a" * 300_000_000))
    tracemalloc.reset_peak()
    assert "which no list of people does" in refusal(read, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
    assert time.monotonic() - started < 20


def test_a_zip_whose_directory_lies_is_read_no_further_than_it_says(read: Read) -> None:
    honest = zipped(("people.csv", PEOPLE + "bob@example.org,Bob\n" * 100_000))
    size = len((PEOPLE + "bob@example.org,Bob\n" * 100_000).encode())
    assert honest.count(struct.pack("<I", size)) == 2
    lying = honest.replace(struct.pack("<I", size), struct.pack("<I", 2_000))
    assert "damaged" in refusal(read, lying)


def test_other_zips(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "itself a zip" in refusal(read, zipped(("inner.csv", zipped(("a.csv", PEOPLE)))))
    assert "holds no CSV or vCard file, only: a.png" in refusal(read, zipped(("a.png", "x"), ("__MACOSX/._a.csv", "x")))
    assert "only: nothing" in refusal(read, zipped())
    assert "a picture" in refusal(read, zipped(("a.csv", b"\x89PNG\r\n\x1a\n")))
    assert "1,001 files" in refusal(read, zipped(*((f"{n}.csv", "email\n") for n in range(1_001))))
    whole = zipped(("a.csv", "email\n" + "".join(f"p{n}@example.org\n" for n in range(5_000))))
    assert "damaged zip" in refusal(read, whole[: len(whole) // 2])
    assert "damaged" in refusal(read, whole[:200] + b"\0\1\2\3\4\5\6\7" + whole[208:])
    locked = bytearray(whole)
    locked[6] |= 1
    locked[whole.rindex(b"PK\x01\x02") + 8] |= 1
    assert "locked with a password" in refusal(read, bytes(locked))
    monkeypatch.setattr(files, "LARGEST_UNPACKED", 1_000)
    assert "would unpack to" in refusal(read, whole)


def test_names_in_a_zip_lead_nowhere(read: Read, tmp_path: Path) -> None:
    reading = read(zipped(("../../../etc/people.csv", PEOPLE), ("/absolute.csv", "email\nbob@example.org\n")))
    assert reading.rows == 2
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


@pytest.mark.parametrize("byte", [b"\0", b"x", b",", b'"'])
def test_two_gigabytes_of_one_line_are_given_up_early(tmp_path: Path, byte: bytes) -> None:
    file = tmp_path / "line.csv"
    with file.open("wb") as line:
        if byte == b"\0":  # sparse: it takes no room
            line.write(b"email")
        else:
            line.write(b"email," + byte * 20_000_000)
        line.truncate(2_000_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises((BadFile, BadCsv)) as refused, read_file(file, Options()):
        pass
    assert str(refused.value).endswith("Nothing was imported.")
    assert time.monotonic() - started < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kilobytes


def test_a_long_line_in_the_middle_is_given_up_as_well(read: Read) -> None:
    assert "a line of more than" in refusal(read, PEOPLE + "x" * 9_000_000)


def test_a_file_that_is_broken_at_its_end_is_refused_as_a_whole(read: Read) -> None:
    rows = "".join(f"p{number}@example.org,x\n" for number in range(30_000))
    assert "line 30002" in refusal(read, "email,note\n" + rows + 'last@example.org,"never closed\n')


def test_reading_is_stopped_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\n" + "".join(f"p{number}@example.org\n" for number in range(30_000)))
    with pytest.raises(Stopped), read_file(file, Options(), None, lambda: True):
        pass


def test_memory_is_flat(tmp_path: Path) -> None:
    """Ten times the rows take no more than the caches of it, which are bounded."""

    def peak(rows: int) -> int:
        file = tmp_path / f"{rows}.csv"
        with file.open("w") as text:
            text.write("email,first name,note,phone\n")
            for number in range(rows):
                phone = f"0113 496 {number % 10_000:04d}"
                text.write(f"person{number}@example.org,Ada,collects punched cards of {number},{phone}\n")
        tracemalloc.start()
        with read_file(file, Options(country="GB")) as reading:
            for _ in reading.spool.batches(10_000):
                pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1_000)
    small, large = peak(30_000), peak(150_000)
    assert large < small * 1.3 + 1_000_000, (small, large)


Damage = Callable[[bytes], bytes]


def test_no_damage_to_a_file_ends_in_anything_but_a_reading_or_a_sentence(read: Read) -> None:
    """Bytes of several kinds of files, cut, doubled and overwritten at many places."""
    import random

    chance = random.Random(7)
    sound = [
        ("email;name;tags\n" + "".join(f'p{n}@example.org;"Ada; L";vip\n' for n in range(50))).encode(),
        "E-Mail\tVorname\nzoé@example.org\tZoé\n".encode("utf-16"),
        "email,nom\nzoe@example.org,Zoé\n".encode("cp1252"),
        zipped(("subscribed.csv", PEOPLE), ("b.vcf", "BEGIN:VCARD\nEMAIL:a@example.org\nEND:VCARD\n")),
        b"BEGIN:VCARD\nVERSION:2.1\nN;ENCODING=QUOTED-PRINTABLE:=C3=A9=\n=C3\nEMAIL;PREF:a@example.org\nEND:VCARD\n"
        * 5,
    ]
    for _ in range(400):
        data = bytearray(chance.choice(sound))
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(data))
            what = chance.randrange(4)
            if what == 0:
                data[place] = chance.randrange(256)
            elif what == 1:
                del data[place : place + chance.randint(1, 20)]
            elif what == 2:
                data[place:place] = bytes(chance.choice(b'\0",;\r\n\xff\xfe=\x80') for _ in range(5))
            else:
                data[place:place] = data[:place]
            if not data:
                break
        refused = ""
        with contextlib.suppress(ToolError):
            try:
                reading = read(bytes(data))
            except ToolError as error:
                refused = str(error)
                raise
        assert refused.endswith("Nothing was imported.") if refused else reading.rows + reading.problem_count > 0


def test_a_crc_that_does_not_fit_is_found(read: Read) -> None:
    data = zipped(("a.csv", PEOPLE * 50), method=zipfile.ZIP_STORED)
    crc = struct.pack("<I", zlib.crc32((PEOPLE * 50).encode()))
    assert "damaged" in refusal(read, data.replace(crc, b"\1\2\3\4"))
