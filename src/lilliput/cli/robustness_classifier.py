"""The classifier part of ``lilliput robustness``, and its output."""

from __future__ import annotations

from typing import Any

import typer

from lilliput import progress
from lilliput.cli.output import in_percent, print_facts, print_json, print_table, print_text, with_interval
from lilliput.data.tables import Columns


def measure(given: dict[str, Any], command: str) -> None:
    """Measure with the given options and print the result."""
    from lilliput.verbs.robustness import robustness

    same = ("against", "language", "limit", "tokenizer", "seed", "out")
    result = robustness(
        given["model"],
        given["task"],
        given["data"],
        **{name: given[name] for name in same},
        seeds=given["seeds"] or 1,
        columns=Columns(given["code_column"], given["second_column"], given["label_column"]),
        threads=given["threads"] or 1,
        command=command,
        progress=progress.for_stream(),
    ).as_dict()
    if given["json"]:
        print_json(result)
    else:
        show(result)


def show(result: dict[str, Any]) -> None:
    """Print the result as text."""
    against = result["against"]
    models = [(result["name"], result["flips"]), *([] if against is None else [(against["name"], against["flips"])])]
    seeds = len(result["flips"]["seeds"])
    for name, found in models:
        before = _estimate(found["accuracy"])
        print_text(f"{name}, {result['n']:,} examples in {found['language']}, accuracy before: {before}")
        rows = [_row(line) for line in (*found["rewrites"], found["any"])]
        print_table(["rewrite", "changed", "flips, %", "broken", "mended", "accuracy, %"], rows)
        typer.echo("")
    print_text(
        f"flips: share of the changed examples whose prediction changed, {seeds} seed(s); "
        "any: flips under at least one rewrite, and accuracy under all of them; brackets are 95 % intervals."
    )
    facts: dict[str, object] = {}
    if against is not None:
        faithful = against["faithfulness"]
        sure = faithful["confident"]
        facts["same label as the teacher"] = f"{_estimate(faithful['agreement'])}, n = {faithful['agreement']['n']:,}"
        facts[f"where its probability is {faithful['confidence']:g} or more"] = (
            "no such examples" if sure is None else f"{_estimate(sure)}, n = {sure['n']:,}"
        )
        facts["calibration error, teacher"] = _calibration(faithful["teacher"])
    facts["calibration error, model"] = _calibration(result["calibration"])
    typer.echo("")
    print_facts(facts)


def _row(line: dict[str, Any]) -> list[str]:
    worst = line["rewrite"] == "any"
    return [
        line["rewrite"].replace("_", " "),
        f"{line['n']:,}",
        _percent(line["worst" if worst else "flipped"]),
        f"{line['broken']:,}",
        f"{line['mended']:,}",
        _percent(line["worst_accuracy" if worst else "accuracy"]),
    ]


def _percent(found: dict[str, Any] | None) -> str:
    return in_percent(None, None) if found is None else in_percent(found["value"], (found["low"], found["high"]))


def _estimate(found: dict[str, Any] | None) -> str:
    if found is None:
        return with_interval(None, None)
    return with_interval(found["value"], (found["low"], found["high"]))


def _calibration(found: dict[str, Any] | None) -> str:
    if found is None:
        return with_interval(None, None)
    return (
        f"{_estimate(found['before'])}; {_estimate(found['after'])} at temperature {found['temperature']:.2f}, "
        f"fitted on {found['fitted_on']:,}, measured on the other {found['before']['n']:,}"
    )
