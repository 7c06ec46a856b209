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
    artifact: Annotated[str, typer.Argument(help=f"An artifact's folder, or a model that comes along: {NAMES}.")],
    files: Annotated[list[str], typer.Argument(help="Source files; '-' is standard input, taken as one function.")],
    whole: Annotated[bool, typer.Option("--whole", help="Take each file as one function, whatever it holds.")] = False,
    threads: options.Threads = 1,
    json: options.Json = False,
) -> None:
    """Classify the functions of source files.

    A model of pairs takes files two by two. Needs the core install only. For example: lilliput predict vulnerability
    FILE.c, or lilliput predict clone A.java B.java. Files in C, Java and Python are taken apart into functions; of two
    files, each function of the first is shown with its likeliest counterpart in the second. What is no source code is
    told of at the end, with exit code 2.
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
