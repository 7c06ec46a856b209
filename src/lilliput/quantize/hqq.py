"""Half-quadratic quantization: optimize zero points, from the weights alone.

"Half-Quadratic Quantization of Large Machine Learning Models" (Badri & Shaji 2023). The range fixes the scale. The zero
point z minimizes the lp norm (p < 1) of the rounding errors, which is insensitive to a few large errors. An auxiliary
variable stands for the errors, and the two are optimized in turn: the errors by generalized soft thresholding, z by a
mean.

The paper's zero points are floating point; here they are integers among the codes, as the engine stores them. A zero
point seldom moves by half a step, and measured on weights of five distributions, moving it changed the squared error by
less than a thousandth. The gain here comes from the surrounding search for a scale, which ``hqq`` describes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.weights import Codes, Quantized, Scheme, storable_scales
from lilliput.quantize.rounding import Matrix, encoded, grouped, ranges

NORM = 0.7
"""The paper's p."""
PENALTY, GROWTH = 10.0, 1.01
"""The paper's beta and kappa. Errors are measured in steps here, so that the scale of the weights does not matter."""
ITERATIONS, TOLERANCE = 20, 0.02
"""Most iterations, and the mean change in steps below which they end: zero points are rounded to whole steps later."""
REFITS = 2
RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of a group's range to try: with few codes, a finer grid is worth some clipped weights."""
WEIGHTS = 2**17
"""Weights processed at once, which keeps temporaries within a few megabytes."""


