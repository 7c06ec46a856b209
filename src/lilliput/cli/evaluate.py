"""``lilliput evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from lilliput.cli import code_options, evaluate_classifier, evaluate_text, options
from lilliput.cli import evaluate_generator as generators
from lilliput.cli.output import command_line
from lilliput.errors import UserError

_TABLES = ("data", "code_column")
_WRITING = ("max_new_tokens", "seed", "limit", "batch", "out")

TAKES: Mapping[str, frozenset[str]] = {
    "classifier": frozenset(
        (*_TABLES, "train", "tokens", "tokenizer", "second_column", "label_column", "carbon_intensity")
    ),
    "generator": frozenset(
        (
            *("data", *_WRITING, "n", "temperature", "top_p", "k", "prompt", "strip", "precision", "chat_template"),
            *("served", "workers", "seconds", "memory", "unsafe", "challenges", "costs", "carbon_intensity"),
        )
    ),
    "summarization": frozenset((*_TABLES, *_WRITING, "summary_column", "language", "beams")),
    "repository": frozenset((*_WRITING, "repo", "language")),
}
"""Kind of measurement -> its options, beyond those common to all."""

NEEDS = {"classifier": "data", "generator": "data", "summarization": "data", "repository": "repo"}
"""Kind of measurement -> the option that names its data."""

MEASURES: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "classifier": evaluate_classifier.measure,
    "generator": generators.measure,
    "summarization": evaluate_text.summaries,
    "repository": evaluate_text.repository,
}


def evaluate(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="An artifact's folder, or a checkpoint's folder, file or hub id. humaneval and mbpp also take a "
            "server's address, http(s)://.../v1; summarization and repository take artifacts only."
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            "--task",
            help="vulnerability, clone, classification; for generators: humaneval, mbpp, summarization, repository.",
        ),
    ],
    data: options.OptionalData = None,
    repo: evaluate_text.Repo = None,
    train: options.OptionalTrain = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="CPU threads. Default: 1; for generators, the engine's choice."),
    ] = None,
    tokens: Annotated[
        int, typer.Option("--tokens", min=16, max=512, help="Input length for the latency measurement.")
    ] = 400,
    carbon_intensity: Annotated[
        str | None,
        typer.Option(
            "--carbon-intensity",
            help="Grams of CO2 equivalent per kWh, or a country such as DEU. Default: world average.",
        ),
    ] = None,
    tokenizer: options.Tokenizer = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    label_column: options.LabelColumn = None,
    summary_column: evaluate_text.SummaryColumn = None,
    language: evaluate_text.Language = None,
    n: generators.N = 1,
    temperature: generators.Temperature = 0.0,
    top_p: generators.TopP = 1.0,
    beams: evaluate_text.Beams = 1,
    k: code_options.K = None,
    seed: options.Seed = 0,
    max_new_tokens: generators.NewTokens = None,
    prompt: generators.Prompt = "plain",
    strip: generators.Strip = False,
    limit: generators.Limit = None,
    batch: generators.Batch = 8,
    precision: generators.Precision = "fp32",
    chat_template: generators.Template = None,
    served: generators.Served = None,
    challenges: code_options.Challenges = False,
    workers: code_options.Workers = None,
    seconds: code_options.Seconds = 10.0,
    memory: code_options.Memory = 1024,
    unsafe: code_options.Unsafe = False,
    costs: generators.Costs = True,
    out: generators.Out = None,
    json: options.Json = False,
) -> None:
    """Measure how good a model is, and what it costs to run.

    Reports accuracy with intervals, bytes, memory, speed, energy and carbon. Classifiers (vulnerability, clone,
    classification) are compared with trivial baselines. Generators are judged by running the programs they write
    (humaneval, mbpp), by their summaries (summarization), or by completing the code in a folder (repository). Exit code
    1: more than 5 % of the problems have no verdict because of the runner, not the model.
    """
    from lilliput.verbs.evaluate.tasks import kind_of_task

    kind = kind_of_task(task)
    options.refuse_others(context, TAKES, kind, task)
    if not context.params[NEEDS[kind]]:
        raise UserError(f"is required for task '{task}'.", where=f"--{NEEDS[kind]}", remedy="Add it.")
    MEASURES[kind](context.params, command_line())
