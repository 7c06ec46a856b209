"""Kernels tried out: ``python -m lilliput.kernels.trial LIBRARY`` ends with exit code 0 if they multiply rightly."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from lilliput.kernels.library import Layout, Library

ROWS, COLUMNS, GROUP = 40, 96, 32


def main(file: str) -> int:
    """Multiply one token and several, with codes of each width."""
    library, random = Library(Path(file)), np.random.default_rng(0)
    inputs = random.integers(-127, 128, (2, 7, COLUMNS)).astype(np.float32)
    inputs[..., ::GROUP] = 127  # so that rounding changes nothing
    for bits in (4, 8):
        codes = random.integers(0, 2**bits, (ROWS, COLUMNS), np.uint8)
        stored = codes if bits == 8 else codes[:, ::2] | codes[:, 1::2] << 4
        scales = random.uniform(0.5, 2, (ROWS, COLUMNS // GROUP)).astype(np.float16)
        weights = (codes.astype(np.float32) - 2 ** (bits - 1)) * scales.repeat(GROUP, 1)
        for tokens in inputs, inputs[:1, :1]:
            number = library.packed(Layout(ROWS, COLUMNS, GROUP, bits, 1, 0, 0), stored, scales, None, False, 2)
            if not _is_near(_product(library, number, tokens), tokens @ weights.T):
                print(f"wrong products of {bits}-bit weights", file=sys.stderr)
                return 1
    return 0


def _product(library: Library, number: int, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
    place = ov.opset13.parameter([-1, -1, COLUMNS], ov.Type.f32)
    model = ov.Model([library.products(place.output(0), [number], 2)], [place], "trial")
    result: NDArray[np.float32] = ov.Core().compile_model(model, "CPU")([tokens])[0]
    return result


def _is_near(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> bool:
    return bool(np.allclose(found, wanted, rtol=1e-5, atol=1e-3 * np.abs(wanted).max()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
