"""Where products of 8-bit integers overflow, against the processor's flags and against numpy."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from lilliput.runtime import overflow
from lilliput.runtime.engine import Engine
from lilliput.runtime.overflow import IN_FLOATING_POINT, WIDTH, overflows, rounds_inputs

CPU = Path("/proc/cpuinfo")


def rounded_product(largest):
    """A product in which the sum of two terms needs 17 bits."""
    value = ops.parameter([-1, WIDTH], ov.Type.f32)
    low, high = ops.constant(np.float32(0)), ops.constant(np.float32(largest))
    rounded = ops.fake_quantize(value, low, high, low, high, 256)
    codes = ops.convert(ops.constant(np.full((WIDTH, WIDTH), -127, np.int8)), "f32")
    weights = ops.multiply(codes, ops.constant(np.ones((WIDTH, 1), np.float32)))
    return ov.Model([ops.matmul(rounded, weights, False, True)], [value], "product")


@pytest.mark.skipif(not CPU.exists(), reason="the processor's flags are read from /proc/cpuinfo")
def test_overflow_is_predicted_from_the_processor_flags():
    flags = CPU.read_text(encoding="utf-8", errors="replace")
    if "avx2" not in flags:
        pytest.skip("not an x86 processor with AVX2")
    assert overflows({}) == ("vnni" not in flags)


def test_products_of_the_largest_codes_are_right():
    (found,) = Engine(rounded_product(255), 1)(np.full((3, WIDTH), 255, np.float32))
    np.testing.assert_allclose(found, np.full((3, WIDTH), -127.0 * 255 * WIDTH), rtol=1e-6)


def test_warns_if_the_engine_lacks_the_property(monkeypatch):
    monkeypatch.setattr(overflow, "IN_FLOATING_POINT", {"NO_SUCH_PROPERTY": True})
    overflow.right_products.cache_clear()
    try:
        if overflows({}):
            with pytest.warns(UserWarning, match="overflow on this processor"):
                assert overflow.right_products() == {}
        else:
            assert overflow.right_products() == {}
    finally:
        overflow.right_products.cache_clear()


def test_only_graphs_with_static_ranges_are_affected():
    assert rounds_inputs(rounded_product(255))
    value = ops.parameter([1, WIDTH], ov.Type.f32)
    assert not rounds_inputs(ov.Model([ops.relu(value)], [value], "plain"))


def test_engine_still_knows_the_property():
    """The property is unlisted: a version of the engine without it must fail here, not give wrong values."""
    engine = Engine(rounded_product(255), 1, IN_FLOATING_POINT)
    assert not any(engine.integer_products().values())
