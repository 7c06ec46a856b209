"""Storage formats of a generator's weights, and the values that codes represent.

A weight matrix ``[rows, width]`` becomes integer codes, with a scale (and a zero point, if it is not symmetric) for
each row, each group of a row, or the whole matrix: weight is close to ``(code - zero point) * scale``. Codes of ``nf4``
are indices into a table of 16 values instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import UserError

TENSOR, ROW = -1, 0
"""Special values of ``Scheme.group``: one scale for the whole matrix; one scale per row."""

NF4 = np.array(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ],
    np.float32,
)
"""Quantiles of a normal distribution ("QLoRA", Dettmers et al. 2023, appendix E)."""


@dataclass(frozen=True)
class Format:
    """A kind of code.

    Attributes:
        name: its name for ``--weights``.
        bits: bits of a code.
        stored_bits: bits of a code in the file; more than ``bits`` if the engine cannot run a type that narrow.
        floating: whether codes are floating-point numbers themselves, without scales.
        table: the table that codes are indices into; ``None``: codes are numbers.
    """

    name: str
    bits: int
    stored_bits: int
    floating: bool = False
    table: NDArray[np.float32] | None = None


FORMATS: Mapping[str, Format] = {
    format.name: format
    for format in (
        Format("fp32", 32, 32, floating=True),
        Format("fp16", 16, 16, floating=True),
        Format("int8", 8, 8),
        Format("int4", 4, 4),
        Format("nf4", 4, 4, table=NF4),
        Format("int3", 3, 4),
        Format("int2", 2, 2),
    )
}
"""Name -> format. The engine unpacks 3-bit codes to floating point on loading, so they are stored in 4 bits."""

NEAREST, GPTQ, AWQ, AWQ_GPTQ, HQQ = "nearest", "gptq", "awq", "awq-gptq", "hqq"
ROUNDINGS = (NEAREST, GPTQ, AWQ, AWQ_GPTQ, HQQ)
CALIBRATED = (GPTQ, AWQ, AWQ_GPTQ)
"""Roundings that use calibration data."""


@dataclass(frozen=True)
class Scheme:
    """How a weight matrix is stored.

    Attributes:
        format: a name in :data:`FORMATS`.
        symmetric: whether there are no zero points.
        group: number of neighbouring weights of a row that share a scale, or :data:`ROW`, or :data:`TENSOR`.
        rounding: a name in :data:`ROUNDINGS`; ``awq`` rescales columns first, ``gptq`` compensates for the output
            errors of earlier columns, ``awq-gptq`` does both, ``hqq`` optimizes zero points.
    """

    format: str = "int8"
    symmetric: bool = True
    group: int = ROW
    rounding: str = "nearest"

    def __post_init__(self) -> None:
        for option, value, known in (("weights", self.format, FORMATS), ("rounding", self.rounding, ROUNDINGS)):
            if value not in known:
                raise UserError(
                    f"unknown value '{value}'.",
                    where=f"--{option}",
                    remedy=f"Choose one of: {', '.join(known)}.",
                )
        if self.group < TENSOR or 0 < self.group < SMALLEST_GROUP:
            raise UserError(
                f"{self.group} is not a group size.",
                where="--group",
                remedy=f"Choose {SMALLEST_GROUP} or more, {ROW} for one scale per row, {TENSOR} for a single scale.",
            )
        if FORMATS[self.format].table is not None and not self.symmetric:
            raise UserError(
                f"codes of {self.format} have no zero points.", where="--asymmetric", remedy="Leave it out."
            )
        if self.rounding == "hqq" and self.symmetric:
            raise UserError("hqq moves zero points.", where="--rounding", remedy="Add --asymmetric, or choose another.")

    @property
    def kind(self) -> Format:
        """The scheme's format."""
        return FORMATS[self.format]

    @property
    def codes(self) -> tuple[int, int]:
        """Smallest and largest code."""
        if self.symmetric and self.kind.table is None:
            return -(2 ** (self.kind.bits - 1)), 2 ** (self.kind.bits - 1) - 1
        return 0, 2**self.kind.bits - 1

    def fitted(self, width: int) -> Scheme:
        """The scheme for rows of ``width`` weights: with the largest group that divides it, or whole rows.

        Groups that are not whole rows must be even, and above 32 multiples of 32: with others, the engine's products of
        4-bit weights are off by a tenth or more, for one to three tokens or for any number (OpenVINO 2026.4.1, AVX2).
        """
        if self.group <= 0:
            return self
        dividing = [size for size in range(min(self.group, width), SMALLEST_GROUP - 1, -1) if width % size == 0]
        right = [size for size in dividing if size == width or size % 32 == 0 or (size < 32 and size % 2 == 0)]
        return replace(self, group=right[0] if right else ROW)

    def groups(self, width: int) -> int:
        """Number of scales per row."""
        return 1 if self.group <= 0 else width // self.group

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


SMALLEST_GROUP = 16

Codes = NDArray[np.int8] | NDArray[np.uint8]


@dataclass(frozen=True)
class Quantized:
    """A quantized matrix.

    Attributes:
        scheme: how it is stored; its group divides the width.
        codes: ``[rows, width]``: int8 if the codes may be negative, otherwise uint8.
        scales: float16 ``[rows, groups]``; ``[1, 1]`` for :data:`TENSOR`.
        zeros: uint8, in the shape of the scales; ``None``: symmetric.
    """

    scheme: Scheme
    codes: Codes
    scales: NDArray[np.float16]
    zeros: NDArray[np.uint8] | None = None

    def values(self) -> NDArray[np.float32]:
        """The dequantized weights, ``[rows, width]``."""
        rows, width = self.codes.shape
        table = self.scheme.kind.table
        codes = table[self.codes] if table is not None else self.codes.astype(np.float32)
        codes = codes.reshape(rows, self.scales.shape[1], -1)
        if self.zeros is not None:
            codes -= self.zeros[:, :, None]
        codes *= self.scales.astype(np.float32)[:, :, None]
        return codes.reshape(rows, width)


SMALLEST_SCALE, LARGEST_SCALE = 2.0**-24, 65504
"""Smallest positive and largest float16; scales are clamped to them."""

SMALLEST_NORMAL = 2.0**-14
"""Smallest normal float16; smaller numbers have fewer digits."""


def storable_scales(scales: NDArray[np.float32]) -> NDArray[np.float16]:
    """Scales as they are stored: never zero, and never too large for float16."""
    tiny, huge = np.float32(SMALLEST_SCALE), np.float32(LARGEST_SCALE)
    clipped = np.clip(np.abs(scales), tiny, huge)
    stored = clipped.astype(np.float16)
    # Below 2^-14 float16 has few digits: a scale rounded down could put the extreme weights steps away from a code.
    short = stored < clipped * np.float32(1 - 2.0**-11)
    stored[short] = np.nextafter(stored[short], np.float16(1))
    return np.copysign(stored, scales).astype(np.float16)
