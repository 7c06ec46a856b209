"""The typer application and its table of verbs."""

from __future__ import annotations

import typer

from lilliput.cli import (
    compare,
    complete,
    demo,
    evaluate,
    finetune,
    inspect,
    predict,
    quantize,
    report,
    robustness,
    score,
    search,
    shrink,
    study,
)
from lilliput.cli.words import Verb, name_values
from lilliput.version import VERSION

app = typer.Typer(
    name="lilliput",
    help="Make models of code small enough for a developer's computer, and measure how good they still are.",
    epilog="To get started: lilliput predict vulnerability FILE.c, or lilliput demo.",
    context_settings={"max_content_width": 120},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

VERBS = (
    demo.demo,
    finetune.finetune,
    search.search,
    shrink.shrink,
    quantize.quantize,
    study.study,
    evaluate.evaluate,
    robustness.robustness,
    score.score,
    compare.compare,
    predict.predict,
    complete.complete,
    inspect.inspect,
    report.report,
)

for verb in VERBS:
    name_values(verb)
    app.command(cls=Verb)(verb)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
) -> None:
    """Options before the verb."""
