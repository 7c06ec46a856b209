"""Masks found in graphs: those that our graphs have, and no others."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from lilliput.encoder import MASKED
from lilliput.graph.blocks import causal_mask
from lilliput.graph.relative import Relative, relative_bias
from lilliput.kernels.masks import CausalMask, RelativeMask, padding_of


def mask_graph(change):
    """The graph of an additive mask made from ``ids`` and ``attention_mask``."""
    ids, mask = (ops.parameter([-1, -1], ov.Type.i64) for _ in range(2))
    return ov.Model([change(ids, mask)], [ids, mask], "mask")


def mask_of(change):
    return mask_graph(change).get_results()[0].input_value(0)


def another_mask(number, seen=ops.less_equal, low=MASKED, axis=1, of=lambda ids: ids):
    """As :func:`causal_mask` makes it, except for the arguments."""

    def change(ids, mask):
        zero, one = ops.constant(0, ov.Type.i64), ops.constant(1, ov.Type.i64)
        new, total = (
            ops.gather(ops.shape_of(value), ops.constant(axis, ov.Type.i64), zero) for value in (of(ids), mask)
        )
        column = ops.unsqueeze(ops.range(zero, total, one, "i64"), ops.constant([0, 1, 2]))
        row = ops.unsqueeze(ops.range(ops.subtract(total, new), total, one, "i64"), ops.constant([0, 1, 3]))
        real = ops.unsqueeze(ops.not_equal(mask, ops.constant(number, ov.Type.i64)), ops.constant([1, 2]))
        allowed = ops.logical_and(seen(column, row), real)
        return ops.select(allowed, ops.constant(np.float32(0)), ops.constant(np.float32(low)))

    return change


def near(column, row):
    return ops.logical_and(ops.less_equal(column, row), ops.greater(column, ops.subtract(row, row)))


@pytest.mark.parametrize(
    ("change", "window"),
    [
        (another_mask(0), 0),
        (lambda ids, mask: causal_mask(ids, mask, None), 0),
        (lambda ids, mask: causal_mask(ids, mask, 5), 5),
        (another_mask(7), None),
        (another_mask(0, axis=0), None),
        (another_mask(0, of=lambda ids: ops.gather(ids, ops.constant([-1]), ops.constant(1))), None),
        (another_mask(0, low=-1.0), None),
        (another_mask(0, lambda c, r: ops.less_equal(c, ops.add(r, ops.constant(5, ov.Type.i64)))), None),
        (another_mask(0, lambda c, r: ops.less_equal(r, c)), None),
        (another_mask(0, near), None),
        (lambda ids, mask: ops.convert(mask, "f32"), None),
    ],
)
def test_only_a_causal_mask_is_recognized(change, window):
    found = CausalMask.of(mask_of(change))
    assert (None if found is None else found.window) == window


def padding(nothing=0, low=MASKED):
    """A mask that hides padding, except for the arguments."""

    def change(ids, mask):
        real = ops.unsqueeze(ops.not_equal(mask, ops.constant(nothing, ov.Type.i64)), ops.constant([1, 2]))
        return ops.select(real, ops.constant(np.float32(0)), ops.constant(np.float32(low)))

    return change


def test_only_a_padding_mask_is_recognized():
    assert padding_of(mask_of(padding())) is not None
    assert padding_of(mask_of(padding(nothing=7))) is None
    assert padding_of(mask_of(padding(low=-1.0))) is None
    assert padding_of(mask_of(lambda ids, mask: causal_mask(ids, mask, None))) is None


def relative(furthest=5, least=MASKED, both=lambda bias, allowed: (bias, allowed), of=lambda ids, mask: (ids, mask)):
    """A causal mask with relative position biases, except for the arguments."""

    def change(ids, mask):
        table = ops.constant(np.ones((8, 4), np.float32))
        bias = relative_bias(*of(ids, mask), table, Relative(8, furthest), both_ways=False)
        total = ops.add(*both(bias, causal_mask(ids, mask, None)))
        return ops.maximum(total, ops.constant(np.float32(least)))

    return change


@pytest.mark.parametrize("furthest", [5, 128])
def test_relative_bias_is_recognized(furthest):
    found = RelativeMask.of(mask_of(relative(furthest)))
    assert list(found.bias.get_shape()) == [4, 2 * furthest + 1]
    assert CausalMask.of(found.allowed) is not None


@pytest.mark.parametrize(
    "change",
    [
        relative(least=-1.0),
        relative(both=lambda bias, allowed: (allowed, bias)),
        relative(of=lambda ids, mask: (ids, ids)),
        lambda ids, mask: causal_mask(ids, mask, None),
        padding(),
    ],
)
def test_only_a_relative_mask_is_recognized(change):
    """If distances are counted in another mask than the causal mask's, both masks are given."""
    found = RelativeMask.of(mask_of(change))
    assert found is None or found.real.get_node() != CausalMask.of(found.allowed).real.get_node()


def test_distances_not_clamped_at_the_end_of_the_table_are_not_recognized():
    """The table has an entry for each distance up to 5; the graph clamps at 3, or nowhere."""

    def change(ids, mask, cut=lambda value: ops.clamp(value, -3, 3)):
        (added, allowed), least = relative(5)(ids, mask).input_value(0).get_node().input_values(), MASKED
        gather = added.get_node().input_value(0).get_node()
        place = gather.input_value(1).get_node()
        clamp = place.input_value(0).get_node()
        shorter = ops.add(cut(clamp.input_value(0)), place.input_value(1))
        bias = ops.unsqueeze(ops.gather(gather.input_value(0), shorter, gather.input_value(2)), ops.constant(0))
        return ops.maximum(ops.add(bias, allowed), ops.constant(np.float32(least)))

    assert RelativeMask.of(mask_of(change)) is None
    assert RelativeMask.of(mask_of(lambda ids, mask: change(ids, mask, ops.abs))) is None
