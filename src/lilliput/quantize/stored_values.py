"""Read stored weights back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.packing import unpacked, unsigned
from lilliput.formats.weights import Quantized
from lilliput.graph.stored import CODES, SCALES, ZEROS, StoredWeight


def stored_values(entry: StoredWeight, file: Path) -> NDArray[np.float32]:
    """The values that a stored weight represents, in its shape."""

    def part(name: str) -> NDArray[np.uint8]:
        first, size = entry.places[name]
        return np.fromfile(file, np.uint8, size, offset=first)

    scheme = entry.scheme
    if scheme.kind.floating:
        kind = np.float32 if scheme.kind.bits == 32 else np.float16
        return part(CODES).view(kind).astype(np.float32).reshape(entry.shape)
    width = entry.shape[1]
    signed = scheme.kind.table is None and not unsigned(scheme)
    bits = scheme.kind.stored_bits
    codes = unpacked(part(CODES), bits, math.prod(entry.shape), signed).reshape(entry.shape)
    scales = part(SCALES).view(np.float16).reshape(-1, scheme.groups(width))
    zeros = None
    if ZEROS in entry.places:
        zeros = unpacked(part(ZEROS), bits, scales.size, signed=False).reshape(scales.shape).view(np.uint8)
    return Quantized(scheme, codes, scales, zeros).values()
