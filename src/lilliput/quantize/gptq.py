"""GPTQ: round columns in turn, and let later columns compensate for the errors of earlier ones.

"GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (Frantar et al., ICLR 2023). The aim
is a small output error ||(W - Q) X||^2 = tr((W - Q) H (W - Q)^T), where H = X X^T holds the inputs' second moments.

Algorithm 1 updates all later columns after each one, by rows of the Cholesky factor of H^-1. This module computes the
same from H = R R^T with R upper triangular, whose inverse is that factor. Given errors E of the earlier columns, the
best value of column j is ``W_j + E R_j / R_jj``, summed over earlier columns only ("QuIP", Chee et al. 2023, section 3
and theorem 6). So H need not be inverted, and each column is updated only when it is about to be rounded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.weights import ROW, Codes, Quantized, Scheme
from lilliput.quantize.rounding import Matrix, encoded, ranges

ATTEMPTS = 3
"""Attempts at a Cholesky factor, each with ten times the damping."""


def gptq(
    weight: Matrix,
    scheme: Scheme,
    hessian: NDArray[np.floating],
    damping: float = 0.01,
    block: int = 128,
    act_order: bool = True,
) -> Quantized:
    """Round ``weight`` for a small output error.

    A column whose inputs were always zero is rounded to nearest, because its inputs may be nonzero after calibration.

    Args:
        weight: ``[rows, width]``.
        scheme: its group divides the width.
        hessian: ``[width, width]``: the sum, or mean, of the inputs' outer products.
        damping: added to the diagonal, as a share of its mean. Few inputs need more, or outputs for other inputs get
            worse: with as many synthetic inputs as columns, 0.01 was worse than rounding to nearest, and 0.1 better.
        block: columns whose compensation for earlier blocks is computed in one product.
        act_order: whether columns with large inputs come first, while most others are left to compensate. Scales are
            then those of the original weights, and codes keep their order. Otherwise columns are taken in order, and a
            group's scales are those of its weights as compensated so far. Measured, ``act_order`` gave the smaller
            error in nearly all cases, by 0 to 60 %.

    Raises:
        ValueError: ``hessian`` is not a sum of outer products.
    """
    rows, width = weight.shape
    order = np.argsort(-np.diagonal(hessian), kind="stable") if act_order else np.arange(width)
    factor = _factor(hessian, order, damping)
    scales, zeros = ranges(weight, scheme)
    size = width // scheme.groups(width)
    moving = not act_order and size < width
    if moving:
        # Blocks hold whole groups, so that all of a group's weights are available at its first column.
        block = max(size, block // size * size)
    column_scheme = Scheme(scheme.format, scheme.symmetric, ROW)
    codes: Codes = np.empty(weight.shape, np.int8) if scheme.codes[0] < 0 else np.empty(weight.shape, np.uint8)
    errors = np.empty((width, rows), np.float32)
    for start in range(0, width, block):
        stop = min(start + block, width)
        originals = weight.T[order[start:stop]]
        pulls = factor[:start, start:stop].T @ errors[:start]
        for place in range(start, stop):
            column, near = order[place], slice(start, place)
            group = column // size
            if moving and column % size == 0:
                inside = slice(place, place + size)
                pull = pulls[place - start :][:size] + factor[near, inside].T @ errors[near]
                moved = np.linalg.solve(np.triu(factor[inside, inside]).T, pull)
                found, offsets = ranges((originals[place - start :][:size] + moved).T, column_scheme)
                scales[:, group] = found[:, 0]
                if zeros is not None and offsets is not None:
                    zeros[:, group] = offsets[:, 0]
            original = originals[place - start]
            target = original + pulls[place - start] + factor[near, place] @ errors[near]
            own_scales, own_zeros = scales[:, [group]], None if zeros is None else zeros[:, [group]]
            own = encoded(target[:, None], column_scheme, own_scales, own_zeros)
            codes[:, column] = own[:, 0]
            errors[place] = original - Quantized(column_scheme, own, own_scales, own_zeros).values()[:, 0]
    return Quantized(scheme, codes, scales, zeros)


def _factor(hessian: NDArray[np.floating], order: NDArray[np.intp], damping: float) -> Matrix:
    """R with its columns divided by their diagonal, where R R^T is the damped ``hessian`` and R is upper triangular.

    Values below the diagonal are arbitrary.

    Args:
        hessian: ``[width, width]``.
        order: order of its rows and columns.
        damping: as a share of the diagonal's mean; raised if the sum is not positive definite, which rounding errors or
            columns without inputs can cause.
    """
    diagonal = np.diagonal(hessian)[order].astype(np.float64)
    unit = float(diagonal.mean()) or 1.0
    if not np.isfinite(unit):
        raise ValueError("the hessian is not finite")
    for attempt in range(ATTEMPTS):
        share = damping if attempt == 0 else max(damping, 1e-4) * 10**attempt
        damped = hessian[np.ix_(order, order)].astype(np.float64, copy=False)
        np.fill_diagonal(damped, diagonal + unit * share)
        try:
            _factorize(damped)
        except np.linalg.LinAlgError:
            continue
        damped /= np.diagonal(damped).copy()
        return damped.astype(np.float32)
    raise ValueError("the hessian is not a sum of outer products: it is far from positive semidefinite")


def _factorize(matrix: NDArray[np.float64], block: int = 128) -> None:
    """Factorize ``matrix [width, width]`` = R R^T in place, R upper triangular; values below it are arbitrary.

    This works by block columns, the last first, because ``np.linalg.cholesky`` holds two more copies of the matrix.
    """
    for start in range((len(matrix) - 1) // block * block, -1, -block):
        stop = start + block
        own, later = slice(start, stop), slice(stop, None)
        matrix[:stop, own] -= matrix[:stop, later] @ matrix[own, later].T
        # A Cholesky factor is lower triangular; that of the flipped matrix is upper when flipped back.
        corner = np.linalg.cholesky(matrix[own, own][::-1, ::-1])[::-1, ::-1]
        matrix[:start, own] = np.linalg.solve(corner, matrix[:start, own].T).T
        matrix[own, own] = corner
