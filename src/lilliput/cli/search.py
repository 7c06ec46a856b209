"""``lilliput search``."""

from __future__ import annotations

from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import print_facts, print_json
from lilliput.units import parse_bytes, parse_milliseconds, show_bytes


def search(
    size: Annotated[str, typer.Option("--size", help="Budget for the whole artifact, such as 3MB.")] = "3MB",
    latency: Annotated[
        str, typer.Option("--latency", help="Bound on one thread's time for one input, or 'none'.")
    ] = "3ms",
    precision: Annotated[
        str, typer.Option("--precision", help="How weights may be stored: fp32, int8, int4, separated by commas.")
    ] = "int8",
    method: Annotated[str, typer.Option("--method", help="exact (every architecture) or genetic.")] = "exact",
    objective: Annotated[
        str, typer.Option("--objective", help="What to maximize: parameters, gflops, fitness.")
    ] = "parameters",
    paper: Annotated[bool, typer.Option("--paper", help="The paper's space, fitness and fp32 bytes.")] = False,
    tokens: Annotated[int, typer.Option("--tokens", help="Input length that time is counted at.")] = 400,
    pairs: Annotated[bool, typer.Option("--pairs", help="A model of pairs of functions.")] = False,
    data_flow: Annotated[
        int, typer.Option("--data-flow", min=0, max=256, help="Nodes of data flow beside the tokens, at most.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the genetic method, which draws at random.")] = 0,
    json: options.Json = False,
) -> None:
    """Find the architecture to train for a budget of bytes and time.

    The latency bound uses a model calibrated on this machine: half a minute the first time, then kept.
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
            "latency": "not bounded" if result.latency_ms is None else f"{result.latency_ms:.2f} ms (predicted)",
            "search": f"{result.method}, {result.seconds:.2f} s",
        }
    )
