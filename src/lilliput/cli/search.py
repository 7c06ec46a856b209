"""``lilliput search``."""

from __future__ import annotations

from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import print_facts, print_json
from lilliput.units import parse_bytes, parse_milliseconds, show_bytes


def search(
    size: Annotated[str, typer.Option("--size", help="Size budget for the whole artifact, such as 3MB.")] = "3MB",
    latency: Annotated[
        str, typer.Option("--latency", help="Latency limit for one input on one thread, or 'none'.")
    ] = "3ms",
    precision: Annotated[
        str, typer.Option("--precision", help="Allowed weight formats: fp32, int8, int4, comma-separated.")
    ] = "int8",
    method: Annotated[
        str, typer.Option("--method", help="Search method: exact (every architecture) or genetic.")
    ] = "exact",
    objective: Annotated[
        str, typer.Option("--objective", help="What to maximize: parameters, gflops or fitness.")
    ] = "parameters",
    paper: Annotated[
        bool, typer.Option("--paper", help="Use the Compressor paper's search space, fitness and fp32 bytes.")
    ] = False,
    tokens: Annotated[int, typer.Option("--tokens", help="Input length for the latency limit.")] = 400,
    pairs: Annotated[bool, typer.Option("--pairs", help="Search for a model of pairs of functions.")] = False,
    data_flow: Annotated[
        int,
        typer.Option("--data-flow", min=0, max=256, help="Maximum number of data-flow nodes read besides the tokens."),
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed of the genetic method.")] = 0,
    json: options.Json = False,
) -> None:
    """Find the best architecture for a budget of bytes and latency.

    Latency comes from a model calibrated on this machine: half a minute the first time, then cached.
    """
    from lilliput.verbs.search import search as run

    wanted = parse_bytes(size)
    result = run(
        wanted,
        None if latency == "none" else parse_milliseconds(latency),
        precisions=[part.strip() for part in precision.split(",")],
        method=method,
        objective=objective,
        paper=paper,
        tokens=tokens,
        arity=2 if pairs else 1,
        data_flow=data_flow,
        seed=seed,
        progress=progress.for_stream(),
    )
    if json:
        print_json(result.as_dict())
        return
    over = ", over the target, which the paper's fitness allows" if result.bytes > wanted else ""
    print_facts(
        {
            "architecture": result.architecture,
            "precision": result.precision,
            "size": f"{show_bytes(result.bytes)} ({result.bytes:,} bytes{over})",
            "compute": f"{result.gflops:.3f} GFLOP",
            "fitness" if paper else objective: f"{result.fitness:,.4f}".removesuffix(".0000"),
            "latency": "unlimited" if result.latency_ms is None else f"{result.latency_ms:.2f} ms (predicted)",
            "search": f"{result.method}, {result.seconds:.2f} s",
        }
    )
