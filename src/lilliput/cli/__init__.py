"""The command line: a thin face over the functions that ``import lilliput`` offers."""

from __future__ import annotations

import sys

from lilliput.errors import UserError


def main() -> None:
    """Entry point of the ``lilliput`` command.

    A :class:`UserError` is printed without a traceback and ends with exit code 2; an interrupt with 130.
    """
    from lilliput.cli.app import app

    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped.", file=sys.stderr)
        sys.exit(130)
