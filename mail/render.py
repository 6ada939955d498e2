"""From a mail as it is written (Markdown with Liquid merge tags) to a mail as one person reads it.

Merge values never meet the Markdown parser: the Liquid step puts a slot in their place, and the slots are filled in the
parsed document. So a contact called `[x](javascript:1)` or `<img onerror=..>` is text, whatever the template does.
What a template may do is little, and bounded: a mail needs a name with a default and perhaps an `if`.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import TextIO
from urllib.parse import quote

import nh3
from liquid import Environment, RenderContext
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError, OutputStreamLimitError, ResourceLimitError
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.token import Token as LiquidToken
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rapidfuzz import fuzz, process

from db.campaigns import CampaignRow
from db.contacts import ContactRow
from db.tenants import TenantRow

# Until unsubscribe links are signed for each recipient; `.invalid` can never be anybody's (RFC 2606).
PREVIEW_UNSUBSCRIBE = "https://unsubscribe.invalid/preview"

# Gmail cuts a mail off behind this much HTML, and with it the unsubscribe link.
GMAIL_CLIPS_AT = 102_000

LONGEST_SOURCE = 120_000
LONGEST_OUTPUT = 400_000
LONGEST_SUBJECT = 255
LONGEST_TAG = 1_000
MOST_TAGS = 500
MOST_ROUNDS = 500
MOST_STEPS = 20_000

TAGS = frozenset({"if", "unless", "case", "for", "break", "continue", "assign", "comment", "#"})
# None that can make a long text of a short one many times over, and none that asks the host's clock.
FILTERS = frozenset({
    "append", "capitalize", "default", "downcase", "lstrip", "prepend", "rstrip", "squish", "strip", "truncate",
    "truncatewords", "upcase",
})  # fmt: skip

_ALLOWED_HTML = {
    "a", "abbr", "b", "blockquote", "br", "center", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td",
    "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ALLOWED_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
}
_SCHEMES = {"http", "https", "mailto", "tel"}
_URL = r"https?://[^\s<>()\[\]\"']*[^\s<>()\[\]\"'.,;:!?]"


@dataclass(frozen=True)
class Rendered:
    """One mail for one reader, and what is to be said about it."""

    subject: str
    text: str
    html: str
    blanks: tuple[str, ...] = ()
    """Merge tags that left a hole: nothing is known there, and the tag has no default."""
    unknown_tags: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """Sentences. With any, subject and text are the source as it is written: such a mail must not be sent."""
    missing_unsubscribe: bool = False
    hints: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the HTML part."""
        return len(self.html.encode())

    @property
    def warnings(self) -> list[str]:
        """All of it as sentences."""
        said = [*self.errors, *self.hints]
        said += [
            f"Nothing is known for {blank}, and it has no default: the mail has a hole there." for blank in self.blanks
        ]
        if self.missing_unsubscribe and not self.errors:
            said.append("There is no way to unsubscribe in it. Put {{ unsubscribe_url }} at its end.")
        if self.size > GMAIL_CLIPS_AT:
            said.append(f"It is {self.size / 1000:,.0f} kB long; Gmail cuts mails off after 102 kB. Make it shorter.")
        return said


def merge_data(
    tenant: TenantRow, campaign: CampaignRow, contact: ContactRow | None, unsubscribe_url: str = PREVIEW_UNSUBSCRIBE
) -> dict[str, object]:
    """What merge tags may say about a reader; without a contact, one of whom nothing is known.

    A contact's note and tags, and a campaign's description, are the sender's own business: no tag reaches them.
    """
    start = campaign.start_date
    return {
        "contact": {
            "first_name": (contact and contact.first_name) or "",
            "last_name": (contact and contact.last_name) or "",
            "full_name": contact.full_name if contact else "",
            "email": contact.email if contact else "nobody@example.invalid",
            "phone_number": (contact and contact.phone_number) or "",
        },
        "campaign": {"name": campaign.name, "start_date": f"{start.day} {start:%B %Y}" if start else ""},
        "tenant": {"name": tenant.name},
        "sender": {"name": tenant.sender_name or tenant.name, "email": tenant.sender_email or ""},
        "unsubscribe_url": unsubscribe_url,
    }


