"""Quantization of classifiers: the settings as data, and the arithmetic in numpy.

Weights are symmetric (no zero point), per row or per group of a row; activations are per tensor, with a zero point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Precision:
    """How weights are stored.

    Attributes:
        name: its name for ``--precision``.
        bits: 32, 8 or 4.
        group: number of weights of a row that share a scale; 0: the whole row.
    """

    name: str
    bits: int
    group: int = 0

    @property
    def largest(self) -> int:
        """Largest integer code: 127 for 8 bits, 7 for 4 (the range is symmetric)."""
        return int(2 ** (self.bits - 1) - 1)


PRECISIONS = {p.name: p for p in (Precision("fp32", 32), Precision("int8", 8), Precision("int4", 4, group=32))}
"""Precision name -> precision."""


@dataclass(frozen=True)
class ActivationRange:
    """The calibrated range of an activation tensor, quantized to unsigned 8 bits with a zero point.

    Attributes:
        low: smallest value represented, at most 0.
        high: largest value represented, at least 0.
    """

    low: float
    high: float

    @property
    def scale(self) -> float:
        """Width of one step."""
        return float(max(self.high - self.low, 1e-8) / 255.0)

    @property
    def zero_point(self) -> int:
        """The code that represents 0."""
        return int(np.clip(np.rint(-self.low / self.scale), 0, 255))

    @property
    def ends(self) -> tuple[float, float]:
        """The values of codes 0 and 255: the range, shifted by less than a step so that one code is exactly 0."""
        return -self.zero_point * self.scale, (255 - self.zero_point) * self.scale


def quantize_rows(weight: NDArray[np.float32], precision: Precision) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric round-to-nearest of ``weight [rows, width]``.

    Returns:
        ``(codes int8 [rows, width], scales float32 [rows, groups])``: weight is close to ``codes * scale``. One group
        if ``precision.group`` is 0, otherwise ``ceil(width / group)``, the last one possibly shorter.
    """
    rows, width = weight.shape
    group = precision.group or width
    groups = -(-width // group)
    padded = np.zeros((rows, groups * group), np.float32)
    padded[:, :width] = weight
    blocks = padded.reshape(rows, groups, group)
    largest = np.abs(blocks).max(axis=2)
    scales = np.maximum(largest / precision.largest, np.finfo(np.float32).tiny)
    codes = np.clip(np.rint(blocks / scales[:, :, None]), -precision.largest, precision.largest).astype(np.int8)
    return np.ascontiguousarray(codes.reshape(rows, -1)[:, :width]), scales


def dequantize_rows(codes: NDArray[np.int8], scales: NDArray[np.float32], precision: Precision) -> NDArray[np.float32]:
    """The inverse of :func:`quantize_rows`, up to rounding."""
    group = precision.group or codes.shape[1]
    return codes.astype(np.float32) * np.repeat(scales, group, axis=1)[:, : codes.shape[1]]
