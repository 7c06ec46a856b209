"""The generator part of ``lilliput evaluate``: its options and its output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli.output import print_facts
from lilliput.cli.score import end
from lilliput.cli.score import show as show_score
from lilliput.constants import NEW_TOKENS
from lilliput.errors import UserError
from lilliput.evaluate.carbon import parse_intensity
from lilliput.units import show_bytes

N = Annotated[int, typer.Option("--n", min=1, help="Completions per problem; more than 1 needs a temperature.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0, help="Sampling temperature; 0: greedy decoding.")]
TopP = Annotated[
    float, typer.Option("--top-p", help="Sample from the likeliest tokens with this total probability; 1: all.")
]
NewTokens = Annotated[
    int | None,
    typer.Option(
        "--max-new-tokens",
        min=1,
        help=f"Maximum number of tokens per completion. Default: {NEW_TOKENS}; for summaries and lines, 64.",
    ),
]
Prompt = Annotated[
    str,
    typer.Option(
        "--prompt",
        help="Prompt style: 'plain' (the model continues it) or 'chat' (the model answers it as a chat message).",
    ),
]
Strip = Annotated[
    bool, typer.Option("--strip", help="Strip trailing white space from plain prompts: better with GPT-2 tokenizers.")
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        help="Use only this many problems (the first), functions to summarize, or lines and pieces of a repository "
        "(random). Default: all; 100 lines and 64 pieces of a repository.",
    ),
]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Completions per batch (with a server: parallel requests).")]
Precision = Annotated[str, typer.Option("--precision", help="Precision for running checkpoints: fp32 or bf16.")]
Template = Annotated[
    Path | None, typer.Option("--chat-template", help="Jinja chat template for a model without its own.")
]
Served = Annotated[
    str | None, typer.Option("--served", help="Name of the model on the server. Default: the first one.")
]
Costs = Annotated[bool, typer.Option("--costs/--no-costs", help="Also measure speed, memory and energy.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Result to write (.json file or folder); lets an interrupted run resume."),
]


def measure(given: dict[str, Any], command: str) -> None:
    """Measure with the given options and print the result."""
    from lilliput.evaluate.judging import Limits
    from lilliput.runtime.settings import Settings
    from lilliput.verbs.complete import refuse_undrawn
    from lilliput.verbs.evaluate import evaluate_generator as run
    from lilliput.verbs.tally import parsed_ks

    if len(given["data"]) != 1:
        raise UserError("takes one file of problems.", where="--data", remedy="Give it once.")
    asked = ("temperature", "top_p", "seed", "n", "batch")
    new_tokens = NEW_TOKENS if given["max_new_tokens"] is None else given["max_new_tokens"]
    settings = Settings(max_new_tokens=new_tokens, **{name: given[name] for name in asked})
    refuse_undrawn(settings)
    same = ("prompt", "strip", "limit", "challenges", "threads", "precision", "chat_template", "served", "workers")
    found = run(
        given["model"],
        given["task"],
        Path(given["data"][0]),
        settings=settings,
        k=parsed_ks(given["k"]),
        **{name: given[name] for name in (*same, "unsafe", "costs", "out")},
        limits=Limits(given["seconds"], given["memory"]),
        intensity=parse_intensity(given["carbon_intensity"]),
        command=command,
        progress=progress.for_stream(),
    )
    end(found.as_dict(), given["json"], found.exit_code, show)


def show(result: dict[str, Any]) -> None:
    """Print an evaluation of a generator as text."""
    show_score(result)
    sizes, energy, memory = result["bytes"], result["energy"], result["peak_memory_mb"]
    rates = {name: result[f"{name}_tokens_per_s"] for name in ("prefill", "decode")}
    print_facts(
        {
            "model": f"{result['name']}, {result['model']['kind']}",
            "bytes": "unknown" if sizes is None else f"{sizes['total']:,}",
            **{name: "not measured" if rate is None else f"{rate:,.1f} tokens/s" for name, rate in rates.items()},
            "peak memory": "not measured" if memory is None else f"{show_bytes(memory * 1e6)} resident",
            "energy": "not measured"
            if energy is None
            else f"{1e3 * energy['joules_per_token']:.1f} mJ per token, {energy['kind']}",
            "carbon": "not measured"
            if energy is None
            else f"{1e6 * result['carbon']['grams_co2e_per_token']:.2f} µg CO2e per token at "
            f"{result['carbon']['intensity']['grams_per_kwh']:g} g/kWh ({result['carbon']['intensity']['region']})",
        }
    )
