"""Rounding without calibration data: HQQ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.weights import HQQ, Quantized, Scheme
from lilliput.graph.stored import StoredWeight
from lilliput.quantize.hqq import hqq
from lilliput.quantize.rounding import nearest

Matrix = NDArray[np.float32]


class Unseen:
    """The :class:`~lilliput.quantize.stream.Rounding` of HQQ; matrices of other schemes are rounded to nearest."""

    def resume(self, done: Mapping[str, StoredWeight], file: Path) -> None:
        """Do nothing: there is no state."""

    def change(self, name: str, weight: Matrix) -> Matrix:
        """Return the weight unchanged."""
        return weight

    def round(self, name: str, weight: Matrix, scheme: Scheme) -> Quantized:
        """Codes of ``weight [rows, width]``."""
        return hqq(weight, scheme) if scheme.rounding == HQQ else nearest(weight, scheme)
