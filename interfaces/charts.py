"""Figures as pictures, for doors that can show one beside the text: MCP and Slack.

What is drawn is in the result already, counted in SQL; the text says the same, so a picture may be left out anywhere.
"""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tools.analytics import CampaignComparison, CampaignFigures, Figures, PerformanceSummary, Rate, percent
from tools.base import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dark on white, and told apart by people who do not see red and green (Okabe and Ito).
_INK, _QUIET, _GRID = "#1f2430", "#5b6475", "#d9dde5"
_OPENED, _CLICKED, _CONVERTED, _ALL = "#0072b2", "#d55e00", "#009e73", "#9aa3b2"

_WIDTH = 7.2  # inches, at 110 dots each: wide enough to read, small enough for a chat
_DPI = 110
_LONGEST_LABEL = 34

# The library is not made for two threads that draw at once.
_drawing = threading.Lock()


def can_draw(result: Result) -> bool:
    """Whether there are pictures of such results, before a thread is asked for one."""
    return isinstance(result, PerformanceSummary | CampaignComparison)


def chart(result: Result, keep_in: Path | None = None) -> bytes | None:
    """The picture of a tool's result as PNG, on white; None where there is nothing to draw.

    Takes tenths of a second: call it in a thread. `keep_in` is the data folder, where the list of fonts is kept.
    """
    if not can_draw(result):
        return None
    assert isinstance(result, PerformanceSummary | CampaignComparison)
    if keep_in is not None:
        os.environ.setdefault("MPLCONFIGDIR", str(keep_in / "matplotlib"))
    with _drawing:
        figure = _summary(result) if isinstance(result, PerformanceSummary) else _comparison(result)
        if figure is None:
            return None
        png = io.BytesIO()
        figure.savefig(png, format="png", metadata={"Software": None})
        return png.getvalue()


def _summary(result: PerformanceSummary) -> Figure | None:
    measured = [side for side in result.campaigns if side.first_sent_at and side.figures.open_rate]
    if len(measured) > 1:
        return _timeline(measured, ZoneInfo(result.time_zone))
    if not result.figures.delivered:
        return None
    name = result.campaigns[0].campaign if len(result.campaigns) == 1 else f"{len(result.campaigns)} campaigns"
    return _funnel(name, result.figures)


def _funnel(name: str, figures: Figures) -> Figure:
    """From delivered to converted: how many are left at each step."""
    steps = [
        ("delivered", figures.delivered, None, _ALL), ("opened", figures.opened, figures.open_rate, _OPENED),
        ("clicked", figures.clicked, figures.click_rate, _CLICKED),
        ("converted", figures.converted, figures.conversion_rate, _CONVERTED),
    ]  # fmt: skip
    figure, axes = _empty(0.55 * len(steps) + 1.0, f"{_cut(name, 60)}: from delivered to converted")
    axes.barh(range(len(steps)), [count for _, count, _, _ in steps], color=[color for *_, color in steps], height=0.62)
    axes.set_yticks(range(len(steps)), [label for label, *_ in steps])
    axes.invert_yaxis()
    most = max(count for _, count, _, _ in steps)
    axes.set_xlim(0, most * 1.3)
    for place, (_, count, rate, _) in enumerate(steps):
        said = f"{count:,}{f' ({percent(rate.share)})' if rate else ''}"
        axes.text(count + most * 0.012, place, said, va="center", color=_INK, fontsize=10)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    _below(figure, "Opens and clicks are people's; those of machines are left out.")
    return figure


def _timeline(sides: list[CampaignFigures], zone: ZoneInfo) -> Figure:
    """Opens and clicks of each campaign at the time it was sent, with their intervals."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    figure, axes = _empty(3.6, "Opened and clicked by people, by the time of sending")
    sides = sorted(sides, key=lambda side: str(side.first_sent_at))
    times = [float(date2num(side.first_sent_at)) for side in sides]  # type: ignore[no-untyped-call]
    for label, color, rates in (
        ("opened", _OPENED, [side.figures.open_rate for side in sides]),
        ("clicked", _CLICKED, [side.figures.click_rate for side in sides]),
    ):
        _points(axes, times, rates, label, color, across=False)
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    axes.grid(axis="y", color=_GRID)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share * 100:g} %")
    figure.legend(frameon=False, loc="outside upper right", ncols=2, fontsize=10)
    _below(figure, f"Bars are 95 % intervals. Times in {zone.key}.")
    return figure


def _comparison(result: CampaignComparison) -> Figure | None:
    """Rates of the campaigns under each other, with their intervals."""
    sides = [side for side in result.campaigns if side.figures.click_rate or side.figures.open_rate]
    if not sides:
        return None
    figure, axes = _empty(0.5 * len(sides) + 1.6, "Opened and clicked by people")
    places = [float(place) for place in range(len(sides))]
    for label, color, rates, off in (
        ("opened", _OPENED, [side.figures.open_rate for side in sides], -0.12),
        ("clicked", _CLICKED, [side.figures.click_rate for side in sides], 0.12),
    ):
        _points(axes, [place + off for place in places], rates, label, color, across=True)
    # Names are text and nothing else: a `$` begins no formula.
    axes.set_yticks(places, [_cut(side.campaign, _LONGEST_LABEL) for side in sides], parse_math=False)
    axes.set_ylim(len(sides) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color=_GRID)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share * 100:g} %")
    figure.legend(frameon=False, loc="outside upper right", ncols=2, fontsize=10)
    _below(
        figure, f"Bars are {result.confidence} % intervals: where they overlap widely, the difference may be chance."
    )
    return figure


def _points(axes: Axes, places: list[float], rates: list[Rate | None], label: str, color: str, *, across: bool) -> None:
    there = [(place, rate) for place, rate in zip(places, rates, strict=True) if rate is not None]
    if not there:
        return
    shares = [rate.share for _, rate in there]
    # A bound may lie on the other side of the share by a rounding error.
    spread = [
        [max(0.0, rate.share - rate.low) for _, rate in there],
        [max(0.0, rate.high - rate.share) for _, rate in there],
    ]
    at = [place for place, _ in there]
    if across:
        axes.errorbar(shares, at, xerr=spread, fmt="o", color=color, label=label, capsize=3)
    else:
        axes.errorbar(at, shares, yerr=spread, fmt="o-", color=color, label=label, capsize=3, linewidth=1)


def _empty(height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor="white")
    axes.set_title(_drawable(title), loc="left", color=_INK, fontsize=12, parse_math=False)
    axes.tick_params(colors=_INK, labelsize=10, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.set_axisbelow(True)
    return figure, axes


def _below(figure: Figure, text: str) -> None:
    figure.supxlabel(text, color=_QUIET, fontsize=9, x=0.01, ha="left")


def _cut(name: str, length: int) -> str:
    return _drawable(name if len(name) <= length else f"{name[: length - 1]}…")


def _drawable(text: str) -> str:
    """With a box for what the font has no picture of; a chart whose names are Chinese still shows its figures."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "▯" for c in text)
