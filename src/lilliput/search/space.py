"""What the search varies: the paper's five dimensions, and the precision of the weights.

Source: "Compressing Pre-trained Models of Code into 3 MB" (ASE 2022), section 3.1, table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
"""Integers, of any shape."""

FloatArray = NDArray[np.float64]
"""Real numbers, of any shape."""

Count = TypeVar("Count", int, IntArray)
"""An integer or an array of integers: cost functions are written once for both."""

Count_co = TypeVar("Count_co", int, IntArray, covariant=True)


class Sizes(Protocol[Count_co]):
    """The five sizes of one :class:`Architecture` (``int``) or of many :class:`Architectures` (arrays)."""

    @property
    def layers(self) -> Count_co:
        """Transformer blocks."""

    @property
    def hidden(self) -> Count_co:
        """Width of the residual stream."""

    @property
    def heads(self) -> Count_co:
        """Attention heads."""

    @property
    def intermediate(self) -> Count_co:
        """Width inside the feed-forward block."""

    @property
    def vocabulary(self) -> Count_co:
        """Rows of the token embedding."""


@dataclass(frozen=True, order=True)
class Architecture:
    """An encoder's sizes.

    Attributes:
        layers: transformer blocks; 0: none, and no embeddings (a bag of n-grams).
        hidden: width of the residual stream, and inside the head; 0: there is no network.
        heads: attention heads; ``hidden`` is a multiple of it.
        intermediate: width inside the feed-forward block.
        vocabulary: rows of the token embedding, special tokens included.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int

    def as_dict(self) -> dict[str, int]:
        """Field name -> value, in the order of the JSON contract."""
        return asdict(self)

    def __str__(self) -> str:
        if not self.hidden:
            return f"no network, vocabulary {self.vocabulary}"
        if not self.layers:
            return f"no layers, head of {self.hidden}, vocabulary {self.vocabulary}"
        return (
            f"{self.layers} layers x {self.hidden}, {self.heads} heads, "
            f"intermediate {self.intermediate}, vocabulary {self.vocabulary}"
        )


@dataclass(frozen=True, eq=False)
class Architectures:
    """Many architectures at once: five integer arrays that broadcast against one another.

    An open mesh (each dimension along its own axis) stands for the whole product of its axes, and lets a cost function
    compute each term only over the axes it depends on.
    """

    layers: IntArray
    hidden: IntArray
    heads: IntArray
    intermediate: IntArray
    vocabulary: IntArray

    @classmethod
    def of(cls, architectures: Sequence[Architecture]) -> Architectures:
        """The given architectures, as arrays of shape ``[len(architectures)]``."""
        return cls(*(np.array([getattr(a, f.name) for a in architectures], np.int64) for f in fields(Architecture)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape the five arrays broadcast to."""
        return np.broadcast_shapes(*(getattr(self, f.name).shape for f in fields(self)))

    def at(self, flat_index: int) -> Architecture:
        """The architecture at ``flat_index`` of the broadcast arrays, row-major."""
        place = np.unravel_index(flat_index, self.shape)
        return Architecture(*(int(np.broadcast_to(getattr(self, f.name), self.shape)[place]) for f in fields(self)))


@dataclass(frozen=True)
class SearchSpace:
    """The values each size may take.

    Attributes:
        layers, hidden, heads, intermediate, vocabulary: allowed values, ascending.
        head_widths: allowed values of ``hidden / heads``; empty: any integer.
        expansion: largest ``intermediate / hidden``; 0: no limit.
    """

    layers: Sequence[int]
    hidden: Sequence[int]
    heads: Sequence[int]
    intermediate: Sequence[int]
    vocabulary: Sequence[int]
    head_widths: tuple[int, ...] = ()
    expansion: int = 0

    def excess(self, sizes: Architectures) -> FloatArray:
        """How far ``intermediate`` exceeds ``expansion * hidden``, relative to that; 0 where it does not."""
        if not self.expansion:
            return np.zeros(())
        return np.maximum(sizes.intermediate / (self.expansion * sizes.hidden) - 1.0, 0.0)

    def allows_heads(self, hidden: IntArray, heads: IntArray) -> NDArray[np.bool_]:
        """Whether each ``hidden`` divides into its ``heads`` at an allowed width."""
        allowed: NDArray[np.bool_] = hidden % heads == 0
        return allowed & np.isin(hidden // heads, self.head_widths) if self.head_widths else allowed

    def mesh(self, layers: int) -> Architectures:
        """All architectures of ``layers`` layers: an open mesh of shape ``[vocabularies, pairs, intermediates]``.

        A pair is a hidden size with an allowed number of heads, fewest heads first.
        """
        hidden, heads = (axis.ravel() for axis in np.meshgrid(self.hidden, self.heads, indexing="ij"))
        allowed = self.allows_heads(hidden, heads)
        return Architectures(
            layers=np.array(layers, np.int64),
            hidden=hidden[allowed].astype(np.int64)[None, :, None],
            heads=heads[allowed].astype(np.int64)[None, :, None],
            intermediate=np.array(self.intermediate, np.int64)[None, None, :],
            vocabulary=np.array(self.vocabulary, np.int64)[:, None, None],
        )

    def meshes(self) -> Iterator[Architectures]:
        """The non-empty :meth:`mesh` of each number of layers: together, the whole space."""
        return (mesh for mesh in map(self.mesh, self.layers) if 0 not in mesh.shape)

    def __len__(self) -> int:
        return sum(int(np.prod(mesh.shape)) for mesh in self.meshes())

    def __contains__(self, architecture: Architecture) -> bool:
        return (
            all(getattr(architecture, f.name) in getattr(self, f.name) for f in fields(Architecture))
            and self.allows_heads(np.array(architecture.hidden), np.array(architecture.heads)).item()
            and not self.excess(Architectures.of([architecture])).any()
        )


PAPER_SPACE = SearchSpace(
    layers=range(1, 13),
    hidden=range(16, 769, 16),
    heads=(1, 2, 4, 8),
    intermediate=range(32, 3041, 32),
    vocabulary=range(1000, 50001, 1000),
)
"""The space of the paper's released search: 10.9 million points."""

DEFAULT_SPACE = SearchSpace(
    layers=range(1, 13),
    hidden=range(32, 769, 32),
    heads=range(1, 25),
    intermediate=range(64, 3073, 64),
    vocabulary=range(1000, 16001, 1000),
    head_widths=(32, 48, 64, 96, 128),
    expansion=4,
)
"""A sensible space for students that run on CPUs.

Widths are multiples of the vector register width. Heads are 32 to 128 wide: attention over many narrow heads is what
makes thin deep students slow. The feed-forward width is at most 4 times the hidden one: wider is cheap to run but
learns little more. Beyond 16,000 entries, the tokenizer (0.5 MB) and its embedding (2 MB at int8 and a width of 128)
leave too little for the layers of a 3 MB student.
"""


def bag_space(vocabulary: Sequence[int], hidden: int) -> SearchSpace:
    """Students without layers: only the tokenizer varies. ``hidden`` is the width inside the head, or 0."""
    return SearchSpace(layers=(0,), hidden=(hidden,), heads=(1,), intermediate=(0,), vocabulary=vocabulary)
