"""Examples: what counts as code, and how duplicates are merged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lilliput.data.examples import MAX_FUNCTION_BYTES, ExampleBuilder, check_code, require_paths
from lilliput.data.lines import Place
from lilliput.errors import DataError

HERE = Place(Path("file.jsonl"), 3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "the code is not a string but null"),
        (7, "the code is not a string but 7"),
        (["f"], "the code is not a string but a value of type list"),
        (b"f", "the code is not a string but a value of type bytes"),
        ("", "the code is empty"),
        (" \n\t", "the code is empty"),
        ("ab\0", "holds a NUL character (character 3)"),
        ("a\ud800", "holds a lone surrogate (character 2)"),
        ("x" * (MAX_FUNCTION_BYTES + 1), "is 1,000,001 bytes long; the longest function accepted is 1,000,000 bytes"),
        ("x" * 10_000_000, "is 10,000,000 bytes long"),
        ("\u00e9" * 500_001, "is 1,000,002 bytes long"),
    ],
)
def test_rejects_invalid_code(value: object, words: str) -> None:
    with pytest.raises(DataError) as caught:
        check_code(value, HERE)
    assert words in caught.value.problem
    assert (caught.value.where, caught.value.line) == ("file.jsonl", 3)
    assert caught.value.remedy


@pytest.mark.parametrize("value", ["x", " int f();\r\n", "\u00e9" * 500_000, "\U0001f600"])
def test_code_is_accepted_unchanged(value: str) -> None:
    assert check_code(value, HERE) == value


def test_functions_with_equal_text_are_merged(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"bytes")
    builder = ExampleBuilder(2, ("different", "clone"), labelled=True)
    for codes, label in ((("b", "a"), 1), (("a", "a"), 0), (("c", "b "), 1)):
        builder.add(codes, label, HERE)
    dataset = builder.dataset([path])
    assert dataset.texts == ("b", "a", "c", "b ")
    assert dataset.members.tolist() == [[0, 1], [1, 1], [2, 3]]
    assert dataset.labels.tolist() == [1, 0, 1]
    assert (dataset.members.dtype, dataset.labels.dtype) == ("int64", "int64")
    assert dataset.sources == ("data.csv",)
    assert dataset.sha256 == hashlib.sha256(b"bytes").hexdigest()


def test_unlabelled_reading_ignores_even_wrong_labels() -> None:
    builder = ExampleBuilder(1, ("safe", "vulnerable"), labelled=False)
    builder.add(("f",), object(), HERE)
    dataset = builder.dataset([])
    assert dataset.labels.tolist() == [-1]
    assert dataset.label_names == ("safe", "vulnerable")


def test_rejects_no_paths() -> None:
    with pytest.raises(DataError, match=r"no data file was given\. Give at least one path"):
        require_paths([])
