"""No draft and no contact's name puts anything active into a mail, however the draft is written.

Every result is parsed by libxml2, which mends broken HTML in other ways than the parser that cleaned it.
"""

from __future__ import annotations

import re
from typing import Any

import lxml.html
import pytest

from mail.layout import frame
from mail.render import contact_data, render
from mail.template import compile_template
from tests.mail.attacks import ALL

WAYS = {
    "Markdown": "Hello\n\n{}\n\nGoodbye",
    "Markdown, in a line": "Hello {} and goodbye",
    "a list item": "- Hello {}",
    "a fragment of HTML": "<div><p>Hello</p>{}</div>",
    "a whole document": "<!doctype html><html><head><title>a</title>{}</head><body class='a'>{}</body></html>",
    "a document's style sheet": "<html><head><style>p{{color:red}} {}</style></head><body>a</body></html>",
}
NAMES = [
    "Ada",
    'x" onmouseover="alert(1)',
    "javascript:alert(1)",
    "<img src=x onerror=alert(1)>",
    "red;}p{position:fixed",
]

TAGS = {
    "a", "abbr", "b", "blockquote", "body", "br", "center", "code", "del", "div", "em", "font", "h1", "h2",
    "h3", "h4", "h5", "h6", "head", "hr", "html", "i", "img", "li", "meta", "ol", "p", "pre", "s", "small",
    "span", "strong", "style", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "title", "tr", "u",
    "ul",
}  # fmt: skip
ATTRIBUTES = {
    "align", "alt", "aria-label", "aria-roledescription", "bgcolor", "border", "cellpadding", "cellspacing",
    "class", "color", "colspan", "content", "dir", "face", "height", "href", "http-equiv", "lang", "media",
    "name", "role", "rowspan", "size", "src", "start", "style", "title", "type", "valign", "width", "xmlns",
}  # fmt: skip
FRAMES = [
    frame("und", dark=dark).around(subject="", preheader="", body="", footer="", pixel="") for dark in (True, False)
]
OUR_STYLES = [block for page in FRAMES for block in re.findall(r"<style[^>]*>(.*?)</style>", page, re.DOTALL)]
OUR_COMMENTS = {comment for page in FRAMES for comment in re.findall(r"<!--(.*?)-->", page, re.DOTALL)}


def active_content(page: str) -> list[str]:
    """What a mail program could run, load, or send: everything that is not on the lists."""
    found = []
    tree = lxml.html.document_fromstring(page)
    for element in tree.iter():
        if not isinstance(element.tag, str):
            found += [] if element.text in OUR_COMMENTS else [f"a comment: {element.text}"]
            continue
        if element.tag not in TAGS:
            found.append(f"<{element.tag}>")
        for name, value in element.attrib.items():
            if name not in ATTRIBUTES and not name.startswith("xmlns:"):
                found.append(f"{name}={value}")
            if name in ("href", "src") and not re.match(
                r"https?://[a-z0-9.-]+[/?#]|https?://[a-z0-9.-]+$|mailto:|tel:", value
            ):
                found.append(f"{name}={value}")
            if name == "style" and re.search(
                r"url\(|expression|\\|position|behavio|binding|@|[{}<]", value, re.IGNORECASE
            ):
                found.append(f"style={value}")
            if name == "http-equiv" and value not in ("X-UA-Compatible", "Content-Type"):
                found.append(f"http-equiv={value}")
        if element.tag == "style" and element.text not in OUR_STYLES and re.search(
            r"url|expression|\\|position|@(?!media)|<|behavio|binding|alert", element.text or "", re.IGNORECASE
        ):  # fmt: skip
            found.append(f"<style>{element.text}")
    return found


def reader(name: str) -> dict[str, Any]:
    return {
        "contact": contact_data(name, name, "ada@example.org", name),
        "campaign": {"name": name},
        "unsubscribe_url": "https://u.example/1",
    }


def test_the_check_sees_what_is_active() -> None:
    for page in (
        "<p>a</p><script>alert(1)</script>", "<p onclick='x'>a</p>", "<a href='javascript:1'>a</a>", "<svg></svg>",
        "<p style='width:expression(1)'>a</p>", "<style>p{background:url(x)}</style>", "<form></form>",
        "<img src='/x'>", "<!-- a -->", "<a href='https://evil\"x/'>a</a>", "<meta http-equiv='refresh' content='0'>",
    ):  # fmt: skip
        assert active_content(f"<html><body>{page}</body></html>"), page


def test_there_are_enough_attacks() -> None:
    assert len(set(ALL)) >= 100


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attack", ALL)
def test_a_draft_holds_nothing_active(attack: str, way: str) -> None:
    template = compile_template("x", WAYS[way].replace("{}", attack).replace("{{color:red}}", "{color:red}"))
    for name in NAMES if "{{" in attack else NAMES[:1]:
        rendered = template.render(reader(name), lambda url: url, "https://t.example/o")
        assert active_content(rendered.html) == [], rendered.html
        assert "\x00" not in rendered.html + rendered.text


# Every place where a value may be put, and some where it may not.
PLACES = (
    "Hello {{ contact.first_name }}, **{{ contact.last_name | upcase }}**\n\n# {{ contact.full_name }}\n\n"
    "[{{ contact.first_name }}](https://shop.example/{{ contact.first_name }}?a={{ contact.last_name }}) "
    "![{{ contact.first_name }}](https://shop.example/{{ contact.first_name }}.png '{{ contact.first_name }}') "
    "<b title='{{ contact.first_name }}'>x</b> [mail](mailto:{{ contact.first_name }}) `{{ contact.first_name }}`\n\n"
    "{% if contact.email contains 'ada' %}<div title=\"{{ contact.first_name }}\">{{ contact.phone_number }}</div>"
    "{% endif %}\n\n| {{ contact.first_name }} |\n|---|\n| {{ contact.first_name }} |\n"
)


@pytest.mark.parametrize("body", [PLACES, f"<div>{PLACES}</div>", f"<html><body>{PLACES}</body></html>"],
                         ids=["Markdown", "a fragment", "a document"])  # fmt: skip
@pytest.mark.parametrize("attack", ALL)
def test_a_value_is_text_wherever_it_stands(attack: str, body: str) -> None:
    rendered = compile_template("{{ contact.first_name }}", body, preheader="{{ contact.first_name }}").render(
        reader(attack)
    )
    assert active_content(rendered.html) == [], rendered.html
    harmless = compile_template("{{ contact.first_name }}", body, preheader="{{ contact.first_name }}").render(
        reader("a")
    )
    assert _shape(rendered.html) == _shape(harmless.html), "the same elements, whatever the name"


def _shape(page: str) -> list[tuple[str, list[str]]]:
    tree = lxml.html.document_fromstring(page)
    return [(element.tag, sorted(element.attrib)) for element in tree.iter() if isinstance(element.tag, str)]


def test_links_of_a_value_stay_where_the_template_put_them() -> None:
    body = "[a](https://shop.example/x/{{ contact.first_name }}) [b](mailto:{{ contact.first_name }}?subject=x)"
    page = render("x", body, reader("../../@evil.example/?a#b&c")).html
    assert 'href="https://shop.example/x/..%2F..%2F%40evil.example%2F%3Fa%23b%26c"' in page
    assert 'href="mailto:..%2F..%2F@evil.example%2F%3Fa%23b%26c?subject=x"' in page
