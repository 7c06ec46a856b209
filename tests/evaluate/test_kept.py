"""Rows kept in a file: a killed run's come back, another run's do not."""

import pytest

from lilliput.errors import UserError
from lilliput.evaluate.kept import KeptRows

KEY = {"artifact": "abc", "settings": {"seed": 0}}


@pytest.fixture
def path(tmp_path):
    kept = KeptRows(tmp_path / "rows.jsonl", KEY)
    kept.add("one", {"text": "a\nb", "n": 1})
    kept.add("two", {"text": "é", "n": 2})
    return tmp_path / "rows.jsonl"


def test_rows_come_back(path):
    assert KeptRows(path, KEY).rows == {"one": {"text": "a\nb", "n": 1}, "two": {"text": "é", "n": 2}}


@pytest.mark.parametrize("cut", range(1, 25))
def test_half_a_row_is_dropped_and_the_next_begins_a_line(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])
    kept = KeptRows(path, KEY)
    assert list(kept.rows) == ["one"]
    kept.add("three", {"n": 3})
    assert list(KeptRows(path, KEY).rows) == ["one", "three"]


def test_rows_of_another_run_are_dropped(path):
    assert KeptRows(path, {**KEY, "settings": {"seed": 1}}).rows == {}
    assert KeptRows(path, KEY).rows == {}


def test_without_a_file_they_are_in_memory(tmp_path):
    kept = KeptRows(None, KEY)
    kept.add("one", {"n": 1})
    assert kept.rows == {"one": {"n": 1}}
    assert not list(tmp_path.iterdir())


def test_a_file_of_anything_else_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(UserError, match=r"notes\.txt: is a file of another kind"):
        KeptRows(path, KEY)
    assert path.read_text() == "mine\n"


def test_a_damaged_line_is_named(path):
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"{", *lines[2:]]))
    with pytest.raises(UserError, match=r"rows\.jsonl, line 2: is damaged"):
        KeptRows(path, KEY)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        KeptRows(tmp_path / "file" / "rows.jsonl", KEY)
