"""``lilliput complete``."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import print_json
from lilliput.runtime.settings import Options, Settings


def complete(
    artifact: Annotated[str, typer.Argument(help="A generator's artifact.")],
    prompt: Annotated[
        str | None, typer.Argument(help="Text to continue. '-', or no PROMPT in a pipe: read standard input.")
    ] = None,
    suffix: Annotated[
        str | None, typer.Option("--suffix", help="Text after the gap: fill in the middle between PROMPT and this.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Maximum number of tokens to write.")
    ] = 256,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="Sampling temperature; 0: greedy decoding.")
    ] = 0.0,
    top_p: Annotated[
        float,
        typer.Option("--top-p", help="Sample from the likeliest tokens that together have this probability; 1: all."),
    ] = 1.0,
    top_k: Annotated[
        int, typer.Option("--top-k", min=0, help="Sample from this many of the likeliest tokens; 0: all.")
    ] = 0,
    repetition_penalty: Annotated[
        float, typer.Option("--repetition-penalty", help="Above 1: make tokens that already occurred less likely.")
    ] = 1.0,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Number of completions; more than 1 needs a temperature or beams.")
    ] = 1,
    beams: Annotated[
        int, typer.Option("--beams", min=1, help="Beam width; more than 1: beam search for the likeliest texts.")
    ] = 1,
    length_penalty: Annotated[
        float, typer.Option("--length-penalty", help="Length penalty of beam search; above 0 favours longer texts.")
    ] = 1.0,
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", help="Stop before this text; \\n, \\t, \\r and \\\\ as in C. Repeatable."),
    ] = None,
    seed: options.Seed = 0,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: the engine's choice.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Complete code, or fill a gap in it, on this computer.

    Needs only the core install. The completion is streamed, without the prompt, and ends in a newline; --json gives the
    exact text. Beam search prints its results when it is done.
    """
    from lilliput.verbs.complete import complete as run
    from lilliput.verbs.complete import complete_aloud, read_prompt, refuse_undrawn, require_draws, unescaped

    wanted = Options(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        repetition_penalty=repetition_penalty,
        n=samples,
        beams=beams,
        length_penalty=length_penalty,
        stop=[unescaped(text) for text in stop or ()],
        seed=seed,
    )
    settings = Settings(**wanted)
    require_draws(settings, "--samples")  # before the user types a prompt
    refuse_undrawn(settings)
    text, shown = read_prompt(prompt), progress.for_stream()
    if samples == beams == 1 and not json:
        with _Paper() as paper:
            complete_aloud(artifact, text, paper.write, suffix, threads=threads, progress=shown, **wanted)
        return
    result = run(artifact, text, suffix, threads=threads, progress=shown, **wanted)
    if json:
        print_json(result.as_dict())
        return
    for number, completion in enumerate(result.completions, 1):
        if samples > 1:
            typer.echo(f"--- completion {number} of {samples} ---")
        with _Paper() as paper:
            paper.write(completion.text)


class _Paper:
    """Standard output, always UTF-8; on exit, an unfinished last line is ended."""

    def __init__(self) -> None:
        self._last = "\n"
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")

    def __enter__(self) -> _Paper:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._last.endswith("\n") and kind in (None, KeyboardInterrupt):
            self.write("\n")

    def write(self, text: str) -> None:
        """Write and flush; do nothing if standard output is closed."""
        if sys.stdout is not None:
            sys.stdout.write(text)
            sys.stdout.flush()
        self._last = text or self._last
