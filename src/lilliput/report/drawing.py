"""Shared by all plots: their style, and the conversion of a matplotlib figure to an SVG element for use in HTML.

Only matplotlib's object interface is used, never its global state: the same figures give the same bytes. Text stays
text, in the page's own typeface, and colors are the page's CSS variables, so that plots follow dark mode and print.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from lilliput.extras import require
from lilliput.report import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2328", "#5b626b", "#d9dce0"
SERIES = ("#2b6095", "#b3521f", "#35764a", "#7b4b94", "#846510", "#50575f")
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line"} | {c: f"--series-{i}" for i, c in enumerate(SERIES)}
"""Color as matplotlib draws it -> the CSS variable that replaces it."""

MARKERS, DASHES = "osD^vP", ("--", ":", "-.")

WIDTH = 5.0
"""In inches, at 72 units per inch: small enough that text stays legible when a phone scales the plot down."""

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lilliput",
    "text.parse_math": False,  # a model may be called '$\\alpha'
    "font.size": 10,
    "legend.fontsize": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "figure.facecolor": "none",
}

LONGEST_NAME = 32


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """A name on one line of at most ``longest`` characters; a longer one is cut in the middle."""
    text = clean(name)
    return text if len(text) <= longest else f"{text[: longest - 11]}…{text[-10:]}"


def log_axis(axes: Axes, low: float, high: float, write: Callable[[float], str]) -> None:
    """Make x a log axis from ``low`` to ``high``, with a few ticks formatted by ``write``."""
    ticker = require("matplotlib.ticker")
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 50 else (1,)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=steps, numticks=7))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: write(value)))
    axes.xaxis.set_minor_locator(ticker.NullLocator())


@contextmanager
def drawing() -> Iterator[None]:
    """Apply :data:`STYLE` on top of matplotlib's defaults; the user's settings are ignored, and restored afterwards."""
    matplotlib = require("matplotlib")
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        warnings.filterwarnings("ignore", message="Glyph")  # the browser chooses the font, which may have it
        yield


def new_figure(height: float, width: float = WIDTH, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Create a figure, sized in inches, and its axes, row by row."""
    engine = require("matplotlib.layout_engine").ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.04)
    figure: Figure = require("matplotlib.figure").Figure(figsize=(width, height), dpi=72, layout=engine)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def as_file(figure: Figure) -> str:
    """The figure as a standalone SVG file, in the colors it was drawn in."""
    target = io.StringIO()
    require("matplotlib.backends.backend_svg").FigureCanvasSVG(figure).print_svg(target, metadata={"Date": None})
    return "".join(f"{line.rstrip()}\n" for line in target.getvalue().splitlines())


def as_svg(figure: Figure, label: str, key: str) -> str:
    """The figure as an ``<svg>`` element for HTML.

    What only a standalone file needs is removed (namespaces, metadata, a style sheet that would apply to the whole
    page), and so are ids that nothing refers to, which could clash; ``key`` makes the remaining ids unique.
    """
    root = ElementTree.fromstring(as_file(figure))
    for parent in root.iter():
        for child in [c for c in parent if c.tag.rpartition("}")[2] in {"metadata", "style"}]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        kept = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({name: _in_page(name, value, key) for name, value in kept.items()})
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', text))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    shape = {"viewBox": box, "style": f"max-width: {1.4 * float(box.split()[2]):.0f}px"}
    root.attrib.update({"class": "plot", "role": "img", "aria-label": label, **shape})
    return ElementTree.tostring(root, encoding="unicode")


def _in_page(name: str, value: str, key: str) -> str:
    """An attribute's value with the page's colors and with ids unique to this plot."""
    if name == "id":
        return f"{key}-{value}"
    if name == "href":
        return f"#{key}-{value.removeprefix('#')}"
    if name == "clip-path":
        return value.replace("url(#", f"url(#{key}-")
    return re.sub(r"#[0-9a-f]{6}", lambda m: f"var({VARIABLES[m[0]]})" if m[0] in VARIABLES else m[0], value)
