"""Whether the engine's products of 8-bit integers overflow on this processor, and what to do where they do."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

IN_FLOATING_POINT = {"LP_TRANSFORMS_MODE": False}
"""Property of OpenVINO 2026.4.1's CPU plugin, not among those it lists: products that would multiply integers multiply
in floating point what the integers stand for. Without VNNI that is not the slower way."""

WIDTH = 64


@functools.cache
def right_products() -> Mapping[str, Any]:
    """Properties with which products of rounded inputs come out right on this processor: none where they do anyway."""
    if not overflows({}):
        return {}
    try:
        if not overflows(IN_FLOATING_POINT):
            return IN_FLOATING_POINT
    except RuntimeError:
        pass  # this version of the engine does not know it
    warnings.warn(
        "products of 8-bit integers overflow on this processor, and this version of OpenVINO cannot be kept from them: "
        "results of models with rounded inputs may be off. OpenVINO 2026.4.1 can.",
        stacklevel=2,
    )
    return {}


def overflows(properties: Mapping[str, Any]) -> bool:
    """Whether a sum of products of 8-bit codes comes out wrong, with these properties.

    A processor without VNNI (AVX2 alone, say) adds two products in 16 bits, and keeps what fits. Seen by trying: the
    largest inputs and the largest weights, whose sums need 17 bits.

    Raises:
        RuntimeError: the engine does not know one of the properties.
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
    """Whether a graph rounds inputs to ranges, and so may be given integer products."""
    return any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
