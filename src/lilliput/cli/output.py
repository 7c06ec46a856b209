"""How the command line shows results."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from lilliput.errors import plain
from lilliput.files import json_text


def command_line() -> str:
    """The command that runs, as a result tells of it."""
    return shlex.join(["lilliput", *sys.argv[1:]])


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    typer.echo(json_text(value))


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, aligned."""
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {plain(str(value))}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns, the first to the left and figures to the right, as plain text that copies well."""
    widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (str(cell) for cell in cells)
        return "  ".join([f"{first:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(rest, widths[1:], strict=True))])

    typer.echo(line(header))
    typer.echo("  ".join("-" * width for width in widths))
    for row in rows:
        typer.echo(line(row))


def with_interval(value: float | None, interval: Sequence[float] | None, percent: bool = True) -> str:
    """``96.1 % [95.0, 97.1]``; ``not measured`` where there is no value."""
    if value is None:
        return "not measured"
    factor, unit, digits = (100.0, " %", 1) if percent else (1.0, "", 3)
    text = f"{value * factor:.{digits}f}{unit}"
    if interval is None:
        return text
    return f"{text} [{interval[0] * factor:.{digits}f}, {interval[1] * factor:.{digits}f}]"
