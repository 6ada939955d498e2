"""The values of usual merge tags without the interpreter: a path, and filters with plain arguments.

By the filters that the interpreter uses, so that both give the same (a test compares them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from liquid.builtin.expressions import FilteredExpression, Path, PositionalArgument, StringLiteral
from liquid.builtin.expressions.primitive import IntegerLiteral
from liquid.expression import Expression

Getter = Callable[[Mapping[str, object]], object]


def getter_of(expression: Expression, filters: Mapping[str, Callable[..., object]]) -> Getter | None:
    """What gets the value of `{{ expression }}` from a reader's data; None when only the interpreter can say it."""
    if not isinstance(expression, FilteredExpression):
        return None
    getter = _operand(expression.left)
    for filter_ in expression.filters or []:
        arguments = [_operand(arg.value) for arg in filter_.args if isinstance(arg, PositionalArgument)]
        function = filters.get(filter_.name)
        if getter is None or function is None or None in arguments or len(arguments) != len(filter_.args):
            return None
        getter = _filtered(getter, function, [argument for argument in arguments if argument is not None])
    return getter


def _operand(expression: object) -> Getter | None:
    if isinstance(expression, (StringLiteral, IntegerLiteral)):
        value = expression.value
        return lambda _: value
    if not isinstance(expression, Path):
        return None
    path = [segment for segment in expression.path if isinstance(segment, str)]
    # Liquid gives `size`, `first` and `last` a meaning of their own.
    if len(path) != len(expression.path) or not 1 <= len(path) <= 2 or {"size", "first", "last"} & set(path):
        return None
    if path[0] in ("now", "today"):
        return lambda _: ""
    if len(path) == 1:
        (name,) = path
        return lambda data: data.get(name, "")
    name, part = path

    def within(data: Mapping[str, object]) -> object:
        inner = data.get(name)
        return inner.get(part, "") if isinstance(inner, dict) else ""

    return within


def _filtered(getter: Getter, function: Callable[..., object], arguments: list[Getter]) -> Getter:
    if not arguments:
        return lambda data: function(getter(data))
    if len(arguments) == 1:
        (first,) = arguments
        return lambda data: function(getter(data), first(data))
    return lambda data: function(getter(data), *[argument(data) for argument in arguments])
