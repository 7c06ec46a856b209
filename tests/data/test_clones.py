"""Clone pairs: CodeXGLUE's pair lists with their table of functions, and plain tables of pairs."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from lilliput.data.clones import read_clones, read_function_table
from lilliput.data.tables import Columns
from lilliput.errors import DataError

FUNCTIONS = {"10": "int a() {}", "20": "int b() {}", "30": "int c() {}", "40": "int a() {}"}


def functions(folder: Path, name: str = "data.jsonl", rows: list[dict[str, object]] | None = None) -> Path:
    rows = [{"func": code, "idx": number} for number, code in FUNCTIONS.items()] if rows is None else rows
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def pairs(folder: Path, text: str, name: str = "train.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def refusal(*paths: Path, labelled: bool = True) -> DataError:
    with pytest.raises(DataError) as caught:
        read_clones(paths, labelled=labelled)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("name", ["data.jsonl", "data.jsonl.gz"])
def test_functions_beside_the_list(tmp_path: Path, name: str) -> None:
    table = functions(tmp_path, name)
    path = pairs(tmp_path, "20\t10\t1\t\t\r\n\n30 40 0\n")
    dataset = read_clones([path])
    assert dataset.texts == ("int b() {}", "int a() {}", "int c() {}")
    assert dataset.members.tolist() == [[0, 1], [2, 1]]
    assert dataset.labels.tolist() == [1, 0]
    assert dataset.label_names == ("different", "clone")
    assert dataset.sources == ("train.txt", name)
    assert dataset.sha256 == hashlib.sha256(path.read_bytes() + table.read_bytes()).hexdigest()


def test_functions_given_by_path_take_precedence_over_those_beside(tmp_path: Path) -> None:
    functions(tmp_path, rows=[{"func": "other", "idx": "10"}])
    table = functions(tmp_path, "table.json", rows=[{"source": "f", "idx": 10}, {"source": "g", "idx": 20}])
    dataset = read_clones([table, pairs(tmp_path, "10 20 1")], Columns(code="source"))
    assert dataset.texts == ("f", "g")


def test_gzipped_list_and_two_lists_with_one_table(tmp_path: Path) -> None:
    functions(tmp_path)
    first = pairs(tmp_path, "10 20 1\n")
    second = tmp_path / "second.txt.gz"
    second.write_bytes(gzip.compress(b"20 30 0\n"))
    dataset = read_clones([first, second])
    assert dataset.labels.tolist() == [1, 0]
    assert dataset.sources == ("train.txt", "second.txt.gz", "data.jsonl")


def test_fourth_column_counts_where_the_third_is_minus_one(tmp_path: Path) -> None:
    functions(tmp_path)
    path = pairs(tmp_path, "10 20 -1 1\n10 30 1 0\n20 30 -1 0\n")
    assert read_clones([path]).labels.tolist() == [1, 1, 0]
    assert read_clones([path], labelled=False).labels.tolist() == [-1, -1, -1]


def test_unlabelled_lists_may_have_any_label_or_none(tmp_path: Path) -> None:
    functions(tmp_path)
    path = pairs(tmp_path, "10 20\n10 20 -1\n10 20 7\n10 20 x y\n")
    assert read_clones([path], labelled=False).labels.tolist() == [-1] * 4


@pytest.mark.parametrize("line", ["10 20", "10 20 -1", "10 20 -1 -1"])
def test_rejects_a_missing_label(tmp_path: Path, line: str) -> None:
    functions(tmp_path)
    error = refusal(pairs(tmp_path, f"10 20 1\n{line}\n"))
    assert "has no label" in error.problem
    assert error.line == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("10", "has 1 columns"),
        ("10 20 -1 1 1", "has 5 columns; a pair of functions is 'id id label' or 'id id -1 label'"),
        ("10 99 1", "names the function '99', which is not among the 4 functions given"),
        ("10 20 2", "the label '2' is none of the classes: different (0), clone (1)"),
    ],
)
def test_rejects_invalid_lines(tmp_path: Path, line: str, words: str) -> None:
    functions(tmp_path)
    path = pairs(tmp_path, f"10 20 1\n\n{line}\n")
    error = refusal(path)
    assert words in error.problem
    assert (error.where, error.line) == (str(path), 3)


def test_rejects_a_list_without_table_of_functions(tmp_path: Path) -> None:
    error = refusal(pairs(tmp_path, "10 20 1\n"))
    assert "there is no data.jsonl or data.jsonl.gz beside it" in error.problem


def test_rejects_functions_without_pairs(tmp_path: Path) -> None:
    assert "no list of pairs was given" in refusal(functions(tmp_path)).problem


def test_rejects_a_table_of_neither_functions_nor_pairs(tmp_path: Path) -> None:
    path = functions(tmp_path, rows=[{"text": "f", "n": 1}])
    error = refusal(path)
    assert "holds neither pairs (columns 'code1', 'code2') nor functions with ids (columns 'idx', 'func')" in str(error)
    assert "its columns are 'text', 'n'" in str(error)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"idx": "10", "func": "other"}, "the id '10' already names other code (data.jsonl, line 1)"),
        ({"idx": 10, "func": "other"}, "the id '10' already names other code"),
        ({"idx": None, "func": "f"}, "the id null is not an integer or string"),
        ({"idx": True, "func": "f"}, "the id true is not an integer or string"),
        ({"func": "f"}, "has no column 'idx'; its columns are 'func'. Rename the right one to 'idx'."),
        ({"idx": "50", "func": " "}, "the code in column 'func' is empty"),
        ({"idx": "50", "func": 3}, "the code in column 'func' is not a string but 3"),
    ],
)
def test_rejects_invalid_tables_of_functions(tmp_path: Path, row: dict[str, object], words: str) -> None:
    table = functions(tmp_path, rows=[{"idx": "10", "func": "f"}, row])
    error = refusal(pairs(tmp_path, "10 10 1\n"))
    assert words in str(error)
    assert (error.where, error.line) == (str(table), 2)


def test_id_may_occur_twice_with_the_same_code(tmp_path: Path) -> None:
    table = functions(tmp_path, rows=[{"idx": "10", "func": "f"}, {"idx": 10, "func": "f"}])
    assert {number: code for number, (code, _) in read_function_table([table]).items()} == {"10": "f"}


def test_plain_tables_of_pairs(tmp_path: Path) -> None:
    first = tmp_path / "a.jsonl"
    first.write_text('{"code1": "f", "code2": "g", "label": 1}\n', encoding="utf-8")
    second = tmp_path / "b.csv"
    second.write_text("label,code1,code2\nclone,g,h\ndifferent,f,f\n", encoding="utf-8")
    dataset = read_clones([first, second], Columns())
    assert dataset.texts == ("f", "g", "h")
    assert dataset.members.tolist() == [[0, 1], [1, 2], [0, 0]]
    assert dataset.labels.tolist() == [1, 1, 0]


def test_plain_tables_with_the_users_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("left,right,same\nf,g,True\nf,h,False\n", encoding="utf-8")
    dataset = read_clones([path], Columns("left", "right", "same"))
    assert dataset.labels.tolist() == [1, 0]


def test_parquet_pairs(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"code1": ["f"], "code2": ["g"], "label": [1], "idx": [0]}), path)
    dataset = read_clones([path])
    assert (dataset.members.tolist(), dataset.labels.tolist()) == ([[0, 1]], [1])
