"""``lilliput quantize``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import command_line, print_facts, print_json
from lilliput.errors import UserError, refuse_unused
from lilliput.units import show_bytes

DECIDED = (
    *("weights", "group", "symmetric", "rounding", "embedding", "head"),
    *("activations", "activation_group", "activation_calibration"),
    *("calibration_data", "calibration_pieces", "calibration_tokens", "seed"),
)
"""Parameters that a recipe decides."""


def quantize(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="A generator: folder or hub id of a Hugging Face checkpoint, or GGUF file.")
    ],
    out: options.Out,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", help="Recipe file written by 'lilliput study'; replaces the options below."),
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", help="Weight format of the layers: int8, int4, nf4, int3, int2, fp16 or fp32.")
    ] = "int8",
    group: Annotated[
        int | None,
        typer.Option(
            "--group",
            help="Weights that share a scale; 0: a row, -1: the whole matrix. Default: depends on the format.",
        ),
    ] = None,
    symmetric: Annotated[
        bool | None,
        typer.Option("--symmetric/--asymmetric", help="Without or with zero points. Default: depends on the format."),
    ] = None,
    rounding: Annotated[
        str, typer.Option("--rounding", help="Rounding method: nearest, gptq, awq, awq-gptq or hqq.")
    ] = "nearest",
    embedding: Annotated[
        str | None,
        typer.Option(
            "--embedding", help="Weight format of the embedding. Default: int8 if --weights is an integer format."
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head", help="Weight format of the output layer. Default: int8 if --weights is an integer format."
        ),
    ] = None,
    activations: Annotated[
        str | None,
        typer.Option(
            "--activations",
            help="Quantization of activations: none (default for fp16 and fp32), dynamic (else), token or static.",
        ),
    ] = None,
    activation_group: Annotated[
        int | None, typer.Option("--activation-group", help="Values of a token that share a scale (dynamic only).")
    ] = None,
    activation_calibration: Annotated[
        str | None,
        typer.Option(
            "--activation-calibration",
            help="How static ranges are found: minmax, percentile, mse or entropy. Default: mse.",
        ),
    ] = None,
    calibration_data: Annotated[
        list[Path] | None,
        typer.Option(
            "--calibration-data",
            help="Source file or table of functions for gptq, awq, static. Default: the standard library. Repeatable.",
        ),
    ] = None,
    calibration_pieces: Annotated[
        int, typer.Option("--calibration-pieces", min=1, help="Pieces of code in the calibration set.")
    ] = 32,
    calibration_tokens: Annotated[
        int, typer.Option("--calibration-tokens", min=16, help="Tokens per calibration piece.")
    ] = 512,
    seed: options.Seed = 0,
    tokenizer: options.Tokenizer = None,
    allow_slow: Annotated[
        bool,
        typer.Option(
            "--allow-slow", help="Allow settings that are emulated and slow: for accuracy studies, not for use."
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Quantize a generator of code so that it runs on a laptop.

    Models of any size work: weights are read, rounded and written one at a time, so memory holds only one of them. If
    interrupted, run the same command again to resume.
    """
    from lilliput.quantize.activations import DYNAMIC, STATIC, Activations, default_mode
    from lilliput.quantize.calibration import Calibration
    from lilliput.quantize.policy import policy
    from lilliput.verbs.quantize import QuantizeSettings
    from lilliput.verbs.quantize import quantize as run

    if recipe is not None:
        _refuse_decided(context)
        settings = QuantizeSettings.of_recipe(recipe)
    else:
        stored = policy(weights, symmetric, group, rounding, embedding, head)
        mode = default_mode(stored.linear.kind) if activations is None else activations
        asked: dict[str, Any] = {"group": activation_group, "calibration": activation_calibration}
        chosen = Activations(mode, **{name: value for name, value in asked.items() if value is not None})
        refuse_unused(
            {
                "--activation-group": (
                    activation_group is not None and mode != DYNAMIC,
                    f"goes with --activations {DYNAMIC}, not with '{mode}'",
                ),
                "--activation-calibration": (
                    activation_calibration is not None and mode != STATIC,
                    f"goes with --activations {STATIC}, not with '{mode}'",
                ),
            }
        )
        calibration = Calibration(tuple(calibration_data or ()), calibration_pieces, calibration_tokens, seed)
        settings = QuantizeSettings(stored, chosen, calibration)
        drawn = {
            "--calibration-data": calibration.files,
            "--calibration-pieces": calibration.pieces != Calibration.pieces,
            "--seed": calibration.seed != Calibration.seed,
            "--calibration-tokens": calibration.tokens != Calibration.tokens,
        }
        words = "goes with --rounding gptq, awq or awq-gptq, or with --activations static"
        refuse_unused({option: (bool(given) and not settings.calibrated, words) for option, given in drawn.items()})
    result = run(
        model,
        out,
        settings=settings,
        tokenizer=tokenizer,
        allow_slow=allow_slow,
        command=command_line(),
        progress=progress.for_stream(),
    )
    facts = result.as_dict()
    if json:
        print_json(facts)
        return
    sizes = facts["bytes"]
    print_facts(
        {
            "artifact": facts["path"],
            "parameters": f"{facts['parameters']:,}",
            "checkpoint": show_bytes(facts["original_bytes"]),
            "artifact size": f"{show_bytes(sizes['total'])}, {facts['bits_per_weight']:.2f} bits per weight",
            "largest errors": ", ".join(f"{item['name']} {item['relative_error']:.2%}" for item in facts["worst"]),
        }
    )
    typer.echo(f"\nTry it: lilliput complete {shlex.quote(facts['path'])} 'def fibonacci(n):'")


def _refuse_decided(context: typer.Context) -> None:
    """Refuse options that contradict a recipe, or seem to."""
    given = []
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in DECIDED and source is not None and source.name == "COMMANDLINE":
            given.append(option.opts[0])
    if given:
        raise UserError(
            f"{'is' if len(given) == 1 else 'are'} decided by the recipe.",
            where=", ".join(given),
            remedy="Leave out --recipe, or these options.",
        )
