"""The output of ``lilliput study`` on a terminal."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

import typer

from lilliput.cli.output import print_facts, print_table
from lilliput.units import show_bytes

if TYPE_CHECKING:
    from lilliput.evaluate.intervals import Estimate
    from lilliput.study.choice import Rated
    from lilliput.verbs.study import StudyResult


def show(result: StudyResult, model: str) -> None:
    """Print all points with the front marked, the points that failed or were left out, and the recipe."""
    from lilliput.study.quality import QUALITIES, quality_named

    choice = result.choice
    measured = [
        one for one in QUALITIES.values() if any(one.estimate(rated.result) is not None for rated in choice.rated)
    ]
    speeds = any(rated.result.speed for rated in choice.rated)
    header = ["point", "", "MB", "bits", *(one.title for one in measured), "worse by %", *(["tok/s"] if speeds else [])]
    rows = []
    for rated in sorted(choice.rated, key=lambda one: one.result.size):
        found = rated.result
        cells = [found.point.label, _mark(rated, rated is choice.chosen)]
        cells += [f"{found.size / 1e6:.1f}", f"{found.bits_per_weight:.2f}"]
        cells += [_cell(one.estimate(found), 100 if one.percent else 1, 1 if one.percent else 3) for one in measured]
        cells.append("reference" if found is choice.reference else _cell(rated.loss, 100, 1))
        if speeds:
            cells.append(_speed(rated))
        rows.append(cells)
    if rows:
        print_table(header, rows)
        typer.echo(f"\n* Pareto front of {', '.join(choice.objectives)}; > chosen; brackets: 95 % intervals")
        words = quality_named(choice.rule.quality).words
        typer.echo(f"worse by: {words} than the reference, paired on the same data")
    _show_speed_note(result)
    for item in result.as_dict()["failed"]:
        typer.echo(f"failed: {item['label']}: {item['problem']}")
    for reason, count in Counter(one.reason for one in result.plan.left_out).items():
        names = [one.label for one in result.plan.left_out if one.reason == reason]
        typer.echo(f"left out ({count}): {names[0]}{', ...' if count > 1 else ''}: {reason}")
    typer.echo("")
    if result.recipe is None or choice.chosen is None:
        nearest = choice.nearest
        tail = "" if nearest is None else f"; the nearest is {nearest.result.point.label}: {nearest.objection}"
        print_facts({"recipe": f"none: no point is {choice.rule.words}{tail}", "study": result.path})
        return
    print_facts(
        {
            "chosen": f"{choice.chosen.result.point.label}, {show_bytes(choice.chosen.result.size)}",
            "rule": choice.rule.words,
            "study": result.path,
            "recipe": result.recipe,
        }
    )
    again = shlex.join(["lilliput", "quantize", model, "--recipe", str(result.recipe), "--out", "small"])
    typer.echo(f"\nUse it: {again}")


def _mark(rated: Rated, chosen: bool) -> str:
    return ("*" if rated.on_front else "") + (">" if chosen else "")


def _cell(found: Estimate | None, factor: float, digits: int) -> str:
    if found is None:
        return "-"
    rounded = (round(factor * number, digits) + 0.0 for number in (found.value, found.low, found.high))  # no "-0.0"
    value, low, high = (f"{number:.{digits}f}" for number in rounded)
    return f"{value} [{low}, {high}]"


def _speed(rated: Rated) -> str:
    speed = rated.result.speed
    if speed is None:
        return "-"
    found = speed["decode_tokens_per_s"]
    tail = "" if rated.result.tokens_per_s is not None else " ?"
    return f"{found['value']:.1f} [{found['low']:.1f}, {found['high']:.1f}]{tail}"


def _show_speed_note(result: StudyResult) -> None:
    if any(one.result.speed and one.result.tokens_per_s is None for one in result.choice.rated):
        typer.echo("?: measured while other jobs ran; not comparable, and left out of the front")
