"""Charts: drawn from a tool's result, readable, and none where there is nothing to draw."""

from __future__ import annotations

import struct
import threading
import zlib
from collections import Counter
from datetime import timedelta

import pytest

from interfaces import charts
from tests.conftest import NOW
from tests.tools.histories import people, sent
from tools import BY_NAME
from tools.analytics import CampaignComparison, PerformanceSummary
from tools.base import Context

ODD_NAMES = ["$5 off \\frac{$ & <b>", "春のセール", "x" * 255, "a\nb\x07", "Müller & Söhne — Ωmega", "_^{}%"]


async def history(ctx: Context, names: list[str]) -> None:
    crowd = await people(ctx, 120)
    for place, name in enumerate(names):
        at = NOW - timedelta(days=40 - place)
        await sent(ctx, name, crowd, at, opened=crowd[: 50 + place], clicked=crowd[: 20 - place])


async def summary(ctx: Context, campaign: str | None = None) -> PerformanceSummary:
    result = await BY_NAME["summarize_performance"].call({"campaign": campaign}, ctx)
    assert isinstance(result, PerformanceSummary)
    return result


def pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and the pixels (RGBA) of a PNG without interlacing, as the library writes them."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place, data, width, height = 8, b"", 0, 0
    while place < len(png):
        (length,), kind = struct.unpack(">I", png[place : place + 4]), png[place + 4 : place + 8]
        body = png[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 6)
        data += body if kind == b"IDAT" else b""
        place += 12 + length
    raw, stride, rows = zlib.decompress(data), width * 4, [bytearray(width * 4)]
    for row in range(height):
        kind_of, line = raw[row * (stride + 1)], bytearray(raw[row * (stride + 1) + 1 : (row + 1) * (stride + 1)])
        above = rows[-1]
        for i in range(stride):
            left, up, corner = line[i - 4] if i >= 4 else 0, above[i], above[i - 4] if i >= 4 else 0
            guess = left + up - corner
            paeth = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            line[i] = (line[i] + (0, left, up, (left + up) // 2, paeth)[kind_of]) % 256
        rows.append(line)
    return width, height, [bytes(line[i : i + 4]) for line in rows[1:] for i in range(0, stride, 4)]


async def test_a_campaign_is_a_funnel_on_white(ctx: Context) -> None:
    await history(ctx, ["Lamp Week"])
    png = charts.chart(await summary(ctx, "Lamp Week"))

    assert png is not None
    assert len(png) < 60_000
    width, height, points = pixels(png)
    assert 600 < width < 1000
    assert 200 < height < 600
    colours = Counter(points)
    assert colours.most_common(1)[0][0] == b"\xff\xff\xff\xff"
    for named in (charts._ALL, charts._OPENED, charts._CLICKED):
        assert colours[bytes.fromhex(named[1:]) + b"\xff"] > 500, f"a bar of {named}"
    bars = [colours[bytes.fromhex(named[1:]) + b"\xff"] for named in (charts._ALL, charts._OPENED, charts._CLICKED)]
    assert bars[1] / bars[0] == pytest.approx(50 / 120, rel=0.05), "a bar is as long as what it counts"
    assert bars[2] / bars[0] == pytest.approx(20 / 120, rel=0.05)


async def test_several_campaigns_are_a_timeline_and_a_comparison(ctx: Context) -> None:
    await history(ctx, ["Lamp Week", "Clock Clinic", "Harvest Fair"])
    compared = await BY_NAME["compare_campaigns"].call({"campaigns": ["Lamp Week", "Clock Clinic"]}, ctx)
    assert isinstance(compared, CampaignComparison)

    for result in (await summary(ctx), compared):
        png = charts.chart(result)
        assert png is not None
        colours = Counter(pixels(png)[2])
        assert all(colours[bytes.fromhex(named[1:]) + b"\xff"] > 50 for named in (charts._OPENED, charts._CLICKED))


async def test_names_are_text_whatever_is_in_them(ctx: Context) -> None:
    """No formula, no missing letter that stops the drawing, no name that pushes the figures out of the picture."""
    await history(ctx, ODD_NAMES)
    every = await summary(ctx)
    compared = await BY_NAME["compare_campaigns"].call(
        {"campaigns": [str(s.campaign_id) for s in every.campaigns]}, ctx
    )
    singles = [await summary(ctx, str(side.campaign_id)) for side in every.campaigns]

    for result in (every, compared, *singles):
        png = charts.chart(result)
        assert png is not None
        assert pixels(png)[0] < 1000


async def test_without_figures_there_is_no_chart(ctx: Context) -> None:
    assert charts.chart(await summary(ctx)) is None
    await BY_NAME["create_campaign"].call({"name": "Lamp Week"}, ctx)
    assert charts.chart(await summary(ctx, "Lamp Week")) is None
    assert charts.chart(await BY_NAME["list_campaigns"].call({}, ctx)) is None
    crowd = await people(ctx, 5)
    await sent(ctx, "Small", crowd, NOW - timedelta(days=9), opened=crowd[:2])
    small = await summary(ctx, "Small")
    assert small.figures.open_rate is None
    assert charts.chart(small) is not None, "counts, without rates"


async def test_several_threads_may_draw(ctx: Context) -> None:
    await history(ctx, ["Lamp Week"])
    result, drawn = await summary(ctx, "Lamp Week"), []
    threads = [threading.Thread(target=lambda: drawn.append(charts.chart(result))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(drawn) == 6
    assert len(set(drawn)) == 1, "the same figures, the same picture"


def test_the_library_is_only_loaded_to_draw() -> None:
    import subprocess
    import sys

    code = "import interfaces.mcp_http, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