def hqq(weight: Matrix, scheme: Scheme) -> Quantized:
    """Round with optimized zero points and fitted scales, group by group.

    For each share of the range in :data:`RATIOS`, the zero point is optimized in floating point and rounded both up and
    down; then the scale is fitted to the codes by least squares, and the codes to the scale, :data:`REFITS` times. Of
    these results and the plain range, the one of least squared error is taken: no group is worse than with ``nearest``.

    Args:
        weight: ``[rows, width]``.
        scheme: its group divides the width; not symmetric.

    Raises:
        ValueError: ``scheme`` is symmetric.
    """
    scales, zeros = ranges(weight, scheme)
    if zeros is None:
        raise ValueError("hqq moves zero points, and a symmetric scheme has none")
    groups = grouped(weight, scheme)
    groups = groups.reshape(-1, groups.shape[-1])
    flat_scales, flat_zeros = scales.reshape(-1, 1), zeros.reshape(-1, 1)
    block = max(1, WEIGHTS // groups.shape[1])
    for first in range(0, len(groups), block):
        part = slice(first, first + block)
        flat_scales[part], flat_zeros[part] = _improved(groups[part], flat_scales[part], flat_zeros[part], scheme)
    return Quantized(scheme, _codes(weight, scheme, scales, zeros), scales, zeros)


def _improved(
    groups: Matrix, scales: NDArray[np.float16], zeros: NDArray[np.uint8], scheme: Scheme
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Improve scales and zero points ``[groups, 1]`` to the least squared error for ``groups [groups, size]``."""
    high = scheme.codes[1]
    # Only a whole matrix as one group is larger than a block; then the search uses a sample.
    sample = groups[:, :: -(-groups.shape[1] // WEIGHTS)]
    start: Matrix = -np.minimum(groups.min(axis=1, keepdims=True), 0) / scales.astype(np.float32)
    least, best = np.full(scales.shape, np.inf), (scales, zeros)
    for ratio in RATIOS:
        step = storable_scales(scales.astype(np.float32) * np.float32(ratio))
        # Shrinking the range towards zero keeps zero's place among the codes.
        middle = _moved(np.divide(sample, step, dtype=np.float32), start, high)
        for rounded in (np.floor(middle), np.ceil(middle)):
            place = np.clip(rounded, 0, high)
            fitted = step
            for _ in range(REFITS):
                fitted = _fitted(sample, fitted, place, high)
            error = _squared_errors(sample, fitted, place, high)
            better = error < least
            least = np.where(better, error, least)
            best = (np.where(better, fitted, best[0]), np.where(better, place, best[1]).astype(np.uint8))
    kept = _squared_errors(groups, *best, high) < _squared_errors(groups, scales, zeros, high)
    return np.where(kept, best[0], scales), np.where(kept, best[1], zeros)


def _moved(steps: Matrix, zeros: Matrix, high: int) -> Matrix:
    """Floating-point zero points ``[groups, 1]`` of least lp error, by half-quadratic splitting from ``zeros``.

    Args:
        steps: weights divided by their scale, ``[groups, size]``.
        zeros: initial zero points, ``[groups, 1]``.
        high: the largest code.
    """
    least, best = np.full(zeros.shape, np.inf, np.float32), zeros
    penalty = PENALTY
    for _ in range(ITERATIONS):
        codes = np.rint(steps + zeros)
        np.clip(codes, 0, high, out=codes)
        errors = steps - codes
        errors += zeros
        sizes = np.abs(errors)
        # |e|^p = |e| |e|^(p-1): the norm reuses the threshold's power. Computed by logarithms, it takes half as long.
        powers = np.maximum(sizes, np.float32(1e-6))
        np.log(powers, out=powers)
        powers *= np.float32(NORM - 1)
        np.exp(powers, out=powers)
        norms = np.einsum("ij,ij->i", sizes, powers)[:, None]
        better = norms < least
        least, best = np.where(better, norms, least), np.where(better, zeros, best)
        # The generalized soft threshold: large errors count as outliers, small ones as zero.
        powers *= np.float32(1 / penalty)
        sizes -= powers
        np.maximum(sizes, 0, out=sizes)
        outliers = np.copysign(sizes, errors)
        earlier, zeros = zeros, (codes - steps + outliers).mean(axis=1, keepdims=True)
        if np.abs(zeros - earlier).mean() < TOLERANCE:
            break
        penalty *= GROWTH
    return best


def _fitted(groups: Matrix, scales: NDArray[np.float16], zeros: Matrix, high: int) -> NDArray[np.float16]:
    """Scales ``[groups, 1]`` fitted by least squares to the codes that ``scales`` give."""
    codes = _places(groups, scales, zeros, high)
    above = np.einsum("ij,ij->i", codes, groups)[:, None]
    below = np.einsum("ij,ij->i", codes, codes)[:, None]
    usable = (above > 0) & (below > 0)
    return np.where(usable, storable_scales(above / np.maximum(below, 1)), scales)


def _squared_errors(groups: Matrix, scales: NDArray[np.float16], zeros: NDArray[Any], high: int) -> NDArray[np.float64]:
    """Squared error of each group, ``[groups, 1]``."""
    total = np.zeros(scales.shape)
    for first in range(0, groups.shape[1], WEIGHTS):
        part = groups[:, first : first + WEIGHTS]
        errors = _places(part, scales, zeros, high)
        errors *= scales
        errors -= part
        total += np.square(errors, out=errors).sum(axis=1, keepdims=True, dtype=np.float64)
    return total


def _places(groups: Matrix, scales: NDArray[np.float16], zeros: NDArray[Any], high: int) -> Matrix:
    """Codes minus zero points, ``[groups, size]``."""
    places: Matrix = np.divide(groups, scales, dtype=np.float32)
    np.rint(places, out=places)
    offsets = zeros.astype(np.float32)
    return np.clip(places, -offsets, high - offsets, out=places)


def _codes(weight: Matrix, scheme: Scheme, scales: NDArray[np.float16], zeros: NDArray[np.uint8]) -> Codes:
    """``encoded``, a few rows at a time."""
    block = max(1, WEIGHTS // weight.shape[1])
    codes = np.empty(weight.shape, np.uint8)
    for first in range(0, len(weight), block):
        part = slice(first, first + block)
        # With one scale for the whole matrix, every part uses it.
        own = part if len(scales) == len(weight) else slice(None)
        codes[part] = encoded(weight[part], scheme, scales[own], zeros[own])
    return codes
