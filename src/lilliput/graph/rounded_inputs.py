"""How a graph rounds the inputs of its linear layers itself, where the engine is not left to do it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from openvino import opset13 as ops

from lilliput.formats.precision import ActivationRange
from lilliput.graph.blocks import Value
from lilliput.graph.layers import InputRounding

LARGEST_CODE = 127
"""Of symmetric 8 bits."""


def rounded_by_token(name: str, value: Value) -> Value:
    """``value [B, T, width]`` as 8-bit codes of one scale a token stand for: its largest magnitude is code 127.

    The engine has no product of integers with such scales, so that codes are numbers of float32 here: what is computed
    is what integers would give, and not as fast.
    """
    largest = ops.reduce_max(ops.abs(value), ops.constant([-1]), True)
    smallest = ops.constant(np.finfo(np.float32).tiny)  # of a token that is all zeros
    scale = ops.maximum(ops.divide(largest, ops.constant(np.float32(LARGEST_CODE))), smallest)
    return ops.multiply(ops.round(ops.divide(value, scale), "half_to_even"), scale)


def rounded_to_ranges(ranges: Mapping[str, ActivationRange]) -> InputRounding:
    """What rounds each layer's input to unsigned 8 bits over its range.

    The operator for it, before a product with int8 weights of a scale a row, is what the CPU plugin makes an integer
    product of; with other weights it multiplies in floating point what the codes stand for.

    Args:
        ranges: by the layers' names.
    """

    def rounded(name: str, value: Value) -> Value:
        low, high = (ops.constant(np.float32(end)) for end in ranges[name].ends)
        return ops.fake_quantize(value, low, high, low, high, 256)

    return rounded
