"""What defines a small encoder classifier, besides its weights: shared by the search, the student and its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lilliput.data_flow import DataFlow
from lilliput.grams import Grams
from lilliput.search.space import Architecture

PAD_ID = 1
"""Token id of padding, RoBERTa's."""

FRAME_IDS = (0, 2)
"""Token ids of what begins and ends an input, RoBERTa's."""

VECTOR_LEVELS, VECTOR_SCALE = 127, 1 / 128
"""A stored vector's numbers are 8-bit integers, -LEVELS to LEVELS, times SCALE: a power of two, so that engines that
compute in bfloat16 or float16 give them exactly."""

MASKED = -65504.0
"""Attention score of what may not be seen, such as padding: the lowest float16, so that it survives every precision."""


def reads_on(pooling: str, grams: Grams | None) -> bool:
    """Whether a student reads beyond what its layers see: a bag of all tokens or n-grams stands beside them."""
    return pooling == "wide" or grams is not None


@dataclass(frozen=True)
class EncoderConfig:
    """A RoBERTa-like encoder with post-layer-norm blocks, and a classification head.

    Attributes:
        architecture: the sizes that the search chooses.
        classes: number of output logits.
        arity: functions an example joins (1, or 2 for pairs).
        positions: rows of the position table: the tokens that the layers see, and the longest input unless
            :attr:`reads_on`; 0: there are no layers and no embeddings, n-grams are all there is.
        pooling: how token vectors become one: ``first`` (the ``<s>`` token), ``mean`` (over real tokens), or ``wide``:
            the mean, plus the bag of the tokens' own embeddings (their sum over the root of their number), which
            past all layers tells which tokens are there (after Wide & Deep, Cheng et al. 2016).
        join: how two vectors become the head's input: ``concat`` (the Compressor paper's) or ``difference``
            (``[|u - v|, u * v]``, which does not depend on the order of the pair).
        activation: between the feed-forward layers: ``relu`` (fastest as integers) or ``gelu`` (RoBERTa's).
        norm_epsilon: added to the variance in layer norms.
        vector: numbers of a function's vector: a linear layer and a tanh after pooling, each number rounded to a
            multiple of :data:`VECTOR_SCALE`, so that 8 bits hold it; 0: the pooled vector itself, floating point.
        grams: a table of n-grams; the rows of a function's distinct n-grams, made one as
            :attr:`~lilliput.grams.Grams.scale` says, stand beside the pooled tokens (the wide part of Wide & Deep);
            ``None``: there is none.
        data_flow: nodes of data flow that the layers see beside tokens; ``None``: there are none. A node's embedding is
            the mean of its token's, plus one vector for all nodes in the place of a position's (GraphCodeBERT, Guo et
            al. 2021, section 4.1); who attends to whom is the mask M of its section 4.2; pooling takes in nodes, too.
    """

    architecture: Architecture
    classes: int = 2
    arity: int = 1
    positions: int = 512
    pooling: str = "mean"
    join: str = "difference"
    activation: str = "relu"
    norm_epsilon: float = 1e-5
    vector: int = 0
    grams: Grams | None = None
    data_flow: DataFlow | None = None

    @property
    def reads_on(self) -> bool:
        """Whether inputs may be longer than ``positions``."""
        return reads_on(self.pooling, self.grams)

    @property
    def layered(self) -> bool:
        """Whether tokens go through layers."""
        return self.positions > 0

    @property
    def pooled(self) -> int:
        """Numbers that pooling gives: the tokens' and the n-grams'."""
        return (self.architecture.hidden if self.layered else 0) + (self.grams.width if self.grams else 0)

    @property
    def width(self) -> int:
        """Numbers of a function's vector."""
        return self.vector or self.pooled

    @property
    def features(self) -> int:
        """Width of the head's input."""
        return self.width * self.arity

    @property
    def parameters(self) -> int:
        """Weights, biases included, over all parts."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """The inverse of :meth:`as_dict`."""
        parts: dict[str, Any] = {"architecture": Architecture(**values["architecture"])}
        for name, kind in {"grams": Grams, "data_flow": DataFlow}.items():
            stored = values.get(name)
            parts[name] = None if stored is None else kind(**stored)
        return cls(**{**values, **parts})

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight, in the order of the data flow. Linear weights are ``[out, in]``."""
        size = self.architecture
        hidden, inner = size.hidden, size.intermediate
        table: dict[str, tuple[int, ...]] = {}

        def linear(name: str, out: int, width: int) -> None:
            table[f"{name}.weight"] = (out, width)
            table[f"{name}.bias"] = (out,)

        def norm(name: str) -> None:
            table[f"{name}.weight"] = table[f"{name}.bias"] = (hidden,)

        if self.layered:
            table["embeddings.token.weight"] = (size.vocabulary, hidden)
            table["embeddings.position.weight"] = (self.positions, hidden)
            if self.data_flow:
                table["embeddings.node"] = (hidden,)
            norm("embeddings.norm")
        for index in range(size.layers if self.layered else 0):
            layer = f"layers.{index}"
            for part in ("query", "key", "value", "output"):
                linear(f"{layer}.attention.{part}", hidden, hidden)
            norm(f"{layer}.attention_norm")
            linear(f"{layer}.up", inner, hidden)
            linear(f"{layer}.down", hidden, inner)
            norm(f"{layer}.output_norm")
        if self.grams:
            table["grams.weight"] = (self.grams.rows, self.grams.width)
        if self.vector:
            linear("projection", self.vector, self.pooled)
        linear("head.dense", hidden, self.features)
        linear("head.out", self.classes, hidden)
        return table
