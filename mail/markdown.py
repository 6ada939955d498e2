"""Markdown, in which slots of merge tags stand, as HTML and as plain text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.token import Token

from mail.merge import OWN

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
_URL = r"https?://[^\s<>()\[\]\"']*[^\s<>()\[\]\"'.,;:!?]"
_HTML_LINK = re.compile(r"<a\s[^>]*?\bhref\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)

# What a piece of HTML inside Markdown reads as in plain text; and how the address of a link is written there.
ReadHtml = Callable[[str], str]
WriteAddress = Callable[[str], str]


def parse(source: str, mark: str) -> list[Token]:
    """The document's tokens; bare addresses, and slots of our own ones, are links."""
    link = re.compile(rf"{_URL}|{mark}{OWN}\d+z")
    tokens = _MARKDOWN.parse(source)
    for token in tokens:
        if token.children:
            token.children = _linked(token.children, link)
    return tokens


def as_html(tokens: list[Token]) -> str:
    """The document as HTML, not cleaned."""
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _linked(tokens: list[Token], link: re.Pattern[str]) -> list[Token]:
    out: list[Token] = []
    inside = 0
    for token in tokens:
        inside += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type != "text" or inside:
            out.append(token)
            continue
        end = 0
        for found in link.finditer(token.content):
            out += [
                _text(token.content[end : found.start()]),
                Token("link_open", "a", 1, attrs={"href": found[0]}),
                _text(found[0]),
                Token("link_close", "a", -1),
            ]
            end = found.end()
        out.append(_text(token.content[end:]))
    return out


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def as_text(tokens: list[Token], read_html: ReadHtml, write_address: WriteAddress) -> str:
    """The document as plain text: links with their address behind them, lists with their marks."""
    page = _Page()
    numbers: list[int | None] = []
    row: list[str] | None = None
    for token in tokens:
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                page.joined = page.joined and bool(numbers)
                numbers.append(None if token.type.startswith("bullet") else int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                numbers.pop()
                page.joined = page.joined and bool(numbers)
            case "list_item_open":
                number = numbers[-1]
                mark = "- " if number is None else f"{number}. "
                numbers[-1] = None if number is None else number + 1
                page.indents.append([mark, " " * len(mark)])
            case "blockquote_open":
                page.indents.append(["> ", "> "])
            case "list_item_close" | "blockquote_close":
                page.indents.pop()
            case "paragraph_open":
                page.joined = page.joined and token.hidden
            case "paragraph_close":
                # Hidden paragraphs are those of a list without blank lines between its items.
                page.joined = token.hidden
            case "tr_open":
                row = []
            case "tr_close":
                page.add(" | ".join(row or []))
                row, page.joined = None, True
            case "inline" if row is not None:
                row.append(_line(token, write_address))
            case "inline":
                page.add(_line(token, write_address))
            case "heading_open" | "table_open" | "table_close":
                page.joined = False
            case "fence" | "code_block":
                page.joined = False
                page.add(token.content.rstrip("\n"))
            case "hr":
                page.joined = False
                page.add("-" * 10)
            case "html_block":
                page.joined = False
                page.add(read_html(token.content))
            case _:
                pass
    return "\n\n".join(page.blocks) + "\n" if page.blocks else ""


class _Page:
    """Plain text under way."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.indents: list[list[str]] = []
        """For every list item and quotation around: what its next line begins with, and all after that."""
        self.joined = False
        """Whether the next block follows the last one without an empty line."""

    def add(self, text: str) -> None:
        if not text.strip():
            return
        lines = []
        for line in text.split("\n"):
            lines.append(("".join(first for first, _ in self.indents) + line).rstrip())
            for indent in self.indents:
                indent[0] = indent[1]
        block = "\n".join(lines)
        if self.joined and self.blocks:
            self.blocks[-1] += "\n" + block
        else:
            self.blocks.append(block)


def _line(inline: Token, write_address: WriteAddress) -> str:
    """One paragraph's text."""
    parts: list[str] = []
    href, start = "", 0
    for token in inline.children or []:
        match token.type:
            case "text" | "code_inline":
                parts.append(token.content)
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(token.content)
            case "link_open":
                href, start = str(token.attrs.get("href", "")), len(parts)
            case "link_close":
                said = "".join(parts[start:]).strip()
                parts[start:], href = [with_address(said, href, write_address)], ""
            case "html_inline" if found := _HTML_LINK.match(token.content):
                href, start = html.unescape(found[1].strip("\"'")), len(parts)
            case "html_inline" if re.match(r"</a\b", token.content, re.IGNORECASE) and href:
                said = "".join(parts[start:]).strip()
                parts[start:], href = [with_address(said, href, write_address)], ""
            case "html_inline" if re.match(r"<br\b", token.content, re.IGNORECASE):
                parts.append("\n")
            case _:
                pass  # emphasis and other HTML have no form in plain text
    return "".join(parts)


def with_address(said: str, href: str, write_address: WriteAddress) -> str:
    """A link in plain text: its words and where it leads, or the address alone when it is the words."""
    written = write_address(href) if href else ""
    if not written or href.removeprefix("mailto:") == said:
        return written.removeprefix("mailto:") or said
    return f"{said} ({written})" if said else written
