"""A template for many readers: their values, their links, their pixel; the layout around; bodies of three kinds."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.document import kind_of
from mail.layout import Layout, frame
from mail.render import contact_data
from mail.template import MOST_KEPT, BadTemplate, CannotRender, compile_template
from tests.mail.pages import body_of

OUT = "https://mail.example/u/1"
LEAVE = "[Unsubscribe]({{ unsubscribe_url }})"


def data(first_name: str = "Ada", **more: Any) -> dict[str, Any]:
    return {
        "contact": contact_data(first_name, "Lovelace", "ada@example.org", ""),
        "campaign": {"name": "Lamp Week"},
        "sender": {"name": "Harrow & Finch"},
        "unsubscribe_url": OUT,
    } | more


def hrefs(page: str) -> list[str]:
    return [element.get("href") for element in lxml.html.document_fromstring(page).iter("a")]


def tracked(url: str) -> str:
    return f"https://t.example/c?u={url[::-1]}&x=1"


# Values


def test_one_template_many_readers() -> None:
    template = compile_template("{{ contact.first_name }}!", f"Hello {{{{ contact.first_name }}}}\n\n{LEAVE}")
    for name in ("Ada", "Kit <b>", "健太", ""):
        mail = template.render(data(name))
        assert mail.subject == f"{name}!"
        assert mail.text == f"Hello {name}\n\nUnsubscribe ({OUT})\n"
        assert name.replace("<", "&lt;").replace(">", "&gt;") in body_of(mail.html)
    assert mail.blanks == ("contact.first_name",)


@given(st.text(max_size=40))
def test_branches_give_what_a_template_without_them_gives(name: str) -> None:
    branched = compile_template("x", "Hello{% if contact.email != '' %} *you*, {{ contact.first_name }}{% endif %}.")
    plain = compile_template("x", "Hello *you*, {{ contact.first_name }}.")
    one, other = branched.render(data(name)), plain.render(data(name))
    assert (one.html, one.text, one.blanks) == (other.html, other.text, other.blanks)


def test_each_way_through_the_branches_is_made_once() -> None:
    template = compile_template("x", "{% if contact.first_name == 'Ada' %}**one**{% else %}two{% endif %}")
    pages = [template.render(data(name)) for name in ("Ada", "Kit", "Ada", "Zoë")]
    assert "<strong>one</strong>" in pages[0].html
    assert pages[0]._document is pages[2]._document
    assert pages[1]._document is pages[3]._document


def test_no_more_ways_are_kept_than_memory_allows() -> None:
    template = compile_template("x", "{% for i in (1..contact.n) %}*a* {% endfor %}")
    for number in range(1, MOST_KEPT + 30):
        page = template.render({"contact": {"n": number}, "unsubscribe_url": OUT}).html
        assert body_of(page).count("<em>a</em>") == number
    assert len(template._documents) == MOST_KEPT


def test_threads_share_a_template() -> None:
    template = compile_template("{{ contact.first_name }}", "{% if contact.first_name contains '7' %}*{% endif %}x*")
    with ThreadPoolExecutor(4) as pool:
        mails = list(pool.map(lambda number: template.render(data(f"n{number}")), range(400)))
    assert [mail.subject for mail in mails] == [f"n{number}" for number in range(400)]


def test_what_fails_for_one_reader_is_a_sentence() -> None:
    template = compile_template("x", "{% for i in (1..contact.n) %}a{% endfor %}")
    with pytest.raises(CannotRender, match="do too much"):
        template.render({"contact": {"n": 10_000}, "unsubscribe_url": OUT})
    with pytest.raises(BadTemplate, match="can't be read"):
        compile_template("{{ contact.first_name", "x")
    with pytest.raises(CannotRender, match="none of the web"):
        template.render(data(unsubscribe_url="javascript:alert(1)"))


# Links

BODY = (
    "[a](https://shop.example/a?x=1&y=2) [again](https://shop.example/a?x=1&y=2) https://shop.example/bare "
    "[yours](https://shop.example/u/{{ contact.email }}) [mail](mailto:a@shop.example) [call](tel:+441134960123) "
    "<a href='http://shop.example/html'>html</a> ![image](https://shop.example/i.png)\n\n" + LEAVE
)
REWRITTEN = [
    "https://shop.example/a?x=1&y=2",
    "https://shop.example/bare",
    "https://shop.example/u/ada%40example.org",
    "http://shop.example/html",
]


@pytest.mark.parametrize("body", [BODY, f"<div>{BODY}</div>"], ids=["Markdown", "HTML"])
def test_every_link_of_the_web_is_rewritten_once_and_no_other(body: str) -> None:
    if body.startswith("<div>"):
        body = re.sub(r"!\[.*?\]\(.*?\)", "", body)
        body = re.sub(r"\[(.*?)\]\((.*?)\)", r"<a href='\2'>\1</a>", body)
        body = body.replace(
            " https://shop.example/bare ", " <a href='https://shop.example/bare'>https://shop.example/bare</a> "
        )
    asked: list[str] = []

    def link(url: str) -> str:
        asked.append(url)
        return tracked(url)

    mail = compile_template("x", body).render(data(), link)
    assert sorted(asked) == sorted(REWRITTEN)
    assert set(hrefs(mail.html)) == {*map(tracked, REWRITTEN), "mailto:a@shop.example", "tel:+441134960123", OUT}
    for url in map(tracked, REWRITTEN):
        assert url in mail.text
    assert "(mailto:a@shop.example)" in mail.text
    assert f"({OUT})" in mail.text
    for url in REWRITTEN:
        assert f"({url})" not in mail.text


def test_nothing_is_tracked_unless_asked() -> None:
    template = compile_template("x", BODY)
    mail = template.render(data())
    assert set(hrefs(mail.html)) == {*REWRITTEN, "mailto:a@shop.example", "tel:+441134960123", OUT}
    assert mail.html.count("<img") == 1
    # Nor does a reader who is tracked change what the next one gets.
    template.render(data(), tracked, "https://t.example/o")
    assert template.render(data()).html == mail.html
    assert template.render(data()).text == mail.text


def test_the_pixel_is_the_last_thing_and_only_in_the_html() -> None:
    for body in (BODY, "<p>a</p>", "<html><body>a</body></html>"):
        mail = compile_template("x", body).render(data(), pixel="https://t.example/o?a=1&b=2")
        (pixel,) = [
            image for image in lxml.html.document_fromstring(mail.html).iter("img") if image.get("width") == "1"
        ]
        assert pixel.get("src") == "https://t.example/o?a=1&b=2"
        assert mail.html.index("t.example/o") > mail.html.rindex("</a>")
        assert "t.example" not in mail.text


def test_a_link_cannot_break_out_of_its_attribute() -> None:
    page = compile_template("x", BODY).render(data(), lambda url: 'https://t.example/"><script>').html
    assert "<script>" not in page


# A way out, always


@pytest.mark.parametrize("body", ["Hello", "<p>Hello</p>", "<html><body><p>Hello</p></body></html>"])
def test_a_body_without_a_way_out_gets_one(body: str) -> None:
    mail = compile_template("x", body).render(data(), tracked)
    assert hrefs(mail.html) == [OUT]
    assert mail.text == f"Hello\n\n--\nUnsubscribe: {OUT}\n"
    assert not mail.about.own_way_out


@pytest.mark.parametrize("body", [
    f"Hello {LEAVE}", "<p>Hello <a href='{{ unsubscribe_url }}'>leave</a></p>",
    "<html><body><a href=\"{{unsubscribe_url}}\">leave</a></body></html>", "Hello {{ unsubscribe_url }}",
])  # fmt: skip
def test_a_body_with_a_way_out_gets_no_second_one(body: str) -> None:
    mail = compile_template("x", body).render(data(), tracked)
    assert hrefs(mail.html) == [OUT]
    assert mail.text.count(OUT) == 1


def test_a_way_out_in_one_branch_only_is_there_for_everybody() -> None:
    template = compile_template("x", "Hello{% if contact.first_name == 'Ada' %} " + LEAVE + "{% endif %}")
    assert hrefs(template.render(data("Ada")).html) == hrefs(template.render(data("Kit")).html) == [OUT]


@pytest.mark.parametrize("body", ["{}", "<p>{}</p>", "<html><body>{}</body></html>"])
def test_an_address_that_leads_nowhere_is_taken_out_and_told(body: str) -> None:
    page = (
        "<a href='/about'>a</a> <a href='#top'>b</a> <img src='cid:1' alt='c'> <img src='mailto:a@b.example' alt='d'>"
    )
    mail = compile_template("x", body.replace("{}", page)).render(data(), tracked)
    assert hrefs(mail.html) == [None, None, OUT]
    assert mail.about.refused == ("/about", "#top", "mailto:a@b.example"), "nh3 has no word on unknown schemes"
    assert "/about" not in mail.html + mail.text
    assert "src=" not in mail.html


def test_values_behind_our_own_address_stay_inside_it() -> None:
    page = compile_template("x", "[a]({{ unsubscribe_url }}?n={{ contact.first_name }})").render(data("a&b=c d")).html
    assert hrefs(page) == [f"{OUT}?n=a%26b%3Dc%20d"]


# Three kinds of bodies


@pytest.mark.parametrize(("body", "kind"), [
    ("Hello", "markdown"), ("<b>Hello</b> you", "markdown"), ("<div>a</div>\n\nand *more*", "markdown"),
    ("", "markdown"), ("<htmlish>", "markdown"), ("<https://a.example>", "markdown"),
    ("  <p>Hello</p>\n", "fragment"), ("<TABLE width=600><tr><td>a</table>", "fragment"),
    ("<h1>a</h1><p>b</p>", "fragment"), ("<!-- made by hand --><div>a</div>", "fragment"),
    ("<!doctype html><p>a", "document"), ("<HTML>a", "document"),
    ("<!-- a --> <!DOCTYPE HTML PUBLIC \"x\"><html>", "document"),
])  # fmt: skip
def test_what_a_body_is_written_in(body: str, kind: str) -> None:
    assert kind_of(body) == kind


def test_a_fragment_stands_in_the_layout_with_its_own_styles() -> None:
    mail = compile_template(
        "x",
        "<div style='color: #333; Position: fixed; padding: 4px'><p class='k' style='margin:0'>Hello "
        "{{ contact.first_name }}<br>line</p><table><tr><td width='50%'>left</td><td>right</td></tr></table></div>",
        layout=Layout("Harrow & Finch", "hello@harrow.example"),
    ).render(data("Ada & Co"))
    body = body_of(mail.html)
    assert '<div style="color:#333;padding:4px">' in body
    assert '<p style="margin:0 0 16px;margin:0">Hello Ada &amp; Co<br>line</p>' in body
    assert '<td width="50%">left</td>' in body
    assert mail.text == f"Hello Ada & Co\nline\n\nleft\nright\n\n--\nUnsubscribe: {OUT}\n"
    assert "Harrow &amp; Finch, hello@harrow.example" in mail.html


@pytest.mark.parametrize(("body", "dark"), [
    ("Hello [a](https://a.example)", True), ("<p>Hello <a href='https://a.example'>a</a></p>", True),
    ("<p style='color:#333'>a</p>", False), ("<p style='margin:0;background-color:#fff'>a</p>", False),
    ("<table><tr><td bgcolor='#ffffff'>a</td></tr></table>", False), ("Hello <font color='red'>you</font>", False),
])  # fmt: skip
def test_a_body_with_colours_of_its_own_stays_on_white(body: str, dark: bool) -> None:
    assert ("prefers-color-scheme" in compile_template("x", body).render(data()).html) is dark


def test_a_document_is_kept_with_what_is_harmless_of_its_style_sheet() -> None:
    mail = compile_template(
        "Lamps",
        """<!DOCTYPE html><html><head><title>Theirs</title>
        <!--[if mso]><style>.wide { width: 900px }</style><![endif]-->
        <style>
          @import url(https://evil.example/x.css); /* } */
          .card { color: #222; background: url(https://evil.example/x.png); Padding: 4px }
          @media (max-width: 480px) { .card { width: 100% !important } .x { position: fixed } }
          a:hover{color:red} @font-face { src: url(x) } p[onclick] { color: red }
        </style></head>
        <body style="background-color:#eee;behavior:url(x)" onload="x()">
        <div class="card">Hello {{ contact.first_name }} <img src="https://a.example/i.png" alt="a lamp"></div>
        </body></html>""",
    ).render(data())
    page = mail.html
    assert page.startswith("<!doctype html><html")
    assert "<title>Lamps</title>" in page
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert style[1].strip().split("\n") == [
        ".card{color:#222;padding:4px}",
        "@media (max-width: 480px){.card{width:100% !important}}",
        "a:hover{color:red}",
    ]
    assert '<body style="background-color:#eee">' in page
    assert '<div class="card">Hello Ada ' in page
    assert "sc-card" not in page
    assert mail.text.startswith("Hello Ada a lamp\n")


def test_a_data_table_in_html_is_read_as_a_table() -> None:
    mail = compile_template("x", "<table><tr><th>what</th><th>price</th></tr><tr><td>oak</td><td>10</td></tr></table>")
    assert mail.render(data()).text.startswith("what  price\noak   10\n")


# The layout


def test_the_layout_loads_nothing() -> None:
    for dark in (True, False):
        page = frame("en", dark=dark).around(subject="x", preheader="x", body="x", footer="x", pixel="")
        addresses = set(re.findall(r"(?:https?:)?//[a-z][^\s\"')]*", page))
        assert addresses == {"http://www.w3.org/1999/xhtml"}, "only the namespace"
        assert "<link" not in page
        assert "url(" not in page


def test_the_layout_fits_phones_and_dark_screens() -> None:
    page = (
        compile_template("x", "Hello ![a lamp](https://a.example/i.png)", layout=Layout(language="de"))
        .render(data())
        .html
    )
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page
    assert "max-width:600px" in page
    assert "@media (prefers-color-scheme: dark)" in page
    assert 'content="light dark"' in page
    assert '<html lang="de"' in page
    assert '<img src="https://a.example/i.png" alt="a lamp" style="max-width:100%' in page


@pytest.mark.parametrize("given_as", ["argument", "comment"])
def test_a_preheader_shows_behind_the_subject_only(given_as: str) -> None:
    words = "Eleven pieces for {{ contact.first_name }}"
    if given_as == "argument":
        template = compile_template("x", "Hello", preheader=words)
    else:
        template = compile_template("x", f"<!-- preheader:\n{words} -->\n\nHello")
    mail = template.render(data("A<b>"))
    assert re.search(r'<div style="display:none[^"]*">Eleven pieces for A&lt;b&gt;&#847;', mail.html)
    assert "Eleven" not in body_of(mail.html)
    assert "Eleven" not in mail.text


def test_the_line_of_an_error_counts_the_preheaders_lines() -> None:
    with pytest.raises(BadTemplate, match=r"\(line 4\)"):
        compile_template("x", "<!-- preheader: a\nb -->\n\n{% if %}")


def test_the_page_is_titled_by_the_subject() -> None:
    page = compile_template("For {{ contact.first_name }}", "x").render(data('"A" <b>')).html
    assert "<title>For &quot;A&quot; &lt;b&gt;</title>" in page


def test_the_postal_address_stands_in_both_parts() -> None:
    layout = Layout("Harrow", "a@b.example", postal_address="4 Finch Yard <x>")
    mail = compile_template("x", "Hello", layout=layout).render(data())
    assert "4 Finch Yard &lt;x&gt;<br>" in mail.html
    assert mail.text == f"Hello\n\n--\n4 Finch Yard <x>\nUnsubscribe: {OUT}\n"
