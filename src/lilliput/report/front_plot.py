"""The plot of a study, as a standalone SVG file: bytes against quality, with the Pareto front.

It is drawn like a page's plots, but with fixed colors on white.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.evaluate.intervals import Estimate
from lilliput.extras import require
from lilliput.report import clean, scaled, significant
from lilliput.report.drawing import INK, MUTED, SERIES, as_file, drawing, new_figure

FRONT, CHOSEN, BEATEN = SERIES[0], SERIES[1], "#9aa1a9"

WIDTH = 8.0
"""In inches, at 72 units per inch."""

WIDEST = 20.0
"""Largest ratio to the best value that is drawn; worse points would squeeze the others and are only counted."""

TICKS = 8
"""Approximate maximum number of ticks on an axis."""

ROUND = ((1.0,), (2.0, 5.0), (1.5, 3.0, 4.0, 6.0, 7.0, 8.0), tuple(step / 10 for step in range(11, 100)))
"""Mantissas of round numbers, the roundest first."""


@dataclass(frozen=True)
class FrontPoint:
    """One point of a study.

    Attributes:
        label: its name.
        size: bytes.
        quality: with its interval.
        on_front: whether no other point beats it.
        chosen: whether the recipe uses it.
    """

    label: str
    size: int
    quality: Estimate
    on_front: bool
    chosen: bool


def front_svg(points: Sequence[FrontPoint], name: str, title: str, percent: bool) -> str:
    """Draw the plot.

    Args:
        points: at least one.
        name: of the model.
        title: of the measure of quality.
        percent: whether quality is a fraction, shown as percent; otherwise it is drawn on a log scale.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    best = min(point.quality.value for point in points)
    shown = [point for point in points if percent or point.quality.value <= WIDEST * best]
    away = [point for point in points if point not in shown]
    named = sorted((point for point in shown if point.on_front or point.chosen), key=lambda point: point.size)
    with drawing():
        figure, (axes,) = new_figure(4.0 + 0.2 * (len(named) + 1), WIDTH)
        figure.set_facecolor("#ffffff")
        for point in shown:
            if point not in named:
                _draw(axes, point, percent, 0)
        keys = [_draw(axes, point, percent, number) for number, point in enumerate(named, 1)]
        _scales(axes, shown, percent)
        note = f"; {len(away)} beyond {WIDEST:g} times the best are not drawn" if away else ""
        axes.set_title(f"{clean(name)}: {len(points)} points{note}", loc="left", fontsize=10, color=INK)
        axes.set(xlabel="bytes on disk, log scale", ylabel=f"{title}, %" if percent else f"{title}, log scale")
        words = "95 % intervals; numbered: the Pareto front"
        figure.legend(
            handles=keys, title=words, title_fontsize=10, alignment="left", loc="outside lower left", borderpad=0
        )
        return as_file(figure)


def _draw(axes: Any, point: FrontPoint, percent: bool, number: int) -> Any:
    """Draw a point with its interval, and its number if it has one; return the legend's handle."""
    factor = 100.0 if percent else 1.0
    found = point.quality
    value = factor * found.value
    reach = [[max(value - factor * found.low, 0)], [max(factor * found.high - value, 0)]]
    color = CHOSEN if point.chosen else FRONT if point.on_front else BEATEN
    look = {"color": color, "marker": "D" if point.chosen else "o", "ms": 7 if number else 4.5}
    text = (
        f"{number}  {clean(point.label)}: {scaled(point.size, 'B')}, {significant(value, 4)}{' %' if percent else ''}"
    )
    text += ", chosen" if point.chosen else ""
    handle = axes.errorbar(
        point.size, value, yerr=reach, ls="", lw=1.0, capsize=2, label=text, zorder=3 if number else 2, **look
    )
    if number:
        axes.annotate(str(number), (point.size, value), (6, 6), textcoords="offset points", color=INK, zorder=4)
    return handle


def _scales(axes: Any, points: Sequence[FrontPoint], percent: bool) -> None:
    sizes = [point.size for point in points]
    axes.set_xscale("log")
    axes.set_xlim(min(sizes) / 1.3, max(sizes) * 1.3)
    low, high = axes.get_xlim()
    _ticks(axes.xaxis, low, high, lambda value, _: scaled(value, "B", 2))
    if not percent:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        _ticks(axes.yaxis, low, high, lambda value, _: significant(value, 3))
    axes.tick_params(labelcolor=MUTED)


def _ticks(axis: Any, low: float, high: float, write: Callable[[float, int], str]) -> None:
    """Place the ticks of a log axis at a few well-separated round numbers, the roundest first."""
    ticker = require("matplotlib.ticker")
    chosen: list[float] = []
    room = math.log(high / low) / TICKS
    for mantissas in ROUND:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for value in (mantissa * 10.0**power for power in powers for mantissa in mantissas):
            if low <= value <= high and all(abs(math.log(value / other)) >= room for other in chosen):
                chosen.append(value)
    axis.set_major_locator(ticker.FixedLocator(sorted(chosen)))
    axis.set_major_formatter(ticker.FuncFormatter(write))
    axis.set_minor_locator(ticker.NullLocator())
