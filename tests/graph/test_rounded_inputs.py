"""Inputs of linear layers rounded by the graph, against numpy; and where the engine then multiplies integers."""

from functools import partial

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from lilliput.formats.precision import ActivationRange
from lilliput.graph.layers import Layers, graph_input
from lilliput.graph.rounded_inputs import rounded_by_token, rounded_to_ranges
from lilliput.runtime.engine import Engine
from lilliput.runtime.overflow import overflows
from tests.graph.test_decoders import EXACT

ROWS, WIDTH = 48, 96

RANGES = {
    "both signs": ActivationRange(-1.3, 2.9),
    "one sign": ActivationRange(0.0, 3.0),
    "the other": ActivationRange(-4.0, 0.0),
    "as wide both ways": ActivationRange(-2.0, 2.0),
    "of what is always zero": ActivationRange(0.0, 0.0),
}


def inputs(seed=0):
    """``[2, 5, width]``, with an outlier, a token of zeros, and a token of tiny values."""
    array = np.random.default_rng(seed).normal(size=(2, 5, WIDTH)).astype(np.float32)
    array[0, 1, 3] = 50
    array[1, 2] = 0
    array[1, 3] *= 1e-20
    return array


def by_token(array):
    largest = np.abs(array).max(axis=-1, keepdims=True).astype(np.float64)
    scale = np.where(largest > 0, largest, 1) / 127
    return np.rint(array / scale) * scale


def to_range(found, array):
    low, high = np.float32(found.ends)
    codes = np.rint((np.clip(array, low, high).astype(np.float64) - low) * 255 / (np.float64(high) - low))
    return (codes - found.zero_point) * found.scale


class Facts:
    norm, norm_epsilon, activation, gated = "rms", 1e-6, "silu", True


def layer(rounding, weight, bias=None):
    """The graph of a single linear layer."""
    named = {"a.weight": weight} | ({} if bias is None else {"a.bias": partial(ops.constant, bias)})
    value = graph_input("x", [-1, -1, WIDTH], ov.Type.f32)
    return ov.Model([ops.result(Layers(Facts(), named, rounding).linear(value, "a"))], [value], "layer")


def int8(group=None, zeros=False):
    """A weight as artifacts store it: a function that builds its value in a graph, and its values."""
    generator = np.random.default_rng(7)
    codes = generator.integers(0, 255, (ROWS, WIDTH)) if zeros else generator.integers(-127, 128, (ROWS, WIDTH))
    grouped = codes.reshape(ROWS, -1, group or WIDTH)
    scales = (generator.random((ROWS, grouped.shape[1], 1)) * 0.01 + 0.001).astype(np.float16)
    points = generator.integers(100, 150, scales.shape)
    shape = grouped.shape if group else (ROWS, WIDTH)
    each = scales.shape if group else (ROWS, 1)

    def make():
        value = ops.convert(ops.constant(grouped.reshape(shape).astype(np.uint8 if zeros else np.int8)), "f16")
        if zeros:
            value = ops.subtract(value, ops.convert(ops.constant(points.reshape(each).astype(np.uint8)), "f16"))
        value = ops.multiply(value, ops.constant(scales.reshape(each)))
        value = ops.reshape(value, ops.constant([ROWS, WIDTH]), False) if group else value
        return ops.convert(value, "f32")

    values = (grouped - points if zeros else grouped) * scales.astype(np.float64)
    return make, values.reshape(ROWS, WIDTH)


def products(model):
    return list(Engine(model, 1, EXACT).integer_products().values())


@pytest.mark.parametrize("bias", [False, True])
def test_scale_per_token_matches_numpy(bias):
    make, values = int8()
    added = np.linspace(-1, 1, ROWS, dtype=np.float32) if bias else None
    model = layer(rounded_by_token, make, added)
    (found,) = Engine(model, 1, EXACT)(inputs())
    expected = by_token(inputs()) @ values.T + (0 if added is None else added)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert products(model) == [False]


def test_scale_per_token_matches_numpy_for_tiny_tokens():
    """Compared with relative error alone, for tokens of nearly zero, too."""
    model = layer(rounded_by_token, partial(ops.constant, np.eye(ROWS, WIDTH, dtype=np.float32)))
    (found,) = Engine(model, 1, EXACT)(inputs())
    expected = by_token(inputs())[..., :ROWS]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0)
    assert len(np.unique(found[0, 0])) > 10
    assert not found[1, 2].any()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", RANGES)
def test_static_ranges_with_row_scales_multiply_integers_unless_they_overflow(name, bias):
    make, values = int8()
    added = np.linspace(-1, 1, ROWS, dtype=np.float32) if bias else None
    model = layer(rounded_to_ranges({"a": RANGES[name]}), make, added)
    (found,) = Engine(model, 1, EXACT)(inputs())
    expected = to_range(RANGES[name], inputs()) @ values.T + (0 if added is None else added)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1e-6, np.abs(expected).max()))
    assert products(model) == [not overflows({})]


@pytest.mark.parametrize("stored", [{"zeros": True}, {"group": 32}, {"group": 32, "zeros": True}])
def test_other_weights_are_multiplied_in_floating_point(stored):
    make, values = int8(**stored)
    chosen = RANGES["both signs"]
    model = layer(rounded_to_ranges({"a": chosen}), make)
    (found,) = Engine(model, 1, EXACT)(inputs())
    expected = to_range(chosen, inputs()) @ values.T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert products(model) == [False]


def test_input_of_several_layers_is_rounded_once():
    rounded_names = []

    def rounding(name, value):
        rounded_names.append(name)
        return ops.relu(value)

    weight = partial(ops.constant, np.zeros((ROWS, WIDTH), np.float32))
    layers = Layers(Facts(), {f"{name}.weight": weight for name in "abcd"}, rounding)
    one, other = (graph_input(name, [-1, -1, WIDTH], ov.Type.f32) for name in ("one", "other"))
    for name, value in (("a", one), ("b", one), ("c", other), ("d", one)):
        layers.linear(value, name)
    assert rounded_names == ["a", "c"]
    assert list(layers.inputs.values()) == [one, one, other, one]


def test_input_of_the_output_layer_is_not_rounded():
    weight = partial(ops.constant, np.zeros((ROWS, WIDTH), np.float32))
    layers = Layers(Facts(), {"head.weight": weight}, lambda name, value: pytest.fail(name))
    layers.logits(graph_input("x", [-1, -1, WIDTH], ov.Type.f32))
