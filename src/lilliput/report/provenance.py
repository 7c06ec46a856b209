"""The provenance of figures: commands, versions, hashes, settings, post-processing, sandbox, machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.report import clean, look_up
from lilliput.report.facts import FactTable, as_mapping, fact_table
from lilliput.report.given import Given, Run
from lilliput.report.reading import Result

RECORDED: Mapping[str, tuple[str, ...]] = {
    "How it was run": ("command", "machine"),
    "What was asked": ("settings", "prompts", "postprocessing", "program"),
    "Data of the problems": ("data",),
    "Where programs ran": ("sandbox",),
    "The model that was run": ("model",),
    "How costs were measured": ("throughput_method", "energy", "carbon"),
    "Notes": ("notes", "warning"),
}
"""Title of a table -> fields of a result that it shows."""

OTHERS = ("command", "settings", "data", "noise", "price", "intensity", "machine", "notes")
"""Fields that other results may have."""

FIGURES = ("joules_per_token", "grams_co2e_per_token")

ARTIFACT = ("provenance", "weights", "activations", "model_type", "parameters", "sha256")


def provenance_tables(given: Given) -> list[FactTable]:
    """One table per subject, with one column per result; unrecorded facts are left out."""
    names = [_column(run, given.runs) for run in given.runs]
    tables = [
        fact_table(title, names, [_fields(run.values, fields) for run in given.runs], numeric=False)
        for title, fields in RECORDED.items()
    ]
    folders = [
        {name: look_up(artifact.inspect, name) for name in ARTIFACT if look_up(artifact.inspect, name) is not None}
        for artifact in given.artifacts
    ]
    if folders:
        tables.append(fact_table("Artifacts", [clean(one.name) for one in given.artifacts], folders, numeric=False))
    others: list[Result] = [
        *given.comparisons, *given.flips, *given.recode, *given.summaries, *given.repositories
    ]  # fmt: skip
    for result in others:
        title = f"{clean(result.file)}: {clean(result.name)}" if "name" in result.values else clean(result.file)
        tables.append(fact_table(title, [clean(result.name)], [_fields(result.values, OTHERS)], numeric=False))
    return [table for table in tables if table.rows]


def _column(run: Run, runs: Sequence[Run]) -> str:
    again = sum(other.name == run.name for other in runs) > 1
    return f"{clean(run.name)}, {run.benchmark}" if again else clean(run.name)


def _fields(values: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in fields:
        value = values.get(name)
        if isinstance(value, Mapping) and (name == fields[0] or len(fields) == 1):
            found |= as_mapping(value, name)
        elif isinstance(value, Mapping):
            found[name] = {key: inner for key, inner in value.items() if key not in FIGURES}
        elif value is not None:
            found[name] = value
    return found
