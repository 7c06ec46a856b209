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
        typer.Argument(help="What the others are compared with: an artifact or a checkpoint (folder, file, hub id)."),
    ],
    models: Annotated[
        list[str], typer.Argument(metavar="COMPRESSED", help="One or more of the same kind: artifacts, checkpoints.")
    ],
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds", min=6, help="Rounds, in each of which every model has its turn; intervals are over these."
        ),
    ] = 10,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=3, help="Tokens of a generator's prompt (default: 256), or of a classifier's input (400)."
        ),
    ] = None,
    new_tokens: Annotated[
        int, typer.Option("--new-tokens", min=1, help="Tokens that a generator writes after its prompt in each round.")
    ] = 32,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=1, help="Processor threads of every model. Default: 1; of generators, all usable cores."
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="What a generator's checkpoint is run in: fp32 or bf16.")
    ] = "fp32",
    carbon_intensity: Annotated[
        str | None,
        typer.Option(
            "--carbon-intensity",
            help="Grams of CO2 equivalent a kWh, or a country such as DEU; default: the world's average.",
        ),
    ] = None,
    price_per_hour: Annotated[
        float | None,
        typer.Option(
            "--price-per-hour",
            min=0,
            help="US dollars an hour of a machine with as many threads; default: an assumed price, which is named.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="Task of classifiers' checkpoints that do not say theirs. An artifact does."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", help="Examples that classifiers are also timed on, as they come; labels are not needed."
        ),
    ] = None,
    tokenizer: options.Tokenizer = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write the result to, as JSON.")] = None,
    json: options.Json = False,
) -> None:
    """Compare what an original and its compressed selves take.

    Bytes, memory, speed, energy, carbon and money, side by side. All run at the same time, each in a process of its
    own, and are asked in turn; ratios have 95 % intervals over rounds, and none is given where the machine was too
    noisy.
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
