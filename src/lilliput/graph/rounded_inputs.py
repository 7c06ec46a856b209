"""Rounding of linear layers' inputs by operations of the graph, rather than by the engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from openvino import opset13 as ops

from lilliput.formats.precision import ActivationRange
from lilliput.graph.blocks import Value
from lilliput.graph.layers import InputRounding

LARGEST_CODE = 127
"""Largest symmetric 8-bit code."""


def rounded_by_token(name: str, value: Value) -> Value:
    """Round ``value [B, T, width]`` to 8 bits with one scale per token, whose largest magnitude becomes code 127.

    The engine has no integer products with such scales, so the codes are float32 here: the result is that of integers,
    but not as fast.
    """
    largest = ops.reduce_max(ops.abs(value), ops.constant([-1]), True)
    smallest = ops.constant(np.finfo(np.float32).tiny)  # for tokens that are all zeros
    scale = ops.maximum(ops.divide(largest, ops.constant(np.float32(LARGEST_CODE))), smallest)
    return ops.multiply(ops.round(ops.divide(value, scale), "half_to_even"), scale)


def rounded_to_ranges(ranges: Mapping[str, ActivationRange]) -> InputRounding:
    """Return a function that rounds each layer's input to unsigned 8 bits over its range.

    Before a product with int8 weights of one scale per row, the CPU plugin turns the operator into an integer product;
    with other weights it multiplies the values of the codes in floating point.

    Args:
        ranges: ranges by layer name.
    """

    def rounded(name: str, value: Value) -> Value:
        low, high = (ops.constant(np.float32(end)) for end in ranges[name].ends)
        return ops.fake_quantize(value, low, high, low, high, 256)

    return rounded
