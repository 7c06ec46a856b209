"""How the command line shows results."""

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
_NARROWEST = 24  # of values beside their names: what is narrower is no longer read with ease


def command_line() -> str:
    """The command that runs, as a result tells of it."""
    return shlex.join(["lilliput", *sys.argv[1:]])


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    typer.echo(json_text(value))


def screen() -> int:
    """Columns of the terminal, or what ``COLUMNS`` says; a pipe or a file takes lines of any length."""
    return shutil.get_terminal_size((_ANY_LENGTH, 24)).columns


def print_text(text: str) -> None:
    """A paragraph, broken between words where the terminal ends."""
    typer.echo(_broken(text, screen()))


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, aligned; a value too long for the terminal goes on below its beginning."""
    width = max(map(_columns, facts)) + 2
    for name, value in facts.items():
        text = _broken(plain(str(value)), max(screen() - width, _NARROWEST))
        typer.echo(_padded(name, width) + text.replace("\n", "\n" + " " * width))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns, the first to the left and figures to the right, as plain text that copies well.

    What is wider than the terminal comes in parts one below the other, each with the first column, and without the rows
    that would be empty in it.
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
    """Which columns, beside the first, stand beside one another: as many as fit, one at least."""
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
    """``text`` in lines of at most ``width`` columns, but for longer words."""
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
    """``96.1 [95.0, 97.1]``, under a heading that has the unit."""
    return with_interval(value, interval).replace(" %", "")
