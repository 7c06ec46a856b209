"""The generator part of ``lilliput robustness``: its options and its output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli.options import names_of
from lilliput.cli.output import print_table, print_text, with_interval
from lilliput.cli.score import end
from lilliput.errors import UserError

Perturbations = Annotated[
    list[str] | None,
    typer.Option(
        "--perturbations",
        help="Families (docstring, func_name, syntax, format) or names, comma-separated. Repeatable. Default: all.",
    ),
]
Released = Annotated[
    Path | None,
    typer.Option("--released", help="Folder with the perturbed files that ReCode released, to use instead."),
]


def measure(given: dict[str, Any], command: str) -> None:
    """Measure with the given options and print the result."""
    from lilliput.data.humaneval import STOPS
    from lilliput.evaluate.judging import Limits
    from lilliput.evaluate.perturb import SEEDS
    from lilliput.runtime.settings import Settings
    from lilliput.verbs.robustness import robustness_generator

    if len(given["data"]) != 1:
        raise UserError("takes one file of problems.", where="--data", remedy="Give it once.")
    same = ("against", "released", "limit", "threads", "precision", "workers", "unsafe", "out")
    found = robustness_generator(
        given["model"],
        given["data"][0],
        **{name: given[name] for name in same},
        perturbations=names_of(given["perturbations"])
        or given["perturbations"]
        or None,  # the parser gives () for none
        seeds=given["seeds"] or SEEDS,
        settings=Settings(max_new_tokens=given["max_new_tokens"], batch=given["batch"], stop=STOPS),
        limits=Limits(given["seconds"], given["memory"]),
        command=command,
        progress=progress.for_stream(),
    )
    end(found.as_dict(), given["json"], found.exit_code, show)


def show(result: dict[str, Any]) -> None:
    """Print the result as text."""
    typer.echo(f"{result['name']}, n = {result['n']:,}")
    header = ["perturbation", "seeds", "changed", "pass@1", "RP", "RD", "RR"]
    for title, lines in (("", result["perturbations"]), ("worst case of a family", result["families"])):
        header[0] = title or header[0]
        print_table(header, [_row(line) for line in lines])
        typer.echo("")
    if result["against"] is not None:
        _show_against(result["against"])
    print_text(
        "pass@1: on the unperturbed prompts; RP, robust pass: on every version of a prompt; RD, robust drop: the share "
        "of pass@1 that is lost; RR, robust relative: problems whose outcome changes; brackets are 95 % intervals."
    )


def _row(line: dict[str, Any]) -> list[str]:
    rates = (line["nominal_pass"], line["robust_pass"], line["robust_drop"], line["robust_relative"])
    shown = ["-" if rate is None else with_interval(rate["value"], (rate["low"], rate["high"])) for rate in rates]
    return [line["name"], f"{line['seeds']}", f"{line['changed']:.0%}", *shown]


def _show_against(against: dict[str, Any]) -> None:
    """Print the differences from the original."""
    lines = [(f"pass@1, {on}", found, None) for on, found in against["nominal"].items()]
    alone = [line["family"] for line in against["perturbations"]]
    families = [
        line for line in against["families"] if alone.count(line["family"]) > 1
    ]  # families of one perturbation add nothing
    for line in (*against["perturbations"], *families, against["all"]):
        found = line["difference"]
        lines.append((f"RP, {line['name']}", found["robust_pass"], found["robust_drop"]))
    lines.append(("mean of all versions", against["all"]["mean_pass"], None))
    typer.echo(f"against {against['name']}, n = {against['n']:,}")
    header = ["measure", "gained", "lost", "p", "difference, points", "RD difference, points"]
    print_table(header, [[name, *_paired(found), _points(drop)] for name, found, drop in lines])
    print_text(
        "gained, lost: problems that only this model passes, or only the other one; p: McNemar's exact test; "
        "differences: this model minus the other; all: of the problems passed in all unperturbed forms, those still "
        "passed in every version of every perturbation."
    )
    typer.echo("")


def _paired(found: dict[str, Any]) -> list[str]:
    counts = ["-" if found[name] is None else f"{found[name]:,}" for name in ("gained", "lost")]
    return [*counts, "-" if found["p_value"] is None else f"{found['p_value']:.3f}", _points(found["difference"])]


def _points(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return "-"
    value, low, high = (100 * estimate[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
