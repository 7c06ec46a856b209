"""Read a checkpoint's weights in blocks of rows where possible, so that a large one is never in memory as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.graph.architectures import read_piece, stored_name
from lilliput.graph.pieces import Piece, Tensors

Matrix = NDArray[np.float32]
Change = Callable[[Matrix], Matrix]

BLOCK_BYTES = 32_000_000
"""Approximate size of a block of float32 weights."""


class WeightSource:
    """One weight.

    Args:
        piece: where the weight is in the checkpoint.
        tensors: the checkpoint.
        change: applied after the changes of ``piece``; ``None``: no change.
    """

    def __init__(self, piece: Piece, tensors: Tensors, change: Change | None = None) -> None:
        self.piece, self.tensors, self.change = piece, tensors, change

    @property
    def shape(self) -> tuple[int, ...]:
        """The weight's shape; if it is changed, this has to read it."""
        return self.tensors.shape(self._name) if self._as_stored else self.whole.shape

    def blocks(self) -> Iterator[Matrix]:
        """Consecutive rows, a multiple of eight in all blocks but the last, so that their codes fill whole bytes.

        Raises:
            CheckpointError: the weight is missing or not finite; the message names the tensor.
        """
        if not self._as_stored or len(self.shape) != 2:
            yield from in_blocks(self.whole)
            return
        rows, width = self.shape
        step = _rows(width)
        for first in range(0, rows, step):
            yield self._finite(self.tensors.read(self._name, slice(first, first + step)))

    @cached_property
    def whole(self) -> Matrix:
        """The whole weight; raises like :meth:`blocks`."""
        weight = self._finite(read_piece(self.piece, self.tensors))
        return weight if self.change is None else self.change(weight)

    @property
    def _name(self) -> str:
        return stored_name(self.piece, self.tensors)

    @property
    def _as_stored(self) -> bool:
        return bool(self._name) and self.piece.as_stored and self.change is None

    def _finite(self, block: Matrix) -> Matrix:
        # A sum is finite only if all terms are, and needs no memory; the terms are checked only if the sum is not.
        with np.errstate(invalid="ignore"):  # infinities of both signs
            total = block.sum(dtype=np.float64)
        if not np.isfinite(total) and not np.isfinite(block).all():
            raise CheckpointError(
                f"tensor '{self.piece.source}' has weights that are not finite (NaN or infinity).",
                remedy="Get the checkpoint again; if the new copy is the same, its training diverged.",
            )
        return block


def in_blocks(weight: Matrix) -> Iterator[Matrix]:
    """The rows of a matrix, in blocks as in :meth:`WeightSource.blocks`; a vector is one block."""
    if weight.ndim < 2:
        yield weight
        return
    step = _rows(math.prod(weight.shape[1:]))
    for first in range(0, len(weight), step):
        yield weight[first : first + step]


def _rows(width: int) -> int:
    return max(8, BLOCK_BYTES // (4 * max(1, width)) // 8 * 8)
