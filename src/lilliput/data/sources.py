"""Functions without labels: a pool for distillation, or a source file to predict on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lilliput.data.clones import (
    PAIR_COLUMNS,
    find_function,
    function_table_beside,
    read_function_table,
    read_pair_list,
)
from lilliput.data.devign import DEVIGN_COLUMNS
from lilliput.data.examples import MAX_FUNCTION_BYTES, check_code, require_paths
from lilliput.data.formats import Format, Row, format_of, read_rows
from lilliput.data.lines import UTF8_BOM, Place, decode, listed, open_file
from lilliput.data.tables import CODE_OPTION, PLAIN_COLUMNS, Columns, codes_of

STANDARD_INPUT = "-"
KNOWN_COLUMNS = (DEVIGN_COLUMNS, PLAIN_COLUMNS, PAIR_COLUMNS)
"""Columns that may hold a table's functions, in the order tried."""


def read_functions(paths: Sequence[Path], columns: Columns | None = None) -> list[str]:
    """The distinct functions in ``paths``, in order of first appearance; labels are ignored.

    Args:
        paths: tables of functions or of pairs (JSON Lines, CSV, TSV, Parquet), or pair lists with ``data.jsonl`` beside
            them, from which the functions they name are taken.
        columns: the columns that hold the functions; by default ``func``, ``code``, or ``code1`` and ``code2``.

    Raises:
        DataError: a file cannot be read as one of these (the message names file and line).
        MissingExtra: a file is Parquet, and pyarrow is not installed.
    """
    require_paths(paths)
    candidates = KNOWN_COLUMNS if columns is None or columns.code is None else (columns,)
    found: dict[str, None] = {}
    for path in paths:
        if format_of(path) is Format.TEXT:
            functions = read_function_table([function_table_beside(path)])
            for place, first, second, _ in read_pair_list(path):
                found.update((find_function(functions, number, place), None) for number in (first, second))
            continue
        chosen = None
        for row in read_rows(path, {name for each in candidates for name in each.names}):
            chosen = chosen or _columns_of(row, candidates)
            found.update((code, None) for code in codes_of(row, chosen))
    return list(found)


def _columns_of(row: Row, candidates: Sequence[Columns]) -> Columns:
    """The first of ``candidates`` whose code columns ``row`` has."""
    for columns in candidates:
        if all(name in row.columns for name, _ in columns.code_columns):
            return columns
    sought = "; or ".join(listed(name for name, _ in columns.code_columns) for columns in candidates)
    raise row.place.error(
        f"has no column with code: looked for {sought}; its columns are {listed(row.columns)}.",
        f"Name it with {CODE_OPTION}.",
    )


def read_source(path: Path | str, longest: int = MAX_FUNCTION_BYTES) -> str:
    """The text of one source file, or of standard input if ``path`` is ``-``.

    Raises:
        DataError: the file is missing, a folder, binary, not UTF-8, empty, or has more than ``longest`` bytes.
    """
    if str(path) == STANDARD_INPUT:
        place, size = Place(Path("standard input")), None
        if sys.stdin is None:
            raise place.error("is closed.", "Give it a source, or name a file.")
        content = sys.stdin.buffer.read(longest + 1)
    else:
        place = Place(Path(path))
        with open_file(place.path, regular=False) as stream:
            size = place.path.stat().st_size
            content = stream.read(longest + 1)
    if len(content) > longest:
        length = f"{size:,} bytes long" if size else "too long"
        raise place.error(f"is {length}; the longest source accepted is {longest:,} bytes.", "Give single functions.")
    return check_code(decode(content.removeprefix(UTF8_BOM), place), place, "the source", longest)
