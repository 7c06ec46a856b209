"""The costs of models: figures of their evaluations, and comparisons that measured models in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.report import clean, look_up, scaled, significant
from lilliput.report.conditions import MACHINE
from lilliput.report.given import Given, Run
from lilliput.report.interval_plot import Mark, interval_plot
from lilliput.report.reading import Result
from lilliput.report.sections import NOTHING, Cell, Line, Plot, Section, Table
from lilliput.report.verdict import with_ends


@dataclass(frozen=True)
class PhaseWords:
    """A phase of a comparison in words: its title, its rate, and the unit that energy is given per."""

    title: str
    rate: str
    unit: str


PHASES: Mapping[str, PhaseWords] = {
    "decode": PhaseWords("decoding", "tokens written per second", "token written"),
    "prefill": PhaseWords("prefill", "prompt tokens read per second", "token read"),
    "natural": PhaseWords("examples", "examples per second", "example"),
    "fixed": PhaseWords("functions of one length", "functions per second", "function"),
}

MEASURES: Mapping[str, str] = {"speed": "speed", "cpu": "CPU time", "energy": "energy"}

ALONE = (
    "Each model was measured in a run of its own, so these figures have no intervals, and no ratios are computed from "
    "them: 'lilliput compare' measures models in turn. 1 MB is 1,000,000 bytes."
)


def alone_section(given: Given) -> Section:
    """Figures of evaluations and artifacts, one line per model; sizes also as a plot."""
    lines: list[Line] = []
    for name in given.names:
        runs = given.runs_of(name)
        size = given.bytes_of(name)
        first = next((run for run in runs if run.number("decode_tokens_per_s")), runs[0] if runs else None)
        lines.append(Line(clean(name), _alone(first, size), "" if first is None else _where(first)))
    lines = [line for line in lines if any(cell != NOTHING for cell in line.cells)]
    if not lines:
        return Section("")
    heads = ["Model", "Size on disk", "Peak memory", "Tokens written/s", "Tokens read/s", "Energy/token", "CO2e/token"]
    sizes = [(name, size) for name in given.names if (size := given.bytes_of(name)) is not None]
    marks = [
        Mark(clean(name), size, None, None, scaled(size, "B"), series) for series, (name, size) in enumerate(sizes)
    ]
    plot = interval_plot(
        marks, "sizes", "Size on disk.", "bytes, log scale", log=True, write=lambda value: scaled(value, "B", 1)
    )
    plots = [Plot(plot, "Size on disk, exact.")] if plot is not None and marks[1:] else []
    return Section("What each model takes", tables=[Table("", heads, lines, ALONE)], plots=plots)


def _alone(run: Run | None, size: float | None) -> list[Cell]:
    def figure(*keys: str) -> float | None:
        return None if run is None else run.number(*keys)

    memory, energy, carbon = (
        figure(*keys)
        for keys in (("peak_memory_mb",), ("energy", "joules_per_token"), ("carbon", "grams_co2e_per_token"))
    )
    rates = [figure(key) for key in ("decode_tokens_per_s", "prefill_tokens_per_s")]
    kind = "" if run is None else clean(look_up(run.values, "energy", "kind") or "kind not recorded")
    return [
        NOTHING if size is None else Cell(scaled(size, "B")),
        NOTHING if memory is None else Cell(f"{significant(memory)} MB"),
        *(NOTHING if rate is None else Cell(significant(rate)) for rate in rates),
        NOTHING if energy is None else Cell(scaled(energy, "J"), kind),
        NOTHING if carbon is None else Cell(scaled(carbon, "g")),
    ]


def _where(run: Run) -> str:
    """The conditions that affect a run's costs, in words."""
    values = {name: look_up(run.values, *keys) for name, keys in MACHINE.items()}
    return ", ".join(f"{name} {clean(value)}" for name, value in values.items() if value is not None)


def comparison_section(comparison: Result, number: int) -> Section:
    """A comparison's figures, its ratios, refused ones included, and plots of ratios, speed and energy."""
    values = comparison.values
    models, ratios = values["models"], values["ratios"]
    phases = [name for name in PHASES if any(name in model["phases"] for model in models)]
    names = ", ".join(clean(model["name"]) for model in models)
    noise = look_up(values, "noise", "reason")
    said = [f"The models were measured in turn, round after round, on one machine ({clean(comparison.file)})."]
    if noise:
        said.append(f"No ratio of times is given: {clean(noise)}.")
    tables = [_figures(models, phases), *([_ratios(values["original"], ratios, phases)] if ratios else [])]
    plots = [
        plot
        for phase in phases
        for plot in (_speeds(models, phase, number), _energies(models, phase, number))
        if plot is not None
    ]
    ratio_plot = _ratio_plot(values["original"], ratios, phases, number)
    plots = [*([] if ratio_plot is None else [ratio_plot]), *plots]
    return Section(f"Side by side: {names}", said, tables, plots)


