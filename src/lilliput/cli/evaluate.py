"""``lilliput evaluate``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli import code_options, options
from lilliput.cli import evaluate_generator as generators
from lilliput.cli.output import print_facts, print_json, print_table, with_interval
from lilliput.cli.score import end
from lilliput.data.tables import Columns
from lilliput.errors import UserError
from lilliput.evaluate.carbon import parse_intensity
from lilliput.units import show_bytes

_CLASSIFIER, _GENERATOR = "classifier", "generator"

ONLY_OF = dict.fromkeys(
    ("train", "tokens", "tokenizer", "code_column", "second_column", "label_column"), _CLASSIFIER
) | dict.fromkeys(
    (
        *("n", "temperature", "top_p", "k", "seed", "max_new_tokens", "prompt", "strip", "limit", "batch", "precision"),
        *("chat_template", "served", "workers", "seconds", "memory", "unsafe", "challenges", "costs", "out"),
    ),
    _GENERATOR,
)
"""Options that not all kinds of models have -> whose they are."""


def evaluate(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="An artifact's folder, or a checkpoint's folder, file or hub id; of generators, also a server's "
            "address, http(s)://.../v1."
        ),
    ],
    task: Annotated[
        str, typer.Option("--task", help="vulnerability, clone, classification; of generators: humaneval, mbpp.")
    ],
    data: options.Data,
    train: options.OptionalTrain = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Processor threads. Default: 1; of generators, the engine's choice."),
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=16, max=512, help="Input length of the latency.")] = 400,
    carbon_intensity: Annotated[
        str | None,
        typer.Option(
            "--carbon-intensity",
            help="Grams of CO2 equivalent a kWh, or a country such as DEU; default: the world's average.",
        ),
    ] = None,
    tokenizer: options.Tokenizer = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    label_column: options.LabelColumn = None,
    n: generators.N = 1,
    temperature: generators.Temperature = 0.0,
    top_p: generators.TopP = 1.0,
    k: code_options.K = None,
    seed: options.Seed = 0,
    max_new_tokens: generators.NewTokens = 320,
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
    """Measure a model: accuracy with intervals, bytes, memory, speed, energy, carbon.

    A classifier (vulnerability, clone, classification) beside trivial baselines; a generator (humaneval, mbpp) by
    running what it writes. Exit code 1: more than 5 % of the problems have no verdict, for reasons of the runner's own.
    """
    from lilliput.verbs.evaluate_tasks import kind_of_task

    kind = kind_of_task(task)
    _refuse_others(context, kind, task)
    _KINDS[kind](context.params, shlex.join(["lilliput", *sys.argv[1:]]))


def _refuse_others(context: typer.Context, kind: str, task: str) -> None:
    """Refuse options that say nothing to this kind of model."""
    for name, owner in ONLY_OF.items():
        source = context.get_parameter_source(name)
        if owner != kind and source is not None and source.name == "COMMANDLINE":
            raise UserError(
                f"is for {owner}s, and the task '{task}' for {kind}s.",
                where=f"--{name.replace('_', '-')}",
                remedy="Leave it out.",
            )


def _classifier(given: dict[str, Any], command: str) -> None:
    from lilliput.verbs.evaluate import evaluate as run

    result = run(
        given["model"],
        given["task"],
        given["data"],
        train=given["train"] or (),
        tokenizer=given["tokenizer"],
        columns=Columns(given["code_column"], given["second_column"], given["label_column"]),
        threads=given["threads"] or 1,
        tokens=given["tokens"],
        intensity=parse_intensity(given["carbon_intensity"]),
        command=command,
        progress=progress.for_stream(),
    ).as_dict()
    if given["json"]:
        print_json(result)
    else:
        show(result)


def _generator(given: dict[str, Any], command: str) -> None:
    from lilliput.evaluate.judging import Limits
    from lilliput.runtime.settings import Settings
    from lilliput.verbs.evaluate_generator import evaluate_generator as run
    from lilliput.verbs.tally import parsed_ks

    if len(given["data"]) != 1:
        raise UserError("is one file of problems.", where="--data", remedy="Give it once.")
    asked = ("max_new_tokens", "temperature", "top_p", "seed", "n", "batch")
    same = ("prompt", "strip", "limit", "challenges", "threads", "precision", "chat_template", "served", "workers")
    found = run(
        given["model"],
        given["task"],
        Path(given["data"][0]),
        settings=Settings(**{name: given[name] for name in asked}),
        k=parsed_ks(given["k"]),
        **{name: given[name] for name in (*same, "unsafe", "costs", "out")},
        limits=Limits(given["seconds"], given["memory"]),
        intensity=parse_intensity(given["carbon_intensity"]),
        command=command,
        progress=progress.for_stream(),
    )
    end(found.as_dict(), given["json"], found.exit_code, generators.show)


_KINDS: dict[str, Callable[[dict[str, Any], str], None]] = {_CLASSIFIER: _classifier, _GENERATOR: _generator}


def show(result: dict[str, Any]) -> None:
    """An evaluation, for people."""
    intervals, latency, natural = result["intervals"], result["latency_ms"], result["latency_ms"]["natural"]
    rows = [[result["name"], *(with_interval(result[m], intervals[m], m != "mcc") for m in ("accuracy", "f1", "mcc"))]]
    for name, scores in result["baselines"]["details"].items():
        cells = [with_interval(scores[m], None, m != "mcc") for m in ("accuracy", "f1", "mcc")]
        rows.append([f"{name.replace('_', ' ')} *", *cells])
    print_table([f"n = {result['n']:,}", "accuracy", "F1", "MCC"], rows)
    fitted = {scores["fitted_on"] for scores in result["baselines"]["details"].values()}
    typer.echo(f"* baselines, fitted on: {'; '.join(sorted(fitted))}\n")
    parts = ", ".join(f"{name} {size:,}" for name, size in result["bytes"].items() if name != "total")
    memory = result["peak_memory_mb"]
    print_facts(
        {
            "precision, recall": f"{result['precision']:.1%}, {result['recall']:.1%}",
            "bytes": f"{result['bytes']['total']:,} ({parts})",
            "peak memory": "not measured" if memory is None else f"{show_bytes(memory * 1e6)} resident",
            f"latency at {latency['tokens']} tokens": f"p50 {latency['p50']:.2f} ms, p95 {latency['p95']:.2f} ms, "
            f"{latency['threads']} thread(s), one {latency['per']}",
            "latency as it comes": f"p50 {natural['p50']:.2f} ms, p95 {natural['p95']:.2f} ms, one {natural['per']}",
            "energy": f"{1e3 * result['energy']['joules_per_example']:.2f} mJ an example, {result['energy']['kind']}",
            "carbon": f"{1e6 * result['carbon']['grams_co2e_per_example']:.3f} µg CO2e an example at "
            f"{result['carbon']['intensity']['grams_per_kwh']:g} g/kWh ({result['carbon']['intensity']['region']})",
        }
    )
