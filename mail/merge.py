"""Merge tags: Liquid, bounded, whose values never meet the parser of the text that they stand in.

A `Source` is read once. For one reader it gives a skeleton, in which slots stand for the values, and the values. The
skeleton depends on nothing but the template and the branches taken, so what is made of it (Markdown to HTML to the
pieces of a mail) can be kept, and a contact called `[x](javascript:1)` or `<img onerror=..>` stays text whatever the
template does. What a template may do is little: a mail needs a name with a default and perhaps an `if`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import TextIO

from liquid import Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError, OutputStreamLimitError, ResourceLimitError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.token import Token as LiquidToken
from rapidfuzz import fuzz, process

from mail.getters import Getter, getter_of

LONGEST_SOURCE = 120_000
LONGEST_OUTPUT = 400_000
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

# Tags whose value is a whole address that we made: the only values that can be a link by themselves.
OWN_ADDRESSES = frozenset({"unsubscribe_url"})

# Kinds of slots, one letter each: a value, one of our own addresses.
VALUE, OWN = "n", "w"

_TOO_MUCH = "The merge tags do too much: loops may go round 500 times at most, and make 400 kB of text."
_OUT_OF_RANGE = "The merge tags can't be read: one of them holds a value that is out of range."


class BadTemplate(ValueError):
    """The template can't be used; the text is a sentence that says why."""


class CannotRender(ValueError):
    """The template works, but not for this reader; the text is a sentence that says why."""


@dataclass(slots=True)
class Merged:
    """A source merged for one reader."""

    skeleton: str
    values: list[str]
    blanks: tuple[str, ...]
    """Merge tags that left a hole: nothing is known there, and the tag has no default."""


class Source:
    """A text with merge tags, read once. Raises `BadTemplate`.

    A slot is one word of letters and digits, which Markdown and HTML leave alone: `mark`, the slot's kind, its number,
    `z`. The mark must be random, so that no text can hold one.
    """

    def __init__(self, source: str, mark: str) -> None:
        _check_size(source)
        self._mark = mark
        try:
            self._template = _LIQUID.from_string(source)
            self._variables = [
                (str(variable), tuple(variable.segments))
                for variables in self._template.analyze().globals.values()
                for variable in variables
            ]
        except LiquidError as error:
            raise BadTemplate(f"The merge tags can't be read: {_reason(error)}.") from None
        except (ValueError, TypeError, ArithmeticError, RecursionError, AttributeError):
            # python-liquid lets some errors of Python through, such as the length of (1..10^30).
            raise BadTemplate(_OUT_OF_RANGE) from None
        self._plain = _Plain.of(self._template.nodes, mark)

    @property
    def names(self) -> list[str]:
        """The tags that it asks for, such as `contact.first_name`."""
        return list(dict.fromkeys(name for name, _ in self._variables))

    def unknown(self, data: Mapping[str, object]) -> list[str]:
        """The tags that `data` has no place for."""
        return list(dict.fromkeys(name for name, segments in self._variables if not _is_known(segments, data)))

    def merge(self, data: Mapping[str, object]) -> Merged:
        """Raises `CannotRender`."""
        try:
            if self._plain is not None:
                return self._plain.merge(data)
            context = _Context(self._template, globals=data)
            context.mark, context.values, context.blanks = self._mark, _Values(), {}
            context.steps, context.data = 0, data
            buffer: StringIO = LimitedStringIO(LONGEST_OUTPUT)
            self._template.render_with_context(context, buffer)
        except ResourceLimitError:
            raise CannotRender(_TOO_MUCH) from None
        except LiquidError as error:
            raise CannotRender(f"The merge tags can't be read: {_reason(error)}.") from None
        except (ValueError, TypeError, ArithmeticError, RecursionError, AttributeError):
            raise CannotRender(_OUT_OF_RANGE) from None
        return Merged(buffer.getvalue(), context.values.all, tuple(context.blanks))


def about_unknown(tag: str, data: Mapping[str, object]) -> str:
    """The sentence on an unknown tag: which one was probably meant, or which there are."""
    names = [
        f"{name}.{part}" if part else name
        for name, inner in data.items()
        for part in (inner if isinstance(inner, Mapping) else [""])
    ]
    near = process.extractOne(tag, names, scorer=fuzz.ratio, score_cutoff=70)
    hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(names)}."
    return f"There is no merge tag {tag[:60]!r}.{hint}"


_TAG_END = re.compile(r"[}%]\}")


