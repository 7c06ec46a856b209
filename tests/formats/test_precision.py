"""The arithmetic of quantization against its definition."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import numpy_helper

from lilliput.formats.packing import packed
from lilliput.formats.precision import PRECISIONS, ActivationRange, dequantize_rows, quantize_rows

matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 150)),
    elements=st.floats(-100, 100, width=32),
)


@settings(deadline=None)
@given(matrices, st.sampled_from(["int8", "int4"]))
def test_every_weight_is_within_half_a_step(weight, name):
    precision = PRECISIONS[name]
    codes, scales = quantize_rows(weight, precision)
    assert codes.dtype == np.int8
    assert np.abs(codes.astype(int)).max() <= precision.largest
    steps = np.repeat(scales, precision.group or weight.shape[1], axis=1)[:, : weight.shape[1]]
    assert (np.abs(dequantize_rows(codes, scales, precision) - weight) <= steps * 0.5001 + 1e-6).all()


@given(arrays.arrays(np.int8, st.integers(1, 99), elements=st.integers(-7, 7)))
def test_onnx_unpacks_packed_codes(codes):
    tensor = onnx.helper.make_tensor("codes", onnx.TensorProto.INT4, codes.shape, packed(codes, 4).tobytes(), raw=True)
    assert (numpy_helper.to_array(tensor).astype(np.int8) == codes).all()


@given(st.floats(-50, -1e-3), st.floats(0, 50))
def test_zero_is_exact_and_the_ends_are_reached(low, high):
    found = ActivationRange(low, high)
    assert 0 <= found.zero_point <= 255
    lowest, highest = ((code - found.zero_point) * found.scale for code in (0, 255))
    assert lowest == pytest.approx(low, abs=found.scale)
    assert highest == pytest.approx(high, abs=found.scale)


def test_row_of_zeros_stays_zero():
    codes, scales = quantize_rows(np.zeros((2, 3), np.float32), PRECISIONS["int8"])
    assert not codes.any()
    assert (scales > 0).all()
