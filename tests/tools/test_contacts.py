"""Contacts: added once, found by what is known of them, changed field by field."""

from __future__ import annotations

import pytest

from db.embeddings import EmbeddingError
from tools import BY_NAME
from tools.base import Context
from tools.contacts import ContactList, ContactSaved
from tools.errors import (
    BadCursor,
    ContactExists,
    InvalidArguments,
    NoSuchContact,
    NothingToChange,
    SearchUnavailable,
    UnclearContact,
)

ADA = "ada@example.org"


async def add(ctx: Context, email: str = ADA, **more: object) -> ContactSaved:
    saved = await BY_NAME["create_contact"].call({"email": email, **more}, ctx)
    assert isinstance(saved, ContactSaved)
    return saved


async def search(ctx: Context, **asked: object) -> ContactList:
    found = await BY_NAME["search_contacts"].call(asked, ctx)
    assert isinstance(found, ContactList)
    return found


async def test_an_address_is_one_contact_in_any_case(ctx: Context) -> None:
    await add(ctx, first_name="Ada")
    with pytest.raises(ContactExists, match=r"ADA@example.org is already a contact \(Ada\)"):
        await add(ctx, "ADA@example.org")
    assert (await search(ctx)).total == 1


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@example.org", "ada@localhost space", "a b@example.org", "ada@example..org", "x" * 300],
)
async def test_what_is_no_address_is_refused(ctx: Context, email: str) -> None:
    with pytest.raises(InvalidArguments):
        await add(ctx, email)
    assert (await search(ctx)).total == 0


async def test_a_domain_that_looks_mistyped_is_taken_and_pointed_out(ctx: Context) -> None:
    assert (await add(ctx, "ada@gmial.com")).hint == "Did you mean ada@gmail.com? Say so and I change it."
    assert (await add(ctx, "ada@gmail.com")).hint is None


@pytest.mark.parametrize(("given", "stored"), [("0113 496 0123", "+441134960123"), ("+1 415 555 0100", "+14155550100")])
async def test_phone_numbers_are_stored_in_one_form(ctx: Context, given: str, stored: str) -> None:
    assert (await add(ctx, phone_number=given)).contact.phone_number == stored
    assert (await search(ctx, query=given)).contacts[0].email == ADA


async def test_a_phone_number_that_is_none_is_refused(ctx: Context) -> None:
    with pytest.raises(InvalidArguments, match="'12' is no phone number in GB"):
        await add(ctx, phone_number="12")


async def test_only_what_is_given_changes_and_an_empty_text_clears(ctx: Context) -> None:
    await add(ctx, first_name="Ada", last_name="Byron", description="poet's daughter", tags=["vip"])
    changed = await BY_NAME["update_contact"].call({"contact": ADA, "last_name": "Lovelace", "description": ""}, ctx)
    assert changed.changed == ["last_name", "description"]
    (row,) = (await search(ctx)).contacts
    assert (row.first_name, row.last_name, row.description, row.tags) == ("Ada", "Lovelace", None, ["vip"])


async def test_tags_are_added_and_taken_away_but_never_replaced(ctx: Context) -> None:
    await add(ctx, tags=["vip", "trade"])
    changed = await BY_NAME["update_contact"].call({"contact": ADA, "tags": ["Leeds", "-trade"]}, ctx)
    assert changed.contact.tags == ["vip", "leeds"]
    assert changed.changed == ["tags"]


async def test_a_change_of_nothing_and_a_taken_address_are_refused(ctx: Context) -> None:
    await add(ctx)
    await add(ctx, "grace@example.net")
    with pytest.raises(NothingToChange):
        await BY_NAME["update_contact"].call({"contact": ADA}, ctx)
    with pytest.raises(ContactExists):
        await BY_NAME["update_contact"].call({"contact": ADA, "email": "GRACE@example.net"}, ctx)


async def test_a_contact_is_named_by_address_name_or_id(ctx: Context) -> None:
    id = (await add(ctx, first_name="Ada", last_name="Lovelace")).contact.contact_id
    for name in (ADA.upper(), "ada lovelace", str(id)):
        saved = await BY_NAME["update_contact"].call({"contact": name, "tags": ["vip"]}, ctx)
        assert saved.contact.contact_id == id


async def test_an_unclear_name_is_refused_with_the_candidates(ctx: Context) -> None:
    await add(ctx, first_name="Ada", last_name="Lovelace")
    await add(ctx, "ada.l@example.net", first_name="Ada", last_name="Lovelace")
    with pytest.raises(UnclearContact, match=r"ada.l@example.net\), Ada Lovelace \(ada@example.org"):
        await BY_NAME["update_contact"].call({"contact": "Ada Lovelace", "tags": ["vip"]}, ctx)
    with pytest.raises(NoSuchContact, match="Did you mean Ada Lovelace"):
        await BY_NAME["update_contact"].call({"contact": "Ada Lovelance", "tags": ["vip"]}, ctx)


async def test_people_are_found_by_meaning_in_other_words_and_languages(ctx: Context) -> None:
    await add(ctx, description="collects punched cards")
    await add(ctx, "bo@example.net", description="keeps bees on the roof of a car park")
    await add(ctx, "cy@example.net", description="restauriert alte Möbel in Görlitz")
    assert (await search(ctx, query="honey")).contacts[0].email == "bo@example.net"
    assert (await search(ctx, query="restores old furniture")).contacts[0].email == "cy@example.net"
    assert (await search(ctx, query="abeilles")).contacts[0].email == "bo@example.net"


async def test_names_codes_and_tags_are_found_to_the_letter(ctx: Context) -> None:
    await add(ctx, first_name="Ada", last_name="Lovelace", description="order HF-2231", tags=["Trade"])
    await add(ctx, "bo@example.net", first_name="Bo", description="bought a lamp")
    for query in ("Lovelace", "ada lovelace", "HF-2231", "trade", ADA):
        found = await search(ctx, query=query)
        assert found.contacts[0].email == ADA, query
    assert "HF-2231" in (await search(ctx, query="HF-2231")).contacts[0].why


async def test_a_tag_is_a_filter_and_everybody_is_everybody(ctx: Context) -> None:
    await add(ctx, tags=["vip"])
    await add(ctx, "bo@example.net")
    for query in ("vip", "VIPs", "all the VIPs", "people tagged vip"):
        assert [contact.email for contact in (await search(ctx, query=query)).contacts] == [ADA]
    for nothing in ({}, {"query": ""}, {"query": "everyone"}, {"query": "*"}):
        assert (await search(ctx, **nothing)).total == 2


async def test_pages_hold_every_contact_once_while_others_are_added(ctx: Context) -> None:
    for number in range(7):
        await add(ctx, f"p{number}@example.org")
    seen: list[str] = []
    cursor = None
    while True:
        page = await search(ctx, limit=3, cursor=cursor)
        seen += [contact.email for contact in page.contacts]
        await add(ctx, f"later{len(seen)}@example.org")
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(email for email in seen if email[0] == "p") == [f"p{n}@example.org" for n in range(7)]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("cursor", ["x", "%%%", "W10", "eyJhIjoxfQ", "WyIxIl0"])
async def test_a_made_up_cursor_is_refused(ctx: Context, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await search(ctx, cursor=cursor)


async def test_without_the_embedding_endpoint_contacts_are_stored_and_listed(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise EmbeddingError("The embedding endpoint can't be used.")

    monkeypatch.setattr(type(ctx.embedder), "embed", down)
    await add(ctx, description="collects punched cards")
    assert (await search(ctx)).total == 1
    with pytest.raises(SearchUnavailable, match="can't be used"):
        await search(ctx, query="punched cards")