def render(subject: str, body: str, data: Mapping[str, object]) -> Rendered:
    """The mail as the reader of `data` sees it. Never raises for what a template holds: see `Rendered.errors`."""
    slots = _Slots()
    unknown: dict[str, None] = {}
    try:
        filled_subject = slots.fill(_merge(subject, data, slots, unknown))
        document = _parse(_merge(body, data, slots, unknown), slots)
    except _BadTemplate as error:
        shown = body[:LONGEST_SOURCE]
        return Rendered(
            subject=one_line(subject), text=shown, html=f"<pre>{html.escape(shown)}</pre>", errors=(str(error),)
        )  # fmt: skip
    page = _clean(_MARKDOWN.renderer.render(document, _MARKDOWN.options, {}))
    text = _plain(document)
    url = str(data.get("unsubscribe_url", ""))
    return Rendered(
        subject=one_line(filled_subject), text=text, html=page, blanks=tuple(slots.blanks), unknown_tags=tuple(unknown),
        hints=tuple(_about_unknown(tag, data) for tag in unknown),
        missing_unsubscribe=not url or (url not in text and html.escape(url) not in page),
    )  # fmt: skip


def one_line(text: str) -> str:
    """A subject: one line whatever comes in, so that no header can follow it; at most 255 characters."""
    # split() also takes U+2028, U+0085 and their kind; what is left of the control characters shows nowhere.
    line = " ".join(text.split())
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", line)[:LONGEST_SUBJECT]


# Liquid


class _BadTemplate(ValueError):
    """The template can't be rendered; the text is a sentence that says why."""


class _Slots:
    """Where merge values will stand. A slot is one word of letters and digits, which Markdown leaves alone."""

    def __init__(self) -> None:
        # Random, so that no text can hold one.
        self._mark = f"m{secrets.token_hex(8)}n"
        self._values: list[str] = []
        self._urls: list[int] = []
        self._size = 0
        self._slot = re.compile(rf"{self._mark}(\d+)z")
        self.blanks: dict[str, None] = {}

    def put(self, value: str, *, is_url: bool) -> str:
        """Keep `value`, and return the slot that stands for it."""
        # A value is a piece of a line: it can't begin a new one, in the text part either.
        value = re.sub(r"[\x00-\x1f\x7f]", "", " ".join(value.split()) if value.strip() else value.strip())
        self._size += len(value)
        if self._size > LONGEST_OUTPUT:
            raise OutputStreamLimitError("too much output", token=None)
        if is_url:
            self._urls.append(len(self._values))
        self._values.append(value)
        return f"{self._mark}{len(self._values) - 1}z"

    def fill(self, text: str, write: Callable[[str], str] = str) -> str:
        """`text` with every slot replaced by its value as `write` writes it."""
        return self._slot.sub(lambda slot: write(self._values[int(slot[1])]), text)

    def fill_url(self, url: str) -> str:
        """The same in an address: only our own addresses are whole addresses, other values are parts of one."""

        def write(slot: re.Match[str]) -> str:
            value, whole = self._values[int(slot[1])], int(slot[1]) in self._urls and slot.start() == 0
            return value if whole else quote(value, safe="")

        return self._slot.sub(write, url)

    @property
    def link(self) -> re.Pattern[str]:
        """What becomes a link where it stands bare in the text."""
        slots = "".join(rf"|{self._mark}{place}z" for place in self._urls)
        return re.compile(f"{_URL}{slots}")


class _Context(RenderContext):
    """Counts what a template does; loops of loops of long filter chains end here."""

    __slots__ = ("slots", "steps")
    slots: _Slots
    steps: int

    def get(self, path: list[object], *, token: LiquidToken | None, default: object = None) -> object:
        self._step()
        if path[:1] in (["now"], ["today"]) and path[0] not in self.locals:
            return ""  # the host's clock, in no zone that anybody named
        return super().get(path, token=token) if default is None else super().get(path, token=token, default=default)

    def filter(self, name: str, token: LiquidToken | None) -> Callable[..., object]:
        self._step()
        return super().filter(name, token)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise ResourceLimitError("too many steps", token=None)


