"""GPTQ against rounding column by column with explicit inverses, in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.formats.weights import NF4, ROW, TENSOR, Scheme
from lilliput.quantize.gptq import _factorize, gptq
from lilliput.quantize.rounding import nearest, ranges

KINDS = [
    ("int8", True),
    ("int8", False),
    ("int4", True),
    ("int4", False),
    ("int3", True),
    ("int2", False),
    ("nf4", True),
]
GROUPS = (TENSOR, ROW, 16, 32)
schemes = st.builds(lambda kind, group: Scheme(*kind, group), st.sampled_from(KINDS), st.sampled_from(GROUPS))


def layer(rows, width, tokens=512, seed=0):
    """Weights, and correlated inputs, a few channels of which are large."""
    generator = np.random.default_rng(seed)
    mix = generator.normal(size=(width // 4, width)) / np.sqrt(np.arange(1, width // 4 + 1))[:, None]
    inputs = generator.normal(size=(tokens, width // 4)) @ mix + 0.3 * generator.normal(size=(tokens, width))
    inputs[:, :: width // 3] *= 8
    weight = generator.standard_t(5, size=(rows, width)) * 0.05
    return weight.astype(np.float32), inputs.astype(np.float32)


def output_error(weight, quantized, inputs):
    return (((quantized.values().astype(np.float64) - weight) @ inputs.T) ** 2).sum()


def levels(scheme):
    """The values of all codes."""
    if scheme.format == "nf4":
        return NF4.astype(np.float64)
    low, high = scheme.codes
    return np.arange(-high if scheme.format == "int8" and scheme.symmetric else low, high + 1.0)


def removed_one_by_one(weight, scheme, hessian, damping, act_order):
    """Equations 2 and 3 of the paper: update all remaining weights, then remove the rounded column from the inverse."""
    width = weight.shape[1]
    size = width // scheme.groups(width)
    left = weight.astype(np.float64)
    inverse = np.linalg.inv(hessian + damping * np.diagonal(hessian).mean() * np.eye(width))
    scales, zeros = ranges(weight, scheme)
    codes = np.zeros(weight.shape, int)
    order = np.argsort(-np.diagonal(hessian), kind="stable") if act_order else range(width)
    for column in order:
        group = column // size
        if column % size == 0 and not act_order and scheme.group > 0:
            moved = left[:, column : column + size].astype(np.float32)
            own, own_zeros = ranges(moved, Scheme(scheme.format, scheme.symmetric))
            scales[:, group] = own[:, 0]
            if zeros is not None:
                zeros[:, group] = own_zeros[:, 0]
        offset = 0 if zeros is None else zeros[:, [group]]
        values = (levels(scheme) - offset) * scales[:, [group]].astype(np.float64)
        values = np.broadcast_to(values, (len(weight), values.shape[1]))
        chosen = np.abs(values - left[:, [column]]).argmin(axis=1)
        codes[:, column] = chosen if scheme.format == "nf4" else levels(scheme)[chosen]
        error = left[:, column] - values[np.arange(len(weight)), chosen]
        left -= np.outer(error, inverse[column]) / inverse[column, column]
        inverse -= np.outer(inverse[:, column], inverse[column]) / inverse[column, column]
        inverse[column, column] = 1.0  # not read again
    return codes


@pytest.mark.parametrize("act_order", [True, False])
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_codes_match_column_by_column_rounding(kind, group, act_order):
    weight, inputs = layer(12, 96)
    hessian = inputs.T.astype(np.float64) @ inputs
    scheme = Scheme(*kind, group, "gptq")
    found = gptq(weight, scheme, hessian, block=40, act_order=act_order)
    expected = removed_one_by_one(weight, scheme, hessian, 0.01, act_order)
    # Float32 may round one weight differently, and then later weights of its row.
    assert (found.codes == expected).mean() > 0.99


def test_groups_across_blocks_of_the_factor_are_updated():
    weight, inputs = layer(6, 192)
    hessian = inputs.T.astype(np.float64) @ inputs
    scheme = Scheme("int4", False, 96, "gptq")
    found = gptq(weight, scheme, hessian, act_order=False)
    assert (found.codes == removed_one_by_one(weight, scheme, hessian, 0.01, False)).mean() > 0.99


@pytest.mark.parametrize("act_order", [True, False])
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_uncorrelated_inputs_give_nearest_rounding(kind, group, act_order):
    weight, _ = layer(8, 64)
    scheme = Scheme(*kind, group, "gptq")
    found = gptq(weight, scheme, np.eye(64) * 3, act_order=act_order)
    expected = nearest(weight, scheme)
    assert (found.codes == expected.codes).all()
    assert (found.scales == expected.scales).all()
    assert found.zeros is None or (found.zeros == expected.zeros).all()


@settings(deadline=None, max_examples=40)
@given(schemes, st.integers(1, 5), st.integers(1, 4), st.integers(1, 200), st.booleans(), st.integers(0, 99))
def test_codes_are_in_range_for_all_shapes(scheme, rows, halves, block, act_order, seed):
    weight, inputs = layer(rows, 32 * halves, 40, seed)
    found = gptq(weight, scheme, inputs.T @ inputs, block=block, act_order=act_order)
    plain = nearest(weight, scheme)
    assert found.codes.shape == weight.shape
    assert found.codes.dtype == plain.codes.dtype
    assert scheme.codes[0] <= found.codes.min() <= found.codes.max() <= scheme.codes[1]
    assert found.scales.shape == plain.scales.shape
    assert found.scales.all()
    assert np.isfinite(found.values()).all()


@pytest.mark.parametrize("act_order", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_held_out_error_is_lower_than_with_nearest_rounding(kind, act_order):
    weight, inputs = layer(32, 128, 4096)
    seen, unseen = inputs[:3072], inputs[3072:]
    scheme = Scheme(*kind, 32, "gptq")
    found = gptq(weight, scheme, seen.T @ seen, act_order=act_order)
    assert output_error(weight, found, unseen) < 0.5 * output_error(weight, nearest(weight, scheme), unseen)


@pytest.mark.parametrize("act_order", [True, False])
@pytest.mark.parametrize("group", [ROW, 32])
def test_result_does_not_depend_on_blocks_of_columns(group, act_order):
    weight, inputs = layer(8, 128)
    scheme = Scheme("int4", True, group, "gptq")
    one, other = (gptq(weight, scheme, inputs.T @ inputs, block=block, act_order=act_order) for block in (17, 128))
    assert (one.codes == other.codes).mean() > 0.99


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scale_of_the_hessian_makes_no_difference(dtype, factor):
    weight, inputs = layer(8, 64)
    hessian = inputs.T.astype(np.float64) @ inputs
    scheme = Scheme("int4", False, 16, "gptq")
    found = gptq(weight, scheme, (hessian * factor).astype(dtype))
    assert (found.codes == gptq(weight, scheme, hessian).codes).mean() > 0.99


@pytest.mark.parametrize("damping", [0.0, 0.01])
@pytest.mark.parametrize("act_order", [True, False])
def test_unused_columns_are_rounded_to_nearest(act_order, damping):
    weight, inputs = layer(8, 64)
    dead = [0, 5, 63]
    inputs[:, dead] = 0
    scheme = Scheme("int4", True, ROW, "gptq")
    found = gptq(weight, scheme, inputs.T @ inputs, damping=damping, act_order=act_order)
    assert (found.codes[:, dead] == nearest(weight, scheme).codes[:, dead]).all()
    assert output_error(weight, found, inputs) < output_error(weight, nearest(weight, scheme), inputs)


def test_without_inputs_everything_is_rounded_to_nearest():
    weight, _ = layer(4, 32)
    assert (gptq(weight, Scheme("int4"), np.zeros((32, 32))).codes == nearest(weight, Scheme("int4")).codes).all()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_zeros_stay_zeros(kind):
    _, inputs = layer(4, 32)
    assert not gptq(np.zeros((4, 32), np.float32), Scheme(*kind, 16), inputs.T @ inputs).values().any()


def test_is_deterministic_and_leaves_its_arguments_unchanged():
    weight, inputs = layer(8, 64)
    hessian = inputs.T @ inputs
    before = weight.copy(), hessian.copy()
    first, second = (gptq(weight, Scheme("int4", False, 16), hessian, act_order=act) for act in (True, True))
    assert (first.values() == second.values()).all()
    assert (weight == before[0]).all()
    assert (hessian == before[1]).all()


def test_fewer_inputs_than_columns_still_reduce_the_error():
    weight, inputs = layer(8, 64, tokens=3)
    scheme = Scheme("int4", True, 16)
    plain = output_error(weight, nearest(weight, scheme), inputs)
    for damping in (0.0, 0.01):
        found = gptq(weight, scheme, inputs.T @ inputs, damping=damping)
        assert output_error(weight, found, inputs) < plain


@pytest.mark.parametrize("wrong", [np.full((32, 32), np.nan), np.eye(32) - 2 * np.ones((32, 32)) + 2 * np.eye(32)])
def test_rejects_invalid_hessian(wrong):
    with pytest.raises(ValueError, match="hessian"):
        gptq(np.ones((2, 32), np.float32), Scheme("int4"), wrong)


@pytest.mark.parametrize("width", [1, 7, 128, 130, 300])
def test_factor_reproduces_its_matrix(width):
    inputs = np.random.default_rng(0).normal(size=(width + 5, width))
    matrix = inputs.T @ inputs
    factor = matrix.copy()
    _factorize(factor)
    assert np.triu(factor) @ np.triu(factor).T == pytest.approx(matrix, abs=1e-9 * width)
