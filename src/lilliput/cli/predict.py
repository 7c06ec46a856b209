"""``lilliput predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import print_json
from lilliput.errors import UserError, plain
from lilliput.shipped import NAMES
from lilliput.verbs.predict import predict as run
from lilliput.verbs.predict import unknown_languages


def predict(
    artifact: Annotated[str, typer.Argument(help=f"An artifact's folder, or a built-in model: {NAMES}.")],
    files: Annotated[list[str], typer.Argument(help="Source files; '-' reads one function from standard input.")],
    whole: Annotated[bool, typer.Option("--whole", help="Treat each file as one function.")] = False,
    threads: options.Threads = 1,
    json: options.Json = False,
) -> None:
    """Classify the functions in source files.

    Needs only the core install. Files in C, Java and Python are split into functions. A model of pairs takes two files
    at a time and shows each function of the first with its likeliest counterpart in the second. For example: lilliput
    predict vulnerability FILE.c, or lilliput predict clone A.java B.java. Files that are not source code are reported
    at the end, with exit code 2.
    """
    errors: list[UserError] = []
    shown = progress.for_stream()
    verdicts = run(artifact, files, threads, whole=whole, passed_over=errors.append, progress=shown)
    notes = unknown_languages(artifact, files)
    if json:
        found = {"predictions": [verdict.as_dict() for verdict in verdicts]}
        print_json({**found, "notes": notes, "errors": [str(error) for error in errors]})
    else:
        for verdict in verdicts:
            parts = " and ".join(map(str, verdict.parts))
            typer.echo(plain(f"{parts}: {verdict.prediction.label} ({verdict.prediction.probability:.1%})"))
        for note in notes:
            typer.echo(f"note: {note}", err=True)
    for error in errors:
        typer.echo(f"error: {error}", err=True)
    if errors:
        raise typer.Exit(UserError.exit_code)
