"""Parsing and showing sizes and times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.units import parse_bytes, parse_milliseconds, show_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [("3MB", 3_000_000), ("500kB", 500_000), ("2.5MiB", 2_621_440), ("42", 42), (" 1 gb ", 10**9)],
)
def test_parses_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize(("text", "time"), [("5ms", 5.0), ("0.01s", 10.0), ("300us", 0.3)])
def test_parses_times(text, time):
    assert parse_milliseconds(text) == pytest.approx(time)


@given(st.text(max_size=8))
def test_anything_else_is_a_user_error(text):
    try:
        assert parse_bytes(text) >= 0
    except UserError as error:
        assert "--size" in str(error)


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "MB", "9" * 305 + "GB"])
def test_overflowing_sizes_are_rejected(text):
    with pytest.raises(UserError, match="is not a size such as 3MB"):
        parse_bytes(text)
    with pytest.raises(UserError, match="is not a time such as 5ms"):
        parse_milliseconds("9" * 308 + "s")


def test_shows_sizes_and_times():
    assert show_bytes(3_118_793) == "3.12 MB"
    assert show_bytes(999) == "999 B"
