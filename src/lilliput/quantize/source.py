"""A checkpoint's weights, read in blocks of rows where that is possible: a large one never is in memory whole."""

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
"""Float32 weights of a block, about."""


class WeightSource:
    """One weight.

    Args:
        piece: where it is in the checkpoint.
        tensors: the checkpoint.
        change: applied to it after those of ``piece``; ``None``: nothing.
    """

    def __init__(self, piece: Piece, tensors: Tensors, change: Change | None = None) -> None:
        self.piece, self.tensors, self.change = piece, tensors, change

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape; where a change was made, the weight has to be read to know."""
        return self.tensors.shape(self._name) if self._as_stored else self.whole.shape

    def blocks(self) -> Iterator[Matrix]:
        """Consecutive rows; of all blocks but the last, a multiple of eight, so that their codes fill whole bytes.

        Raises:
            CheckpointError: it is missing, or not finite; the message names the tensor.
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
        """All of it; raises likewise."""
        weight = self._finite(read_piece(self.piece, self.tensors))
        return weight if self.change is None else self.change(weight)

    @property
    def _name(self) -> str:
        return stored_name(self.piece, self.tensors)

    @property
    def _as_stored(self) -> bool:
        return bool(self._name) and self.piece.as_stored and self.change is None

    def _finite(self, block: Matrix) -> Matrix:
        # A sum is finite only if all its terms are, and takes no memory; only where it is not the terms are looked at.
        with np.errstate(invalid="ignore"):  # infinities of both signs
            total = block.sum(dtype=np.float64)
        if not np.isfinite(total) and not np.isfinite(block).all():
            raise CheckpointError(
                f"tensor '{self.piece.source}' has weights that are no finite numbers (NaN or infinity).",
                remedy="Get the checkpoint again; if it was trained so, its training went wrong.",
            )
        return block


def in_blocks(weight: Matrix) -> Iterator[Matrix]:
    """The rows of a matrix, as :meth:`WeightSource.blocks` gives them; a vector is one block."""
    if weight.ndim < 2:
        yield weight
        return
    step = _rows(math.prod(weight.shape[1:]))
    for first in range(0, len(weight), step):
        yield weight[first : first + step]


def _rows(width: int) -> int:
    return max(8, BLOCK_BYTES // (4 * max(1, width)) // 8 * 8)
