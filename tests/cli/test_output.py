"""Output on terminals of different widths."""

import os

import pytest

from lilliput.cli.output import print_facts, print_table, print_text

HEADER = ["what", "first model", "second model"]
ROWS = [["bytes", "1,000", "2,000"], ["noise", "", "none"], ["speed", "5 ms", "too noisy"]]


@pytest.fixture
def terminal(monkeypatch, capsys):
    """``terminal(columns, show, *what)``: the lines shown on a terminal of that width."""

    def shown(columns, show, *what):
        monkeypatch.setenv("COLUMNS", str(columns))
        show(*what)
        return capsys.readouterr().out.splitlines()

    return shown


def test_table_that_fits_is_unbroken(terminal):
    assert terminal(33, print_table, HEADER, ROWS) == [
        "what   first model  second model",
        "-----  -----------  ------------",
        "bytes        1,000         2,000",
        "noise                       none",
        "speed         5 ms     too noisy",
    ]


def test_too_wide_table_is_split_without_empty_rows(terminal):
    rows = [*ROWS, ["rounds", "6", ""]]
    assert terminal(31, print_table, HEADER, rows) == [
        "what    first model",
        "------  -----------",
        "bytes         1,000",
        "noise",
        "speed          5 ms",
        "rounds            6",
        "",
        "what    second model",
        "------  ------------",
        "bytes          2,000",
        "noise           none",
        "speed      too noisy",
    ]


def test_column_wider_than_the_terminal_is_still_shown(terminal):
    assert terminal(5, print_table, HEADER[:2], ROWS[:1])[-1] == "bytes        1,000"


def test_long_facts_are_wrapped_with_a_hanging_indent(terminal):
    words = " ".join(["word"] * 12)
    lines = terminal(40, print_facts, {"energy": words, "a digest": "0" * 64})
    assert lines[:2] == ["energy    word word word word word word", " " * 10 + "word word word word word word"]
    assert lines[2] == "a digest  " + "0" * 64  # unbroken, so that it can be copied


def test_paragraphs_break_between_words(terminal):
    assert terminal(12, print_text, "some words of a note") == ["some words", "of a note"]


def test_output_to_a_pipe_is_not_wrapped(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "w") as pipe:
        monkeypatch.setattr("sys.__stdout__", pipe)
        print_facts({"energy": "word " * 100})
        print_text("word " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_wide_characters_take_two_columns(terminal):
    rows = [["模型", "1", "十"], ["e\u0301tude", "22", "x"]]  # an accent of its own takes none
    assert terminal(80, print_table, ["what", "first", "二"], rows) == [
        "what   first  二",
        "-----  -----  --",
        "模型       1  十",
        "e\u0301tude     22   x",
    ]
    assert terminal(12, print_table, ["模型", "一二", "三"], [["a", "b", "c"]])[0] == "模型  一二"
    assert terminal(80, print_facts, {"模型": "a", "bytes": "b"}) == ["模型   a", "bytes  b"]
    assert terminal(10, print_text, "模型 模型 模型") == ["模型 模型", "模型"]
