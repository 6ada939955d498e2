"""Lists in and out: an upload that is imported, and exports to download."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response, StreamingResponse

from interfaces.api.callers import Caller, Described
from interfaces.api.once import HEADER, once
from interfaces.api.problems import TooLarge, documented
from tools import conversions, exports
from tools.base import Context, Text
from tools.conversions import Conversion, Recorded
from tools.fields import Tags
from tools.imports.reading import Options, Reading, read_file
from tools.imports.report import Imported
from tools.imports.writing import Written, audited, record_stopped, write_in_batches

# Bytes of an upload: a list of about two million people.
LONGEST_UPLOAD = 300_000_000

# What comes in is kept in memory up to here, then on disk.
IN_MEMORY = 1_000_000

Format = Annotated[Literal["csv", "json", "jsonl"], Query()]

_KINDS = {"csv": "text/csv", "json": "application/json", "jsonl": "application/jsonl"}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}}
                    for kind in ("text/csv", "text/vcard", "application/zip", "application/octet-stream")},
    },
    "parameters": [HEADER],
}  # fmt: skip
_DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "application/jsonl": {"schema": {"type": "string"}},
        }
    }
}


class ImportAnswer(BaseModel):
    result: Imported
    text: str


def router() -> APIRouter:
    """Imports, exports, and a shop's conversions."""
    made = APIRouter(prefix="/api", tags=["files"], dependencies=[Described])

    @made.post(
        "/imports", summary="Import the list that is the body", response_model=ImportAnswer,
        responses=documented(409), openapi_extra=_UPLOAD,
    )  # fmt: skip
    async def import_list(
        request: Request, ctx: Caller, dry_run: bool = False, tag: Annotated[Tags | None, Query()] = None
    ) -> Response:
        options = Options(country=ctx.tenant.country, tags=tag or ())
        with tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="smartcampaign-") as file:
            async with audited(ctx):
                pass  # who may not import need not send the whole list first
            digest = await _kept(request, file)

            async def act(ctx: Context) -> Response:
                async with audited(ctx) as recorded:
                    result = await _imported(recorded, file, options, dry_run)
                return JSONResponse({"result": result.model_dump(mode="json"), "text": result.text()})

            return await act(ctx) if dry_run else await once(request, ctx, act, digest)

    @made.get(
        "/exports/contacts", summary="Download contacts", response_class=Response,
        responses=documented(404) | _DOWNLOAD,
    )  # fmt: skip
    async def export_contacts(
        ctx: Caller, format: Format = "csv", status: Annotated[Text | None, Query(max_length=20)] = None,
        tag: Annotated[Tags | None, Query()] = None,
        query: Annotated[Text | None, Query(max_length=500)] = None,
    ) -> Response:  # fmt: skip
        pieces = exports.contacts(ctx, query=query, status=status, tags=tag or (), form=format)
        return await _download(pieces, "contacts", format)

    @made.get(
        "/exports/campaigns", summary="Download the figures of every campaign", response_class=Response,
        responses=documented() | _DOWNLOAD,
    )  # fmt: skip
    async def export_campaigns(ctx: Caller, format: Format = "csv") -> Response:
        return await _download(exports.results(ctx, form=format), "campaigns", format)

    @made.get(
        "/exports/recipients", summary="Download what a campaign's people did", response_class=Response,
        responses=documented(404) | _DOWNLOAD,
    )  # fmt: skip
    async def export_recipients(
        ctx: Caller, campaign: Annotated[Text, Query(min_length=1, max_length=255)], format: Format = "csv"
    ) -> Response:
        return await _download(exports.recipients(ctx, campaign, form=format), "recipients", format)

    @made.post("/conversions", summary="Report an order", response_model=Recorded,
               responses=documented(404, 409), openapi_extra={"parameters": [HEADER]})  # fmt: skip
    async def convert(request: Request, ctx: Caller, said: Conversion) -> Response:
        async def act(ctx: Context) -> Response:
            return JSONResponse((await conversions.report(said, ctx)).model_dump(mode="json"))

        return await once(request, ctx, act)

    return made


async def _kept(request: Request, file: tempfile.SpooledTemporaryFile[bytes]) -> bytes:
    """Write the body down as it comes; return what identifies it. Raises `TooLarge`."""
    digest, length = hashlib.sha256(), 0
    async for piece in request.stream():
        length += len(piece)
        if length > LONGEST_UPLOAD:
            raise TooLarge(most=LONGEST_UPLOAD)
        digest.update(piece)
        await asyncio.to_thread(file.write, piece)
    return digest.digest()


async def _imported(
    ctx: Context, file: tempfile.SpooledTemporaryFile[bytes], options: Options, dry_run: bool
) -> Imported:
    with ExitStack() as stack:
        reading = await asyncio.to_thread(stack.enter_context, read_file(file, options))  # type: ignore[arg-type]
        result = Imported.of(reading, dry_run=dry_run)
        if not dry_run:
            result.count(await _stored(ctx, reading))
            if ctx.embed_later is not None:
                ctx.embed_later()
                result.in_background = True
        return result


async def _stored(ctx: Context, reading: Reading) -> Written:
    written = Written()
    try:
        await write_in_batches(ctx, reading, written)
    except BaseException:
        with suppress(Exception):  # the database may be what stopped it
            await record_stopped(ctx, reading, written)
        raise
    return written


async def _download(pieces: AsyncGenerator[str], name: str, form: str) -> Response:
    """The first piece before the answer begins: what is refused must be answered as a refusal."""
    first = await anext(pieces)

    async def text() -> AsyncIterator[bytes]:
        yield first.encode()
        async for piece in pieces:
            yield piece.encode()

    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return StreamingResponse(text(), 200, headers, _KINDS[form])
