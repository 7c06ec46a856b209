"""Functions with the sentence that describes each: tables, or JSON arrays, of text or of tokens."""

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
"""Where a file may have code and summary, in the order tried: tokens first, as CodeSearchNet's lack the docstring."""

CODE_OPTION, SUMMARY_OPTION = "--code-column", "--summary-column"

LANGUAGE = "language"
"""Column that may name the function's language, as CodeSearchNet's does."""

_LINE_COMMENT = re.compile(r"//.|#|--\s")
"""How a token begins that is a comment, or a line of the preprocessor's; ``//`` alone divides, in Python."""


@dataclass(frozen=True)
class Summarized:
    """A function and its summary.

    Attributes:
        code: its source, or its tokens with a space between them; without the summary, where that was in it.
        summary: what a person wrote of it: one line.
        language: that the file says it is in; ``None``: it does not say.
    """

    code: str
    summary: str
    language: str | None = None


@dataclass(frozen=True)
class SummaryData:
    """Functions with summaries.

    Attributes:
        examples: in the files' order.
        columns: where code and summary were.
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
    """The functions in files, in order.

    Tokens are joined by spaces, a comment's end of line kept; Python's docstrings are taken out of code that is text.

    Args:
        paths: JSON Lines, CSV, TSV, Parquet, or a JSON array of objects; each may be gzipped.
        columns: names of code and summary; ``None``: the first of :data:`KNOWN_COLUMNS` that the first row has.
        fewest, most: words of a summary; others are skipped, as CodeXGLUE's filter does (3 and 256).

    Raises:
        DataError: a file cannot be read as one of these, has no such column, or a value is no text; the message names
            file and line. Or no example is left.
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
    """Tokens with spaces between them, and an end of line behind a comment that would hide what follows it."""
    return "".join(token + ("\n" if _LINE_COMMENT.match(token) else " ") for token in tokens).strip()
