"""One turn of a model: a piece of work, its time and its energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lilliput.errors import UserError
from lilliput.evaluate import energy


def turn(run: Callable[[], Sequence[float]], units: int) -> dict[str, Any]:
    """Run ``units`` units of work and return the fields of a :class:`~lilliput.verbs.compare.result.Turn`.

    Args:
        run: does the work and returns the seconds of its calls, each timed alone.
        units: number of tokens, functions or examples.
    """
    times: list[float] = []
    spent = energy.measure(lambda: times.extend(run()))
    return {
        "units": units,
        "times": times,
        "cpu_seconds": spent.cpu_seconds,
        "joules": spent.joules,
        "kind": spent.kind,
        "method": spent.method,
    }


def code_text() -> str:
    """Source code of Python's standard library, from files held out of calibration: 100,000 characters or more.

    Raises:
        UserError: the standard library is installed without its sources.
    """
    from lilliput.data.code_texts import HELD_OUT, code_files

    text = ""
    for file in code_files(HELD_OUT):
        if len(text) >= 100_000:
            return text
        text += file.read_text(encoding="utf-8", errors="replace")
    raise UserError(
        "Python's standard library is installed with few of its sources (.py files).",
        remedy="Use a Python installed in the usual way.",
    )
