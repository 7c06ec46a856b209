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
        str, typer.Argument(help="A generator: folder or hub id of a Hugging Face checkpoint, or GGUF file.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the study; an interrupted study resumes there.")],
    grid: Annotated[
        str, typer.Option("--grid", help="Settings to try: quick, paper, int4, or a TOML file of axes.")
    ] = "quick",
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            help="Largest artifact, slowest decoding on this machine, or both: 450MB, 20tok/s, 450MB,20tok/s. Points "
            "that cannot fit are not tried.",
        ),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            "--quality",
            help="Measure to compare: perplexity, pass@1 or robust-pass. Default: pass@1 with --humaneval, otherwise "
            "perplexity.",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", help="How much worse than the original the chosen point may be: 0.02 is 2 percent (points)."
        ),
    ] = 0.02,
    prefer: Annotated[
        str, typer.Option("--prefer", help="Which of the acceptable points to choose: smallest or fastest.")
    ] = "smallest",
    perplexity_pieces: Annotated[
        int,
        typer.Option(
            "--perplexity-pieces", min=0, help="Held-out pieces of code for perplexity, 2 or more; 0: no perplexity."
        ),
    ] = 32,
    piece_tokens: Annotated[
        int, typer.Option("--piece-tokens", min=2, help="Maximum number of tokens per piece.")
    ] = 512,
    humaneval: Annotated[
        Path | None, typer.Option("--humaneval", help="HumanEval file: also measure pass@1 of each point.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Use only this many problems, the first of the file. Default: all."),
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Strip trailing white space from prompts: better with GPT-2 tokenizers.")
    ] = False,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Maximum number of tokens per completion.")
    ] = NEW_TOKENS,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Completions per batch.")] = 8,
    perturbations: Annotated[
        list[str] | None,
        typer.Option(
            "--perturbations",
            help="Also measure robust pass under these ReCode perturbations (names or families, comma-separated). "
            "Repeatable.",
        ),
    ] = None,
    perturbation_seeds: Annotated[
        int, typer.Option("--perturbation-seeds", min=1, help="Versions of each random perturbation.")
    ] = 1,
    speed_rounds: Annotated[
        int, typer.Option("--speed-rounds", min=0, help="Timing rounds, 6 or more; 0: no timing.")
    ] = 6,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="CPU threads per job. Default: the engine's choice."),
    ] = None,
    executor: Annotated[
        str, typer.Option("--executor", help="Where jobs run: local (processes), dask or ray.")
    ] = "local",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Parallel jobs; with more than 1, speeds are not comparable.")
    ] = 1,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="Cluster address: tcp://HOST:8786 (Dask) or HOST:6379 (Ray). Default: start one."
        ),
    ] = None,
    tokenizer: options.Tokenizer = None,
    allow_slow: Annotated[
        bool,
        typer.Option(
            "--allow-slow", help="Also try points that are emulated in floating point: for accuracy, not speed."
        ),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the artifacts in the study's folder.")] = False,
    unsafe: code_options.Unsafe = False,
    json: options.Json = False,
) -> None:
    """Sweep a generator's quantization settings to find a recipe.

    Quantizes the model with every setting of a grid and measures each point: bytes, speed, perplexity on held-out code
    and, on request, pass@1 and robust pass. Prints all points with the Pareto front marked, and writes them with a plot
    and the recipe to --out. To use the recipe: lilliput quantize MODEL --recipe OUT/recipe.json --out DIR. Exit code 1:
    no point is within tolerance and budget.
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
