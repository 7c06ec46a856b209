"""Progress in a log: time left, and no more lines than asked for."""

import io

import pytest

from lilliput.progress import LogProgress, Progress, TerminalProgress, clock, for_stream


def test_log_shows_how_much_is_left():
    stream = io.StringIO()
    with LogProgress(stream, every=0).track("training", 4) as advance:
        advance(2, "loss 0.5")
        advance(2)
    lines = stream.getvalue().splitlines()
    assert "training: 2/4" in lines[0]
    assert "left  loss 0.5" in lines[0]
    assert "done in" in lines[-1]


@pytest.mark.parametrize(
    ("seconds", "words"), [(5.4, "0:05"), (3599.4, "59:59"), (3599.9, "1:00:00"), (90061, "25:01:01")]
)
def test_clock_shows_hours(seconds, words):
    assert clock(seconds) == words


def test_log_lines_are_rate_limited():
    stream = io.StringIO()
    with LogProgress(stream, every=60).track("training", 100) as advance:
        for _ in range(100):
            advance()
    assert len(stream.getvalue().splitlines()) == 1


def test_note_of_a_long_first_step_is_shown():
    stream = io.StringIO()
    with LogProgress(stream, every=0).track("measuring", 2) as advance:
        advance(0)
        advance(0, "halfway")
    lines = stream.getvalue().splitlines()
    assert lines[:-1] == ["  measuring: 0/2, 0:00 gone  halfway"]


def test_default_is_silent(capsys):
    with Progress().track("x", 1) as advance:
        advance()
    Progress().note("hello")
    assert capsys.readouterr() == ("", "")


def test_terminal_gets_a_bar_and_a_file_gets_lines():
    assert isinstance(for_stream(io.StringIO()), LogProgress)
    stream = io.StringIO()
    progress = TerminalProgress(stream)
    progress.note("[odd] text")
    with progress.track("training odd[int8]", 2) as advance:
        advance(2, "done [/x]")
    assert "[odd] text" in stream.getvalue()
    assert "training odd[int8]" in stream.getvalue()
    assert "done [/x]" in stream.getvalue()
    assert "2/2" in stream.getvalue()
