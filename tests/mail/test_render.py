"""Rendering: what a reader sees, what is said about holes, and what a hostile template or name can't do."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.tenants import TenantRow
from mail.checks import GMAIL_CLIPS_AT
from mail.headers import LONGEST_SUBJECT
from mail.merge import LONGEST_SOURCE
from mail.render import PREVIEW_UNSUBSCRIBE, merge_data, render
from tests.mail.pages import body_of
from tests.tools.mails import campaign_row, contact_row

LEAVE = "[Unsubscribe]({{ unsubscribe_url }})"


def data(**contact: str) -> dict[str, Any]:
    names = {"first_name": "Ada", "last_name": "", "full_name": "Ada", "email": "ada@example.org", "phone_number": ""}
    return {
        "contact": names | contact,
        "campaign": {"name": "Lamp Week", "start_date": "5 December 2026"},
        "tenant": {"name": "Harrow & Finch"},
        "sender": {"name": "Harrow & Finch", "email": ""},
        "unsubscribe_url": PREVIEW_UNSUBSCRIBE,
    }


def test_a_mail_is_merged_into_subject_text_and_html() -> None:
    mail = render(
        "{{ campaign.name }} for {{ contact.first_name }}",
        f'Hello **{{{{ contact.first_name | default: "there" }}}}**,\n\n- oak\n- elm\n\n{LEAVE}',
        data(),
    )
    assert mail.subject == "Lamp Week for Ada"
    assert mail.text == f"Hello Ada,\n\n- oak\n- elm\n\nUnsubscribe ({PREVIEW_UNSUBSCRIBE})\n"
    assert "Hello <strong>Ada</strong>,</p>" in body_of(mail.html)
    assert f'<a href="{PREVIEW_UNSUBSCRIBE}"' in body_of(mail.html)
    assert mail.warnings == []


def test_a_default_stands_in_for_what_is_not_known() -> None:
    mail = render("x", 'Hello {{ contact.first_name | default: "there" }} ' + LEAVE, data(first_name=""))
    assert mail.text.startswith("Hello there ")
    assert mail.blanks == ()


def test_a_hole_is_reported_once_and_by_name() -> None:
    mail = render(
        "Dear {{ contact.last_name }}", "Dear {{ contact.last_name }} {{ contact.last_name }}, " + LEAVE, data()
    )
    assert mail.blanks == ("contact.last_name",)
    assert mail.warnings == [
        "Nothing is known for contact.last_name, and it has no default: the mail has a hole there."
    ]


def test_a_hole_behind_an_if_is_none() -> None:
    body = "{% if contact.last_name != '' %}{{ contact.last_name }}{% endif %}Hello. " + LEAVE
    assert render("x", body, data()).warnings == []


@pytest.mark.parametrize(
    "source", ["contact.frist_name", "contact.frist_name | default: 'you'", "contact['frist_name']"]
)
def test_an_unknown_tag_is_reported_with_the_nearest(source: str) -> None:
    mail = render("x", "Hello {{ " + source + " }} " + LEAVE, data())
    assert mail.unknown_tags == ("contact.frist_name",)
    assert mail.warnings == ["There is no merge tag 'contact.frist_name'. Did you mean contact.first_name?"]


@pytest.mark.parametrize(
    "tag", ["contact", "now", "today", "contact.description", "contact.tags", "campaign.description"]
)
def test_a_tag_that_would_tell_too_much_or_depend_on_the_host_is_unknown_and_empty(tag: str) -> None:
    mail = render("x", f"[{{{{ {tag} }}}}]\n\n{LEAVE}", merge_data(tenant_row(), campaign_row(), contact_row()))
    assert mail.unknown_tags == (tag,)
    assert mail.text.startswith("[]\n\nUnsubscribe (")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{{ contact.first_name", "expected '}}'"),
        ("{% if contact.first_name %}x", "endif"),
        ("a\n\n{% if %}x{% endif %}", "(line 3)"),
        ("{% include 'x' %}", "include"),
        ("{{ contact.first_name | shuffle }}", "shuffle"),
        ("{{ contact.first_name | replace: 'a', 'b' }}", "replace"),
        ("{% break %}", "break"),
    ],
)
def test_a_syntax_error_is_a_sentence_and_the_source_is_shown(body: str, said: str) -> None:
    mail = render("x", body, data())
    assert len(mail.errors) == 1
    assert mail.errors[0].startswith("The merge tags can't be read: ")
    assert mail.errors[0].endswith(".")
    assert said in mail.errors[0]
    assert mail.text == body


HOSTILE = {
    "a long loop": "{% for i in (1..1000000000) %}x{% endfor %}",
    "a longer loop": "{% for i in (1..999999999999999999999999999) %}x{% endfor %}",
    "loops in loops": "{% for i in (1..400) %}{% for j in (1..400) %}x{% endfor %}{% endfor %}",
    "a text that doubles": "{% assign s = 'xxxxxxxx' %}" + "{% assign s = s | append: s %}" * 400,
    "long filter chains in a loop": "{% assign s = 'x' %}"
    + "{% assign s = s | append: s %}" * 14
    + "{% for i in (1..500) %}{{ s" + " | upcase" * 100 + " }}{% endfor %}",
    "a loop of questions": "{% for i in (1..500) %}"
    + "{% if contact.first_name == 'x' %}{% endif %}" * 100
    + "{% endfor %}",
    "much output": "{% assign s = 'x' %}" + "{% assign s = s | append: s %}" * 14 + "{{ s }}" * 400,
    "unclosed tags": "{{" * 50_000,
    "far apart tags": "{{ " * 400 + "a" * 100_000,
    "one long tag": "{{ '" + "x" * 2_000 + "' }}",
    "deep blocks": "{% if true %}" * 60 + "{% endif %}" * 60,
    "too long": "x" * (LONGEST_SOURCE + 1),
    "brackets": "[" * 100_000,
    "deep HTML": "<div>" * 20_000,
    "a table of thousands": "|a|b|\n|-|-|\n" + "|x|y|\n" * 15_000,
    "a bad index": "{{ contact.first_name[contact[contact['x']]] | append }}",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_ends_soon_with_a_sentence(name: str) -> None:
    began = time.process_time()
    mail = render("x", HOSTILE[name], data())
    assert time.process_time() - began < 3
    assert len(mail.errors) == 1, mail
    assert mail.errors[0].endswith(".")


@pytest.mark.parametrize("body", ["<a " * 40_000, "*a " * 40_000, "> " * 50_000, "- " * 50_000])
def test_hostile_markdown_ends_soon_too(body: str) -> None:
    began = time.process_time()
    render("x", body, data())
    assert time.process_time() - began < 5


NAMES = [
    "[x](javascript:1)",
    "<img src=x onerror=alert(1)>",
    "**bold**",
    "# big",
    "`code`",
    "&lt;b&gt;",
    "{{ x }}",
    "a|b",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_text_wherever_it_stands(name: str) -> None:
    body = (
        "{{ contact.first_name }}\n\n# {{ contact.first_name }}\n\n- {{ contact.first_name }}\n\n"
        "`{{ contact.first_name }}` <b title='{{ contact.first_name }}'>x</b> [l]({{ contact.first_name }})\n\n"
        "<div>{{ contact.first_name }}</div>"
    )
    mail = render("{{ contact.first_name }}", body, data(first_name=name))
    assert mail.errors == ()
    assert mail.subject == name
    assert mail.text.count(name) >= 4
    page = body_of(mail.html)
    assert "<img" not in page
    assert "javascript:1" not in page.replace("[x](javascript:1)", "")
    assert "<em>" not in page
    assert "<strong>" not in page
    assert 'href="' not in page


def test_a_name_is_no_link_but_our_own_addresses_are() -> None:
    mail = render("x", "{{ contact.first_name }} {{ unsubscribe_url }}", data(first_name="https://evil.example"))
    assert body_of(mail.html).count("<a ") == 1
    assert f'href="{PREVIEW_UNSUBSCRIBE}"' in mail.html


def test_bare_addresses_become_links_and_values_in_them_are_encoded() -> None:
    mail = render("x", "See https://shop.example/a_b?m={{ contact.email }}. " + LEAVE, data(email="a b&c=d@x.org"))
    assert 'href="https://shop.example/a_b?m=a%20b%26c%3Dd%40x.org"' in mail.html


def test_only_harmless_html_stays() -> None:
    body = (
        '<script>alert(1)</script><p onclick="x()">hi</p><a href="javascript:1">a</a><iframe src="https://x.example">'
        '</iframe><style>p{}</style><img src="data:image/png;base64,AA">\n\n[rel](/path)\n\n<form><input></form>'
    )
    page = body_of(render("x", body, data()).html)
    for bad in ("script", "onclick", "javascript", "iframe", "p{}", "data:", "/path", "form", "input"):
        assert bad not in page


@given(st.text(max_size=300), st.text(max_size=60))
def test_a_subject_is_one_line_whatever_comes_in(text: str, name: str) -> None:
    for subject in (text, "{{ contact.first_name }}\r\nBcc: all@example.org"):
        line = render(subject, LEAVE, data(first_name=name)).subject
        assert len(line.splitlines()) <= 1
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in line)
        assert len(line) <= LONGEST_SUBJECT


@given(st.text(max_size=400))
def test_no_body_raises(body: str) -> None:
    mail = render("x", body, data())
    assert "<script" not in body_of(mail.html).lower()


@given(st.text(alphabet="{}%|:'\"., []()ab01#\n-", max_size=120))
def test_no_broken_tag_raises(body: str) -> None:
    render(body, body, data())


def test_a_mail_without_a_way_out_gets_one_and_is_warned_of() -> None:
    mail = render("x", "Hello", data())
    assert "no way to unsubscribe of its own" in " ".join(mail.warnings)
    assert mail.text == f"Hello\n\n--\nUnsubscribe: {PREVIEW_UNSUBSCRIBE}\n"
    assert f'href="{PREVIEW_UNSUBSCRIBE}"' in mail.html


def test_a_mail_that_gmail_would_clip_is_warned_of() -> None:
    mail = render("x", "word " * 21_000 + LEAVE, data())
    assert len(mail.html) > GMAIL_CLIPS_AT
    assert any("Gmail cuts mails off after 102 kB" in warning for warning in mail.warnings)


def test_the_text_part_reads_well() -> None:
    body = (
        "# Title\n\nOne\nline. [Shop](https://shop.example) and <https://a.example>\n\n1. a\n2. b\n   - c\n\n> said\n\n"
        "| x | y |\n|---|---|\n| 1 | 2 |\n\n---\n\n    code\n\n<p>html &amp; more</p>"
    )
    assert render("x", f"{body}\n\n{LEAVE}", data()).text == (
        "Title\n\nOne\nline. Shop (https://shop.example) and https://a.example\n\n1. a\n2. b\n   - c\n\n> said\n\n"
        "x | y\n1 | 2\n\n----------\n\ncode\n\nhtml & more\n\n"
        f"Unsubscribe ({PREVIEW_UNSUBSCRIBE})\n"
    )


def test_merge_data_without_a_contact_knows_nothing_of_them() -> None:
    found = merge_data(tenant_row(), campaign_row(), None)
    assert found["contact"] == {
        "first_name": "",
        "last_name": "",
        "full_name": "",
        "email": "nobody@example.invalid",
        "phone_number": "",
    }


def tenant_row() -> TenantRow:
    return TenantRow(UUID(int=1), "Harrow & Finch", "Europe/London", "GB", None, None, 100, None)
