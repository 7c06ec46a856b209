"""Text and JSON output of the command line."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

from lilliput.errors import plain
from lilliput.files import json_text

_ANY_LENGTH = 1_000_000
_NARROWEST = 24  # columns for values beside their names: narrower is hard to read


def command_line() -> str:
    """The running command, as results record it."""
    return shlex.join(["lilliput", *sys.argv[1:]])


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json_text(value))


def screen() -> int:
    """Width of the terminal, or ``COLUMNS`` if set; unlimited for a pipe or a file."""
    return shutil.get_terminal_size((_ANY_LENGTH, 24)).columns


def print_text(text: str) -> None:
    """Print a paragraph, wrapped to the terminal's width."""
    typer.echo(_broken(text, screen()))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, aligned; values wrap to the terminal's width, indented."""
    width = max(map(_columns, facts)) + 2
    for name, value in facts.items():
        text = _broken(plain(str(value)), max(screen() - width, _NARROWEST))
        typer.echo(_padded(name, width) + text.replace("\n", "\n" + " " * width))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a plain-text table: the first column left-aligned, figures right-aligned.

    A table wider than the terminal is printed in parts one below the other, each with the first column and without the
    rows that would be empty in it.
    """
    widths = [max(_columns(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
    for number, part in enumerate(_parts(widths)):
        if number:
            typer.echo("")
        typer.echo(_line(header, part, widths))
        typer.echo("  ".join("-" * widths[column] for column in (0, *part)))
        for row in rows:
            if not number or any(row[column] for column in part):
                typer.echo(_line(row, part, widths))


def _parts(widths: Sequence[int]) -> Iterator[list[int]]:
    """Columns of each part, without the first: as many as fit, at least one."""
    part: list[int] = []
    for column in range(1, len(widths)):
        if part and widths[0] + sum(2 + widths[other] for other in (*part, column)) > screen():
            yield part
            part = []
        part.append(column)
    yield part


def _line(cells: Sequence[str], part: Sequence[int], widths: Sequence[int]) -> str:
    shown = (_padded(str(cells[column]), widths[column], right=True) for column in part)
    return "  ".join([_padded(str(cells[0]), widths[0]), *shown]).rstrip()


def _columns(text: str) -> int:
    """Columns of the terminal that ``text`` takes: wide characters take two, accents of their own none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int, right: bool = False) -> str:
    """``text`` with spaces up to ``width`` columns of the terminal."""
    space = " " * (width - _columns(text))
    return space + text if right else text + space


def _broken(text: str, width: int) -> str:
    """``text`` wrapped to ``width`` columns; longer words are not broken."""
    if _columns(text) <= width:
        return text
    first, *rest = text.split() or [""]
    lines = [first]
    for word in rest:
        if _columns(lines[-1]) + 1 + _columns(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def with_interval(value: float | None, interval: Sequence[float] | None, percent: bool = True) -> str:
    """``96.1 % [95.0, 97.1]``; ``not measured`` where there is no value."""
    if value is None:
        return "not measured"
    factor, unit, digits = (100.0, " %", 1) if percent else (1.0, "", 3)
    text = f"{value * factor:.{digits}f}{unit}"
    if interval is None:
        return text
    return f"{text} [{interval[0] * factor:.{digits}f}, {interval[1] * factor:.{digits}f}]"


def in_percent(value: float | None, interval: Sequence[float] | None) -> str:
    """``96.1 [95.0, 97.1]``, for a column whose heading has the unit."""
    return with_interval(value, interval).replace(" %", "")
