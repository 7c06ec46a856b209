"""``lilliput score``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli import code_options, options
from lilliput.cli.output import command_line, print_facts, print_json, print_table, with_interval


def score(
    problems: Annotated[
        Path,
        typer.Option(
            "--problems", help="File of HumanEval, HumanEval+, MBPP, sanitized MBPP or MBPP+; may be gzipped."
        ),
    ],
    completions: Annotated[
        Path,
        typer.Option(
            "--completions", help="JSON Lines file with task_id and completion; several per problem are allowed."
        ),
    ],
    k: code_options.K = None,
    form: Annotated[
        str,
        typer.Option(
            "--form", help="Form of the completions: 'completion' (continues the prompt), 'program' or 'auto'."
        ),
    ] = "auto",
    partial: Annotated[bool, typer.Option("--partial", help="Skip problems without completions.")] = False,
    challenges: code_options.Challenges = False,
    workers: code_options.Workers = None,
    seconds: code_options.Seconds = 10.0,
    memory: code_options.Memory = 1024,
    unsafe: code_options.Unsafe = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Result to write (.json file or folder); lets an interrupted run resume."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Score completions made elsewhere by running the tests: pass@k.

    Programs run in a sandbox; pass@k has intervals. Exit code 1: more than 5 % of the problems have no verdict because
    of the runner, not the model.
    """
    from lilliput.evaluate.judging import Limits
    from lilliput.verbs.score import score as run
    from lilliput.verbs.tally import parsed_ks

    found = run(
        problems,
        completions,
        k=parsed_ks(k),
        form=form,
        partial=partial,
        challenges=challenges,
        workers=workers,
        limits=Limits(seconds, memory),
        unsafe=unsafe,
        out=out,
        command=command_line(),
        progress=progress.for_stream(),
    )
    end(found.as_dict(), json, found.exit_code)


def end(
    result: dict[str, Any], json: bool, exit_code: int, showing: Callable[[dict[str, Any]], None] | None = None
) -> None:
    """Print a result, its warning first, and exit with its exit code."""
    if json:
        print_json(result)
    else:
        (showing or show)(result)
    if exit_code:
        if json:
            typer.echo(f"warning: {result['warning']}", err=True)
        raise typer.Exit(exit_code)


def show(result: dict[str, Any]) -> None:
    """Print pass@k and the failures as text."""
    if "warning" in result:
        typer.echo(f"warning: {result['warning']}\n")
    sizes = result["sample_sizes"]
    names = {name: name if size == result["n"] else f"{name}, n = {size:,}" for name, size in sizes.items()}
    rows = [[shown, with_interval(result[name], result["intervals"][name])] for name, shown in names.items()]
    print_table([f"n = {result['n']:,} problems", result["task"]], rows)
    typer.echo("")
    counts, failures = result["completions"], result["failures"]
    walls = result["sandbox"]
    kept = "no network, no access to your files" if walls["network"] and walls["files"] else "NOT isolated (--unsafe)"
    print_facts(
        {
            "completions": f"{counts['total']:,}, {counts['fewest']} to {counts['most']} per problem",
            "failures": ", ".join(f"{name} {count:,}" for name, count in failures.items()),
            "sandbox": kept,
            "post-processing": "; ".join(result["postprocessing"]),
        }
        | {f"note {place}": note for place, note in enumerate(result["notes"], 1)}
    )
