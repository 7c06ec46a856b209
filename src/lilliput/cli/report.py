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
            help="Artifacts, and files that 'evaluate', 'score', 'compare' and 'robustness' wrote with --json or --out."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "Models of code, compared",
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="Generator that the others are compared with; default: the first evaluated."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write one page that shows models side by side.

    The page needs no network to look at.
    """
    from lilliput.verbs.report import report as run

    run(subjects, out, title, command_line(), reference)
    if json:
        print_json({"path": str(out), "subjects": [str(subject) for subject in subjects]})
    else:
        typer.echo(f"wrote {out}")
