"""What is said about a mail before it is approved."""

from __future__ import annotations

from typing import Any

import pytest

from mail.checks import Sample, check, is_foreign, leads_nowhere
from mail.layout import Layout
from mail.render import contact_data, render
from mail.template import compile_template

LEAVE = "\n\n[Unsubscribe]({{ unsubscribe_url }})"
SHOP = "hello@mail.lamps.co.uk"


def data(first_name: str = "Ada", last_name: str = "") -> dict[str, Any]:
    return {
        "contact": contact_data(first_name, last_name, "ada@example.org", ""),
        "unsubscribe_url": "https://mail.lamps.co.uk/u/1",
    }


def said(body: str, subject: str = "Lamps", **people: int) -> list[str]:
    """Of a mail to so many people of each first name; `nobody` has none."""
    template = compile_template(subject, body)
    samples = [
        Sample(template.render(data("" if name == "nobody" else name)), count)
        for name, count in (people or {"Ada": 1}).items()
    ]
    return check(samples, sender_email=SHOP, unknown_tags=template.unknown(data()))


def test_a_good_mail_is_passed_in_silence() -> None:
    body = (
        'Hello {{ contact.first_name | default: "there" }}, [see](https://www.lamps.co.uk/new) '
        "![a lamp](https://lamps.co.uk/a.png)" + LEAVE
    )
    assert said(body, "New lamps!", Ada=90, nobody=10) == []


def test_holes_are_counted_in_people() -> None:
    body = "Dear {{ contact.first_name }} {{ contact.last_name }}" + LEAVE
    assert said(body, Ada=155, nobody=12) == [
        "Nothing is known for contact.last_name for 167 of 167 recipients, and it has no default: "
        "their mails have a hole there.",
        "Nothing is known for contact.first_name for 12 of 167 recipients, and it has no default: "
        "their mails have a hole there.",
    ]
    assert said("Dear {{ contact.first_name }}" + LEAVE, Ada=3, nobody=1) == [
        "Nothing is known for contact.first_name for 1 of 4 recipients, and it has no default: "
        "the mail has a hole there."
    ]
    assert said("{{ contact.frist_name }}" + LEAVE) == [], "an unknown tag is no hole; it is said elsewhere"


@pytest.mark.parametrize("link", [
    "http://", "https:///path", "https://?x=1", "http://localhost:8000/", "https://app.localhost/x", "http://127.0.0.1/",
    "http://10.1.2.3/x", "http://192.168.0.1", "http://[::1]/", "http://169.254.169.254/latest", "https://example.com/",
    "https://www.example.org", "https://shop.example/x", "https://intranet/wiki", "https://server.local/",
    "https://foo.test", "https://foo.invalid", "https://printer.home.arpa", "http://0.0.0.0:8080", "https://[bad/",
    "https://{…}/x",
])  # fmt: skip
def test_links_that_lead_nowhere(link: str) -> None:
    assert leads_nowhere(link)
    assert not leads_nowhere("https://localhost.shop.de/")


@pytest.mark.parametrize("link", [
    "https://lamps.co.uk", "https://shop.de/x?y=1", "http://8.8.8.8/", "https://büro.de/", "https://example.shop.de/",
    "https://a.b.c.shop.de:8443/x#y", "https://shop.de./", "https://user@shop.de/",
])  # fmt: skip
def test_links_that_lead_somewhere(link: str) -> None:
    assert not leads_nowhere(link)


def test_a_senders_own_domain_is_never_an_example() -> None:
    assert not leads_nowhere("https://harrow-finch.example/visit", "harrow-finch.example")
    assert not leads_nowhere("https://www.harrow-finch.example/visit", "harrow-finch.example")
    assert leads_nowhere("https://other.example/visit", "harrow-finch.example")


