"""A generator compared with the original under perturbed prompts: robust pass and drop, problem by problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lilliput.evaluate.problem_pairs import is_shown
from lilliput.report import as_number, clean, look_up, percent, plural, signed
from lilliput.report.generators import p_words
from lilliput.report.interval_plot import Mark, interval_plot
from lilliput.report.reading import Result
from lilliput.report.sections import Cell, Line, Plot, Table
from lilliput.report.verdict import NO_DIFFERENCE

LEGEND = (
    "RP and RD of this model minus those of the other, in points (unperturbed: pass@1); an equally robust model has "
    "about 0. Both models get the same prompts; interval: percentile bootstrap over problems (Efron 1979); p: "
    "McNemar's exact test, two-sided (McNemar 1947). A family's figure is that of the worst of all its versions."
)

BEFORE = {"prompt": "unchanged prompts", "partial": "with half a solution"}
"""What is perturbed -> its name before perturbation."""

NEITHER = Cell("does not apply", absent=True)

EVERYTHING = "all perturbations"


def against_tables(result: Result) -> list[Table]:
    """The differences for every perturbation and family; empty where no other model was measured."""
    lines = [Line(name, _cells(difference), note) for name, note, difference in _rows(result)]
    if not lines:
        return []
    other = _other(result)
    heads = ["Perturbation", f"Survives with {other} alone", "With this model alone", "RP, points", "p", "RD, points"]
    n = look_up(result.values, "against", "n")
    return [Table(f"{clean(result.name)} beside {other}: {plural(n, 'problem')}, perturbed", heads, lines, LEGEND)]


def against_plots(result: Result, number: int, series: int) -> list[Plot]:
    """Differences of robust pass with their intervals, in the model's color."""
    marks = []
    for name, note, difference in _rows(result):
        found = look_up(difference, "robust_pass", "difference")
        if isinstance(found, Mapping):
            value, low, high = (100 * found[end] for end in ("value", "low", "high"))
            row = name if name != EVERYTHING else note
            text = f"{signed(value)} points [{signed(low)}, {signed(high)}]"
            marks.append(Mark(row, value, low, high, text, series))
    name, other = clean(result.name), _other(result)
    axis = f"robust pass, points above {other}"
    svg = interval_plot(marks, f"recode-pairs-{number}", f"Robust pass of {name} beside {other}.", axis, line=0.0)
    caption = (
        f"{name}: paired difference of robust pass from {other}. Intervals that cross the line: this sample shows none."
    )
    return [] if svg is None else [Plot(svg, caption)]


def against_sentences(result: Result) -> list[str]:
    """Whether the sample shows a difference under the worst of all versions, and the difference in robust drop."""
    line = look_up(result.values, "against", "all")
    found, before = look_up(line, "difference", "robust_pass", "difference"), look_up(line, "reference", "robust_pass")
    if not isinstance(found, Mapping) or not isinstance(before, Mapping):
        return []
    low, high = (100 * found[end] for end in ("low", "high"))
    p = as_number(look_up(line, "difference", "robust_pass", "p_value"))
    words = f"{signed(100 * found['value'])} points" if is_shown(low, high, p) else NO_DIFFERENCE
    shares = [percent(share) for share in (before["value"] + found["value"], before["value"])]
    text = (
        f"Under every version of every perturbation, {clean(result.name)} still solves {shares[0]} % of "
        f"{plural(look_up(result.values, 'against', 'n'), 'problem')}, {_other(result)} {shares[1]} %: {words} "
        f"(paired interval {signed(low)} to {signed(high)} points)."
    )
    drop = look_up(line, "difference", "robust_drop")
    if isinstance(drop, Mapping):
        value, low, high = (100 * drop[end] for end in ("value", "low", "high"))
        text += f" Its robust drop differs by {signed(value)} points [{signed(low)}, {signed(high)}]."
    return [text]


def _rows(result: Result) -> Iterator[tuple[str, str, Any]]:
    """Yield each line's name, note and differences, starting with the unperturbed prompts."""
    against = result.values.get("against") or {}
    for on, found in (against.get("nominal") or {}).items():
        yield BEFORE.get(on, clean(on)), "pass@1, not perturbed", {"robust_pass": found}
    for row in against.get("perturbations", ()):
        yield clean(row["name"]), clean(row.get("family") or ""), row.get("difference")
    alone = [row.get("family") for row in against.get("perturbations", ())]
    for row in against.get("families", ()):
        if alone.count(row.get("family")) == 1:  # its line would repeat that perturbation's
            continue
        yield clean(row["name"]), "worst of the family", row.get("difference")
    if isinstance(against.get("all"), Mapping):
        yield EVERYTHING, "worst of all versions", against["all"].get("difference")
        yield EVERYTHING, "mean of all versions", {"robust_pass": against["all"].get("mean_pass")}


def _cells(difference: Any) -> list[Cell]:
    robust = look_up(difference, "robust_pass")
    counts = [look_up(robust, name) for name in ("lost", "gained")]
    p = as_number(look_up(robust, "p_value"))
    return [
        *(Cell(f"{count:,}") if isinstance(count, int) else NEITHER for count in counts),
        _points(look_up(robust, "difference")),
        Cell("no test", absent=True) if p is None else Cell(p_words(p)),
        _points(look_up(difference, "robust_drop")),
    ]


def _points(found: Any) -> Cell:
    if not isinstance(found, Mapping):
        return NEITHER
    value, low, high = (100 * found[end] for end in ("value", "low", "high"))
    return Cell(signed(value), f"[{signed(low)}, {signed(high)}]")


def _other(result: Result) -> str:
    return clean(look_up(result.values, "against", "name") or "the other model")
