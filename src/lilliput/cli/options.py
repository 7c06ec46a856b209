"""Options shared by several verbs, declared once."""

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
        "--data", help="File to measure on: JSONL, CSV, Parquet or a clone pair list; may be gzipped. Repeatable."
    ),
]
OptionalData = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="File to measure on: JSONL, CSV, Parquet, a clone pair list or problems; may be gzipped. Repeatable.",
    ),
]
Train = Annotated[
    list[Path],
    typer.Option(
        "--train", help="Training file: JSONL, CSV, TSV, Parquet or a clone pair list; may be gzipped. Repeatable."
    ),
]
OptionalTrain = Annotated[
    list[Path] | None,
    typer.Option("--train", help="Training file to fit the baselines on. Default: cross-validate them on --data."),
]
Valid = Annotated[list[Path], typer.Option("--valid", help="Validation file. Repeatable.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write, atomically; an earlier result there is replaced.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result to standard output as a single JSON object.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed.")]
CodeColumn = Annotated[str | None, typer.Option("--code-column", help="Column that holds the function.")]
SecondColumn = Annotated[
    str | None, typer.Option("--second-column", help="Column that holds the second function of a pair.")
]
LabelColumn = Annotated[str | None, typer.Option("--label-column", help="Column that holds the label.")]
Labels = Annotated[
    str | None, typer.Option("--labels", help="Class names in order, comma-separated. Default: taken from the data.")
]
Tokenizer = Annotated[Path | None, typer.Option("--tokenizer", help="tokenizer.json for a checkpoint without its own.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")]


def names_of(given: Sequence[str] | None) -> list[str]:
    """Names given by repeated options, comma-separated lists, or both."""
    return [name.strip() for several in given or () for name in several.split(",") if name.strip()]


def refuse_others(context: typer.Context, takes: Mapping[str, Collection[str]], kind: str, task: str) -> None:
    """Refuse options that do not apply to this kind of task.

    Args:
        context: the command's context.
        takes: kind -> names of its options; options that no kind names apply to all.
        kind: kind of the task.
        task: name of the task.

    Raises:
        UserError: such an option was given on the command line.
    """
    for name in sorted({option for options in takes.values() for option in options} - set(takes[kind])):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            given = f"{'no-' if context.params.get(name) is False else ''}{name.replace('_', '-')}"
            raise UserError(f"does not apply to task '{task}'.", where=f"--{given}", remedy="Leave it out.")
