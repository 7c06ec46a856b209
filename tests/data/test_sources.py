"""Unlabelled functions from any data file, and single source files."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from lilliput.data.sources import read_functions, read_source
from lilliput.data.tables import Columns
from lilliput.errors import DataError


def write(folder: Path, content: str | bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_functions_of_every_format_are_read_once(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, '{"func": "f", "target": "no label"}\n{"func": "g"}\n', "devign.jsonl"),
        write(tmp_path, "code\ng\nh\n", "plain.csv"),
        write(tmp_path, '{"code1": "f", "code2": "i"}\n', "pairs.jsonl"),
        write(tmp_path, "1 3 -1 0\n3 3\n", "list.txt"),
    ]
    rows = [{"idx": 1, "func": "j"}, {"idx": 2, "func": "unused"}, {"idx": 3, "func": "f"}]
    write(tmp_path, "\n".join(map(json.dumps, rows)), "data.jsonl")
    assert read_functions(paths) == ["f", "g", "h", "i", "j"]


def test_code_column_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, '{"code": "f", "source": "g"}\n', "x.jsonl")
    assert read_functions([path], Columns(code="source")) == ["g"]
    assert read_functions([path], Columns(code="source", second="code")) == ["g", "f"]
    assert read_functions([path], Columns(label="y")) == ["f"]


@pytest.mark.parametrize(
    ("columns", "sought"), [(None, "'func'; or 'code'; or 'code1', 'code2'"), (Columns("source"), "'source'")]
)
def test_rejects_a_file_without_code_column(tmp_path: Path, columns: Columns | None, sought: str) -> None:
    path = write(tmp_path, '{"text": "f"}\n', "x.jsonl")
    with pytest.raises(DataError) as caught:
        read_functions([path], columns)
    assert str(caught.value) == (
        f"{path}, line 1: has no column with code: looked for {sought}; its columns are 'text'. "
        "Name it with --code-column."
    )


def test_list_of_pairs_needs_its_functions(tmp_path: Path) -> None:
    path = write(tmp_path, "1 2 0\n", "list.txt")
    with pytest.raises(DataError, match=r"no data\.jsonl or data\.jsonl\.gz beside it"):
        read_functions([path])
    write(tmp_path, '{"idx": 1, "func": "f"}\n', "data.jsonl")
    with pytest.raises(DataError, match="line 1: names the function '2'"):
        read_functions([path])


def test_rejects_no_paths() -> None:
    with pytest.raises(DataError, match="no data file was given"):
        read_functions([])


def test_reads_a_source_file(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffint f()\r\n{ return '\u00e9'; }\n", "f.c")
    assert read_source(path) == read_source(str(path)) == "int f()\r\n{ return '\u00e9'; }\n"


def test_reads_source_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("int \u00e9;".encode()), encoding="latin-1"))
    assert read_source("-") == "int \u00e9;"


def test_reads_source_from_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("int f();",))
    writer.start()
    try:
        assert read_source(pipe) == "int f();"
    finally:
        writer.join()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the source is empty"),
        (b" \n", "the source is empty"),
        (b"int\n\xe9t\xe9;", "byte 5 of the file (0xe9) is not UTF-8"),
        (b"\x7fELF\x02\x01\x00", "byte 7 of the file is NUL: this is binary data"),
        ("\ufeffint".encode("utf-16-le"), "is UTF-16 text"),
        (b"x" * 10_000_000, "is 10,000,000 bytes long; the longest source accepted is 1,000,000 bytes"),
    ],
)
def test_rejects_invalid_source(tmp_path: Path, content: bytes, words: str) -> None:
    path = write(tmp_path, content, "f.c")
    with pytest.raises(DataError) as caught:
        read_source(path)
    assert words in caught.value.problem
    assert caught.value.where == str(path)
    assert caught.value.remedy


def test_rejects_too_long_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x" * 1_000_001)))
    with pytest.raises(DataError, match="standard input: is too long"):
        read_source("-")


def test_rejects_a_missing_source_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_source(tmp_path / "absent.c")
    with pytest.raises(DataError, match="is a folder"):
        read_source(tmp_path)
