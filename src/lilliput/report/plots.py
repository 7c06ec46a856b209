"""Plots of classifiers, as SVG elements to stand inside HTML.

Each function returns an ``<svg>`` element, or ``None`` where there is nothing to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.extras import require
from lilliput.report import (
    Evidence,
    as_number,
    clean,
    distinct_baselines,
    look_up,
    percent,
    scaled,
    significant,
)
from lilliput.report.drawing import (
    DASHES,
    MARKERS,
    MUTED,
    SERIES,
    VARIABLES,
    WIDTH,
    as_svg,
    drawing,
    log_axis,
    new_figure,
    short,
)

__all__ = ["VARIABLES", "confusion", "confusion_matrix", "latency", "size_against_score", "training"]

METRICS = {"accuracy": "accuracy", "f1": "F1"}

MOST_POINTS = 400
MOST_CLASSES, MOST_NUMBERED_CLASSES = 40, 10


def size_against_score(evidences: Sequence[Evidence], key: str) -> str | None:
    """Bytes (log scale) against accuracy, or F1 where no accuracy is known: with intervals, and baselines as lines."""
    metric = next((m for m in METRICS if any(e.number(m) is not None for e in evidences)), "accuracy")
    points = [
        (index, evidence, size, score)
        for index, evidence in enumerate(evidences)
        if (size := evidence.total_bytes) and size > 0 and (score := evidence.number(metric)) is not None
    ]
    if not points:
        return None
    lines = [(b.title, value) for b in distinct_baselines(evidences) if (value := getattr(b, metric)) is not None]
    label = f"Size against {METRICS[metric]}."
    drawn: list[Any] = []
    with drawing():
        figure, (axes,) = new_figure(height=2.6 + 0.2 * (len(points) + len(lines)))
        for index, evidence, size, score in points:
            ends = evidence.interval(metric)
            reach = ends and [[100 * max(score - ends[0], 0)], [100 * max(ends[1] - score, 0)]]
            text = f"{short(evidence.name)}: {scaled(size, 'B')}, {percent(score)} %"
            look: dict[str, Any] = {"fmt": MARKERS[index % len(MARKERS)], "color": SERIES[index % len(SERIES)]}
            drawn.append(axes.errorbar(size, 100 * score, yerr=reach, label=text, ms=6.5, lw=1.4, capsize=3, **look))
            label += f" {text}."
        for index, (title, value) in enumerate(lines):
            text = f"{short(title, 44)}: {percent(value)} %"
            dashes = DASHES[index % len(DASHES)]
            drawn.append(axes.axhline(100 * value, label=text, color=MUTED, lw=1.2, ls=dashes, zorder=1))
            label += f" Baseline {text}."
        sizes = [size for *_, size, _ in points]
        log_axis(axes, min(sizes) / 2, max(sizes) * 2, lambda value: scaled(value, "B", 1))
        axes.set(xlabel="bytes on disk, log scale", ylabel=f"{METRICS[metric]}, %")
        axes.margins(y=0.12)
        axes.yaxis.set_major_locator(require("matplotlib.ticker").MaxNLocator(nbins=7, steps=(1, 2, 5, 10)))
        figure.legend(handles=drawn, loc="outside lower left", handlelength=2.2, borderpad=0)
        return as_svg(figure, label, key)


def latency(evidences: Sequence[Evidence], key: str) -> str | None:
    """Bars of the median latency (log scale), each with a whisker to the 95th percentile."""
    timed = [
        (index, evidence, p50)
        for index, evidence in enumerate(evidences)
        if (p50 := evidence.number("latency_ms", "p50")) and p50 > 0
    ]
    if not timed:
        return None
    settings = {evidence.settings for _, evidence, _ in timed}
    common = settings.pop() if len(settings) == 1 else ""
    fastest = min(p50 for *_, p50 in timed)
    start = 10.0 ** math.floor(math.log10(fastest * 0.7))  # a log axis has no zero for bars to start at
    label = "Latency."
    with drawing():
        figure, (axes,) = new_figure(height=0.75 + 0.5 * len(timed))
        slowest = 0.0
        for row, (index, evidence, p50) in enumerate(timed):
            p95 = evidence.number("latency_ms", "p95")
            slowest = max(slowest, p50, p95 or 0)
            axes.barh(row, p50 - start, left=start, height=0.34, color=SERIES[index % len(SERIES)])
            if p95 and p95 > p50:
                axes.errorbar(p50, row, xerr=[[0.0], [p95 - p50]], color=MUTED, lw=1.2, capsize=3)
            name = short(evidence.name) if common or not evidence.settings else short(evidence.name, 20)
            name += "" if common or not evidence.settings else f" ({evidence.settings})"
            value = f"{significant(p50)} ms" + ("" if p95 is None else f", p95 {significant(p95)} ms")
            for x, text, side in ((0.0, name, "left"), (1.0, value, "right")):
                axes.text(x, row - 0.26, text, ha=side, va="bottom", transform=axes.get_yaxis_transform())
            label += f" {name}: {value}."
        log_axis(axes, start, slowest * 1.15, lambda value: significant(value, 1))
        axes.set(xlabel="milliseconds, log scale" + (f"; {common}" if common else ""), yticks=[])
        axes.set_ylim(len(timed) - 0.6, -0.75)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        return as_svg(figure, label, key)


def training(evidence: Evidence, key: str) -> str | None:
    """Loss over epochs, one row per stage, beside the scores on validation data where recorded."""
    stages = _stages(evidence)
    if not stages:
        return None
    columns = 2 if any(stage.scores for stage in stages) else 1
    label = f"Training of {clean(evidence.name)}."
    with drawing():
        figure, cells = new_figure(height=0.3 + 1.75 * len(stages), rows=len(stages), columns=columns)
        for row, stage in enumerate(stages):
            loss, *rest = cells[columns * row : columns * (row + 1)]
            loss.plot(*zip(*stage.loss, strict=True), color=SERIES[0], lw=1.2, marker="" if stage.loss[1:] else "o")
            loss.set_title(f"{short(stage.name, 24)}: loss", loc="left", fontsize=10)
            loss.set_xlabel("epoch" if stage.averaged == 1 else f"epoch; means of {stage.averaged} records")
            label += f" {stage.name}: loss from {significant(stage.loss[0][1])} to {significant(stage.loss[-1][1])}."
            for axes in rest:
                axes.set_title("validation, %", loc="left", fontsize=10)
                axes.set_xlabel("epoch")
                for index, (metric, curve) in enumerate(stage.scores.items()):
                    look: dict[str, Any] = {"color": SERIES[1 + index], "marker": MARKERS[index]}
                    axes.plot(*zip(*curve, strict=True), label=METRICS[metric], ms=3.5, lw=1.2, **look)
                    label += f" Validation {METRICS[metric]} ended at {curve[-1][1]:.1f} %."
                axes.set_visible(bool(stage.scores))
        keys = {text: line for axes in cells for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
        if keys:
            figure.legend(keys.values(), keys.keys(), loc="outside lower right", ncols=len(keys), borderpad=0)
        return as_svg(figure, label, key)


def confusion(evidence: Evidence, key: str) -> str | None:
    """The confusion matrix: counts, shaded by their share of the row; for up to :data:`MOST_CLASSES` classes."""
    table, names = confusion_matrix(evidence)
    n = len(table)
    if not 0 < n <= MOST_CLASSES:
        return None
    label = f"Confusion matrix of {clean(evidence.name)}."
    numbered = n <= MOST_NUMBERED_CLASSES
    with drawing():
        rectangle = require("matplotlib.patches").Rectangle
        figure, (axes,) = new_figure(height=0.9 + min(max(0.5 * n, 1.1), 4.0), width=min(2.0 + 0.85 * n, WIDTH))
        for i, row in enumerate(table):
            for j, count in enumerate(row):
                share = count / (sum(row) or 1)
                axes.add_patch(rectangle((j, i), 1, 1, facecolor=SERIES[0], alpha=0.04 + 0.5 * share, linewidth=0))
                if numbered:
                    axes.text(j + 0.5, i + 0.5, f"{count:,.10g}", ha="center", va="center")
                    label += f" {names[i]} predicted as {names[j]}: {count:,.10g}."
        middles = [i + 0.5 for i in range(n)] if numbered else []
        shown = [short(name, 16) for name in names] if numbered else []
        axes.set(xlim=(0, n), ylim=(n, 0), xlabel="predicted class", ylabel="true class")
        axes.set_xticks(middles, shown, rotation=0 if n <= 4 else 40, ha="center" if n <= 4 else "right")
        axes.set_yticks(middles, shown)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return as_svg(figure, label, key)


def confusion_matrix(evidence: Evidence) -> tuple[list[list[float]], list[str]]:
    """The matrix and its class names; the matrix is empty unless it is square, of counts."""
    given = evidence.evaluation.get("confusion")
    if not isinstance(given, Sequence) or not all(isinstance(row, Sequence) for row in given):
        return [], []
    table = [[count for value in row if (count := as_number(value)) is not None and count >= 0] for row in given]
    if any(len(row) != len(table) for row in table):
        return [], []
    names = evidence.evaluation.get("label_names")
    known = isinstance(names, Sequence) and not isinstance(names, str) and len(names) == len(table)
    return table, [clean(name) for name in names] if known and names else [str(i) for i in range(len(table))]


@dataclass(frozen=True)
class _Stage:
    """One stage's curves, as (epoch, value); loss averaged over ``averaged`` records per point."""

    name: str
    loss: list[tuple[float, float]]
    averaged: int
    scores: dict[str, list[tuple[float, float]]]


def _stages(evidence: Evidence) -> list[_Stage]:
    by_stage: dict[str, list[Any]] = {}
    for record in evidence.history:
        by_stage.setdefault(clean(look_up(record, "stage") or "training"), []).append(record)

    def curve(records: list[Any], name: str, scale: float = 1.0) -> list[tuple[float, float]]:
        pairs = [(as_number(look_up(record, "epoch")), as_number(look_up(record, name))) for record in records]
        return [(epoch, scale * value) for epoch, value in pairs if epoch is not None and value is not None]

    stages = []
    for name, records in by_stage.items():
        loss = curve(records, "loss")
        size = math.ceil(len(loss) / MOST_POINTS)
        parts = [loss[i : i + size] for i in range(0, len(loss), size or 1)]
        means = [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
        scores = {metric: points for metric in METRICS if (points := curve(records, f"valid_{metric}", 100.0))}
        if means:
            stages.append(_Stage(name, means, size, scores))
    return stages
