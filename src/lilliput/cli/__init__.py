"""The command line: a thin layer over the functions of :mod:`lilliput.api`."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Sequence

from lilliput.cli.interrupts import not_lost
from lilliput.errors import UserError

RESUMABLE = ("demo", "finetune", "shrink", "quantize", "study")
"""Verbs that resume after an interruption."""

RESUMABLE_WITH_OUT = ("evaluate", "robustness", "score")
"""Verbs that resume only with ``--out``: what is finished is kept beside it."""

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus the signal number."""


def main() -> None:
    """Entry point of the ``lilliput`` command.

    A :class:`UserError`, an error of the operating system and a lack of memory are printed without a traceback and
    exit with code 2; an interrupt exits with 130.
    """
    try:
        _refuse_other_than_text(sys.argv[1:])
        with not_lost():
            from lilliput.cli.app import app

            app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a path to read or write that is forbidden or invalid
        if error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"error: {place}{error.strerror[:1].lower()}{error.strerror[1:]}.", file=sys.stderr)
        sys.exit(UserError.exit_code)
    except MemoryError:
        print("error: not enough memory. Close other programs, or process less at a time.", file=sys.stderr)
        sys.exit(UserError.exit_code)
    except KeyboardInterrupt:  # while importing the verbs
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except (ImportError, RuntimeError) as error:
        # Raised by a C extension while loading, or by a class while it is created.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:  # typer exits silently when a verb is interrupted
            _say_interrupted()
        raise


def _refuse_other_than_text(words: Sequence[str]) -> None:
    """Refuse arguments that are not UTF-8: they go into results and manifests, but a file name may hold any bytes.

    Raises:
        UserError: an argument is not valid UTF-8.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            _refuse_other_than_utf8(word)
            raise UserError(f"the argument {word!r} is not valid UTF-8.", remedy="Rename the file.") from error


def _refuse_other_than_utf8(word: str) -> None:
    """Refuse a word that is valid UTF-8 if Python reads names in another encoding."""
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
    tail = "; run the same command again to resume" if goes_on else ""
    print(f"interrupted{tail}", file=sys.stderr)
    # After an interrupt in code compiled from a string, such as a dataclass's methods, "python -m" ends by the signal
    # itself, whatever the exit code; unless more such code runs.
    exec("")
