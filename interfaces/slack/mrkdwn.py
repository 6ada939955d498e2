"""Markdown as Slack sets it, and what Slack sends as plain words.

Slack's own markup differs from Markdown, and three signs of it act: `<!channel>` calls everybody, `<@U..>` somebody,
and `<address|words>` hides where a link leads. Notes of contacts come through here, so everything from the text is
escaped, a link always shows its address, and all markup is made here (https://docs.slack.dev/messaging/formatting-message-text).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

# A section takes 3,000 characters; Slack asks for messages below 4,000 and cuts above 40,000.
LONGEST = 2_900

# A table up to this wide is set as one; a wider one would be broken on a phone.
WIDEST_TABLE = 76

# A longer address is shown and no link: a piece of a message must hold the whole of it.
LONGEST_LINK = 1_000

# What must not turn the text around, and what no text holds.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_READER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])

_SENT = re.compile(r"<([^<>]*)>")


def escape(text: str) -> str:
    """Text that Slack shows as it is."""
    return _UNPRINTABLE.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def from_markdown(text: str) -> str:
    """Markdown as mrkdwn. Nothing in it calls anybody."""
    return _blocks(SyntaxTreeNode(_READER.parse(text.replace("\r\n", "\n")))).strip("\n")


def split(text: str, longest: int = LONGEST) -> list[str]:
    """mrkdwn in pieces of at most `longest` characters, between lines where there are any; fences stay closed."""
    pieces: list[str] = []
    piece, fenced = "", False
    for line in _short_lines(text, longest - 8):
        more = len(line) + 1 + (4 if fenced else 0)
        if piece and len(piece) + more > longest:
            pieces.append(piece.rstrip("\n") + ("\n```" if fenced else ""))
            piece = "```\n" if fenced else ""
        piece += line + "\n"
        fenced ^= line.count("```") % 2 == 1
    if piece.strip():
        pieces.append(piece.rstrip("\n"))
    return pieces or [""]


def plain(text: str, bot: str | None = None) -> str:
    """What a person wrote, from the form in which Slack sends it; without the mention of the bot itself."""

    def words(found: re.Match[str]) -> str:
        inside, _, label = found[1].partition("|")
        if inside[:1] == "@":
            return "" if inside[1:] == bot else label or inside
        if inside[:1] in "#!":
            return label or inside[1:]
        if inside.startswith("mailto:"):
            return inside.removeprefix("mailto:")
        return inside

    said = _SENT.sub(words, text)
    return said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def _short_lines(text: str, longest: int) -> list[str]:
    """The lines, those that are too long cut between words, never inside an escaped sign or a link."""
    lines: list[str] = []
    for line in text.split("\n"):
        while len(line) > longest:
            cut = line.rfind(" ", longest // 2, longest)
            at = cut if cut > 0 else longest
            for opens, closes in (("&", ";"), ("<", ">")):
                begun = line.rfind(opens, 0, at)
                if begun > 0 and closes not in line[begun:at]:
                    at = begun
            lines.append(line[:at])
            line = line[at:].lstrip(" ")
        lines.append(line)
    return lines


def _blocks(node: SyntaxTreeNode) -> str:
    tight = node.type in ("list_item",)
    return ("\n" if tight else "\n\n").join(part for child in node.children if (part := _block(child)))


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "heading":
            return f"*{_inline(node).replace('*', '')}*"
        case "paragraph":
            return _inline(node)
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "blockquote":
            return "\n".join(f"> {line}" if line else ">" for line in _blocks(node).split("\n"))
        case "fence" | "code_block":
            return _fenced(node.content.rstrip("\n"))
        case "table":
            return _table(node)
        case "hr":
            return "———"
    return _inline(node) if node.children else escape(node.content)


def _list(node: SyntaxTreeNode) -> str:
    number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    lines = []
    for place, item in enumerate(node.children):
        mark = f"{number + place}. " if node.type == "ordered_list" else "• "
        first, *rest = _blocks(item).split("\n")
        lines += [mark + first, *(f"    {line}" for line in rest)]
    return "\n".join(lines)


def _table(node: SyntaxTreeNode) -> str:
    """Set in a fence when it is narrow, else a line for each row with the columns' names."""
    rows = [[_words(cell) for cell in row.children] for part in node.children for row in part.children]
    heads, *body = rows
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    if sum(widths) + 2 * len(widths) <= WIDEST_TABLE:
        set_rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines = [set_rows[0], "  ".join("-" * width for width in widths), *set_rows[1:]]
        return _fenced("\n".join(line.rstrip() for line in lines))
    return "\n".join(
        f"• *{escape(row[0]).replace('*', '')}*"
        + "".join(
            f"{':' if place == 1 else ';'} {escape(head)}: {escape(cell)}"
            for place, (head, cell) in enumerate(zip(heads, row, strict=True))
            if place and cell
        )
        for row in body
    )


def _fenced(text: str) -> str:
    # Three backticks inside would end it.
    return "```\n" + escape(text).replace("```", "`\u200b``") + "\n```"


def _inline(node: SyntaxTreeNode) -> str:
    return "".join(_span(child) for child in node.children)


def _span(node: SyntaxTreeNode) -> str:
    match node.type:
        case "text":
            return escape(node.content)
        case "softbreak" | "hardbreak":
            return "\n"
        case "strong":
            return _around("*", node)
        case "em":
            return _around("_", node)
        case "s":
            return _around("~", node)
        case "code_inline":
            return f"`{escape(node.content)}`"
        case "link":
            return _link(str(node.attrs.get("href", "")), _words(node))
        case "image":
            return _link(str(node.attrs.get("src", "")), node.content)
    return _inline(node) if node.children else escape(node.content)


def _around(mark: str, node: SyntaxTreeNode) -> str:
    inside = _inline(node)
    return f"{mark}{inside}{mark}" if inside.strip() == inside and inside else inside


def _link(address: str, words: str) -> str:
    """A link whose address can be seen; what is no web or mail address is no link."""
    shown = address.removeprefix("mailto:")
    if not _is_address(address) or len(address) > LONGEST_LINK:
        return escape(f"{words} ({shown})" if words != shown else words)
    safe = address.replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace("&", "&amp;")
    link = f"<{safe}>" if shown == address else f"<{safe}|{escape(shown).replace('|', '')}>"
    return link if words in (shown, address) else f"{escape(words)} ({link})"


def _is_address(address: str) -> bool:
    if address.startswith("mailto:"):
        return re.fullmatch(r"[\w.+-]+@[\w.-]+", address.removeprefix("mailto:")) is not None
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False


def _words(node: SyntaxTreeNode) -> str:
    """The text alone."""
    if node.type in ("text", "code_inline"):
        return node.content
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(_words(child) for child in node.children)
