"""The quick ways through a million rows say what the careful ones say."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.errors import InvalidArguments
from tools.fields import checked_email, checked_phone
from tools.imports import phones, rows
from tools.imports.columns import understood
from tools.imports.rows import BadRow, Row, RowReader, merged
from tools.imports.spool import Spool

LOCAL = st.text("abcXYZ019.!#$%&'*+/=?^_`{|}~-@ \"", min_size=1, max_size=70)
DOMAIN = st.text("abcXYZ019.-_ é", min_size=1, max_size=70)
TLD = st.sampled_from([".org", ".test", ".local", ".invalid", ".onion", ".Example", ".c", ".1", "", ".co.uk", ".arpa"])


def carefully(address: str) -> str | None:
    try:
        return checked_email(address)[0]
    except InvalidArguments:
        return None


@settings(max_examples=1_500, deadline=None)
@given(LOCAL, DOMAIN, TLD)
@example("a", "xn--a", ".org")
@example("a" * 65, "b", ".org")
@example("a", "b" * 64, ".org")
@example("a", "b.localhost", "")
@example("a", "home.arpa", "")
@example("a", "b.alt", "")
@example("a\n", "b", ".org")
def test_addresses_taken_at_a_glance_are_those_of_email_validator(local: str, domain: str, tld: str) -> None:
    address = f"{local}@{domain}{tld}"
    if rows._plain_address(address):
        email, key = rows._address(address)
        assert email == carefully(address)
        assert key == address.lower()


ADDRESSES = [
    " ada@Example.ORG ", "ada@example.org", "Ada.L+x@sub.example.co.uk", "mailto:ada@example.org",
    "Ada Lovelace <ada@example.org>", "<ada@example.org>", "jürgen@example.org", "ada@müller.example",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_as_people_write_them(address: str) -> None:
    email, key = rows._address(address)
    assert email == email.strip()
    assert key == email.lower()
    assert email.rpartition("@")[2] == email.rpartition("@")[2].lower()


def test_most_addresses_are_taken_at_a_glance() -> None:
    for address in ("ada@example.org", "ada.lovelace+news@mail.example.com", "O'Brien_1@a-b.example"):
        assert rows._plain_address(address)


BAD = ["", "nobody", "a@b", "two@@example.org", "a b@example.org", ".a@example.org", "a@example.org; b@example.org"]


@pytest.mark.parametrize("address", BAD)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadRow):
        rows._address(address)


def carefully_phoned(text: str, country: str) -> str | None:
    try:
        return checked_phone(text, country)
    except InvalidArguments:
        return None


@pytest.mark.parametrize("country", "GB US DE FR IT ES NL PT BR MX AR CH AT IN RU AU SE PL".split())  # noqa: SIM905
def test_phone_numbers_read_at_a_glance_are_those_of_phonenumbers(country: str) -> None:
    chance = random.Random(country)
    codes = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    number = phonenumbers.example_number(country)
    assert number is not None
    example = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    for _ in range(500):
        digits = "".join(chance.choices("0123456789", k=chance.randint(4, 13)))
        text = chance.choice([
            digits, f"0{digits}", f"+{chance.choice(codes)}{digits}", f"+{chance.choice(codes)} (0){digits}",
            f"00{chance.choice(codes)}{digits}", example[:-2] + digits[:2], example + digits[:1],
        ])  # fmt: skip
        if chance.random() < 0.5:
            text = text[:5] + chance.choice([" ", "-", ".", "(", ")", " - ", "/"]) + text[5:]
        assert phones.phone(text, country) == carefully_phoned(text, country), text


def test_a_number_that_only_looks_as_if_it_had_a_prefix_keeps_it() -> None:
    for text in ("80012345678901", "+780012345678901"):
        assert phones.phone(text, "RU") == carefully_phoned(text, "RU") == "+780012345678901"


def test_usual_numbers_never_take_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "_slowly", lambda text, country: pytest.fail(f"{text} took the slow way"))
    for text, country, number in (
        ("0113 496 0123", "GB", "+441134960123"), ("+44 113 496 0123", "US", "+441134960123"),
        ("+44 (0)113 496-0123", "US", "+441134960123"), ("(212) 555-0123", "US", "+12125550123"),
        ("030 901820", "DE", "+4930901820"), ("01 23 45 67 89", "FR", "+33123456789"),
        ("612 345 678", "ES", "+34612345678"),
    ):  # fmt: skip
        assert phones.phone(text, country) == number


def read(header: str, *cells: str, **options: object) -> Row:
    return RowReader(understood(header.split(",")), "GB", **options).read(list(cells))  # type: ignore[arg-type]


def test_a_phone_number_that_can_not_be_read_costs_nobody_their_place() -> None:
    reader = RowReader(understood(["email", "phone"]), "GB")
    row = reader.read(["a@example.org", "ask her husband"])
    assert (row[4], row[9]) == (None, '{"phone": "ask her husband"}')
    assert reader.unread_phones == 1


def test_rows_of_other_lengths_than_the_header() -> None:
    assert read("email,name,tags", "a@example.org")[:2] == ("a@example.org", "a@example.org")
    assert read("email,name", "a@example.org", "Ada", "", " ")[2] == "Ada"
    with pytest.raises(BadRow, match="has 3 cells, the header only 2"):
        read("email,note", "a@example.org", "likes tea", " and cake")


LIMITS = [
    ("first name", "x" * 101, "The name is longer"),
    ("note", "x" * 10_001, "The note is longer"),
    ("tags", "x" * 51, "A tag is longer"),
    ("extra", "x" * 50_001, "besides the known ones"),
]


@pytest.mark.parametrize(("column", "cell", "words"), LIMITS, ids=[column for column, _, _ in LIMITS])
def test_what_is_too_long_is_refused(column: str, cell: str, words: str) -> None:
    with pytest.raises(BadRow, match=words):
        read(f"email,{column}", "a@example.org", cell)


def test_tags() -> None:
    assert read("email,tags,groups", "a@x.org", 'VIP; "trade"|vip', "Fair", tags=["Fair", "2026"])[6] == (
        "fair,vip,trade,2026"
    )  # fmt: skip
    assert read("email,tags", "a@x.org", " ; ")[6] is None


def test_formulas_are_data() -> None:
    row = read("email,first name,note", "a@x.org", "=1+1", "@SUM(A1)")
    assert (row[2], row[5]) == ("=1+1", "@SUM(A1)")
    assert read("email,first name", "a@x.org", "'=1+1")[2] == "'=1+1"


def row_of(email: str, **fields: str) -> Row:
    return tuple({"key": email.lower(), "email": email, **fields}.get(name) for name in rows.FIELDS)


def test_one_address_twice_is_as_if_one_row_came_after_the_other() -> None:
    earlier = row_of("Ada@x.org", first_name="Ada", description="cards", tags="a,b", status="bounced",
                     attributes='{"x": "1", "y": "1"}')  # fmt: skip
    later = row_of("ada@x.org", last_name="L", description="clocks", tags="b,c", status="subscribed",
                   attributes='{"y": "2"}')  # fmt: skip
    assert merged(earlier, later) == row_of(
        "Ada@x.org", first_name="Ada", last_name="L", description="clocks", tags="a,b,c", status="bounced",
        attributes='{"x": "1", "y": "2"}', key="ada@x.org",
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 30), st.integers(1, 30))
def test_the_spool_gives_back_every_address_once_in_order(numbers: list[int], block: int, batch: int) -> None:
    spool = Spool()
    given_rows = [row_of(f"p{number}@x.org", description=str(place)) for place, number in enumerate(numbers)]
    for start in range(0, len(given_rows), block):
        spool.add(given_rows[start : start + block])
    assert spool.merge_doubles() == len(numbers) - len(set(numbers))
    assert spool.count() == len(set(numbers))
    for _ in range(2):
        batches = list(spool.batches(batch))
        assert all(len(rows) == batch for rows in batches[:-1])
        found = [row for rows in batches for row in rows]
        assert [row[1] for row in found] == [f"p{number}@x.org" for number in dict.fromkeys(numbers)]
        last = {number: str(place) for place, number in enumerate(numbers)}
        assert [row[5] for row in found] == [last[number] for number in dict.fromkeys(numbers)]
    spool.close()
