"""``lilliput report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lilliput.cli import options
from lilliput.cli.output import command_line, print_json


def report(
    subjects: Annotated[
        list[str],
        typer.Argument(
            help="Artifacts, and results of 'evaluate', 'score', 'compare' and 'robustness' (from --json or --out)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "Models of code, compared",
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="Generator to compare the others with. Default: the first one evaluated."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write one HTML page that compares models.

    The page works offline.
    """
    from lilliput.verbs.report import report as run

    run(subjects, out, title, command_line(), reference)
    if json:
        print_json({"path": str(out), "subjects": [str(subject) for subject in subjects]})
    else:
        typer.echo(f"wrote {out}")
