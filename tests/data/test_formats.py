"""Rows of JSON Lines, CSV, TSV and Parquet: what is recognized, and which messages reject the rest."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from pathlib import Path

import pytest

from lilliput.data import formats
from lilliput.data.formats import Format, format_of, read_rows
from lilliput.data.tables import read_tables
from lilliput.errors import DataError, MissingExtra


def write(folder: Path, content: str | bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path) -> list[tuple[int | None, dict[str, object]]]:
    return [(row.place.line, dict(row.values)) for row in read_rows(path, ("code", "label"))]


def refusal(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        rows(path)
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("x", b'\n  {"a": 1}\n', Format.JSONL),
        ("x.txt", gzip.compress(b'{"a": 1}', mtime=0), Format.JSONL),
        ("x.csv", b'{"a": 1}', Format.JSONL),
        ("x.json", b"nonsense", Format.JSONL),
        ("x.CSV", b"a,b\n", Format.CSV),
        ("x.tsv.gz", b"a\tb\n", Format.CSV),
        ("x.bin", b"PAR1....", Format.PARQUET),
        ("x.txt", b"1\t2\t0\n", Format.TEXT),
    ],
)
def test_format_is_detected_by_content_then_name(tmp_path: Path, name: str, content: bytes, form: Format) -> None:
    assert format_of(write(tmp_path, content, name)) is form


@pytest.mark.parametrize("content", [b"", b"\n \r\n\t\n", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.txt"])
def test_rejects_empty_files(tmp_path: Path, name: str, content: bytes) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(DataError, match="is empty"):
        format_of(path)


def test_jsonl_skips_blank_lines_and_counts_them(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeff{"code": "a"}\r\n\r\n   \n{"code": "b", "z": 1}', "x.jsonl")
    assert rows(path) == [(1, {"code": "a"}), (4, {"code": "b", "z": 1})]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"code": ', "is not JSON: Expecting value at character"),
        ("nonsense", "is not JSON: Expecting value at character 1"),
        ('{"code": "a\tb"}', "is not JSON: Invalid control character"),
        ("[1, 2]", "is not a JSON object but a value of type list"),
        ('"text"', "is not a JSON object but 'text'"),
        ("null", "is not a JSON object but null"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "cannot be read"),
    ],
)
def test_rejects_invalid_jsonl(tmp_path: Path, line: str, words: str) -> None:
    error = refusal(write(tmp_path, '{"code": "fine"}\n' + line + "\n", "x.jsonl"))
    assert words in error.problem
    assert error.line == 2
    assert "One JSON object per line" in error.remedy


def test_missing_column_lists_the_existing_ones(tmp_path: Path) -> None:
    path = write(tmp_path, '{"func": "f", "target": 1}\n', "x.jsonl")
    (row,) = read_rows(path, ("code",))
    with pytest.raises(DataError) as caught:
        row.value("code", "--code-column")
    message = str(caught.value)
    assert message == (
        f"{path}, line 1: has no column 'code'; its columns are 'func', 'target'. "
        "Name the right one with --code-column."
    )


def test_multiline_csv_records_keep_the_number_of_their_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeffcode, label\r\n"int f()\r\n{ ""x"", }",0\r\n\r\n"g",1\r\n', "x.csv")
    assert rows(path) == [(2, {"code": 'int f()\r\n{ "x", }', "label": "0"}), (5, {"code": "g", "label": "1"})]


def test_reads_gzipped_tsv(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"code\tlabel\nf(a, b)\t1\n"), "x.tsv.gz")
    assert rows(path) == [(2, {"code": "f(a, b)", "label": "1"})]


def test_csv_field_may_exceed_the_limit_of_the_csv_module(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    body = "x" * 300_000
    assert rows(write(tmp_path, f"code,label\n{body},1\n", "x.csv")) == [(2, {"code": body, "label": "1"})]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ('code,label\na,0\n"never closed,1\nb,0\n', 3, "cannot be read: unexpected end of data"),
        ('code,label\n"a" b,0\n', 2, "cannot be read"),
        ("code,label\na,0\nf(a, b),1\n", 3, "has 3 fields where the header has 2"),
        ("code,label\na\n", 2, "has 1 fields where the header has 2"),
        ("code,label\na\rb,0\n", 2, "cannot be read"),
        ("code,label,code\na,1,b\n", 1, "has 2 columns called 'code'"),
        ("code,label\n", None, "has no rows"),
        (",,\n,\n", None, "has no rows"),
        ('""\n', None, "has no rows"),
    ],
)
def test_rejects_invalid_csv(tmp_path: Path, content: str, line: int | None, words: str) -> None:
    error = refusal(write(tmp_path, content, "x.csv"))
    assert words in error.problem
    assert error.line == line


def test_rejects_text_that_is_not_a_table(tmp_path: Path) -> None:
    assert "is not a table" in refusal(write(tmp_path, "int main() {}\n", "main.c")).problem


def parquet(folder: Path, columns: dict[str, object], name: str = "x.parquet") -> Path:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = folder / name
    pq.write_table(pa.table(columns), path)
    return path


def test_reads_parquet_in_several_batches_under_any_name(tmp_path: Path) -> None:
    codes = [f"f{i}" for i in range(2500)]
    path = parquet(tmp_path, {"code": codes, "label": list(range(2500)), "vector": [[0.0]] * 2500}, "x.data")
    found = rows(path)
    assert [line for line, _ in found] == list(range(1, 2501))
    assert [values for _, values in found] == [{"code": code, "label": i} for i, code in enumerate(codes)]


def test_reads_gzipped_parquet_under_any_name(tmp_path: Path) -> None:
    content = gzip.compress(parquet(tmp_path, {"code": ["f", "g"], "label": [1.0, 0.0]}).read_bytes())
    for name in ("x.parquet.gz", "x.gz", "x.parquet", "x"):
        path = write(tmp_path, content, name)
        assert format_of(path) is Format.PARQUET
        assert rows(path) == [(1, {"code": "f", "label": 1.0}), (2, {"code": "g", "label": 0.0})]


def test_rejects_truncated_or_too_large_gzipped_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = parquet(tmp_path, {"code": [f"function {i}" for i in range(1000)]}).read_bytes()
    packed = gzip.compress(plain)
    assert "ends too early" in refusal(write(tmp_path, packed[: len(packed) // 2], "cut.parquet.gz")).problem
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", len(plain) - 1)
    assert "is gzipped Parquet of more than" in refusal(write(tmp_path, packed, "large.parquet.gz")).problem
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", len(plain))
    assert len(rows(write(tmp_path, packed, "fits.parquet.gz"))) == 1000


def test_label_is_the_same_in_every_format(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "code,label\nf,1.0\ng,0.0\n", "x.csv"),
        write(tmp_path, '{"code": "f", "label": 1.0}\n{"code": "g", "label": 0.0}\n', "x.jsonl"),
        parquet(tmp_path, {"code": ["f", "g"], "label": [1.0, 0.0]}),
    ]
    for path in paths:
        dataset = read_tables([path])
        assert (dataset.label_names, dataset.labels.tolist()) == (("0", "1"), [1, 0])


def test_parquet_with_a_missing_column_lists_all_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"func": ["f"], "target": [1]})
    (row,) = read_rows(path, ("code",))
    with pytest.raises(DataError, match="its columns are 'func', 'target'"):
        row.value("code")


def test_rejects_parquet_without_rows(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"code": [], "label": []})
    assert "has no rows" in refusal(path).problem


def test_rejects_other_content_named_parquet(tmp_path: Path) -> None:
    assert "is called Parquet" in refusal(write(tmp_path, "code,label\n", "x.parquet")).problem


def test_rejects_damaged_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"code": [f"function {i}" for i in range(1000)]})
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:-20])
    assert "cannot be read as Parquet" in refusal(path).problem
    content[20:400] = bytes(380)
    path.write_bytes(content)
    assert "cannot be read as Parquet" in refusal(path).problem


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, b"PAR1....PAR1", "x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lilliput\[evaluate\]'"):
        rows(path)


def test_rows_are_streamed(tmp_path: Path) -> None:
    """The first row is returned before later lines are read."""
    path = write(tmp_path, json.dumps({"code": "f"}) + "\nnonsense\n", "x.jsonl")
    stream = read_rows(path, ("code",))
    assert next(stream).values == {"code": "f"}
    with pytest.raises(DataError, match="line 2"):
        next(stream)
