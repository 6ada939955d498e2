"""HTML that a person or a model wrote, made harmless: an allowlist of tags, attributes, addresses and styles.

nh3 parses and writes it anew, so what leaves has one reading only. What it can't judge, the values of styles and where
merge tags may stand, is judged here, inside its pass: nothing touches the page after it but escaped values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import nh3

from mail.merge import OWN

_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "center", "code", "del", "div", "em", "font", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "img", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
# Gone with all that is in them: their text was never meant to be read.
_TAGS_WITH_CONTENT = {
    "iframe", "math", "noembed", "noframes", "noscript", "object", "script", "select", "style", "svg", "template",
    "textarea", "title", "xmp",
}  # fmt: skip
_CELL = {"align", "valign", "width", "height", "bgcolor", "colspan", "rowspan", "style"}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"dir", "lang", "title"},
    "a": {"href", "style"},
    "img": {"src", "alt", "width", "height", "align", "border", "style"},
    "ol": {"start", "style"},
    "table": {"align", "bgcolor", "border", "cellpadding", "cellspacing", "role", "style", "width"},
    "td": _CELL, "th": _CELL, "tr": {"align", "valign", "bgcolor", "style"},
    "font": {"color", "face", "size"},
}  # fmt: skip
_ATTRIBUTES |= {tag: {"align", "style"} for tag in ("div", "p", "h1", "h2", "h3", "h4", "h5", "h6")}
_ATTRIBUTES |= {
    tag: {"style"}
    for tag in ("b", "blockquote", "em", "hr", "i", "li", "pre", "small", "span", "strong", "sub", "sup", "u", "ul")
}

# Those that lay out and colour text. None can cover the page (position), load (url), or do anything (behavior).
_PROPERTIES = {
    "background", "background-color", "border", "border-bottom", "border-collapse", "border-color", "border-left",
    "border-radius", "border-right", "border-spacing", "border-style", "border-top", "border-width", "clear", "color",
    "direction", "display", "float", "font", "font-family", "font-size", "font-style", "font-weight", "height",
    "letter-spacing", "line-height", "list-style", "list-style-type", "margin", "margin-bottom", "margin-left",
    "margin-right", "margin-top", "max-height", "max-width", "min-height", "min-width", "overflow", "overflow-wrap",
    "padding", "padding-bottom", "padding-left", "padding-right", "padding-top", "table-layout", "text-align",
    "text-decoration", "text-indent", "text-transform", "vertical-align", "white-space", "width", "word-break",
    "word-spacing",
}  # fmt: skip
# Words, numbers and colours. Without backslashes, brackets and colons a value has one reading in every client.
_VALUE = re.compile(r"(?:[\w\s#.,%+\-!'\"/]|\b(?:rgb|rgba|hsl|hsla)\([\d\s.,%/deg]*\))*", re.ASCII)
_SELECTOR = re.compile(r"[\w\s.#:,>*+~\-]+", re.ASCII)
_MEDIA = re.compile(r"@media[\w\s():,.\-]+", re.ASCII)

_SCHEMES = {"http", "https", "mailto", "tel"}
_ADDRESS = re.compile(r"https?://|mailto:|tel:", re.IGNORECASE)
LONGEST_STYLE = 50_000
LONGEST_ADDRESS = 2_000


@dataclass
class Cleaned:
    page: str
    refused: list[str] = field(default_factory=list)
    """Addresses of links and images that can't work in a mail, as they were written."""


def clean(page: str, mark: str, *, classes: bool = False) -> Cleaned:
    """The page with only what is harmless. Slots, which begin with `mark`, stay in texts and in a few attributes.

    `classes`: whether `class` stays, for pages that bring a style sheet of their own.
    """
    refused: list[str] = []

    def judged(_tag: str, attribute: str, value: str) -> str | None:
        if attribute in ("href", "src"):
            # A `judged` address is anchored, whatever nh3 and a client make of blanks before it.
            address = usable_address(value.strip(), mark)
            if address is None or (attribute == "src" and not address.lower().startswith("http")):
                refused.append(value)
                return None
            return address
        if mark in value and attribute not in ("alt", "title"):
            return None  # a value must not become a style, a size or a class
        return declarations(value) or None if attribute == "style" else value

    attributes = _ATTRIBUTES | ({"*": _ATTRIBUTES["*"] | {"class"}} if classes else {})
    page = nh3.clean(
        page, tags=_TAGS, clean_content_tags=_TAGS_WITH_CONTENT, attributes=attributes, attribute_filter=judged,
        url_schemes=_SCHEMES, url_relative="pass_through", link_rel=None, filter_style_properties=_PROPERTIES,
    )  # fmt: skip
    return Cleaned(re.sub(r"<p>\s*</p>\n?", "", page), refused)


def declarations(style: str) -> str:
    """The harmless ones of `a: b; c: d`."""
    kept = []
    for declaration in style[:LONGEST_STYLE].split(";"):
        name, _, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name in _PROPERTIES and value and _VALUE.fullmatch(value):
            kept.append(f"{name}:{value}")
    return ";".join(kept)


def style_sheet(css: str) -> str:
    """The harmless rules of a style sheet: plain selectors, and `@media` around them."""
    css = without_comments(css[:LONGEST_STYLE], "/*", "*/")
    rules, rest = [], css
    while "{" in rest:
        head, _, rest = rest.partition("{")
        head = head.rpartition(";")[2].strip()  # after @import .. ; and its like
        body, rest = _block(rest)
        if _MEDIA.fullmatch(head):
            inner = style_sheet(body)
            rules += [f"{head}{{{inner}}}"] if inner else []
        elif _SELECTOR.fullmatch(head) and "{" not in body:
            kept = declarations(body)
            rules += [f"{head}{{{kept}}}"] if kept else []
    return "\n".join(rules)


def without_comments(text: str, opening: str = "<!--", closing: str = "-->") -> str:
    """The text without comments; one that never closes takes the rest with it."""
    parts, rest = [], text
    while rest:
        before, found, rest = rest.partition(opening)
        parts.append(before)
        if found:
            rest = rest.partition(closing)[2]
    return "".join(parts)


def _block(css: str) -> tuple[str, str]:
    """(what is inside the block that `css` begins in, what follows it)."""
    depth = 1
    for brace in re.finditer(r"[{}]", css):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return css[: brace.start()], css[brace.end() :]
    return "", ""


def usable_address(address: str, mark: str) -> str | None:
    """The address, if a mail's reader can follow it: one of the web, mailto:, tel:, or one of our own."""
    if len(address) > LONGEST_ADDRESS or re.search(r"[\s<>\"\\]", address):
        return None
    if address.startswith(f"{mark}{OWN}"):
        return address
    if not _ADDRESS.match(address):
        return None
    # A value in the place of the host would let a contact choose where the link leads.
    host = re.match(r"https?://([^/?#\\]*)", address, re.IGNORECASE)
    return None if host and mark in host[1] else address
