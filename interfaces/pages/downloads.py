"""Files to take away: text that is made while it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from starlette.responses import StreamingResponse

_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


async def download(pieces: AsyncGenerator[str], name: str) -> StreamingResponse:
    """The pieces as a file of this name (ASCII). What is refused is refused before the first byte: raises its error."""
    first = await anext(pieces, "")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(
        _with(first, pieces), media_type=_TYPES[name.rpartition(".")[2]], headers=headers
    )  # fmt: skip


async def _with(first: str, rest: AsyncGenerator[str]) -> AsyncIterator[str]:
    yield first
    async with aclosing(rest):
        async for piece in rest:
            yield piece
