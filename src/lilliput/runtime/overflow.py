"""Detect whether the engine's products of 8-bit integers overflow on this processor, and work around it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

IN_FLOATING_POINT = {"LP_TRANSFORMS_MODE": False}
"""Property of OpenVINO 2026.4.1's CPU plugin, which the plugin does not list: products of integers are computed in
floating point, on the values that the integers represent. Without VNNI, this is not slower."""

WIDTH = 64


@functools.cache
def right_products() -> Mapping[str, Any]:
    """Properties that make products of rounded inputs correct on this processor; empty if they already are."""
    if not overflows({}):
        return {}
    try:
        if not overflows(IN_FLOATING_POINT):
            return IN_FLOATING_POINT
    except RuntimeError:
        pass  # this version of the engine lacks the property
    warnings.warn(
        "products of 8-bit integers overflow on this processor, and this version of OpenVINO cannot avoid that: "
        "results of models with rounded inputs may be off. OpenVINO 2026.4.1 can.",
        stacklevel=2,
    )
    return {}


def overflows(properties: Mapping[str, Any]) -> bool:
    """Whether a sum of products of 8-bit codes is wrong with these properties.

    A processor without VNNI (with only AVX2, say) adds two products in 16 bits, which saturates. This tries the largest
    inputs with the largest weights, whose sums need 17 bits.

    Raises:
        RuntimeError: the engine lacks one of the properties.
    """
    value = ops.parameter([1, WIDTH], ov.Type.f32)
    ends = [ops.constant(np.float32(end)) for end in (-1.0, 1.0)]
    rounded = ops.fake_quantize(value, *ends, *ends, 256)
    codes = ops.constant(np.full((WIDTH, WIDTH), 127, np.int8))
    weights = ops.multiply(ops.convert(codes, "f32"), ops.constant(np.full((WIDTH, 1), 1 / 127, np.float32)))
    model = ov.Model([ops.matmul(rounded, weights, False, True)], [value], "overflow")
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **properties})
    (found,) = compiled(np.ones((1, WIDTH), np.float32)).values()
    return not np.allclose(found, WIDTH, rtol=0.02)


def rounds_inputs(model: ov.Model) -> bool:
    """Whether a graph rounds inputs to ranges, so that the engine may use integer products."""
    return any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
