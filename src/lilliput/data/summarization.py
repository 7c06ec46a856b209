"""Functions, each with a sentence that describes it: tables or JSON arrays, of text or of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.data.docstrings import without_docstring
from lilliput.data.examples import check_code, require_paths
from lilliput.data.formats import Row, read_rows
from lilliput.data.json_lists import is_list, read_list
from lilliput.data.lines import Place, file_list, listed, sha256_of_all, shown

KNOWN_COLUMNS = (
    ("pl_tokens", "nl_tokens"),
    ("code_tokens", "docstring_tokens"),
    ("code", "docstring"),
    ("code", "summary"),
)
"""Columns of code and summary, in the order tried: tokens first, because CodeSearchNet's lack the docstring."""

CODE_OPTION, SUMMARY_OPTION = "--code-column", "--summary-column"

LANGUAGE = "language"
"""Column that may name the function's language, as in CodeSearchNet."""

_LINE_COMMENT = re.compile(r"//.|#|--\s")
"""Matches tokens that are a comment or a preprocessor line; ``//`` alone is Python's division."""


@dataclass(frozen=True)
class Summarized:
    """A function and its summary.

    Attributes:
        code: its source, or its tokens separated by spaces; without the summary, if it was included.
        summary: what a person wrote about it: one line.
        language: its language according to the file; ``None`` if the file does not say.
    """

    code: str
    summary: str
    language: str | None = None


@dataclass(frozen=True)
class SummaryData:
    """Functions with summaries.

    Attributes:
        examples: in the files' order.
        columns: names of the code and summary columns.
        skipped: examples whose summary has too few or too many words.
        sources: names of the files.
        sha256: of their bytes, one after the other.
    """

    examples: tuple[Summarized, ...]
    columns: tuple[str, str]
    skipped: int
    sources: tuple[str, ...]
    sha256: str


def read_summaries(
    paths: str | Path | Sequence[str | Path],
    columns: tuple[str, str] | None = None,
    fewest: int = 3,
    most: int = 256,
) -> SummaryData:
    """Read functions with summaries from files, in order.

    Tokens are joined by spaces, with a line break after line comments; Python docstrings are removed from code given as
    text.

    Args:
        paths: JSON Lines, CSV, TSV, Parquet, or a JSON array of objects; each may be gzipped.
        columns: names of code and summary; ``None``: the first of :data:`KNOWN_COLUMNS` that the first row has.
        fewest, most: words of a summary; others are skipped, as CodeXGLUE's filter does (3 and 256).

    Raises:
        DataError: a file cannot be read as one of these, has no such column, or a value is not text (the message names
            file and line); or no example is left.
        MissingExtra: a file is Parquet, and pyarrow is not installed.
    """
    files = [Path(path) for path in file_list(paths)]
    require_paths(files)
    examples: list[Summarized] = []
    skipped = 0
    for path in files:
        for row in _rows(path, columns):
            columns = columns or _columns_of(row)
            code = check_code(_text(row, columns[0], CODE_OPTION), row.place, shown(columns[0]))
            if isinstance(row.values[columns[0]], str):
                code = without_docstring(code)
            summary = " ".join(_text(row, columns[1], SUMMARY_OPTION).split())
            if fewest <= len(summary.split()) <= most:
                language = row.values.get(LANGUAGE)
                examples.append(Summarized(code, summary, language if isinstance(language, str) else None))
            else:
                skipped += 1
    if columns is None or not examples:
        raise Place(files[0]).error(
            f"has no summary of {fewest} to {most} words ({skipped} others).", "Give a file with such summaries."
        )
    return SummaryData(tuple(examples), columns, skipped, tuple(path.name for path in files), sha256_of_all(files))


def _rows(path: Path, columns: tuple[str, str] | None) -> Iterator[Row]:
    if is_list(path):
        return read_list(path, "functions with summaries")
    return read_rows(path, {LANGUAGE, *(name for pair in (*KNOWN_COLUMNS, columns or ()) for name in pair)})


def _columns_of(row: Row) -> tuple[str, str]:
    for pair in KNOWN_COLUMNS:
        if all(name in row.columns for name in pair):
            return pair
    sought = "; ".join(listed(pair) for pair in KNOWN_COLUMNS)
    raise row.place.error(
        f"has no columns with code and summary: looked for {sought}; its columns are {listed(row.columns)}.",
        f"Name them with {CODE_OPTION} and {SUMMARY_OPTION}.",
    )


def _text(row: Row, column: str, option: str) -> str:
    value: Any = row.value(column, option)
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(isinstance(token, str) for token in value):
        raise row.place.error(f"{shown(column)} is neither text nor a list of tokens.", "Correct this row.")
    return joined(value)


def joined(tokens: Sequence[str]) -> str:
    """Join tokens with spaces, and with a line break after a comment that would hide the tokens that follow it."""
    return "".join(token + ("\n" if _LINE_COMMENT.match(token) else " ") for token in tokens).strip()
