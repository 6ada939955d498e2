"""Pages for MCP clients that show some (the MCP Apps extension): a mail as its reader sees it, and what waits for a
person.

The page only shows what the tool's result says. It can't decide: a tool that decides, even one for pages alone, could
be called by the model of a client that does not keep the two apart (docs/decisions/0029-mcp-apps.md).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from tools import BY_NAME

PREVIEW = "ui://smartcampaign/preview.html"
REQUEST = "ui://smartcampaign/request.html"

# Where the page finds the whole mail: not for the model, which has the text.
PAGE = "smartcampaign/page"

EXTENSION: dict[str, dict[str, Any]] = {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}

# The page loads nothing from anywhere; pictures of a mail do not load either, so looking is not an open.
_NOTHING: dict[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}


def page_of(tool: str) -> str | None:
    """The page that shows this tool's results."""
    if tool == "preview_email":
        return PREVIEW
    return REQUEST if BY_NAME[tool].effect in ("send", "erase") else None


def read(uri: str) -> types.TextResourceContents | None:
    """A page, or None where there is none of that address."""
    if uri not in (PREVIEW, REQUEST):
        return None
    return types.TextResourceContents(uri=uri, mime_type=APP_MIME_TYPE, text=_html(), _meta=_NOTHING)


@cache
def _html() -> str:
    return Path(__file__).with_name("mcp_app.html").read_text("utf-8")
