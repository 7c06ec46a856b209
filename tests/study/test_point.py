"""Points: round trips, equality of equivalent choices, and validation of files."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.formats.weights import FORMATS, ROUNDINGS
from lilliput.quantize.activations import MODES, Activations
from lilliput.quantize.observe import OBSERVERS
from lilliput.quantize.policy import policy
from lilliput.study.grid import read_grid
from lilliput.study.grids import NAMED
from lilliput.study.point import KINDS, Point, point, point_of_dict
from lilliput.verbs.quantize import QuantizeSettings

AXES = {
    "weights": st.sampled_from(list(FORMATS)),
    "group": st.none() | st.sampled_from([-1, 0, 16, 32, 100, 128]),
    "symmetric": st.none() | st.booleans(),
    "rounding": st.sampled_from(ROUNDINGS),
    "embedding": st.none() | st.sampled_from(list(FORMATS)),
    "head": st.none() | st.sampled_from(list(FORMATS)),
    "activations": st.none() | st.sampled_from(MODES),
    "activation_group": st.none() | st.sampled_from([16, 32, 128]),
    "activation_calibration": st.none() | st.sampled_from(list(OBSERVERS)),
    "calibration_pieces": st.none() | st.integers(1, 200),
    "calibration_tokens": st.none() | st.integers(16, 2048),
    "seed": st.none() | st.integers(0, 5),
}


@st.composite
def made(draw):
    """Choices that go together, and the resulting point."""
    for _ in range(20):
        chosen = {name: draw(values) for name, values in AXES.items()}
        try:
            return chosen, point(**chosen)
        except UserError:
            continue
    return {}, point()


@settings(deadline=None)
@given(made())
def test_point_survives_a_round_trip(pair):
    _, found = pair
    values = json.loads(json.dumps(found.as_dict()))
    assert values.keys() == KINDS.keys()
    assert point_of_dict(values, "a file") == found == Point(**values)


@pytest.mark.parametrize(
    ("weights", "mode"), [("fp32", "none"), ("fp16", "none"), ("int8", "dynamic"), ("nf4", "dynamic")]
)
def test_inputs_of_floating_point_weights_are_rounded_only_if_asked(weights, mode):
    assert point(weights).activations == QuantizeSettings(policy(weights)).inputs.mode == mode
    asked = QuantizeSettings(policy(weights), Activations("token"))
    assert point(weights, activations="token").activations == asked.inputs.mode == "token"


@settings(deadline=None)
@given(made())
def test_point_matches_the_choices(pair):
    chosen, found = pair
    names = ("weights", "symmetric", "group", "rounding", "embedding", "head")
    asked = {name: chosen[name] for name in names if chosen.get(name) is not None}
    if FORMATS[found.weights].floating:  # neither group nor symmetry applies
        asked = {name: value for name, value in asked.items() if name not in ("group", "symmetric")}
    assert found.policy == policy(**asked)
    mode = chosen.get("activations") or ("none" if FORMATS[found.weights].floating else "dynamic")
    assert found.activation.mode == mode
    if found.activations == "dynamic" and chosen.get("activation_group"):
        assert found.activation.group == chosen["activation_group"]
    if found.calibrated and chosen.get("calibration_pieces"):
        assert found.calibration.pieces == chosen["calibration_pieces"]


@settings(deadline=None)
@given(made(), made())
def test_labels_distinguish_points(one, other):
    assert (one[1].label == other[1].label) == (one[1] == other[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"group": 0, "symmetric": True, "head": "int8", "activation_group": 128}),
        ({"activations": "none"}, {"activations": "none", "activation_group": 32}),
        ({"calibration_pieces": 8}, {"seed": 3, "activation_calibration": "minmax"}),
        ({"weights": "fp32"}, {"weights": "fp32", "group": 64, "symmetric": False}),
    ],
)
def test_choices_without_effect_give_equal_points(one, other):
    assert point(**one) == point(**other)


def test_calibration_distinguishes_points_that_use_it():
    assert point(rounding="gptq", calibration_pieces=8) != point(rounding="gptq")
    assert point(activations="static", seed=1) != point(activations="static")


WRONG = {
    "unknown key": ({"bits": 4}, "no field 'bits'"),
    "text for a number": ({"group": "128"}, "'group' must be a whole number; it is '128'"),
    "a number for text": ({"weights": 4}, "'weights' must be a word; it is 4"),
    "a truth for a number": ({"seed": True}, "'seed' must be a whole number; it is true"),
    "null": ({"head": None}, "'head' must be a word; it is null"),
    "a fraction": ({"calibration_pieces": 2.5}, "'calibration_pieces' must be a whole number"),
    "unknown format": ({"weights": "int5"}, "'weights': unknown value 'int5'"),
    "unknown head": ({"head": "int5"}, "'head': unknown value 'int5'"),
    "unknown observer": ({"activation_calibration": "max"}, "'activation_calibration': unknown value 'max'"),
    "no group": ({"group": 3}, "'group': 3 is not a group size"),
    "a group that never ends": ({"group": 10**30}, "'group' is beyond 1,000,000"),
    "no seed": ({"seed": -1}, "'seed': -1 is not a seed"),
    "no pieces": ({"calibration_pieces": 0}, "'calibration_pieces': 0 are too few"),
    "does not go together": ({"rounding": "hqq"}, "'rounding': hqq moves zero points"),
    "no zero points": ({"weights": "nf4", "symmetric": False}, "'symmetric': codes of nf4 have no zero points"),
    "not rounded": ({"weights": "fp16", "rounding": "gptq"}, "'rounding': fp16 is not rounded"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_field_is_named_with_its_file(name):
    values, words = WRONG[name]
    with pytest.raises(UserError) as caught:
        point_of_dict(values, "strange.json")
    assert str(caught.value).startswith("strange.json")
    assert words in str(caught.value)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*KINDS, "bits", ""]), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_values_give_a_point_or_an_error(values):
    try:
        found = point_of_dict(values, "strange.json")
    except UserError as error:
        assert "strange.json" in str(error)
    else:
        assert values.items() <= found.as_dict().items() or not found.calibrated


@pytest.mark.parametrize("name", NAMED)
def test_shipped_grids_have_the_original_and_no_duplicates(name):
    grid = read_grid(name)
    assert grid.points[0] == point("fp32", activations="none")
    assert len({one.label for one in grid.points}) == len(grid.points)
    assert all(item.reason == "hqq moves zero points" for item in grid.left_out)


def test_quick_grid_is_quick():
    assert len(read_grid("quick").points) == 8
