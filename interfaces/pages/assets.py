"""The pages' own scripts and styles: read once, named by what is in them, so that browsers may keep them for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    content: bytes
    packed: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """Every file of `static/`."""
    found = {}
    for entry in files("interfaces.pages").joinpath("static").iterdir():
        ending = entry.name.rpartition(".")[2]
        if ending in _TYPES:
            content = entry.read_bytes()
            found[entry.name] = Asset(content, gzip.compress(content, 9, mtime=0), _TYPES[ending])
    return found


@cache
def address() -> str:
    """Where they are found. Another content is another address."""
    whole = hashlib.sha256()
    for name, asset in sorted(assets().items()):
        whole.update(name.encode() + b"\0" + asset.content)
    return f"/static/{whole.hexdigest()[:12]}"


async def serve(request: Request) -> Response:
    """One of them; a page that is older than the program gets the present one, to be asked for again."""
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    is_present = f"/static/{request.path_params['version']}" == address()
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if is_present else "no-store",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    content = asset.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = asset.packed, "gzip"
    return Response(content, media_type=asset.media_type, headers=headers)
