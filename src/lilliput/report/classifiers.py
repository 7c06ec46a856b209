"""The page's content on classifiers: one sentence per comparison, the rows of the main table, plots and facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.report import (
    Baseline,
    Evidence,
    baselines,
    clean,
    look_up,
    percent,
    plots,
    scaled,
    significant,
    undefined,
)
from lilliput.report.facts import FactTable, as_mapping, fact_table, without
from lilliput.report.sections import ABSENT, Cell, Plot

HARDWARE = ("cpu", "cores")
"""Keys of ``machine`` that must agree before two latencies are compared."""

METRICS = {"accuracy": "Accuracy", "f1": "F1", "mcc": "MCC"}

MEASURED_BY = ("date", "command", "versions", "machine", "method", "intervals", "latency_ms", "energy", "carbon")
"""Keys of an evaluation that describe the measurement; their figures in the main table are left out."""

FIGURES = {"p50", "p95", "joules_per_example", "grams_co2e_per_example", "accuracy", "f1", "mcc"}

UNDEFINED = Cell("undefined", "only one class in labels or predictions")


@dataclass(frozen=True)
class Row:
    """A row of the main table; a baseline's row has no ``costs``."""

    name: str
    note: str
    scores: list[Cell]
    costs: list[Cell]


def sentences(evidences: Sequence[Evidence]) -> list[str]:
    """One sentence per comparison: each model against the largest, or a single model against its best baseline."""
    if len(evidences) == 1:
        return [_alone(evidences[0])]
    reference = max(evidences, key=lambda evidence: evidence.total_bytes or 0)
    return [_comparison(evidence, reference) for evidence in evidences if evidence is not reference]


def _comparison(model: Evidence, reference: Evidence) -> str:
    ratios = [("smaller", "larger", "the same size", _ratio(reference.total_bytes, model.total_bytes))]
    times = [evidence.number("latency_ms", "p50") for evidence in (reference, model)]
    alike = _conditions(model) == _conditions(reference)
    if alike:
        ratios.append(("faster", "slower", "equally fast", _ratio(*times)))
    known = [(more, less, same, ratio) for more, less, same, ratio in ratios if ratio is not None]
    differing = [
        f"{_times(ratio)} {more}" if ratio > 1 else f"{_times(1 / ratio)} {less}"
        for more, less, _, ratio in known
        if not _is_one(ratio)
    ]
    clauses = [same for _, _, same, ratio in known if _is_one(ratio)]
    if None not in times and not alike:
        clauses.append("their speeds were measured under different conditions and are not compared")
    clauses.append(_accuracies(model, reference))
    start = f"{clean(model.name)} is {' and '.join(differing)} than" if differing else f"{clean(model.name)} against"
    return f"{start} {clean(reference.name)}{'; ' if differing else ': '}{'; '.join(clauses)}."


def _accuracies(model: Evidence, reference: Evidence) -> str:
    tasks = [evidence.evaluation.get("task") for evidence in (model, reference)]
    if None not in tasks and tasks[0] != tasks[1]:
        return f"their tasks differ ({clean(tasks[0])}, {clean(tasks[1])}), so their accuracies are not compared"
    ours, theirs = _accuracy(model), _accuracy(reference)
    if ours == theirs == ABSENT:
        return f"accuracy {ABSENT}"
    counts = [evidence.number("n") for evidence in (model, reference)]
    hashes = [look_up(evidence.evaluation, "data", "sha256") for evidence in (model, reference)]
    if None not in hashes and hashes[0] != hashes[1]:
        ours, theirs = (f"{text} (n = {_count(n)})" for text, n in zip((ours, theirs), counts, strict=True))
        return f"accuracy {ours} against {theirs}, on different data"
    size = _count(counts[0]) if counts[0] == counts[1] else f"{_count(counts[0])} and {_count(counts[1])}"
    return f"accuracy {ours} against {theirs}; n = {size}"


def _alone(evidence: Evidence) -> str:
    known = [(b.accuracy, b.title) for b in baselines(evidence) if b.accuracy is not None]
    best = max(known, default=None)
    against = "" if best is None else f" against {percent(best[0])} % for the best baseline ({best[1]})"
    size, time = evidence.total_bytes, evidence.number("latency_ms", "p50")
    settings = f" ({evidence.settings})" if evidence.settings else ""
    costs = [text for text in (size and scaled(size, "B"), time and f"{significant(time)} ms{settings}") if text]
    start = f"{clean(evidence.name)} takes {' and '.join(costs)}; " if costs else f"{clean(evidence.name)}: "
    return f"{start}accuracy {_accuracy(evidence)}{against}; n = {_count(evidence.number('n'))}."


def caution(evidences: Sequence[Evidence]) -> str:
    """A warning for scores shown together without a record that they are from the same data."""
    data = [(look_up(e.evaluation, "task"), look_up(e.evaluation, "data", "sha256")) for e in evidences]
    alike = all(one == data[0] for one in data) and (data[0][1] is not None or len(data) == 1)
    return "" if alike else "Not all of these models are on record as scored on the same data."


def _conditions(evidence: Evidence) -> tuple[Any, ...]:
    return (evidence.settings, *(look_up(evidence.evaluation, "machine", key) for key in HARDWARE))


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above and below and above > 0 and below > 0 else None