@pytest.mark.parametrize(("link", "domain", "foreign"), [
    ("https://lamps.co.uk/", "lamps.co.uk", False), ("https://www.lamps.co.uk/", "mail.lamps.co.uk", False),
    ("https://other.co.uk/", "lamps.co.uk", True), ("https://lamps.co.uk.evil.com/", "lamps.co.uk", True),
    ("https://evil-lamps.de/", "lamps.de", True), ("https://shop.lamps.de/", "lamps.de", False),
    ("https://lamps.de/", "gmail.com", False), ("https://lamps.com/", "lamps.de", True),
])  # fmt: skip
def test_links_to_other_peoples_domains(link: str, domain: str, foreign: bool) -> None:
    assert is_foreign(link, domain) is foreign


def test_what_is_said_about_links() -> None:
    body = (
        "[a](https://localhost/) [b](http://lamps.co.uk/x) [c](https://bit.ly/3) [d](https://evil.com/a) [e](/about) "
        "[f](www.lamps.co.uk) <a href='https://lamps.co.uk/a b'>g</a> <a href='https://{{ contact.first_name }}/'>h</a>"
        + LEAVE
    )
    assert said(body) == [
        "This link leads nowhere for its readers: https://localhost/",
        "Not encrypted, so browsers warn of it (http, not https): http://lamps.co.uk/x.",
        "Links lead to other domains than yours (mail.lamps.co.uk): bit.ly, evil.com.",
        "This address can't be followed from a mail and was left out: /about",
        "This address can't be followed from a mail and was left out: www.lamps.co.uk",
        "This address can't be followed from a mail and was left out: https://lamps.co.uk/a b",
        "1 more was left out.",
    ]


def test_many_dead_links_are_a_number() -> None:
    body = " ".join(f"[a](https://shop.example/{number})" for number in range(9)) + LEAVE
    assert said(body)[3] == "6 more links lead nowhere."


@pytest.mark.parametrize(("subject", "expected"), [
    ("", "The subject is empty."),
    ("{{ contact.last_name }}", "The subject is empty."),
    ("a" * 79, "79 characters long"),
    ("EVERYTHING MUST GO today", "in capitals"),
    ("Now! Or never!", "several exclamation marks"),
    ("今すぐ！！", "several exclamation marks"),
])  # fmt: skip
def test_hints_on_subjects(subject: str, expected: str) -> None:
    assert any(expected in sentence for sentence in said("Hello" + LEAVE, subject))


@pytest.mark.parametrize(
    "subject", ["UK sale", "Oak, elm and ash!", "時計の修理についてのお知らせです", "FAQ: oak", "a" * 78]
)
def test_subjects_that_need_no_hint(subject: str) -> None:
    assert said("Hello" + LEAVE, subject) == []


def test_images_without_words_and_mails_of_images() -> None:
    one, two = "![](https://lamps.co.uk/a.png)", "<img src='https://lamps.co.uk/b.png'>"
    assert said(f"Some twenty letters and more {one}{LEAVE}") == [
        "Its image has no words (alt) for readers who see no images."
    ]
    assert said(f"Some twenty letters and more {one} {two} ![x](https://lamps.co.uk/c.png){LEAVE}") == [
        "2 of 3 images have no words (alt) for readers who see no images."
    ]
    assert any("hardly any text" in sentence for sentence in said("![](https://lamps.co.uk/a.png)"))


def test_size_and_way_out() -> None:
    (size,) = said("word " * 20_500 + LEAVE)
    assert size.startswith("It is 10")
    assert "Gmail cuts mails off after 102 kB" in size
    (way_out,) = said("Hello there, this is a mail")
    assert "no way to unsubscribe of its own" in way_out


def test_a_preview_says_the_same_of_one_reader() -> None:
    shown = render("x", "Dear {{ contact.last_name }} {{ contact.fist_name }} [a](https://evil.com/)" + LEAVE, data(),
                   Layout("Lamps", SHOP))  # fmt: skip
    assert shown.warnings == [
        "There is no merge tag 'contact.fist_name'. Did you mean contact.first_name?",
        "Nothing is known for contact.last_name, and it has no default: the mail has a hole there.",
        "Links lead to other domains than yours (mail.lamps.co.uk): evil.com.",
    ]
