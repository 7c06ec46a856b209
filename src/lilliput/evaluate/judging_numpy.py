"""The parts of numpy that the tests of HumanEval+ and MBPP+ use, in pure Python: the sandbox has no numpy.

The package does not import this file: :mod:`lilliput.evaluate.judging` makes its text the sandbox's module ``numpy``.
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from typing import Any


class ndarray:  # noqa: N801
    """No value is one."""


class float64(float):  # noqa: N801
    """No value is one."""


class float32(float):  # noqa: N801
    """No value is one."""


def allclose(found: Any, expected: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Like numpy's, for numbers and nested lists of them; a number is broadcast.

    Raises:
        TypeError: an item is not a number.
        ValueError: the shapes cannot be broadcast together.
    """
    several = [isinstance(item, (list, tuple)) for item in (found, expected)]
    if all(several):
        if len(found) != len(expected) and 1 not in (len(found), len(expected)):
            raise ValueError(f"lengths {len(found)} and {len(expected)} do not go together")
        longest = 0 if not found or not expected else max(len(found), len(expected))
        pairs = zip(_stretched(found, longest), _stretched(expected, longest), strict=True)
        return all(allclose(one, other, rtol, atol, equal_nan) for one, other in pairs)
    if several[0]:
        return all(allclose(item, expected, rtol, atol, equal_nan) for item in found)
    if several[1]:
        return all(allclose(found, item, rtol, atol, equal_nan) for item in expected)
    for item in (found, expected):
        if not isinstance(item, (int, float, complex)):
            raise TypeError(f"{type(item).__name__} is no number")
    if found == expected:
        return True
    nans = [cmath.isnan(item) for item in (found, expected)]
    if any(nans):
        return equal_nan and all(nans)
    difference = abs(found - expected)
    return bool(difference != float("inf") and difference <= atol + rtol * abs(expected))


def _stretched(items: Sequence[Any], length: int) -> list[Any]:
    return list(items) * length if len(items) == 1 else list(items)[:length]


def assert_allclose(actual: Any, desired: Any, rtol: float = 1e-07, atol: float = 0, equal_nan: bool = True) -> None:
    """Like numpy's.

    Raises:
        AssertionError: the values are not close.
    """
    try:
        close = allclose(actual, desired, rtol, atol, equal_nan)
    except ValueError as error:
        raise AssertionError(f"Not equal to tolerance: {error}") from None
    assert close, f"Not equal to tolerance rtol={rtol}, atol={atol}"
