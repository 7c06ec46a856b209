"""Clone pairs: BigCloneBench (Svajlenko et al., ICSME 2014) in CodeXGLUE's form, or a table with both functions.

CodeXGLUE's form is a list of pairs, ``id id label`` on each line, and a table of the functions those ids name, called
``data.jsonl``. In the lists of the Compressor paper's release a line may have a fourth column: where the third is -1,
the pair counts as unlabelled, and the fourth holds the label that was hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lilliput.data.dataset import Dataset
from lilliput.data.examples import ExampleBuilder, check_code, require_paths
from lilliput.data.formats import Format, format_of, read_rows
from lilliput.data.lines import Place, listed, read_lines, shown
from lilliput.data.tables import CODE_OPTION, Columns, add_table

CLONE_LABELS = ("different", "clone")
"""By index, as the pair lists give them."""
PAIR_COLUMNS = Columns(code="code1", second="code2", label="label")
"""A table with both functions of a pair in each row."""
ID_COLUMN = "idx"
FUNCTION_COLUMN = "func"
FUNCTION_FILES = ("data.jsonl", "data.jsonl.gz")
"""File names of the table of functions beside a pair list."""
HIDDEN = "-1"
"""In the third column: no label, or the label is in the fourth."""

Functions = dict[str, tuple[str, Place]]
"""Id -> source, and where it was read."""


def read_clones(
    paths: Sequence[Path],
    columns: Columns = PAIR_COLUMNS,
    label_names: tuple[str, ...] | None = None,
    labelled: bool = True,
) -> Dataset:
    """Read pairs of functions that are clones or not.

    Args:
        paths: pair lists, with or without the tables of their functions (else the ``data.jsonl`` or ``data.jsonl.gz``
            beside a list is used), and tables with both functions of a pair in each row.
        columns: where a table of pairs has its functions and label (``code1``, ``code2``, ``label``); in a table of
            functions, ``code`` names the source (``func``); its ids are in ``idx``.
        label_names: the classes by index.
        labelled: ``False`` ignores labels; all become -1.

    Raises:
        DataError: a file is none of these, or a line is wrong (the message names file and line).
        MissingExtra: a file is Parquet, and pyarrow is not installed.
    """
    require_paths(paths)
    code = FUNCTION_COLUMN if columns.code in (None, PAIR_COLUMNS.code) else columns.code
    pair_columns = columns.or_else(PAIR_COLUMNS)
    lists = [path for path in paths if format_of(path) is Format.TEXT]
    function_tables = [path for path in paths if path not in lists and _holds_functions(path, code, pair_columns)]
    if function_tables and not lists:
        raise Place(function_tables[0]).error(
            "holds functions, but no list of pairs was given.", "Give the pair list too: lines of 'id id label'."
        )
    given = read_function_table(function_tables, code)
    beside: dict[Path, Functions] = {}
    builder = ExampleBuilder(2, label_names or CLONE_LABELS, labelled)
    for path in paths:
        if path in lists:
            functions = given
            if not given:
                table = function_table_beside(path)
                functions = beside[table] = beside.get(table) or read_function_table([table], code)
            _add_pair_list(builder, path, functions)
        elif path not in function_tables:
            add_table(builder, path, pair_columns)
    return builder.dataset([*paths, *beside])


def _holds_functions(path: Path, code: str, pair_columns: Columns) -> bool:
    """Whether the table in ``path`` is one of functions with ids, rather than one of pairs."""
    first = next(read_rows(path, ()))
    if pair_columns.second in first.columns:
        return False
    if ID_COLUMN in first.columns and code in first.columns:
        return True
    pair = listed(name for name, _ in pair_columns.code_columns)
    raise first.place.error(
        f"holds neither pairs (columns {pair}) nor functions with ids (columns {listed([ID_COLUMN, code])}); "
        f"its columns are {listed(first.columns)}.",
        "Name the two code columns with --code-column and --second-column.",
    )


def function_table_beside(pair_list: Path) -> Path:
    """The table of functions in the same folder as ``pair_list``.

    Raises:
        DataError: there is no such table.
    """
    for name in FUNCTION_FILES:
        if (table := pair_list.with_name(name)).is_file():
            return table
    raise Place(pair_list).error(
        f"was taken for a list of pairs, but there is no {' or '.join(FUNCTION_FILES)} beside it for the functions.",
        "Give the path of the table of functions too, or data in another format (JSON Lines, CSV, Parquet).",
    )


def read_function_table(paths: Sequence[Path], code: str = FUNCTION_COLUMN) -> Functions:
    """The functions of all the tables ``paths``, by id (column ``idx``, an integer or a string).

    Raises:
        DataError: a row has no id or no code, or an id appears twice with different code.
    """
    functions: Functions = {}
    for path in paths:
        for row in read_rows(path, (ID_COLUMN, code)):
            number = row.value(ID_COLUMN)
            if isinstance(number, bool) or not isinstance(number, int | str):
                raise row.place.error(f"the id {shown(number)} is not an integer or string.", "Correct the id.")
            source = check_code(row.value(code, CODE_OPTION), row.place, what=f"the code in column {shown(code)}")
            known, place = functions.setdefault(str(number).strip(), (source, row.place))
            if known != source:
                raise row.place.error(
                    f"the id {shown(str(number))} already names other code ({place.path.name}, line {place.line}).",
                    "Give each function an id of its own.",
                )
    return functions


def read_pair_list(path: Path) -> Iterator[tuple[Place, str, str, str | None]]:
    """Yield ``(place, first id, second id, label)`` for each line of a pair list; blank lines are skipped.

    The columns, separated by tabs or spaces, are two ids and, optionally, a label; if the third column is -1, a fourth
    may hold the label. The label is ``None`` if there is none.

    Raises:
        DataError: a line has fewer than two or more than four columns.
    """
    for number, text in read_lines(path):
        fields = text.split()
        if not fields:
            continue
        place = Place(path, number)
        if not 2 <= len(fields) <= 4:
            raise place.error(
                f"has {len(fields)} columns; a pair of functions is 'id id label' or 'id id -1 label'.",
                "Correct the line, or give data in another format (JSON Lines, .csv, .tsv, Parquet).",
            )
        first, second, *labels = fields
        yield place, first, second, next((label for label in labels if label != HIDDEN), None)


def _add_pair_list(builder: ExampleBuilder, path: Path, functions: Functions) -> None:
    for place, first, second, label in read_pair_list(path):
        codes = (find_function(functions, first, place), find_function(functions, second, place))
        builder.add(codes, label, place)


def find_function(functions: Functions, number: str, place: Place) -> str:
    """The source of function ``number``, which the line at ``place`` names.

    Raises:
        DataError: ``functions`` has no such id.
    """
    if number not in functions:
        raise place.error(
            f"names the function {shown(number)}, which is not among the {len(functions):,} functions given.",
            "Check that the table of functions belongs to this list of pairs.",
        )
    return functions[number][0]
