"""Errors and interrupts that end the command line."""

import errno
import sys

import pytest

from lilliput import cli
from lilliput.cli import app
from lilliput.errors import UserError


def of(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (UserError("is empty.", where="a.csv", remedy="Fill it."), 2, "error: a.csv: is empty. Fill it.\n"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), 2, "error: x: file name too long.\n"),
        (MemoryError(), 2, "error: not enough memory. Close other programs, or process less at a time.\n"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to resume\n"),
        (
            of(RuntimeError("Error calling __set_name__"), KeyboardInterrupt()),  # of a class, before Python 3.12
            130,
            "interrupted; run the same command again to resume\n",
        ),
        (
            of(ImportError("initialization failed"), KeyboardInterrupt()),  # as raised by a C library
            130,
            "interrupted; run the same command again to resume\n",
        ),
    ],
)
def test_errors_are_reported_without_a_traceback(raised, code, message, monkeypatch, capsys):
    def end():
        raise raised

    monkeypatch.setattr(app, "app", end)
    monkeypatch.setattr(sys, "argv", ["lilliput", "shrink"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().err) == (code, message)
