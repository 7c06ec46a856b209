"""``lilliput study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import code_options, options
from lilliput.cli.output import command_line, print_json
from lilliput.cli.study_table import show
from lilliput.constants import NEW_TOKENS


def study(
    model: Annotated[
        str, typer.Argument(help="A generator: folder of a Hugging Face checkpoint, hub id, or GGUF file.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The study's folder; a study that was killed goes on there.")],
    grid: Annotated[
        str, typer.Option("--grid", help="What to try: quick, paper, int4, or a TOML file of axes.")
    ] = "quick",
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            help="Largest artifact, slowest decoding on this machine, or both: 450MB, 20tok/s, 450MB,20tok/s. What "
            "cannot fit is not tried.",
        ),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            "--quality",
            help="What decides: perplexity, pass@1 or robust-pass. Default: pass@1 with --humaneval, else perplexity.",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", help="How much worse than the original the chosen point may be: 0.02 is 2 percent (points)."
        ),
    ] = 0.02,
    prefer: Annotated[
        str, typer.Option("--prefer", help="Of those good enough, which is chosen: smallest or fastest.")
    ] = "smallest",
    perplexity_pieces: Annotated[
        int, typer.Option("--perplexity-pieces", min=0, help="Held-out pieces of code, 2 or more; 0: no perplexity.")
    ] = 32,
    piece_tokens: Annotated[int, typer.Option("--piece-tokens", min=2, help="Tokens of each, at most.")] = 512,
    humaneval: Annotated[
        Path | None, typer.Option("--humaneval", help="HumanEval's file: measure pass@1 of each point, too.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Problems at most: the first of the file. Default: all.")
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Take the white space off prompts' ends: better with GPT-2's tokenizers.")
    ] = False,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Tokens of each completion.")
    ] = NEW_TOKENS,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Completions side by side.")] = 8,
    perturbations: Annotated[
        list[str] | None,
        typer.Option(
            "--perturbations",
            help="ReCode's, by name or family, with commas; repeatable: measure robust pass, too.",
        ),
    ] = None,
    perturbation_seeds: Annotated[
        int, typer.Option("--perturbation-seeds", min=1, help="Versions of each that has random choices.")
    ] = 1,
    speed_rounds: Annotated[
        int, typer.Option("--speed-rounds", min=0, help="Rounds of timing, 6 or more; 0: none.")
    ] = 6,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Processor threads of each job. Default: the engine's choice."),
    ] = None,
    executor: Annotated[
        str, typer.Option("--executor", help="What runs the jobs: local (processes), dask or ray.")
    ] = "local",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Jobs side by side; with more than one, speeds are no evidence.")
    ] = 1,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="Address of a cluster: Dask's tcp://HOST:8786, Ray's HOST:6379; else one is started."
        ),
    ] = None,
    tokenizer: options.Tokenizer = None,
    allow_slow: Annotated[
        bool, typer.Option("--allow-slow", help="Try also what is emulated in floating point: accuracy, not speed.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the artifacts in the study's folder.")] = False,
    unsafe: code_options.Unsafe = False,
    json: options.Json = False,
) -> None:
    """Find the recipe to use: quantize a generator in many ways.

    All ways of a grid are tried and measured. Each point: bytes, speed, perplexity on held-out code, and, where asked
    for, pass@1 and robust pass. All points are printed with the Pareto front marked, and written with a plot and the
    recipe into --out. Then: lilliput quantize MODEL --recipe OUT/recipe.json --out DIR. Exit code 1: no point is within
    tolerance and budget.
    """
    from lilliput.study.budget import Budget
    from lilliput.study.choice import Rule
    from lilliput.study.jobs import Measures
    from lilliput.verbs.study import default_quality
    from lilliput.verbs.study import study as run

    measures = Measures(
        perplexity_pieces=perplexity_pieces,
        piece_tokens=piece_tokens,
        humaneval="" if humaneval is None else str(humaneval.absolute()),
        limit=limit,
        strip=strip,
        max_new_tokens=max_new_tokens,
        batch=batch,
        perturbations=tuple(options.names_of(perturbations)),
        perturbation_seeds=perturbation_seeds,
        speed_rounds=speed_rounds,
        threads=threads,
        unsafe=unsafe,
    )
    afford = Budget() if budget is None else Budget.parsed(budget)
    result = run(
        model,
        out,
        grid=grid,
        measures=measures,
        rule=Rule(quality or default_quality(measures), tolerance, prefer, afford),
        tokenizer=tokenizer,
        allow_slow=allow_slow,
        keep=keep,
        executor=executor,
        workers=workers,
        address=address,
        command=command_line(),
        progress=progress.for_stream(),
    )
    if json:
        print_json(result.as_dict())
    else:
        show(result, model)
    raise typer.Exit(result.exit_code)