def _is_one(ratio: float) -> bool:
    return f"{max(ratio, 1 / ratio):.1f}" == "1.0"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 9.95 else f"{ratio:.1f}x"


def _count(n: float | None) -> str:
    return "unknown" if n is None else f"{n:,.10g}"


def _score(metric: str, value: float) -> str:
    return f"{value:.3f}" if metric == "mcc" else percent(value)


def _accuracy(evidence: Evidence) -> str:
    value, ends = evidence.number("accuracy"), evidence.interval("accuracy")
    interval = "" if ends is None else f" {_bracket('accuracy', ends)}"
    return ABSENT if value is None else f"{percent(value)} %{interval}"


def _bracket(metric: str, ends: tuple[float, float]) -> str:
    return f"[{_score(metric, ends[0])}, {_score(metric, ends[1])}]"


def _cell(value: float | None, text: str, note: Any = "") -> Cell:
    return Cell(ABSENT, absent=True) if value is None else Cell(text, clean(note or ""))


def model_row(evidence: Evidence) -> Row:
    """A model's scores and costs."""
    scores = []
    for metric in METRICS:
        value, ends = evidence.number(metric), evidence.interval(metric)
        known = _cell(value, _score(metric, value or 0), ends and _bracket(metric, ends))
        scores.append(UNDEFINED if metric in undefined(evidence.evaluation) else known)
    size, memory = evidence.total_bytes, evidence.number("peak_memory_mb")
    p50, p95 = evidence.number("latency_ms", "p50"), evidence.number("latency_ms", "p95")
    energy = evidence.number("energy", "joules_per_example")
    carbon = evidence.number("carbon", "grams_co2e_per_example")
    slowest = "–" if p95 is None else significant(p95)
    costs = [
        _cell(size, scaled(size or 0, "B")),
        _cell(p50, f"{significant(p50 or 0)} / {slowest}", evidence.settings),
        _cell(memory, f"{significant(memory or 0)} MB"),
        _cell(energy, scaled(energy or 0, "J"), look_up(evidence.evaluation, "energy", "kind") or "kind not recorded"),
        _cell(carbon, scaled(carbon or 0, "g")),
    ]
    n = evidence.number("n")
    return Row(clean(evidence.name), "" if n is None else f"n = {_count(n)}", scores, costs)


def baseline_row(baseline: Baseline) -> Row:
    """A baseline's scores."""
    values = {metric: getattr(baseline, metric) for metric in METRICS}
    scores = [
        UNDEFINED if metric in baseline.undefined else _cell(value, _score(metric, value or 0))
        for metric, value in values.items()
    ]
    return Row(baseline.title, f"fitted on {baseline.fitted_on}" if baseline.fitted_on else "", scores, [])


def plot_groups(evidences: Sequence[Evidence]) -> list[list[Plot]]:
    """Plots to show side by side, in rows; empty plots and rows are left out."""
    overview = [
        (
            plots.size_against_score(evidences, "size"),
            f"Size against score. Bars: 95 % intervals. {caution(evidences)}",
        ),
        (plots.latency(evidences, "latency"), "Latency: bar to the median, whisker to the 95th percentile."),
    ]
    matrices, curves = [], []
    for index, evidence in enumerate(evidences):
        name = clean(evidence.name)
        rates = [(rate, evidence.number(rate)) for rate in ("precision", "recall")]
        tail = "".join(
            f", {rate} undefined" if rate in undefined(evidence.evaluation) else f", {rate} {percent(value)} %"
            for rate, value in rates
            if value is not None
        )
        matrix = plots.confusion(evidence, f"confusion-{index}")
        classes = len(plots.confusion_matrix(evidence)[0])
        if matrix is None and classes:
            matrix, tail = "", f"{tail}; {classes} classes are too many to draw"
        matrices.append((matrix, f"{name}: true class against predicted{tail}."))
        curves.append((plots.training(evidence, f"training-{index}"), f"{name}: training."))
    groups = [[Plot(svg, text) for svg, text in group if svg is not None] for group in (overview, matrices, curves)]
    return [group for group in groups if group]


def fact_tables(evidences: Sequence[Evidence]) -> Iterator[FactTable]:
    """Bytes, method, data, model and provenance, one column per model."""
    evaluations = [evidence.evaluation for evidence in evidences]
    inspected = [evidence.inspect or {} for evidence in evidences]
    sizes = [look_up(e, "bytes") or look_up(i, "bytes") for e, i in zip(evaluations, inspected, strict=True)]
    about = [
        as_mapping(facts.get("architecture"), "architecture")
        | {key: value for key, value in facts.items() if key not in {"provenance", "bytes", "architecture"}}
        for facts in inspected
    ]
    methods = [
        {key: without(evaluation[key], FIGURES) for key in MEASURED_BY if key in evaluation}
        for evaluation in evaluations
    ]
    sources = {
        "Bytes by part": sizes,
        "How it was measured": methods,
        "Data": [evaluation.get("data") for evaluation in evaluations],
        "The model": about,
        "Provenance": [facts.get("provenance") for facts in inspected],
    }
    for title, values in sources.items():
        yield fact_table(title, [clean(e.name) for e in evidences], values, numeric=title == "Bytes by part")
