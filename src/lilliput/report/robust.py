"""The section on robustness: generators under perturbed prompts, classifiers under rewrites, students and teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.report import clean, look_up, percent, plural
from lilliput.report.given import Given
from lilliput.report.interval_plot import Mark, interval_plot
from lilliput.report.reading import Result
from lilliput.report.robust_pairs import against_plots, against_sentences, against_tables
from lilliput.report.sections import NOTHING, Cell, Line, Plot, Section, Table

RECODE = (
    "Wang et al. 2023 (ReCode). RP: the share that still passes under the worst of all versions of a prompt; RD: the "
    "fraction of pass@k that is lost; RR: the share that changes either way. In brackets: 95 % intervals over problems."
)

REWRITES = (
    "Flips: of the examples that a rewrite changed, those whose prediction changed; 'any': under at least one rewrite, "
    "with the accuracy under all of them. Broken: right before, wrong after; mended: the reverse. In brackets: 95 % "
    "intervals."
)


def robustness_section(given: Given) -> Section:
    """All evidence of robustness and faithfulness, with one or more tables per result."""
    tables, plots = [], []
    names = list(dict.fromkeys([*given.names, *(result.name for result in given.recode)]))
    for number, result in enumerate(given.recode):
        series = names.index(result.name)  # a model has one color on the page
        tables.append(_recode_table(result))
        plots += _recode_plot(result, number, series)
        tables += against_tables(result)
        plots += against_plots(result, number, series)
    for number, result in enumerate(given.flips):
        tables += _flip_tables(result)
        plots += _flip_plot(result, number)
    return Section("Robustness", _cautions(given), tables, plots)


def robustness_sentences(given: Given) -> list[str]:
    """For the head of the page: the worst case of each classifier, and how far it follows its teacher."""
    said = []
    for result in given.flips:
        values, name = result.values, clean(result.name)
        worst = _flip_words(values["flips"])
        against = values.get("against")
        if against is None:
            said.append(f"Rewrites that preserve semantics change the prediction of {name} in {worst}.")
            continue
        teacher = clean(against.get("name") or "its teacher")
        other = _flip_words(against["flips"]) if against.get("flips") else "an unknown share"
        text = f"Rewrites that preserve semantics change the prediction of {name} in {worst}, and that of "
        agreement = look_up(against, "faithfulness", "agreement")
        label = f" {name} agrees with {teacher} on "
        follows = "" if agreement is None else f"{label}{_percent(agreement)} of all examples."
        said.append(f"{text}{teacher} in {other}.{follows}")
    for result in given.recode:
        rows = [row for row in result.values["perturbations"] if row.get("robust_drop") is not None]
        if rows:
            worst_row = max(rows, key=lambda row: float(row["robust_drop"]["value"]))
            drop = _percent(worst_row["robust_drop"])
            said.append(
                f"Of {len(result.values['perturbations'])} prompt perturbations, {clean(worst_row['name'])} "
                f"costs {clean(result.name)} the most: {drop} of its pass@{worst_row['k']}."
            )
        said += against_sentences(result)
    return said


def _flip_words(flips: Mapping[str, Any]) -> str:
    worst = flips["any"].get("worst")
    if worst is None:
        return "no case (no example could be rewritten)"
    return f"{_percent(worst)} of {plural(flips['any']['n'], 'example')}"


def _cautions(given: Given) -> list[str]:
    hashes = {look_up(result.values, "data", "sha256") for result in given.flips}
    if len(hashes) > 1:
        return ["The classifiers' robustness was not measured on the same data: they are not compared with each other."]
    return []


def _recode_table(result: Result) -> Table:
    lines = []
    for row in result.values["perturbations"]:
        family = clean(row.get("family") or "")
        note = ", ".join(text for text in (family, plural(row["seeds"], "seed"), f"k = {row['k']}") if text)
        cells = [_cell(row.get(name)) for name in ("nominal_pass", "robust_pass", "robust_drop", "robust_relative")]
        lines.append(Line(clean(row["name"]), cells, note))
    heads = ["Perturbation", "pass@k before, %", "RP, %", "RD, %", "RR, %"]
    return Table(f"{clean(result.name)}: perturbed prompts", heads, lines, RECODE)


def _recode_plot(result: Result, number: int, series: int) -> list[Plot]:
    marks = [_mark(row["name"], row["robust_pass"], series) for row in result.values["perturbations"]]
    name = clean(result.name)
    svg = interval_plot(marks, f"recode-{number}", f"Robust pass of {name}.", "robust pass, %")
    return [] if svg is None else [Plot(svg, f"{name}: robust pass with 95 % intervals, by perturbation.")]


def _flip_tables(result: Result) -> list[Table]:
    against = result.values.get("against") or {}
    models = [(result.name, result.values["flips"])]
    if against.get("flips"):
        models.append((against.get("name") or "teacher", against["flips"]))
    heads = ["Rewrite", "Changed", "Flips, %", "Broken", "Mended", "Accuracy, %"]
    tables = [
        Table(
            f"{clean(name)}: rewritten code, {plural(result.values['n'], 'example')}",
            heads,
            [*(_flip_line(row, "flipped", "accuracy") for row in flips["rewrites"]),
             _flip_line({"rewrite": "any", **flips["any"]}, "worst", "worst_accuracy")],
            REWRITES,
        )
        for name, flips in models
    ]  # fmt: skip
    faithful = look_up(against, "faithfulness")
    if isinstance(faithful, Mapping):
        tables.append(_faithful_table(result.name, against.get("name") or "teacher", faithful))
    return tables


def _flip_line(row: Mapping[str, Any], flips: str, accuracy: str) -> Line:
    counts = [Cell(f"{row[name]:,}") if isinstance(row.get(name), int) else NOTHING for name in ("broken", "mended")]
    cells = [Cell(f"{row['n']:,}"), _cell(row.get(flips)), *counts, _cell(row.get(accuracy))]
    return Line(clean(row["rewrite"]).replace("_", " "), cells)


def _faithful_table(name: str, teacher: str, faithful: Mapping[str, Any]) -> Table:
    share = faithful.get("confidence")
    sure = "confident" if share is None else f"at least {100 * share:g} % confident"
    rows = {
        f"same label as {clean(teacher)}": faithful.get("agreement"),
        f"same label where {clean(teacher)} is {sure}": faithful.get("confident"),
    }
    for role, words in (("student", clean(name)), ("teacher", clean(teacher))):
        rows[f"calibration error of {words}"] = look_up(faithful, role, "before")
        rows[f"calibration error of {words}, temperature scaled"] = look_up(faithful, role, "after")
    lines = [Line(title, [_cell(found), _size(found)]) for title, found in rows.items()]
    legend = "Expected calibration error, on the half not used to fit the temperature (Guo et al. 2017)."
    return Table(f"{clean(name)} compared with its teacher", ["", "%", "Examples"], lines, legend)


def _flip_plot(result: Result, number: int) -> list[Plot]:
    against = result.values.get("against") or {}
    models = [(result.name, result.values["flips"])]
    if against.get("flips"):
        models.append((against.get("name") or "teacher", against["flips"]))
    marks = [
        _mark(f"{clean(row['rewrite']).replace('_', ' ')}, {clean(name)}", found, series)
        for place, row in enumerate(models[0][1]["rewrites"])
        for series, (name, flips) in enumerate(models)
        if (found := _flipped(flips["rewrites"], place, row["rewrite"])) is not None
    ]
    svg = interval_plot(marks, f"flips-{number}", "Predictions that flip.", "flips, % of the examples that changed")
    caption = f"{clean(result.name)}: predictions that flip under each rewrite, with 95 % intervals."
    return [] if svg is None else [Plot(svg, caption)]


def _flipped(rewrites: Sequence[Mapping[str, Any]], place: int, name: str) -> Mapping[str, Any] | None:
    alike = rewrites[place] if place < len(rewrites) and rewrites[place]["rewrite"] == name else {}
    found = alike.get("flipped")
    return found if isinstance(found, Mapping) else None


def _mark(name: str, found: Mapping[str, Any], series: int) -> Mark:
    value, low, high = (100 * found[end] for end in ("value", "low", "high"))
    return Mark(clean(name), value, low, high, f"{value:.1f} % [{low:.1f}, {high:.1f}]", series)


def _cell(found: Any) -> Cell:
    if not isinstance(found, Mapping):
        return NOTHING
    value, low, high = (percent(found[end]).replace("-", "−") for end in ("value", "low", "high"))
    return Cell(value, f"[{low}, {high}]")


def _size(found: Any) -> Cell:
    n = look_up(found, "n")
    return Cell(f"{n:,}") if isinstance(n, int) else NOTHING


def _percent(found: Mapping[str, Any]) -> str:
    return f"{percent(found['value'])} % [{percent(found['low'])}, {percent(found['high'])}]"
