"""``lilliput evaluate``."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import print_facts, print_json, print_table, with_interval
from lilliput.data.tables import Columns
from lilliput.errors import UserError
from lilliput.units import show_bytes


def evaluate(
    model: Annotated[str, typer.Argument(help="An artifact's folder, or a checkpoint's folder, file or hub id.")],
    task: options.Task,
    data: options.Data,
    train: options.OptionalTrain = None,
    threads: options.Threads = 1,
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
    json: options.Json = False,
) -> None:
    """Measure a model: accuracy with intervals beside trivial baselines, bytes, memory, latency, energy, carbon."""
    from lilliput.verbs.evaluate import evaluate as run

    result = run(
        model,
        task,
        data,
        train=train or (),
        tokenizer=tokenizer,
        columns=Columns(code_column, second_column, label_column),
        threads=threads,
        tokens=tokens,
        intensity=_intensity(carbon_intensity),
        command=shlex.join(["lilliput", *sys.argv[1:]]),
        progress=progress.for_stream(),
    ).as_dict()
    if json:
        print_json(result)
    else:
        show(result)


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


def _intensity(text: str | None) -> Any:
    from lilliput.evaluate import carbon

    if text is None:
        return carbon.DEFAULT
    try:
        grams = float(text)
    except ValueError:
        return carbon.intensity_of(text)
    if not 0 <= grams < 1e5:
        raise UserError(
            f"{grams:g} is not grams a kWh.", where="--carbon-intensity", remedy="Give a number such as 350."
        )
    return carbon.Intensity(grams, "given on the command line", None, "the user")
