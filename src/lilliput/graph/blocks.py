"""Building blocks of decoder graphs in OpenVINO operators, in patterns that the CPU plugin fuses.

Passing a mode by position, or a shape from ``ShapeOf``, computes the same numbers but silently loses the fusion, so the
tests check the compiled graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from lilliput.encoder import MASKED
from lilliput.graph.rotary import Rotary

Value = Any
"""A node of the graph, or one of its outputs."""


class Tables(NamedTuple):
    """Cosines and sines ``[B, 1, T, width]`` of the rotated dimensions."""

    cosine: Value
    sine: Value
    width: int


def _gelu_tanh(value: Value) -> Value:
    return ops.gelu(value, approximation_mode="tanh")


def _gelu(value: Value) -> Value:
    return ops.gelu(value, approximation_mode="erf")


ACTIVATIONS: Mapping[str, Callable[[Value], Value]] = {
    "silu": ops.swish,
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "relu": ops.relu,
}
"""Name in ``config.json`` -> activation."""


def scaled(value: Value, factor: float) -> Value:
    """``value * factor``."""
    return ops.multiply(value, ops.constant(np.float32(factor)))


def embedding(ids: Value, table: Value) -> Value:
    """Rows ``ids`` of ``table [rows, width]``."""
    return ops.gather(table, ids, ops.constant(0))


def rms_norm(value: Value, weight: Value, bias: Value | None, epsilon: float) -> Value:
    """``value / sqrt(mean(value^2) + epsilon) * weight`` ("Root Mean Square Layer Normalization", 2019)."""
    square = ops.reduce_mean(ops.power(value, ops.constant(np.float32(2))), ops.constant([-1]), True)
    root = ops.sqrt(ops.add(square, ops.constant(np.float32(epsilon))))
    return ops.multiply(ops.divide(value, root), weight)


def layer_norm(value: Value, weight: Value, bias: Value | None, epsilon: float) -> Value:
    """``(value - mean) / sqrt(variance + epsilon) * weight + bias``."""
    normal = ops.mvn(value, ops.constant([-1]), True, epsilon, "inside_sqrt")
    product = ops.multiply(normal, weight)
    return product if bias is None else ops.add(product, bias)


NORMS = {"rms": rms_norm, "layer": layer_norm}


def split_heads(value: Value, heads: int, width: int) -> Value:
    """``[B, T, heads * width]`` to ``[B, heads, T, width]``."""
    split = ops.reshape(value, ops.constant([0, 0, heads, width]), True)
    return ops.transpose(split, ops.constant([0, 2, 1, 3]))


def joined_heads(value: Value, width: int) -> Value:
    """The inverse of :func:`split_heads`."""
    return ops.reshape(ops.transpose(value, ops.constant([0, 2, 1, 3])), ops.constant([0, 0, width]), True)


def rotary_tables(rotary: Rotary, positions: Value) -> Tables:
    """Cosines and sines at ``positions [B, T]``."""
    places = ops.unsqueeze(ops.convert(positions, "f32"), ops.constant([1, 3]))
    angle = ops.multiply(places, ops.constant(rotary.frequencies()))
    both = ops.concat([angle, angle], -1)
    return Tables(ops.cos(both), ops.sin(both), rotary.width)


def rotated(value: Value, tables: Tables, head_width: int) -> Value:
    """Rotate the first dimensions of each head; ``value [B, heads, T, head_width]``."""
    rest = head_width - tables.width
    turned = value
    if rest:
        parts = ops.variadic_split(value, ops.constant(3), ops.constant([tables.width, rest]))
        turned = parts.output(0)
    half = tables.width // 2
    halves = ops.variadic_split(turned, ops.constant(3), ops.constant([half, half]))
    crossed = ops.concat([ops.multiply(halves.output(1), ops.constant(np.float32(-1))), halves.output(0)], -1)
    turned = ops.add(ops.multiply(turned, tables.cosine), ops.multiply(crossed, tables.sine))
    return ops.concat([turned, parts.output(1)], -1) if rest else turned


def repeated(value: Value, heads: int, kv_heads: int, width: int) -> Value:
    """Repeat each head of ``[B, kv_heads, S, width]`` for the queries that share it: ``[B, heads, S, width]``."""
    shape = ops.constant([1, 1, heads // kv_heads, 1, 1])
    wide = ops.broadcast(ops.unsqueeze(value, ops.constant(2)), shape, broadcast_spec="BIDIRECTIONAL")
    return ops.reshape(wide, ops.constant([0, heads, -1, width]), True)


def causal_mask(ids: Value, mask: Value, window: int | None) -> Value:
    """The additive attention mask, ``[B, 1, T, S]``: 0 where token i may attend to token j."""
    zero, one = ops.constant(0, ov.Type.i64), ops.constant(1, ov.Type.i64)
    new = ops.gather(ops.shape_of(ids), one, zero)
    total = ops.gather(ops.shape_of(mask), one, zero)
    column = ops.unsqueeze(ops.range(zero, total, one, "i64"), ops.constant([0, 1, 2]))
    row = ops.range(ops.subtract(total, new), total, one, "i64")
    row = ops.unsqueeze(row, ops.constant([0, 1, 3]))
    seen = ops.less_equal(column, row)
    if window is not None:
        seen = ops.logical_and(seen, ops.greater(column, ops.subtract(row, ops.constant(window, ov.Type.i64))))
    real = ops.unsqueeze(ops.not_equal(mask, zero), ops.constant([1, 2]))
    allowed = ops.logical_and(seen, real)
    return ops.select(allowed, ops.constant(np.float32(0)), ops.constant(np.float32(MASKED)))


def cached(value: Value, name: str, ids: Value, beams: Value, heads: int, width: int) -> tuple[Value, Value]:
    """Append ``value [B, heads, T, width]`` to the state ``name``, reordered by ``beams``; also the state's new value.

    The state's rows are sequences; an unwritten state has length 0.
    """
    batch = ops.gather(ops.shape_of(ids), ops.constant([0]), ops.constant(0))
    shape = ops.concat([batch, ops.constant(np.array([heads, 0, width], np.int64))], 0)
    empty = ops.broadcast(ops.constant(np.float32(0)), shape)
    info = ov.op.util.VariableInfo()
    info.data_shape, info.data_type, info.variable_id = ov.PartialShape([-1, heads, -1, width]), ov.Type.f32, name
    variable = ov.op.util.Variable(info)
    past = ops.gather(ops.read_value(empty, variable), beams, ops.constant(0))
    whole = ops.concat([past, value], 2)
    return whole, ops.assign(whole, variable)
