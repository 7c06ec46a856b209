"""Tables with named columns: round trips through every format, and random bytes, which never crash a reader."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.data.clones import read_clones
from lilliput.data.devign import read_devign
from lilliput.data.sources import read_functions, read_source
from lilliput.data.tables import PLAIN_COLUMNS, Columns, read_tables, require_single
from lilliput.errors import DataError, UserError

PAIRS = Columns("first", "second", "class")


def write(folder: Path, content: str | bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_columns_fall_back_individually() -> None:
    assert Columns(label="y").or_else(Columns("c", None, "l")) == Columns("c", None, "y")
    assert Columns("a", "b").code_columns == (("a", "--code-column"), ("b", "--second-column"))
    assert Columns("a", None, "y").names == {"a", "y"}


def test_several_files_form_one_dataset(tmp_path: Path) -> None:
    first = write(tmp_path, '{"code": "f", "label": "bug"}\n', "a.jsonl")
    second = write(tmp_path, "label,code\nstyle,g\nbug,f\n", "b.csv")
    dataset = read_tables([first, second])
    assert dataset.texts == ("f", "g")
    assert dataset.members.tolist() == [[0], [1], [0]]
    assert dataset.labels.tolist() == [0, 1, 0]
    assert dataset.label_names == ("bug", "style")
    assert dataset.sources == ("a.jsonl", "b.csv")


def test_reads_pairs(tmp_path: Path) -> None:
    path = write(tmp_path, '{"first": "f", "second": "g", "class": true}\n', "a.jsonl")
    dataset = read_tables([path], PAIRS, ("different", "clone"))
    assert dataset.arity == 2
    assert (dataset.members.tolist(), dataset.labels.tolist()) == ([[0, 1]], [1])


def test_unlabelled_needs_no_label_column(tmp_path: Path) -> None:
    dataset = read_tables([write(tmp_path, '{"code": "f"}\n', "a.jsonl")], labelled=False)
    assert dataset.labels.tolist() == [-1]
    assert dataset.label_names == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"code": "f"}', "has no column 'label'; its columns are 'code'. Name the right one with --label-column."),
        ('{"kode": "f", "label": 1}', "has no column 'code'; its columns are 'kode', 'label'."),
        ('{"code": "f", "label": null}', "has no label."),
        ('{"code": "f", "label": 3}', "the label '3' is none of the classes: no (0), yes (1)."),
        ('{"code": 5, "label": 1}', "the code in column 'code' is not a string but 5."),
        ('{"code": "", "label": 1}', "the code in column 'code' is empty."),
        ('{"code": "a\\u0000", "label": 1}', "holds a NUL character (character 2)."),
        ('{"code": "' + "x" * 10_000_000 + '", "label": 1}', "is 10,000,000 bytes long"),
    ],
)
def test_refusals_name_file_line_and_remedy(tmp_path: Path, line: str, words: str) -> None:
    path = write(tmp_path, '{"code": "fine", "label": 0}\n\n' + line + "\n", "a.jsonl")
    with pytest.raises(DataError) as caught:
        read_tables([path], PLAIN_COLUMNS, ("no", "yes"))
    assert words in str(caught.value)
    assert (caught.value.where, caught.value.line) == (str(path), 3)
    assert caught.value.remedy


def test_function_too_long_in_csv_is_refused_with_its_size(tmp_path: Path) -> None:
    path = write(tmp_path, 'code,label\n"' + ("x" * 99 + "\n") * 100_000 + '",1\n', "a.csv")
    with pytest.raises(DataError, match=r"line 2: the code in column 'code' is 10,000,000 bytes long"):
        read_tables([path])


def test_second_column_is_rejected_for_single_functions() -> None:
    require_single(Columns("a"))
    with pytest.raises(UserError, match="--second-column: the column 'b' was named"):
        require_single(Columns("a", "b"))


# Round trips

codes = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
examples = st.lists(st.tuples(codes, codes, st.sampled_from(["bug", "style", "11", "2"])), min_size=1, max_size=12)


def as_jsonl(rows: list[tuple[str, str, str]]) -> bytes:
    return "".join(
        json.dumps(dict(zip(("first", "second", "class"), row, strict=True)), ensure_ascii=len(row[0]) % 2 == 0) + "\n"
        for row in rows
    ).encode()


def as_csv(rows: list[tuple[str, str, str]], delimiter: str = ",") -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(("first", "second", "class"))
    writer.writerows(rows)
    return stream.getvalue().encode()


def as_tsv(rows: list[tuple[str, str, str]]) -> bytes:
    return as_csv(rows, "\t")


def as_parquet(rows: list[tuple[str, str, str]]) -> bytes:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    first, second, label = zip(*rows, strict=True)
    pq.write_table(pa.table({"first": first, "second": second, "class": label}), stream)
    return stream.getvalue()


WRITERS: list[tuple[str, Callable[[list[tuple[str, str, str]]], bytes], bool]] = [
    ("a.jsonl", as_jsonl, True),
    ("a.csv", as_csv, True),
    ("a.tsv", as_tsv, True),
    ("a.parquet", as_parquet, False),
]


@pytest.mark.parametrize(("name", "writer", "may_be_gzipped"), WRITERS)
@given(rows=examples, zipped=st.booleans())
@settings(max_examples=40, deadline=None)
def test_tables_survive_a_round_trip(
    name: str,
    writer: Callable[[list[tuple[str, str, str]]], bytes],
    may_be_gzipped: bool,
    rows: list[tuple[str, str, str]],
    zipped: bool,
) -> None:
    content = writer(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), gzip.compress(content) if zipped and may_be_gzipped else content, name)
        dataset = read_tables([path], PAIRS)
    found = [
        (dataset.texts[i], dataset.texts[j], dataset.label_names[label])
        for (i, j), label in zip(dataset.members, dataset.labels, strict=True)
    ]
    assert found == rows
    assert len(set(dataset.texts)) == len(dataset.texts)


# Hostile input

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["func", "target", "code", "code1", "code2", "label", "idx", "other"])
objects = st.lists(st.dictionaries(keys, json_values, max_size=6), max_size=4).map(
    lambda rows: "\n".join(map(json.dumps, rows)).encode()
)
csv_like = st.text("code,\"\n\r\t label1'2", max_size=60).map(lambda text: f"code,label,func\n{text}".encode())
hostile = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=60).map(gzip.compress),
    st.binary(max_size=60).map(lambda content: gzip.compress(content * 20)[:-9]),
    st.binary(max_size=60).map(lambda content: b"\x1f\x8b" + content),
    st.binary(max_size=60).map(lambda content: b"PAR1" + content + b"PAR1"),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    objects,
    objects.map(gzip.compress),
    csv_like,
    st.text("0123 \t-\n", max_size=60).map(str.encode),
)
READERS: list[Callable[[Path], Any]] = [
    lambda path: read_devign([path]),
    lambda path: read_clones([path]),
    lambda path: read_clones([path], labelled=False),
    lambda path: read_tables([path]),
    lambda path: read_functions([path]),
    read_source,
]


@given(
    content=hostile,
    name=st.sampled_from(["x", "x.txt", "x.jsonl", "x.json.gz", "x.csv", "x.tsv.gz", "x.parquet", "data.jsonl"]),
    beside=st.none() | hostile,
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_bytes_raise_only_user_errors(content: bytes, name: str, beside: bytes | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if beside is not None:
            write(Path(folder), beside, "data.jsonl")
        path = write(Path(folder), content, name)
        for reader in READERS:
            try:
                reader(path)
            except UserError as error:
                assert str(error)
