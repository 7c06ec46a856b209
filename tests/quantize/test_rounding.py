"""Rounding to the nearest code, and the values of codes, against their definitions."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.formats.weights import NF4, ROW, TENSOR, Scheme, storable_scales
from lilliput.quantize.rounding import encoded, nearest, ranges

INTEGERS = ("int8", "int4", "int3", "int2")
GROUPS = (TENSOR, ROW, 16, 32)
KINDS = [(name, symmetric) for name in INTEGERS for symmetric in (True, False)] + [("nf4", True)]

schemes = st.builds(lambda kind, group: Scheme(*kind, group), st.sampled_from(KINDS), st.sampled_from(GROUPS))
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def matrices(draw, smallest=-4.0, largest=3.0):
    """Rows of 32, 64 or 96 weights of one magnitude between ``10 ** smallest`` and ``10 ** largest``."""
    shape = draw(st.integers(1, 5)), 32 * draw(st.integers(1, 3))
    weight = draw(generators).standard_t(4, shape) * 10.0 ** draw(st.floats(smallest, largest))
    return (weight + draw(st.sampled_from([0.0, 0.5, -20.0])) * np.abs(weight).mean()).astype(np.float32)


def steps(quantized, width):
    """The step of each weight, in float64."""
    scales = np.abs(quantized.scales.astype(np.float64))
    return np.repeat(scales, width // scales.shape[1], axis=1)


@settings(deadline=None)
@given(matrices(), schemes)
def test_codes_are_in_range_and_have_the_shape_of_their_weights(weight, scheme):
    found = nearest(weight, scheme)
    groups = (1, 1) if scheme.group == TENSOR else (len(weight), scheme.groups(weight.shape[1]))
    assert found.codes.shape == found.values().shape == weight.shape
    assert found.codes.dtype == (np.int8 if scheme.codes[0] < 0 else np.uint8)
    assert found.values().dtype == np.float32
    assert scheme.codes[0] <= found.codes.min() <= found.codes.max() <= scheme.codes[1]
    assert found.scales.shape == groups
    assert (found.zeros is None) == scheme.symmetric
    if found.zeros is not None:
        assert found.zeros.dtype == np.uint8
        assert found.zeros.shape == groups
        assert found.zeros.max() <= scheme.codes[1]


@settings(deadline=None)
@given(matrices(), st.sampled_from(INTEGERS), st.booleans(), st.sampled_from(GROUPS))
def test_every_weight_is_within_half_a_step(weight, name, symmetric, group):
    scheme = Scheme(name, symmetric, group)
    found = nearest(weight, scheme)
    # A scale is rounded to 11 bits, and the highest code multiplies it. With few symmetric codes, the side without the
    # extreme weight has one code less.
    share = 0.5 + scheme.codes[1] / 2000 if scheme.kind.bits == 8 or not symmetric else 1 + scheme.codes[1] / 2000
    assert (np.abs(found.values() - weight) <= share * steps(found, weight.shape[1])).all()


@settings(deadline=None)
@given(matrices(), schemes)
def test_no_other_code_is_nearer(weight, scheme):
    found = nearest(weight, scheme)
    levels = np.arange(scheme.codes[0], scheme.codes[1] + 1, dtype=np.float64)
    if scheme.format == "nf4":
        levels = NF4.astype(np.float64)
    if scheme.format == "int8" and scheme.symmetric:
        levels = levels[1:]
    repeated = np.repeat(found.scales.astype(np.float64), weight.shape[1] // found.scales.shape[1], axis=1)
    offsets = 0 if found.zeros is None else np.repeat(found.zeros, weight.shape[1] // found.zeros.shape[1], axis=1)
    values = (levels - np.expand_dims(np.broadcast_to(offsets, weight.shape), 2)) * repeated[:, :, None]
    least = np.abs(values - weight[:, :, None]).min(axis=2)
    assert np.abs(found.values() - weight) == pytest.approx(least, abs=1e-4 * np.abs(repeated).max())


@settings(deadline=None)
@given(matrices(smallest=-1.0), st.sampled_from(["int4", "int3", "int2"]))
def test_extreme_weight_has_the_lowest_code_whatever_its_sign(weight, name):
    found = nearest(weight, Scheme(name))
    rows = np.arange(len(weight))
    extreme = np.abs(weight).argmax(axis=1)
    assert (found.codes[rows, extreme] == Scheme(name).codes[0]).all()
    assert found.values()[rows, extreme] == pytest.approx(weight[rows, extreme], rel=1e-3)


@settings(deadline=None)
@given(matrices(smallest=-1.0), st.sampled_from(["int8", "nf4"]), st.sampled_from(GROUPS))
def test_extreme_weight_is_kept(weight, name, group):
    found = nearest(weight, Scheme(name, True, group)).values()
    assert found.flat[np.abs(weight).argmax()] == pytest.approx(weight.flat[np.abs(weight).argmax()], rel=2e-3)
    assert nearest(weight, Scheme("int8")).codes.min() >= -127


@settings(deadline=None)
@given(matrices(smallest=-8.0, largest=-4.0), schemes)
def test_tiny_weights_keep_their_codes(weight, scheme):
    found = nearest(weight, scheme)
    assert (np.abs(found.values() - weight) <= 1.15 * steps(found, weight.shape[1])).all()


@settings(deadline=None)
@given(schemes, st.floats(-45, 38), generators)
def test_scales_of_any_weights_are_finite_and_not_zero(scheme, exponent, generator):
    weight = (generator.uniform(-3, 3, (2, 64)) * 10.0**exponent).astype(np.float32)
    with np.errstate(over="ignore"):
        found = nearest(weight, scheme)
    assert np.isfinite(found.scales).all()
    assert found.scales.all()
    assert np.isfinite(found.values()).all()


@pytest.mark.parametrize("scheme", [Scheme(*kind, group) for kind in KINDS for group in GROUPS], ids=str)
def test_zeros_stay_zeros(scheme):
    assert not nearest(np.zeros((2, 64), np.float32), scheme).values().any()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("value", [0.37, -0.37, 1e-2])
def test_constant_rows_are_kept(kind, value):
    weight = np.full((3, 32), value, np.float32)
    assert nearest(weight, Scheme(*kind)).values() == pytest.approx(weight, rel=1e-3)


@settings(deadline=None)
@given(matrices(), st.sampled_from(INTEGERS), st.sampled_from(GROUPS))
def test_zero_weights_are_exact_beside_zero_points(weight, name, group):
    weight[:, ::5] = 0
    assert not nearest(weight, Scheme(name, False, group)).values()[:, ::5].any()


def test_groups_and_rows_are_quantized_independently():
    weight = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    whole = nearest(weight, Scheme("int4", False, 32))
    parts = [nearest(weight[[row], 32:], Scheme("int4", False, ROW)) for row in range(4)]
    assert (np.concatenate([part.codes for part in parts]) == whole.codes[:, 32:]).all()
    assert (np.concatenate([part.scales for part in parts]) == whole.scales[:, 1:]).all()


@settings(deadline=None)
@given(matrices(), schemes)
def test_encoding_quantized_values_gives_the_same_codes(weight, scheme):
    found = nearest(weight, scheme)
    assert (encoded(found.values(), scheme, found.scales, found.zeros) == found.codes).all()


def test_quantizing_leaves_the_weights_unchanged():
    weight = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    before = weight.copy()
    for kind in KINDS:
        nearest(weight, Scheme(*kind, 16)).values()
    assert (weight == before).all()


def test_ranges_depend_on_the_extremes_only():
    weight = np.array([[-1, 3, *[0.5] * 30], [-4, 2, *[-0.1] * 30]], np.float32)
    for kind in KINDS:
        scales, zeros = ranges(weight, Scheme(*kind))
        ends, ends_zeros = ranges(weight[:, :2], Scheme(*kind))
        assert (scales == ends).all()
        assert zeros is None or (zeros == ends_zeros).all()


@given(st.floats(2.0**-24, 65504, width=32), st.booleans())
def test_stored_scales_are_close_and_keep_their_sign(scale, negative):
    scale = np.array([-scale if negative else scale], np.float32)
    stored = storable_scales(scale).astype(np.float64)
    assert np.sign(stored) == np.sign(scale)
    # A relative error; below the smallest normal number, also one last digit upwards.
    assert abs(scale[0]) * (1 - 2.0**-11) <= abs(stored[0]) <= abs(scale[0]) * (1 + 2.0**-11) + 2.0**-24


@given(st.integers(1, 4096), st.integers(16, 256), st.sampled_from(["int4", "int2"]))
def test_fitted_groups_are_the_largest_divisors_that_the_engine_multiplies_correctly(width, group, name):
    fitted = Scheme(name, False, group, "hqq").fitted(width)
    assert (fitted.format, fitted.symmetric, fitted.rounding) == (name, False, "hqq")
    right = [size for size in range(16, group + 1) if size in (width, *range(16, 32, 2)) or size % 32 == 0]
    dividing = [size for size in right if width % size == 0]
    assert fitted.group == (dividing[-1] if dividing else ROW)
    assert fitted.fitted(width) == fitted


@pytest.mark.parametrize("group", [ROW, TENSOR])
def test_rows_and_matrices_fit_any_width(group):
    assert Scheme("int4", group=group).fitted(17).group == group
    assert Scheme("int4", group=group).groups(17) == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"format": "int5"}, "int8"),
        ({"rounding": "up"}, "nearest"),
        ({"group": 8}, "16"),
        ({"group": -2}, "16"),
        ({"format": "nf4", "symmetric": False}, "--asymmetric"),
        ({"format": "int4", "rounding": "hqq"}, "--asymmetric"),
    ],
)
def test_rejects_impossible_schemes_with_a_remedy(wrong, named):
    with pytest.raises(UserError) as caught:
        Scheme(**wrong)
    assert named in str(caught.value) + str(caught.value.remedy) + str(caught.value.where)


@given(schemes)
def test_schemes_survive_json(scheme):
    assume(scheme.group)
    assert Scheme(**scheme.as_dict()) == scheme
