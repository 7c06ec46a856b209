"""A plot of figures with intervals: one row per figure, with its name and value above its mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lilliput.extras import require
from lilliput.report import significant
from lilliput.report.drawing import INK, MARKERS, SERIES, as_svg, drawing, log_axis, new_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_MARKS = 60
"""Maximum rows of a plot; the tables show all figures."""

ROOM, SHORTEST = 56, 16
"""Characters per row for name and value, and the least that the name gets; it is cut to what the value leaves."""


@dataclass(frozen=True)
class Mark:
    """A figure.

    Attributes:
        name: label of the row.
        value: position of the mark.
        low, high: ends of its interval; ``None``: it has none.
        text: the figure in words.
        series: index of its color.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    text: str
    series: int = 0


def interval_plot(
    marks: Sequence[Mark],
    key: str,
    title: str,
    axis: str,
    *,
    line: float | None = None,
    log: bool = False,
    write: Callable[[float], str] = significant,
) -> str | None:
    """Draw marks with whiskers, one per row; ``None`` where there are none.

    Args:
        marks: in the order of the rows; on a log scale, above 0.
        key: of the plot, unique on the page.
        title: start of the text alternative; the figures follow it.
        axis: label of the axis.
        line: value that stands for no difference.
        log: whether the scale is logarithmic.
        write: formats a tick of a log scale.
    """
    marks = marks[:MOST_MARKS]
    if not marks:
        return None
    with drawing():
        figure, (axes,) = new_figure(height=0.7 + 0.44 * len(marks))
        if line is not None:
            axes.axvline(line, color=INK, lw=1.0, ls="--", zorder=1)
        for row, mark in enumerate(marks):
            color, shape = SERIES[mark.series % len(SERIES)], MARKERS[mark.series % len(MARKERS)]
            if mark.low is not None and mark.high is not None:
                axes.plot([mark.low, mark.high], [row, row], color=color, lw=1.6, marker="|", ms=7)
            axes.plot([mark.value], [row], color=color, marker=shape, ms=6.5, lw=0)
            name = short(mark.name, max(ROOM - len(mark.text), SHORTEST))
            for x, text, side in ((0.0, name, "left"), (1.0, mark.text, "right")):
                axes.text(x, row - 0.24, text, ha=side, va="bottom", transform=axes.get_yaxis_transform())
        ends = [end for mark in marks for end in (mark.low, mark.value, mark.high, line) if end is not None]
        _scale(axes, min(ends), max(ends), log, write)
        axes.set(xlabel=axis, yticks=[])
        axes.set_ylim(len(marks) - 0.55, -0.8)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        return as_svg(figure, f"{title} {' '.join(f'{mark.name}: {mark.text}.' for mark in marks)}", key)


def _scale(axes: Axes, low: float, high: float, log: bool, write: Callable[[float], str]) -> None:
    if log:
        log_axis(axes, low / 1.3, high * 1.3, write)
        return
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(require("matplotlib.ticker").MaxNLocator(nbins=6, steps=(1, 2, 5, 10)))
