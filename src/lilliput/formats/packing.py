"""Pack codes as the engine's element types store them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.weights import Codes, Scheme


def element_type(scheme: Scheme) -> str:
    """The engine's name of the element type of stored codes: ``i8``, ``u4``, ``nf4``, ``f16``, ..."""
    kind = scheme.kind
    if kind.floating:
        return f"f{kind.stored_bits}"
    if kind.table is not None:
        return kind.name
    return f"{'u' if unsigned(scheme) else 'i'}{kind.stored_bits}"


def unsigned(scheme: Scheme) -> bool:
    """Whether codes are stored with zero points; 2-bit codes always are, since the engine has no other 2-bit type."""
    return not scheme.symmetric or scheme.kind.stored_bits == 2


def lifted(codes: Codes, scheme: Scheme) -> Codes:
    """Codes as stored: symmetric codes that are stored with zero points are shifted to 0 and above."""
    if scheme.symmetric and unsigned(scheme):
        return (codes.astype(np.int16) - scheme.codes[0]).astype(np.uint8)
    return codes


def packed(codes: Codes, bits: int) -> NDArray[np.uint8]:
    """Flatten and pack codes of 8, 4 or 2 bits, the first in the lowest bits of a byte; zeros fill the last byte."""
    flat = codes.reshape(-1).view(np.uint8)
    if bits == 8:
        return flat
    share = 8 // bits
    if flat.size % share:
        flat = np.concatenate((flat, np.zeros(share - flat.size % share, np.uint8)))
    mask = np.uint8(2**bits - 1)
    result = flat[0::share] & mask
    for place in range(1, share):
        result |= (flat[place::share] & mask) << np.uint8(bits * place)
    return result


def unpacked(raw: NDArray[np.uint8], bits: int, count: int, signed: bool) -> Codes:
    """The first ``count`` codes of the output of :func:`packed`."""
    if bits == 8:
        return raw[:count].view(np.int8) if signed else raw[:count]
    share = 8 // bits
    codes = np.empty((raw.size, share), np.uint8)
    for place in range(share):
        codes[:, place] = (raw >> np.uint8(bits * place)) & np.uint8(2**bits - 1)
    flat = codes.reshape(-1)[:count]
    if not signed:
        return flat
    shift = np.uint8(8 - bits)
    return (flat << shift).view(np.int8) >> shift.astype(np.int8)
