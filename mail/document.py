"""One skeleton of a mail's body made into its two parts, HTML in the layout and plain text, cut at their slots.

A body is Markdown (in which HTML may stand), a fragment of HTML, or a whole HTML document; see `kind_of`.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Literal

from mail import cleaning, markdown
from mail.cleaning import declarations, style_sheet, without_comments
from mail.layout import STYLES, TABLE_STYLES, Layout, frame
from mail.merge import LONGEST_OUTPUT, OWN, VALUE, BadTemplate
from mail.pieces import IN_MAILTO, IN_URL, LINK, PIXEL, SUBJECT, Address, Pieces

Kind = Literal["markdown", "fragment", "document"]

# A body that begins with one of these, and ends with a tag, is HTML.
_BLOCKS = frozenset({
    "article", "blockquote", "body", "center", "div", "footer", "h1", "h2", "h3", "h4", "header", "main", "ol", "p",
    "section", "table", "ul",
})  # fmt: skip
# Beyond these, parsers that go back and forth, or over everything above, take seconds.
_MOST = {"[": (2_000, "square brackets"), "|": (10_000, "bars")}
DEEPEST = 500
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# nh3 writes every attribute in double quotes.
_TAG = re.compile(r'<(/?)([a-z0-9]+)((?:[^">]|"[^"]*")*)>')
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
_COLOURED = re.compile(r'style="(?:[^"]*;)?(?:color|background)|\b(?:bgcolor|color)="')


@dataclass(frozen=True)
class About:
    """What a check wants to know of a document."""

    kind: Kind
    links: tuple[str, ...]
    """Addresses of the web, in order; a merge tag in one is written as `{…}`."""
    refused: tuple[str, ...]
    """Addresses that can't work in a mail and were taken out."""
    images: int
    images_without_words: int
    own_way_out: bool
    """Whether the body itself has an unsubscribe link; else the footer got one."""


