"""Compare a function with its reference, as HumanEval+ and MBPP+ do; needs only the standard library.

Not imported by the package: :mod:`lilliput.data.plus` puts this file's text before the tests that run in the sandbox.

Rules (of ``evalplus/eval/__init__.py``, ``_special_oracle.py`` and ``data/mbpp.py``): outputs are equal; or, if the
expected one is a float or a list or tuple of them, or the problem has a tolerance, of the same type and length, and
close (relative 1e-7, absolute the tolerance, 1e-6 if that is 0). Some tasks have rules of their own, below.
"""

from __future__ import annotations

import cmath
import copy
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

RELATIVE, ABSOLUTE = 1e-7, 1e-6

AS_SETS = (
    "similar_elements",
    "find_char_long",
    "common_in_nested_lists",
    "extract_singly",
    "larg_nnum",
    "intersection_array",
    "find_dissimilar",
    "Diff",
)
"""MBPP functions whose results may be in any order."""

SOMETHING_OR_NOT = ("check_str", "text_match_three", "text_starta_endb")
"""MBPP functions that return a match or nothing: only which of the two counts."""


def deep_tuples(value: Any) -> Any:
    """Lists as tuples, at every level."""
    return tuple(map(deep_tuples, value)) if isinstance(value, list) else value


def rows(argument: list[Any]) -> list[Any]:
    """The lists inside a list as tuples."""
    return [tuple(row) for row in argument]


CONVERSIONS: Mapping[tuple[int, ...], Callable[[list[Any]], list[Any]]] = {
    (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809): (
        lambda given: [tuple(argument) for argument in given]
    ),
    (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780): (
        lambda given: [rows(argument) for argument in given]
    ),
    (75, 413, 444, 753): lambda given: [rows(given[0]), *given[1:2]],
    (106, 750): lambda given: [given[0], tuple(given[1])],
    (115,): lambda given: [[set(item) if isinstance(item, list) and item else {} for item in given[0]]],
    (124,): lambda given: [float(given[0]), complex(given[1])],
    (250, 307, 405, 446, 617, 720, 763, 808): lambda given: [tuple(given[0]), *given[1:]],
    (252,): lambda given: [complex(given[0])],
    (259, 401, 445): lambda given: [tuple(rows(argument)) for argument in given],
    (278,): lambda given: [tuple(tuple(item) if isinstance(item, list) else item for item in given[0])],
    (580, 615, 791): lambda given: [deep_tuples(argument) for argument in given],
    (722,): lambda given: [{name: tuple(row) for name, row in given[0].items()}, *given[1:]],
}
"""Numbers of MBPP tasks -> conversion of arguments from JSON to the types that the functions take."""


def converted(benchmark: str, task_id: str, given: list[Any]) -> list[Any]:
    """The arguments of one call."""
    number = task_id.rpartition("/")[2]
    for tasks, convert in CONVERSIONS.items():
        if benchmark == "mbpp" and number.isdecimal() and int(number) in tasks:
            return convert(given)
    return given


def pyramid_surface(base: float, height: float) -> int:
    """With the height taken as the distance from base to apex."""
    return round(base**2 + 2 * base * math.sqrt((base / 2) ** 2 + height**2))


def digit_distance(one: int, other: int) -> int:
    """With the shorter number padded with zeros."""
    width = max(len(str(one)), len(str(other)))
    return sum(abs(int(a) - int(b)) for a, b in zip(str(one).zfill(width), str(other).zfill(width), strict=True))


OTHER_ANSWERS: Mapping[str, Callable[[list[Any], Any, float], bool]] = {
    "are_equivalent": lambda given, found, tolerance: True,
    "sum_div": lambda given, found, tolerance: found == 0,
    "surface_Area": lambda given, found, tolerance: abs(found - pyramid_surface(*given)) <= tolerance,
    "digit_distance_nums": lambda given, found, tolerance: found == digit_distance(*given),
}
"""MBPP functions with ambiguous tasks -> whether an answer is another right one."""


def matches(benchmark: str, name: str, given: list[Any], found: Any, expected: Any, tolerance: float) -> bool:
    """Whether ``found`` is as good as ``expected``."""
    if benchmark == "humaneval" and name == "find_zero":
        return bool(abs(sum(factor * math.pow(found, power) for power, factor in enumerate(given[0]))) <= tolerance)
    equal = found == expected
    if benchmark == "mbpp":
        if name in OTHER_ANSWERS:
            equal = equal or OTHER_ANSWERS[name](given, found, tolerance)
        elif name in AS_SETS:
            equal = set(found) == set(expected)
        elif name in SOMETHING_OR_NOT:
            equal = (found if isinstance(found, bool) else found is not None) == (expected is not None)
    return bool(equal) or is_close(found, expected, tolerance)


def is_close(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether both are numbers, or lists of numbers, of the same type and nearly equal."""
    several = isinstance(expected, (list, tuple))
    floats = all(isinstance(item, float) for item in expected) if several else isinstance(expected, float)
    if not tolerance and not floats:
        return False
    if type(found) is not type(expected) or (several and len(found) != len(expected)):
        return False
    tolerance = tolerance or ABSOLUTE
    return near(found, expected, tolerance)


def near(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether numbers, or lists of them at any depth, are nearly equal; a non-number is not near anything."""
    if isinstance(expected, (list, tuple)):
        if not isinstance(found, (list, tuple)) or len(found) != len(expected):
            return False
        return all(near(one, other, tolerance) for one, other in zip(found, expected, strict=True))
    if not isinstance(found, (int, float, complex)) or not isinstance(expected, (int, float, complex)):
        return False
    if found == expected or (cmath.isnan(found) and cmath.isnan(expected)):  # as numpy's assert_allclose has it
        return True
    return cmath.isfinite(expected) and abs(found - expected) <= tolerance + RELATIVE * abs(expected)


def compare_all(
    candidate: Callable[..., Any],
    benchmark: str,
    task_id: str,
    name: str,
    reference: str,
    given: str,
    tolerance: float,
) -> None:
    """Compare both functions on all inputs.

    Raises:
        AssertionError: their outputs differ.
    """
    names: dict[str, Any] = {"__name__": "reference"}
    exec(compile(reference, "<reference>", "exec", dont_inherit=True), names)
    for values in json.loads(given):
        arguments = converted(benchmark, task_id, values)
        expected = names[name](*copy.deepcopy(arguments))
        found = candidate(*copy.deepcopy(arguments))
        assert matches(benchmark, name, arguments, found, expected, tolerance), shown(name, arguments, found, expected)


def shown(name: str, arguments: list[Any], found: Any, expected: Any) -> str:
    """One line that says what was wrong."""
    parts = [repr(item)[:60] for item in (arguments, found, expected)]
    return f"{name}(*{parts[0]}) is {parts[1]}, not {parts[2]}"
