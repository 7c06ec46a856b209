"""AWQ: rescale columns by the size of their inputs, and clip ranges, before rounding.

"AWQ: Activation-aware Weight Quantization" (Lin et al., MLSys 2024). Columns that read large inputs are multiplied by
s > 1, and their inputs divided by it. The product is unchanged, but the rounding errors of these columns count for less
(section 3.2). Clipping is a step of the released method: it sacrifices the few largest weights of a group when finer
steps for all others are worth more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.weights import ROW, TENSOR, Quantized, Scheme
from lilliput.quantize.rounding import Matrix, encoded, grouped, nearest, ranges

WEIGHTS = 2**20
"""Weights processed at once, which keeps temporaries within tens of megabytes."""
TOKENS = 512
"""Number of inputs that clipping uses."""
SPREAD = 1e-4
"""Inputs smaller than this share of the largest are raised to it, so that s stays in floating-point range."""


def column_scales(weights: Sequence[Matrix], inputs: Matrix, scheme: Scheme, steps: int = 20) -> Matrix:
    """Column scales ``[width]`` for matrices that read the same inputs: multiply columns by them, divide inputs.

    s = mean|x|^alpha (equation 5), divided by sqrt(max s * min s); of ``steps + 1`` values of alpha from 0 to 1, the
    one with the least sum over matrices of ||x W^T - (x / s) Q(W s)^T||^2 (equation 4) is taken. Alpha 0 means no
    scaling, so the outputs for these inputs never get worse.

    Args:
        weights: each ``[rows, width]``.
        inputs: ``[tokens, width]``.
        scheme: its group divides the width.
        steps: number of steps between values of alpha.
    """
    reader = _Reader(inputs, inputs.shape[1])
    sizes = np.abs(inputs).mean(axis=0)
    sizes = np.maximum(sizes, max(SPREAD * float(sizes.max()), float(np.finfo(np.float32).tiny)))
    best = np.ones(inputs.shape[1], np.float32)
    least = _scaled_error(weights, reader, scheme, best)
    for step in range(1, steps + 1):
        scales = sizes ** np.float32(step / steps)
        scales /= np.sqrt(scales.max()) * np.sqrt(scales.min())
        error = _scaled_error(weights, reader, scheme, scales)
        if error < least:
            least, best = error, scales
    return best


def clip(weight: Matrix, inputs: Matrix, scheme: Scheme, steps: int = 10, shrink: float = 0.5) -> Matrix:
    """Clamp each group of ``weight [rows, width]`` to the share of its largest magnitude that suits its inputs best.

    The share minimizes ||x (w - Q(clamped w))||^2 over the group's own columns; leaving the group unclamped is among
    the choices.

    Args:
        weight: ``[rows, width]``.
        inputs: ``[tokens, width]``; at most :data:`TOKENS`, evenly spaced, are used.
        scheme: its group divides the width.
        steps: number of steps between shares.
        shrink: the smallest share is ``1 - shrink``.
    """
    groups = grouped(weight, scheme)
    low, high = groups.min(axis=2), groups.max(axis=2)
    largest = np.maximum(-low, high)
    reader = _Reader(inputs[:: -(-len(inputs) // TOKENS)], weight.shape[1] // scheme.groups(weight.shape[1]))
    least, best = np.full(largest.shape, np.inf), largest
    for step in range(steps + 1):
        limits = largest * np.float32(1 - shrink * step / steps)
        # Ranges depend only on a group's extremes, so even a whole matrix's are known before its parts are clamped.
        ends = np.stack([np.maximum(low, -limits), np.minimum(high, limits)], axis=-1).reshape(-1, 2)
        scales, zeros = ranges(ends, Scheme(scheme.format, scheme.symmetric, ROW))
        found = scales.reshape(low.shape), None if zeros is None else zeros.reshape(low.shape)
        errors = _clipped_errors(weight, reader, scheme, limits, *found)
        better = errors < least
        least, best = np.where(better, errors, least), np.where(better, limits, best)
    return _clamped(weight, scheme, best)


class _Reader:
    """Output errors of weights, summed over inputs.

    ||x d||^2 is computed directly, or as d^T (x^T x) d if tokens outnumber the weights of a group.
    """

    def __init__(self, inputs: Matrix, size: int) -> None:
        """Prepare for groups of ``size`` columns of ``inputs [tokens, width]``."""
        groups = inputs.reshape(len(inputs), -1, size).transpose(1, 2, 0)
        self.squared = len(inputs) > size
        self.factors = groups @ groups.transpose(0, 2, 1) if self.squared else np.ascontiguousarray(groups)

    def errors(self, differences: Matrix) -> NDArray[np.float64]:
        """Errors ``[rows, groups]`` for ``differences [rows, width]``."""
        groups = differences.reshape(len(differences), len(self.factors), -1).transpose(1, 0, 2)
        outputs = groups @ self.factors
        np.multiply(outputs, groups if self.squared else outputs, out=outputs)
        errors: NDArray[np.float64] = outputs.sum(axis=2, dtype=np.float64).T
        return errors


def _scaled_error(weights: Sequence[Matrix], reader: _Reader, scheme: Scheme, scales: Matrix) -> float:
    """The total output error of all matrices, quantized with scaled columns."""
    total = 0.0
    for weight in weights:
        # A scale for the whole matrix depends on the whole matrix.
        block = len(weight) if scheme.group == TENSOR else max(1, WEIGHTS // weight.shape[1])
        for first in range(0, len(weight), block):
            part = weight[first : first + block]
            total += float(reader.errors(nearest(part * scales, scheme).values() / scales - part).sum())
    return total


def _clipped_errors(
    weight: Matrix,
    reader: _Reader,
    scheme: Scheme,
    limits: Matrix,
    scales: NDArray[np.float16],
    zeros: NDArray[np.uint8] | None,
) -> NDArray[np.float64]:
    """Output errors of each group, in the shape of ``limits``, scales and zero points."""
    errors = np.empty((len(weight), len(reader.factors)))
    block = max(1, WEIGHTS // weight.shape[1])
    for first in range(0, len(weight), block):
        rows = slice(first, first + block)
        # With one scale for the whole matrix, every part uses it.
        own = slice(None) if scheme.group == TENSOR else rows
        parts = scales[own], None if zeros is None else zeros[own]
        codes = encoded(_clamped(weight[rows], scheme, limits[own]), scheme, *parts)
        errors[rows] = reader.errors(Quantized(scheme, codes, *parts).values() - weight[rows])
    return errors.sum(keepdims=True) if scheme.group == TENSOR else errors


def _clamped(weight: Matrix, scheme: Scheme, limits: Matrix) -> Matrix:
    """``weight`` with the magnitudes of each group clamped to its limit."""
    return np.clip(grouped(weight, scheme), -limits[:, :, None], limits[:, :, None]).reshape(weight.shape)
