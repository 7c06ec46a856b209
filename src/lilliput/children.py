"""Python processes that this package starts to do a part of its work."""

from __future__ import annotations

import sys


def python_module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package in a Python process of its own.

    Modules are looked for where Python has them installed and in ``PYTHONPATH``, and not in the current folder, as
    Python otherwise would: a user's ``json.py`` there is no part of this package.
    """
    return [sys.executable, "-P", "-m", name, *arguments]
