"""HumanEval+ and MBPP+: arguments converted from JSON, and outputs compared; numpy is the reference for closeness."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data import plus_checks
from lilliput.data.plus_checks import converted, is_close, matches
from lilliput.evaluate import judging_numpy


@pytest.mark.parametrize(
    ("number", "given_", "expected"),
    [
        (2, [[1, 2], [3]], [(1, 2), (3,)]),
        (63, [[[1, 2], [3]]], [[(1, 2), (3,)]]),
        (75, [[[1, 2]], 3], [[(1, 2)], 3]),
        (106, [[1], [2]], [[1], (2,)]),
        (115, [[[1, 1], [], 5]], [[{1}, {}, {}]]),
        (124, ["1.5", "1j"], [1.5, 1j]),
        (252, ["1+2j"], [1 + 2j]),
        (259, [[[1], [2]], [[3]]], [((1,), (2,)), ((3,),)]),
        (278, [[1, [2, 3]]], [(1, (2, 3))]),
        (307, [[1, [2]], 3, 4], [(1, [2]), 3, 4]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
        (722, [{"a": [1]}, 2], [{"a": (1,)}, 2]),
        (3, [[1]], [[1]]),
    ],
)
def test_mbpp_arguments_are_converted(number, given_, expected):
    assert converted("mbpp", f"Mbpp/{number}", given_) == expected
    assert list(map(type, converted("mbpp", str(number), given_))) == list(map(type, expected))
    assert converted("humaneval", f"HumanEval/{number}", given_) == given_


@pytest.mark.parametrize(
    ("benchmark", "name", "arguments", "found", "expected", "tolerance", "right"),
    [
        ("humaneval", "f", [], 1, 1, 0, True),
        ("humaneval", "f", [], 1, 2, 0, False),
        ("humaneval", "f", [], 1.0 + 1e-8, 1.0, 0, True),
        ("humaneval", "f", [], 1.001, 1.0, 0, False),
        ("humaneval", "f", [], 1.001, 1.0, 0.01, True),
        ("humaneval", "f", [], [1.0, 2.0 + 1e-9], [1.0, 2.0], 0, True),
        ("humaneval", "f", [], (1.0, 2.0 + 1e-9), [1.0, 2.0], 0, False),
        ("humaneval", "f", [], [1.0], [1.0, 2.0], 0, False),
        ("humaneval", "f", [], None, 1.0, 0, False),
        ("humaneval", "f", [], "a", ["a"], 1e-6, False),
        ("humaneval", "f", [], math.nan, math.nan, 0, True),
        ("humaneval", "f", [], 1.0, math.nan, 0, False),
        ("humaneval", "f", [], [math.nan, math.inf], [math.nan, math.inf], 0, True),
        ("humaneval", "f", [], math.inf, -math.inf, 0, False),
        ("humaneval", "f", [], 1.0, math.inf, 0, False),
        ("humaneval", "find_zero", [[-6, 11, -6, 1]], 1.00001, 3.0, 1e-4, True),
        ("humaneval", "find_zero", [[-6, 11, -6, 1]], 1.1, 3.0, 1e-4, False),
        ("mbpp", "Diff", [], [2, 1], [1, 2], 0, True),
        ("humaneval", "Diff", [], [2, 1], [1, 2], 0, False),
        ("mbpp", "check_str", [], "match", "other", 0, True),
        ("mbpp", "check_str", [], None, "other", 0, False),
        ("mbpp", "check_str", [], True, "other", 0, True),
        ("mbpp", "sum_div", [8], 0, 7, 0, True),
        ("mbpp", "sum_div", [8], 6, 7, 0, False),
        ("mbpp", "digit_distance_nums", [1, 20], 3, 5, 0, True),
        ("mbpp", "surface_Area", [3, 4], 35, 33, 0, True),
    ],
)
def test_outputs_are_compared_as_evalplus_does(benchmark, name, arguments, found, expected, tolerance, right):
    assert matches(benchmark, name, arguments, found, expected, tolerance) is right


FLOATS = st.floats(-1e6, 1e6)
ODD = FLOATS | st.sampled_from([math.inf, -math.inf, math.nan])


@given(st.lists(st.tuples(ODD, ODD | st.none())), st.sampled_from([0, 1e-3, 1.0]))
def test_is_close_matches_numpy(pairs, tolerance):
    expected = [one for one, _ in pairs]
    found = [one if other is None else one + other * 1e-7 for one, other in pairs]
    reference = np.allclose(found, expected, rtol=1e-7, atol=tolerance or 1e-6, equal_nan=True)
    assert is_close(found, expected, tolerance) == reference


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32) | st.integers(-5, 5)


@given(st.lists(NUMBERS), st.lists(NUMBERS) | NUMBERS, st.booleans())
def test_stand_in_matches_numpy(found, expected, equal_nan):
    def outcome(library):
        try:
            return bool(library.allclose(found, expected, 1e-7, 1e-6, equal_nan))
        except ValueError:
            return "shapes"

    assert outcome(judging_numpy) == outcome(np)


def test_stand_in_raises_assertion_errors():
    judging_numpy.assert_allclose([1.0, [math.nan]], [1.0 + 1e-9, [math.nan]])
    for wrong in ([1.0], [1.0, 3.0, 4.0], [2.0, 2.5]):
        with pytest.raises(AssertionError):
            judging_numpy.assert_allclose(wrong, [2.0, 3.0])
    with pytest.raises(TypeError):
        judging_numpy.allclose("a", 1.0)


def test_functions_get_their_own_copy_of_the_arguments():
    reference = "def f(items):\n    items.sort()\n    return items[0]\n"
    plus_checks.compare_all(
        lambda items: items.pop(items.index(min(items))), "humaneval", "x", "f", reference, json.dumps([[[3, 1]]]), 0
    )
    with pytest.raises(AssertionError, match=r"f\(\*\[\[3, 1\]\]\) is 3, not 1"):
        plus_checks.compare_all(lambda items: items[0], "humaneval", "x", "f", reference, json.dumps([[[3, 1]]]), 0)
