"""The section on the accuracy of generators: pass@k, failures, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence

from lilliput.report import clean, percent, signed
from lilliput.report.given import Given, Run
from lilliput.report.interval_plot import Mark, interval_plot
from lilliput.report.pairs import Pair
from lilliput.report.sections import NOTHING, Cell, Line, Plot, Section, Table

FAILURES = {"wrong": "Wrong", "error": "Error", "timeout": "Timeout", "runner": "No verdict"}
"""Outcome of a completion -> the column's head."""

SOURCES = (
    "In brackets: 95 % intervals. pass@k: unbiased estimator of Chen et al. 2021. Wrong: the tests raised; error: the "
    "program did; no verdict: the sandbox or a server failed, and the completion is left out."
)

PAIRED = (
    "Problems for which both models have a verdict. Interval: percentile bootstrap over problems (Efron 1979). p: "
    "McNemar's exact test, two-sided (McNemar 1947), where each problem was tried once."
)


def accuracy_section(given: Given, pairs: Sequence[Pair]) -> Section:
    """Tables and plots of all runs, grouped by benchmark."""
    groups: dict[tuple[str, str | None], list[Run]] = {}
    for run in sorted(given.runs, key=lambda run: run.name != given.reference):
        groups.setdefault((run.values["task"], run.data), []).append(run)
    tables, plots = [], []
    for number, runs in enumerate(groups.values()):
        title = _title(runs, list(groups))
        tables.append(_table(title, runs, given))
        plots += _rates(title, runs, given.names, f"pass-{number}")
        compared = [pair for pair in pairs if pair.difference is not None and any(pair.other is run for run in runs)]
        if compared:
            tables.append(_paired_table(title, compared))
            plots += _differences(title, compared, given.names, f"paired-{number}")
    return Section("Accuracy", tables=tables, plots=plots)


def _title(runs: Sequence[Run], keys: Sequence[tuple[str, str | None]]) -> str:
    run = runs[0]
    alike = [key for key in keys if key[0] == run.values["task"]]
    return run.benchmark + (f", data {(run.data or 'unknown')[:8]}" if alike[1:] else "")


def _table(title: str, runs: Sequence[Run], given: Given) -> Table:
    ks = sorted({k for run in runs for k in run.values["k"]})
    heads = ["Model", *(f"pass@{k}" for k in ks), "Solved", "Problems", *FAILURES.values()]
    lines = []
    for run in runs:
        failures = run.values["failures"]
        cells = [
            *(_rate(run.pass_at(k)) for k in ks),
            Cell(f"{run.solved:,}"),
            Cell(f"{len(run.counted):,}"),
            *(Cell(f"{failures[name]:,}") if name in failures else NOTHING for name in FAILURES),
        ]
        role = "reference" if run.name == given.reference and len(runs) > 1 else ""
        lines.append(Line(clean(run.name), cells, role))
    return Table(title, heads, lines, SOURCES)


def _rate(rate: tuple[float, float, float] | None) -> Cell:
    return NOTHING if rate is None else Cell(f"{percent(rate[0])} %", f"[{percent(rate[1])}, {percent(rate[2])}]")


def _paired_table(title: str, pairs: Sequence[Pair]) -> Table:
    reference = clean(pairs[0].reference.name)
    heads = ["Model", f"Solved by {reference} alone", "By this model alone", "Difference, points", "p", "Problems"]
    lines = []
    for pair in pairs:
        found = pair.difference
        if found is None:
            continue
        value, low, high = (100 * end for end in (found.difference.value, found.difference.low, found.difference.high))
        alone = [len(pair.flips(lost)) for lost in (True, False)]
        cells = [
            *(Cell(f"{count:,}") for count in alone),
            Cell(signed(value), f"[{signed(low)}, {signed(high)}]"),
            Cell("no test", absent=True) if found.p_value is None else Cell(p_words(found.p_value)),
            Cell(f"{len(pair.problems):,}"),
        ]
        lines.append(Line(clean(pair.other.name), cells))
    return Table(f"{title}: problem by problem against {reference}", heads, lines, PAIRED)


def _rates(title: str, runs: Sequence[Run], names: Sequence[str], key: str) -> list[Plot]:
    marks = []
    for run in runs:
        k = min(run.values["k"])
        rate = run.pass_at(k)
        if rate is not None:
            value, low, high = (100 * end for end in rate)
            text = f"{value:.1f} % [{low:.1f}, {high:.1f}], n = {len(run.counted):,}"
            marks.append(Mark(f"{clean(run.name)}, pass@{k}", value, low, high, text, names.index(run.name)))
    svg = interval_plot(marks, key, f"pass@k on {title}.", "problems solved, %")
    return [] if svg is None else [Plot(svg, f"{title}: pass@k with 95 % intervals.")]


def _differences(title: str, pairs: Sequence[Pair], names: Sequence[str], key: str) -> list[Plot]:
    marks = []
    for pair in pairs:
        if pair.difference is not None:
            found = pair.difference.difference
            value, low, high = (100 * end for end in (found.value, found.low, found.high))
            text = f"{signed(value)} points [{signed(low)}, {signed(high)}]"
            marks.append(Mark(clean(pair.other.name), value, low, high, text, names.index(pair.other.name)))
    reference = clean(pairs[0].reference.name)
    svg = interval_plot(
        marks, key, f"Paired differences from {reference} on {title}.", f"points above {reference}", line=0.0
    )
    caption = f"{title}: paired difference from {reference}. Intervals that cross the line: this sample shows none."
    return [] if svg is None else [Plot(svg, caption)]


def p_words(p: float) -> str:
    """A rounded p-value; one below 0.001 as an upper bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
