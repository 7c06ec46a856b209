"""``lilliput demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import command_line, in_percent, print_json, print_table, print_text


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything the demo makes.")] = Path("out/demo"),
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Run the whole pipeline offline on a small example, in minutes.

    Builds pairs of functions from Python's standard library, fine-tunes a small teacher for clone detection, shrinks
    it, and measures both on functions from files that neither has seen.
    """
    from lilliput.extras import require

    for module in ("torch", "sklearn", "matplotlib"):
        require(module)
    from lilliput.verbs.demo import DemoSettings
    from lilliput.verbs.demo import demo as run

    command = command_line()
    result = run(out, DemoSettings(seed=seed), command, progress.for_stream()).as_dict()
    if json:
        print_json(result)
        return
    typer.echo("")
    print_table(
        ["held-out pairs", "bytes", "F1, %", "accuracy, %", "ms", "mJ"],
        [*(_row(name, result[name]) for name in ("teacher", "student")), *_baselines(result["student"])],
    )
    student, teacher = result["student"], result["teacher"]
    latency = student["latency_ms"]
    typer.echo("")
    print_text(
        f"n = {student['n']:,}; brackets are 95 % intervals; ms a function of {latency['tokens']} tokens on "
        f"{latency['threads']} thread; mJ a pair, {student['energy']['kind']}."
    )
    print_text(
        f"The student is {teacher['bytes']['total'] / student['bytes']['total']:.0f}x smaller and "
        f"{teacher['latency_ms']['p50'] / latency['p50']:.0f}x faster. Made in {result['seconds'] / 60:.1f} minutes."
    )
    typer.echo(f"Look at {out / 'report.html'}; try: lilliput predict {out / 'student'} ONE.py OTHER.py")


def _row(name: str, found: dict[str, Any]) -> list[str]:
    return [
        name,
        f"{found['bytes']['total']:,}",
        *(in_percent(found[score], found["intervals"][score]) for score in ("f1", "accuracy")),
        f"{found['latency_ms']['p50']:.2f}",
        f"{1e3 * found['energy']['joules_per_example']:.1f}",
    ]


def _baselines(found: dict[str, Any]) -> list[list[str]]:
    titles = {"token_overlap": "token overlap", "token_logistic": "token logistic", "majority": "majority"}
    rows = []
    for key, title in titles.items():
        scores = found["baselines"]["details"][key]
        rows.append([title, "", *(in_percent(scores[name], None) for name in ("f1", "accuracy")), "", ""])
    return rows
