"""The texts inside a stored state: msgpack as LangGraph's serialiser writes it, changed without making its objects.

A text can be anywhere in it, in messages, in calls and their arguments, in what a question waits with. An object is an
extension that holds msgpack again: a list of its module, its class and what it is made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import ormsgpack


class Unreadable(ValueError):
    """The state is of a kind that can't be looked into."""


class Change(Protocol):
    """What becomes of what is found."""

    def text(self, text: str) -> str: ...

    def mapping(self, mapping: dict[Any, Any]) -> dict[Any, Any]:
        """Called with a mapping before its values are looked at."""


@dataclass(frozen=True)
class _Object:
    """An extension: its code, and what it holds."""

    code: int
    content: Any


def changed(kind: str, data: bytes, change: Change) -> bytes:
    """The same state with its texts changed; to the byte the same where nothing changes. Raises `Unreadable`."""
    if kind == "null":
        return data
    if kind != "msgpack":
        raise Unreadable(kind)
    try:
        before = _unpack(data)
        after = _walk(before, change)
        return data if after == before else _pack(after)
    except (ormsgpack.MsgpackDecodeError, ormsgpack.MsgpackEncodeError) as error:
        raise Unreadable(kind) from error


def _walk(value: Any, change: Change) -> Any:
    match value:
        case str():
            return change.text(value)
        case list() | tuple():
            return [_walk(each, change) for each in value]
        case dict():
            return {key: _walk(each, change) for key, each in change.mapping(value).items()}
        case _Object(content=[str() as module, str() as name, *made_of]):
            # A class's name is no text, whatever it is called.
            return _Object(value.code, [module, name, *(_walk(each, change) for each in made_of)])
        case _Object():
            return _Object(value.code, _walk(value.content, change))
    return value


def _unpack(data: bytes) -> Any:
    return ormsgpack.unpackb(data, ext_hook=_opened, option=ormsgpack.OPT_NON_STR_KEYS)


def _opened(code: int, data: bytes) -> _Object:
    return _Object(code, _unpack(data))


def _pack(value: Any) -> bytes:
    option = ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    return ormsgpack.packb(value, default=_closed, option=option)


def _closed(value: Any) -> ormsgpack.Ext:
    assert isinstance(value, _Object)
    return ormsgpack.Ext(value.code, _pack(value.content))
