"""One turn of a model: a piece of work, its time, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lilliput.errors import UserError
from lilliput.evaluate import energy


def turn(run: Callable[[], Sequence[float]], units: int) -> dict[str, Any]:
    """Do a piece of work of ``units`` units, as :class:`~lilliput.verbs.compare.result.Turn` takes it.

    Args:
        run: the work; returns the seconds of its calls, in which a clock around them sees nothing else.
        units: what it consists of: tokens, functions, examples.
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
    """Python's own standard library, the first files of those held out of calibration: 100,000 characters or more.

    Raises:
        UserError: the standard library is here without its sources.
    """
    from lilliput.data.code_texts import HELD_OUT, code_files

    text = ""
    for file in code_files(HELD_OUT):
        if len(text) >= 100_000:
            return text
        text += file.read_text(encoding="utf-8", errors="replace")
    raise UserError(
        "Python's standard library is here with few of its sources (.py files).",
        remedy="Use a Python installed in the usual way.",
    )
