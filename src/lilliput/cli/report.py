"""``lilliput report``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from lilliput.cli import options
from lilliput.cli.output import print_json


def report(
    subjects: Annotated[list[Path], typer.Argument(help="Artifacts, and files that 'evaluate --json' printed.")],
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "Models of code, compared",
    json: options.Json = False,
) -> None:
    """Write one page that shows models side by side; it needs no network to look at."""
    from lilliput.verbs.report import report as run

    run(subjects, out, title, shlex.join(["lilliput", *sys.argv[1:]]))
    if json:
        print_json({"path": str(out), "subjects": [str(subject) for subject in subjects]})
    else:
        typer.echo(f"wrote {out}")
