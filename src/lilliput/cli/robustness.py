"""``lilliput robustness``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from lilliput.cli import code_options, options
from lilliput.cli import evaluate_generator as generators
from lilliput.cli import robustness_classifier as classifier
from lilliput.cli import robustness_generator as generator
from lilliput.cli.output import command_line
from lilliput.constants import NEW_TOKENS

TAKES: Mapping[str, frozenset[str]] = {
    "classifier": frozenset(
        ("against", "language", "tokenizer", "code_column", "second_column", "label_column", "seed")
    ),
    "generator": frozenset(
        (
            *("against", "perturbations", "released", "max_new_tokens", "batch", "precision"),
            *("workers", "seconds", "memory", "unsafe"),
        )
    ),
}
"""Kind of model -> its options, beyond those common to both."""

MEASURES: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "classifier": classifier.measure,
    "generator": generator.measure,
}


def robustness(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="An artifact's folder, or a checkpoint's folder, file or hub id.")],
    task: Annotated[
        str, typer.Option("--task", help="vulnerability, clone or classification; for generators: humaneval.")
    ],
    data: options.Data,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="Model to compare with: a classifier's teacher; a generator's original, or the result (.json) of its "
            "own run.",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            help="Language of the functions: c, java or python. Default: that of the task's data, otherwise detected.",
        ),
    ] = None,
    perturbations: generator.Perturbations = None,
    released: generator.Released = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Random versions of each function or prompt. Default: 1; for prompts, 5."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="Use only this many examples (a random sample) or problems (the first). Default: all.",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Maximum number of tokens per completion.")
    ] = NEW_TOKENS,
    batch: generators.Batch = 8,
    precision: generators.Precision = "fp32",
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="CPU threads. Default: 1; for generators, the engine's choice."),
    ] = None,
    tokenizer: options.Tokenizer = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    workers: code_options.Workers = None,
    seconds: code_options.Seconds = 10.0,
    memory: code_options.Memory = 1024,
    unsafe: code_options.Unsafe = False,
    out: generators.Out = None,
    json: options.Json = False,
) -> None:
    """Measure robustness to code changes that preserve semantics.

    For classifiers: rename variables, add dead code, change loops, statement order, layout and comments; count the
    predictions that flip, and compare with the teacher. For generators: perturb HumanEval's prompts as ReCode does, and
    report robust pass, robust drop and robust relative; with --against, also the differences from the original, problem
    by problem.
    """
    from lilliput.verbs.evaluate.tasks import kind_of_task
    from lilliput.verbs.robustness.tasks import KINDS

    kind = kind_of_task(task, KINDS)
    options.refuse_others(context, TAKES, kind, task)
    MEASURES[kind](context.params, command_line())