class Document:
    """The two parts of a mail, for all readers with the same skeleton. Raises `BadTemplate`."""

    def __init__(self, preheader: str, body: str, mark: str, layout: Layout, way_out: int) -> None:
        """`way_out`: the number of the value that is the unsubscribe address, for a body that has no link to it."""
        self._mark, self._layout = mark, layout
        self._addresses: dict[str, int] = {}
        self._refused: list[str] = []
        self._coloured = False
        body = _UNPRINTABLE.sub("", body)
        self.kind: Kind = kind_of(body)
        page, text = self._markdown(body) if self.kind == "markdown" else self._html(body)
        own_way_out = f'href="{mark}{OWN}' in page
        link_out = "" if own_way_out else f"{mark}{OWN}{way_out}z"
        whole = self._framed(page, preheader, link_out) if self.kind != "document" else self._kept(body, page, link_out)
        self.addresses = [Address(address, mark) for address in self._addresses]
        self.html = Pieces(_UNPRINTABLE.sub("", whole), mark, self.addresses, is_html=True)
        text = _UNPRINTABLE.sub("", text) + self._text_footer(link_out)
        self.text = Pieces(text, mark, self.addresses, is_html=False)
        images = [tag[3] for tag in _TAG.finditer(page) if tag[2] == "img"]
        self.about = About(
            kind=self.kind, links=tuple(self._readable(address) for address in self._addresses),
            refused=tuple(self._readable(address) for address in self._refused), images=len(images),
            images_without_words=sum(1 for image in images if not re.search(r'\balt="[^"]', image)),
            own_way_out=own_way_out,
        )  # fmt: skip

    # Bodies

    def _markdown(self, body: str) -> tuple[str, str]:
        for character, (most, name) in _MOST.items():
            if body.count(character) > most:
                raise BadTemplate(f"The mail has more than {most:,} {name}.")
        tokens = markdown.parse(body, self._mark)
        page, _ = self._cleaned(markdown.as_html(tokens), STYLES | TABLE_STYLES)
        text = markdown.as_text(tokens, lambda piece: self._read(piece).strip("\n"), self._in_text)
        return page, text

    def _html(self, body: str) -> tuple[str, str]:
        styles = {"img": STYLES["img"]} if self.kind == "document" else STYLES
        page, flat = self._cleaned(_inner(without_comments(body)), styles)
        return page, _as_text(flat)

    def _read(self, piece: str) -> str:
        return _as_text(self._cleaned(piece, {})[1])

    def _cleaned(self, page: str, styles: dict[str, str]) -> tuple[str, str]:
        """(the harmless page with its links as slots, the same for reading as text)"""
        _check_size(page)
        cleaned = cleaning.clean(page, self._mark, classes=self.kind == "document")
        self._refused += [address for address in cleaned.refused if address not in self._refused]
        self._coloured = self._coloured or _COLOURED.search(cleaned.page) is not None
        return self._dressed(cleaned.page, styles)

    def _dressed(self, page: str, styles: dict[str, str]) -> tuple[str, str]:
        dressed: list[str] = []
        flat: list[str] = []
        href, said, end = "", 0, 0
        data_table = "<th" in page
        for tag in _TAG.finditer(page):
            text = page[end : tag.start()]
            dressed.append(text)
            flat.append(text)
            end = tag.end()
            closing, name, attributes = tag.groups()
            if closing:
                dressed.append(tag[0])
            else:
                found = dict(_ATTRIBUTE.findall(attributes))
                if "href" in found:
                    href, said = html.unescape(found["href"]), len(flat)
                dressed.append(self._tag(name, found, styles))
                if name == "img":
                    flat.append(found.get("alt", ""))
            if closing and name == "a" and href:
                words = html.unescape(re.sub(r"<[^>]*>", "", "".join(flat[said:]))).strip()
                flat[said:] = [html.escape(markdown.with_address(words, href, self._in_text))]
                href = ""
            elif name in ("table", "tbody", "thead", "tfoot", "tr", "td", "th") and not data_table:
                # A table without headings is layout: its cells are read one after the other.
                flat.append(f"<{closing}div>")
            elif name != "img":
                flat.append(f"<{closing}{name}>")
        dressed.append(page[end:])
        flat.append(page[end:])
        return "".join(dressed), "".join(flat)

    def _tag(self, name: str, attributes: dict[str, str], styles: dict[str, str]) -> str:
        own = attributes.get("style", "")
        style = ";".join(part for part in (styles.get(name, ""), own) if part)
        written = dict(attributes)
        if style:
            written["style"] = style
        if name == "img":
            written.setdefault("alt", "")
        for place in ("href", "src"):
            if place in written:
                written[place] = self._in_attribute(html.unescape(written[place]), is_link=place == "href")
        attributes_written = [f'{key}="{value}"' for key, value in written.items()]
        return f"<{' '.join([name, *attributes_written])}>"

    # Addresses

    def _in_attribute(self, address: str, *, is_link: bool) -> str:
        if is_link and self._is_ours_to_rewrite(address):
            return self._link(address)
        kind = IN_MAILTO if address.lower().startswith(("mailto:", "tel:")) else IN_URL
        own, rest = "", address
        if address.startswith(self._mark + OWN):
            own, end, rest = address.partition("z")
            own += end
        return html.escape(own + re.sub(rf"{self._mark}[{VALUE}{OWN}](\d+)z", rf"{self._mark}{kind}\1z", rest))

    def _in_text(self, address: str) -> str:
        """How the plain text writes an address, or "" for one that leads nowhere."""
        usable = cleaning.usable_address(address, self._mark)
        if usable is None:
            self._refused += [address] if address not in self._refused else []
            return ""
        return self._link(usable) if self._is_ours_to_rewrite(usable) else usable

    def _is_ours_to_rewrite(self, address: str) -> bool:
        return address.lower().startswith(("http://", "https://"))

    def _link(self, address: str) -> str:
        number = self._addresses.setdefault(address, len(self._addresses))
        return f"{self._mark}{LINK}{number}z"

    def _readable(self, address: str) -> str:
        return re.sub(rf"{self._mark}[a-z]\d+z", "{…}", address)

    # Frames

    def _framed(self, page: str, preheader: str, link_out: str) -> str:
        # Text in a colour of its own, chosen for white paper, could vanish on a dark page.
        return frame(self._layout.language, dark=not self._coloured).around(
            subject=f"{self._mark}{SUBJECT}0z", preheader=_preheader(preheader), body=page,
            footer=self._footer(link_out), pixel=f"{self._mark}{PIXEL}0z",
        )  # fmt: skip

    def _kept(self, body: str, page: str, link_out: str) -> str:
        """A document as it was written, with the style sheets, classes and body of its own."""
        bare = without_comments(body)
        css = "\n".join(style_sheet(css) for css in _between(bare, "<style", "</style"))
        css = "" if self._mark in css else css
        own = _ATTRIBUTE.search(_opening(bare, "<body", "style"))
        style = declarations(html.unescape(own[2])) if own and self._mark not in own[2] else ""
        footer = f'<p style="text-align:center;font-size:13px">{self._footer(link_out)}</p>' if link_out else ""
        return (
            f'<!doctype html><html lang="{html.escape(self._layout.language)}"><head>'
            '<meta http-equiv="Content-Type" content="text/html; charset=UTF-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{self._mark}{SUBJECT}0z</title><style>\n{css}\n</style></head>"
            f'<body style="{html.escape(style)}">{page}'
            f"{footer}{self._mark}{PIXEL}0z</body></html>"
        )

    def _footer(self, link_out: str) -> str:
        layout = self._layout
        sender = ", ".join(html.escape(text) for text in (layout.sender, layout.sender_email) if text)
        lines = [sender, html.escape(layout.postal_address)]
        if link_out:
            lines.append(f'<a href="{link_out}" style="color:#62625d">Unsubscribe</a>')
        return "<br>".join(line for line in lines if line)

    def _text_footer(self, link_out: str) -> str:
        lines = [self._layout.postal_address, f"Unsubscribe: {link_out}" if link_out else ""]
        footer = "\n".join(line for line in lines if line)
        return f"\n--\n{footer}\n" if footer else ""


