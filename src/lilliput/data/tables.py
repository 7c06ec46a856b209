"""Read examples from tables with named columns: JSON Lines, CSV, TSV or Parquet, one example per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.data.dataset import Dataset
from lilliput.data.examples import ExampleBuilder, check_code, require_paths
from lilliput.data.formats import Row, read_rows
from lilliput.data.lines import shown
from lilliput.errors import UserError

CODE_OPTION, SECOND_OPTION, LABEL_OPTION = "--code-column", "--second-column", "--label-column"


@dataclass(frozen=True)
class Columns:
    """The names of the columns of a table; ``None`` leaves the choice to the task.

    Attributes:
        code: the function, or the first function of a pair.
        second: the second function of a pair (``None`` in a task's own columns: an example is a single function).
        label: the class.
    """

    code: str | None = None
    second: str | None = None
    label: str | None = None

    def or_else(self, default: Columns) -> Columns:
        """These names, with missing ones taken from ``default``."""
        return Columns(
            code=default.code if self.code is None else self.code,
            second=default.second if self.second is None else self.second,
            label=default.label if self.label is None else self.label,
        )

    @property
    def code_columns(self) -> tuple[tuple[str, str], ...]:
        """``(column, option that names it)`` of each function of an example."""
        named = ((self.code, CODE_OPTION), (self.second, SECOND_OPTION))
        return tuple((column, option) for column, option in named if column is not None)

    @property
    def names(self) -> frozenset[str]:
        """All named columns."""
        return frozenset(name for name in (self.code, self.second, self.label) if name is not None)


PLAIN_COLUMNS = Columns(code="code", label="label")
"""Default columns of a table of single functions."""


def require_single(columns: Columns) -> None:
    """Refuse a second code column, for tasks on single functions.

    Raises:
        UserError: ``columns`` names a second code column.
    """
    if columns.second is not None:
        raise UserError(
            f"the column {shown(columns.second)} was named, but this task is about single functions.",
            remedy="Leave this option out.",
            where=SECOND_OPTION,
        )


def codes_of(row: Row, columns: Columns) -> list[str]:
    """The function or functions of ``row``, checked.

    Raises:
        DataError: a column is missing, or its value is not source code.
    """
    return [
        check_code(row.value(column, option), row.place, what=f"the code in column {shown(column)}")
        for column, option in columns.code_columns
    ]


def add_table(builder: ExampleBuilder, path: Path, columns: Columns) -> None:
    """Add every row of the table in ``path`` to ``builder``.

    Raises:
        DataError: the file is not a table, or a row is not an example; the message says which and why.
        MissingExtra: the file is Parquet, and pyarrow is not installed.
    """
    for row in read_rows(path, columns.names):
        label = row.value(columns.label, LABEL_OPTION) if builder.labelled and columns.label is not None else None
        builder.add(codes_of(row, columns), label, row.place)


def read_tables(
    paths: Sequence[Path],
    columns: Columns = PLAIN_COLUMNS,
    label_names: tuple[str, ...] | None = None,
    labelled: bool = True,
    by_index: bool = True,
) -> Dataset:
    """Read the examples of the tables in ``paths``, in order.

    Args:
        paths: JSON Lines, CSV or TSV with a header line, or Parquet; each may be gzipped.
        columns: the columns of functions and label; examples are pairs if ``second`` is named.
        label_names: the classes by index; ``None``: those the labels name, sorted.
        labelled: ``False`` ignores labels; all become -1.
        by_index: whether labels may give the index of one of ``label_names``.

    Raises:
        DataError: a file cannot be read as such a table (the message names file and line).
        MissingExtra: a file is Parquet, and pyarrow is not installed.
    """
    require_paths(paths)
    columns = columns.or_else(PLAIN_COLUMNS)
    builder = ExampleBuilder(len(columns.code_columns), label_names, labelled, by_index)
    for path in paths:
        add_table(builder, path, columns)
    return builder.dataset(paths)
