"""The classifier part of ``lilliput evaluate``, and its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from lilliput import progress
from lilliput.cli.output import in_percent, print_facts, print_json, print_table, print_text, with_interval
from lilliput.data.tables import Columns
from lilliput.evaluate.carbon import parse_intensity
from lilliput.units import show_bytes

MEASURES = {"accuracy": "accuracy, %", "f1": "F1, %", "mcc": "MCC"}
"""Columns of the table, and their headings."""


def measure(given: dict[str, Any], command: str) -> None:
    """Measure with the given options and print the result."""
    from lilliput.verbs.evaluate import evaluate as run

    result = run(
        given["model"],
        given["task"],
        given["data"],
        train=given["train"] or (),
        tokenizer=given["tokenizer"],
        columns=Columns(given["code_column"], given["second_column"], given["label_column"]),
        threads=given["threads"] or 1,
        tokens=given["tokens"],
        intensity=parse_intensity(given["carbon_intensity"]),
        command=command,
        progress=progress.for_stream(),
    ).as_dict()
    if given["json"]:
        print_json(result)
    else:
        show(result)


def show(result: dict[str, Any]) -> None:
    """Print an evaluation as text."""
    intervals, latency, natural = result["intervals"], result["latency_ms"], result["latency_ms"]["natural"]
    rivals = result["baselines"]["details"]
    rows = [[result["name"], *(_cell(result, name, intervals[name]) for name in MEASURES)]]
    for rival, scores in rivals.items():
        rows.append([f"{rival.replace('_', ' ')}*", *(_cell(scores, name) for name in MEASURES)])
    print_table([f"n = {result['n']:,}", *MEASURES.values()], rows)
    fitted = {scores["fitted_on"] for scores in rivals.values()}
    print_text(f"* baselines, fitted on: {'; '.join(sorted(fitted))}")
    if any(scores["undefined"] for scores in (result, *rivals.values())):
        print_text("undefined: all labels or all predictions are one class, or none is the positive class")
    if points := [name for name, ends in intervals.items() if ends is None and name not in result["undefined"]]:
        names = " and ".join(MEASURES[name].removesuffix(", %") for name in points)
        print_text(f"{names} without an interval: the examples are too few, or too much alike")
    typer.echo("")
    parts = ", ".join(f"{name} {size:,}" for name, size in result["bytes"].items() if name != "total")
    memory = result["peak_memory_mb"]
    print_facts(
        {
            "precision, recall, %": f"{_cell(result, 'precision')}, {_cell(result, 'recall')}",
            "bytes": f"{result['bytes']['total']:,} ({parts})",
            "peak memory": "not measured" if memory is None else f"{show_bytes(memory * 1e6)} resident",
            f"latency at {latency['tokens']} tokens": f"p50 {latency['p50']:.2f} ms, p95 {latency['p95']:.2f} ms, "
            f"{latency['threads']} thread(s), one {latency['per']}",
            "natural length": f"p50 {natural['p50']:.2f} ms, p95 {natural['p95']:.2f} ms, one {natural['per']}",
            "energy": f"{1e3 * result['energy']['joules_per_example']:.2f} mJ per example, {result['energy']['kind']}",
            "carbon": f"{1e6 * result['carbon']['grams_co2e_per_example']:.3f} µg CO2e per example at "
            f"{result['carbon']['intensity']['grams_per_kwh']:g} g/kWh ({result['carbon']['intensity']['region']})",
        }
    )


def _cell(scores: Mapping[str, Any], measure: str, interval: Sequence[float] | None = None) -> str:
    if measure in scores["undefined"]:
        return "undefined"
    if measure == "mcc":
        return with_interval(scores[measure], interval, percent=False)
    return in_percent(scores[measure], interval)
