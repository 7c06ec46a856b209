"""The command line: a thin face over the functions of :mod:`lilliput.api`."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Sequence

from lilliput.cli.interrupts import not_lost
from lilliput.errors import UserError

RESUMABLE = ("demo", "finetune", "shrink", "quantize", "study")
"""Verbs that go on where they stopped."""

RESUMABLE_WITH_OUT = ("evaluate", "robustness", "score")
"""Verbs that do where they are told where to write, and so have a place for what they found."""

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal."""


def main() -> None:
    """Entry point of the ``lilliput`` command.

    A :class:`UserError`, what the operating system refuses, and a lack of memory are printed without a traceback, and
    end with exit code 2; an interrupt with 130.
    """
    try:
        _refuse_other_than_text(sys.argv[1:])
        with not_lost():
            from lilliput.cli.app import app

            app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a path that may not be looked at, or that is none: what was to be read or written
        if error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"error: {place}{error.strerror[:1].lower()}{error.strerror[1:]}.", file=sys.stderr)
        sys.exit(UserError.exit_code)
    except MemoryError:
        print("error: there is not enough memory. Close programs, or ask for less at a time.", file=sys.stderr)
        sys.exit(UserError.exit_code)
    except KeyboardInterrupt:  # while the verbs are imported
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except (ImportError, RuntimeError) as error:  # what a library in C, while it is loaded, or a class in the making
        if not isinstance(error.__cause__, KeyboardInterrupt):  # makes of it
            raise
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:  # how typer ends, without a word, when a verb is interrupted
            _say_interrupted()
        raise


def _refuse_other_than_text(words: Sequence[str]) -> None:
    """Arguments go into results and manifests, which are UTF-8; a file's name may hold any bytes.

    Raises:
        UserError: one is no text.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            _refuse_other_than_utf8(word)
            raise UserError(f"the argument {word!r} is no text in UTF-8.", remedy="Rename the file.") from error


def _refuse_other_than_utf8(word: str) -> None:
    """Refuse a word that is text in UTF-8, where Python takes names for something else."""
    encoding = sys.getfilesystemencoding()
    with contextlib.suppress(UnicodeDecodeError):
        text = os.fsencode(word).decode("utf-8")
        if codecs.lookup(encoding).name != "utf-8":
            raise UserError(
                f"the argument {text!r} cannot be used: Python reads names as {encoding} here.",
                remedy="Set PYTHONUTF8=1, or choose a locale of UTF-8.",
            )


def _say_interrupted() -> None:
    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    has_place = any(word.split("=", maxsplit=1)[0] == "--out" for word in sys.argv)
    goes_on = verb in RESUMABLE or (verb in RESUMABLE_WITH_OUT and has_place)
    tail = "; the same command goes on where it stopped" if goes_on else ""
    print(f"interrupted{tail}", file=sys.stderr)
    # After an interrupt in code that is made of text, as a data class's, "python -m" ends by the signal itself,
    # whatever the exit code is; unless more such code runs.
    exec("")
