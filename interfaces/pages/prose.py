"""Markdown of answers as HTML that can do nothing: parsed without raw HTML, then cleaned by an allowlist."""

from __future__ import annotations

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")

# No images: a page loads nothing from elsewhere. Their text stays.
_TAGS = {
    "a", "blockquote", "br", "code", "div", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip

# markdown-it writes the alignment of columns as a style, which the pages' policy forbids.
_ALIGNED = re.compile(r'<(t[hd]) style="text-align:(right|center|left)">')
_HEADING = re.compile(r"<(/?)h([1-6])>")
_IMAGE = re.compile(r'<img [^>]*?alt="([^"]*)"[^>]*>')


@lru_cache(maxsize=512)
def as_html(text: str) -> Markup:
    """The text as HTML: links lead to the web or to a mail only, tables can be scrolled, headings begin at h2."""
    html = str(_MARKDOWN.render(text))
    html = _ALIGNED.sub(r'<\1 align="\2">', html)
    html = _HEADING.sub(lambda found: f"<{found[1]}h{min(6, int(found[2]) + 1)}>", html)
    html = _IMAGE.sub(r"\1", html)
    html = html.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")
    html = nh3.clean(
        html, tags=_TAGS, attributes={"a": {"href"}, "th": {"align"}, "td": {"align"}, "ol": {"start"}},
        allowed_classes={"div": {"scroll"}}, url_schemes={"http", "https", "mailto"}, link_rel="noopener noreferrer",
    )  # fmt: skip
    # A box that can be scrolled must be reachable by keyboard; what it is called is for screen readers.
    html = html.replace('<div class="scroll">', '<div class="scroll" tabindex="0" role="region" aria-label="Table">')
    return Markup(html)  # noqa: S704  # it was cleaned on the line before


def in_plain_words(text: str, longest: int = 300) -> str:
    """The beginning of the text without marks, for screen readers."""
    plain = re.sub(r"[*`>#|]+|-{3,}", " ", text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= longest else plain[:longest].rsplit(" ", 1)[0] + " …"