def _figures(models: Sequence[Mapping[str, Any]], phases: Sequence[str]) -> Table:
    rows: dict[str, list[Cell]] = {}
    for model in models:
        found = {
            "size on disk": Cell(scaled(model["bytes"]["total"], "B")),
            "peak resident memory": Cell(f"{significant(model['peak_memory_mb'])} MB"),
            "private memory": _plain(model.get("private_mb"), " MB"),
            "cold start": _plain(look_up(model, "cold_start_ms", "value"), " ms"),
            "time to first token": _estimate(model.get("time_to_first_token_ms"), " ms"),
        }
        for phase in phases:
            part, words = model["phases"].get(phase, {}), PHASES[phase]
            energy = look_up(part, "energy", "joules_per_unit")
            kind = clean(look_up(part, "energy", "kind") or "")
            found |= {
                words.rate: _estimate(part.get("units_per_second"), ""),
                f"energy per {words.unit}{f', {kind}' if kind else ''}": _scaled(energy, "J"),
                f"CO2e per {words.unit}": _scaled(part.get("grams_co2e_per_unit"), "g"),
                f"cost per million, {words.title}": _estimate(part.get("usd_per_million_units"), " USD"),
            }
        for name, cell in found.items():
            rows.setdefault(name, []).append(cell)
    lines = [Line(name, cells) for name, cells in rows.items() if any(cell != NOTHING for cell in cells)]
    legend = "Medians over rounds; in brackets: 95 % intervals, by bootstrap over rounds. Sizes are exact."
    return Table("Figures", ["", *(clean(model["name"]) for model in models)], lines, legend)


def _ratios(original: str, ratios: Sequence[Mapping[str, Any]], phases: Sequence[str]) -> Table:
    wanted = _wanted(phases)
    lines = [Line("size on disk", [Cell(f"{significant(entry['bytes'])}x") for entry in ratios])]
    lines.append(Line("peak memory", [Cell(f"{significant(entry['peak_memory'])}x") for entry in ratios]))
    for title, keys in wanted.items():
        cells = [_ratio(look_up(entry, *keys)) for entry in ratios]
        if any(cell != NOTHING for cell in cells):
            lines.append(Line(title, cells))
    legend = f"Speed: times as fast as {clean(original)}; all others: times less than {clean(original)} takes."
    return Table(f"Ratios to {clean(original)}", ["", *(clean(entry["name"]) for entry in ratios)], lines, legend)


def _wanted(phases: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Title of a ratio -> its path in the result."""
    by_phase = {
        f"{MEASURES[measure]}, {PHASES[phase].title}": (phase, measure) for phase in phases for measure in MEASURES
    }
    return {"time to first token": ("time_to_first_token",), "cold start": ("cold_start",), **by_phase}


def _ratio(found: Any) -> Cell:
    if not isinstance(found, Mapping):
        return NOTHING
    if found["value"] is None:
        return Cell("not given", clean(found["reason"]), absent=True)
    return Cell(with_ends(found))


def _plain(value: Any, unit: str) -> Cell:
    return NOTHING if value is None else Cell(f"{significant(value)}{unit}")


def _estimate(found: Any, unit: str) -> Cell:
    if not isinstance(found, Mapping):
        return NOTHING
    value, low, high = (significant(found[name]) for name in ("value", "low", "high"))
    return Cell(f"{value}{unit}", f"[{low}, {high}]")


def _scaled(found: Any, unit: str) -> Cell:
    if not isinstance(found, Mapping):
        return NOTHING
    value, low, high = (scaled(found[name], unit) for name in ("value", "low", "high"))
    return Cell(value, f"[{low}, {high}]")


def _speeds(models: Sequence[Mapping[str, Any]], phase: str, number: int) -> Plot | None:
    words = PHASES[phase]
    entries = [(model["name"], look_up(model, "phases", phase, "units_per_second")) for model in models]
    svg = interval_plot(_marks(entries, ""), f"speed-{number}-{phase}", f"{words.rate}.", words.rate)
    return None if svg is None else Plot(svg, f"Speed: {words.rate}, median and 95 % interval.")


def _energies(models: Sequence[Mapping[str, Any]], phase: str, number: int) -> Plot | None:
    words = PHASES[phase]
    entries = [(model["name"], look_up(model, "phases", phase, "energy", "joules_per_unit")) for model in models]
    kinds = {clean(look_up(model, "phases", phase, "energy", "kind") or "kind not recorded") for model in models}
    svg = interval_plot(_marks(entries, "J"), f"energy-{number}-{phase}", f"Energy per {words.unit}.", "joules")
    caption = f"Energy per {words.unit}, median and 95 % interval; {', '.join(sorted(kinds))}."
    return None if svg is None else Plot(svg, caption)


def _marks(entries: Sequence[tuple[str, Any]], unit: str) -> list[Mark]:
    marks = []
    for series, (name, found) in enumerate(entries):
        if isinstance(found, Mapping):
            value, low, high = (found[end] for end in ("value", "low", "high"))
            texts = [scaled(end, unit) if unit else significant(end) for end in (value, low, high)]
            marks.append(Mark(clean(name), value, low, high, f"{texts[0]} [{texts[1]}, {texts[2]}]", series))
    return marks


def _ratio_plot(original: str, ratios: Sequence[Mapping[str, Any]], phases: Sequence[str], number: int) -> Plot | None:
    marks = []
    for series, entry in enumerate(ratios, start=1):
        for title, keys in _wanted(phases).items():
            found = look_up(entry, *keys)
            if isinstance(found, Mapping) and found["value"] is not None:
                value, low, high = (found[name] for name in ("value", "low", "high"))
                marks.append(Mark(f"{clean(entry['name'])}: {title}", value, low, high, with_ends(found), series))
    axis = f"times better than {clean(original)}, log scale"
    svg = interval_plot(
        marks, f"ratios-{number}", f"Ratios to {clean(original)}.", axis, line=1.0, log=True, write="{:g}x".format
    )
    caption = f"Ratios to {clean(original)} with 95 % intervals, except for cold starts, which are too few; "
    caption += "ratios refused for noise are not drawn."
    return None if svg is None else Plot(svg, caption)