def kind_of(body: str) -> Kind:
    """What a body is written in.

    A document begins with `<!doctype html>` or `<html`; a fragment begins with the tag of a block and ends with a tag;
    everything else is Markdown. Blanks and comments at the beginning do not count.
    """
    bare = without_comments(body[:20_000]).lstrip() if body.lstrip().startswith("<!--") else body.lstrip()
    opening = re.match(r"<(!doctype\s+html|[a-z][a-z0-9]*)\b", bare, re.IGNORECASE)
    name = opening[1].lower() if opening else ""
    if name.startswith("!doctype") or name == "html":
        return "document"
    return "fragment" if name in _BLOCKS and body.rstrip().endswith(">") else "markdown"


def _check_size(page: str) -> None:
    if len(page) > LONGEST_OUTPUT:
        raise BadTemplate(f"The mail is more than {LONGEST_OUTPUT // 1000} kB of HTML.")
    depth = 0
    for closing, name in re.findall(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)", page):
        if name.lower() not in _VOID:
            depth += -1 if closing else 1
        if depth > DEEPEST:
            raise BadTemplate(f"The mail's HTML has more than {DEEPEST} tags inside each other, or unclosed.")


# What clients show behind the subject goes on with the body, unless blanks follow it.
_PADDING = "&#847;&zwnj;&nbsp;" * 80


def _preheader(text: str) -> str:
    return html.escape(text) + _PADDING if text else ""


def _as_text(page: str) -> str:
    # With lxml, a tenth of a second to import: only mails with HTML in them wait for it.
    from inscriptis import get_text
    from inscriptis.css_profiles import CSS_PROFILES
    from inscriptis.model.config import ParserConfig

    try:
        text = get_text(page, ParserConfig(css=CSS_PROFILES["strict"]))
    except (RecursionError, ValueError):
        # A page nested by the thousand: its words in their order.
        text = html.unescape(re.sub(r"<[^>]*>", "\n", page))
    text = re.sub(r"[ \t\xa0]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n" if text.strip() else ""


# These read with str.find: regular expressions go over an unclosed tag again from every one before it.


def _between(page: str, opening: str, closing: str) -> list[str]:
    """The contents of every such element."""
    lowered, found, at = page.lower(), [], 0
    while (start := lowered.find(opening, at)) >= 0:
        begin = lowered.find(">", start)
        end = lowered.find(closing, begin)
        if begin < 0 or end < 0:
            break
        found.append(page[begin + 1 : end])
        at = end
    return found


def _opening(page: str, opening: str, attribute: str) -> str:
    """One attribute of the first such tag, as `name="value"`, or nothing."""
    start = page.lower().find(opening)
    tag = page[start : page.find(">", start) + 1] if start >= 0 else ""
    found = re.search(rf"""\b{attribute}\s*=\s*(?:"([^"]*)"|'([^']*)')""", tag, re.IGNORECASE)
    return f'{attribute}="{html.escape(html.unescape(found[1] or found[2] or ""))}"' if found else ""


def _inner(page: str) -> str:
    """What is between `<body>` and its end, if there is one; nh3 leaves out the head's title and style sheets."""
    lowered = page.lower()
    start = lowered.find("<body")
    begin = lowered.find(">", start) + 1 if start >= 0 else 0
    end = lowered.rfind("</body")
    return page[begin : end if end >= begin else len(page)]
