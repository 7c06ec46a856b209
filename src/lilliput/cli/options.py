"""Options that several verbs share, declared once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lilliput.errors import UserError

Task = Annotated[str, typer.Option("--task", help="vulnerability, clone or classification.")]
Data = Annotated[
    list[Path],
    typer.Option(
        "--data", help="File to score on: JSONL, CSV, Parquet or a clone pair list; gzip is fine. Repeatable."
    ),
]
OptionalData = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="File to measure on: JSONL, CSV, Parquet, a clone pair list, or problems; gzip is fine. Repeatable.",
    ),
]
Train = Annotated[
    list[Path],
    typer.Option(
        "--train", help="Training file: JSONL, CSV, TSV, Parquet or a clone pair list; gzip is fine. Repeatable."
    ),
]
OptionalTrain = Annotated[
    list[Path] | None,
    typer.Option(
        "--train", help="Training file to fit the baselines on; without it they are cross-validated on --data."
    ),
]
Valid = Annotated[list[Path], typer.Option("--valid", help="Validation file. Repeatable.")]
Out = Annotated[
    Path, typer.Option("--out", help="Folder to write, whole or not at all; an earlier result there is replaced.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
CodeColumn = Annotated[str | None, typer.Option("--code-column", help="Column that holds the function.")]
SecondColumn = Annotated[str | None, typer.Option("--second-column", help="Column of a pair's second function.")]
LabelColumn = Annotated[str | None, typer.Option("--label-column", help="Column that holds the label.")]
Labels = Annotated[
    str | None, typer.Option("--labels", help="Class names in order, separated by commas; else taken from the data.")
]
Tokenizer = Annotated[
    Path | None, typer.Option("--tokenizer", help="tokenizer.json of a checkpoint that does not carry its own.")
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Processor threads.")]


def names_of(given: Sequence[str] | None) -> list[str]:
    """Names given one by one, or several at once with commas between them."""
    return [name.strip() for several in given or () for name in several.split(",") if name.strip()]


def refuse_others(context: typer.Context, takes: Mapping[str, Collection[str]], kind: str, task: str) -> None:
    """Refuse options that say nothing to this kind of task.

    Args:
        context: of the command.
        takes: kind -> names of its options; what none of them has belongs to all.
        kind: of the task.
        task: by name.

    Raises:
        UserError: one was given on the command line.
    """
    for name in sorted({option for options in takes.values() for option in options} - set(takes[kind])):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UserError(
                f"says nothing to task '{task}'.", where=f"--{name.replace('_', '-')}", remedy="Leave it out."
            )
