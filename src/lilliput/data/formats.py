"""Read the rows of a table in any file format: JSON Lines, CSV, TSV or Parquet, each also gzipped."""

from __future__ import annotations

import csv
import enum
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lilliput.data.lines import MAX_LINE_BYTES, Place, is_gzipped, listed, read_lines, read_start, shown
from lilliput.errors import DataError
from lilliput.extras import require

PARQUET_MAGIC = b"PAR1"
PARQUET_BATCH_ROWS = 1024


class Format(enum.Enum):
    """Format of a data file."""

    JSONL = "JSON Lines"
    CSV = "CSV"
    PARQUET = "Parquet"
    TEXT = "other text"


FORMAT_OF_SUFFIX = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".parquet": Format.PARQUET,
}
"""File suffix -> format, where the content does not tell (``.gz`` is removed first)."""


class Row(NamedTuple):
    """One row: its place, its values by column, and the names of all columns."""

    place: Place
    values: Mapping[str, Any]
    columns: Collection[str]

    def value(self, column: str, option: str = "") -> Any:
        """The value in ``column``.

        Raises:
            DataError: there is no such column; the message lists the columns and names the ``option``, if any, that
                would choose another.
        """
        if column not in self.values:
            raise self.place.error(
                f"has no column {shown(column)}; its columns are {listed(self.columns)}.",
                f"Name the right one with {option}." if option else f"Rename the right one to {shown(column)}.",
            )
        return self.values[column]


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def format_of(path: Path) -> Format:
    """The format of ``path``: by its first bytes if they tell, else by its name.

    Raises:
        DataError: it cannot be read (see :mod:`lilliput.data.lines`), is empty, or is named Parquet but is not.
    """
    if read_start(path, len(PARQUET_MAGIC)) == PARQUET_MAGIC:
        return Format.PARQUET
    named = FORMAT_OF_SUFFIX.get(_suffix(path), Format.TEXT)
    if named is Format.PARQUET:
        raise Place(path).error("is called Parquet but does not begin as a Parquet file.", "Check the file.")
    for _, text in read_lines(path):
        if start := text.lstrip()[:1]:
            return Format.JSONL if start in "{[" else named
    raise Place(path).error("is empty.", "Give a file with at least one example.")


def read_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Yield the rows of the table in ``path``, at least one; blank lines are skipped.

    Args:
        path: JSON Lines, CSV with a header line, TSV likewise, or Parquet.
        wanted: columns whose values are needed; others are not read if the format allows it.

    Raises:
        DataError: the file is not a table, is damaged, or has no row.
        MissingExtra: the file is Parquet, and pyarrow is not installed.
    """
    form = format_of(path)
    if form not in _ROWS:
        raise Place(path).error(
            "is not a table: its first line is not a JSON object, and its name does not say CSV or TSV.",
            "Give JSON Lines, a file called .csv or .tsv, or Parquet.",
        )
    row = None
    for row in _ROWS[form](path, wanted):
        yield row
    if row is None:
        raise Place(path).error("has no rows.", "Give a file with at least one example.")


def _jsonl_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    remedy = "One JSON object per line is expected; turn a JSON array into lines with: jq -c '.[]'"
    for number, text in read_lines(path):
        if not text.strip():
            continue
        place = Place(path, number)
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise place.error(
                f"is not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}.", remedy
            ) from error
        except RecursionError as error:
            raise place.error("is JSON nested too deeply to be read.", remedy) from error
        except ValueError as error:
            raise place.error(f"is JSON that cannot be read: {error}.", remedy) from error
        if not isinstance(values, dict):
            raise place.error(f"is not a JSON object but {shown(values)}.", remedy)
        yield Row(place, values, values.keys())


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    """The next record, with the csv module's limit on fields (128 KB, for the whole process) raised meanwhile."""
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def _csv_records(path: Path) -> Iterator[tuple[Place, list[str]]]:
    """Records and the line each starts on (a quoted field may run over several lines)."""
    delimiter = "\t" if _suffix(path) == ".tsv" else ","
    reader = csv.reader((text for _, text in read_lines(path)), delimiter=delimiter, strict=True)
    while True:
        place = Place(path, reader.line_num + 1)
        try:
            record = _next_record(reader)
        except csv.Error as error:
            raise place.error(
                f"the CSV record that starts here cannot be read: {error}.",
                "Put fields that hold a quote, a comma or a line break in double quotes, and double the quotes inside.",
            ) from error
        if record is None:
            return
        if record and any(field.strip() for field in record):
            yield place, record


def _csv_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    records = _csv_records(path)
    place, record = next(records, (Place(path), []))
    header = [name.strip() for name in record]
    _refuse_duplicates(place, header, wanted)
    for place, record in records:
        if len(record) != len(header):
            raise place.error(
                f"has {len(record)} fields where the header has {len(header)}.",
                "Put fields that hold a comma or a line break in double quotes.",
            )
        yield Row(place, dict(zip(header, record, strict=True)), header)


def _refuse_duplicates(place: Place, header: Collection[str], wanted: Collection[str]) -> None:
    names = list(header)
    for name in wanted:
        if names.count(name) > 1:
            raise place.error(f"has {names.count(name)} columns called {shown(name)}.", "Rename all but one of them.")


def _parquet_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    parquet = require("pyarrow.parquet")
    refusals = (require("pyarrow").ArrowException, OSError, ValueError, OverflowError)

    def damaged(error: BaseException) -> DataError:
        return Place(path).error(f"cannot be read as Parquet: {shown(str(error), 120)}.", "Write the file again.")

    try:
        file = parquet.ParquetFile(_gunzipped(path) if is_gzipped(path) else path)
    except refusals as error:
        raise damaged(error) from error
    with file:
        header = list(file.schema_arrow.names)
        _refuse_duplicates(Place(path), header, wanted)
        batches = file.iter_batches(batch_size=PARQUET_BATCH_ROWS, columns=[name for name in header if name in wanted])
        number = 0
        while True:
            try:
                batch = next(batches, None)
                rows = [] if batch is None else batch.to_pylist()
            except refusals as error:
                raise damaged(error) from error
            if batch is None:
                return
            for number, values in enumerate(rows, start=number + 1):  # noqa: B020 (counts on across batches)
                yield Row(Place(path, number), values, header)


def _gunzipped(path: Path) -> io.BytesIO:
    """The content of a gzipped file, in memory: Parquet is read from its end, gzip data only from its start."""
    content = read_start(path, MAX_LINE_BYTES + 1)
    if len(content) > MAX_LINE_BYTES:
        raise Place(path).error(
            f"is gzipped Parquet of more than {MAX_LINE_BYTES:,} bytes.", "Unpack it with gunzip; Parquet is compact."
        )
    return io.BytesIO(content)


_ROWS: dict[Format, Callable[[Path, Collection[str]], Iterator[Row]]] = {
    Format.JSONL: _jsonl_rows,
    Format.CSV: _csv_rows,
    Format.PARQUET: _parquet_rows,
}
