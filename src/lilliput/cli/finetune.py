"""``lilliput finetune``."""

from __future__ import annotations

from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import print_facts, print_json
from lilliput.data.tables import Columns


def finetune(
    base: Annotated[
        str,
        typer.Argument(
            help="A Hugging Face folder or hub id of an encoder, or sizes: "
            "scratch:layers=4,hidden=384,heads=6,intermediate=1536,vocabulary=4000."
        ),
    ],
    task: options.Task,
    train: options.Train,
    valid: options.Valid,
    out: options.Out,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the data.")] = 3,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Peak of the learning rate. Default: by kind of BASE.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Examples a step.")] = 32,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=16, max=16_384, help="Longest input.")] = 400,
    pooling: Annotated[
        str | None,
        typer.Option("--pooling", help="What is taken of the tokens: first, mean or wide. Default: by kind of BASE."),
    ] = None,
    join: Annotated[
        str, typer.Option("--join", help="How a pair's vectors are joined: difference or concat.")
    ] = "difference",
    labels: options.Labels = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Fine-tune an encoder of code: the teacher that 'shrink' takes.

    Killed at any moment, the same command goes on where it stopped.
    """
    from lilliput.extras import require

    require("torch")
    from lilliput.verbs.finetune import finetune as run

    result = run(
        base,
        task,
        train,
        valid,
        out,
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        max_tokens=max_tokens,
        pooling=pooling,
        join=join,
        label_names=None if labels is None else tuple(part.strip() for part in labels.split(",")),
        columns=Columns(code_column, second_column, label_column),
        seed=seed,
        progress=progress.for_stream(),
    )
    if json:
        print_json(result.as_dict())
    else:
        print_facts(result.facts())
