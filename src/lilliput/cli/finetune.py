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
            help="Encoder: a Hugging Face folder or hub id, or the sizes of a new one: "
            "scratch:layers=4,hidden=384,heads=6,intermediate=1536,vocabulary=4000."
        ),
    ],
    task: options.Task,
    train: options.Train,
    valid: options.Valid,
    out: options.Out,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training data.")] = 3,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Peak learning rate. Default: depends on BASE.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Examples per step.")] = 32,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=16, max=16_384, help="Maximum input length in tokens.")
    ] = 400,
    pooling: Annotated[
        str | None,
        typer.Option("--pooling", help="Pooling of token vectors: first, mean or wide. Default: depends on BASE."),
    ] = None,
    join: Annotated[
        str, typer.Option("--join", help="How to join the vectors of a pair: difference or concat.")
    ] = "difference",
    labels: options.Labels = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Fine-tune an encoder of code as a teacher for 'shrink'.

    If interrupted, run the same command again to resume.
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
