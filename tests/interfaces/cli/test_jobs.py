"""One command for each frequent job: the same refusals as in a conversation."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.interfaces.cli.conftest import Home


@pytest.fixture(scope="module")
def shop(home: Home) -> Home:
    """A tenant of this module's own."""
    assert home.call("tenants", "add", "Jobs", "--time-zone", "Europe/London", "--country", "GB").code == 0
    return replace(home, environment={"SMARTCAMPAIGN_TENANT": "Jobs"})


def test_contacts_from_adding_to_erasing(shop: Home) -> None:
    added = shop.call(
        "contacts", "add", "ada@example.org", "--first-name", "Ada", "--note", "collects punched cards", "--tag", "VIP",
        "--phone", "020 7946 0123", "--json",
    )  # fmt: skip
    assert added.code == 0
    assert json.loads(added.out)["contact"]["phone_number"] == "+442079460123"
    assert "ada@example.org" in shop.call("contacts", "list", "--tag", "vip").out
    assert "ada@example.org" in shop.call("contacts", "search", "punched cards").out
    shown = shop.call("contacts", "show", "ADA@example.org").out
    assert "- Note: collects punched cards" in shown
    assert json.loads(shop.call("contacts", "show", "Ada", "--json").out)["tags"] == ["vip"]

    asked = shop.call("contacts", "delete", "ada@example.org")
    assert asked.code == 3  # nobody is at a terminal
    id = asked.out.split("smartcampaign approve ")[1][:8]
    assert json.loads(shop.call("approvals", "--json").out)[0]["approval_id"].startswith(id)
    assert id in shop.call("approvals").out
    assert shop.call("approve", id).code == 3
    assert "Rejected" in shop.call("reject", id).out
    assert shop.call("approve", id, "--yes").err.startswith("This approval request is rejected")

    id = shop.call("contacts", "delete", "ada@example.org", "--json").out.split('"approval_id": "')[1][:36]
    approved = shop.call("approve", id, "--yes")
    assert approved.code == 0
    assert "erased" in approved.out
    assert shop.call("contacts", "show", "ada@example.org").code == 1


def test_refusals_are_sentences(shop: Home) -> None:
    refused = shop.call("contacts", "add", "nobody")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("'nobody' is no e-mail address")
    assert shop.call("campaigns", "show", "Nothing").err.startswith("No campaign is called 'Nothing'")
    assert shop.call("approve", "zzzz").err.startswith("No open approval request")
    assert "no file" in shop.call("contacts", "import", "missing.csv").err


def test_campaigns(shop: Home) -> None:
    created = shop.call(
        "campaigns", "create", "Harvest Fair", "--about", "10% off oak", "--start", "2027-10-01", "--json"
    )
    assert created.code == 0
    assert shop.call("campaigns", "create", "Harvest Fair").err.startswith("There is already a campaign")
    assert "Harvest Fair" in shop.call("campaigns", "list", "--status", "draft").out
    assert "Next: " in shop.call("campaigns", "show", "harvest fair").out
    assert shop.call("campaigns", "stats", "Harvest Fair").code == 0


def test_tenants(home: Home) -> None:
    assert home.call("tenants", "add", "Left").code == 0
    assert home.call("tenants", "add", "LEFT").err == "There is already a tenant called LEFT.\n"
    assert home.call("tenants", "add", "Other", "--time-zone", "Mars/North").code == 1
    assert home.call("tenants", "add", "Other", "--country", "Germany").code == 1
    assert home.call("tenants", "rename", "left", "Right").code == 0
    assert (
        home.call(
            "tenants", "change", "Right", "--time-zone", "Europe/Berlin", "--sender-email", "me@here.example"
        ).code
        == 0
    )
    assert home.call("tenants", "change", "Right").code == 1
    found = {row["name"]: row for row in json.loads(home.call("tenants", "list", "--json").out)}
    assert found["Right"]["time_zone"] == "Europe/Berlin"
    assert found["Right"]["sender_email"] == "me@here.example"
    assert "| Right | Europe/Berlin |" in home.call("tenants", "list").out
    unknown = home.call("contacts", "list", "--tenant", "Wrong")
    assert unknown.code == 1
    assert "no tenant 'Wrong'" in unknown.err


def test_migrate_says_how_it_stands(home: Home) -> None:
    ended = home.call("migrate")
    assert ended.code == 0
    assert ended.out.startswith("The schema is up to date: 0001_initial")
