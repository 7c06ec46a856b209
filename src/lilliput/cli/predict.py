"""``lilliput predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from lilliput.cli import options
from lilliput.cli.output import print_json
from lilliput.verbs.predict import predict as run


def predict(
    artifact: Annotated[str, typer.Argument(help="An artifact's folder.")],
    files: Annotated[list[str], typer.Argument(help="Source files, one function each; '-' is standard input.")],
    threads: options.Threads = 1,
    json: options.Json = False,
) -> None:
    """Classify source files; a model of pairs takes them two by two. Needs the core install only."""
    verdicts = run(artifact, files, threads)
    if json:
        print_json({"predictions": [verdict.as_dict() for verdict in verdicts]})
        return
    for verdict in verdicts:
        typer.echo(f"{' '.join(verdict.files)}: {verdict.prediction.label} ({verdict.prediction.probability:.1%})")
