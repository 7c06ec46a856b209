"""The command line: a thin face over the functions that ``import lilliput`` offers."""

from __future__ import annotations

import sys

from lilliput.errors import UserError

RESUMABLE = ("demo", "finetune", "shrink", "quantize", "study")
"""Verbs that go on where they stopped."""

RESUMABLE_WITH_OUT = ("evaluate", "robustness", "score")
"""Verbs that do where they are told where to write, and so have a place for what they found."""

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal."""


def main() -> None:
    """Entry point of the ``lilliput`` command.

    A :class:`UserError` is printed without a traceback and ends with exit code 2; an interrupt with 130.
    """
    try:
        from lilliput.cli.app import app

        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # while the verbs are imported
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:  # how typer ends, without a word, when a verb is interrupted
            _say_interrupted()
        raise


def _say_interrupted() -> None:
    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    has_place = any(word.split("=", maxsplit=1)[0] == "--out" for word in sys.argv)
    goes_on = verb in RESUMABLE or (verb in RESUMABLE_WITH_OUT and has_place)
    tail = "; the same command goes on where it stopped" if goes_on else ""
    print(f"interrupted{tail}", file=sys.stderr)
