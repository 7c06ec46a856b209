"""Python subprocesses that do part of this package's work."""

from __future__ import annotations

import sys


def python_module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package in its own Python process.

    Unlike a plain ``python -m``, the process does not import from the current folder, where a user may have a
    ``json.py``, only from ``PYTHONPATH`` and installed packages.
    """
    return [sys.executable, "-P", "-m", name, *arguments]
