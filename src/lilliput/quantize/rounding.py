"""Round weights to the nearest codes, from the weights alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.weights import TENSOR, Codes, Quantized, Scheme, storable_scales

Matrix = NDArray[np.float32]


def nearest(weight: Matrix, scheme: Scheme) -> Quantized:
    """Round each weight to the nearest code of its group's range.

    Args:
        weight: ``[rows, width]``.
        scheme: its group divides the width.
    """
    scales, zeros = ranges(weight, scheme)
    return Quantized(scheme, encoded(weight, scheme, scales, zeros), scales, zeros)


def ranges(weight: Matrix, scheme: Scheme) -> tuple[NDArray[np.float16], NDArray[np.uint8] | None]:
    """Scales and zero points of ``weight [rows, width]`` with which the extreme weights of each group have a code.

    With symmetric codes of few bits, the extreme weight takes the lowest code, whatever its sign: a positive one makes
    the scale negative, and no code is lost. With 8 bits that code is not used, which suits the engine's kernels.
    """
    groups = grouped(weight, scheme)
    low, high = scheme.codes
    if scheme.kind.table is not None:
        return storable_scales(np.abs(groups).max(axis=2)), None
    if scheme.symmetric:
        least, most = groups.min(axis=2), groups.max(axis=2)
        extreme = np.where(-least > most, least, most)
        return storable_scales(np.abs(extreme) / high if scheme.kind.bits == 8 else extreme / low), None
    least, most = np.minimum(groups.min(axis=2), 0), np.maximum(groups.max(axis=2), 0)
    scales = storable_scales((most - least) / high)
    zeros = np.clip(np.rint(-least / scales.astype(np.float32)), low, high).astype(np.uint8)
    return scales, zeros


def encoded(weight: Matrix, scheme: Scheme, scales: NDArray[np.float16], zeros: NDArray[np.uint8] | None) -> Codes:
    """The nearest codes ``[rows, width]`` of ``weight``, given scales and zero points."""
    steps = grouped(weight, scheme) / scales.astype(np.float32)[:, :, None]
    table = scheme.kind.table
    if table is not None:
        codes = np.searchsorted((table[1:] + table[:-1]) / 2, steps).astype(np.uint8)
        return codes.reshape(weight.shape)
    low, high = scheme.codes
    if zeros is not None:
        steps += zeros[:, :, None]
    np.rint(steps, out=steps)
    np.clip(steps, -high if scheme.symmetric and scheme.kind.bits == 8 else low, high, out=steps)
    steps = steps.reshape(weight.shape)
    return steps.astype(np.int8) if low < 0 else steps.astype(np.uint8)


def grouped(weight: Matrix, scheme: Scheme) -> Matrix:
    """``weight [rows, width]`` as ``[scale rows, groups, weights of a group]``; a view."""
    if scheme.group == TENSOR:
        return weight.reshape(1, 1, -1)
    return weight.reshape(weight.shape[0], scheme.groups(weight.shape[1]), -1)
