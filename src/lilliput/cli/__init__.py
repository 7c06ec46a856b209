"""The command line: a thin face over the functions that ``import lilliput`` offers."""

from __future__ import annotations

import sys

from lilliput.errors import UserError

RESUMABLE = ("demo", "finetune", "shrink", "quantize", "study")
"""Verbs that go on where they stopped."""

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
    tail = "; the same command goes on where it stopped" if verb in RESUMABLE else ""
    print(f"interrupted{tail}", file=sys.stderr)