class _ValueNode(OutputNode):
    """`{{ .. }}`: writes a slot, and notes when it has nothing to say."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, _Context)
        value = self.expression.evaluate(context)
        text = "" if isinstance(value, Mapping) else to_liquid_string(value, False)
        expression = self.expression
        source = str(expression.left) if isinstance(expression, FilteredExpression) else str(expression)
        if not text.strip() and isinstance(getattr(expression, "left", None), Path):
            context.slots.blanks[source] = None
        return buffer.write(context.slots.put(text, is_url=source == "unsubscribe_url"))


class _Value(Output):
    node_class = _ValueNode


class _Liquid(Environment):
    loop_iteration_limit = MOST_ROUNDS
    local_namespace_limit = 100_000

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=False)
        self.add_tag(_Value)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS | _PSEUDO_TAGS}
        self.filters = {name: function for name, function in self.filters.items() if name in FILTERS}
        # Values are escaped anyway, once.
        self.filters["escape"] = lambda value: value


# What python-liquid registers beside the tags that are written: text, `{{ .. }}` and what it can't read.
_PSEUDO_TAGS = frozenset({"content", "output", "illegal"})

_LIQUID = _Liquid()


def _merge(source: str, data: Mapping[str, object], slots: _Slots, unknown: dict[str, None]) -> str:
    """The source with a slot for every value. Raises `_BadTemplate`."""
    if len(source) > LONGEST_SOURCE:
        raise _BadTemplate(f"The mail is too long to be shown: at most {LONGEST_SOURCE:,} characters.")
    # Counted before it is parsed: unclosed tags by the thousand are slow to read.
    if source.count("{{") + source.count("{%") > MOST_TAGS:
        raise _BadTemplate(f"The mail has more than {MOST_TAGS} merge tags.")
    if any(len(tag) > LONGEST_TAG for tag in re.findall(r"\{[{%].*?[}%]\}", source, re.DOTALL)):
        raise _BadTemplate(f"A merge tag is longer than {LONGEST_TAG:,} characters.")
    buffer: StringIO = LimitedStringIO(LONGEST_OUTPUT)
    try:
        template = _LIQUID.from_string(source)
        analysis = template.analyze()
        for variables in analysis.globals.values():
            unknown.update(dict.fromkeys(str(v) for v in variables if not _is_known(v.segments, data)))
        context = _Context(template, globals=data)
        context.slots, context.steps = slots, 0
        template.render_with_context(context, buffer)
    except ResourceLimitError:
        raise _BadTemplate(
            "The merge tags do too much: loops may go round 500 times at most, and make 400 kB of text."
        ) from None
    except LiquidError as error:
        raise _BadTemplate(f"The merge tags can't be read: {_reason(error)}.") from None
    except (ValueError, TypeError, ArithmeticError, RecursionError, AttributeError):
        # python-liquid lets some errors of Python through, such as the length of (1..10^30).
        raise _BadTemplate("The merge tags can't be read: one of them holds a value that is out of range.") from None
    for tag in unknown:
        slots.blanks.pop(tag, None)  # said once is enough
    return buffer.getvalue()


def _reason(error: LiquidError) -> str:
    line = ""
    if error.token is not None and error.token.start_index >= 0:
        line = f" (line {error.token.source.count(chr(10), 0, error.token.start_index) + 1})"
    return " ".join(str(error.message).split())[:200].rstrip(".") + line


def _is_known(segments: Iterable[object], data: Mapping[str, object]) -> bool:
    place: object = data
    for segment in segments:
        if not isinstance(place, Mapping) or segment not in place:
            return False
        place = place[segment]
    return not isinstance(place, Mapping)


def _about_unknown(tag: str, data: Mapping[str, object]) -> str:
    names = [
        f"{name}.{part}" if part else name
        for name, inner in data.items()
        for part in (inner if isinstance(inner, Mapping) else [""])
    ]
    near = process.extractOne(tag, names, scorer=fuzz.ratio, score_cutoff=70)
    hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(names)}."
    return f"There is no merge tag {tag[:60]!r}.{hint}"


# Markdown

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def _parse(source: str, slots: _Slots) -> list[Token]:
    """The document's tokens, bare addresses made links and slots filled."""
    tokens = _MARKDOWN.parse(source)
    for token in tokens:
        if token.children:
            token.children = _linked(token.children, slots.link)
        _fill(token, slots)
    return tokens


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


def _fill(token: Token, slots: _Slots) -> None:
    token.content = slots.fill(token.content, html.escape if token.type.startswith("html") else str)
    token.info = slots.fill(token.info)
    for name, value in token.attrs.items():
        token.attrs[name] = slots.fill_url(str(value)) if name in ("href", "src") else slots.fill(str(value))
    for child in token.children or []:
        _fill(child, slots)


def _clean(page: str) -> str:
    """Only harmless tags, and addresses that lead somewhere from within a mail."""
    page = nh3.clean(
        page, tags=_ALLOWED_HTML, attributes=_ALLOWED_ATTRIBUTES, url_schemes=_SCHEMES, url_relative="deny",
        link_rel="noopener noreferrer",
    )  # fmt: skip
    return re.sub(r"<p>\s*</p>\n?", "", page)


def _plain(tokens: list[Token]) -> str:
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
                row.append(_line(token))
            case "inline":
                page.add(_line(token))
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
                page.add(html.unescape(nh3.clean(token.content, tags=set())).strip())
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


def _line(inline: Token) -> str:
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
                if href and href.removeprefix("mailto:") != said:
                    parts.append(f" ({href})" if said else href)
            case "html_inline" if re.match(r"<br\b", token.content, re.IGNORECASE):
                parts.append("\n")
            case _:
                pass  # emphasis and other HTML have no form in plain text
    return "".join(parts)
