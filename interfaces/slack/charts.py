"""Charts of results as images beside the answer, which says the same in words: without them nothing is missing."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
from pydantic import ValidationError
from slack_sdk.errors import SlackClientError

from agent.events import ToolFinished
from interfaces import charts
from interfaces.slack.posting import Speech
from tools import BY_NAME
from tools.base import Context, Result

log = logging.getLogger("smartcampaign.slack")


async def post(results: list[ToolFinished], speech: Speech, ctx: Context) -> None:
    """Upload the pictures of what was found. What one person alone sees can't hold any."""
    if speech.place.response_url:
        return
    for found in results:
        result = _result(found)
        if result is None or not charts.can_draw(result):
            continue
        picture = await asyncio.to_thread(charts.chart, result, ctx.home)
        if picture is None:
            continue
        try:
            await speech.client.files_upload_v2(
                channel=speech.place.channel, thread_ts=speech.place.thread, file=picture, filename="chart.png",
                title="Chart", alt_txt="A chart of the figures above",
            )  # fmt: skip
        except (SlackClientError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("a chart could not be uploaded: %s", type(error).__name__)


def _result(found: ToolFinished) -> Result | None:
    tool = BY_NAME.get(found.tool)
    if tool is None or found.result is None:
        return None
    try:
        result: Result = tool.output.model_validate(found.result)
    except ValidationError:
        return None
    return result