def _check_size(source: str) -> None:
    if len(source) > LONGEST_SOURCE:
        raise BadTemplate(f"The mail is too long to be shown: at most {LONGEST_SOURCE:,} characters.")
    # Counted before it is parsed: unclosed tags by the thousand are slow to read.
    if source.count("{{") + source.count("{%") > MOST_TAGS:
        raise BadTemplate(f"The mail has more than {MOST_TAGS} merge tags.")
    last = max(source.rfind("}}"), source.rfind("%}"))
    for tag in re.finditer(r"\{[{%]", source):
        if last < tag.end() or _TAG_END.search(source, tag.end(), tag.end() + LONGEST_TAG):
            continue  # it never closes, which the parser says better; or it closes soon
        raise BadTemplate(f"A merge tag is longer than {LONGEST_TAG:,} characters.")


# What shows nowhere or turns the direction of what follows it; a name needs neither.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _tidy(value: str) -> str:
    """A value is a piece of a line: it can't begin a new one, in the text part either."""
    if value.isprintable() and "  " not in value:
        return value.strip()
    return _INVISIBLE.sub("", " ".join(value.split()))


def _slot(mark: str, kind: str, number: int) -> str:
    return f"{mark}{kind}{number}z"


class _Values:
    """The values of one reader, in order, at most `LONGEST_OUTPUT` characters of them."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._size = 0

    def put(self, value: str) -> int:
        value = _tidy(value)
        self._size += len(value)
        if self._size > LONGEST_OUTPUT:
            raise OutputStreamLimitError("too much output", token=None)
        self.all.append(value)
        return len(self.all) - 1


# Liquid


class _Context(RenderContext):
    """Counts what a template does; loops of loops of long filter chains end here."""

    __slots__ = ("blanks", "data", "mark", "steps", "values")
    mark: str
    values: _Values
    blanks: dict[str, None]
    steps: int
    data: Mapping[str, object]

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

    __slots__ = ("blank_name", "own_address")

    def __init__(self, token: LiquidToken, expression: Expression) -> None:
        super().__init__(token, expression)
        left = getattr(expression, "left", None)
        self.blank_name = str(left) if isinstance(left, Path) else None
        """What to call the hole, when this has nothing to say."""
        self.own_address = _own_address(expression)

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, _Context)
        name = self.own_address
        if name is not None:
            # From the data itself: a template may have assigned something else to the name.
            number = context.values.put(str(context.data.get(name, "")))
            return buffer.write(_slot(context.mark, OWN, number))
        text = _as_text(self.expression.evaluate(context))
        number = context.values.put(text)
        blank = self.blank_name
        if blank and not context.values.all[number]:
            context.blanks[blank] = None
        return buffer.write(_slot(context.mark, VALUE, number))


def _own_address(expression: Expression) -> str | None:
    """The name, if this is one of our own addresses as it is: a filter makes it something else."""
    if not isinstance(expression, FilteredExpression) or expression.filters:
        return None
    path = expression.left.path if isinstance(expression.left, Path) else []
    return str(path[0]) if len(path) == 1 and path[0] in OWN_ADDRESSES else None


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


# The usual template: nothing but text and values. Its skeleton is the same for everybody, and its values are had
# without the interpreter, in a fifth of the time.


class _Plain:
    def __init__(self, skeleton: str, getters: list[Getter], blank_names: list[str | None]) -> None:
        self._skeleton = skeleton
        self._getters = getters
        self._blank_names = blank_names

    @classmethod
    def of(cls, nodes: list[Node], mark: str) -> _Plain | None:
        """None when the template has anything else."""
        skeleton: list[str] = []
        getters: list[Getter] = []
        blanks: list[str | None] = []
        for node in nodes:
            if isinstance(node, ContentNode):
                skeleton.append(node.text)
                continue
            getter = getter_of(node.expression, _LIQUID.filters) if isinstance(node, _ValueNode) else None
            if getter is None or not isinstance(node, _ValueNode):
                return None
            own = node.own_address is not None
            skeleton.append(_slot(mark, OWN if own else VALUE, len(getters)))
            getters.append(getter)
            blanks.append(None if own else node.blank_name)
        return cls("".join(skeleton), getters, blanks)

    def merge(self, data: Mapping[str, object]) -> Merged:
        values = []
        size = 0
        for getter in self._getters:
            value = getter(data)
            text = _tidy(value if isinstance(value, str) else _as_text(value))
            size += len(text)
            values.append(text)
        if size > LONGEST_OUTPUT:
            raise OutputStreamLimitError("too much output", token=None)
        blanks: tuple[str, ...] = ()
        if "" in values:
            holes = (name for name, value in zip(self._blank_names, values, strict=True) if name and not value)
            blanks = tuple(dict.fromkeys(holes))
        return Merged(self._skeleton, values, blanks)


def _as_text(value: object) -> str:
    return "" if isinstance(value, Mapping) else to_liquid_string(value, False)


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
