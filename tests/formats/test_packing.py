"""Packing codes into bytes, against packing them one after another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lilliput.formats.packing import element_type, lifted, packed, unpacked, unsigned
from lilliput.formats.weights import Scheme

WIDTHS = [8, 4, 2]


def plainly_packed(codes, bits):
    """Pack codes into one big integer, the first code in its lowest bits."""
    number = 0
    for place, code in enumerate(codes):
        number |= (code % 2**bits) << (bits * place)
    return number.to_bytes(-(-len(codes) * bits // 8), "little")


@st.composite
def coded(draw):
    """A width of codes, whether they are signed, and a matrix of such codes."""
    bits, signed = draw(st.sampled_from(WIDTHS)), draw(st.booleans())
    low = -(2 ** (bits - 1)) if signed else 0
    kind = np.int8 if signed else np.uint8
    shape = draw(st.tuples(st.integers(0, 7), st.integers(0, 9)))
    return bits, signed, draw(arrays.arrays(kind, shape, elements=st.integers(low, low + 2**bits - 1)))


@given(coded())
def test_codes_are_packed_as_in_the_plain_way(case):
    bits, _, codes = case
    assert packed(codes, bits).tobytes() == plainly_packed(codes.reshape(-1).tolist(), bits)


@given(coded())
def test_packed_codes_survive_unpacking(case):
    bits, signed, codes = case
    found = unpacked(packed(codes, bits), bits, codes.size, signed)
    assert found.dtype == codes.dtype
    np.testing.assert_array_equal(found, codes.reshape(-1))


@pytest.mark.parametrize("bits", WIDTHS)
def test_last_byte_is_padded_with_zeros(bits):
    share = 8 // bits
    raw = packed(np.full(share + 1, 2**bits - 1, np.uint8), bits)
    assert raw.tolist() == [255, 2**bits - 1]


def test_packing_leaves_the_codes_unchanged():
    codes = np.arange(-8, 8, dtype=np.int8)
    before = codes.copy()
    packed(codes, 4)
    np.testing.assert_array_equal(codes, before)


def test_every_other_column_can_be_packed():
    codes = np.arange(64, dtype=np.uint8).reshape(8, 8) % 16
    assert packed(codes[:, ::2], 4).tobytes() == plainly_packed(codes[:, ::2].reshape(-1).tolist(), 4)


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        (Scheme("fp32"), "f32"),
        (Scheme("fp16"), "f16"),
        (Scheme("int8"), "i8"),
        (Scheme("int8", False), "u8"),
        (Scheme("int4"), "i4"),
        (Scheme("int4", False), "u4"),
        (Scheme("nf4"), "nf4"),
        (Scheme("int3"), "i4"),
        (Scheme("int3", False), "u4"),
        (Scheme("int2"), "u2"),
        (Scheme("int2", False), "u2"),
    ],
)
def test_element_types_of_the_engine(scheme, name):
    assert element_type(scheme) == name


@pytest.mark.parametrize("name", ["int8", "int4", "int3", "int2"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_lifted_codes_fit_their_stored_type(name, symmetric):
    scheme = Scheme(name, symmetric)
    low, high = scheme.codes
    codes = np.arange(low, high + 1).astype(np.int8 if low < 0 else np.uint8)
    found = lifted(codes, scheme)
    moved = symmetric and name == "int2"
    np.testing.assert_array_equal(found, codes + 2 if moved else codes)
    if unsigned(scheme):
        assert found.min() >= 0
        assert found.max() < 2**scheme.kind.stored_bits


def test_lifting_subtracts_what_the_zero_points_add():
    scheme = Scheme("int2")
    assert lifted(np.array([-2, -1, 0, 1], np.int8), scheme).tolist() == [0, 1, 2, 3]
    assert -scheme.codes[0] == 2
