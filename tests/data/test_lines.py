"""Lines: gzip detected by content, byte order marks, and errors that name file, line and remedy."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data import lines
from lilliput.data.lines import Place, decode, listed, open_file, read_lines, sha256_of_all, shown
from lilliput.errors import DataError


def write(folder: Path, content: bytes, name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value


def test_plain_and_gzip_read_alike_under_any_name(tmp_path: Path) -> None:
    content = "a\r\nb\u2028c\n\nd".encode()
    expected = [(1, "a\r\n"), (2, "b\u2028c\n"), (3, "\n"), (4, "d")]
    assert list(read_lines(write(tmp_path, content, "plain.gz"))) == expected
    assert list(read_lines(write(tmp_path, gzip.compress(content), "zipped.txt"))) == expected


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert [text for _, text in read_lines(path)] == ["one\n", "two\n"]


def test_byte_order_mark_is_dropped_at_the_start_only(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    assert [text for _, text in read_lines(path)] == ["a\n", "\ufeffb\n"]


def test_rejects_a_missing_file(tmp_path: Path) -> None:
    error = refusal(tmp_path / "absent.jsonl")
    assert "there is no such file" in str(error)


def test_rejects_a_path_below_a_file(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(write(tmp_path, b"x", "file") / "below").problem


def test_rejects_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path).problem


def test_rejects_a_pipe_for_a_file_that_is_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "not a regular file" in refusal(pipe).problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_rejects_a_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path, b"x")
    path.chmod(0)
    assert "permission" in refusal(path).problem


def test_invalid_utf8_names_line_and_byte(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, b"fine\nabc\xff\n"))
    assert error.line == 2
    assert "byte 4 of the line (0xff) is not UTF-8" in error.problem


def test_nul_byte_names_line_and_byte(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, b"fine\nok\nab\0c\n"))
    assert error.line == 3
    assert "byte 3 of the line is NUL" in error.problem


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_named(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "\ufeff{}".encode(encoding))
    assert "UTF-16" in refusal(path).problem


def test_truncated_gzip_names_the_line(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{i} {hashlib.sha256(str(i).encode()).hexdigest()}\n" for i in range(5000)).encode())
    error = refusal(write(tmp_path, whole[: len(whole) // 2]))
    assert "cut short" in error.problem
    assert error.line is not None
    assert 1000 < error.line < 4000


def test_rejects_damaged_gzip(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(b"some text\n" * 100))
    whole[-6] ^= 0xFF  # the checksum
    assert "gzip data is damaged" in refusal(write(tmp_path, bytes(whole))).problem


def test_rejects_an_endless_line_without_reading_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    path = write(tmp_path, b"short\n" + b"x" * 1001)
    error = refusal(path)
    assert error.line == 2
    assert "longer than 1,000 bytes" in error.problem
    write(tmp_path, b"y" * 999 + b"\n")
    assert len(list(read_lines(path))) == 1


def test_sha256_covers_the_bytes_on_disk_in_order(tmp_path: Path) -> None:
    first, second = write(tmp_path, gzip.compress(b"one"), "a"), write(tmp_path, b"two" * 10**6, "b")
    expected = hashlib.sha256(first.read_bytes() + second.read_bytes()).hexdigest()
    assert sha256_of_all([first, second]) == expected
    assert sha256_of_all([second, first]) != expected


def test_open_file_does_not_catch_exceptions_of_the_caller(tmp_path: Path) -> None:
    path = write(tmp_path, b"x")
    with pytest.raises(RuntimeError, match="mine"), open_file(path):
        raise RuntimeError("mine")


@given(st.text(alphabet=st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])))
def test_decode_returns_any_text(text: str) -> None:
    assert decode(text.encode(), Place(Path("f"), 2)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        ("a'b", '"a\'b"'),
        ("\x1b[31m", "'\\x1b[31m'"),
        ("x" * 50, "'" + "x" * 40 + "'..."),
        ([1], "a value of type list"),
    ],
)
def test_shown_values_are_short_and_printable(value: object, text: str) -> None:
    assert shown(value) == text


def test_listed_is_bounded() -> None:
    assert listed([]) == "none"
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed(map(str, range(25))).endswith("'19' and 5 more")
