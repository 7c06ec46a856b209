"""AWQ's two searches against exhaustive search by the definition, in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.formats.weights import ROW, TENSOR, Scheme
from lilliput.quantize import awq
from lilliput.quantize.awq import clip, column_scales
from lilliput.quantize.rounding import grouped, nearest

KINDS = [("int8", True), ("int4", True), ("int4", False), ("int3", True), ("int2", False), ("nf4", True)]
GROUPS = (TENSOR, ROW, 16, 32)
schemes = st.builds(lambda kind, group: Scheme(*kind, group), st.sampled_from(KINDS), st.sampled_from(GROUPS))


def layer(rows, width, tokens, seed=0):
    """Weights with outliers, and inputs of which a few channels are large."""
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(tokens, width)) * np.exp(0.3 * generator.normal(size=width))
    inputs[:, generator.choice(width, max(1, width // 32), replace=False)] *= 20
    return (generator.standard_t(4, (rows, width)) * 0.02).astype(np.float32), inputs.astype(np.float32)


def output_error(weight, values, inputs):
    return (((values.astype(np.float64) - weight) @ inputs.astype(np.float64).T) ** 2).sum()


def scaled_error(weight, scales, inputs, scheme):
    """Output error by equation 4."""
    weight, scales, inputs = (part.astype(np.float64) for part in (weight, scales, inputs))
    rounded = nearest((weight * scales).astype(np.float32), scheme).values().astype(np.float64)
    return ((inputs @ weight.T - inputs / scales @ rounded.T) ** 2).sum()


@pytest.mark.parametrize("tokens", [20, 300])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_scales_are_the_best_of_the_grid(kind, tokens):
    scheme = Scheme(*kind, 32)
    first, inputs = layer(12, 64, tokens)
    second, _ = layer(20, 64, 1, seed=1)
    found = column_scales([first, second], inputs, scheme, steps=10)
    sizes = np.abs(inputs.astype(np.float64)).mean(axis=0)
    powers = [sizes ** (step / 10) for step in range(11)]
    powers = [power / np.sqrt(power.max() * power.min()) for power in powers]
    errors = [sum(scaled_error(weight, power, inputs, scheme) for weight in (first, second)) for power in powers]
    assert found == pytest.approx(powers[int(np.argmin(errors))], rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(schemes, st.integers(1, 4), st.integers(1, 3), st.integers(1, 80), st.integers(0, 999))
def test_scaling_columns_never_increases_the_error(scheme, rows, thirds, tokens, seed):
    weight, inputs = layer(rows, 32 * thirds, tokens, seed)
    scales = column_scales([weight], inputs, scheme, steps=5)
    assert scales.dtype == np.float32
    assert (scales > 0).all()
    plain = scaled_error(weight, np.ones_like(scales), inputs, scheme)
    assert scaled_error(weight, scales, inputs, scheme) <= plain * 1.001 + 1e-12


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_large_inputs_get_scales_that_reduce_the_error(kind):
    weight, inputs = layer(32, 128, 400)
    scheme = Scheme(*kind, 32)
    scales = column_scales([weight], inputs[:200], scheme)
    plain = output_error(weight, nearest(weight, scheme).values(), inputs[200:])
    assert output_error(weight, nearest(weight * scales, scheme).values() / scales, inputs[200:]) < 0.5 * plain


def test_uniform_inputs_get_scales_of_one():
    weight, _ = layer(8, 32, 1)
    inputs = np.random.default_rng(0).choice([-1.0, 1.0], (50, 32)).astype(np.float32)
    assert (column_scales([weight], inputs, Scheme("int4")) == 1).all()


def test_channels_without_inputs_have_finite_scales():
    weight, inputs = layer(8, 64, 100)
    inputs[:, 7] = 0
    scales = column_scales([weight], inputs, Scheme("int3", True, 16))
    assert np.isfinite(scales).all()
    assert 0 < scales[7] == scales.min() < 1
    assert (column_scales([weight], np.zeros_like(inputs), Scheme("int3")) == 1).all()


def best_clipped(weight, inputs, scheme, shares):
    """Clip each group by each share, by the definition: clamp, quantize, read back."""
    groups = grouped(weight, scheme)
    largest = np.abs(groups).max(axis=2, keepdims=True)
    width = groups.shape[2] if scheme.group != TENSOR else weight.shape[1]
    errors, choices = [], []
    for share in shares:
        limits = largest * np.float32(share)
        clamped = np.clip(groups, -limits, limits).reshape(weight.shape)
        differences = nearest(clamped, scheme).values().astype(np.float64) - weight
        outputs = np.stack(
            [
                differences[:, first : first + width] @ inputs[:, first : first + width].T.astype(np.float64)
                for first in range(0, weight.shape[1], width)
            ],
            axis=1,
        )
        squares = (outputs**2).sum(axis=2)
        errors.append(squares.sum(keepdims=True) if scheme.group == TENSOR else squares)
        choices.append(np.clip(groups, -limits, limits))
    best = np.argmin(errors, axis=0)
    return np.take_along_axis(np.stack(choices), best[None, :, :, None], axis=0)[0].reshape(weight.shape)


@pytest.mark.parametrize("tokens", [10, 100])
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_group_gets_the_best_share(kind, group, tokens):
    weight, inputs = layer(12, 64, tokens)
    scheme = Scheme(*kind, group)
    expected = best_clipped(weight, inputs, scheme, [1 - 0.5 * step / 10 for step in range(11)])
    assert (clip(weight, inputs, scheme) == expected).mean() > 0.99


@settings(deadline=None, max_examples=30)
@given(schemes, st.integers(1, 4), st.integers(1, 3), st.integers(1, 80), st.integers(0, 999))
def test_weights_are_only_clamped(scheme, rows, thirds, tokens, seed):
    weight, inputs = layer(rows, 32 * thirds, tokens, seed)
    clipped = clip(weight, inputs, scheme, steps=4)
    largest = np.abs(grouped(weight, scheme)).max(axis=2, keepdims=True)
    assert clipped.dtype == np.float32
    assert (np.abs(clipped) <= np.abs(weight)).all()
    assert (np.sign(clipped) == np.sign(weight)).all()
    assert (np.abs(grouped(clipped, scheme)).max(axis=2, keepdims=True) >= 0.5 * largest).all()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 80), st.integers(0, 999))
def test_clipping_a_row_never_increases_the_error(kind, rows, tokens, seed):
    weight, inputs = layer(rows, 48, tokens, seed)
    scheme = Scheme(*kind)
    plain = output_error(weight, nearest(weight, scheme).values(), inputs)
    assert output_error(weight, nearest(clip(weight, inputs, scheme), scheme).values(), inputs) <= plain * 1.001 + 1e-12


@pytest.mark.parametrize(("name", "most"), [("int4", 0.9), ("int3", 0.7), ("int2", 0.6)])
def test_clipping_outliers_reduces_the_held_out_error(name, most):
    weight, inputs = layer(32, 128, 400)
    scheme = Scheme(name, False, 64)
    plain = output_error(weight, nearest(weight, scheme).values(), inputs[200:])
    clipped = clip(weight, inputs[:200], scheme)
    assert output_error(weight, nearest(clipped, scheme).values(), inputs[200:]) < most * plain


@pytest.mark.parametrize("group", GROUPS)
def test_result_does_not_depend_on_blocks_of_rows(group, monkeypatch):
    weight, inputs = layer(11, 64, 30)
    scheme = Scheme("int4", False, group)
    whole = column_scales([weight], inputs, scheme), clip(weight, inputs, scheme)
    monkeypatch.setattr(awq, "WEIGHTS", 200)
    parts = column_scales([weight], inputs, scheme), clip(weight, inputs, scheme)
    assert (whole[0] == parts[0]).all()
    assert (whole[1] == parts[1]).all()


def test_many_inputs_are_sampled_evenly():
    weight, inputs = layer(4, 32, 2000)
    scheme = Scheme("int3", True, 16)
    assert (clip(weight, inputs, scheme) == clip(weight, inputs[::4], scheme)).all()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_zeros_stay_zeros(kind):
    weight, inputs = np.zeros((3, 32), np.float32), layer(1, 32, 10)[1]
    assert not clip(weight, inputs, Scheme(*kind, 16)).any()
    assert (column_scales([weight], inputs, Scheme(*kind, 16)) == 1).all()


def test_both_searches_are_deterministic_and_leave_their_arguments_unchanged():
    weight, inputs = layer(8, 64, 50)
    before = weight.copy(), inputs.copy()
    scheme = Scheme("int4", True, 16)
    assert (column_scales([weight], inputs, scheme) == column_scales([weight], inputs, scheme)).all()
    assert (clip(weight, inputs, scheme) == clip(weight, inputs, scheme)).all()
    assert (weight == before[0]).all()
    assert (inputs == before[1]).all()
