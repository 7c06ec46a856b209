"""Human-readable sizes and times: ``3MB``, ``500kB``, ``5ms``."""

from __future__ import annotations

import math
import re

from lilliput.errors import UserError

BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
"""Unit, lower case -> bytes."""

MILLISECONDS = {"": 1.0, "ms": 1.0, "us": 1e-3, "s": 1e3}
"""Unit -> milliseconds."""


def parse_bytes(text: str, where: str = "--size") -> int:
    """``3MB`` -> 3000000.

    Raises:
        UserError: not a positive, finite number with a known unit.
    """
    return round(_parse(text, BYTES, where, "a size such as 3MB, 500kB or 2.5MiB"))


def parse_milliseconds(text: str, where: str = "--latency") -> float:
    """``5ms`` -> 5.0.

    Raises:
        UserError: not a positive, finite number with a known unit.
    """
    return _parse(text, MILLISECONDS, where, "a time such as 5ms or 0.01s")


def show_bytes(count: float) -> str:
    """``3118793`` -> ``3.12 MB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count:.0f} B"


def _parse(text: str, units: dict[str, int] | dict[str, float], where: str, wanted: str) -> float:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*", text)
    unit = match[2].lower() if match else ""
    value = float(match[1]) * units[unit] if match and unit in units else 0.0
    if not 0 < value < math.inf:
        raise UserError(f"'{text}' is not {wanted}.", where=where, remedy="Write a number and a unit.")
    return value
