"""``lilliput compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.compare_table import show
from lilliput.cli.output import command_line, print_json
from lilliput.data.tables import Columns
from lilliput.evaluate.carbon import parse_intensity


def compare(
    original: Annotated[
        str,
        typer.Argument(help="Model to compare the others with: an artifact or a checkpoint (folder, file, hub id)."),
    ],
    models: Annotated[
        list[str],
        typer.Argument(metavar="COMPRESSED", help="One or more models of the same kind: artifacts or checkpoints."),
    ],
    rounds: Annotated[
        int,
        typer.Option("--rounds", min=6, help="Rounds; every model runs once in each. Intervals are taken over rounds."),
    ] = 10,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=3, help="Prompt length of generators (default: 256) or input length of classifiers (400)."
        ),
    ] = None,
    new_tokens: Annotated[
        int, typer.Option("--new-tokens", min=1, help="Tokens that a generator writes in each round.")
    ] = 32,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="CPU threads per model. Default: 1; for generators, all usable cores."),
    ] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="Precision for running generators' checkpoints: fp32 or bf16.")
    ] = "fp32",
    carbon_intensity: Annotated[
        str | None,
        typer.Option(
            "--carbon-intensity",
            help="Grams of CO2 equivalent per kWh, or a country such as DEU. Default: world average.",
        ),
    ] = None,
    price_per_hour: Annotated[
        float | None,
        typer.Option(
            "--price-per-hour",
            min=0,
            help="US dollars per hour of a machine with that many threads. Default: an assumed price (shown).",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="Task of classifier checkpoints that do not state theirs (artifacts do)."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", help="Examples to also time classifiers on, at their natural length; labels are not needed."
        ),
    ] = None,
    tokenizer: options.Tokenizer = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write the result to.")] = None,
    json: options.Json = False,
) -> None:
    """Compare the costs of an original and its compressed models.

    Shows bytes, memory, speed, energy, carbon and money side by side. Each model runs in its own process; all stay
    loaded and take turns. Ratios have 95 % intervals over rounds, and are omitted if the machine is too noisy.
    """
    from lilliput.verbs.compare import CompareSettings
    from lilliput.verbs.compare import compare as run

    result = run(
        [original, *models],
        task=task,
        data=data or (),
        tokenizer=tokenizer,
        columns=Columns(code_column, second_column, None),
        settings=CompareSettings(rounds, tokens, new_tokens, threads, precision),
        intensity=parse_intensity(carbon_intensity),
        price_per_hour=price_per_hour,
        out=out,
        command=command_line(),
        progress=progress.for_stream(),
    ).as_dict()
    if json:
        print_json(result)
    else:
        show(result)
