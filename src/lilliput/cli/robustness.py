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
"""Kind of model -> its options, beside those that both have."""

MEASURES: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "classifier": classifier.measure,
    "generator": generator.measure,
}


def robustness(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="An artifact's folder, or a checkpoint's folder, file or hub id.")],
    task: Annotated[
        str, typer.Option("--task", help="vulnerability, clone or classification; of generators: humaneval.")
    ],
    data: options.Data,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="To compare with: a classifier's teacher; of generators, the original, or the .json that --out of its "
            "own run wrote.",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", help="c, java or python. Default: that of the task's data, or else what they seem to be."
        ),
    ] = None,
    perturbations: generator.Perturbations = None,
    released: generator.Released = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Versions of each function or prompt. Default: 1; of prompts, 5."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Examples at most, drawn at random; problems: the first.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Tokens of each completion, at most.")
    ] = NEW_TOKENS,
    batch: generators.Batch = 8,
    precision: generators.Precision = "fp32",
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Processor threads. Default: 1; of generators, the engine's choice."),
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
    """See what a model makes of code that was changed harmlessly.

    What the code does stays the same. Of a classifier's functions, variables are renamed, dead code is added, loops,
    order of statements, layout and comments change: the predictions that flip are counted, and it is compared with its
    teacher. A generator's prompts (HumanEval's) are perturbed as ReCode does: robust pass, robust drop, robust
    relative; with --against, the differences from the original, problem by problem.
    """
    from lilliput.verbs.evaluate.tasks import kind_of_task
    from lilliput.verbs.robustness.tasks import KINDS

    kind = kind_of_task(task, KINDS)
    options.refuse_others(context, TAKES, kind, task)
    MEASURES[kind](context.params, command_line())
