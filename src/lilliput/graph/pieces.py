"""Map a generator's weights to a checkpoint: from lilliput's names to its tensors, with a change for each."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError

Array = NDArray[np.float32]
Change = Callable[[Array], Array]


class Tensors(Protocol):
    """Named arrays of a checkpoint."""

    def __contains__(self, name: object) -> bool:
        """Whether there is a tensor called ``name``."""

    def __iter__(self) -> Iterator[str]:
        """All names."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""

    def read(self, name: str, rows: slice | None = None) -> NDArray[np.float32]:
        """Read a tensor as float32, or consecutive ``rows`` (along the first axis) of it.

        Raises:
            CheckpointError: there is no such tensor, or its file is damaged.
        """


def _unchanged(array: Array) -> Array:
    return array


@dataclass(frozen=True)
class Piece:
    """One weight.

    Attributes:
        source: the checkpoint's tensor that it is taken from; empty if it is not read from a tensor.
        change: maps that tensor to what the graph takes: linear layers as ``[out, in]``.
    """

    source: str
    change: Change = _unchanged

    @property
    def as_stored(self) -> bool:
        """Whether the weight is the tensor itself."""
        return self.change is _unchanged

    def then(self, change: Change) -> Piece:
        """The same weight with a further change."""
        before = self.change
        return Piece(self.source, lambda array: change(before(array)))


Pieces = dict[str, Piece]


def linear(ours: str, theirs: str, bias: bool = True, change: Change = _unchanged) -> Pieces:
    """A linear layer or a norm; ``change`` applies to both its weight and its bias."""
    table = {f"{ours}.weight": Piece(f"{theirs}.weight", change)}
    return table | ({f"{ours}.bias": Piece(f"{theirs}.bias", change)} if bias else {})


def fused(ours: Iterable[str], theirs: str, sizes: Iterable[int], bias: bool = True, turned: bool = False) -> Pieces:
    """Several linear layers stored as one, stacked; ``turned``: as ``[in, out]``, as GPT-2 stores them."""
    table: Pieces = {}
    first = 0
    for name, size in zip(ours, sizes, strict=True):
        rows = _rows(first, first + size)
        table[f"{name}.weight"] = Piece(f"{theirs}.weight", transposed if turned else _unchanged).then(rows)
        if bias:
            table[f"{name}.bias"] = Piece(f"{theirs}.bias", rows)
        first += size
    return table


def per_head(ours: Iterable[str], theirs: str, heads: int, bias: bool = True) -> Pieces:
    """Several linear layers stored as one, interleaved by head: head 0 of each, head 1 of each, ..."""
    names = list(ours)

    def part(place: int) -> Change:
        def change(array: Array) -> Array:
            split = array.reshape(heads, len(names), -1, *array.shape[1:])
            return np.ascontiguousarray(split[:, place].reshape(-1, *array.shape[1:]))

        return change

    table: Pieces = {}
    for place, name in enumerate(names):
        table |= linear(name, theirs, bias, part(place))
    return table


def per_layer(layers: int, ours: str, theirs: str, make: Callable[[str, str], Pieces]) -> Pieces:
    """The tables that ``make(our prefix, their prefix)`` gives for each layer; ``{}`` in a prefix is its number."""
    table: Pieces = {}
    for index in range(layers):
        table |= make(ours.format(index), theirs.format(index))
    return table


def transposed(array: Array) -> Array:
    """``[in, out]`` to ``[out, in]``."""
    return np.ascontiguousarray(array.T)


def half_split(heads: int, width: int) -> Change:
    """Reorder the rows of a query or key layer so that rotary pairs are in the two halves, not neighbours.

    Args:
        heads: number of heads.
        width: number of dimensions of each head that are rotated.
    """

    def change(array: Array) -> Array:
        split = array.reshape(heads, -1, *array.shape[1:])
        order = [*range(0, width, 2), *range(1, width, 2), *range(width, split.shape[1])]
        return np.ascontiguousarray(split[:, order].reshape(array.shape))

    return change


def _rows(first: int, last: int) -> Change:
    return lambda array: np.ascontiguousarray(array[first:last])


def required(values: Mapping[str, Any], *names: str) -> list[Any]:
    """Fields of a ``config.json``; for ``a|b``, the first spelling that is present.

    Raises:
        CheckpointError: a field is missing.
    """
    found = []
    for name in names:
        known = [values[spelling] for spelling in name.split("|") if values.get(spelling) is not None]
        if not known:
            raise CheckpointError(
                f"has no field '{name}'.", where="config.json", remedy="Get the checkpoint's own config.json."
            )
        found.append(known[0])
    return found


OPTIONAL = ("encoder.embedding.weight", "decoder.embedding.weight", "head.weight", "head.bias")
"""Weights that a checkpoint may lack; the shared embedding replaces them, or nothing."""

COPIES = ("decoder.embed_tokens.weight", "encoder.embed_tokens.weight", "lm_head.weight")
"""Other names of the shared embedding: which of equal tensors is kept depends on the program that wrote the file."""


def stored(pieces: Pieces, tensors: Container[str]) -> Pieces:
    """Adapt a table to which of the possibly tied tensors a checkpoint has.

    A ``config.json`` does not tell: transformers 5 writes ``tie_word_embeddings`` as true for every T5.
    """

    def there(source: str) -> bool:
        return source in tensors or source.partition(".")[2] in tensors

    table = {name: piece for name, piece in pieces.items() if name not in OPTIONAL or there(piece.source)}
    shared = table["embedding.weight"]
    if not there(shared.source):
        prefix = shared.source.removesuffix("shared.weight")
        names = (name for copy in COPIES for name in (f"{prefix}{copy}", copy))
        source = next((name for name in names if there(name)), shared.source)
        table["embedding.weight"] = Piece(source, shared.change)
    return table
